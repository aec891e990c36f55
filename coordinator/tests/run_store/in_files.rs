//! A store in a folder: what a crash, a full disk and a changed file do to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use umbel_coordinator::store::{Change, FileStore, Spool, StoreError};
use umbel_proto::message::BlobDigest;

use crate::conformance::{InFiles, Kind, accepted, begun, client, closed, entry, opened, result};

/// A store with a round that is paid for and has no result.
fn spent_round() -> (InFiles, BlobDigest) {
    let mut kind = InFiles::new();
    let store = kind.open();
    let a = client("a");
    store.commit(begun()).unwrap();
    store.commit(opened(1, 0)).unwrap();
    store.commit(accepted((1, 0), &a, b"of a")).unwrap();
    store.commit(closed(1, &[("a", b"of a")])).unwrap();
    store.commit(Change::Spent(entry(1))).unwrap();
    (kind, BlobDigest::of(b"of a"))
}

fn reopen(folder: &Path) -> Result<FileStore, StoreError> {
    FileStore::open(folder, Spool::Kept)
}

#[test]
fn nobody_but_the_owner_can_look_in() {
    let (kind, _) = spent_round();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let spool = kind.folder().join("spool");
    assert_eq!(mode(&kind.folder()), 0o700);
    assert_eq!(mode(&spool), 0o700);
    let files: Vec<_> = fs::read_dir(&spool).unwrap().collect();
    assert_eq!(files.len(), 1);
    for file in files {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn cut_anywhere_the_journal_is_a_prefix_of_what_was_committed() {
    let (kind, _) = spent_round();
    let journal = kind.folder().join("run.journal");
    let bytes = fs::read(&journal).unwrap();
    for end in 0..=bytes.len() {
        fs::write(&journal, &bytes[..end]).unwrap();
        let store = reopen(&kind.folder()).unwrap();
        let whole = bytes[..end].iter().filter(|b| **b == b'\n').count();
        drop(store);
        let now = fs::read(&journal).unwrap();
        assert!(bytes.starts_with(&now), "{end}");
        let lines = now.iter().filter(|b| **b == b'\n').count();
        // A line that lacks only its line break is whole.
        assert!(lines == whole || now.len() == end + 1, "{end}");
    }
}

#[test]
fn a_line_that_was_changed_is_refused_with_a_sentence() {
    let (kind, _) = spent_round();
    let journal = kind.folder().join("run.journal");
    let bytes = fs::read(&journal).unwrap();
    for at in (0..bytes.len() - 1).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&journal, &changed).unwrap();
        let last_line = bytes[..bytes.len() - 1]
            .iter()
            .rposition(|b| *b == b'\n')
            .unwrap();
        let opened = reopen(&kind.folder());
        let refused = matches!(
            &opened,
            Err(StoreError::Damaged { .. } | StoreError::Newer { .. })
        );
        // A changed line break joins two lines, and a torn one of both is cut off at the end.
        let joined = bytes[at] == b'\n' && at >= last_line;
        assert!(refused || joined, "byte {at}: {:?}", opened.err());
    }
}

#[test]
fn a_later_format_is_refused_and_left_as_it_is() {
    let kind = InFiles::new();
    fs::create_dir(kind.folder()).unwrap();
    let journal = kind.folder().join("run.journal");
    for text in [
        "{\"version\":2,\"anything\":true}\n",
        "{\"version\":2,\"anything\":true}",
    ] {
        fs::write(&journal, text).unwrap();
        let error = reopen(&kind.folder()).err().unwrap();
        assert!(
            matches!(error, StoreError::Newer { version: 2, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("update it"), "{error}");
        assert_eq!(fs::read_to_string(&journal).unwrap(), text);
    }
}

#[test]
fn a_result_that_has_its_name_is_the_result_though_the_journal_lacks_it() {
    let (mut kind, _) = spent_round();
    let store = kind.open();
    let journal = kind.folder().join("run.journal");
    let before = fs::read(&journal).unwrap();
    store.commit(Change::Released(&result(1))).unwrap();
    drop(store);
    fs::write(&journal, before).unwrap();
    let store = kind.open();
    assert_eq!(store.load().unwrap().unwrap().done(), 1);
    assert!(store.has_result(&entry(1)).unwrap());
}

#[test]
fn a_draft_never_was_a_result() {
    let (mut kind, digest) = spent_round();
    let draft = kind.folder().join("round-1.safetensors.draft");
    let mut whole = Vec::new();
    result(1).write(&mut whole).unwrap();
    fs::write(&draft, whole).unwrap();
    let store = kind.open();
    assert!(!draft.exists());
    assert!(!store.has_result(&entry(1)).unwrap());
    assert_eq!(store.load().unwrap().unwrap().done(), 0);
    assert!(store.update(&client("a"), &digest).unwrap().is_some());
}

#[test]
fn a_damaged_or_foreign_result_is_neither_published_nor_made_again() {
    let (mut kind, _) = spent_round();
    let store = kind.open();
    let journal = kind.folder().join("run.journal");
    let before = fs::read(&journal).unwrap();
    store.commit(Change::Released(&result(1))).unwrap();
    drop(store);
    let file = kind.folder().join("round-1.safetensors");
    let bytes = fs::read(&file).unwrap();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let mut foreign = Vec::new();
    result(2).write(&mut foreign).unwrap();
    for wrong in [&changed[..], &bytes[..bytes.len() - 1], &foreign, b""] {
        fs::write(&journal, &before).unwrap();
        fs::write(&file, wrong).unwrap();
        let error = reopen(&kind.folder()).err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn an_update_whose_file_was_changed_is_asked_for_again() {
    let (mut kind, digest) = spent_round();
    let spool = kind.folder().join("spool");
    let file = fs::read_dir(&spool)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&file, b"of b").unwrap();
    let store = kind.open();
    assert_eq!(store.update(&client("a"), &digest).unwrap(), None);
}

#[test]
fn two_processes_cannot_have_it_at_once() {
    let (mut kind, _) = spent_round();
    let _store = kind.open();
    let second = reopen(&kind.folder()).err().unwrap();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
}
