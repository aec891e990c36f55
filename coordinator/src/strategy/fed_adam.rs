//! FedAdam as Reddi et al. (2021, algorithm 2) have it, with the correction that Flower adds:
//! `w -= η √(1 - β₂ᵗ⁺¹) / (1 - β₁ᵗ⁺¹) · m / (√v + τ)`, t from 1.

use super::{ForeignState, Key, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "fed-adam",
    title: "FedAdam",
    keys: &[(Key::Beta1, 0.9), (Key::Beta2, 0.99), (Key::Epsilon, 1e-3)],
    control_variates: false,
    make: |keys, parameters| {
        Box::new(FedAdam {
            beta1: keys.get(Key::Beta1),
            beta2: keys.get(Key::Beta2),
            tau: keys.get(Key::Epsilon),
            state: State::zeros(2, parameters),
        })
    },
};

struct FedAdam {
    beta1: f64,
    beta2: f64,
    tau: f64,
    state: State,
}

impl Strategy for FedAdam {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        let learning_rate = of.learning_rate;
        self.state.steps += 1;
        let next = i32::try_from(self.state.steps + 1).unwrap_or(i32::MAX);
        let Some([mean, square]) = self.state.moments_mut() else {
            return;
        };
        let correction = (1.0 - self.beta2.powi(next)).sqrt() / (1.0 - self.beta1.powi(next));
        let rate = learning_rate * correction;
        let (beta1, beta2, tau) = (self.beta1, self.beta2, self.tau);
        in_stretches(parameters, gradient, [mean, square], |w, g, [m, v]| {
            for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                *w = (f64::from(*w) - rate * *m / (v.sqrt() + tau)) as f32;
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
