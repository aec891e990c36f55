//! How long computing an epsilon may take, as far as can be told beforehand.

use umbel_privacy::MechanismEvent;

/// Single mechanisms in an event, as written.
pub fn mechanisms(event: &MechanismEvent) -> usize {
    match event {
        MechanismEvent::SelfComposed { event, .. } => mechanisms(event),
        MechanismEvent::Composed { events } => events.iter().map(mechanisms).sum(),
        _ => 1,
    }
}

/// Whether an event's numbers are within a few orders of magnitude of what is used.
pub fn is_mild(event: &MechanismEvent) -> bool {
    match event {
        MechanismEvent::Gaussian { noise_multiplier }
        | MechanismEvent::PoissonSampledGaussian {
            noise_multiplier, ..
        }
        | MechanismEvent::TruncatedPoissonGaussian {
            noise_multiplier, ..
        }
        | MechanismEvent::FixedSizeGaussian {
            noise_multiplier, ..
        }
        | MechanismEvent::TreeAggregation {
            noise_multiplier, ..
        }
        | MechanismEvent::BandedToeplitz {
            noise_multiplier, ..
        } => (0.01..1e4).contains(&noise_multiplier.get()),
        MechanismEvent::Laplace {
            scale_over_sensitivity,
            ..
        } => (0.01..1e4).contains(&scale_over_sensitivity.get()),
        MechanismEvent::DiscreteLaplace {
            parameter,
            integer_sensitivity,
        } => (1e-4..100.0).contains(&(parameter.get() * f64::from(integer_sensitivity.get()))),
        MechanismEvent::NonPrivate => true,
        MechanismEvent::SelfComposed { event, count } => *count < 1 << 32 && is_mild(event),
        MechanismEvent::Composed { events } => events.iter().all(is_mild),
    }
}
