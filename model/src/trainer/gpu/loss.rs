//! Losses as tensors: those of [`crate::loss`], to be gone back from by automatic differentiation.

use burn::tensor::{Device, Tensor, TensorData, activation};
use umbel_proto::task::Task;

use crate::loss::Loss;
use crate::target::Target;
use crate::trainer::work::Example;

/// The rows' losses, `[rows]`, from their scores, `[rows, outputs]`; zero for a row that isn't there.
pub(super) fn of_rows(scores: Tensor<2>, loss: &Loss, rows: &[Option<&Example>]) -> Tensor<1> {
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
    let each: Tensor<2> = match loss.task() {
        Task::SingleLabel => (activation::log_softmax(scores, 1) * labels).neg(),
        Task::MultiLabel => {
            // log(1 - p) is log p of the score's negative.
            let others = table(&|_, numbers| numbers.fill(1.0)) - labels.clone();
            let there = activation::log_sigmoid(scores.clone()) * labels;
            let absent = activation::log_sigmoid(scores.neg()) * others;
            let share = 1.0 / outputs.max(1) as f64;
            (there + absent).mul_scalar(-share)
        }
        Task::Regression(values) => {
            let targets = table(&|example, numbers| {
                if let Target::Value(value) = example.target {
                    numbers.fill(values.scaled(value) as f32);
                }
            });
            let counted = table(&|_, numbers| numbers.fill(1.0));
            let errors = (scores - targets) * counted;
            errors.clone() * errors
        }
    };
    each.sum_dim(1).reshape([count])
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
            let each = of_rows(tensor.clone(), &loss, &rows);
            let mut gradients = each.clone().sum().backward();
            let found: Vec<f32> = tensor
                .grad_remove(&mut gradients)
                .expect("a gradient")
                .into_data()
                .iter::<f32>()
                .collect();
            let each: Vec<f64> = each.into_data().iter::<f64>().collect();
            let there = scores.iter().zip(&examples);
            let expected = there.map(|(s, e)| loss.of_row(s, &e.target));
            for (row, expected) in expected.chain([0.0]).enumerate() {
                let found = each[row];
                assert!(
                    (found - expected).abs() < 1e-5 * expected.max(1.0),
                    "{task} row {row}: {found} {expected}"
                );
            }
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
}
