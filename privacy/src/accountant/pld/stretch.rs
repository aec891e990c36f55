//! Stretches of outcomes over which a loss is nearly straight: what they say about high frequencies.

use std::f64::consts::PI;

/// A stretch of x over which L has a slope between λ and 2λ. For a frequency u, shifts by
/// d = 2π/(3uλ) keep the phase u D(x) between 2π/3 and 4π/3, where 2 (1 - |cos(u D/2)|) is
/// at least 1; blocks of 2d tile the stretch but for its end, and in each the least
/// density on one half falls short of the mean by its variation at most. Hence
/// ∫_A min(w(x), w(x+d)) dx >= mass/2 - d (variation + largest density)
/// (privacy/proofs/contour.md, "Decay").
pub(super) struct Stretch {
    half_mass: f64,
    /// What is lost, times u.
    lost: f64,
}

impl Stretch {
    /// By how much it lowers |φ(u)|, for this and every higher frequency.
    pub(super) fn gain(&self, u: f64) -> f64 {
        (self.half_mass - self.lost / u).max(0.0)
    }
}

/// A stretch that cells are added to.
pub(super) struct Builder {
    least: f64,
    most: f64,
    mass: f64,
    variation: f64,
    largest: f64,
}

impl Builder {
    pub(super) fn new(least: f64, most: f64) -> Self {
        Self {
            least,
            most,
            mass: 0.0,
            variation: 0.0,
            largest: 0.0,
        }
    }

    pub(super) fn admits(&self, least: f64, most: f64) -> bool {
        most.max(self.most) <= 2.0 * least.min(self.least)
    }

    pub(super) fn add(&mut self, least: f64, most: f64, low: f64, high: f64, dip: f64, bulge: f64) {
        self.least = self.least.min(least);
        self.most = self.most.max(most);
        self.mass += low * dip;
        self.variation += high - low + 2.0 * (high * (bulge - 1.0) + low * (1.0 - dip));
        self.largest = self.largest.max(high * bulge);
    }

    pub(super) fn finish(self, step: f64) -> Stretch {
        // Any λ with 2λ >= the steepest slope and λ <= the least one serves. A single cell
        // may be steeper than that; it gains nothing.
        let slope = self.most / 2.0;
        if slope > self.least {
            return Stretch {
                half_mass: 0.0,
                lost: 0.0,
            };
        }
        // Weights are densities times the step.
        let lost_by_shift = (self.variation + self.largest) / step;
        Stretch {
            half_mass: self.mass / 2.0,
            lost: lost_by_shift * 2.0 * PI / (3.0 * self.least),
        }
    }
}
