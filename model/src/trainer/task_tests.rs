//! Gradients of every task, clipped row by row, against a loop of single rows: what is summed and
//! clipped is the gradient of the task's own loss, and its norm is bounded as for any other.

use burn::tensor::{Tensor, activation};
use umbel_proto::classifier::ClassifierOptions;
use umbel_proto::task::{ClassWeight, Offset, Scale, ValueScale};

use super::autodiff_tests::{compare_sums, rows};
use super::support::{options, tiny_on};
use super::{Clipping, Example, PhysicalBatch};
use crate::{DeviceChoice, Pooling, Target, Task, TrainableSet, gradient_sum};

/// A row's loss from its scores `[1, outputs]`, as its definition has it.
pub(super) fn plain_loss(
    scores: Tensor<2>,
    target: &Target,
    options: &ClassifierOptions,
) -> Tensor<1> {
    let label = |index: usize| index..index + 1;
    match (target, options.task) {
        (Target::Class(class), _) => {
            let all = activation::log_softmax(scores, 1);
            let weights = options.class_weights.as_ref();
            let weight = weights.map_or(1.0, |weights| weights[*class].get());
            all.slice([0..1, label(*class)]).sum().mul_scalar(-weight)
        }
        (Target::Labels(there), _) => {
            let count = options.labels.len();
            let each = (0..count).map(|index| {
                let p = activation::sigmoid(scores.clone().slice([0..1, label(index)]));
                let right = match there.contains(&index) {
                    true => p,
                    false => p.neg().add_scalar(1.0),
                };
                right.log().sum()
            });
            let sum = each.reduce(|sum, log| sum + log).expect("labels");
            sum.mul_scalar(-1.0 / count as f64)
        }
        (Target::Value(value), Task::Regression(values)) => {
            let error = scores.sub_scalar(values.scaled(*value));
            error.powi_scalar(2).sum()
        }
        (target, task) => panic!("{target:?} for {task}"),
    }
}

/// The rows of [`rows`] with other targets.
fn with_targets(targets: Vec<Target>) -> Vec<Example> {
    let rows = rows().into_iter().zip(targets);
    rows.map(|(row, target)| Example { target, ..row })
        .collect()
}

fn values(offset: f64, scale: f64) -> Task {
    Task::Regression(ValueScale {
        offset: Offset::try_from(offset).expect("an offset"),
        scale: Scale::try_from(scale).expect("a scale"),
    })
}

/// A run of each task, with its rows: a row without a label and one with all of them among those of
/// several labels.
fn runs(pooling: Pooling, train: TrainableSet) -> Vec<(ClassifierOptions, Vec<Example>)> {
    let plain = || options(pooling, train);
    let several = [
        vec![0, 2],
        vec![],
        vec![0, 1, 2],
        vec![1],
        vec![2],
        vec![0, 1],
    ];
    let numbers = [39.5, 36.0, 37.25, 36.5, 41.0, 35.0];
    let classes = rows().into_iter().map(|row| row.target);
    let weights = [0.25, 3.0, 1.0].map(|w| ClassWeight::try_from(w).expect("a weight"));
    vec![
        (
            ClassifierOptions {
                task: Task::MultiLabel,
                ..plain()
            },
            with_targets(several.map(Target::labels).to_vec()),
        ),
        (
            ClassifierOptions {
                task: values(37.0, 1.5),
                labels: vec!["temperature".into()],
                ..plain()
            },
            with_targets(numbers.map(Target::Value).to_vec()),
        ),
        (
            ClassifierOptions {
                class_weights: Some(weights.to_vec()),
                ..plain()
            },
            with_targets(classes.collect()),
        ),
    ]
}

fn compare_tasks(device: &DeviceChoice, sets: &[TrainableSet], micro_batches: &[usize]) {
    for (options, rows) in sets.iter().flat_map(|set| runs(Pooling::Mean, *set)) {
        let what = format!("{} {} {device}", options.task, options.train);
        match tiny_on(device, options) {
            Ok(model) => compare_sums(&model, &rows, micro_batches, &what),
            Err(reason) => return println!("skipped: {reason}"),
        }
    }
}

#[test]
fn clipped_sums_of_every_task_are_those_of_a_loop_of_single_rows_on_the_cpu() {
    let sets = [TrainableSet::Full, TrainableSet::Head];
    compare_tasks(&DeviceChoice::Cpu, &sets, &[1, 3, 64]);
}

#[test]
fn clipped_sums_of_every_task_are_those_of_a_loop_of_single_rows_on_a_gpu() {
    // A software device is slow.
    compare_tasks(&DeviceChoice::Gpu(None), &[TrainableSet::Head], &[64]);
}

/// The most extreme targets, weights and scales that are allowed: a row still counts for no more than
/// the clipping norm, and none is lost.
#[test]
fn no_target_weight_or_scale_takes_a_row_beyond_the_clipping_norm() {
    let c = 0.01;
    let heavy = ClassWeight::try_from(1e6).expect("a weight");
    let mut runs = runs(Pooling::Mean, TrainableSet::Full);
    let (heavily, _) = runs[2].clone();
    let mut heavily = (heavily, runs[2].1.clone());
    heavily.0.class_weights = Some(vec![heavy; 3]);
    let (mut far, _) = runs[1].clone();
    far.task = values(0.0, 1e-12);
    runs.push(heavily);
    runs.push((far, with_targets(vec![Target::Value(1e5); 6])));
    for (options, rows) in runs {
        let what = format!("{} {:?}", options.task, options.class_weights);
        let model = tiny_on(&DeviceChoice::Cpu, options).expect("the CPU");
        for row in 0..rows.len() {
            let sum = gradient_sum(
                &model,
                &rows,
                &[vec![row]],
                Clipping::Flat(c),
                PhysicalBatch::of_rows(4),
                &mut rand::rng(),
            );
            let sum = sum.expect("a sum");
            let norm = sum.sum.iter().map(|x| x * x).sum::<f64>().sqrt();
            assert!(norm <= c * (1.0 + 1e-5), "{what}: {norm}");
            assert_eq!(sum.rejected, 0, "{what}");
        }
    }
}

#[test]
fn rows_whose_target_is_of_another_task_are_refused_by_their_place() {
    let runs = runs(Pooling::Mean, TrainableSet::Head);
    for (i, (options, _)) in runs.iter().enumerate() {
        let model = tiny_on(&DeviceChoice::Cpu, options.clone()).expect("the CPU");
        for (_, rows) in runs
            .iter()
            .enumerate()
            .filter(|(j, _)| *j != i)
            .map(|(_, run)| run)
        {
            let refused = gradient_sum(
                &model,
                rows,
                &[vec![2]],
                Clipping::Flat(1.0),
                PhysicalBatch::of_rows(4),
                &mut rand::rng(),
            );
            let reason = refused.expect_err("another task's rows").to_string();
            assert!(
                reason.starts_with("row 2: it has ") && reason.contains("the task is"),
                "{reason}"
            );
        }
    }
}
