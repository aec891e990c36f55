//! Adam (Kingma and Ba 2015) on the server, with its usual correction for the first steps:
//! `w -= η (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)`.

use super::{ForeignState, Key, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "adam",
    title: "Adam",
    keys: &[
        (Key::Beta1, 0.9),
        (Key::Beta2, 0.999),
        // Some parameters (the bias of attention's keys) have a gradient of exactly zero, and with
        // the usual 1e-8 Adam would blow up what rounding leaves of it to whole steps.
        (Key::Epsilon, 1e-6),
    ],
    control_variates: false,
    make: |keys, parameters| {
        Box::new(Adam {
            beta1: keys.get(Key::Beta1),
            beta2: keys.get(Key::Beta2),
            epsilon: keys.get(Key::Epsilon),
            state: State::zeros(2, parameters),
        })
    },
};

struct Adam {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    state: State,
}

impl Strategy for Adam {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        let learning_rate = of.learning_rate;
        self.state.steps += 1;
        let steps = i32::try_from(self.state.steps).unwrap_or(i32::MAX);
        let Some([mean, square]) = self.state.moments_mut() else {
            return;
        };
        let mean_correction = 1.0 - self.beta1.powi(steps);
        let square_correction = 1.0 - self.beta2.powi(steps);
        let (beta1, beta2, epsilon) = (self.beta1, self.beta2, self.epsilon);
        in_stretches(parameters, gradient, [mean, square], |w, g, [m, v]| {
            for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                let root = (*v / square_correction).sqrt() + epsilon;
                let step = (*m / mean_correction) / root;
                *w = (f64::from(*w) - learning_rate * step) as f32;
            }
        });
    }

    fn state(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), ForeignState> {
        self.state.replace(state)
    }
}
