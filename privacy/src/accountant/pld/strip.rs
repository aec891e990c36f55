//! Integrals over a stretch of outcomes that is next to nothing at either end: how fine a rule serves, and what it errs.
//!
//! On a strip around the axis that ends where the integral does, only what the loss does *there* matters, and not what
//! it does where hardly an outcome is (privacy/proofs/contour.md, "Quadrature over a stretch").

use std::f64::consts::PI;

use super::sampled_gaussian::{SampledGaussian, Side};
use crate::accountant::gaussian::ln_upper_tail;

/// More than this added relative to M(θ), and the integral says nothing.
const MOST_OUTSIDE: f64 = 1e-6;

/// Strips that are tried, each by this factor narrower than the one before.
const STRIPS: i32 = 24;
const NARROWER: f64 = 0.65;

/// A strip |Im x| <= `half_width`, in which no integrand is more than e^`growth` times as large as on the axis. Growth
/// is convex in the width, and none at 0.
struct Strip {
    half_width: f64,
    growth: f64,
}

/// The widest step with which the rule errs by less than 2 e^-`exponent` M(θ), but for what ends add.
pub(super) fn step(
    law: &SampledGaussian,
    theta: f64,
    ends: (f64, f64),
    frequency: f64,
    exponent: f64,
) -> f64 {
    strips(law, theta, ends, frequency)
        .map(|strip| 2.0 * PI * strip.half_width / (strip.growth + exponent))
        .fold(0.0, f64::max)
}

/// Strips for a stretch that ends at `low` less σ at most, and at `high`.
fn strips(
    law: &SampledGaussian,
    theta: f64,
    (low, high): (f64, f64),
    frequency: f64,
) -> impl Iterator<Item = Strip> {
    let variance = law.sigma * law.sigma;
    // The largest share q e^t/R <= q e^t/(1 - q) of the shifted part of R(x).
    let part = |x: f64| {
        let t = (2.0 * x - 1.0) / (2.0 * variance);
        (law.q / (1.0 - law.q) * t.exp()).min(1.0)
    };
    let (ahead, mirrored) = (part(high), part(law.sigma - low));
    let kept = law.cut.map_or(0.0, |cut| variance / cut.blur());
    let side = law.side;
    (0..STRIPS).flat_map(move |narrower| {
        let b = 3.1 * NARROWER.powi(narrower);
        let gaussian = b * b * (variance + kept * kept) / 2.0;
        let strip = |turned: f64, shrunk: f64| Strip {
            half_width: b * variance,
            growth: gaussian + frequency * b * turned + shrunk,
        };
        // |arg R| <= b, and |R| >= R cos(b/2); or |arg R| <= b s and |R| >= R (1 - s (1 - cos b)) for shares of at
        // most s and b <= π/2.
        let by_half = || -theta * (b / 2.0).cos().ln();
        let by_share = || -theta * (-mirrored * (1.0 - b.cos())).ln_1p();
        let close = b < PI / 2.0;
        let any = match side {
            Side::Remove => (1.0, 0.0),
            Side::Add => (1.0, by_half()),
            Side::Replace => (2.0, by_half()),
        };
        let rare = || match side {
            Side::Remove => (ahead, 0.0),
            Side::Add => (mirrored, by_share()),
            Side::Replace => (ahead + mirrored, by_share()),
        };
        let strips = [Some(any), close.then(rare)];
        strips
            .map(|of| of.map(|(turned, shrunk)| strip(turned, shrunk)))
            .into_iter()
            .flatten()
    })
}

