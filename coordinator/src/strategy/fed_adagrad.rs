//! FedAdagrad (Reddi et al. 2021, algorithm 2, without momentum): each parameter's steps get
//! smaller as its squares add up. `v += g²`, `w -= η g / (√v + τ)`.

use super::{ForeignState, Key, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "fed-adagrad",
    title: "FedAdagrad",
    keys: &[(Key::Epsilon, 1e-3)],
    control_variates: false,
    make: |keys, parameters| {
        Box::new(FedAdagrad {
            tau: keys.get(Key::Epsilon),
            state: State::zeros(1, parameters),
        })
    },
};

struct FedAdagrad {
    tau: f64,
    state: State,
}

impl Strategy for FedAdagrad {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        let learning_rate = of.learning_rate;
        self.state.steps += 1;
        let Some([square]) = self.state.moments_mut() else {
            return;
        };
        let tau = self.tau;
        in_stretches(parameters, gradient, [square], |w, g, [v]| {
            for ((w, g), v) in w.iter_mut().zip(g).zip(v) {
                *v += g * g;
                *w = (f64::from(*w) - learning_rate * g / (v.sqrt() + tau)) as f32;
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
