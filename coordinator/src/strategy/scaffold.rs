//! SCAFFOLD (Karimireddy et al. 2020, algorithm 1, option II): FedAvg with control variates. What
//! clients do is in [`umbel_proto::control_variates`].
//!
//! With the clients S of N and their differences Δyᵢ,
//!
//! ```text
//! x ← x + η/|S| Σ Δyᵢ
//! c ← c + 1/N Σ (cᵢ⁺ − cᵢ) = c − |S|/N c − 1/(N K ηₗ) Σ Δyᵢ
//! ```
//!
//! The mean that a strategy gets is g = −1/N Σ Δyᵢ. With s = |S|/N that is `w -= η g / s` and
//! `c += g / (K ηₗ) - s c`.

use super::{ForeignState, State, Step, Strategy, StrategyKind, in_stretches};

pub(super) const KIND: StrategyKind = StrategyKind {
    name: "scaffold",
    title: "SCAFFOLD",
    keys: &[],
    control_variates: true,
    make: |_, parameters| Box::new(Scaffold(State::zeros(1, parameters))),
};

struct Scaffold(State);

impl Strategy for Scaffold {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f64], of: Step) {
        self.0.steps += 1;
        // A plan with control variates is without privacy and has local steps, so that both are
        // there.
        let (Some(share), Some(reach)) = (of.share, of.reach) else {
            return;
        };
        let Some([variate]) = self.0.moments_mut() else {
            return;
        };
        // A round in which nobody took part moves nothing.
        if share <= 0.0 {
            return;
        }
        in_stretches(parameters, gradient, [variate], |w, g, [c]| {
            for ((w, g), c) in w.iter_mut().zip(g).zip(c) {
                *w = (f64::from(*w) - of.learning_rate * g / share) as f32;
                // Rounded as clients get it: they go on from these very numbers.
                *c = f64::from((*c + g / reach - share * *c) as f32);
            }
        });
    }

    fn variate(&self) -> Option<&[f64]> {
        self.0.moments.first().map(|variate| variate.as_slice())
    }

    fn state(&self) -> State {
        self.0.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), ForeignState> {
        self.0.replace(state)
    }
}
