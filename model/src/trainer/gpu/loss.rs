//! Losses as tensors: those of [`crate::loss`], to be gone back from by automatic differentiation.

use burn::tensor::{Device, Tensor, TensorData, activation};
use umbel_proto::task::Task;

use crate::loss::Loss;
use crate::target::Target;
use crate::trainer::work::Example;

/// The sum of the rows' losses, of those that are there, from their scores `[rows, outputs]`.
pub(super) fn sum(scores: Tensor<2>, loss: &Loss, rows: &[Option<&Example>]) -> Tensor<1> {
    let device = scores.device().inner();
    let [count, outputs] = scores.dims();
    let table = |of: &dyn Fn(&Example, &mut [f32])| {
        let mut numbers = vec![0.0; count * outputs];
        for (row, numbers) in rows.iter().zip(numbers.chunks_mut(outputs.max(1))) {
            if let Some(example) = row {
                of(example, numbers);
            }
        }
        constant(numbers, [count, outputs], &device)
    };
    // What each of a row's labels counts; nobody's row has none that counts.
    let labels = table(&|example, numbers| {
        let weight = loss.weight(&example.target) as f32;
        for label in example.target.classes() {
            if let Some(number) = numbers.get_mut(*label) {
                *number = weight;
            }
        }
    });
    match loss.task() {
        Task::SingleLabel => (activation::log_softmax(scores, 1) * labels).sum().neg(),
        Task::MultiLabel => {
            // log(1 - p) is log p of the score's negative.
            let others = table(&|_, numbers| numbers.fill(1.0)) - labels.clone();
            let there = activation::log_sigmoid(scores.clone()) * labels;
            let absent = activation::log_sigmoid(scores.neg()) * others;
            let share = 1.0 / outputs.max(1) as f64;
            (there + absent).sum().mul_scalar(-share)
        }
        Task::Regression(values) => {
            let targets = table(&|example, numbers| {
                if let Target::Value(value) = example.target {
                    numbers.fill(values.scaled(value) as f32);
                }
            });
            let counted = table(&|_, numbers| numbers.fill(1.0));
            let errors = (scores - targets) * counted;
            (errors.clone() * errors).sum()
        }
    }
}

/// Each row's loss from the scores of all, in double precision, as the CPU's trainer has it; none for a
/// row that isn't there. On the device, single precision loses 1 - p where it is small, and a large
/// class weight would carry that into the row's residual.
pub(super) fn on_host(scores: &[f32], loss: &Loss, rows: &[Option<&Example>]) -> Vec<f64> {
    let outputs = (scores.len() / rows.len().max(1)).max(1);
    let each = scores.chunks(outputs).zip(rows);
    let losses = each.map(|(scores, row)| row.map_or(0.0, |row| loss.of_row(scores, &row.target)));
    losses.collect()
}

fn constant(numbers: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

#[cfg(test)]
mod tests {
    use umbel_proto::task::ClassWeight;

    use super::*;
    use crate::trainer::support;
    use crate::{DeviceChoice, Pooling, TrainableSet};

    /// Scores of zero, where formulas with an absolute value have no derivative, far scores, and
    /// rows that aren't there.
    #[test]
    fn losses_and_gradients_are_those_of_single_rows() {
        let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
        let device = device.autodiff();
        let mut options = support::options(Pooling::Mean, TrainableSet::Head);
        let weights = [2.0, 0.5, 1.0].map(|w| ClassWeight::try_from(w).expect("a weight"));
        let scores = [[0.0_f32, 0.0, 0.0], [30.0, -30.0, 0.5], [1.0, 2.0, 3.0]];
        let labels = |labels: &[usize]| Target::labels(labels.to_vec());
        for (task, weighted, targets) in [
            (
                Task::SingleLabel,
                true,
                [Target::Class(1), Target::Class(0)],
            ),
            (
                Task::SingleLabel,
                false,
                [Target::Class(2), Target::Class(1)],
            ),
            (Task::MultiLabel, false, [labels(&[0, 2]), labels(&[1])]),
            (Task::MultiLabel, false, [labels(&[]), labels(&[0, 1, 2])]),
        ] {
            options.task = task;
            options.class_weights = weighted.then(|| weights.to_vec());
            let loss = Loss::of(&options);
            let examples = targets.map(|target| Example {
                tokens: vec![2].into(),
                target,
            });
            let rows = [Some(&examples[0]), Some(&examples[1]), None];
            let data = TensorData::new(scores.concat(), [3, 3]);
            let tensor = Tensor::<2>::from_data(data, &device).require_grad();
            let total = sum(tensor.clone(), &loss, &rows);
            let mut gradients = total.clone().backward();
            let found: Vec<f32> = tensor
                .grad_remove(&mut gradients)
                .expect("a gradient")
                .into_data()
                .iter::<f32>()
                .collect();
            let there = scores.iter().zip(&examples);
            let expected: f64 = there.map(|(s, e)| loss.of_row(s, &e.target)).sum();
            let total = total.into_data().iter::<f64>().next().expect("a loss");
            assert!(
                (total - expected).abs() < 1e-5 * expected.max(1.0),
                "{total} {expected}"
            );
            for (row, found) in found.chunks(3).enumerate() {
                let mut expected = vec![0.0; 3];
                if let Some(example) = rows[row] {
                    loss.gradient(&scores[row], &example.target, &mut expected);
                }
                for (x, y) in found.iter().zip(&expected) {
                    assert!((x - y).abs() < 1e-6, "{task} row {row}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn a_large_weight_carries_no_rounding_into_a_residual() {
        let mut options = support::options(Pooling::Mean, TrainableSet::Head);
        let weights = [1e6, 1.0, 1.0].map(|w| ClassWeight::try_from(w).expect("a weight"));
        options.class_weights = Some(weights.to_vec());
        let loss = Loss::of(&options);
        let example = Example {
            tokens: vec![2].into(),
            target: Target::Class(0),
        };
        let scores = [15.0, 0.0, f32::NEG_INFINITY, 1.0, 2.0, 3.0];
        let losses = on_host(&scores, &loss, &[Some(&example), None]);
        // w ln(1 + e^-15), where e^-15 is less than single precision has beside 1.
        let expected = 1e6 * (-15.0_f64).exp();
        assert!((losses[0] / expected - 1.0).abs() < 1e-6, "{}", losses[0]);
        assert!((0.26..0.27).contains(&loss.residual(losses[0], 1)));
        assert_eq!(losses[1], 0.0);
    }
}
