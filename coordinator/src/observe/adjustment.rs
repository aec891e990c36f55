//! What is changed of a released model by public rows.

use umbel_model::metrics::Temperature;
use umbel_model::{Classifier, Threshold};

use super::evaluation::Answers;

/// Something that was fitted on public rows, so that it costs no privacy.
#[derive(Clone, Debug, PartialEq)]
pub enum Adjustment {
    /// What the last layer is divided by.
    Temperature(Temperature),
    /// From which probability on each label is given.
    Thresholds(Vec<Threshold>),
}

impl Adjustment {
    /// The classifier with it.
    pub fn apply(&self, classifier: &mut Classifier) {
        match self {
            Self::Temperature(temperature) => classifier.divide_scores(*temperature),
            Self::Thresholds(thresholds) => classifier.set_thresholds(thresholds.clone()),
        }
    }

    /// What the classifier answers with it. Thresholds change what is right, so they are judged on the
    /// rows that they weren't fitted on.
    pub fn of_answers(&self, answers: Answers) -> Answers {
        match self {
            Self::Temperature(temperature) => answers.at(*temperature),
            Self::Thresholds(thresholds) => answers.judged_at(thresholds.clone()),
        }
    }
}
