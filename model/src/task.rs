//! A task's outputs as answers.

use umbel_proto::task::{Task, TaskKind};

/// The task of transformers' word for it in `config.json`. Of a regression, outputs are the values.
pub(crate) fn named(problem_type: &str) -> Option<TaskKind> {
    TaskKind::ALL
        .into_iter()
        .find(|task| task.problem_type() == problem_type)
}

/// Outputs as answers: probabilities, or for a regression its value.
pub(crate) fn answers(task: Task, scores: &[f32]) -> Vec<f32> {
    match task {
        Task::SingleLabel => softmax(scores),
        Task::MultiLabel => scores.iter().map(|score| sigmoid(*score)).collect(),
        Task::Regression(values) => scores
            .iter()
            .map(|score| values.value(f64::from(*score)) as f32)
            .collect(),
    }
}

pub(crate) fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.iter().map(|x| x / sum).collect()
}

/// 1 / (1 + e^-x), by the exponential that can't overflow.
pub(crate) fn sigmoid(score: f32) -> f32 {
    let small = (-score.abs()).exp();
    match score >= 0.0 {
        true => 1.0 / (1.0 + small),
        false => small / (1.0 + small),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use umbel_proto::task::ValueScale;

    #[test]
    fn labels_exclude_each_other_only_where_a_text_has_one() {
        let scores = [2.0, 2.0, -30.0];
        let one: f32 = answers(Task::SingleLabel, &scores).iter().sum();
        assert!((one - 1.0).abs() < 1e-6);
        let each = answers(Task::MultiLabel, &scores);
        assert!((each[0] - 0.880_797).abs() < 1e-6 && each[0] == each[1] && each[2] < 1e-12);
        let plain = Task::Regression(ValueScale::PLAIN);
        assert_eq!(answers(plain, &scores), scores);
        for far in [f32::MAX, -f32::MAX] {
            let answer = answers(Task::MultiLabel, &[far])[0];
            assert!((0.0..=1.0).contains(&answer), "{answer}");
        }
    }

    #[test]
    fn every_task_is_known_by_its_word_in_transformers() {
        for task in TaskKind::ALL {
            assert_eq!(named(task.problem_type()), Some(task));
        }
        assert_eq!(named("ranking"), None);
    }
}
