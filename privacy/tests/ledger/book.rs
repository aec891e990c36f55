//! The ledgers of many sites in one file: what is synced, what survives, and what is refused.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use umbel_privacy::Ledger;
use umbel_privacy::ledger::book::{BookError, ChainStorage, LedgerBook, split};
use umbel_privacy::ledger::chain::{self, Tail};
use umbel_privacy::ledger::{LedgerError, LedgerStorage};

use crate::entries::draft;

/// A disk that a test can look at, and break.
#[derive(Clone, Default)]
struct Watched {
    bytes: Arc<Mutex<Vec<u8>>>,
    syncs: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
}

impl Watched {
    fn holding(bytes: &[u8]) -> Self {
        let disk = Self::default();
        disk.bytes.lock().unwrap().extend(bytes);
        disk
    }

    fn open(&self) -> Result<Arc<LedgerBook>, BookError> {
        LedgerBook::open(Box::new(self.clone()))
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl LedgerStorage for Watched {
    fn read_all(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::other("no space left"));
        }
        self.bytes.lock().unwrap().extend(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn truncate_to(&mut self, len: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().truncate(len as usize);
        Ok(())
    }
}

fn ledger(book: &Arc<LedgerBook>, site: &str) -> Ledger<ChainStorage> {
    Ledger::open(book.chain(site).unwrap()).unwrap()
}

const SITES: [&str; 3] = ["berlin", "lyon", "oslo"];

/// A book with two batches, of three entries and of two.
fn two_batches(disk: &Watched) -> Vec<usize> {
    let book = disk.open().unwrap();
    let mut ledgers = SITES.map(|site| ledger(&book, site));
    let mut ends = Vec::new();
    for (round, sites) in [(1, 0..3), (2, 1..3)] {
        let batch = book.begin().unwrap();
        for (site, ledger) in SITES[sites.clone()].iter().zip(&mut ledgers[sites]) {
            ledger.spend(draft(site, round)).unwrap();
        }
        batch.commit().unwrap();
        ends.push(disk.bytes().len());
    }
    ends
}

#[test]
fn a_batch_of_any_size_is_synced_at_once_and_each_other_entry_by_itself() {
    let disk = Watched::default();
    let book = disk.open().unwrap();
    let names: Vec<String> = (0..50).map(|i| format!("site-{i}")).collect();
    let mut ledgers: Vec<_> = names.iter().map(|name| ledger(&book, name)).collect();
    let batch = book.begin().unwrap();
    for (name, ledger) in names.iter().zip(&mut ledgers) {
        ledger.spend(draft(name, 1)).unwrap();
    }
    assert!(disk.bytes().is_empty());
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 0);
    batch.commit().unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 2);
    assert_eq!(
        disk.bytes().iter().filter(|byte| **byte == b'\n').count(),
        50
    );
    ledgers[7].spend(draft("site-7", 2)).unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), 4);
    assert_eq!(
        disk.bytes().iter().filter(|byte| **byte == b'\n').count(),
        51
    );
}

#[test]
fn the_lines_of_one_site_are_the_ledger_that_it_would_have_alone() {
    let disk = Watched::default();
    two_batches(&disk);
    let apart = split(&disk.bytes()).unwrap();
    assert_eq!(apart.len(), 3);
    for (site, rounds) in [("berlin", 1), ("lyon", 2), ("oslo", 2)] {
        let alone = Watched::default();
        let mut ledger = Ledger::open(alone.clone()).unwrap();
        for round in 1..=rounds {
            ledger.spend(draft(site, round)).unwrap();
        }
        assert_eq!(apart[site], alone.bytes());
        assert_eq!(chain::verify(&apart[site]).unwrap().tail, Tail::Clean);
    }
}

