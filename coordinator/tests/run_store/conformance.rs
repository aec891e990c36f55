//! One suite for every store. A store is taken away and opened again wherever that could make
//! a difference.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use umbel_coordinator::store::{
    Change, Checkpoint, CountedUpdate, FileStore, MemoryStore, RoundClosed, RoundOpened, RunBegun,
    RunStore, Spool, StoreError, Told,
};
use umbel_coordinator::strategy::State;
use umbel_privacy::ledger::{EntryHash, LedgerPoint};
use umbel_proto::message::{BlobDigest, ClientId};

/// A store, and how it is opened again.
pub trait Kind {
    fn new() -> Self;
    fn open(&mut self) -> Arc<dyn RunStore>;
}

pub struct InMemory(Arc<MemoryStore>);

impl Kind for InMemory {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn open(&mut self) -> Arc<dyn RunStore> {
        self.0.clone()
    }
}

pub struct InFiles(TempDir);

impl InFiles {
    pub fn folder(&self) -> PathBuf {
        self.0.path().join("journal")
    }
}

impl Kind for InFiles {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&mut self) -> Arc<dyn RunStore> {
        Arc::new(FileStore::open(&self.folder(), Spool::Kept).unwrap())
    }
}

pub fn client(name: &str) -> ClientId {
    name.parse().unwrap()
}

pub fn begun() -> Change<'static> {
    Change::Begun(RunBegun {
        id: "0123456789abcdef0123456789abcdef".into(),
        run: "test".into(),
        plan: BlobDigest::of(b"plan"),
        conditions: BlobDigest::of(b"conditions"),
        unix_time: 1_700_000_000,
        ledger: LedgerPoint::START,
    })
}

pub fn opened(round: u32, attempt: u32) -> Change<'static> {
    Change::Opened(RoundOpened {
        round,
        attempt,
        cohort: ["a", "b", "c"].map(client).to_vec(),
        present: ["a", "b"].map(client).to_vec(),
        parameters: BlobDigest::of(&round.to_le_bytes()),
        deadline: 1_700_000_600,
    })
}

/// What is stored as this client's update of these bytes.
pub fn bytes_of(store: &dyn RunStore, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let found = store
        .update(&client(name), &BlobDigest::of(bytes))
        .unwrap()?;
    let mut read = Vec::new();
    found.open().unwrap().read_to_end(&mut read).unwrap();
    Some(read)
}

pub fn accepted<'a>(
    (round, attempt): (u32, u32),
    client: &'a ClientId,
    bytes: &'a Vec<u8>,
) -> Change<'a> {
    Change::Accepted {
        round,
        attempt,
        client,
        update: BlobDigest::of(bytes),
        bytes,
    }
}

pub fn closed(round: u32, updates: &[(&str, &[u8])]) -> Change<'static> {
    let update = |(name, bytes): &(&str, &[u8])| CountedUpdate {
        client: client(name),
        update: BlobDigest::of(bytes),
    };
    Change::Closed(RoundClosed {
        round,
        updates: updates.iter().map(update).collect(),
        asked: ["a", "b"].map(client).to_vec(),
        ledger_head: Some(EntryHash::START),
    })
}

pub fn entry(round: u32) -> EntryHash {
    EntryHash::from([round as u8; 32])
}

/// Numbers that no decimal shows as they are.
pub fn result(round: u32) -> Checkpoint {
    Checkpoint {
        round,
        parameters: Arc::from([0.1 * round as f32, -0.0, f32::MIN_POSITIVE, f32::NAN]),
        optimiser: State {
            steps: u64::from(round),
            moments: vec![
                Arc::new(vec![1.0 / 3.0; 4]),
                Arc::new(vec![f64::MIN_POSITIVE, 0.3, -0.0, 1e300]),
            ],
        },
        threshold: Some(0.1),
        entry: Some(entry(round)),
        told: Told {
            epsilon: Some(0.1 + 0.2),
            learning_rate: 1.0 / 7.0,
            unclipped: None,
            seconds: 1.25,
        },
    }
}

/// Everything of one round, up to its result.
fn up_to_spent(store: &dyn RunStore, round: u32) {
    let [a, b] = ["a", "b"].map(client);
    store.commit(opened(round, 0)).unwrap();
    store
        .commit(accepted((round, 0), &a, &b"of a".to_vec()))
        .unwrap();
    store
        .commit(accepted((round, 0), &b, &b"of b".to_vec()))
        .unwrap();
    let set: [(&str, &[u8]); 2] = [("a", b"of a"), ("b", b"of b")];
    store.commit(closed(round, &set)).unwrap();
    store.commit(Change::Spent(entry(round))).unwrap();
}

fn same_bits(a: &Checkpoint, b: &Checkpoint) -> bool {
    let bits = |c: &Checkpoint| c.parameters.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
    let rest = |c: &Checkpoint| Checkpoint {
        parameters: Arc::from([]),
        ..c.clone()
    };
    bits(a) == bits(b) && rest(a) == rest(b)
}

fn a_new_store_knows_of_no_run(mut kind: impl Kind) {
    let store = kind.open();
    assert_eq!(store.load().unwrap(), None);
    let early = store.commit(opened(1, 0));
    assert!(matches!(early, Err(StoreError::OutOfOrder(_))), "{early:?}");
    assert_eq!(store.load().unwrap(), None);
}

