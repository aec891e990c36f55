//! FedYogi (Reddi et al. 2021, algorithm 2): the squares move towards the new ones by a share of
//! the new ones alone, so that they fall slowly. `v -= (1 - β₂) g² sign(v - g²)`,
//! `w -= η m / (√v + τ)`.

use super::{ForeignState, Key, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "fed-yogi",
    title: "FedYogi",
    keys: &[(Key::Beta1, 0.9), (Key::Beta2, 0.99), (Key::Epsilon, 1e-3)],
    control_variates: false,
    make: |keys, parameters| {
        Box::new(FedYogi {
            beta1: keys.get(Key::Beta1),
            beta2: keys.get(Key::Beta2),
            tau: keys.get(Key::Epsilon),
            state: State::zeros(2, parameters),
        })
    },
};

struct FedYogi {
    beta1: f64,
    beta2: f64,
    tau: f64,
    state: State,
}

impl Strategy for FedYogi {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        let learning_rate = of.learning_rate;
        self.state.steps += 1;
        let Some([mean, square]) = self.state.moments_mut() else {
            return;
        };
        let (beta1, beta2, tau) = (self.beta1, self.beta2, self.tau);
        in_stretches(parameters, gradient, [mean, square], |w, g, [m, v]| {
            for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v -= (1.0 - beta2) * g * g * sign(*v - g * g);
                *w = (f64::from(*w) - learning_rate * *m / (v.sqrt() + tau)) as f32;
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

/// The sign, which is 0 of 0; [`f64::signum`] gives 1 there.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}
