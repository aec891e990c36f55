//! What comes over the wire: messages, blobs in chunks, and updates.
//!
//! The input's first byte says what the rest is.

use std::fmt::{Debug, Display};

use umbel_privacy::LatticeVector;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::message::UpdateAnnouncement;
use umbel_proto::message::{
    BlobDigest, ClientId, Ending, Hello, ModelFile, Receipt, Task, Welcome,
};
use umbel_proto::wire::chunk::{BlobAssembler, CHUNK_BYTES, chunks};
use umbel_proto::wire::convert::BlobWish;
use umbel_proto::wire::{self, Message};

/// Reads the rest as what the first byte says.
pub fn check(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else {
        return;
    };
    match kind {
        0 => arrives::<wire::JoinRequest, Hello>(rest),
        1 => arrives::<wire::JoinReply, Welcome>(rest),
        2 => arrives::<wire::ModelFile, ModelFile>(rest),
        3 => arrives::<wire::TaskReply, Option<Task>>(rest),
        4 => arrives::<wire::Finished, Ending>(rest),
        5 => arrives::<wire::SubmitReply, Receipt>(rest),
        6 => arrives::<wire::UpdateHeader, UpdateAnnouncement>(rest),
        7 => arrives::<wire::BlobRequest, BlobWish>(rest),
        11 => arrives::<wire::CountersignReply, Option<LedgerPoint>>(rest),
        8 => is_put_together(rest),
        9 => is_an_update(rest),
        _ => is_a_name(rest),
    }
}

/// What is read is written and read again as the same.
fn arrives<Wire, Domain>(bytes: &[u8])
where
    Wire: Message + Default + From<Domain>,
    Domain: TryFrom<Wire, Error: Display + Debug + PartialEq> + Clone + Debug + PartialEq,
{
    let Ok(message) = Wire::decode(bytes) else {
        return;
    };
    let domain = match Domain::try_from(message) {
        Ok(domain) => domain,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let sent = Wire::from(domain.clone()).encode_to_vec();
    let again = Wire::decode(sent.as_slice()).expect("what was sent can be read");
    assert_eq!(Domain::try_from(again), Ok(domain));
}

/// Chunks of any length, after any announcement, make the blob that was named or are refused.
fn is_put_together(bytes: &[u8]) {
    let Some((lengths, blob)) = bytes.split_at_checked(8) else {
        return;
    };
    let digest = BlobDigest::of(blob);
    let announced = match lengths[0] % 4 {
        0 => u64::from_le_bytes(lengths.try_into().expect("they are eight")),
        1 => blob.len() as u64 + u64::from(lengths[1]),
        _ => blob.len() as u64,
    };
    let Ok(mut assembler) = BlobAssembler::new(digest, announced, u64::from(u32::MAX)) else {
        return assert!(announced > u64::from(u32::MAX));
    };
    let mut rest = blob;
    for length in lengths.iter().cycle() {
        // A sender that sends nothing is cut off by others.
        let length = usize::from(*length)
            .clamp(1, rest.len().max(1))
            .min(rest.len());
        let (chunk, later) = rest.split_at(length);
        let before = assembler.received();
        match assembler.push(chunk) {
            Ok(()) => assert_eq!(assembler.received(), before + length as u64),
            Err(_) => return assert_eq!(assembler.received(), before),
        }
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    match assembler.finish() {
        Ok(found) => assert_eq!(found, blob),
        Err(_) => assert_ne!(announced, blob.len() as u64),
    }
    let offset = u64::from(lengths[7]);
    let parts: Vec<(u64, &[u8])> = chunks(blob, offset).collect();
    assert!(parts.iter().all(|(_, part)| part.len() <= CHUNK_BYTES));
    let all: Vec<u8> = parts
        .iter()
        .flat_map(|(_, part)| part.iter().copied())
        .collect();
    assert_eq!(all, blob.get(offset as usize..).unwrap_or_default());
}

/// An update of any length has one encoding.
fn is_an_update(bytes: &[u8]) {
    let Some((&length, rest)) = bytes.split_first() else {
        return;
    };
    match LatticeVector::decode(rest, length.into()) {
        Ok(vector) => {
            assert_eq!(vector.len(), usize::from(length));
            assert_eq!(vector.encode(), rest);
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}

fn is_a_name(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes).into_owned();
    match ClientId::try_from(name.clone()) {
        Ok(id) => assert!(id.as_str() == name && !name.contains('/') && name != ".."),
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}
