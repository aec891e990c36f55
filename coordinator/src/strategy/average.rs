//! An exponential moving average of the parameters over the rounds, as De et al. (2022) release it:
//! noise that rounds add to the parameters cancels out in it. Clients train on the parameters
//! themselves. It is computed from noised parameters, so it costs no privacy.
//!
//! After step t it is `d a + (1 - d) w`, with `d = min(decay, (1 + t) / (10 + t))`, so that the first
//! rounds don't stay in it.

use std::sync::Arc;

use super::{ForeignState, State, in_stretches};

/// The average of one run, beside its strategy.
#[derive(Clone)]
pub(crate) struct Average {
    decay: f64,
    numbers: Arc<Vec<f64>>,
}

impl Average {
    /// Begins with the parameters that a run begins with.
    pub(crate) fn new(decay: f64, parameters: &[f32]) -> Self {
        let numbers = parameters.iter().copied().map(f64::from).collect();
        Self {
            decay,
            numbers: Arc::new(numbers),
        }
    }

    /// Takes in the parameters after step `steps`, from 1.
    pub(crate) fn add(&mut self, steps: u64, parameters: &[f32]) {
        let steps = steps as f64;
        let kept = self.decay.min((1.0 + steps) / (10.0 + steps));
        let numbers = Arc::make_mut(&mut self.numbers);
        in_stretches(numbers, parameters, [], |a, w, []| {
            for (a, w) in a.iter_mut().zip(w) {
                *a = kept * *a + (1.0 - kept) * f64::from(*w);
            }
        });
    }

    /// The averaged parameters.
    pub(crate) fn parameters(&self) -> Arc<[f32]> {
        self.numbers.iter().map(|a| *a as f32).collect()
    }

    /// Puts it behind what the strategy remembers. Both share the numbers until the next step.
    pub(crate) fn remember_in(&self, state: &mut State) {
        state.moments.push(Arc::clone(&self.numbers));
    }

    /// Takes it off a state that [`Self::remember_in`] completed; what is left is the strategy's.
    ///
    /// # Errors
    /// [`ForeignState`] where it isn't of as many parameters.
    pub(crate) fn take_from(&mut self, state: &mut State) -> Result<(), ForeignState> {
        let numbers = state.moments.pop().unwrap_or_default();
        if numbers.len() != self.numbers.len() {
            return Err(ForeignState {
                found: vec![numbers.len()],
                expected: vec![self.numbers.len()],
            });
        }
        self.numbers = numbers;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rounds_weigh_little_and_the_decay_is_the_most_that_is_kept() {
        let mut average = Average::new(0.5, &[4.0]);
        // 2/11 of what was there, then 3/12, then 4/13: all below the decay.
        let mut expected = 4.0;
        for (steps, w) in [(1, 1.0_f32), (2, -1.0), (3, 3.0)] {
            average.add(steps, &[w]);
            let kept = (1.0 + steps as f64) / (10.0 + steps as f64);
            expected = kept * expected + (1.0 - kept) * f64::from(w);
        }
        assert_eq!(*average.numbers, [expected]);
        average.add(100, &[7.0]);
        assert_eq!(*average.numbers, [0.5 * expected + 3.5]);
    }

    #[test]
    fn noise_around_a_point_averages_out() {
        let mut average = Average::new(0.9, &[0.0]);
        for step in 1..=200 {
            let noise = if step % 2 == 0 { 1.0 } else { -1.0 };
            average.add(step, &[3.0 + noise]);
        }
        assert!((average.parameters()[0] - 3.0).abs() < 0.1);
    }

    #[test]
    fn what_was_remembered_goes_on_with_the_same_bits() {
        let mut whole = Average::new(0.9, &[1.0, 2.0]);
        let w = |step: u64| [(step as f32).sin(), (step as f32).cos()];
        (1..=5).for_each(|step| whole.add(step, &w(step)));
        let mut state = State::zeros(2, 2);
        let of_the_strategy = state.clone();
        whole.remember_in(&mut state);
        let mut second = Average::new(0.9, &[0.0, 0.0]);
        second.take_from(&mut state).expect("its own");
        assert_eq!(state, of_the_strategy);
        for step in 6..=10 {
            whole.add(step, &w(step));
            second.add(step, &w(step));
        }
        assert_eq!(whole.numbers, second.numbers);
    }

    #[test]
    fn a_state_without_an_average_is_refused() {
        let mut average = Average::new(0.9, &[1.0, 2.0]);
        assert!(average.take_from(&mut State::zeros(0, 2)).is_err());
        assert!(average.take_from(&mut State::zeros(1, 3)).is_err());
    }
}
