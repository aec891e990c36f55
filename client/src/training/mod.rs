//! A site's answer to a round: a summed clipped gradient, or the difference that local
//! steps made. Either way an encoded lattice vector.

mod deltas;
mod gradients;

use std::ops::{Deref, DerefMut};

use rand::RngExt;
use umbel_model::{Classifier, Clipping, GradientSum, ModelError, gradient_sum};
use umbel_privacy::adaptive_clipping::AdaptiveClipping;
use umbel_privacy::lattice::{LatticeError, LatticeStep, LatticeVector};
use umbel_privacy::poisson::poisson_sample;
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::method::{ClippingRule, Method};
use umbel_proto::plan::mechanism::Mechanism;

use crate::site::{Site, SiteError};
use crate::site_ledger::OpenRound;

/// A site that trains, by a model that it was lent.
pub(crate) struct Training<'a> {
    pub(crate) site: &'a mut Site,
    pub(crate) model: &'a mut Classifier,
}

impl Deref for Training<'_> {
    type Target = Site;

    fn deref(&self) -> &Site {
        self.site
    }
}

impl DerefMut for Training<'_> {
    fn deref_mut(&mut self) -> &mut Site {
        self.site
    }
}

/// Trains, charges the site's ledger, and encodes what may be sent.
pub(crate) fn train(
    site: &mut Training<'_>,
    open: &OpenRound,
    start: &[f32],
) -> Result<Vec<u8>, SiteError> {
    let start = site.plan.start_of_round(start)?;
    let adaptive = site.plan.adaptive_clipping().copied().zip(start.threshold);
    site.model.set_parameters(start.parameters)?;
    let update = match site.plan.method {
        Method::Gradients => gradients::update(site, open, adaptive)?,
        Method::Deltas(local) => deltas::update(site, open, &start, (&local, adaptive))?,
    };
    Ok(update.encode())
}

/// The rule of adaptive clipping and the round's threshold, where clipping adapts.
pub(crate) type Adaptive = Option<(AdaptiveClipping, f64)>;

/// Draws units by the plan's rate and sums their gradients, each clipped to slightly less
/// than the clipping norm: the slack absorbs what rounding adds to the sum (see
/// `privacy/proofs/lattice.md`).
fn sampled_gradient_sum(
    site: &Training<'_>,
    mechanism: Option<&Mechanism>,
    adaptive: Adaptive,
    (sampling, dropout): (&mut NoiseSource, &mut NoiseSource),
) -> Result<GradientSum, SiteError> {
    let drawn: Vec<Vec<usize>> =
        poisson_sample(site.rows.units.len(), site.plan.sampling_rate, sampling)
            .into_iter()
            .map(|unit| site.rows.units[unit].clone())
            .collect();
    Ok(gradient_sum(
        site.model,
        site.rows.training(),
        &drawn,
        clipping(mechanism, adaptive),
        site.batch,
        dropout,
    )?)
}

/// How a unit's gradient is clipped.
pub(crate) fn clipping(mechanism: Option<&Mechanism>, adaptive: Adaptive) -> Clipping {
    match mechanism.map(|m| (m.protection.clipping, m.clipping_norm)) {
        None => Clipping::None,
        Some((ClippingRule::Flat, _)) if let Some((_, threshold)) = adaptive => {
            Clipping::Flat(threshold)
        }
        Some((ClippingRule::Flat, norm)) => Clipping::Flat(norm.with_slack()),
        Some((ClippingRule::Automatic, norm)) => Clipping::Automatic(norm.with_slack()),
        Some((ClippingRule::Residual, norm)) => Clipping::Residual(norm.with_slack()),
    }
}

/// A batch for plain training: rows drawn uniformly without replacement.
fn plain_batch(rows: usize, batch: usize, rng: &mut NoiseSource) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows).collect();
    let batch = batch.min(rows);
    for i in 0..batch {
        let j = rng.random_range(i..rows);
        order.swap(i, j);
    }
    order.truncate(batch);
    order.into_iter().map(|row| vec![row]).collect()
}

fn unusable(round: u32, reason: impl ToString) -> SiteError {
    SiteError::Update {
        round,
        reason: reason.to_string(),
    }
}

/// Rounds a sum to the lattice on which it is submitted or noised.
fn to_lattice(round: u32, values: &[f64], step: LatticeStep) -> Result<LatticeVector, SiteError> {
    LatticeVector::quantize(values, step).map_err(|e| match e {
        LatticeError::NotFinite { .. } | LatticeError::OutOfRange { .. } => {
            SiteError::Diverged { round }
        }
        other => unusable(round, other),
    })
}

/// Gives the model the parameters that a local step has made.
fn take_up(site: &mut Training<'_>, round: u32, parameters: &[f32]) -> Result<(), SiteError> {
    site.model.set_parameters(parameters).map_err(|e| match e {
        ModelError::NotFinite { .. } => SiteError::Diverged { round },
        other => other.into(),
    })
}
