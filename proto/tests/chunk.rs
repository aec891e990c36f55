//! Cutting and assembling are inverse; an assembler takes nothing that wasn't announced.

use proptest::collection::vec;
use proptest::prelude::*;
use umbel_proto::message::BlobDigest;
use umbel_proto::wire::chunk::{BlobAssembler, CHUNK_BYTES, ChunkError, chunks};

fn blob(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 + i / 257) as u8).collect()
}

proptest! {
    #[test]
    fn a_blob_survives_being_cut_at_any_offset(
        length in prop_oneof![0..10usize, 0..3 * CHUNK_BYTES],
        part in 0.0..=1.0f64,
    ) {
        let blob = blob(length);
        let offset = (length as f64 * part) as usize;
        let digest = BlobDigest::of(&blob);
        let mut assembler = BlobAssembler::new(digest, length as u64, length as u64).unwrap();
        for piece in blob[..offset].chunks(CHUNK_BYTES) {
            assembler.push(piece).unwrap();
        }
        for (at, chunk) in chunks(&blob, offset as u64) {
            prop_assert!(chunk.len() <= CHUNK_BYTES);
            prop_assert_eq!(at, assembler.received());
            assembler.push(chunk).unwrap();
        }
        prop_assert!(assembler.is_complete());
        prop_assert_eq!(assembler.finish().unwrap(), blob);
    }

    #[test]
    fn no_sequence_of_chunks_yields_anything_but_the_named_blob(
        pieces in vec(vec(any::<u8>(), 0..20), 0..8),
        announced in 0..200u64,
        most in 0..200u64,
        named in vec(any::<u8>(), 0..20),
    ) {
        let digest = BlobDigest::of(&named);
        let Ok(mut assembler) = BlobAssembler::new(digest, announced, most) else {
            prop_assert!(announced > most);
            return Ok(());
        };
        for piece in pieces {
            let before = assembler.received();
            let fits = before + piece.len() as u64 <= announced;
            prop_assert_eq!(assembler.push(&piece).is_ok(), fits);
            prop_assert!(assembler.received() <= announced);
        }
        if let Ok(bytes) = assembler.finish() {
            prop_assert_eq!(bytes, named);
        }
    }
}

#[test]
fn an_empty_rest_is_one_empty_chunk() {
    assert_eq!(chunks(&[], 0).collect::<Vec<_>>(), [(0, &[][..])]);
    assert_eq!(chunks(&[1, 2], 2).collect::<Vec<_>>(), [(2, &[][..])]);
    assert_eq!(
        chunks(&[1, 2], u64::MAX).collect::<Vec<_>>(),
        [(2, &[][..])]
    );
}

#[test]
fn an_announcement_above_the_limit_is_refused() {
    let error = BlobAssembler::new(BlobDigest::of(b""), 11, 10).unwrap_err();
    let expected = ChunkError::TooLong {
        announced: 11,
        most: 10,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_huge_announcement_reserves_no_memory() {
    // Reserving what is claimed here would abort the process.
    let mut assembler = BlobAssembler::new(BlobDigest::of(b""), u64::MAX, u64::MAX).unwrap();
    assembler.push(&[1, 2, 3]).unwrap();
    let expected = ChunkError::Incomplete {
        received: 3,
        announced: u64::MAX,
    };
    assert_eq!(assembler.finish().unwrap_err(), expected);
}

#[test]
fn more_than_announced_is_refused_and_changes_nothing() {
    let mut assembler = BlobAssembler::new(BlobDigest::of(b"abc"), 3, 3).unwrap();
    assembler.push(b"ab").unwrap();
    let expected = ChunkError::Overrun { announced: 3 };
    assert_eq!(assembler.push(b"cd").unwrap_err(), expected);
    assembler.push(b"c").unwrap();
    assert_eq!(assembler.finish().unwrap(), b"abc");
}

#[test]
fn a_message_longer_than_a_chunk_is_refused() {
    let long = vec![0; CHUNK_BYTES + 1];
    let mut assembler = BlobAssembler::new(BlobDigest::of(&long), 1 << 30, 1 << 30).unwrap();
    let expected = ChunkError::ChunkTooLong {
        found: CHUNK_BYTES + 1,
    };
    assert_eq!(assembler.push(&long).unwrap_err(), expected);
}

#[test]
fn altered_bytes_are_refused() {
    let mut assembler = BlobAssembler::new(BlobDigest::of(b"abc"), 3, 3).unwrap();
    assembler.push(b"abd").unwrap();
    assert!(matches!(
        assembler.finish().unwrap_err(),
        ChunkError::Altered { .. }
    ));
}
