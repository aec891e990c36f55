//! What a classifier's outputs are to each other.

use crate::error::ModelError;

/// What a model answers about a text, by transformers' `problem_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Task {
    /// Which one of the labels it has: a softmax over the outputs. The only one that is trained.
    #[default]
    SingleLabel,
    /// Which of the labels it has, each by itself: a sigmoid for each output.
    MultiLabel,
    /// Numbers, which are the outputs as they are.
    Regression,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SingleLabel, Self::MultiLabel, Self::Regression];

    /// Its word in `config.json`.
    pub fn problem_type(self) -> &'static str {
        match self {
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
            Self::Regression => "regression",
        }
    }

    /// The task of that word.
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|task| task.problem_type() == word)
    }

    /// Outputs as answers: probabilities, or for a regression the numbers themselves.
    pub(crate) fn answers(self, scores: &[f32]) -> Vec<f32> {
        match self {
            Self::SingleLabel => softmax(scores),
            Self::MultiLabel => scores.iter().map(|score| sigmoid(*score)).collect(),
            Self::Regression => scores.to_vec(),
        }
    }

    /// Refuses what only a model with one label a text can do.
    ///
    /// # Errors
    /// [`ModelError::Task`] for the others.
    pub fn require_single_label(self, purpose: &'static str) -> Result<(), ModelError> {
        match self {
            Self::SingleLabel => Ok(()),
            task => Err(ModelError::Task { task, purpose }),
        }
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SingleLabel => "single-label",
            Self::MultiLabel => "multi-label",
            Self::Regression => "regression",
        })
    }
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.iter().map(|x| x / sum).collect()
}

/// 1 / (1 + e^-x), by the exponential that can't overflow.
fn sigmoid(score: f32) -> f32 {
    let small = (-score.abs()).exp();
    match score >= 0.0 {
        true => 1.0 / (1.0 + small),
        false => small / (1.0 + small),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_exclude_each_other_only_where_a_text_has_one() {
        let scores = [2.0, 2.0, -30.0];
        let one: f32 = Task::SingleLabel.answers(&scores).iter().sum();
        assert!((one - 1.0).abs() < 1e-6);
        let each = Task::MultiLabel.answers(&scores);
        assert!((each[0] - 0.880_797).abs() < 1e-6 && each[0] == each[1] && each[2] < 1e-12);
        assert_eq!(Task::Regression.answers(&scores), scores);
        for far in [f32::MAX, -f32::MAX] {
            let answer = Task::MultiLabel.answers(&[far])[0];
            assert!((0.0..=1.0).contains(&answer), "{answer}");
        }
    }
}
