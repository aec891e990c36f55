//! FedSGD and FedAvg (McMahan et al. 2017): plain steps down the mean.

use super::{ForeignState, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "sgd",
    title: "SGD",
    keys: &[],
    control_variates: false,
    make: |_, parameters| Box::new(FedAvg(State::zeros(0, parameters))),
};

struct FedAvg(State);

impl Strategy for FedAvg {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        let learning_rate = of.learning_rate;
        self.0.steps += 1;
        in_stretches(parameters, gradient, [], |w, g, []| {
            for (w, g) in w.iter_mut().zip(g) {
                *w = (f64::from(*w) - learning_rate * g) as f32;
            }
        });
    }

    fn state(&self) -> State {
        self.0.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), ForeignState> {
        self.0.replace(state)
    }
}
