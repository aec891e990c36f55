//! How long computing an epsilon may take, as far as can be told beforehand.

use umbel_privacy::MechanismEvent;
use umbel_privacy::accountant::mechanisms::Mechanism;

/// Single mechanisms in an event, as written.
pub fn mechanisms(event: &MechanismEvent) -> usize {
    match event {
        MechanismEvent::SelfComposed { event, .. } => mechanisms(event),
        MechanismEvent::Composed { events } => events.iter().map(mechanisms).sum(),
        MechanismEvent::Single(_) => 1,
    }
}

/// Whether an event's numbers are within a few orders of magnitude of what is used.
pub fn is_mild(event: &MechanismEvent) -> bool {
    match event {
        MechanismEvent::Single(mechanism) => is_mild_alone(mechanism),
        MechanismEvent::SelfComposed { event, count } => *count < 1 << 32 && is_mild(event),
        MechanismEvent::Composed { events } => events.iter().all(is_mild),
    }
}

fn is_mild_alone(mechanism: &Mechanism) -> bool {
    let noise = match mechanism {
        Mechanism::Gaussian(it) => it.noise_multiplier,
        Mechanism::PoissonSampledGaussian(it) => it.noise_multiplier,
        Mechanism::TruncatedPoissonGaussian(it) => it.noise_multiplier,
        Mechanism::FixedSizeGaussian(it) => it.noise_multiplier(),
        Mechanism::TreeAggregation(it) => it.noise_multiplier,
        Mechanism::BandedToeplitz(it) => it.noise_multiplier,
        Mechanism::Laplace(it) => it.scale_over_sensitivity,
        Mechanism::DiscreteLaplace(it) => {
            let largest_loss = it.parameter.get() * f64::from(it.integer_sensitivity.get());
            return (1e-4..100.0).contains(&largest_loss);
        }
        Mechanism::NonPrivate(_) => return true,
    };
    (0.01..1e4).contains(&noise.get())
}
