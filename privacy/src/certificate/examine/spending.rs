//! The ledger, the run's entries in it, and epsilon computed again from them.

use super::{Check, between_runs, counted, entries};
use crate::accountant::event::MechanismEvent;
use crate::certificate::accounting::same_epsilon;
use crate::certificate::content::{Accounted, Certificate, Guarantee, LedgerStatement};
use crate::certificate::costs::CostSources;
use crate::certificate::terms::Terms;
use crate::digest::Sha256Digest;
use crate::ledger::LedgerEntry;
use crate::ledger::chain::{self, Tail};

/// Checks the ledger, the run's entries, and what they cost.
pub(super) fn checks(
    certificate: &Certificate,
    ledger: &Result<Vec<LedgerEntry>, String>,
    terms: Option<&Terms>,
) -> Vec<Check> {
    let stated = &certificate.ledger;
    let entries = match ledger {
        Ok(entries) => entries,
        Err(why) => {
            return vec![
                Check::fails("ledger", why),
                Check::open("epsilon", "it can't be computed without the ledger"),
            ];
        }
    };
    let mut checks = vec![
        Check::holds(
            "ledger",
            format!(
                "{} in an unbroken chain, head {}",
                counted(stated.entries, "entry", "entries"),
                stated.head
            ),
        ),
        of_run(certificate, entries, terms),
    ];
    if let Some(guarantee) = &certificate.guarantee {
        checks.push(epsilon(certificate, guarantee, entries));
        checks.push(budget(guarantee));
        checks.extend(between_runs::check(certificate, guarantee, entries));
    }
    checks
}

/// The run's entries, against the plan.
fn of_run(certificate: &Certificate, entries: &[LedgerEntry], terms: Option<&Terms>) -> Check {
    const NAME: &str = "entries";
    match terms.map(|terms| entries::check(certificate, entries, terms)) {
        None => Check::open(
            NAME,
            "they can't be compared with a plan that can't be used",
        ),
        Some(Ok(says)) => Check::holds(NAME, says),
        Some(Err(why)) => Check::fails(NAME, why),
    }
}

/// The entries of a ledger that is exactly the one that was signed.
pub(super) fn ledger(
    stated: &LedgerStatement,
    bytes: Option<&[u8]>,
) -> Result<Vec<LedgerEntry>, String> {
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

/// Epsilon of the run, of the data set and of its base model's lineage, computed again.
fn epsilon(certificate: &Certificate, guarantee: &Guarantee, entries: &[LedgerEntry]) -> Check {
    const NAME: &str = "epsilon";
    match computed(certificate, guarantee, entries) {
        Ok(says) => Check::holds(NAME, says),
        Err(why) => Check::fails(NAME, why),
    }
}

fn computed(
    certificate: &Certificate,
    guarantee: &Guarantee,
    entries: &[LedgerEntry],
) -> Result<String, String> {
    let sources = CostSources {
        entries,
        statement: &certificate.ledger,
        lineage: &certificate.lineage,
    };
    let other = |entry: &LedgerEntry| {
        let unit = entry.unit().filter(|unit| *unit != guarantee.unit)?;
        Some((entry.index, unit))
    };
    if let Some((index, unit)) = sources.on_data_set().find_map(other) {
        return Err(format!(
            "entry {index} protects another unit, {unit}: the two don't add up"
        ));
    }
    let costs = sources
        .costs(guarantee.unit)
        .map_err(|why| why.to_string())?;
    for (what, claimed, events) in [
        ("the run", &guarantee.run, &costs.run),
        ("the data set", &guarantee.data_set, &costs.data_set),
        (
            "the data set and the base model",
            &guarantee.total,
            &costs.total,
        ),
    ] {
        recompute(guarantee, claimed, events).map_err(|why| format!("of {what}: {why}"))?;
    }
    let accountant = &guarantee.accountant;
    let with_base = match costs.inherits {
        false => String::new(),
        true => format!(", {} with the base model", figure(guarantee.total.epsilon)),
    };
    Ok(format!(
        "computed again from the ledger: {} for this run, {} for the data set{with_base}, at \
         delta {} ({}, {} {})",
        figure(guarantee.run.epsilon),
        figure(guarantee.data_set.epsilon),
        guarantee.delta,
        guarantee.adjacency,
        accountant.name,
        accountant.version,
    ))
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
    match guarantee.total.epsilon {
        Some(epsilon) if epsilon <= budget => {
            Check::holds(NAME, format!("{epsilon:.4} of {budget} is spent"))
        }
        None if guarantee.seeded => Check::open(
            NAME,
            format!("noise from a known seed has no finite epsilon, and {budget} was allowed"),
        ),
        spent => Check::fails(
            NAME,
            format!("{} is spent, and {budget} was allowed", figure(spent)),
        ),
    }
}
