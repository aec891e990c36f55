//! The ledger: what it stores, what it refuses, and what it survives.

use std::io;

use umbel_privacy::accountant::AccountingError;
use umbel_privacy::accountant::mechanisms::FixedSizeGaussian;
use umbel_privacy::ledger::chain::{self, Tail};
use umbel_privacy::ledger::entry::InvalidDraft;
use umbel_privacy::ledger::file::OpenError;
use umbel_privacy::ledger::{
    EntryHash, FileLedgerStorage, LedgerError, LedgerStorage, MemoryLedgerStorage,
};
use umbel_privacy::{
    Accountant, Adjacency, Delta, EntryDraft, Ledger, MechanismEvent, NoiseMultiplier,
    NoisePlacement, PldAccountant, PrivacyUnit, Sha256Digest,
};

use crate::entries::{draft, lines, memory, sampled, three_entries};

#[test]
fn what_is_spent_is_read_back_with_every_field_and_bit() {
    let mut ledger = memory();
    let spent = ledger.spend(draft("visits", 3)).unwrap();
    assert_eq!(spent.hash(), ledger.head());
    let again = Ledger::open(ledger.into_storage()).unwrap();
    let [entry] = again.entries() else {
        panic!("one entry")
    };
    assert_eq!(entry, spent.entry());
    assert_eq!(
        (entry.version, entry.index, entry.previous_hash),
        (1, 0, EntryHash::START)
    );
    assert_eq!(entry.data_set, "visits");
    assert_eq!(entry.run_id, "run \"1\"");
    assert_eq!((entry.round, entry.unit()), (3, Some(PrivacyUnit::Group)));
    assert_eq!(entry.plan, Some(Sha256Digest::of(b"a plan")));
    assert_eq!(entry.placement, NoisePlacement::Central);
    assert_eq!(entry.event, sampled());
    let protection = entry.protection.unwrap();
    assert_eq!(protection.clipping_norm.get(), 0.3);
    assert_eq!(protection.delta.get(), 1e-5);
    assert_eq!((entry.unix_time, entry.seeded), (1_700_000_000, false));
}

#[test]
fn an_entry_s_hash_is_that_of_its_line_without_the_hash() {
    use sha2::{Digest, Sha256};
    for line in lines(&three_entries()) {
        let (content, hash) = line.split_once(",\"hash\":\"").unwrap();
        let digest = hex::encode(Sha256::digest(format!("{content}}}")));
        assert_eq!(hash, format!("{digest}\"}}"));
    }
}

#[test]
fn spending_adds_up_over_runs_on_one_data_set_and_no_other() {
    let mut ledger = memory();
    for (run, data_set) in [("a", "visits"), ("b", "visits"), ("b", "claims")] {
        ledger
            .spend(EntryDraft {
                run_id: run.into(),
                ..draft(data_set, 1)
            })
            .unwrap();
    }
    let found = ledger
        .accountant_for("visits", PrivacyUnit::Group, Adjacency::AddOrRemove)
        .unwrap();
    let mut expected = PldAccountant::new(Adjacency::AddOrRemove);
    expected.compose(&sampled(), 2).unwrap();
    let delta = Delta::try_from(1e-5).unwrap();
    assert_eq!(found.epsilon(delta), expected.epsilon(delta));
    assert_eq!(ledger.events("claims").count(), 1);
    assert_eq!(ledger.events("nothing").count(), 0);
}

#[test]
fn units_that_do_not_add_up_are_refused() {
    let mut ledger = memory();
    ledger.spend(draft("visits", 0)).unwrap();
    let record = EntryDraft {
        unit: PrivacyUnit::Record,
        ..draft("visits", 1)
    };
    assert!(matches!(
        ledger.spend(record),
        Err(LedgerError::MixedUnits { index: 0, .. })
    ));
    let asked = ledger.accountant_for("visits", PrivacyUnit::Client, Adjacency::AddOrRemove);
    assert!(matches!(asked, Err(LedgerError::MixedUnits { .. })));
    assert_eq!(ledger.entries().len(), 1);
}

