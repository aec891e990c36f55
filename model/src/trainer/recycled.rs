//! Sums' memory, used again: fresh from the system, tens of megabytes cost a step of a small batch
//! some percent of its time.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Memory that nobody uses at the moment; shared by all models of the process.
///
/// Locked to take or give one vector; what it holds may be another site's sum, so whoever takes one
/// overwrites it whole.
static IDLE: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());

/// `len` zeros, in memory that was given back if there is some of that length.
pub(super) fn zeros(len: usize) -> Vec<f64> {
    let found = {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let place = idle.iter().position(|buffer| buffer.len() == len);
        place.map(|place| idle.swap_remove(place))
    };
    match found {
        Some(mut buffer) => {
            buffer
                .par_chunks_mut(1 << 16)
                .for_each(|part| part.fill(0.0));
            buffer
        }
        // Written by all threads, and not taken as untouched pages from the system: those are
        // mapped twice where they are read before they are written.
        None => (0..len).into_par_iter().map(|_| 0.0).collect(),
    }
}

/// Keeps a sum's memory for the next one of its length. What was kept for another length is let
/// go, so that no more is kept than is in use.
pub(super) fn give_back(sum: Vec<f64>) {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    idle.retain(|buffer| buffer.len() == sum.len());
    idle.push(sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_again_is_zero_and_as_long_as_asked() {
        for len in [3, 0, 3, 5, 3] {
            let mut sum = zeros(len);
            assert_eq!(sum, vec![0.0; len]);
            sum.fill(7.0);
            give_back(sum);
        }
    }
}
