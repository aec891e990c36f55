//! Two processes at once: only one of them can spend.

use umbel_privacy::Ledger;
use umbel_privacy::ledger::FileLedgerStorage;
use umbel_privacy::ledger::file::OpenError;

use crate::spender::{Spender, draft, folder};

#[test]
fn a_second_process_is_refused_until_the_first_has_ended_however_it_ends() {
    let folder = folder("exclusion");
    let path = folder.join("ledger.jsonl");
    let mut first = Spender::start(&folder, 0);
    assert!(first.next_word().starts_with("stopped"));
    for _ in 0..3 {
        let refused = FileLedgerStorage::open(&path).unwrap_err();
        assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
        let message = refused.to_string();
        assert!(message.contains("ledger.jsonl"), "{message}");
        assert!(message.contains("in use by another process"), "{message}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"", "nothing was written");
    // The lock dies with the process: there is nothing stale to remove.
    first.kill();
    let mut ledger = Ledger::open(FileLedgerStorage::open(&path).unwrap()).unwrap();
    ledger.spend(draft(0)).unwrap();
}

#[test]
fn another_name_of_the_same_file_is_locked_too() {
    let folder = folder("names");
    let path = folder.join("ledger.jsonl");
    let held = FileLedgerStorage::open(&path).unwrap();
    let other = folder.join("other.jsonl");
    std::fs::hard_link(&path, &other).unwrap();
    assert!(matches!(
        FileLedgerStorage::open(&other),
        Err(OpenError::InUse { .. })
    ));
    drop(held);
    FileLedgerStorage::open(&other).unwrap();
}

#[test]
fn what_is_no_ordinary_file_is_refused() {
    let folder = folder("ordinary");
    let refused = FileLedgerStorage::open(&folder).unwrap_err();
    assert!(matches!(refused, OpenError::NotAFile { .. }), "{refused}");
    #[cfg(unix)]
    {
        let refused = FileLedgerStorage::open("/dev/null").unwrap_err();
        assert!(matches!(refused, OpenError::NotAFile { .. }), "{refused}");
    }
}

#[test]
fn nothing_is_added_behind_what_somebody_else_wrote() {
    let folder = folder("foreign");
    let path = folder.join("ledger.jsonl");
    let mut ledger = Ledger::open(FileLedgerStorage::open(&path).unwrap()).unwrap();
    ledger.spend(draft(0)).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // An editor that saves in place doesn't ask for the lock.
    bytes.push(b'\n');
    std::fs::write(&path, &bytes).unwrap();
    let refused = ledger.spend(draft(1)).unwrap_err().to_string();
    assert!(refused.contains("something else writes"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