/// What the rule of this `step` between `low` and the end of the law's stretch adds to the error, with what lies beyond,
/// relative to M(θ) = e^`ln_moment`; infinite where it isn't little. Nodes are half a step from either end.
pub(super) fn outside(
    law: &SampledGaussian,
    theta: f64,
    frequency: f64,
    (low, high): (f64, f64),
    step: f64,
    ln_moment: f64,
) -> f64 {
    let ln_scale = -(law.sigma * (2.0 * PI).sqrt()).ln() - ln_moment;
    let size = |x: f64| {
        let loss = law.loss(x);
        (law.ln_density(x, loss) + theta * loss + ln_scale).exp()
    };
    let ends = size(low) + size(high);
    let beyond = match law.side {
        // The tilted density falls on either side of its mode at least as fast as the normal one.
        Side::Add => {
            if law.rises_added(theta, low) && !law.rises_added(theta, high) {
                1.26 * law.sigma * ends
            } else {
                f64::INFINITY
            }
        }
        // Nothing is kept above. Losses increase, and below zero P has at most what N(0, σ²) has.
        Side::Remove | Side::Replace if low < 0.0 => {
            (ln_upper_tail(-low / law.sigma) + theta * law.loss(low) - ln_moment).exp()
        }
        Side::Remove | Side::Replace => f64::INFINITY,
    };
    // Any strip proves a bound; of those in which the rule converges the best one counts. With growth convex, e^growth
    // falls short of what the rule gains by e^{-falls s} at a part s of the width.
    let within = strips(law, theta, (low + law.sigma, high), frequency)
        .map(|strip| {
            let gain = 2.0 * PI * strip.half_width / step;
            (strip.half_width, gain - strip.growth)
        })
        .filter(|(_, falls)| *falls > 1.0)
        .map(|(half_width, falls)| 4.0 * (-falls).exp() + 2.0 * half_width / falls * ends)
        .fold(f64::INFINITY, f64::min);
    let outside = 1.01 * (within + beyond);
    if outside < MOST_OUTSIDE {
        outside
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::super::cut::Cut;
    use super::super::tilted::TiltedLaw;
    use super::*;

    fn laws() -> Vec<(SampledGaussian, f64)> {
        let law = |q, sigma, side| SampledGaussian {
            q,
            sigma,
            side,
            cut: None,
        };
        let cut = |law: SampledGaussian, loss, theta| SampledGaussian {
            cut: Cut::above(law, loss, theta, 1e-12),
            ..law
        };
        vec![
            (cut(law(1e-3, 0.8, Side::Remove), 0.05, 300.0), 300.0),
            (cut(law(1e-5, 1.5, Side::Remove), 1e-4, 1e5), 1e5),
            (cut(law(1e-2, 0.7, Side::Replace), 0.9, 20.0), 20.0),
            (law(1e-4, 2.0, Side::Add), 1e4),
            (law(0.3, 0.6, Side::Add), 3.0),
        ]
    }

    #[test]
    fn the_rule_gives_what_a_much_finer_one_gives() {
        for (law, theta) in laws() {
            assert!(law.ends());
            for turns in [0.3, 1.0, 4.0] {
                let frequency = turns * theta;
                let coarse = TiltedLaw::new(law, theta, frequency).unwrap();
                let fine = TiltedLaw::new(law, theta, 8.0 * frequency).unwrap();
                assert!(fine.nodes() > coarse.nodes(), "{law:?}");
                let error = coarse.error(frequency) + fine.error(8.0 * frequency);
                assert!(error < 1e-12, "{law:?} {error}");
                let [coarse, fine] = [coarse, fine].map(|law| {
                    let cumulants = law.cumulants();
                    let (re, im) = law.characteristic(frequency, 1)[0];
                    let (sin, cos) = (frequency * cumulants.mean).sin_cos();
                    (
                        cumulants.log_moment,
                        re * cos - im * sin,
                        re * sin + im * cos,
                    )
                });
                assert!((coarse.0 - fine.0).abs() < error + 1e-13, "{law:?}");
                let apart = (coarse.1 - fine.1).hypot(coarse.2 - fine.2);
                assert!(apart < error + 1e-13 * (1.0 + turns), "{law:?} {apart}");
            }
        }
    }

    #[test]
    fn a_rule_that_is_too_coarse_or_ends_too_early_says_nothing() {
        for (law, theta) in laws() {
            let ends = law.range(theta);
            let moment = TiltedLaw::new(law, theta, 0.0)
                .unwrap()
                .cumulants()
                .log_moment;
            let step = law.step(theta, theta);
            let close = outside(&law, theta, theta, ends, step, moment);
            assert!(close < 1e-15, "{law:?} {close}");
            let coarse = outside(&law, theta, theta, ends, 3.0 * step, moment);
            assert!(coarse > 1e-12, "{law:?} {coarse}");
            let coarse = outside(&law, theta, theta, ends, 30.0 * step, moment);
            assert_eq!(coarse, f64::INFINITY, "{law:?}");
            // Where the tilted density is largest.
            let size = |x: f64| {
                let loss = law.loss(x);
                law.ln_density(x, loss) + theta * loss
            };
            let places = (0..1000).map(|k| ends.0 + f64::from(k) / 1e3 * (ends.1 - ends.0));
            let most = places.max_by(|a, b| size(*a).total_cmp(&size(*b))).unwrap();
            for early in [(most, ends.1), (ends.0, most)] {
                let early = outside(&law, theta, theta, early, step, moment);
                assert_eq!(early, f64::INFINITY, "{law:?}");
            }
        }
    }
}
