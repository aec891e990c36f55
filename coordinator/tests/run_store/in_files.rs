//! A store in a folder: what a crash, a full disk and a changed file do to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use umbel_coordinator::store::{Change, FileStore, RunStore, Spool, StoreError};
use umbel_proto::incoming::{Arrived, NotReceived};
use umbel_proto::message::{BlobDigest, UpdateAnnouncement};
use umbel_proto::wire::chunk::ChunkError;

use crate::conformance::{
    InFiles, Kind, accepted, begun, bytes_of, client, closed, entry, opened, result,
};

/// A store with a round that is paid for and has no result.
fn spent_round() -> (InFiles, BlobDigest) {
    let mut kind = InFiles::new();
    let store = kind.open();
    let a = client("a");
    store.commit(begun()).unwrap();
    store.commit(opened(1, 0)).unwrap();
    store
        .commit(accepted((1, 0), &a, &b"of a".to_vec()))
        .unwrap();
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
    assert!(store.update(&client("a"), &digest).unwrap().is_none());
}

#[test]
fn two_processes_cannot_have_it_at_once() {
    let (mut kind, _) = spent_round();
    let _store = kind.open();
    let second = reopen(&kind.folder()).err().unwrap();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
}

/// An update of this content for round 1, sent from `offset` on.
fn announced(content: &[u8], offset: u64) -> UpdateAnnouncement {
    UpdateAnnouncement {
        round: 1,
        bytes: content.len() as u64,
        digest: BlobDigest::of(content),
        offset,
    }
}

/// A store whose first attempt is open.
fn open_round() -> (InFiles, Arc<dyn RunStore>) {
    let mut kind = InFiles::new();
    let store = kind.open();
    store.commit(begun()).unwrap();
    store.commit(opened(1, 0)).unwrap();
    (kind, store)
}

fn accept(store: &dyn RunStore, name: &str, arrived: &Arrived) {
    let accepted = store.commit(Change::Accepted {
        round: 1,
        attempt: 0,
        client: &client(name),
        update: arrived.announced.digest,
        bytes: &*arrived.bytes,
    });
    accepted.unwrap();
}

#[test]
fn an_upload_goes_on_where_it_broke_also_after_a_restart() {
    let (mut kind, store) = open_round();
    let (a, content) = (client("a"), b"the update of a".to_vec());
    let mut begun = store.receive(&a, announced(&content, 0), 100).unwrap();
    begun.push(&content[..4]).unwrap();
    drop(begun);
    assert_eq!(store.received(&a, &announced(&content, 0)), 4);
    drop(store);
    let store = kind.open();
    assert_eq!(store.received(&a, &announced(&content, 0)), 4);
    for wrong in [3, 5] {
        let gap = store.receive(&a, announced(&content, wrong), 100).err();
        let expected = NotReceived::Gap {
            here: 4,
            offset: wrong,
        };
        assert_eq!(gap, Some(expected));
    }
    let mut rest = store.receive(&a, announced(&content, 4), 100).unwrap();
    rest.push(&content[4..]).unwrap();
    accept(&*store, "a", &rest.finish().unwrap());
    drop(store);
    let found = bytes_of(&*kind.open(), "a", &content);
    assert_eq!(found, Some(content));
}

#[test]
fn an_upload_whose_kept_part_was_altered_by_a_crash_begins_anew_and_nobody_is_blamed() {
    let (kind, store) = open_round();
    let (a, content) = (client("a"), b"the update of a".to_vec());
    let mut begun = store.receive(&a, announced(&content, 0), 100).unwrap();
    begun.push(&content[..4]).unwrap();
    drop(begun);
    let mut parts = fs::read_dir(kind.folder().join("spool")).unwrap();
    let part = parts.next().unwrap().unwrap().path();
    fs::write(&part, [0; 4]).unwrap();
    let mut rest = store.receive(&a, announced(&content, 4), 100).unwrap();
    rest.push(&content[4..]).unwrap();
    assert_eq!(rest.finish().err(), Some(ChunkError::KeptPartAltered));
    assert_eq!(store.received(&a, &announced(&content, 0)), 0);
    // Whoever sends all of it and lies about its digest is told so.
    let mut lie = announced(&content, 0);
    lie.digest = BlobDigest::of(b"another");
    let mut arriving = store.receive(&a, lie, 100).unwrap();
    arriving.push(&content).unwrap();
    let error = arriving.finish().err();
    assert!(
        matches!(error, Some(ChunkError::Altered { .. })),
        "{error:?}"
    );
    let mut again = store.receive(&a, announced(&content, 0), 100).unwrap();
    again.push(&content).unwrap();
    accept(&*store, "a", &again.finish().unwrap());
}

