//! SCAFFOLD's control variates (Karimireddy et al. 2020, algorithm 1, option II), as a client
//! computes with them.
//!
//! Each client i keeps a variate cᵢ, its estimate of its own gradient, and the server one, c, the
//! mean of all of theirs. A local step goes down g − cᵢ + c instead of g, so that clients whose
//! data differ drift apart less. After K steps of learning rate η that made the difference Δy,
//!
//! ```text
//! cᵢ⁺ = cᵢ − c − Δy / (K η)
//! ```
//!
//! so that cᵢ⁺ − cᵢ follows from Δy, which the client sends anyway, and from c. The server can
//! therefore move c by the sum of the differences alone, and no variate leaves a site.

use crate::method::LocalOptimisation;

/// How far K steps of learning rate η go down a gradient of length one: K η.
pub fn reach(local: &LocalOptimisation) -> f64 {
    f64::from(local.steps.get()) * local.learning_rate.get()
}

/// Corrects a local gradient: adds `server − own` to it. All have one number for each parameter.
pub fn correct(gradient: &mut [f64], server: &[f32], own: &[f32]) {
    for ((g, c), own) in gradient.iter_mut().zip(server).zip(own) {
        *g += f64::from(*c) - f64::from(*own);
    }
}

/// A client's variate after a round in which it made this difference. `reach` is [`reach()`].
pub fn moved(own: &[f32], server: &[f32], difference: &[f64], reach: f64) -> Vec<f32> {
    let variates = own.iter().zip(server).zip(difference);
    variates
        .map(|((own, c), delta)| (f64::from(*own) - f64::from(*c) - delta / reach) as f32)
        .collect()
}
