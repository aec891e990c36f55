//! `gradients`: one clipped sum a round, the same mechanism as DP-SGD on the pooled data.

use umbel_model::GradientSum;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::release::release;

use super::{Adaptive, Training, sampled_gradient_sum, to_lattice, unusable};
use crate::site::SiteError;
use crate::site_ledger::OpenRound;

/// The site's summed gradient of a round, noised if the noise is the site's own.
pub(super) fn update(
    site: &mut Training<'_>,
    open: &OpenRound,
    adaptive: Adaptive,
) -> Result<LatticeVector, SiteError> {
    let round = open.round();
    let mechanism = site.plan.mechanism().cloned();
    let step = site.plan.submitted_step();
    let mut sampling = site.randomness(round, "sampling")?;
    let mut dropout = site.randomness(round, "dropout")?;
    // Spend first: whatever happens below, what may leave this site is on record.
    let spent = site.ledger.spend(open)?;
    let randomness = (&mut sampling, &mut dropout);
    let sum = sampled_gradient_sum(site, mechanism.as_ref(), adaptive, randomness)?;
    let found = contribution(sum, adaptive);
    let sum = to_lattice(round, &found.sum, step)?;
    found.recycle();
    match (mechanism, spent) {
        (Some(m), Some(spent)) if site.plan.has_local_noise() => {
            let mut rng = site.randomness(round, "noise")?;
            let released =
                release(sum, &m.noise, spent, &mut rng).map_err(|e| unusable(round, e))?;
            Ok(released.into_sum())
        }
        _ => Ok(sum),
    }
}

/// What a site adds to the round's sum: its gradients' and, with adaptive clipping, its units'
/// bits.
fn contribution(mut found: GradientSum, adaptive: Adaptive) -> GradientSum {
    if let Some((rule, threshold)) = adaptive {
        let scale = rule.scale(threshold);
        found.sum.iter_mut().for_each(|x| *x *= scale);
        let bits = found.norms.iter().map(|norm| rule.bit(*norm, threshold));
        found.sum.push(bits.sum());
    }
    found
}
