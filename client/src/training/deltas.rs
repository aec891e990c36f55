//! `deltas`: local steps, then the difference of the parameters.
//!
//! For the units `client` and `none` the steps are plain; the difference as a whole is
//! clipped and, under local noise, noised. For `record` and `group` each step is one of
//! DP-SGD, so that the difference is post-processing of noised sums.

use umbel_model::{Clipping, Optimiser, gradient_sum};
use umbel_privacy::clip::{ClipError, RawUpdate};
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::Spent;
use umbel_privacy::release::release;
use umbel_privacy::unit::{NoisePlacement, PrivacyUnit};
use umbel_proto::control_variates;
use umbel_proto::method::LocalOptimisation;
use umbel_proto::plan::mechanism::{Mechanism, RoundStart};

use super::{Adaptive, Training, plain_batch, sampled_gradient_sum, take_up, to_lattice, unusable};
use crate::site::SiteError;
use crate::site_ledger::OpenRound;

/// The difference that the site's local steps make, on the lattice.
pub(super) fn update(
    site: &mut Training<'_>,
    open: &OpenRound,
    begin: &RoundStart<'_>,
    (local, adaptive): (&LocalOptimisation, Adaptive),
) -> Result<LatticeVector, SiteError> {
    let (round, start) = (open.round(), begin.parameters);
    match site.plan.mechanism().cloned() {
        Some(m) => match m.protection.unit {
            PrivacyUnit::Record | PrivacyUnit::Group => private_steps(site, open, start, local, &m),
            PrivacyUnit::Client => whole_client(site, open, start, local, (&m, adaptive)),
        },
        None => match begin.variate {
            Some(server) => corrected(site, round, (start, server), local),
            None => {
                let delta = plain_steps(site, round, start, (local, None))?;
                to_lattice(round, &widen(&delta), site.plan.submitted_step())
            }
        },
    }
}

/// Plain steps that control variates correct. The site's own moves by the very numbers that are sent,
/// as the server's will.
fn corrected(
    site: &mut Training<'_>,
    round: u32,
    (start, server): (&[f32], &[f32]),
    local: &LocalOptimisation,
) -> Result<LatticeVector, SiteError> {
    let missing = || SiteError::Plan("this plan's control variates weren't prepared".into());
    let own = site.variate.as_ref().ok_or_else(missing)?.now()?;
    let delta = plain_steps(site, round, start, (local, Some((server, &own))))?;
    let step = site.plan.submitted_step();
    let sent = to_lattice(round, &widen(&delta), step)?;
    let reach = control_variates::reach(local);
    let moved = control_variates::moved(&own, server, &sent.to_f64(step), reach);
    site.variate.as_mut().ok_or_else(missing)?.moves_to(moved);
    Ok(sent)
}

/// DP-SGD at the site: every step draws units, sums their clipped gradients, and uses the
/// sum only after noise was added, paid for beforehand.
fn private_steps(
    site: &mut Training<'_>,
    open: &OpenRound,
    start: &[f32],
    local: &LocalOptimisation,
    mechanism: &Mechanism,
) -> Result<LatticeVector, SiteError> {
    let round = open.round();
    let mut sampling = site.randomness(round, "sampling")?;
    let mut dropout = site.randomness(round, "dropout")?;
    let mut noise = site.randomness(round, "noise")?;
    let mut parameters = start.to_vec();
    let mut optimiser = Optimiser::new(*local, parameters.len());
    // One entry for all steps of the round, before the first; each step uses up its share.
    let spent = site.ledger.spend(open)?;
    for step in spent.into_iter().flat_map(Spent::into_steps) {
        let found =
            sampled_gradient_sum(site, Some(mechanism), None, (&mut sampling, &mut dropout))?;
        let sum = to_lattice(round, &found.sum, mechanism.step)?;
        found.recycle();
        let released =
            release(sum, &mechanism.noise, step, &mut noise).map_err(|e| unusable(round, e))?;
        let mut gradient = mean(&released.to_f64(mechanism.step), local.batch.get());
        pull_back(&mut gradient, local, &parameters, start);
        optimiser.step(&mut parameters, &gradient);
        take_up(site, round, &parameters)?;
    }
    let delta = difference(&parameters, start);
    to_lattice(round, &widen(&delta), site.plan.submitted_step())
}

/// The unit is the whole client: plain steps, then one clipped difference.
fn whole_client(
    site: &mut Training<'_>,
    open: &OpenRound,
    start: &[f32],
    local: &LocalOptimisation,
    (mechanism, adaptive): (&Mechanism, Adaptive),
) -> Result<LatticeVector, SiteError> {
    let round = open.round();
    let spent = site.ledger.spend(open)?;
    let delta = plain_steps(site, round, start, (local, None))?;
    // Clipped as a whole again, whatever rounding added.
    let clipped = RawUpdate::new(contribution(delta, adaptive))
        .clip(mechanism.clipping_norm)
        .map_err(|ClipError::NotFinite { .. }| SiteError::Diverged { round })?;
    let vector = clipped
        .quantize(mechanism.step)
        .map_err(|e| unusable(round, e))?;
    let (NoisePlacement::Local, Some(spent)) = (mechanism.protection.placement, spent) else {
        return Ok(vector);
    };
    let mut noise = site.randomness(round, "noise")?;
    let released =
        release(vector, &mechanism.noise, spent, &mut noise).map_err(|e| unusable(round, e))?;
    Ok(released.into_sum())
}

