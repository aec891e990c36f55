use umbel_privacy::disk::RealDisk;

use super::*;

fn owner(data_set: &str) -> Owner {
    Owner {
        run: "run".into(),
        plan: BlobDigest::of(b"plan"),
        data_set: data_set.into(),
    }
}

fn open(folder: &Path) -> Outbox {
    Outbox::open(
        &folder.join("ledger.jsonl"),
        &owner("visits"),
        Arc::new(RealDisk),
    )
    .expect("an outbox")
}

#[test]
fn what_was_kept_is_there_after_a_restart_and_for_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (start, other) = (BlobDigest::of(b"start"), BlobDigest::of(b"other"));
    let mut outbox = open(folder.path());
    assert!(!outbox.exists());
    let update = b"{\"a\":\n1}\n\n".as_slice();
    outbox
        .keep(&owner("visits"), (3, start), update)
        .expect("kept");
    let outbox = open(folder.path());
    assert_eq!(outbox.update(3, &start).expect("read"), Some(update.into()));
    assert_eq!(outbox.update(4, &start).expect("read"), None);
    assert_eq!(outbox.update(3, &other).expect("read"), None);
    let ledger = folder.path().join("ledger.jsonl");
    let of_others =
        Outbox::open(&ledger, &owner("other data"), Arc::new(RealDisk)).expect("an outbox");
    assert!(!of_others.exists());
}

/// Whatever stands in the file, it is what was written or it is refused; it is never taken for another
/// answer's bytes.
#[test]
fn a_damaged_outbox_is_refused_or_gives_what_was_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = BlobDigest::of(b"start");
    let mut outbox = open(folder.path());
    outbox
        .keep(&owner("visits"), (3, start), b"an update")
        .expect("kept");
    let ledger = folder.path().join("ledger.jsonl");
    let file = place(&ledger, &owner("visits"));
    let whole = fs::read(&file).expect("it was kept");
    let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    for bytes in cut.chain(flipped) {
        fs::write(&file, &bytes).expect("written");
        match Outbox::open(&ledger, &owner("visits"), Arc::new(RealDisk)) {
            Err(refusal) => assert!(refusal.to_string().contains("outbox")),
            Ok(outbox) => match outbox.update(3, &start) {
                Err(refusal) => assert!(refusal.to_string().contains("outbox")),
                Ok(update) => assert!(update.is_none_or(|update| update == b"an update")),
            },
        }
    }
}

#[test]
fn a_round_that_is_answered_again_counts_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = BlobDigest::of(b"start");
    let mut outbox = open(folder.path());
    for round in [1, 2, 2, 5] {
        outbox
            .keep(&owner("visits"), (round, start), b"x")
            .expect("kept");
    }
    assert_eq!(open(folder.path()).answered(), 3);
}

#[test]
fn after_the_run_the_bytes_go_and_what_was_answered_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = BlobDigest::of(b"start");
    let mut outbox = open(folder.path());
    outbox
        .keep(&owner("visits"), (2, start), &[7; 100_000])
        .expect("kept");
    outbox.drop_bytes().expect("dropped");
    let outbox = open(folder.path());
    assert_eq!(outbox.update(2, &start).expect("read"), None);
    assert_eq!(outbox.last().map(|last| last.round), Some(2));
    let file = fs::metadata(&outbox.path).expect("a file");
    assert!(file.len() < 1_000, "{}", file.len());
}

#[test]
fn a_file_with_any_byte_changed_is_refused_or_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = BlobDigest::of(b"start");
    let mut outbox = open(folder.path());
    outbox
        .keep(&owner("visits"), (1, start), b"update")
        .expect("kept");
    let path = outbox.path.clone();
    let good = fs::read(&path).expect("a file");
    let ledger = folder.path().join("ledger.jsonl");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).expect("written");
        let read = Outbox::open(&ledger, &owner("visits"), Arc::new(RealDisk))
            .and_then(|outbox| outbox.update(1, &start));
        match read {
            Ok(Some(bytes)) => assert_eq!(bytes, b"update", "byte {at}"),
            Ok(None) => {}
            Err(error) => assert!(error.to_string().contains("run.name"), "{error}"),
        }
    }
}

#[test]
fn an_interrupted_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = BlobDigest::of(b"start");
    let mut outbox = open(folder.path());
    outbox
        .keep(&owner("visits"), (1, start), b"first")
        .expect("kept");
    fs::write(outbox.path.with_extension("unfinished"), b"{\"own").expect("written");
    let outbox = open(folder.path());
    let kept = outbox.update(1, &start).expect("read");
    assert_eq!(kept.as_deref(), Some(b"first".as_slice()));
}
