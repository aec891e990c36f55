//! The learning rate over the rounds.

use crate::config::{Decay, ServerSection};

/// The learning rate of `round` (from 1) out of `rounds`: a linear rise over the warm-up, then
/// constant or a line to 0, so that the last round still takes a small step.
pub fn learning_rate(server: &ServerSection, round: u32, rounds: u32) -> f64 {
    let done = f64::from(round.saturating_sub(1));
    let warmup = match server.warmup_rounds {
        0 => 1.0,
        w => (f64::from(round) / f64::from(w)).min(1.0),
    };
    let decay = match server.decay {
        Decay::None => 1.0,
        Decay::Linear => 1.0 - done / f64::from(rounds.max(1)),
    };
    server.learning_rate.get() * warmup * decay.max(0.0)
}
