//! What processes keep, as they write it.

use std::fs;
use std::sync::Arc;

use umbel_coordinator::store::{
    Change, Checkpoint, FileStore, RoundClosed, RoundOpened, RunBegun, RunStore, Spool, Told,
};
use umbel_coordinator::strategy::State;
use umbel_privacy::ledger::{EntryHash, LedgerPoint};
use umbel_proto::message::{BlobDigest, ClientId};

use crate::folder::Folder;
use crate::run;

/// Seeds by their names.
pub fn all() -> Vec<(&'static str, Folder)> {
    let home = tempfile::tempdir().expect("a folder");
    let store = FileStore::open(home.path(), Spool::Elsewhere).expect("a store");
    let oslo: ClientId = "oslo".parse().expect("a name");
    let checkpoint = Checkpoint {
        round: 1,
        parameters: vec![0.5, -1.0, 0.0].into(),
        optimiser: State {
            steps: 1,
            moments: vec![Arc::new(vec![0.25; 3])],
        },
        threshold: Some(0.5),
        entry: Some(EntryHash::START),
        told: Told {
            epsilon: Some(1.0),
            ..Told::default()
        },
    };
    let opened = |round| {
        Change::Opened(RoundOpened {
            round,
            attempt: 0,
            cohort: vec![oslo.clone()],
            present: vec![oslo.clone()],
            parameters: BlobDigest::of(b"start"),
            deadline: 1_700_000_600,
        })
    };
    let closed = Change::Closed(RoundClosed {
        round: 1,
        updates: Vec::new(),
        asked: vec![oslo.clone()],
        ledger_head: Some(EntryHash::START),
    });
    let begun = Change::Begun(RunBegun {
        id: "0".repeat(32),
        run: "sentiment".into(),
        plan: BlobDigest::of(b"plan"),
        conditions: BlobDigest::of(b"conditions"),
        unix_time: 1_700_000_000,
        ledger: LedgerPoint::START,
    });
    for change in [
        begun,
        opened(1),
        closed,
        Change::Spent(EntryHash::START),
        Change::Released(&checkpoint),
        opened(2),
    ] {
        store.commit(change).expect("it can come next");
    }
    drop(store);
    let journal = fs::read(home.path().join("run.journal")).expect("a journal");
    let mut stored = Vec::new();
    checkpoint.write(&mut stored).expect("memory");
    let seen = br#"{"oslo": {"entries": 1, "head": "0000000000000000000000000000000000000000000000000000000000000000"}}"#;
    let metrics = br#"{"round": 1, "epsilon": 1.0, "seconds": 2.0, "learning_rate": 0.1}"#;
    let book = run::ledger(&run::plan().to_json(), &[]).expect("it fits the budget");
    let torn = journal[..journal.len() - 30].to_vec();
    let one = |name: &str, content: Vec<u8>| vec![(name.to_owned(), content)];
    vec![
        ("journal", one("run.journal", journal)),
        ("journal-torn", one("run.journal", torn)),
        ("checkpoint", one("checkpoint", stored)),
        ("seen", one("ledger.jsonl.seen", seen.to_vec())),
        ("metrics", one("metrics.jsonl", metrics.to_vec())),
        ("book", one("book", book)),
    ]
}
