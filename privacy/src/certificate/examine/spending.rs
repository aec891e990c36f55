//! The ledger, the run's entries in it, and epsilon computed again from them.

use super::{Check, counted};
use crate::accountant::event::MechanismEvent;
use crate::certificate::accounting::{merged, same_epsilon};
use crate::certificate::content::{Accounted, Certificate, Guarantee, LedgerStatement};
use crate::digest::Sha256Digest;
use crate::ledger::LedgerEntry;
use crate::ledger::chain::{self, Tail};

/// Checks the ledger; of a run without privacy, that there is none.
pub(super) fn checks(certificate: &Certificate, bytes: Option<&[u8]>) -> Vec<Check> {
    let (Some(guarantee), Some(stated)) = (&certificate.guarantee, &certificate.ledger) else {
        return match bytes {
            None => Vec::new(),
            Some(_) => vec![Check::fails(
                "ledger",
                "there is a ledger.jsonl, and the certificate speaks of none",
            )],
        };
    };
    let entries = match ledger(stated, bytes) {
        Ok(entries) => entries,
        Err(why) => {
            return vec![
                Check::fails("ledger", why),
                Check::open("epsilon", "it can't be computed without the ledger"),
            ];
        }
    };
    let mut checks = vec![Check::holds(
        "ledger",
        format!(
            "{} in an unbroken chain, head {}",
            counted(stated.entries, "entry", "entries"),
            stated.head
        ),
    )];
    match run_entries(certificate, guarantee, stated, &entries) {
        Ok(check) => checks.push(check),
        Err(why) => checks.push(Check::fails("entries", why)),
    }
    checks.push(epsilon(guarantee, stated, &entries));
    checks.push(budget(guarantee));
    checks
}

/// The entries of a ledger that is exactly the one that was signed.
fn ledger(stated: &LedgerStatement, bytes: Option<&[u8]>) -> Result<Vec<LedgerEntry>, String> {
    let bytes = bytes.ok_or("ledger.jsonl isn't here")?;
    let chain = chain::verify(bytes).map_err(|e| e.to_string())?;
    if chain.tail != Tail::Clean {
        return Err("its last line was cut off".into());
    }
    let (count, head) = (chain.entries.len() as u64, chain.head());
    if (count, head) != (stated.entries, stated.head) {
        return Err(format!(
            "it has {} and ends with {head}, but {} were signed, ending with {}",
            counted(count, "entry", "entries"),
            stated.entries,
            stated.head
        ));
    }
    if (bytes.len() as u64, Sha256Digest::of(bytes)) != (stated.bytes, stated.sha256) {
        return Err("it was changed since it was signed".into());
    }
    Ok(chain.entries)
}

/// Whether the run's entries say what the certificate says, and pay for what was released.
fn run_entries(
    certificate: &Certificate,
    guarantee: &Guarantee,
    stated: &LedgerStatement,
    entries: &[LedgerEntry],
) -> Result<Check, String> {
    let first = usize::try_from(stated.first_of_run).unwrap_or(usize::MAX);
    let of_run = entries.get(first..).unwrap_or_default();
    if of_run.len() as u64 != stated.of_run
        || stated.first_of_run.checked_add(stated.of_run) != Some(stated.entries)
    {
        return Err("the run's entries aren't where the certificate says".into());
    }
    let mut draws = 0u64;
    for entry in of_run {
        let about = |what: &str| format!("entry {}: {what} isn't the certificate's", entry.index);
        for (same, what) in [
            (entry.run_id == certificate.run.name, "its run"),
            (entry.data_set == stated.data_set, "its data set"),
            (entry.plan == Some(certificate.run.plan_sha256), "its plan"),
            (entry.unit == guarantee.unit, "its unit"),
            (entry.adjacency == guarantee.adjacency, "its adjacency"),
            (entry.placement == guarantee.placement, "its placement"),
            (
                entry.clipping_norm == guarantee.clipping_norm,
                "its clipping norm",
            ),
            (
                entry.lattice_step == guarantee.lattice_step,
                "its lattice step",
            ),
            (entry.delta == guarantee.delta, "its delta"),
            (entry.seeded == guarantee.seeded, "whether it was seeded"),
        ] {
            if !same {
                return Err(about(what));
            }
        }
        let count =
            draws_of(&entry.event, &guarantee.mechanism).ok_or_else(|| about("its event"))?;
        draws = draws.saturating_add(count);
    }
    let stated_mechanism =
        MechanismEvent::poisson_gaussian(guarantee.sampling_rate, guarantee.noise_multiplier);
    if guarantee.mechanism != stated_mechanism {
        return Err("the mechanism isn't that of the stated noise and sampling rate".into());
    }
    let released = u64::from(certificate.run.rounds_released);
    let needed = released.saturating_mul(u64::from(guarantee.draws_per_round));
    if draws < needed {
        return Err(format!(
            "they pay for {draws} drawings of noise, and {released} rounds took {needed}"
        ));
    }
    Ok(Check::holds(
        "entries",
        format!(
            "{} of this run, for {}, under the stated plan and noise",
            counted(stated.of_run, "entry", "entries"),
            counted(draws, "drawing of noise", "drawings of noise"),
        ),
    ))
}

