//! A thousand seeded schedules: crash points × rounds × restarts × torn lengths.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use umbel_privacy::Ledger;
use umbel_privacy::ledger::chain::{self, Tail};

use crate::disk::{Disk, DiskStorage, Mishap};
use crate::spender::draft;

const MISHAPS: [Mishap; 4] = [
    Mishap::Killed,
    Mishap::PowerLost,
    Mishap::PowerLost,
    Mishap::Refused,
];

/// What a schedule came to.
#[derive(Debug)]
struct Tally {
    /// Tokens handed out: what may truly have been released.
    released: usize,
    /// Entries in the ledger.
    recorded: usize,
    /// `recorded` less `released`, when the ledger was last looked at.
    excess: usize,
    /// Mishaps that happened.
    mishaps: usize,
    /// What the ledgers that were opened after a mishap ended in.
    tails: Vec<&'static str>,
}

/// Spends for some rounds, with something going wrong now and then, and checks the ledger
/// after each time.
fn run(seed: u64, disk: Disk) -> Result<Tally, String> {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let disk = Rc::new(RefCell::new(disk));
    let rounds = rng.random_range(6..=24);
    let mut tally = Tally {
        released: 0,
        recorded: 0,
        excess: 0,
        mishaps: 0,
        tails: Vec::new(),
    };
    let planned = rng.random_range(1..=6);
    while tally.released < rounds {
        // After the planned mishaps, all goes well.
        let fuse = match tally.mishaps >= planned {
            true => usize::MAX,
            false => rng.random_range(0..24),
        };
        let mishap = MISHAPS[rng.random_range(0..MISHAPS.len())];
        disk.borrow_mut().go_wrong(fuse, mishap);
        let ended_well = spend(&disk, rounds, &mut tally.released);
        tally.mishaps += usize::from(!ended_well);
        disk.borrow_mut().restart(rng);
        inspect(&disk.borrow(), &mut tally)?;
    }
    Ok(tally)
}

/// One process: opens the ledger and spends until all rounds are done or something fails.
fn spend(disk: &Rc<RefCell<Disk>>, rounds: usize, released: &mut usize) -> bool {
    let Ok(mut ledger) = Ledger::open(DiskStorage(Rc::clone(disk))) else {
        return false;
    };
    while *released < rounds {
        match ledger.spend(draft(*released as u64)) {
            Ok(_token) => *released += 1,
            Err(_) => return false,
        }
    }
    true
}

/// What the next process would find must be readable, and count enough, and at most one
/// round more than it did before the mishap.
fn inspect(disk: &Disk, tally: &mut Tally) -> Result<(), String> {
    let chain = chain::verify(disk.bytes()).map_err(|e| e.to_string())?;
    tally.recorded = chain.entries.len();
    tally.tails.push(match chain.tail {
        Tail::Clean => "clean",
        Tail::Unterminated => "unterminated",
        Tail::Torn { .. } => "torn",
    });
    let excess = tally.recorded.checked_sub(tally.released);
    let excess = excess.ok_or_else(|| format!("too little is recorded: {tally:?}"))?;
    if excess > tally.excess + 1 {
        return Err(format!("too much is recorded: {tally:?}"));
    }
    tally.excess = excess;
    Ok(())
}

#[test]
fn a_thousand_schedules_of_crashes_never_record_less_and_at_most_one_round_more_for_each() {
    let (mut tails, mut excesses) = (BTreeMap::new(), BTreeMap::new());
    let mut mishaps = 0;
    for seed in 0..1_000 {
        let tally = run(seed, Disk::default()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        mishaps += tally.mishaps;
        *excesses.entry(tally.excess).or_insert(0) += 1;
        for tail in tally.tails {
            *tails.entry(tail).or_insert(0) += 1;
        }
    }
    println!("{mishaps} mishaps; ends {tails:?}; rounds recorded too many {excesses:?}");
    assert!(mishaps > 1_500, "{mishaps}");
    for tail in ["clean", "unterminated", "torn"] {
        assert!(
            tails.get(tail).is_some_and(|&times| times > 100),
            "{tails:?}"
        );
    }
    assert!(excesses.keys().any(|&excess| excess > 0), "{excesses:?}");
}

#[test]
fn the_schedules_catch_a_ledger_that_is_not_synced() {
    let caught = (0..200).filter(|&seed| run(seed, Disk::that_never_syncs()).is_err());
    assert!(caught.count() > 150);
}

#[test]
fn one_crash_records_at_most_one_round_too_many() {
    for fuse in 0..48 {
        for mishap in [Mishap::Killed, Mishap::PowerLost, Mishap::Refused] {
            for seed in 0..8 {
                let rng = &mut ChaCha20Rng::seed_from_u64(seed);
                let disk = Rc::new(RefCell::new(Disk::default()));
                disk.borrow_mut().go_wrong(fuse, mishap);
                let mut released = 0;
                spend(&disk, 12, &mut released);
                disk.borrow_mut().restart(rng);
                let recorded = chain::verify(disk.borrow().bytes()).unwrap().entries.len();
                let allowed = released..=released + 1;
                assert!(allowed.contains(&recorded), "{fuse} {mishap:?} {seed}");
            }
        }
    }
}
