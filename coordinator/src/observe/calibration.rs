//! Whether a model's probabilities are what they say, and the temperature that makes them so (Guo et al.
//! 2017), fitted on half of the public rows and judged on the others.

use serde::{Deserialize, Serialize};
use umbel_model::Task;
use umbel_model::metrics::{Temperature, expected_calibration_error, reliability, softmax};

use super::evaluation::{Answer, Answers, Halves, mean_loss};

/// Whether probabilities are what they say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What the last layer was divided by; `None` where it is as it was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Rows that this temperature was fitted on; 0 where none was fitted here.
    pub fitted_on: usize,
    /// Rows that are judged: none of those.
    pub examples: usize,
    /// As it was trained, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Reliability>,
    /// As it is.
    pub now: Reliability,
    /// Why there is no temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What probabilities say, beside how often they are right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// The expected calibration error over the bins.
    pub ece: f64,
    /// Rows by their highest probability, in bins of equal width from 0 to 1.
    pub bins: Vec<Bin>,
}

/// Rows whose highest probability is above `from` and at most `to`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Its rows.
    pub examples: usize,
    /// Their mean highest probability; 0 without rows.
    pub confidence: f64,
    /// The share of them that was classified correctly; 0 without rows.
    pub accuracy: f64,
}

/// What is done about the temperature of answers, or the thresholds of labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calibrate {
    /// They are fitted on half of the rows and judged on the other half.
    Fit,
    /// They aren't, because the configuration says so.
    Off,
    /// The model has this one already, if any; all rows are judged.
    Already(Option<Temperature>),
}

/// Mean loss on the half of the answers that a temperature isn't fitted on, at the temperature
/// fitted on the other half; as they are where none can be fitted. `None` without rows, and where a text
/// has more than one label.
pub fn calibrated_loss(answers: &Answers) -> Option<f64> {
    if answers.task() != Task::SingleLabel {
        return None;
    }
    let all = answers.all();
    let (calibration, _) = calibration(&all, &answers.halves(), Calibrate::Fit);
    calibration.map(|calibration| calibration.now.loss)
}

/// Whether the answers' probabilities are what they say, and the temperature that was fitted, if one was.
pub(super) fn calibration(
    all: &[&Answer],
    halves: &Halves<'_>,
    calibrate: Calibrate,
) -> (Option<Calibration>, Option<Temperature>) {
    let judged: Vec<&Answer> = halves.judged.iter().map(|(_, answer)| *answer).collect();
    if judged.is_empty() {
        return (None, None);
    }
    let unchanged = |rows: &[&Answer], note| Calibration {
        temperature: None,
        fitted_on: 0,
        examples: rows.len(),
        before: None,
        now: reliability_of(rows),
        note,
    };
    match calibrate {
        Calibrate::Off => {
            let note = "evaluation.calibrate is false".to_owned();
            (Some(unchanged(&judged, Some(note))), None)
        }
        Calibrate::Already(None) => (Some(unchanged(all, None)), None),
        Calibrate::Already(Some(temperature)) => {
            // Scores times the temperature are what they were before they were divided by it.
            let before = Temperature::new(1.0 / temperature.get());
            let before =
                before.map(|back| reliability_of(&at(all, back).iter().collect::<Vec<_>>()));
            let calibration = Calibration {
                temperature: Some(temperature.get()),
                before,
                ..unchanged(all, None)
            };
            (Some(calibration), None)
        }
        Calibrate::Fit => {
            let rows: Vec<(&[f32], usize)> = halves
                .fitted
                .iter()
                .filter_map(|(_, answer)| Some((answer.scores.as_slice(), answer.class()?)))
                .collect();
            match Temperature::fit(&rows) {
                Ok(temperature) => {
                    let tempered = at(&judged, temperature);
                    let calibration = Calibration {
                        temperature: Some(temperature.get()),
                        fitted_on: rows.len(),
                        examples: judged.len(),
                        before: Some(reliability_of(&judged)),
                        now: reliability_of(&tempered.iter().collect::<Vec<_>>()),
                        note: None,
                    };
                    (Some(calibration), Some(temperature))
                }
                Err(reason) => {
                    let note = format!("no temperature could be fitted: {reason}");
                    (Some(unchanged(&judged, Some(note))), None)
                }
            }
        }
    }
}

fn at(answers: &[&Answer], temperature: Temperature) -> Vec<Answer> {
    let answers = answers.iter();
    answers
        .map(|answer| Answer {
            target: answer.target.clone(),
            scores: temperature.temper(&answer.scores),
        })
        .collect()
}

fn reliability_of(answers: &[&Answer]) -> Reliability {
    let claims: Vec<(f64, bool)> = answers
        .iter()
        .map(|answer| {
            let claim = softmax(&answer.scores).into_iter().fold(0.0, f64::max);
            (claim, Some(answer.prediction()) == answer.class())
        })
        .collect();
    let bins = reliability(&claims);
    Reliability {
        loss: mean_loss(answers),
        ece: expected_calibration_error(&bins).unwrap_or(0.0),
        bins: bins
            .iter()
            .map(|bin| Bin {
                from: bin.from,
                to: bin.to,
                examples: bin.examples,
                confidence: bin.confidence,
                accuracy: bin.accuracy,
            })
            .collect(),
    }
}
