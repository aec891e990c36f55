//! How good a model is on some rows, by its task.

use serde::{Deserialize, Deserializer, Serialize};

/// Scores of a model. In JSON, its task shows in which keys there are. What isn't a number becomes
/// `null`, and is read back as NaN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scores {
    /// One label a text.
    SingleLabel(LabelScores),
    /// Any number of labels a text.
    MultiLabel(SeveralLabelScores),
    /// A value.
    Regression(ValueScores),
}

/// Of a model of one label a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelScores {
    /// Share of rows classified correctly.
    #[serde(deserialize_with = "nan_if_null")]
    pub accuracy: f64,
    /// Unweighted mean of the classes' F1.
    #[serde(deserialize_with = "nan_if_null")]
    pub macro_f1: f64,
    /// Mean cross-entropy, in nats.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Rows.
    pub examples: usize,
}

/// Of a model of any number of labels a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeveralLabelScores {
    /// F1 over all rows' labels together.
    #[serde(deserialize_with = "nan_if_null")]
    pub micro_f1: f64,
    /// Unweighted mean of the labels' F1.
    #[serde(deserialize_with = "nan_if_null")]
    pub macro_f1: f64,
    /// Share of the rows of which all labels are right.
    #[serde(deserialize_with = "nan_if_null")]
    pub exact_match: f64,
    /// Mean binary cross-entropy over rows and labels, in nats.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Rows.
    pub examples: usize,
}

/// Of a regression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueScores {
    /// Root of the mean squared error, in the values' unit.
    #[serde(deserialize_with = "nan_if_null")]
    pub rmse: f64,
    /// Mean absolute error, in the values' unit.
    #[serde(deserialize_with = "nan_if_null")]
    pub mae: f64,
    /// The share of the values' variance that is explained; `None` where they are all alike.
    #[serde(default)]
    pub r2: Option<f64>,
    /// Mean squared error of the scaled values, as training has it.
    #[serde(deserialize_with = "nan_if_null")]
    pub loss: f64,
    /// Rows.
    pub examples: usize,
}

/// One of a model's scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Its key in JSON.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it is; `None` where it isn't defined.
    pub value: Option<f64>,
}

impl Scores {
    /// All of them but the loss, the most telling first.
    pub fn all(&self) -> Vec<Score> {
        let score = |key, name, value| Score {
            key,
            name,
            value: Some(value),
        };
        match self {
            Self::SingleLabel(scores) => vec![
                score("accuracy", "accuracy", scores.accuracy),
                score("macro_f1", "macro-F1", scores.macro_f1),
            ],
            Self::MultiLabel(scores) => vec![
                score("micro_f1", "micro-F1", scores.micro_f1),
                score("macro_f1", "macro-F1", scores.macro_f1),
                score("exact_match", "exact", scores.exact_match),
            ],
            Self::Regression(scores) => vec![
                score("rmse", "RMSE", scores.rmse),
                score("mae", "MAE", scores.mae),
                Score {
                    key: "r2",
                    name: "R²",
                    value: scores.r2,
                },
            ],
        }
    }

    /// The one of this key, where its task has it.
    pub fn get(&self, key: &str) -> Option<f64> {
        self.all().into_iter().find(|score| score.key == key)?.value
    }

    /// Mean loss.
    pub fn loss(&self) -> f64 {
        match self {
            Self::SingleLabel(scores) => scores.loss,
            Self::MultiLabel(scores) => scores.loss,
            Self::Regression(scores) => scores.loss,
        }
    }

    /// What the loss is, in words.
    pub fn loss_unit(&self) -> &'static str {
        match self {
            Self::SingleLabel(_) | Self::MultiLabel(_) => "nats",
            Self::Regression(_) => "scaled",
        }
    }

    /// Rows.
    pub fn examples(&self) -> usize {
        match self {
            Self::SingleLabel(scores) => scores.examples,
            Self::MultiLabel(scores) => scores.examples,
            Self::Regression(scores) => scores.examples,
        }
    }
}

/// The scores of a round's model: those that its task has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundScores {
    /// Of one label a text: the share of rows classified correctly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Of labels: the mean of their F1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Of any number of labels a text: F1 over all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_f1: Option<f64>,
    /// The share of rows of which all these are right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact_match: Option<f64>,
    /// Of values: the root of their mean squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Their mean absolute error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// The share of their variance that is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

impl RoundScores {
    /// These of a model.
    pub fn of(scores: &Scores) -> Self {
        Self {
            accuracy: scores.get("accuracy"),
            macro_f1: scores.get("macro_f1"),
            micro_f1: scores.get("micro_f1"),
            exact_match: scores.get("exact_match"),
            rmse: scores.get("rmse"),
            mae: scores.get("mae"),
            r2: scores.get("r2"),
        }
    }
}

fn nan_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_as_they_were_written_and_keep_their_task() {
        for scores in [
            Scores::SingleLabel(LabelScores {
                accuracy: 0.9,
                macro_f1: 0.8,
                loss: 0.5,
                examples: 7,
            }),
            Scores::MultiLabel(SeveralLabelScores {
                micro_f1: 0.9,
                macro_f1: 0.8,
                exact_match: 0.7,
                loss: 0.5,
                examples: 7,
            }),
            Scores::Regression(ValueScores {
                rmse: 1.5,
                mae: 1.0,
                r2: None,
                loss: 0.5,
                examples: 7,
            }),
        ] {
            let json = serde_json::to_string(&scores).expect("json");
            let read: Scores = serde_json::from_str(&json).expect("scores");
            assert_eq!(read, scores, "{json}");
            for score in scores.all() {
                assert!(json.contains(&format!("\"{}\":", score.key)), "{json}");
            }
        }
        let null = r#"{"accuracy": null, "macro_f1": 0.5, "loss": null, "examples": 1}"#;
        let read: Scores = serde_json::from_str(null).expect("scores");
        assert!(read.loss().is_nan() && read.get("macro_f1") == Some(0.5));
    }
}
