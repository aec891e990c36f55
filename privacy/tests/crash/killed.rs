//! Processes killed by SIGKILL at every write and sync of the ledger in turn.

use std::collections::BTreeMap;
use std::path::Path;

use umbel_privacy::ledger::{FileLedgerStorage, chain};
use umbel_privacy::{Ledger, ledger::MemoryLedgerStorage};

use crate::spender::{ROUNDS, Spender, draft, folder, releases};

/// A sound ledger of one entry, and its line.
fn one_entry() -> Vec<u8> {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    ledger.spend(draft(0)).unwrap();
    ledger.into_storage().bytes().to_vec()
}

/// Kills a spender at each of its points in turn, starting from `before` in the ledger (with
/// so many entries at most), and returns how often each kind of place was hit.
fn kill_everywhere(test: &str, before: &[u8], most_before: usize) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for stop in 0.. {
        let folder = folder(&format!("{test}-{stop}"));
        let path = folder.join("ledger.jsonl");
        std::fs::write(&path, before).unwrap();
        let mut spender = Spender::start(&folder, stop);
        let word = spender.next_word();
        let Some(place) = word.strip_prefix("stopped ") else {
            assert_eq!(word, "finished");
            assert!(spender.process.wait().unwrap().success());
            check(&path, releases(&folder), most_before);
            assert_eq!(releases(&folder) as u64, ROUNDS);
            break;
        };
        *places.entry(place.to_owned()).or_default() += 1;
        spender.kill();
        check(&path, releases(&folder), most_before);
        // The next process goes on from there, and spends again for what it redoes.
        let mut next = Spender::start(&folder, usize::MAX);
        assert_eq!(next.next_word(), "finished");
        assert!(next.process.wait().unwrap().success());
        check(&path, releases(&folder), most_before);
        std::fs::remove_dir_all(&folder).unwrap();
    }
    places
}

/// The ledger opens, and its entries beyond the first `most_before` are as many as were
/// released, or one more.
fn check(path: &Path, released: usize, most_before: usize) {
    let ledger = Ledger::open(FileLedgerStorage::open(path).unwrap()).unwrap();
    let recorded = ledger.entries().len();
    assert!(recorded >= released, "{recorded} recorded, {released} true");
    assert!(
        recorded <= released + most_before + 1,
        "{recorded} recorded, {released} true"
    );
    drop(ledger);
    chain::verify(&std::fs::read(path).unwrap()).unwrap();
}

#[test]
fn a_process_killed_at_any_write_or_sync_leaves_a_ledger_that_counts_enough_and_not_more() {
    let places = kill_everywhere("new", b"", 0);
    // Two writes (one of them with an inside) and two syncs an entry.
    let each = ROUNDS as usize;
    for (place, times) in [
        ("before a write", 2 * each),
        ("inside a write", each),
        ("after a write", 2 * each),
        ("before a sync", 2 * each),
        ("after a sync", 2 * each),
    ] {
        assert_eq!(places.get(place), Some(&times), "{place}");
    }
}

#[test]
fn a_process_killed_while_it_cuts_off_a_torn_line_loses_nothing() {
    let mut torn = one_entry();
    torn.extend(b"{\"version\":1,\"index\":1");
    let places = kill_everywhere("torn", &torn, 1);
    assert_eq!(places.get("before a cut"), Some(&1));
    assert_eq!(places.get("after a cut"), Some(&1));
}

#[test]
fn a_process_killed_while_it_adds_a_missing_line_break_loses_nothing() {
    let mut unterminated = one_entry();
    unterminated.pop();
    kill_everywhere("unterminated", &unterminated, 1);
}
