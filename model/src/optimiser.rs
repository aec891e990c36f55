//! Optimisers over flat parameters, for the local steps of sites. The coordinator has strategies.
//!
//! State and arithmetic are f64; the parameters themselves are the f32 that travel, so
//! every machine goes on from the same bits.

use umbel_proto::method::{LocalOptimisation, LocalOptimiser};

/// Decay of Adam's mean and of its squares, and what is added to the root of the squares: those
/// of Kingma and Ba (2015), algorithm 1.
const ADAM: (f64, f64, f64) = (0.9, 0.999, 1e-8);

/// An optimiser with its state, for a fixed number of parameters.
#[derive(Clone, Debug)]
pub struct Optimiser {
    rule: LocalOptimisation,
    /// Momentum of SGD, or Adam's mean.
    mean: Vec<f64>,
    /// Adam's squares.
    square: Vec<f64>,
    steps: i32,
}

impl Optimiser {
    /// A fresh optimiser for `parameters` numbers.
    pub fn new(rule: LocalOptimisation, parameters: usize) -> Self {
        let squares = match rule.optimiser {
            LocalOptimiser::Sgd => 0,
            LocalOptimiser::AdamW => parameters,
        };
        Self {
            rule,
            mean: vec![0.0; parameters],
            square: vec![0.0; squares],
            steps: 0,
        }
    }

    /// Takes one step down `gradient`. Parameters and gradient have the length that the
    /// optimiser was made for.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f64]) {
        self.steps = self.steps.saturating_add(1);
        match self.rule.optimiser {
            LocalOptimiser::Sgd => self.sgd(parameters, gradient),
            LocalOptimiser::AdamW => self.adam_w(parameters, gradient),
        }
    }

    /// Heavy-ball momentum and L2 weight decay: `m = mu m + g + wd w; w -= lr m`.
    fn sgd(&mut self, parameters: &mut [f32], gradient: &[f64]) {
        let momentum = self.rule.momentum.get();
        let weight_decay = self.rule.weight_decay.get();
        let rate = self.rule.learning_rate.get();
        for ((w, g), m) in parameters.iter_mut().zip(gradient).zip(&mut self.mean) {
            let before = f64::from(*w);
            *m = momentum * *m + g + weight_decay * before;
            *w = (before - rate * *m) as f32;
        }
    }

    /// Adam with bias correction (Kingma and Ba 2015) and decoupled weight decay
    /// (Loshchilov and Hutter 2019, algorithm 2): `w -= lr (m̂ / (√v̂ + ε) + wd w)`.
    fn adam_w(&mut self, parameters: &mut [f32], gradient: &[f64]) {
        let (beta1, beta2, epsilon) = ADAM;
        let weight_decay = self.rule.weight_decay.get();
        let rate = self.rule.learning_rate.get();
        let mean_correction = 1.0 - beta1.powi(self.steps);
        let square_correction = 1.0 - beta2.powi(self.steps);
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((w, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let before = f64::from(*w);
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            let root = (*v / square_correction).sqrt() + epsilon;
            let step = (*m / mean_correction) / root + weight_decay * before;
            *w = (before - rate * step) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule that a test reads as configurations write it.
    fn run(rule: &str, rate: f64, gradients: &[f64]) -> f32 {
        let rule = format!(r#"{{"steps": 1, "batch": 1, "learning_rate": {rate}, {rule}}}"#);
        let rule = serde_json::from_str(&rule).expect("a rule");
        let mut optimiser = Optimiser::new(rule, 1);
        let mut w = [1.0];
        for g in gradients {
            optimiser.step(&mut w, &[*g]);
        }
        w[0]
    }

    #[test]
    fn sgd_goes_down_the_gradient() {
        assert_eq!(run(r#""optimiser": "sgd""#, 0.25, &[2.0, 1.0]), 0.25);
    }

    #[test]
    fn momentum_remembers_earlier_gradients() {
        let rule = r#""optimiser": "sgd", "momentum": 0.5"#;
        // m = 1, then 0.5 * 1 + 1 = 1.5.
        assert_eq!(run(rule, 0.125, &[1.0, 1.0]), 1.0 - 0.125 * 2.5);
    }

    #[test]
    fn sgd_weight_decay_pulls_towards_zero() {
        let rule = r#""optimiser": "sgd", "weight_decay": 0.5"#;
        assert_eq!(run(rule, 0.5, &[0.0]), 0.75);
    }

    #[test]
    fn the_first_adam_step_is_the_learning_rate_whatever_the_gradient() {
        for gradient in [1e-3, 1.0, 1e3] {
            let found = run(r#""optimiser": "adam-w""#, 0.01, &[gradient]);
            assert!((found - 0.99).abs() < 1e-6);
        }
    }

    #[test]
    fn adam_weight_decay_is_decoupled_from_the_gradient() {
        let rule = r#""optimiser": "adam-w", "weight_decay": 0.1"#;
        assert!((run(rule, 0.5, &[0.0]) - 0.95).abs() < 1e-7);
    }
}