#[test]
fn wherever_the_file_is_cut_what_was_committed_before_is_still_there() {
    let disk = Watched::default();
    let ends = two_batches(&disk);
    let whole = disk.bytes();
    for cut in 0..=whole.len() {
        let book = Watched::holding(&whole[..cut]).open().unwrap();
        let entries: usize = SITES
            .map(|site| ledger(&book, site).entries().len())
            .iter()
            .sum();
        let committed = match () {
            () if cut >= ends[1] => 5,
            () if cut >= ends[0] => 3,
            () => 0,
        };
        assert!(entries >= committed, "cut after {cut} bytes: {entries}");
        // It goes on from there.
        let mut berlin = ledger(&book, "berlin-2");
        berlin.spend(draft("berlin-2", 1)).unwrap();
    }
}

#[test]
fn a_book_is_read_again_as_it_was_written_and_goes_on() {
    let disk = Watched::default();
    two_batches(&disk);
    let book = disk.open().unwrap();
    assert_eq!(
        book.read("lyon").unwrap(),
        split(&disk.bytes()).unwrap()["lyon"]
    );
    let mut lyon = ledger(&book, "lyon");
    assert_eq!(lyon.entries().len(), 2);
    lyon.spend(draft("lyon", 3)).unwrap();
    assert_eq!(
        chain::verify(&lyon.snapshot().unwrap())
            .unwrap()
            .entries
            .len(),
        3
    );
    drop(lyon);
    assert_eq!(ledger(&book, "lyon").entries().len(), 3);
    assert_eq!(ledger(&disk.open().unwrap(), "lyon").entries().len(), 3);
}

#[test]
fn what_a_book_says_when_it_is_opened_outlasts_the_machine() {
    let disk = Watched::default();
    two_batches(&disk);
    let whole = disk.bytes();
    for kept in [whole.len(), whole.len() - 1, whole.len() - 2] {
        // As a process leaves it that was killed after a write and before the sync.
        let disk = Watched::holding(&whole[..kept]);
        disk.open().unwrap();
        assert_eq!(disk.syncs.load(Ordering::SeqCst), 1, "{kept}");
    }
}

#[test]
fn nobody_spends_twice_at_once() {
    let book = Watched::default().open().unwrap();
    let berlin = book.chain("berlin").unwrap();
    let again = book.chain("berlin").unwrap_err();
    assert!(matches!(again, BookError::InUse(site) if site == "berlin"));
    drop(berlin);
    book.chain("berlin").unwrap();
    let _batch = book.begin().unwrap();
    book.begin().unwrap_err();
}

#[test]
fn what_could_not_be_stored_ends_all_spending() {
    let disk = Watched::default();
    let book = disk.open().unwrap();
    let (mut berlin, mut lyon) = (ledger(&book, "berlin"), ledger(&book, "lyon"));
    let batch = book.begin().unwrap();
    berlin.spend(draft("berlin", 1)).unwrap();
    disk.full.store(true, Ordering::SeqCst);
    batch.commit().unwrap_err();
    disk.full.store(false, Ordering::SeqCst);
    let refused = lyon.spend(draft("lyon", 1)).unwrap_err();
    assert!(matches!(refused, LedgerError::Storage { .. }), "{refused}");
    book.begin().unwrap_err();
}

#[test]
fn a_batch_that_nobody_committed_ends_all_spending() {
    let book = Watched::default().open().unwrap();
    drop(book.begin().unwrap());
    let mut berlin = ledger(&book, "berlin");
    let batch = book.begin().unwrap();
    berlin.spend(draft("berlin", 1)).unwrap();
    drop(batch);
    berlin.spend(draft("berlin", 2)).unwrap_err();
    book.begin().unwrap_err();
}

#[test]
fn a_changed_line_is_found() {
    let disk = Watched::default();
    two_batches(&disk);
    let text = String::from_utf8(disk.bytes()).unwrap();
    let changed = text.replacen("\"round\":2", "\"round\":3", 1);
    assert_ne!(text, changed);
    let book = Watched::holding(changed.as_bytes()).open().unwrap();
    let lyon = Ledger::open(book.chain("lyon").unwrap());
    assert!(matches!(lyon, Err(LedgerError::Damaged(_))));
    let garbled = text.replacen("{", "[", 1);
    let refused = Watched::holding(garbled.as_bytes()).open().unwrap_err();
    assert!(
        refused.to_string().contains("line 1 is no entry"),
        "{refused}"
    );
}
