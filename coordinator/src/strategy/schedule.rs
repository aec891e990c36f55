//! The learning rate over the rounds.

use std::f64::consts::PI;

use crate::config::{Decay, ServerSection};

/// By what the rate falls at a step, unless the configuration says.
const STEP_FACTOR: f64 = 0.1;

/// The learning rate of `round` (from 1) out of `rounds`: a linear rise over the warm-up, then
/// constant or falling, so that the last round still takes a small step.
pub fn learning_rate(server: &ServerSection, round: u32, rounds: u32) -> f64 {
    let done = f64::from(round.saturating_sub(1));
    let share = done / f64::from(rounds.max(1));
    let warmup = match server.warmup_rounds {
        0 => 1.0,
        w => (f64::from(round) / f64::from(w)).min(1.0),
    };
    let decay = match server.decay {
        Decay::None => 1.0,
        Decay::Linear => 1.0 - share,
        Decay::Cosine => 0.5 * (1.0 + (PI * share.min(1.0)).cos()),
        Decay::Step => {
            let every = server.step_rounds.unwrap_or(rounds.div_ceil(3)).max(1);
            let steps = round.saturating_sub(1) / every;
            let factor = server.step_factor.unwrap_or(STEP_FACTOR);
            factor.powi(i32::try_from(steps).unwrap_or(i32::MAX))
        }
    };
    server.learning_rate.get() * warmup * decay.max(0.0)
}
