//! Mixtures of tilted laws: what is known of the parts, put together.

use super::coupling::Coupling;
use super::sampled_gaussian::SampledGaussian;
use super::stretch::Stretch;
use super::tilted::TiltedLaw;

/// A mixture of laws, tilted by e^{θL}.
pub(super) struct TiltedMixture {
    /// Each part with its share after tilting; the shares add up to 1.
    parts: Vec<(f64, TiltedLaw)>,
    mean: f64,
}

impl TiltedMixture {
    /// The parts of `components` (probability, law), tilted by `tilt`.
    pub(super) fn new(
        components: &[(f64, SampledGaussian)],
        tilt: impl Fn(SampledGaussian) -> Option<TiltedLaw>,
    ) -> Option<Self> {
        let parts: Vec<(f64, TiltedLaw)> = components
            .iter()
            .filter(|(share, _)| *share > 0.0)
            .map(|&(share, law)| Some((share, tilt(law)?)))
            .collect::<Option<_>>()?;
        let largest = parts.iter().fold(f64::NEG_INFINITY, |most, (_, law)| {
            most.max(law.cumulants().log_moment)
        });
        let weight =
            |share: f64, law: &TiltedLaw| share * (law.cumulants().log_moment - largest).exp();
        let sum: f64 = parts.iter().map(|(share, law)| weight(*share, law)).sum();
        let parts: Vec<(f64, TiltedLaw)> = parts
            .into_iter()
            .map(|(share, law)| (weight(share, &law) / sum, law))
            .collect();
        let mean = parts
            .iter()
            .map(|(share, law)| share * law.cumulants().mean)
            .sum();
        Some(Self { parts, mean })
    }

    pub(super) fn nodes(&self) -> usize {
        self.parts.iter().map(|(_, law)| law.nodes()).sum()
    }

    /// See [`TiltedLaw::error`].
    pub(super) fn error(&self, frequency: f64) -> f64 {
        let parts = self
            .parts
            .iter()
            .map(|(share, law)| share * law.error(frequency));
        // A shift of the mean turns the part's phase.
        let shifts = self.parts.iter().map(|(share, law)| {
            4.0 * f64::EPSILON * share * frequency * (law.cumulants().mean - self.mean).abs()
        });
        parts.sum::<f64>() + shifts.sum::<f64>()
    }

    /// See [`TiltedLaw::characteristic`].
    pub(super) fn characteristic(&self, spacing: f64, count: usize) -> Vec<(f64, f64)> {
        let mut total = vec![(0.0, 0.0); count];
        for (share, law) in &self.parts {
            let shift = law.cumulants().mean - self.mean;
            let values = law.characteristic(spacing, count);
            for (k, (total, (re, im))) in total.iter_mut().zip(values).enumerate() {
                let (sin, cos) = ((k + 1) as f64 * spacing * shift).sin_cos();
                total.0 += share * (re * cos - im * sin);
                total.1 += share * (re * sin + im * cos);
            }
        }
        total
    }

    /// See [`TiltedLaw::bound_between`].
    pub(super) fn bound_between(&self, low: f64, high: f64) -> f64 {
        self.parts
            .iter()
            .map(|(share, law)| share * law.bound_between(low, high))
            .sum()
    }

    /// Each part's share with its blocks.
    pub(super) fn couplings(&self) -> Vec<(f64, Coupling)> {
        let parts = self.parts.iter();
        parts.map(|(share, law)| (*share, law.coupling())).collect()
    }

    /// Each part's share with its stretches.
    pub(super) fn stretches(&self) -> Vec<(f64, Vec<Stretch>)> {
        self.parts
            .iter()
            .map(|(share, law)| (*share, law.stretches()))
            .collect()
    }
}