/// What a client adds to the round's sum: its difference or, with adaptive clipping, that
/// clipped to the round's threshold and scaled, and the client's bit.
fn contribution(mut delta: Vec<f32>, adaptive: Adaptive) -> Vec<f32> {
    if let Some((rule, threshold)) = adaptive {
        let squares = delta.iter().map(|x| f64::from(*x).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        let factor = rule.scale(threshold) * (threshold / norm).min(1.0);
        for x in &mut delta {
            *x = (f64::from(*x) * factor) as f32;
        }
        delta.push(rule.bit(norm, threshold) as f32);
    }
    delta
}

/// The server's control variate and the site's own.
type Variates<'a> = Option<(&'a [f32], &'a [f32])>;

/// Ordinary training on batches drawn from the site's rows.
fn plain_steps(
    site: &mut Training<'_>,
    round: u32,
    start: &[f32],
    (local, variates): (&LocalOptimisation, Variates<'_>),
) -> Result<Vec<f32>, SiteError> {
    let mut sampling = site.randomness(round, "sampling")?;
    let mut dropout = site.randomness(round, "dropout")?;
    let mut parameters = start.to_vec();
    let mut optimiser = Optimiser::new(*local, parameters.len());
    for step in 1..=local.steps.get() {
        let batch = plain_batch(site.rows.examples.len(), local.batch.get(), &mut sampling);
        let sum = gradient_sum(
            site.model,
            site.rows.training(),
            &batch,
            Clipping::None,
            site.batch,
            &mut dropout,
        )?;
        let mut gradient = mean(&sum.sum, batch.len());
        sum.recycle();
        pull_back(&mut gradient, local, &parameters, start);
        if let Some((server, own)) = variates {
            control_variates::correct(&mut gradient, server, own);
        }
        optimiser.step(&mut parameters, &gradient);
        // Nobody computes with what the last step makes here: whoever trains next brings its own.
        if step < local.steps.get() {
            take_up(site, round, &parameters)?;
        }
    }
    if !parameters.iter().all(|w| w.is_finite()) {
        return Err(SiteError::Diverged { round });
    }
    Ok(difference(&parameters, start))
}

/// FedProx (Li et al. 2020, equation 2): the gradient of μ/2 ‖w − w₀‖² is added, where w₀ are the
/// parameters that the round began with. Both are released, or post-processing of what was, so that
/// this costs nothing and needs no clipping.
fn pull_back(gradient: &mut [f64], local: &LocalOptimisation, parameters: &[f32], start: &[f32]) {
    let mu = local.proximal.get();
    if local.proximal.is_none() {
        return;
    }
    for ((g, w), w0) in gradient.iter_mut().zip(parameters).zip(start) {
        *g += mu * (f64::from(*w) - f64::from(*w0));
    }
}

fn mean(sum: &[f64], count: usize) -> Vec<f64> {
    let count = count.max(1) as f64;
    sum.iter().map(|x| x / count).collect()
}

fn difference(end: &[f32], start: &[f32]) -> Vec<f32> {
    end.iter().zip(start).map(|(e, s)| e - s).collect()
}

fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps down a bowl around 3, each pulled back by `mu`.
    fn steps(mu: &str, steps: usize) -> f32 {
        let text = format!(
            r#"{{"optimiser": "sgd", "steps": 1, "batch": 1, "learning_rate": 0.1, "proximal": {mu}}}"#
        );
        let local: LocalOptimisation = serde_json::from_str(&text).expect("steps");
        let (start, mut parameters) = ([1.0f32], [1.0f32]);
        let mut optimiser = Optimiser::new(local, 1);
        for _ in 0..steps {
            let mut gradient = [f64::from(parameters[0]) - 3.0];
            pull_back(&mut gradient, &local, &parameters, &start);
            optimiser.step(&mut parameters, &gradient);
        }
        parameters[0]
    }

    #[test]
    fn steps_are_those_of_fedprox() {
        // w <- w - 0.1 ((w - 3) + mu (w - 1)), by hand: 1, 1.2, 1.37, ... for mu = 0.5.
        let expected = [1.2, 1.37, 1.5145];
        for (i, expected) in expected.iter().enumerate() {
            assert!(
                (steps("0.5", i + 1) - expected).abs() < 1e-6,
                "step {}",
                i + 1
            );
        }
        // The least of both is at (3 + mu) / (1 + mu).
        assert!((steps("0.5", 500) - 3.5 / 1.5).abs() < 1e-5);
        assert!((steps("0", 500) - 3.0).abs() < 1e-5);
    }

    #[test]
    fn a_pull_that_is_no_number_is_refused() {
        for wrong in ["-0.1", "1e999", "null"] {
            let text = format!(
                r#"{{"optimiser": "sgd", "steps": 1, "batch": 1, "learning_rate": 0.1, "proximal": {wrong}}}"#
            );
            assert!(
                serde_json::from_str::<LocalOptimisation>(&text).is_err(),
                "{wrong}"
            );
        }
    }
}
