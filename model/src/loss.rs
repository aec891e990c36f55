//! The loss of a row, and its derivative by the row's scores.
//!
//! The CPU's trainer takes them from here. A GPU's has the same losses as tensors
//! ([`crate::trainer`]), and a test compares both. Whatever is multiplied in here, such as the weight of a
//! class, is part of the row's gradient before that is clipped, so it changes no sensitivity.

use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::task::Task;

use crate::metrics::{binary_cross_entropy, cross_entropy, softmax};
use crate::target::Target;
use crate::task::sigmoid;

/// How far a row's answers are from its target.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    task: Task,
    /// By label; none where all count alike.
    weights: Option<Vec<f64>>,
}

impl Loss {
    /// That of a run.
    pub(crate) fn of(options: &ClassifierOptions) -> Self {
        let weights = options.class_weights.as_ref();
        Self {
            task: options.task,
            weights: weights.map(|weights| weights.iter().map(|w| w.get()).collect()),
        }
    }

    /// What it is a loss of.
    pub(crate) fn task(&self) -> Task {
        self.task
    }

    /// What a row of this target counts.
    pub(crate) fn weight(&self, target: &Target) -> f64 {
        match (&self.weights, target) {
            (Some(weights), Target::Class(index)) => weights.get(*index).copied().unwrap_or(1.0),
            _ => 1.0,
        }
    }

    /// A row's loss: cross-entropy in nats; the mean of the labels' binary cross-entropies; or the
    /// squared error of the scaled value.
    pub(crate) fn of_row(&self, scores: &[f32], target: &Target) -> f64 {
        let loss = match (self.task, target) {
            (Task::SingleLabel, Target::Class(label)) => cross_entropy(scores, *label),
            (Task::MultiLabel, Target::Labels(labels)) => binary_cross_entropy(scores, labels),
            (Task::Regression(values), Target::Value(value)) => {
                let error = scores.first().map(|score| {
                    // In single precision, as a GPU has it.
                    f64::from(score - values.scaled(*value) as f32)
                });
                error.map_or(0.0, |error| error * error)
            }
            _ => f64::NAN,
        };
        self.weight(target) * loss
    }

    /// How far a unit's answers are from what is right, from 0 to 1, where the losses of its `rows`
    /// rows come to `total`. Of one row with one label it is 1 - p, with p the probability of that
    /// label; of several labels, the same with the geometric mean of what each is given; of a value,
    /// about the scaled error while that is small.
    pub(crate) fn residual(&self, total: f64, rows: usize) -> f64 {
        let mean = total / rows.max(1) as f64;
        // Not 1 - e^-x, of which nothing is left where the loss is tiny.
        let residual = -(-mean).exp_m1();
        match self.task {
            Task::SingleLabel | Task::MultiLabel => residual,
            // A squared error's slope is in proportion to the error, not to its square.
            Task::Regression(_) => residual.max(0.0).sqrt(),
        }
    }

