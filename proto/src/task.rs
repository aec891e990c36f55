//! What a run's model answers about a text, and so what its outputs and its loss are.
//!
//! A task is the words between tables (what stands in a label column), losses, scores and the files
//! of a model. Another one, such as classes of images, is another variant here, and the compiler names
//! every place that has to know of it.

use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::words;

use crate::bounded;

bounded! {
    /// The value of a regression that the model's output 0 stands for in training.
    Offset(f64): "offset", Included(-1e12), Included(1e12);
    /// The difference of values that is 1 between two outputs in training.
    Scale(f64): "scale", Included(1e-12), Included(1e12);
    /// The probability from which on a label is given.
    Threshold(f64): "threshold", Included(0.0), Included(1.0);
    /// What the loss of a row of a label is multiplied by.
    ClassWeight(f64): "class weight", Excluded(0.0), Included(1e6);
}

impl Default for Threshold {
    fn default() -> Self {
        Self(0.5)
    }
}

impl Default for ClassWeight {
    fn default() -> Self {
        Self(1.0)
    }
}

/// How a regression's values lie on the line of numbers. It is public: from the configuration or
/// public rows, never from private ones.
///
/// In training the model answers `(value − offset) / scale`, so that errors are about 1 whatever
/// the unit of the values; what is saved answers values themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueScale {
    /// Where zero is.
    pub offset: Offset,
    /// How long one is.
    pub scale: Scale,
}

impl ValueScale {
    /// Values as they are.
    pub const PLAIN: Self = Self {
        offset: Offset(0.0),
        scale: Scale(1.0),
    };

    /// A value as training has it.
    pub fn scaled(self, value: f64) -> f64 {
        (value - self.offset.get()) / self.scale.get()
    }

    /// An output of training as a value.
    pub fn value(self, output: f64) -> f64 {
        self.offset.get() + self.scale.get() * output
    }
}

/// What a model answers about a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenTask", into = "WrittenTask")]
pub enum Task {
    /// Which one of the labels it has: a softmax over the outputs, and cross-entropy.
    #[default]
    SingleLabel,
    /// Which of the labels it has, each by itself: a sigmoid for each output, and the mean of the
    /// labels' binary cross-entropies.
    MultiLabel,
    /// A number, which is the only output: the squared error of the scaled value.
    Regression(ValueScale),
}

/// The name of a [`Task`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One label a text.
    #[default]
    SingleLabel,
    /// Any number of labels a text.
    MultiLabel,
    /// A number.
    Regression,
}

words!(TaskKind, "a task", "single-label, multi-label, regression",
    TaskKind::SingleLabel => "single-label", TaskKind::MultiLabel => "multi-label",
    TaskKind::Regression => "regression");

/// A task as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTask {
    kind: TaskKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<Offset>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<Scale>,
}

/// A scale that is given for another task than `regression`, or not given for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaleDoesntFit {
    /// Nothing uses it.
    #[error("offset and scale only go with the task `regression`")]
    Unused,
    /// It is missing.
    #[error("the task `regression` needs both offset and scale")]
    Missing,
}

impl TryFrom<WrittenTask> for Task {
    type Error = ScaleDoesntFit;

    fn try_from(written: WrittenTask) -> Result<Self, ScaleDoesntFit> {
        match (written.kind, written.offset, written.scale) {
            (TaskKind::SingleLabel, None, None) => Ok(Self::SingleLabel),
            (TaskKind::MultiLabel, None, None) => Ok(Self::MultiLabel),
            (TaskKind::Regression, Some(offset), Some(scale)) => {
                Ok(Self::Regression(ValueScale { offset, scale }))
            }
            (TaskKind::Regression, _, _) => Err(ScaleDoesntFit::Missing),
            (TaskKind::SingleLabel | TaskKind::MultiLabel, _, _) => Err(ScaleDoesntFit::Unused),
        }
    }
}

impl From<Task> for WrittenTask {
    fn from(task: Task) -> Self {
        let values = match task {
            Task::Regression(values) => Some(values),
            Task::SingleLabel | Task::MultiLabel => None,
        };
        Self {
            kind: task.kind(),
            offset: values.map(|values| values.offset),
            scale: values.map(|values| values.scale),
        }
    }
}

impl Task {
    /// Its name.
    pub fn kind(self) -> TaskKind {
        match self {
            Self::SingleLabel => TaskKind::SingleLabel,
            Self::MultiLabel => TaskKind::MultiLabel,
            Self::Regression(_) => TaskKind::Regression,
        }
    }

    /// Whether it is the one that plans had before there were others, which they don't write.
    pub(crate) fn is_single_label(&self) -> bool {
        *self == Self::SingleLabel
    }
}

impl TaskKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SingleLabel, Self::MultiLabel, Self::Regression];

    /// Its word in `config.json` of transformers.
    pub fn problem_type(self) -> &'static str {
        match self {
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
            Self::Regression => "regression",
        }
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.kind().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Task, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_task_is_read_as_it_was_written() {
        let values = ValueScale {
            offset: Offset(-3.5),
            scale: Scale(0.25),
        };
        for task in [
            Task::SingleLabel,
            Task::MultiLabel,
            Task::Regression(values),
        ] {
            let json = serde_json::to_string(&task).expect("json");
            assert_eq!(read(&json).expect("a task"), task, "{json}");
        }
    }

    #[test]
    fn a_regression_needs_its_scale_and_nothing_else_has_one() {
        for wrong in [
            r#"{"kind": "regression"}"#,
            r#"{"kind": "regression", "offset": 0}"#,
            r#"{"kind": "regression", "offset": 0, "scale": 0}"#,
            r#"{"kind": "regression", "offset": 0, "scale": -1}"#,
            r#"{"kind": "regression", "offset": 0, "scale": 1e300}"#,
            r#"{"kind": "regression", "offset": 1e13, "scale": 1}"#,
            r#"{"kind": "multi-label", "scale": 1}"#,
            r#"{"kind": "single-label", "offset": 0}"#,
            r#"{"kind": "ranking"}"#,
            r#"{"kind": "multi-label", "threshold": 1}"#,
            r#"{}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Scale::try_from(f64::NAN).is_err() && Offset::try_from(f64::NAN).is_err());
    }

    #[test]
    fn scaling_there_and_back_gives_the_value() {
        let values = ValueScale {
            offset: Offset(36.5),
            scale: Scale(0.5),
        };
        assert_eq!(values.scaled(37.5), 2.0);
        assert_eq!(values.value(values.scaled(40.25)), 40.25);
        assert_eq!(ValueScale::PLAIN.scaled(-7.0), -7.0);
    }

    #[test]
    fn thresholds_are_probabilities_and_weights_above_zero() {
        for fine in [0.0, 0.5, 1.0] {
            assert!(Threshold::try_from(fine).is_ok());
        }
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert!(Threshold::try_from(wrong).is_err());
        }
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ClassWeight::try_from(wrong).is_err());
        }
    }
}
