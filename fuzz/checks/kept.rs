//! What must hold of the files that processes keep, and read when they start again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use umbel_coordinator::store::run_folder::RunFolder;
use umbel_coordinator::store::{Checkpoint, FileStore, History, RunStore, Spool};
use umbel_privacy::disk::RealDisk;
use umbel_privacy::ledger::{LedgerPoint, MemoryLedgerStorage, SeenLedgers, book, chain};

use crate::folder;

/// Names of files that are read.
#[allow(dead_code, reason = "not every test changes them")]
pub const NAMES: &[&str] = &[
    "book",
    "checkpoint",
    "ledger.jsonl.seen",
    "metrics.jsonl",
    "run.journal",
];

/// The journal's name in a run's store.
const JOURNAL: &str = "run.journal";

/// Writes the files of an input into one folder, and reads each as its process would.
pub fn check(input: &[u8]) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let home = home.path();
    let files = folder::read(input);
    for (name, content) in &files {
        match name.as_str() {
            "book" => splits(content),
            "checkpoint" => reads_back(content),
            "run.journal" | "ledger.jsonl.seen" | "metrics.jsonl" => {
                fs::write(home.join(name), content).expect("it can be written");
            }
            _ => {}
        }
    }
    goes_on(&home.join("ledger.jsonl"));
    let (_, lines) = RunFolder::open(home, 3).expect("whatever is no line is cut off");
    let (_, again) = RunFolder::open(home, 3).expect("it is sound now");
    assert_eq!(lines.len(), again.len());
    if home.join(JOURNAL).is_file() {
        opens(home);
    }
}

/// A store says what happened, or why that can't be told. Once it was repaired, it says the same again.
fn opens(home: &Path) {
    let history = || -> Option<Option<History>> {
        match FileStore::open(home, Spool::Kept) {
            Err(refusal) => {
                assert!(!refusal.to_string().is_empty());
                None
            }
            Ok(store) => {
                let history = store.load().expect("it was read");
                let open = history.as_ref().and_then(|history| history.open.as_ref());
                for (client, update) in open.into_iter().flat_map(|open| &open.accepted) {
                    let _gone = store.update(client, update);
                }
                let done = history.as_ref().map_or(0, History::done);
                let _result = store.checkpoint(done);
                Some(history)
            }
        }
    };
    let first = history();
    assert_eq!(first, history());
}

/// The memory of others' ledgers takes a note more, and has it afterwards.
fn goes_on(ledger: &Path) {
    let open = || SeenLedgers::beside(ledger, Arc::new(RealDisk));
    match open() {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(mut seen) => {
            seen.note("oslo", LedgerPoint::START)
                .expect("it can be written");
            let again = open().expect("it was just written");
            assert_eq!(again.get("oslo"), Some(LedgerPoint::START));
        }
    }
}

/// A result that is read is written as the same bytes' meaning.
fn reads_back(content: &[u8]) {
    match Checkpoint::read(&mut &content[..]) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(checkpoint) => {
            let mut written = Vec::new();
            checkpoint.write(&mut written).expect("it is memory");
            let again = Checkpoint::read(&mut &written[..]).expect("it was just written");
            assert_eq!(again.record(), checkpoint.record());
        }
    }
}

/// The ledgers of a book hold all its lines between them.
fn splits(content: &[u8]) {
    match book::split(content) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(ledgers) => {
            let length: usize = ledgers.values().map(Vec::len).sum();
            assert_eq!(length, content.len());
            for ledger in ledgers.values() {
                let _sound = chain::verify(ledger);
            }
        }
    }
    let file = Box::new(MemoryLedgerStorage::with_bytes(content.to_vec()));
    if let Ok(open) = book::LedgerBook::open(file) {
        let names = book::split(content).unwrap_or_default().into_keys();
        for name in names {
            assert!(open.chain(&name).is_ok());
        }
    }
}