#[test]
fn an_upload_that_begins_anew_or_is_another_takes_the_place_of_what_was_left() {
    let (kind, store) = open_round();
    let parts = || {
        let files = fs::read_dir(kind.folder().join("spool")).unwrap();
        files.count()
    };
    let begin = |name: &str, content: &[u8]| {
        let arriving = store.receive(&client(name), announced(content, 0), 100);
        let mut arriving = arriving.unwrap();
        arriving.push(&content[..1]).unwrap();
        arriving
    };
    drop(begin("a", b"first"));
    drop(begin("a", b"first"));
    drop(begin("a", b"second"));
    assert_eq!(parts(), 1);
    // Its name begins with the other's.
    drop(begin("a-b", b"third"));
    drop(begin("a", b"fourth"));
    assert_eq!(parts(), 2);
    assert_eq!(store.received(&client("a-b"), &announced(b"third", 0)), 1);
}

#[test]
fn what_an_earlier_process_left_of_an_upload_is_replaced_too() {
    let (mut kind, store) = open_round();
    for name in ["a", "a-b"] {
        let mut begun = store.receive(&client(name), announced(b"first", 0), 100);
        begun.as_mut().unwrap().push(b"f").unwrap();
    }
    drop(store);
    let store = kind.open();
    drop(
        store
            .receive(&client("a"), announced(b"second", 0), 100)
            .unwrap(),
    );
    assert_eq!(store.received(&client("a"), &announced(b"first", 0)), 0);
    assert_eq!(store.received(&client("a-b"), &announced(b"first", 0)), 1);
}

#[test]
fn what_is_not_what_was_announced_is_never_kept() {
    let (kind, store) = open_round();
    let a = client("a");
    let long = store.receive(&a, announced(&[0; 101], 0), 100).err();
    assert!(matches!(long, Some(NotReceived::Refused(_))), "{long:?}");
    let mut altered = store.receive(&a, announced(b"ab", 0), 100).unwrap();
    altered.push(b"ac").unwrap();
    assert!(altered.push(b"d").is_err());
    assert!(altered.finish().is_err());
    let mut early = store.receive(&a, announced(b"abc", 0), 100).unwrap();
    early.push(b"ab").unwrap();
    assert!(early.finish().is_err());
    // What lacks its end can still get it.
    assert_eq!(store.received(&a, &announced(b"abc", 0)), 2);
    let mut refused = store.receive(&a, announced(b"abc", 2), 100).unwrap();
    refused.push(b"c").unwrap();
    // The coordinator finds that it is no update, and drops it.
    drop(refused.finish().unwrap());
    let left = fs::read_dir(kind.folder().join("spool")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn an_update_that_lost_its_file_while_it_was_checked_is_kept_all_the_same() {
    let (mut kind, store) = open_round();
    let content = b"the update of a".to_vec();
    let mut arriving = store
        .receive(&client("a"), announced(&content, 0), 100)
        .unwrap();
    arriving.push(&content).unwrap();
    let arrived = arriving.finish().unwrap();
    fs::remove_file(arrived.bytes.file().unwrap()).unwrap();
    accept(&*store, "a", &arrived);
    drop((arrived, store));
    assert_eq!(bytes_of(&*kind.open(), "a", &content), Some(content));
}

#[test]
fn a_new_attempt_leaves_an_upload_under_way_alone_and_a_release_removes_it() {
    let (_kind, store) = open_round();
    let content = b"the update of a".to_vec();
    let here = || store.received(&client("a"), &announced(&content, 0));
    let mut arriving = store
        .receive(&client("a"), announced(&content, 0), 100)
        .unwrap();
    arriving.push(&content[..4]).unwrap();
    store.commit(opened(1, 1)).unwrap();
    assert_eq!(here(), 4);
    arriving.push(&content[4..8]).unwrap();
    assert_eq!(here(), 8);
    store.commit(closed(1, &[])).unwrap();
    store.commit(Change::Spent(entry(1))).unwrap();
    store.commit(Change::Released(&result(1))).unwrap();
    assert_eq!(here(), 0);
}
