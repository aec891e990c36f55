//! What protects nobody costs infinitely much, whoever adds it up.

use umbel_privacy::accountant::{
    Accountant, AccountingError, Delta, GdpAccountant, PldAccountant, RdpAccountant, ZcdpAccountant,
};
use umbel_privacy::ledger::entry::{InvalidDraft, InvalidEntry};
use umbel_privacy::ledger::{
    Exposure, LedgerEntry, LedgerError, MemoryLedgerStorage, UnprotectedDraft,
};
use umbel_privacy::{
    Adjacency, EntryDraft, Ledger, MechanismEvent, NoiseMultiplier, NoisePlacement, PrivacyUnit,
    Sha256Digest,
};

use crate::entries::draft;

fn delta() -> Delta {
    Delta::try_from(1e-5).unwrap()
}

fn gaussian() -> MechanismEvent {
    MechanismEvent::gaussian(NoiseMultiplier::try_from(2.0).unwrap())
}

fn round(seeded: bool) -> EntryDraft {
    EntryDraft {
        event: gaussian(),
        unit: PrivacyUnit::Record,
        delta: delta(),
        seeded,
        ..draft("visits", 1)
    }
}

fn mark(data_set: &str) -> UnprotectedDraft {
    UnprotectedDraft {
        data_set: data_set.into(),
        run_id: "open".into(),
        plan: Sha256Digest::of(b"plan"),
        adjacency: Adjacency::AddOrRemove,
        placement: NoisePlacement::Central,
        unix_time: 1_700_000_000,
        seeded: false,
    }
}

fn ledger() -> Ledger<MemoryLedgerStorage> {
    Ledger::open(MemoryLedgerStorage::default()).unwrap()
}

/// Epsilon of the data set "visits" to a run that promises protection, and to a rehearsal.
fn epsilons(ledger: &Ledger<MemoryLedgerStorage>) -> (f64, f64) {
    let (unit, adjacency) = (PrivacyUnit::Record, Adjacency::AddOrRemove);
    let protected = ledger.accountant_for("visits", unit, adjacency).unwrap();
    let rehearsal = ledger.rehearsal_accountant_for("visits", unit, adjacency);
    let rehearsal = rehearsal.unwrap().epsilon(delta()).get();
    (protected.epsilon(delta()).get(), rehearsal)
}

#[test]
fn every_accountant_says_that_no_epsilon_is_finite() {
    fn infinite<A: Accountant>(mut accountant: A) -> Result<(), AccountingError> {
        accountant.compose(&gaussian(), 3)?;
        let before = accountant.epsilon(delta()).get();
        accountant.compose(&MechanismEvent::NON_PRIVATE.times(0), 1)?;
        assert_eq!(accountant.epsilon(delta()).get(), before, "never happened");
        assert!(before.is_finite());
        accountant.compose(&MechanismEvent::NON_PRIVATE, 1)?;
        assert_eq!(accountant.epsilon(delta()).get(), f64::INFINITY);
        accountant.compose(&gaussian(), 3)?;
        assert_eq!(accountant.epsilon(delta()).get(), f64::INFINITY);
        Ok(())
    }
    for adjacency in [
        Adjacency::AddOrRemove,
        Adjacency::ReplaceOne,
        Adjacency::ZeroOut,
    ] {
        infinite(PldAccountant::new(adjacency)).unwrap();
        infinite(RdpAccountant::new(adjacency)).unwrap();
        infinite(ZcdpAccountant::new(adjacency)).unwrap();
        infinite(GdpAccountant::new(adjacency)).unwrap();
        let mut pld = PldAccountant::new(adjacency);
        pld.compose(&MechanismEvent::NON_PRIVATE, 1).unwrap();
        assert_eq!(pld.interval(delta()).lower(), f64::INFINITY);
    }
}

#[test]
fn a_mark_or_a_seeded_entry_makes_a_data_set_cost_infinitely_much() {
    let mut marked = ledger();
    marked.spend(round(false)).unwrap();
    marked.mark_unprotected(mark("others")).unwrap();
    let (finite, rehearsal) = epsilons(&marked);
    assert!(finite.is_finite() && finite == rehearsal);
    assert_eq!(marked.unprotected_use("visits"), None);
    marked.mark_unprotected(mark("visits")).unwrap();
    assert_eq!(epsilons(&marked), (f64::INFINITY, finite));
    let found = marked.unprotected_use("visits").unwrap();
    assert_eq!((found.index, found.exposure), (2, Exposure::NoUnit));
    assert_eq!(
        found.to_string(),
        "data set \"visits\" was used without any protection (unit none) by run \"open\" on \
         2023-11-14 (ledger entry 2)"
    );

    let mut seeded = ledger();
    seeded.spend(round(true)).unwrap();
    assert_eq!(epsilons(&seeded), (f64::INFINITY, finite));
    let found = seeded.unprotected_use("visits").unwrap();
    assert_eq!(found.exposure, Exposure::Seeded);
}

#[test]
fn a_mark_is_read_back_and_pays_for_no_noise() {
    let mut marked = ledger();
    marked.mark_unprotected(mark("visits")).unwrap();
    let again = Ledger::open(marked.into_storage()).unwrap();
    let [entry] = again.entries() else {
        panic!("{:?}", again.entries());
    };
    assert_eq!(entry.protection, None);

    let mut nothing = round(false);
    nothing.event = MechanismEvent::NON_PRIVATE.times(2);
    let refused = ledger().spend(nothing);
    assert!(
        matches!(refused, Err(LedgerError::Draft(InvalidDraft::NoUnit))),
        "{refused:?}"
    );
}

#[test]
fn a_line_that_contradicts_itself_is_no_entry() {
    let mut marked = ledger();
    marked.mark_unprotected(mark("visits")).unwrap();
    marked.spend(round(false)).unwrap();
    let bytes = marked.into_storage().bytes().to_vec();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (line, from, to) in [
        (lines[0], "\"unit\":\"none\"", "\"unit\":\"record\""),
        (lines[0], "\"seeded\"", "\"delta\":0.1,\"seeded\""),
        (lines[1], "\"unit\":\"record\"", "\"unit\":\"none\""),
        (lines[1], "\"delta\":0.00001,", ""),
    ] {
        assert!(line.contains(from), "{line}");
        let changed = line.replacen(from, to, 1);
        let read = LedgerEntry::from_line(changed.as_bytes());
        assert_eq!(read, Err(InvalidEntry::Contradiction), "{changed}");
    }
}
