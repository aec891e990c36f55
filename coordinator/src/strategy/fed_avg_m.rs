//! FedAvgM (Hsu et al. 2019): steps with heavy-ball momentum, `m = μ m + g; w -= η m`.

use super::{ForeignState, Key, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "momentum",
    title: "SGD with momentum",
    keys: &[(Key::Momentum, 0.9)],
    control_variates: false,
    make: |keys, parameters| {
        Box::new(FedAvgM {
            momentum: keys.get(Key::Momentum),
            state: State::zeros(1, parameters),
        })
    },
};

struct FedAvgM {
    momentum: f64,
    state: State,
}

impl Strategy for FedAvgM {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        let learning_rate = of.learning_rate;
        self.state.steps += 1;
        let Some([mean]) = self.state.moments_mut() else {
            return;
        };
        let momentum = self.momentum;
        in_stretches(parameters, gradient, [mean], |w, g, [m]| {
            for ((w, g), m) in w.iter_mut().zip(g).zip(m) {
                *m = momentum * *m + g;
                *w = (f64::from(*w) - learning_rate * *m) as f32;
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