#[test]
fn drafts_that_record_nothing_sound_are_refused_and_leave_no_trace() {
    let mut ledger = memory();
    for data_set in ["", "a\nb", &"x".repeat(257)] {
        let refused = ledger.spend(draft(data_set, 0));
        assert!(matches!(
            refused,
            Err(LedgerError::Draft(InvalidDraft::Name { .. }))
        ));
    }
    let nobody = EntryDraft {
        event: MechanismEvent::NON_PRIVATE,
        ..draft("visits", 0)
    };
    assert!(matches!(
        ledger.spend(nobody),
        Err(LedgerError::Draft(InvalidDraft::NoUnit))
    ));
    let unsound = EntryDraft {
        event: FixedSizeGaussian::new(
            100.try_into().unwrap(),
            10.try_into().unwrap(),
            NoiseMultiplier::try_from(1.0).unwrap(),
        )
        .unwrap()
        .into(),
        ..draft("visits", 0)
    };
    assert!(matches!(
        ledger.spend(unsound),
        Err(LedgerError::Accounting(AccountingError::Unsupported { .. }))
    ));
    assert!(ledger.into_storage().bytes().is_empty());
}

/// A storage that knows whether what it has would outlast the machine.
struct Cached {
    bytes: Vec<u8>,
    synced: bool,
}

impl LedgerStorage for Cached {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes.clone())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        self.synced = false;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.synced = true;
        Ok(())
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.bytes.truncate(len as usize);
        self.synced = false;
        Ok(())
    }
}

#[test]
fn what_a_ledger_says_when_it_is_opened_outlasts_the_machine() {
    let whole = three_entries();
    for kept in [whole.len(), whole.len() - 1, whole.len() - 2] {
        // As a process leaves it that was killed after a write and before the sync.
        let storage = Cached {
            bytes: whole[..kept].to_vec(),
            synced: false,
        };
        let ledger = Ledger::open(storage).unwrap();
        assert!(ledger.into_storage().synced, "{kept} of {}", whole.len());
    }
}

/// Fails at its third write (the second entry: content and line break are written one after
/// the other), after storing half of it.
#[derive(Default)]
struct FullDisk {
    inner: MemoryLedgerStorage,
    writes: usize,
}

impl LedgerStorage for FullDisk {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        self.inner.read_all()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writes += 1;
        if self.writes == 3 {
            self.inner.append(&bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate_to(len)
    }
}

#[test]
fn after_a_failed_write_nothing_is_spent_until_the_ledger_is_opened_again() {
    let mut ledger = Ledger::open(FullDisk::default()).unwrap();
    ledger.spend(draft("visits", 0)).unwrap();
    assert!(matches!(
        ledger.spend(draft("visits", 1)),
        Err(LedgerError::Storage { .. })
    ));
    assert!(matches!(
        ledger.spend(draft("visits", 1)),
        Err(LedgerError::UnknownEnd)
    ));
    let mut again = Ledger::open(ledger.into_storage()).unwrap();
    assert!(again.repaired().is_some());
    assert_eq!(again.entries().len(), 1);
    again.spend(draft("visits", 1)).unwrap();
    chain::verify(again.into_storage().inner.bytes()).unwrap();
}

/// An empty folder of its own for one test.
fn folder(test: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn a_file_keeps_the_ledger_and_a_torn_end_is_cut_off_there() {
    let path = folder("ledger-kept").join("ledger.jsonl");
    let mut ledger = Ledger::open(FileLedgerStorage::open(&path).unwrap()).unwrap();
    ledger.spend(draft("visits", 0)).unwrap();
    let head = ledger.head();
    drop(ledger);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"{\"version\":1,\"ind");
    std::fs::write(&path, &bytes).unwrap();
    let mut ledger = Ledger::open(FileLedgerStorage::open(&path).unwrap()).unwrap();
    assert_eq!((ledger.head(), ledger.repaired()), (head, Some(17)));
    ledger.spend(draft("visits", 1)).unwrap();
    let chain = chain::verify(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((chain.entries.len(), chain.tail), (2, Tail::Clean));
}

#[test]
fn a_file_in_use_or_out_of_reach_is_an_error_that_names_it() {
    let folder = folder("ledger-locked");
    let path = folder.join("ledger.jsonl");
    let held = FileLedgerStorage::open(&path).unwrap();
    assert!(matches!(
        FileLedgerStorage::open(&path),
        Err(OpenError::InUse { .. })
    ));
    drop(held);
    FileLedgerStorage::open(&path).unwrap();
    let missing = FileLedgerStorage::open(folder.join("no/ledger.jsonl")).unwrap_err();
    assert!(missing.to_string().contains("no/ledger.jsonl"), "{missing}");
}
