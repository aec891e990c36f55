//! The certificate against the plan that every site was given.

use super::{Check, PlanEvidence};
use crate::certificate::content::{Certificate, Guarantee};
use crate::certificate::terms::{Differences, Promise, Terms};
use crate::digest::Sha256Digest;
use crate::unit::PrivacyUnit;
use crate::unit_word::UnitWord;

const FILE: &str = "certificate.json";

/// Checks that the plan is this run's, and that the certificate says what follows from it.
/// Returns the plan's terms, too, if it is this run's plan.
pub(super) fn check<'a>(
    certificate: &Certificate,
    plan: Option<PlanEvidence<'a>>,
) -> (Check, Option<&'a Terms>) {
    const NAME: &str = "plan";
    let fails = |why: String| Check::fails(NAME, why);
    let Some(plan) = plan else {
        let why = "plan.json isn't here, and nothing that the certificate says can be derived \
                   without it";
        return (fails(why.into()), None);
    };
    let digest = Sha256Digest::of(plan.bytes);
    if digest != certificate.run.plan_sha256 {
        let why = format!(
            "plan.json isn't the plan of this run: its SHA-256 is {digest}, and {FILE} names {}",
            certificate.run.plan_sha256
        );
        return (fails(why), None);
    }
    match plan.terms {
        Err(why) => (fails(format!("plan.json can't be used: {why}")), None),
        Ok(terms) => match compare(certificate, terms) {
            Err(why) => (fails(why), Some(terms)),
            Ok(()) => {
                let says = "plan.json is what every client was given, and all that is certified \
                            follows from it";
                (Check::holds(NAME, says), Some(terms))
            }
        },
    }
}

/// Every field of a certificate that follows from the plan.
fn compare(certificate: &Certificate, terms: &Terms) -> Result<(), String> {
    let mut fields = Differences::of(FILE);
    let (run, guarantee) = (&certificate.run, certificate.guarantee.as_ref());
    fields.field("run.name", &run.name, &terms.run);
    fields.field("run.rounds_planned", &run.rounds_planned, &terms.rounds);
    fields.field(
        "base.weights",
        &certificate.base.weights,
        &terms.base.weights,
    );
    fields.field(
        "base.certificate",
        &certificate.base.certificate,
        &terms.base.certificate,
    );
    let nobody = terms.promise.is_none() || terms.seeded;
    fields.field("protects_nobody", &certificate.protects_nobody, &nobody);
    match (guarantee, &terms.promise) {
        (Some(guarantee), Some(promise)) => promised(&mut fields, guarantee, promise),
        (guarantee, promise) => fields.field(
            "guarantee.unit",
            &UnitWord(guarantee.map(|guarantee| guarantee.unit)),
            &UnitWord(promise.as_ref().map(|promise| promise.unit)),
        ),
    }
    if let Some(guarantee) = guarantee {
        fields.field("guarantee.seeded", &guarantee.seeded, &terms.seeded);
    }
    let clients = terms.promise.as_ref().map(|promise| promise.unit) == Some(PrivacyUnit::Client);
    let named = certificate.participation.is_some();
    fields.field("whether clients are named", &named, &!clients);
    fields.into_result()?;
    if run.rounds_released > terms.rounds {
        return Err(format!(
            "{FILE} says that {} rounds were released, and plan.json has {}",
            run.rounds_released, terms.rounds
        ));
    }
    if run.ending == "complete" && run.rounds_released < terms.rounds {
        return Err(format!(
            "{FILE} says that the run is complete, and that {} of the {} rounds of plan.json \
             were released",
            run.rounds_released, terms.rounds
        ));
    }
    Ok(())
}

fn promised(fields: &mut Differences, guarantee: &Guarantee, promise: &Promise) {
    let (g, p) = (guarantee, promise);
    fields.field("guarantee.unit", &g.unit, &p.unit);
    fields.field("guarantee.adjacency", &g.adjacency, &p.adjacency);
    fields.field("guarantee.placement", &g.placement, &p.placement);
    fields.field(
        "guarantee.noise_multiplier",
        &g.noise_multiplier,
        &p.noise_multiplier,
    );
    fields.field(
        "guarantee.sampling_rate",
        &g.sampling_rate,
        &p.sampling_rate,
    );
    fields.field(
        "guarantee.draws_per_round",
        &g.draws_per_round,
        &p.draws_per_round,
    );
    fields.field("guarantee.mechanism", &g.mechanism, &p.mechanism);
    fields.field(
        "guarantee.clipping_norm",
        &g.clipping_norm,
        &p.clipping_norm,
    );
    fields.field("guarantee.lattice_step", &g.lattice_step, &p.lattice_step);
    fields.field("guarantee.delta", &g.delta, &p.delta);
    fields.field(
        "guarantee.budget_epsilon",
        &g.budget_epsilon,
        &p.budget_epsilon,
    );
}
