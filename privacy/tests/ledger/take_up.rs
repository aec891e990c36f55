//! An entry that was paid for and released nothing can be taken up; no other can.

use std::io;

use umbel_privacy::ledger::{
    EntryHash, LedgerStorage, MemoryLedgerStorage, ResultJournal, TakeUpError, UnreleasedEntry,
};
use umbel_privacy::{Ledger, Sha256Digest};

use crate::entries::draft;

/// What a journal answers, whatever entry it is asked about.
struct Says(io::Result<bool>);

impl ResultJournal for Says {
    fn has_result(&self, _: &EntryHash) -> io::Result<bool> {
        match &self.0 {
            Ok(known) => Ok(*known),
            Err(why) => Err(io::Error::other(why.to_string())),
        }
    }
}

const NOTHING: Says = Says(Ok(false));

type Opened = Ledger<MemoryLedgerStorage>;

/// A ledger with two rounds of a run, as a process finds it that starts after a crash, and the
/// claim on its last entry.
fn after_a_crash() -> (Opened, UnreleasedEntry) {
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    ledger.spend(draft("visits", 1)).unwrap();
    let previous_hash = ledger.head();
    ledger.spend(draft("visits", 2)).unwrap();
    let claim = UnreleasedEntry {
        previous_hash,
        data_set: "visits".into(),
        run_id: "run \"1\"".into(),
        round: 2,
        plan: Sha256Digest::of(b"a plan"),
    };
    (reopened(ledger), claim)
}

fn reopened(ledger: Opened) -> Opened {
    Ledger::open(ledger.into_storage()).unwrap()
}

#[test]
fn the_last_entry_is_taken_up_once_and_nothing_is_written() {
    let (mut ledger, claim) = after_a_crash();
    let before = ledger.snapshot().unwrap();
    let spent = ledger.take_up(&claim, &NOTHING).unwrap();
    assert_eq!(spent.hash(), ledger.head());
    assert_eq!(ledger.snapshot().unwrap(), before);
    let second = ledger.take_up(&claim, &NOTHING);
    assert!(matches!(second, Err(TakeUpError::TokenGiven)), "{second:?}");
}

#[test]
fn the_process_that_spent_has_its_token_and_gets_no_second_one() {
    let (mut ledger, mut claim) = after_a_crash();
    claim.previous_hash = ledger.head();
    claim.round = 3;
    ledger.spend(draft("visits", 3)).unwrap();
    let second = ledger.take_up(&claim, &NOTHING);
    assert!(matches!(second, Err(TakeUpError::TokenGiven)), "{second:?}");
}

#[test]
fn a_stored_result_or_a_journal_that_cannot_tell_ends_it() {
    let (mut ledger, claim) = after_a_crash();
    let stored = ledger.take_up(&claim, &Says(Ok(true)));
    assert!(matches!(stored, Err(TakeUpError::HasResult)), "{stored:?}");
    let unknown = Says(Err(io::Error::other("the disk is gone")));
    let unknown = ledger.take_up(&claim, &unknown);
    assert!(
        matches!(unknown, Err(TakeUpError::Journal(_))),
        "{unknown:?}"
    );
}

#[test]
fn any_other_entry_is_refused() {
    let changes: [fn(&mut UnreleasedEntry); 5] = [
        |claim| claim.previous_hash = EntryHash::START,
        |claim| claim.data_set = "claims".into(),
        |claim| claim.run_id = "another".into(),
        |claim| claim.round = 1,
        |claim| claim.plan = Sha256Digest::of(b"another plan"),
    ];
    for change in changes {
        let (mut ledger, mut claim) = after_a_crash();
        change(&mut claim);
        let refused = ledger.take_up(&claim, &NOTHING);
        let other = matches!(refused, Err(TakeUpError::OtherEntry { .. }));
        assert!(other, "{claim:?}: {refused:?}");
    }
}

#[test]
fn an_entry_behind_another_is_never_taken_up() {
    let (mut ledger, claim) = after_a_crash();
    ledger.spend(draft("visits", 3)).unwrap();
    let refused = reopened(ledger).take_up(&claim, &NOTHING);
    assert!(
        matches!(refused, Err(TakeUpError::OtherEntry { .. })),
        "{refused:?}"
    );
}

#[test]
fn an_empty_ledger_has_nothing_to_take_up() {
    let (_, claim) = after_a_crash();
    let mut ledger = Ledger::open(MemoryLedgerStorage::default()).unwrap();
    let refused = ledger.take_up(&claim, &NOTHING);
    assert!(
        matches!(refused, Err(TakeUpError::OtherEntry { .. })),
        "{refused:?}"
    );
}

#[test]
fn an_entry_for_several_rounds_is_not_one_rounds() {
    let (mut ledger, mut claim) = after_a_crash();
    claim.previous_hash = ledger.head();
    claim.round = 3;
    let mut ahead = draft("visits", 3);
    ahead.last_round = Some(9);
    ledger.spend(ahead).unwrap();
    let refused = reopened(ledger).take_up(&claim, &NOTHING);
    assert!(
        matches!(refused, Err(TakeUpError::OtherEntry { .. })),
        "{refused:?}"
    );
}

#[test]
fn wherever_the_writing_was_cut_the_entry_is_there_to_take_up_or_was_never_written() {
    let (ledger, claim) = after_a_crash();
    let bytes = ledger.into_storage().read_all().unwrap();
    let first = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for end in first..=bytes.len() {
        let storage = MemoryLedgerStorage::with_bytes(bytes[..end].to_vec());
        let mut ledger = Ledger::open(storage).unwrap();
        let whole = ledger.entries().len() == 2;
        assert_eq!(ledger.take_up(&claim, &NOTHING).is_ok(), whole, "{end}");
        assert_eq!(whole, end + 1 >= bytes.len(), "{end}");
    }
}
