//! Accountants of mechanisms without sampling: zero-concentrated and Gaussian differential
//! privacy. Both have one number for everything composed; they refuse what they don't know.

use crate::accountant::event::MechanismEvent;
use crate::accountant::mechanisms::{Known, Mechanism, sensitivity};
use crate::accountant::{Accountant, AccountingError, Delta, Epsilon, conversion, gaussian};
use crate::unit::Adjacency;

/// Σ (sensitivity/σ)² over Gaussians without sampling.
#[derive(Clone, Copy, Debug)]
struct MuSquared {
    adjacency: Adjacency,
    value: f64,
}

impl MuSquared {
    fn add(
        &mut self,
        event: &MechanismEvent,
        count: u64,
        accountant: &'static str,
    ) -> Result<(), AccountingError> {
        let mut total = self.value;
        for (mechanism, count) in event.mechanisms(count)? {
            if let Some(sigma) = mechanism.unsampled_sigma() {
                let mu = sensitivity(self.adjacency) / sigma;
                total += count as f64 * mu * mu;
            } else if !matches!(mechanism, Mechanism::NonPrivate(_)) {
                return Err(AccountingError::Unsupported {
                    accountant,
                    mechanism: mechanism.name(),
                    adjacency: self.adjacency,
                });
            } else if count > 0 {
                total = f64::INFINITY;
            }
        }
        self.value = total;
        Ok(())
    }
}

/// Zero-concentrated differential privacy (Bun & Steinke 2016): a Gaussian mechanism has
/// ρ = (sensitivity/σ)²/2, and ρ adds up.
#[derive(Clone, Copy, Debug)]
pub struct ZcdpAccountant(MuSquared);

/// Gaussian differential privacy (Dong, Roth & Su 2022): μ = √Σ (sensitivity/σ)², exact.
#[derive(Clone, Copy, Debug)]
pub struct GdpAccountant(MuSquared);

impl ZcdpAccountant {
    /// An accountant that has seen nothing.
    pub fn new(adjacency: Adjacency) -> Self {
        Self(MuSquared {
            adjacency,
            value: 0.0,
        })
    }

    /// ρ of everything composed so far.
    pub fn rho(&self) -> f64 {
        self.0.value / 2.0
    }
}

impl GdpAccountant {
    /// An accountant that has seen nothing.
    pub fn new(adjacency: Adjacency) -> Self {
        Self(MuSquared {
            adjacency,
            value: 0.0,
        })
    }

    /// μ of everything composed so far.
    pub fn mu(&self) -> f64 {
        self.0.value.sqrt()
    }
}

impl Accountant for ZcdpAccountant {
    fn adjacency(&self) -> Adjacency {
        self.0.adjacency
    }

    fn compose(&mut self, event: &MechanismEvent, count: u64) -> Result<(), AccountingError> {
        self.0.add(event, count, "zcdp")
    }

    /// ρ-zCDP is RDP of α ρ at every order, so the tight conversion is minimised over
    /// orders from 1.01 to 10⁶, closely spaced. Any order gives a valid bound.
    fn epsilon(&self, delta: Delta) -> Epsilon {
        let rho = self.rho();
        if rho == 0.0 {
            return Epsilon::ZERO;
        }
        if !rho.is_finite() {
            return Epsilon::INFINITE;
        }
        let orders = (0..8000).map(|step| 1.0 + 0.011 * (f64::from(step) * 0.0023).exp());
        conversion::epsilon(orders.map(|order| (order, order * rho)), delta)
    }
}

impl Accountant for GdpAccountant {
    fn adjacency(&self) -> Adjacency {
        self.0.adjacency
    }

    fn compose(&mut self, event: &MechanismEvent, count: u64) -> Result<(), AccountingError> {
        self.0.add(event, count, "gdp")
    }

    fn epsilon(&self, delta: Delta) -> Epsilon {
        gaussian::epsilon(self.mu(), delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::event::NoiseMultiplier;
    use crate::poisson::SamplingRate;

    fn sigma(value: f64) -> NoiseMultiplier {
        NoiseMultiplier::try_from(value).unwrap()
    }

    #[test]
    fn concentrated_privacy_bounds_the_exact_figure_closely() {
        let delta = Delta::try_from(1e-6).unwrap();
        for adjacency in [Adjacency::AddOrRemove, Adjacency::ReplaceOne] {
            let mut zcdp = ZcdpAccountant::new(adjacency);
            let mut gdp = GdpAccountant::new(adjacency);
            for (noise, count) in [(8.0, 10), (5.0, 3)] {
                let event = MechanismEvent::gaussian(sigma(noise));
                zcdp.compose(&event, count).unwrap();
                gdp.compose(&event, count).unwrap();
            }
            let (bound, exact) = (zcdp.epsilon(delta).get(), gdp.epsilon(delta).get());
            assert!(bound >= exact && bound <= exact * 1.15, "{bound} {exact}");
        }
    }

    #[test]
    fn sampled_mechanisms_are_refused() {
        let sampled =
            MechanismEvent::poisson_gaussian(SamplingRate::try_from(0.1).unwrap(), sigma(1.0));
        let mut zcdp = ZcdpAccountant::new(Adjacency::AddOrRemove);
        let refused = zcdp.compose(&sampled, 1).unwrap_err().to_string();
        assert!(
            refused.contains("zcdp") && refused.contains("Poisson"),
            "{refused}"
        );
        assert!(
            GdpAccountant::new(Adjacency::AddOrRemove)
                .compose(&sampled, 1)
                .is_err()
        );
    }
}
