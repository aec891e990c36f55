//! What a contour integrates: sampled Gaussians, whole or cut, closed forms, and one Gaussian.

use super::closed::Closed;
use super::cumulants::Cumulants;
use super::left_out::LeftOut;
use super::loss::cumulants_of;
use super::mixture::TiltedMixture;
use super::sampled_gaussian::SampledGaussian;
use super::tilted::TiltedLaw;
use super::total::Total;

/// What the contour knows, with counts.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) laws: Vec<(Components, f64)>,
    pub(super) closed: Vec<(Closed, f64)>,
}

/// A total of sampled Gaussians, closed forms and one Gaussian.
pub(super) struct Composition {
    pub(super) laws: Vec<(Components, f64)>,
    pub(super) closed: Vec<(Closed, f64)>,
    pub(super) mu_squared: f64,
    pub(super) left_out: LeftOut,
}

impl Composition {
    /// All of `total`; None where its mechanisms aren't all known here, or never make the integrand fall.
    pub(super) fn of(total: &Total) -> Option<Self> {
        let Parts { laws, closed } = total.laws()?;
        // Atoms alone never do.
        if laws.is_empty() && total.mu_squared == 0.0 {
            return None;
        }
        Some(Self {
            laws,
            closed,
            mu_squared: total.mu_squared,
            left_out: LeftOut::NOTHING,
        })
    }

    /// Cumulants of the sum.
    pub(super) fn cumulants(&self, theta: f64) -> Option<Cumulants> {
        let mut total = Cumulants::of_gaussian(self.mu_squared, theta);
        for (law, times) in &self.laws {
            total.add(cumulants_of(law, theta)?, *times);
        }
        for (closed, times) in &self.closed {
            total.add(closed.cumulants(theta), *times);
        }
        (total.log_moment.is_finite() && total.mean.is_finite()).then_some(total)
    }

    /// The laws with their counts, tilted by e^{θL}, for frequencies up to `frequency`.
    pub(super) fn tilted(&self, theta: f64, frequency: f64) -> Option<Vec<(TiltedMixture, f64)>> {
        let laws = self.laws.iter();
        laws.map(|(law, times)| {
            let tilted = TiltedMixture::new(law, |law| TiltedLaw::new(law, theta, frequency))?;
            Some((tilted, *times))
        })
        .collect()
    }

    /// ln of the size of the product of all φ at one frequency, about.
    pub(super) fn ln_size(&self, laws: &[(TiltedMixture, f64)], theta: f64, frequency: f64) -> f64 {
        let ln = |values: &mut dyn Iterator<Item = (f64, f64)>, times: f64| {
            values
                .map(|(re, im)| times * re.hypot(im).ln())
                .sum::<f64>()
        };
        let sampled = laws.iter().map(|(law, times)| {
            let values = law.characteristic(frequency, 1);
            ln(&mut values.into_iter(), *times)
        });
        let closed = self.closed.iter().map(|(closed, times)| {
            let mean = closed.cumulants(theta).mean;
            ln(
                &mut closed.characteristic(theta, mean, frequency, 1),
                *times,
            )
        });
        sampled.sum::<f64>() + closed.sum::<f64>() - self.mu_squared * frequency * frequency / 2.0
    }
}

/// A mixture of sampled Gaussians, with their probabilities.
pub(super) type Components = Vec<(f64, SampledGaussian)>;
