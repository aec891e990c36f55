//! A ledger's bytes, as `umbel verify` checks them and as a run opens them and spends on.

use std::collections::BTreeSet;

use umbel_privacy::certificate::accounting::merged;
use umbel_privacy::certificate::examine::unprotected_uses;
use umbel_privacy::ledger::chain::{self, Tail, VerifiedChain};
use umbel_privacy::ledger::{EntryDraft, Ledger, LedgerEntry, MemoryLedgerStorage};
use umbel_privacy::{Accountant, Delta, MechanismEvent, PldAccountant, PrivacyUnit};

use super::costs;
use super::effort::{is_mild, mechanisms};

/// Mechanisms of a data set for which epsilon is computed: its time grows with their number.
const MOST_MECHANISMS: usize = 4;

/// Reads the ledger in both ways, and checks what must hold of everything that is read.
pub fn check(input: &[u8]) {
    let opened = Ledger::open(MemoryLedgerStorage::with_bytes(input.to_vec()));
    let chain = match chain::verify(input) {
        Ok(chain) => chain,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            return assert!(opened.is_err(), "what isn't sound can't be opened");
        }
    };
    let mut ledger = opened.expect("what is sound can be opened");
    assert_eq!(ledger.entries(), chain.entries);
    assert_eq!(ledger.head(), chain.head());
    let stored = ledger.snapshot().expect("what was opened is stored");
    is_repaired(input, &chain, &stored);
    let data_sets: BTreeSet<&str> = chain.entries.iter().map(|e| e.data_set.as_str()).collect();
    for data_set in data_sets {
        is_added_up(&ledger, &chain, data_set);
    }
    if let Some(entry) = chain.entries.last() {
        goes_on(ledger, entry);
    }
}

/// Opening leaves whole lines: nothing is lost but a torn one, nothing is added but a line break.
fn is_repaired(input: &[u8], chain: &VerifiedChain, stored: &[u8]) {
    match chain.tail {
        Tail::Clean => assert_eq!(stored, input),
        Tail::Unterminated => assert_eq!(stored, [input, b"\n"].concat()),
        Tail::Torn {
            sound_bytes,
            torn_bytes,
        } => {
            assert_eq!(sound_bytes + torn_bytes, input.len() as u64);
            assert_eq!(stored, &input[..sound_bytes as usize]);
        }
    }
    let again = chain::verify(stored).expect("it is sound");
    assert_eq!((again.tail, &again.entries), (Tail::Clean, &chain.entries));
}

/// What a data set's entries cost together, by whatever question.
fn is_added_up(ledger: &Ledger<MemoryLedgerStorage>, chain: &VerifiedChain, data_set: &str) {
    let entries: Vec<&LedgerEntry> = chain
        .entries
        .iter()
        .filter(|entry| entry.data_set == data_set)
        .collect();
    let uses = unprotected_uses(&chain.entries, data_set);
    assert_eq!(ledger.unprotected_use(data_set).is_none(), uses.is_empty());
    let adjacency = entries[0].adjacency;
    // To any unit, a use without protection has no finite epsilon.
    let unit = entries.iter().find_map(|entry| entry.unit());
    let unit = unit.unwrap_or(PrivacyUnit::Record);
    let delta = entries.iter().find_map(|entry| entry.protection);
    let usual = Delta::try_from(1e-5).expect("it is a delta");
    let delta = delta.map_or(usual, |protection| protection.delta);
    let _ = ledger.rehearsal_accountant_for(data_set, unit, adjacency);
    let accountant = match ledger.accountant_for(data_set, unit, adjacency) {
        Ok(accountant) => accountant,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    if !uses.is_empty() {
        assert_eq!(accountant.epsilon(delta).get(), f64::INFINITY);
    }
    let events: Vec<MechanismEvent> = merged(entries.iter().map(|entry| entry.cost()));
    let mut certified = PldAccountant::new(adjacency);
    for event in &events {
        certified.compose(event, 1).expect("it was composed");
    }
    assert_eq!(format!("{certified:?}"), format!("{accountant:?}"));
    if let Some(order) = ledger.filter_order(data_set) {
        assert!(accountant.renyi(order.get()) >= 0.0);
    }
    let few = events.iter().map(mechanisms).sum::<usize>() <= MOST_MECHANISMS;
    if few && events.iter().all(is_mild) {
        costs::check(&events, delta, adjacency);
    }
}

/// One more entry like the last is refused with a reason, or is in the ledger ever after.
fn goes_on(mut ledger: Ledger<MemoryLedgerStorage>, last: &LedgerEntry) {
    let before = ledger.entries().len();
    let Some(noise) = last.protection else {
        return;
    };
    let draft = EntryDraft {
        data_set: last.data_set.clone(),
        run_id: last.run_id.clone(),
        round: last.round.wrapping_add(1),
        last_round: last.last_round,
        attempt: last.attempt,
        filter_order: last.filter_order,
        plan: last.plan,
        unit: noise.unit,
        adjacency: last.adjacency,
        placement: last.placement,
        event: last.event.clone(),
        clipping_norm: noise.clipping_norm,
        lattice_step: noise.lattice_step,
        delta: noise.delta,
        unix_time: last.unix_time,
        seeded: last.seeded,
    };
    match ledger.spend(draft) {
        Ok(spent) => {
            let line = spent.hash();
            let again = Ledger::open(ledger.into_storage()).expect("it is sound");
            assert_eq!((again.entries().len(), again.head()), (before + 1, line));
            assert_eq!(again.entries().last(), Some(spent.entry()));
        }
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            assert_eq!(ledger.entries().len(), before);
        }
    }
}
