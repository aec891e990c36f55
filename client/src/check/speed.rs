//! How fast this machine trains, measured on a few of the site's own rows. What comes of it is
//! thrown away.

use std::time::Duration;

use umbel_model::{Classifier, ModelError, PhysicalBatch, gradient_sum, tokenise};
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::findings::Finding;
use umbel_proto::plan::Plan;

use crate::site_texts::SiteTexts;
use crate::training::clipping;

/// Units that are measured, at most.
const MEASURED: usize = 64;
/// Units that pass before, so that buffers and kernels are there.
const WARMING_UP: usize = 8;

/// A measured speed, and what it makes of a round.
pub(super) struct Speed {
    rows_per_second: f64,
    rows_per_round: f64,
    rounds: u32,
}

/// Measures how fast clipped gradients of this site's rows are summed.
///
/// # Errors
/// [`ModelError`] for rows that the model can't take.
pub(super) fn measure(
    (model, batch): (&Classifier, PhysicalBatch),
    site: &SiteTexts,
    plan: &Plan,
    elapsed: &dyn Fn() -> Duration,
) -> Result<Speed, ModelError> {
    let (examples, _) = tokenise(&site.texts, model)?;
    let clipping = clipping(plan.mechanism(), None);
    // Dropout that nobody sees the result of.
    let mut dropout = NoiseSource::seeded(0, "check/dropout");
    let mut sum = |units: &[Vec<usize>]| {
        gradient_sum(model, &examples, units, clipping, batch, &mut dropout)
            .map(umbel_model::GradientSum::recycle)
    };
    let some = |most: usize| &site.units[..most.min(site.units.len())];
    sum(some(WARMING_UP))?;
    let before = elapsed();
    sum(some(MEASURED))?;
    let took = elapsed().saturating_sub(before).as_secs_f64().max(1e-9);
    let rows: usize = some(MEASURED).iter().map(Vec::len).sum();
    Ok(Speed {
        rows_per_second: rows as f64 / took,
        rows_per_round: rows_per_round(site, plan),
        rounds: plan.rounds.get(),
    })
}

/// Rows that a round is expected to pass through the model here.
fn rows_per_round(site: &SiteTexts, plan: &Plan) -> f64 {
    let all: usize = site.units.iter().map(Vec::len).sum();
    let drawn = plan.sampling_rate.get() * all as f64;
    match (plan.local_steps(), plan.unit()) {
        (None, _) => drawn,
        (Some(local), Some(PrivacyUnit::Record | PrivacyUnit::Group)) => {
            f64::from(local.steps.get()) * drawn
        }
        (Some(local), _) => {
            f64::from(local.steps.get()) * (local.batch.get().min(all.max(1)) as f64)
        }
    }
}

impl Speed {
    /// What there is to say of it.
    pub(super) fn finding(&self) -> Finding {
        let round = self.rows_per_round / self.rows_per_second;
        let said = format!(
            "about {:.0} rows a second: {round:.1} seconds a round, {:.1} minutes for all {} rounds, \
             if nobody else needs this machine",
            self.rows_per_second,
            round * f64::from(self.rounds) / 60.0,
            self.rounds
        );
        Finding::good("speed", said)
            .with("rows_per_second", self.rows_per_second)
            .with("seconds_per_round", round)
    }
}
