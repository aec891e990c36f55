//! The ledger's entries of the run against the plan.

use std::collections::BTreeMap;

use super::counted;
use crate::accountant::event::MechanismEvent;
use crate::certificate::content::{Certificate, LedgerStatement};
use crate::certificate::terms::{Differences, Promise, Terms};
use crate::ledger::LedgerEntry;
use crate::unit_word::UnitWord;

/// Whether the run's entries are what follows from the plan, and pay for what was released.
/// The sentence says what they are.
pub(super) fn check(
    certificate: &Certificate,
    entries: &[LedgerEntry],
    terms: &Terms,
) -> Result<String, String> {
    let stated = &certificate.ledger;
    let of_run = of_run(stated, entries)?;
    let Some(promise) = &terms.promise else {
        return marked(certificate, of_run, terms);
    };
    let mut rounds: BTreeMap<u64, u64> = BTreeMap::new();
    for entry in of_run {
        same_terms(certificate, entry, terms, promise)?;
        if entry.round == 0 || entry.round > u64::from(terms.rounds) {
            return Err(format!(
                "{}: its round is {}, and plan.json has rounds 1 to {}",
                place(entry),
                entry.round,
                terms.rounds
            ));
        }
        let draws = draws_of(&entry.event, &promise.mechanism).ok_or_else(|| {
            format!(
                "{}: its event is {}, and a drawing of noise is {} by plan.json",
                place(entry),
                written(&entry.event),
                written(&promise.mechanism)
            )
        })?;
        let of_round = rounds.entry(entry.round).or_default();
        *of_round = of_round.saturating_add(draws);
    }
    paid(certificate, stated, promise, terms, &rounds)
}

/// The entries that the certificate says are the run's.
fn of_run<'a>(
    stated: &LedgerStatement,
    entries: &'a [LedgerEntry],
) -> Result<&'a [LedgerEntry], String> {
    let first = usize::try_from(stated.first_of_run).unwrap_or(usize::MAX);
    let of_run = entries.get(first..).unwrap_or_default();
    if of_run.len() as u64 == stated.of_run
        && stated.first_of_run.checked_add(stated.of_run) == Some(stated.entries)
    {
        Ok(of_run)
    } else {
        Err("the run's entries aren't where the certificate says".into())
    }
}

/// Whether a run of unit none left its mark, and nothing else.
fn marked(
    certificate: &Certificate,
    of_run: &[LedgerEntry],
    terms: &Terms,
) -> Result<String, String> {
    let [mark] = of_run else {
        return Err(format!(
            "a run of unit none leaves one mark in the ledger, and there are {} entries of it",
            of_run.len()
        ));
    };
    let mut fields = Differences::of(place(mark));
    identity(&mut fields, certificate, mark);
    fields.field("run_id", &mark.run_id, &terms.run);
    fields.field("unit", &UnitWord(mark.unit()), &UnitWord(None));
    fields.field("seeded", &mark.seeded, &terms.seeded);
    fields.into_result()?;
    Ok("the run left its mark: the data set was used without protection".into())
}

/// Whose entry it is.
fn identity(fields: &mut Differences, certificate: &Certificate, entry: &LedgerEntry) {
    const FILE: &str = "certificate.json";
    let plan = Some(certificate.run.plan_sha256);
    fields.field_from("plan", &entry.plan, FILE, &plan);
    let data_set = &certificate.ledger.data_set;
    fields.field_from("data_set", &entry.data_set, FILE, data_set);
}

fn same_terms(
    certificate: &Certificate,
    entry: &LedgerEntry,
    terms: &Terms,
    promise: &Promise,
) -> Result<(), String> {
    let mut fields = Differences::of(place(entry));
    identity(&mut fields, certificate, entry);
    compare(&mut fields, entry, terms, promise);
    fields.into_result()
}

/// Every field of an entry that follows from the plan, but its round and its event.
fn compare(fields: &mut Differences, entry: &LedgerEntry, terms: &Terms, promise: &Promise) {
    fields.field("run_id", &entry.run_id, &terms.run);
    let unit = UnitWord(Some(promise.unit));
    fields.field("unit", &UnitWord(entry.unit()), &unit);
    fields.field("adjacency", &entry.adjacency, &promise.adjacency);
    fields.field("placement", &entry.placement, &promise.placement);
    if let Some(noise) = &entry.protection {
        fields.field(
            "clipping_norm",
            &noise.clipping_norm,
            &promise.clipping_norm,
        );
        fields.field("lattice_step", &noise.lattice_step, &promise.lattice_step);
        fields.field("delta", &noise.delta, &promise.delta);
    }
    fields.field("seeded", &entry.seeded, &terms.seeded);
}

/// Whether an entry of a site's own ledger follows from the plan.
///
/// # Errors
/// A sentence naming field, both values and both documents.
pub fn site_entry(entry: &LedgerEntry, terms: &Terms) -> Result<(), String> {
    let mut fields = Differences::of(place(entry));
    let Some(promise) = &terms.promise else {
        fields.field("unit", &UnitWord(entry.unit()), &UnitWord(None));
        return fields.into_result();
    };
    compare(&mut fields, entry, terms, promise);
    fields.into_result()?;
    match draws_of(&entry.event, &promise.mechanism) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{}: its event is {}, and a drawing of noise is {} by plan.json",
            place(entry),
            written(&entry.event),
            written(&promise.mechanism)
        )),
    }
}

/// Whether the entries pay for all that was released, and what they pay for besides.
fn paid(
    certificate: &Certificate,
    stated: &LedgerStatement,
    promise: &Promise,
    terms: &Terms,
    rounds: &BTreeMap<u64, u64>,
) -> Result<String, String> {
    let draws = rounds
        .values()
        .fold(0u64, |sum, draws| sum.saturating_add(*draws));
    let each = u64::from(promise.draws_per_round);
    let released = u64::from(certificate.run.rounds_released);
    let needed = released.saturating_mul(each);
    if draws < needed {
        return Err(format!(
            "they pay for {draws} drawings of noise, and {released} rounds took {needed}"
        ));
    }
    let planned = u64::from(terms.rounds).saturating_mul(each);
    let more = match draws.saturating_sub(planned) {
        0 => String::new(),
        more => format!(
            ", {more} MORE than the plan has, for rounds that were tried again; all are counted"
        ),
    };
    Ok(format!(
        "{} of this run, for {}, under the plan's terms{more}",
        counted(stated.of_run, "entry", "entries"),
        counted(draws, "drawing of noise", "drawings of noise"),
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

fn place(entry: &LedgerEntry) -> String {
    format!("entry {} of ledger.jsonl", entry.index)
}

fn written(event: &MechanismEvent) -> String {
    serde_json::to_string(event).unwrap_or_else(|_| "unwritable".into())
}
