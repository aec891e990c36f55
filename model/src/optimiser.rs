//! Optimisers over flat parameters, for the local steps of sites. The coordinator has strategies.
//!
//! State and arithmetic are f64; the parameters themselves are the f32 that travel, so
//! every machine goes on from the same bits.

/// How an optimiser turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimiserConfig {
    /// Stochastic gradient descent, with heavy-ball momentum (0 for none) and L2 weight decay
    /// (0 for none): `m = mu m + g + wd w; w -= lr m`.
    Sgd {
        /// `mu`.
        momentum: f64,
        /// `wd`.
        weight_decay: f64,
    },
    /// Adam with bias correction (Kingma and Ba 2015) and decoupled weight decay
    /// (Loshchilov and Hutter 2019, algorithm 2): `w -= lr (m̂ / (√v̂ + ε) + wd w)`.
    Adam {
        /// Decay of the mean.
        beta1: f64,
        /// Decay of the squares.
        beta2: f64,
        /// `ε`, added to the root mean square.
        epsilon: f64,
        /// `wd`.
        weight_decay: f64,
    },
}

/// An optimiser with its state, for a fixed number of parameters.
#[derive(Clone, Debug)]
pub struct Optimiser {
    config: OptimiserConfig,
    /// Momentum of SGD, or Adam's mean.
    mean: Vec<f64>,
    /// Adam's squares.
    square: Vec<f64>,
    steps: i32,
}

impl Optimiser {
    /// A fresh optimiser for `parameters` numbers.
    pub fn new(config: OptimiserConfig, parameters: usize) -> Self {
        let squares = match config {
            OptimiserConfig::Sgd { .. } => 0,
            OptimiserConfig::Adam { .. } => parameters,
        };
        Self {
            config,
            mean: vec![0.0; parameters],
            square: vec![0.0; squares],
            steps: 0,
        }
    }

    /// Takes one step down `gradient` at learning rate `rate`. Parameters and gradient have
    /// the length that the optimiser was made for.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f64], rate: f64) {
        self.steps = self.steps.saturating_add(1);
        match self.config {
            OptimiserConfig::Sgd {
                momentum,
                weight_decay,
            } => {
                for ((w, g), m) in parameters.iter_mut().zip(gradient).zip(&mut self.mean) {
                    let before = f64::from(*w);
                    *m = momentum * *m + g + weight_decay * before;
                    *w = (before - rate * *m) as f32;
                }
            }
            OptimiserConfig::Adam {
                beta1,
                beta2,
                epsilon,
                weight_decay,
            } => {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: OptimiserConfig, gradients: &[f64], rate: f64) -> f32 {
        let mut optimiser = Optimiser::new(config, 1);
        let mut w = [1.0];
        for g in gradients {
            optimiser.step(&mut w, &[*g], rate);
        }
        w[0]
    }

    #[test]
    fn sgd_goes_down_the_gradient() {
        let config = OptimiserConfig::Sgd {
            momentum: 0.0,
            weight_decay: 0.0,
        };
        assert_eq!(run(config, &[2.0, 1.0], 0.25), 0.25);
    }

    #[test]
    fn momentum_remembers_earlier_gradients() {
        let config = OptimiserConfig::Sgd {
            momentum: 0.5,
            weight_decay: 0.0,
        };
        // m = 1, then 0.5 * 1 + 1 = 1.5.
        assert_eq!(run(config, &[1.0, 1.0], 0.125), 1.0 - 0.125 * 2.5);
    }

    #[test]
    fn sgd_weight_decay_pulls_towards_zero() {
        let config = OptimiserConfig::Sgd {
            momentum: 0.0,
            weight_decay: 0.5,
        };
        assert_eq!(run(config, &[0.0], 0.5), 0.75);
    }

    #[test]
    fn the_first_adam_step_is_the_learning_rate_whatever_the_gradient() {
        let config = OptimiserConfig::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        };
        for gradient in [1e-3, 1.0, 1e3] {
            assert!((run(config, &[gradient], 0.01) - 0.99).abs() < 1e-6);
        }
    }

    #[test]
    fn adam_weight_decay_is_decoupled_from_the_gradient() {
        let config = OptimiserConfig::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.1,
        };
        assert!((run(config, &[0.0], 0.5) - 0.95).abs() < 1e-7);
    }
}
