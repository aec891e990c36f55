//! `[task]`: what the model answers about a text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::task::{Offset, Scale, Task, TaskKind, Threshold, ValueScale};

use super::{ConfigError, refuse, require};

/// `[task]`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskSection {
    /// `single-label` (each text has one of the labels), `multi-label` (each has any number of them,
    /// or none) or `regression` (each has a number).
    pub kind: TaskKind,
    /// The probability from which on a label is given, for `multi-label`. Left out, each label has
    /// the one that gives the best F1 on half of the public rows, or 0.5 where these are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// The same for single labels: `urgent = 0.3`. Labels that aren't here have `threshold`, or 0.5.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, Threshold>,
    /// The value that `regression` trains as 0, about the mean of all values. It is published: don't
    /// compute it from private rows. Left out with `scale`, both come from the evaluation files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// The difference of values that `regression` trains as 1, about their standard deviation.
    /// Published, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

impl TaskSection {
    /// Checks what goes with the task.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let multi_label = self.kind == TaskKind::MultiLabel;
        require(
            multi_label || self.threshold.is_none(),
            "task.threshold",
            "only goes with kind = \"multi-label\"; remove it",
        )?;
        require(
            multi_label || self.thresholds.is_empty(),
            "task.thresholds",
            "only go with kind = \"multi-label\"; remove them",
        )?;
        let regression = self.kind == TaskKind::Regression;
        for (key, given) in [
            ("task.offset", self.offset.is_some()),
            ("task.scale", self.scale.is_some()),
        ] {
            require(
                regression || !given,
                key,
                "only goes with kind = \"regression\"; remove it",
            )?;
        }
        require(
            self.offset.is_some() == self.scale.is_some(),
            "task.scale",
            "goes with task.offset: set both, or leave both out and let the evaluation files give \
             them",
        )
    }

    /// The task, where `public` are the values of the public rows.
    ///
    /// # Errors
    /// [`ConfigError::Check`] for a regression whose scale nothing gives.
    pub fn task(&self, public: &[f64]) -> Result<Task, ConfigError> {
        match (self.kind, self.offset, self.scale) {
            (TaskKind::SingleLabel, ..) => Ok(Task::SingleLabel),
            (TaskKind::MultiLabel, ..) => Ok(Task::MultiLabel),
            (TaskKind::Regression, Some(offset), Some(scale)) => {
                Ok(Task::Regression(ValueScale { offset, scale }))
            }
            (TaskKind::Regression, ..) => scale_of(public).map(Task::Regression).ok_or_else(|| {
                let why = match public {
                    [] => "there are no evaluation files to take them from",
                    _ => "the values of the evaluation files are all alike, or far out of range",
                };
                refuse(
                    "task.scale",
                    format!(
                        "and task.offset are left out, but {why}; set both: about the standard \
                         deviation and the mean of all values, as far as they are publicly known"
                    ),
                )
            }),
        }
    }

    /// Whether thresholds are set.
    pub fn has_thresholds(&self) -> bool {
        self.threshold.is_some() || !self.thresholds.is_empty()
    }

    /// The thresholds that are set, one for each label; `None` where none is.
    ///
    /// # Errors
    /// [`ConfigError::Check`] for one of a label that there isn't.
    pub fn thresholds(&self, labels: &[String]) -> Result<Option<Vec<Threshold>>, ConfigError> {
        if let Some(unknown) = self.thresholds.keys().find(|name| !labels.contains(name)) {
            return Err(refuse(
                "task.thresholds",
                format!(
                    "has {unknown:?}, which is none of the labels ({}); correct or remove it",
                    labels.join(", ")
                ),
            ));
        }
        let other = self.threshold.unwrap_or_default();
        let of = |label: &String| self.thresholds.get(label).copied().unwrap_or(other);
        Ok(self
            .has_thresholds()
            .then(|| labels.iter().map(of).collect()))
    }
}

/// Mean and standard deviation, where there is one above 0.
fn scale_of(values: &[f64]) -> Option<ValueScale> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    Some(ValueScale {
        offset: Offset::try_from(mean).ok()?,
        scale: Scale::try_from(deviation).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TaskSection, String> {
        let section: TaskSection = toml::from_str(text).map_err(|e| e.to_string())?;
        section.check().map_err(|e| e.to_string())?;
        Ok(section)
    }

    fn labels() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn left_out_there_is_one_label_a_text() {
        assert_eq!(
            read("").map(|s| s.task(&[]).expect("a task")),
            Ok(Task::SingleLabel)
        );
    }

    #[test]
    fn what_another_task_uses_is_refused_by_its_key() {
        for (text, key) in [
            ("threshold = 0.5", "task.threshold"),
            ("kind = \"regression\"\nthreshold = 0.5", "task.threshold"),
            ("[thresholds]\na = 0.5", "task.thresholds"),
            (
                "kind = \"multi-label\"\noffset = 0.5\nscale = 1",
                "task.offset",
            ),
            ("kind = \"regression\"\noffset = 0.5", "task.scale"),
            ("kind = \"regression\"\nscale = 0.5", "task.scale"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.starts_with(key), "{text}: {error}");
        }
        for wrong in [
            "kind = \"ranking\"",
            "kind = \"regression\"\noffset = 0\nscale = 0",
            "kind = \"multi-label\"\nthreshold = 1.5",
            "kind = \"multi-label\"\nthreshold = nan",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds_are_by_label_and_others_have_the_common_one() {
        let numbers = |text: &str| {
            let section = read(text).expect(text);
            let thresholds = section.thresholds(&labels()).map_err(|e| e.to_string())?;
            Ok::<_, String>(thresholds.map(|t| t.iter().map(|t| t.get()).collect::<Vec<_>>()))
        };
        let kind = "kind = \"multi-label\"\n";
        assert_eq!(numbers(kind), Ok(None));
        let some = format!("{kind}threshold = 0\n[thresholds]\nb = 1");
        assert_eq!(numbers(&some), Ok(Some(vec![0.0, 1.0, 0.0])));
        let one = format!("{kind}[thresholds]\nb = 0.25");
        assert_eq!(numbers(&one), Ok(Some(vec![0.5, 0.25, 0.5])));
        let error = numbers(&format!("{kind}[thresholds]\nd = 0.5")).expect_err("no label");
        assert!(
            error.contains("\"d\"") && error.contains("a, b, c"),
            "{error}"
        );
    }

    #[test]
    fn a_scale_is_that_of_the_configuration_or_of_public_values() {
        let values = |section: &TaskSection, public: &[f64]| match section.task(public) {
            Ok(Task::Regression(values)) => Ok((values.offset.get(), values.scale.get())),
            Ok(other) => panic!("{other}"),
            Err(error) => Err(error.to_string()),
        };
        let set = read("kind = \"regression\"\noffset = 3\nscale = 2").expect("a section");
        assert_eq!(values(&set, &[100.0, 200.0]), Ok((3.0, 2.0)));
        let left = read("kind = \"regression\"").expect("a section");
        assert_eq!(values(&left, &[1.0, 5.0]), Ok((3.0, 2.0)));
        let none = values(&left, &[]).expect_err("no rows");
        assert!(none.contains("no evaluation files"), "{none}");
        for alike in [&[7.0][..], &[7.0, 7.0], &[f64::MAX, -f64::MAX]] {
            let error = values(&left, alike).expect_err("alike");
            assert!(
                error.starts_with("task.scale") && error.contains("all alike"),
                "{error}"
            );
        }
    }
}