fn what_is_committed_is_there_when_it_is_opened_again(mut kind: impl Kind) {
    let store = kind.open();
    store.commit(begun()).unwrap();
    up_to_spent(&*store, 1);
    let before = store.load().unwrap().unwrap();
    drop(store);
    let store = kind.open();
    let history = store.load().unwrap().unwrap();
    assert_eq!(history, before);
    let open = history.open.as_ref().unwrap();
    assert_eq!((open.opened.round, open.spent), (1, Some(entry(1))));
    assert_eq!(open.closed.as_ref().unwrap().updates.len(), 2);
    assert_eq!(history.attendance[&client("a")].counted, 1);
    assert_eq!(history.attendance[&client("a")].asked, 1);
    for (name, bytes) in [("a", b"of a"), ("b", b"of b")] {
        assert_eq!(bytes_of(&*store, name, bytes).as_deref(), Some(&bytes[..]));
    }
    assert_eq!(bytes_of(&*store, "a", b"another"), None);
}

fn a_result_is_there_to_its_last_bit_and_the_updates_are_gone(mut kind: impl Kind) {
    let store = kind.open();
    store.commit(begun()).unwrap();
    up_to_spent(&*store, 1);
    assert!(!store.has_result(&entry(1)).unwrap());
    store.commit(Change::Released(&result(1))).unwrap();
    drop(store);
    let store = kind.open();
    assert!(store.has_result(&entry(1)).unwrap());
    assert!(same_bits(
        &store.checkpoint(1).unwrap().unwrap(),
        &result(1)
    ));
    let history = store.load().unwrap().unwrap();
    assert_eq!((history.done(), &history.open), (1, &None));
    assert_eq!(history.attendance[&client("c")].missed, 1);
    assert_eq!(history.participation.missing, [client("c")]);
    assert_eq!(bytes_of(&*store, "a", b"of a"), None);
}

fn the_last_two_results_are_kept(mut kind: impl Kind) {
    let store = kind.open();
    store.commit(begun()).unwrap();
    for round in 1..=4 {
        up_to_spent(&*store, round);
        store.commit(Change::Released(&result(round))).unwrap();
    }
    let kept = (1..=4).filter(|round| store.checkpoint(*round).unwrap().is_some());
    assert_eq!(kept.collect::<Vec<_>>(), [3, 4]);
}

fn nothing_is_taken_out_of_its_order(mut kind: impl Kind) {
    let store = kind.open();
    store.commit(begun()).unwrap();
    let refuse = |change: Change<'_>, what: &str| {
        let before = store.load().unwrap();
        let refused = store.commit(change);
        assert!(
            matches!(refused, Err(StoreError::OutOfOrder(_))),
            "{what}: {refused:?}"
        );
        assert_eq!(store.load().unwrap(), before, "{what}");
    };
    refuse(begun(), "a second beginning");
    refuse(opened(2, 0), "round 2 before round 1");
    refuse(closed(1, &[]), "closed before it is open");
    store.commit(opened(1, 0)).unwrap();
    refuse(
        Change::Spent(entry(1)),
        "an entry before the round is closed",
    );
    store.commit(closed(1, &[])).unwrap();
    refuse(opened(1, 1), "another attempt at a closed round");
    store.commit(Change::Spent(entry(1))).unwrap();
    refuse(Change::Spent(entry(2)), "a second entry");
    store.commit(Change::Spent(entry(1))).unwrap();
    store.commit(Change::Released(&result(1))).unwrap();
    store.commit(Change::Ended).unwrap();
    refuse(opened(2, 0), "a round after the end");
}

fn an_update_that_comes_after_its_attempt_counts_nowhere(mut kind: impl Kind) {
    let store = kind.open();
    store.commit(begun()).unwrap();
    store.commit(opened(1, 0)).unwrap();
    store.commit(opened(1, 1)).unwrap();
    let a = client("a");
    store
        .commit(accepted((1, 0), &a, &b"late".to_vec()))
        .unwrap();
    let history = store.load().unwrap().unwrap();
    assert!(history.open.unwrap().accepted.is_empty());
    assert_eq!(history.attendance[&a].counted, 0);
    // Nobody knows who was given the task of an attempt that came to nothing.
    assert_eq!(history.attendance[&client("c")].asked, 1);
}

fn many_threads_commit_updates_at_once(mut kind: impl Kind) {
    let store = kind.open();
    store.commit(begun()).unwrap();
    store.commit(opened(1, 0)).unwrap();
    std::thread::scope(|scope| {
        for i in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let name = client(&format!("client-{i}"));
                store
                    .commit(accepted((1, 0), &name, &vec![i; 100]))
                    .unwrap();
            });
        }
    });
    drop(store);
    let store = kind.open();
    let open = store.load().unwrap().unwrap().open.unwrap();
    assert_eq!(open.accepted.len(), 8);
    for (client, digest) in &open.accepted {
        assert!(store.update(client, digest).unwrap().is_some());
    }
}

macro_rules! for_every_store {
    ($($test:ident),* $(,)?) => {
        mod in_memory {
            use super::{InMemory, Kind};
            $(#[test] fn $test() { super::$test(InMemory::new()); })*
        }
        mod in_files {
            use super::{InFiles, Kind};
            $(#[test] fn $test() { super::$test(InFiles::new()); })*
        }
    };
}

for_every_store!(
    a_new_store_knows_of_no_run,
    what_is_committed_is_there_when_it_is_opened_again,
    a_result_is_there_to_its_last_bit_and_the_updates_are_gone,
    the_last_two_results_are_kept,
    nothing_is_taken_out_of_its_order,
    an_update_that_comes_after_its_attempt_counts_nowhere,
    many_threads_commit_updates_at_once,
);
