//! How fast the integrand of [`super::contour`] surely falls: a bound on all the points
//! that are left out (privacy/proofs/contour.md, "Decay").

use super::composition::Composition;
use super::coupling::Coupling;
use super::mixture::TiltedMixture;
use super::stretch::Stretch;
use super::tilted::TiltedLaw;

/// Bands of frequencies that the tail is bounded in.
const MOST_BANDS: usize = 120;

/// Cells for each narrowest feature of a density, and how many there are where laws are more than so many.
const FINE: f64 = 24.0;
const COARSE: f64 = 8.0;
const MANY: usize = 64;

/// ln of what is so little that no better bound is looked for.
const LN_NOTHING: f64 = -80.0;

/// What is proven about the decay of the integrand.
pub(super) struct Decay {
    laws: Vec<Decaying>,
    mu_squared: f64,
}

struct Decaying {
    law: TiltedMixture,
    times: f64,
    /// For each part of the mixture, its share and what bounds |φ| at high frequencies.
    stretches: Vec<(f64, Vec<Stretch>)>,
    couplings: Vec<(f64, Coupling)>,
}

impl Decaying {
    /// ln of a bound on |φ(u)|^n for every u in [`low`, `high`].
    fn ln_between(&self, low: f64, high: f64) -> f64 {
        let couplings = self.couplings.iter();
        let coupled: f64 = couplings
            .map(|(share, coupling)| share * coupling.bound_between(low, high))
            .sum();
        let mut bound = coupled;
        if self.times * bound.ln() > LN_NOTHING {
            bound = bound.min(self.law.bound_between(low, high));
        }
        (self.times * (bound + 64.0 * f64::EPSILON).ln()).min(self.ln_beyond(low))
    }

    /// ln of a bound on |φ(u)|^n for every u >= `low`.
    fn ln_beyond(&self, low: f64) -> f64 {
        let bound: f64 = self
            .stretches
            .iter()
            .map(|(share, stretches)| {
                let gain: f64 = stretches.iter().map(|stretch| stretch.gain(low)).sum();
                share * (1.0 - gain)
            })
            .sum();
        self.times * (bound + 64.0 * f64::EPSILON).ln().min(0.0)
    }
}

impl Decay {
    pub(super) fn of(composition: &Composition, theta: f64) -> Option<Self> {
        let parts = if composition.laws.len() > MANY {
            COARSE
        } else {
            FINE
        };
        let laws = composition
            .laws
            .iter()
            .map(|(law, times)| {
                let law = TiltedMixture::new(law, |law| TiltedLaw::finely(law, theta, parts))?;
                let stretches = law.stretches();
                let couplings = law.couplings();
                Some(Decaying {
                    law,
                    times: *times,
                    stretches,
                    couplings,
                })
            })
            .collect::<Option<_>>()?;
        Some(Self {
            laws,
            mu_squared: composition.mu_squared,
        })
    }

    /// ln of a bound on the product of all |φ|^n for every u >= `low`.
    fn ln_beyond(&self, low: f64) -> f64 {
        let sampled: f64 = self.laws.iter().map(|law| law.ln_beyond(low)).sum();
        sampled - self.mu_squared * low * low / 2.0
    }

    /// ln of a bound on the product for every u in [`low`, `high`].
    fn ln_between(&self, low: f64, high: f64) -> f64 {
        let sampled: f64 = self.laws.iter().map(|law| law.ln_between(low, high)).sum();
        sampled - self.mu_squared * low * low / 2.0
    }

    /// A bound on Σ Π |φ|^n / |z(z+1)| over the points u >= `from`, to about `goal`; None where it is above `most`.
    pub(super) fn tail(&self, spacing: f64, from: f64, goal: f64, most: f64) -> Option<f64> {
        let within = |tail: f64| (tail <= most).then_some(tail);
        // Σ 1/u² over points in [low, high) is at most (1/Δ)(1/(low - Δ) - 1/(high - Δ)).
        let inverse_squares = |low: f64, high: f64| {
            (1.0 / (low - spacing) - 1.0 / (high - spacing)).max(0.0) / spacing
        };
        let mut total = 0.0;
        let mut low = from;
        let mut ratio = 1.2;
        for _ in 0..MOST_BANDS {
            let rest = self.ln_beyond(low).exp() * inverse_squares(low, f64::INFINITY);
            if rest < goal {
                return within(total + rest);
            }
            let ln_bound = self.ln_between(low, low * ratio);
            total += ln_bound.exp() * inverse_squares(low, low * ratio);
            within(total)?;
            low *= ratio;
            // Wide bands where there is much to spare.
            ratio = if ln_bound < goal.ln() - 30.0 {
                1.5
            } else {
                1.2
            };
        }
        within(total + self.ln_beyond(low).exp() * inverse_squares(low, f64::INFINITY))
    }
}