    /// ∂(a row's loss)/∂(its scores), written into `g`. Of a target that isn't one of the task, which is
    /// refused long before, it is no number, so that the row's unit counts as nothing.
    pub(crate) fn gradient(&self, scores: &[f32], target: &Target, g: &mut [f32]) {
        let weight = self.weight(target);
        match (self.task, target) {
            (Task::SingleLabel, Target::Class(label)) => {
                for (g, p) in g.iter_mut().zip(softmax(scores)) {
                    *g = p as f32;
                }
                if let Some(g) = g.get_mut(*label) {
                    *g -= 1.0;
                }
            }
            (Task::MultiLabel, Target::Labels(labels)) => {
                let share = 1.0 / scores.len().max(1) as f32;
                for (g, score) in g.iter_mut().zip(scores) {
                    *g = share * sigmoid(*score);
                }
                for label in labels {
                    // -(1 - p) = -1 / (1 + e^s), to all digits where p is nearly 1.
                    if let (Some(g), Some(score)) = (g.get_mut(*label), scores.get(*label)) {
                        *g = -share * sigmoid(-score);
                    }
                }
            }
            (Task::Regression(values), Target::Value(value)) => {
                for (g, score) in g.iter_mut().zip(scores) {
                    *g = 2.0 * (score - values.scaled(*value) as f32);
                }
            }
            _ => g.fill(f32::NAN),
        }
        if weight != 1.0 {
            g.iter_mut().for_each(|g| *g *= weight as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use umbel_proto::task::{ClassWeight, Offset, Scale, ValueScale};

    use super::*;

    fn values(offset: f64, scale: f64) -> Task {
        Task::Regression(ValueScale {
            offset: Offset::try_from(offset).expect("an offset"),
            scale: Scale::try_from(scale).expect("a scale"),
        })
    }

    fn plain(task: Task) -> Loss {
        Loss {
            task,
            weights: None,
        }
    }

    fn gradient(loss: &Loss, scores: &[f32], target: &Target) -> Vec<f32> {
        let mut g = vec![f32::NAN; scores.len()];
        loss.gradient(scores, target, &mut g);
        g
    }

    #[test]
    fn losses_are_those_calculated_by_hand() {
        let several = plain(Task::MultiLabel);
        // Two labels at p = 1/2, and one that is nearly sure to be there.
        let scores = [0.0, 0.0, 40.0];
        let found = several.of_row(&scores, &Target::labels(vec![2, 0]));
        assert!((found - 2.0 * 2_f64.ln() / 3.0).abs() < 1e-12, "{found}");
        // A sure label that isn't there costs its score.
        let found = several.of_row(&scores, &Target::labels(vec![]));
        assert!((found - (2.0 * 2_f64.ln() + 40.0) / 3.0).abs() < 1e-6);
        let value = plain(values(10.0, 2.0));
        assert_eq!(value.of_row(&[1.5], &Target::Value(17.0)), 4.0);
        assert_eq!(gradient(&value, &[1.5], &Target::Value(17.0)), [-4.0]);
    }

    #[test]
    fn a_residual_is_what_the_right_answer_lacks() {
        let single = plain(Task::SingleLabel);
        let of = |loss: &Loss, scores: &[f32], target: &Target| {
            loss.residual(loss.of_row(scores, target), 1)
        };
        let found = of(&single, &[3.0_f32.ln(), 0.0], &Target::Class(0));
        assert!((found - 0.25).abs() < 1e-7, "{found}");
        assert!(of(&single, &[20.0, 0.0], &Target::Class(0)) > 0.0);
        assert_eq!(of(&single, &[-1e9, 0.0], &Target::Class(0)), 1.0);
        let several = plain(Task::MultiLabel);
        let found = of(&several, &[0.0, 0.0], &Target::labels(vec![0]));
        assert!((found - 0.5).abs() < 1e-12, "{found}");
        let value = plain(values(0.0, 1.0));
        let found = of(&value, &[0.01], &Target::Value(0.0));
        assert!((found - 0.01).abs() < 1e-6, "{found}");
        assert_eq!(single.residual(f64::INFINITY, 1), 1.0);
        assert!(single.residual(f64::NAN, 1).is_nan());
        assert_eq!(single.residual(3.0, 2), single.residual(1.5, 1));
        assert_eq!(single.residual(0.0, 0), 0.0);
    }

    #[test]
    fn a_target_of_another_task_is_no_number() {
        for (task, target) in [
            (Task::MultiLabel, Target::Class(0)),
            (Task::SingleLabel, Target::Labels(vec![0])),
            (values(0.0, 1.0), Target::Class(0)),
            (Task::MultiLabel, Target::Value(0.0)),
        ] {
            assert!(plain(task).of_row(&[0.0], &target).is_nan());
            assert!(gradient(&plain(task), &[0.0], &target)[0].is_nan());
            assert!(target.mistake(task, 1).is_some());
        }
    }

    #[test]
    fn values_that_scaling_makes_infinite_are_a_mistake() {
        let tiny = values(0.0, 1e-12);
        for value in [f64::NAN, f64::INFINITY, 1e300, 1e28] {
            assert!(Target::Value(value).mistake(tiny, 1).is_some(), "{value}");
        }
        assert_eq!(Target::Value(1e20).mistake(tiny, 1), None);
    }

    #[test]
    fn a_class_weight_multiplies_loss_and_gradient_of_its_rows() {
        let weights = [2.5, 1.0, 0.5].map(|w| ClassWeight::try_from(w).expect("a weight").get());
        let weighted = Loss {
            task: Task::SingleLabel,
            weights: Some(weights.to_vec()),
        };
        let scores = [0.3, -1.0, 2.0];
        for (label, weight) in weights.into_iter().enumerate() {
            let target = Target::Class(label);
            let (one, all) = (plain(Task::SingleLabel), &weighted);
            assert_eq!(
                all.of_row(&scores, &target),
                weight * one.of_row(&scores, &target)
            );
            let expected = gradient(&one, &scores, &target);
            let expected: Vec<f32> = expected.iter().map(|g| g * weight as f32).collect();
            assert_eq!(gradient(all, &scores, &target), expected);
        }
    }

    fn cases() -> impl Strategy<Value = (Task, Vec<f32>, Target)> {
        let scores = || prop::collection::vec(-8.0_f32..8.0, 3);
        let single = (scores(), 0..3_usize)
            .prop_map(|(scores, label)| (Task::SingleLabel, scores, Target::Class(label)));
        let several = (scores(), prop::collection::vec(0..3_usize, 0..4))
            .prop_map(|(scores, labels)| (Task::MultiLabel, scores, Target::labels(labels)));
        let value = (-8.0_f32..8.0, -30.0..30.0_f64, -5.0..5.0_f64, 0.5..4.0_f64).prop_map(
            |(score, value, offset, scale)| {
                (values(offset, scale), vec![score], Target::Value(value))
            },
        );
        prop_oneof![single, several, value]
    }

    proptest! {
        #[test]
        fn a_gradient_is_the_finite_difference_of_its_loss((task, scores, target) in cases()) {
            let loss = plain(task);
            let found = gradient(&loss, &scores, &target);
            for (i, g) in found.iter().enumerate() {
                // A power of two, so that moving the score rounds little.
                let step = 1.0 / 256.0;
                let at = |by: f32| {
                    let mut moved = scores.clone();
                    moved[i] += by;
                    (loss.of_row(&moved, &target), f64::from(moved[i]))
                };
                let ((above, high), (below, low)) = (at(step), at(-step));
                let expected = (above - below) / (high - low);
                prop_assert!((expected - f64::from(*g)).abs() < 1e-3 * expected.abs().max(0.1));
            }
        }
    }
}