/// How many drawings of `mechanism` an event is, if it is that.
fn draws_of(event: &MechanismEvent, mechanism: &MechanismEvent) -> Option<u64> {
    match event {
        MechanismEvent::SelfComposed { event, count } if event.as_ref() == mechanism => {
            Some(*count)
        }
        event => (event == mechanism).then_some(1),
    }
}

/// Epsilon of the run and of the data set, computed again.
fn epsilon(guarantee: &Guarantee, stated: &LedgerStatement, entries: &[LedgerEntry]) -> Check {
    const NAME: &str = "epsilon";
    let on_data_set = || {
        entries
            .iter()
            .filter(|entry| entry.data_set == stated.data_set)
    };
    if let Some(entry) = on_data_set().find(|entry| entry.unit != guarantee.unit) {
        return Check::fails(
            NAME,
            format!(
                "entry {} protects another unit, {}: the two don't add up",
                entry.index, entry.unit
            ),
        );
    }
    let of_run = on_data_set().filter(|entry| entry.index >= stated.first_of_run);
    for (what, claimed, events) in [
        (
            "the run",
            &guarantee.run,
            merged(of_run.map(|entry| &entry.event)),
        ),
        (
            "the data set",
            &guarantee.data_set,
            merged(on_data_set().map(|entry| &entry.event)),
        ),
    ] {
        if let Err(why) = recompute(guarantee, claimed, &events) {
            return Check::fails(NAME, format!("of {what}: {why}"));
        }
    }
    let accountant = &guarantee.accountant;
    Check::holds(
        NAME,
        format!(
            "computed again from the ledger: {} for this run, {} for the data set, at delta {} \
             ({}, {} {})",
            figure(guarantee.run.epsilon),
            figure(guarantee.data_set.epsilon),
            guarantee.delta,
            guarantee.adjacency,
            accountant.name,
            accountant.version,
        ),
    )
}

fn recompute(
    guarantee: &Guarantee,
    claimed: &Accounted,
    events: &[MechanismEvent],
) -> Result<(), String> {
    if claimed.events != events {
        return Err("the events aren't the ledger's".into());
    }
    let computed = guarantee
        .accountant
        .epsilon(events, guarantee.adjacency, guarantee.delta)
        .map_err(|e| e.to_string())?;
    let claimed = claimed.epsilon.unwrap_or(f64::INFINITY);
    if same_epsilon(claimed, computed) {
        Ok(())
    } else {
        Err(format!(
            "{claimed} is claimed, and the ledger's events cost {computed}"
        ))
    }
}

fn figure(epsilon: Option<f64>) -> String {
    epsilon.map_or("no finite epsilon".into(), |epsilon| {
        format!("{epsilon:.4}")
    })
}

fn budget(guarantee: &Guarantee) -> Check {
    const NAME: &str = "budget";
    let budget = guarantee.budget_epsilon;
    match guarantee.data_set.epsilon {
        Some(epsilon) if epsilon <= budget => {
            Check::holds(NAME, format!("{epsilon:.4} of {budget} is spent"))
        }
        spent => Check::fails(
            NAME,
            format!("{} is spent, and {budget} was allowed", figure(spent)),
        ),
    }
}
