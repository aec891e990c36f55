//! What `config.json` says beyond the encoder's sizes: labels, what they are to each other, and
//! how the head pools.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use umbel_proto::classifier::Pooling;
use umbel_proto::task::{Task, TaskKind, Threshold, ValueScale};

use crate::error::ModelError;
use crate::families;
use crate::metrics::Temperature;
use crate::task::named;

/// What makes an encoder this classifier.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedModel {
    pub(crate) labels: Vec<String>,
    pub(crate) task: Task,
    /// Whether this program trained it on pairs of texts.
    pub(crate) pairs: bool,
    pub(crate) pooling: Pooling,
    /// The longest text that it reads, where its folder says so.
    pub(crate) max_tokens: Option<usize>,
    /// What its last layer was divided by after training. It is for information: the weights are
    /// what they are.
    pub(crate) temperature: Option<Temperature>,
    /// From which probabilities on its labels are given, in their order, where its folder says so.
    pub(crate) thresholds: Option<Vec<Threshold>>,
}

impl SavedModel {
    /// Reads what a folder's `config.json` says of its head.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the key.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let config: Map<String, Value> =
            serde_json::from_slice(json).map_err(|e| ModelError::Config(e.to_string()))?;
        check_class(&config)?;
        let labels = labels(&config)?;
        Ok(Self {
            task: task(&config, labels.len())?,
            thresholds: thresholds(&config, labels.len())?,
            labels,
            pairs: config.get("umbel_pairs") == Some(&Value::Bool(true)),
            pooling: umbel_pooling(&config)?.unwrap_or(own_pooling(&config)),
            max_tokens: config
                .get("umbel_max_tokens")
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok()),
            temperature: config
                .get("umbel_temperature")
                .and_then(Value::as_f64)
                .and_then(Temperature::new),
        })
    }
}

/// The thresholds of a multi-label model of this program.
///
/// # Errors
/// [`ModelError::Config`] where they aren't one probability for each label.
fn thresholds(
    config: &Map<String, Value>,
    labels: usize,
) -> Result<Option<Vec<Threshold>>, ModelError> {
    let list = match config.get("umbel_thresholds") {
        None | Some(Value::Null) => return Ok(None),
        Some(list) => list.as_array(),
    };
    let threshold = |value: &Value| Threshold::try_from(value.as_f64()?).ok();
    let list: Option<Vec<Threshold>> = list.and_then(|l| l.iter().map(threshold).collect());
    let list = list.filter(|list| list.len() == labels).ok_or_else(|| {
        ModelError::Config(format!(
            "umbel_thresholds must be a list of {labels} numbers from 0 to 1, one for each label"
        ))
    })?;
    Ok(Some(list))
}

/// The pooling that a model of this program was trained with.
///
/// # Errors
/// [`ModelError::Config`] where it is no pooling.
pub(super) fn umbel_pooling(config: &Map<String, Value>) -> Result<Option<Pooling>, ModelError> {
    let word = config.get("umbel_pooling").and_then(Value::as_str);
    let pooling = word.map(str::parse).transpose();
    pooling.map_err(|e| ModelError::Config(format!("umbel_pooling: {e}")))
}

/// The pooling of a family's classifiers in transformers.
pub(super) fn own_pooling(config: &Map<String, Value>) -> Pooling {
    let named = config.get("model_type").and_then(Value::as_str);
    let family = named.and_then(|model_type| families::named(model_type).ok());
    let poolings = family.map_or(&[][..], |family| family.poolings());
    poolings.first().copied().unwrap_or(Pooling::Pooler)
}

/// The class in transformers, by its name.
pub(super) fn class(config: &Map<String, Value>) -> Option<&str> {
    let classes = config.get("architectures").and_then(Value::as_array);
    classes?.first()?.as_str()
}

/// The class where it has a `classifier` that answers something else than what a text is.
pub(super) fn other_class(config: &Map<String, Value>) -> Option<&str> {
    let others = [
        "ForTokenClassification",
        "ForMultipleChoice",
        "ForImageClassification",
    ];
    class(config).filter(|class| others.iter().any(|other| class.ends_with(other)))
}

fn check_class(config: &Map<String, Value>) -> Result<(), ModelError> {
    match other_class(config) {
        None => Ok(()),
        Some(class) => Err(ModelError::Config(format!(
            "this is a `{class}`, which classifies no texts; give the folder of a model for \
             sequence classification, or train one from this with `umbel simulate`"
        ))),
    }
}

/// The labels in the order of the outputs. Without any, transformers calls them `LABEL_0`,
/// `LABEL_1` and so on, `num_labels` of them, which is 2 where it isn't there.
///
/// # Errors
/// [`ModelError::Config`] for a list that isn't one.
pub(super) fn labels(config: &Map<String, Value>) -> Result<Vec<String>, ModelError> {
    let refuse = |reason: &str| ModelError::Config(reason.into());
    let names = match config.get("id2label") {
        None | Some(Value::Null) => return default_labels(config),
        Some(Value::Object(names)) => names,
        Some(_) => {
            return Err(refuse(
                "id2label must be an object of labels by their numbers, as {\"0\": \"no\"}",
            ));
        }
    };
    let mut labels = BTreeMap::new();
    for (id, label) in names {
        let id: usize = id
            .parse()
            .map_err(|_| refuse("id2label has a key that isn't a number"))?;
        // transformers takes numbers as they are, and tables have them as labels.
        let label = match label {
            Value::String(label) => label.clone(),
            Value::Number(number) => match number.as_f64() {
                Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => {
                    (whole as i64).to_string()
                }
                _ => number.to_string(),
            },
            Value::Bool(answer) => answer.to_string(),
            _ => return Err(refuse("id2label has a label that isn't a text")),
        };
        labels.insert(id, label);
    }
    if labels.is_empty() || labels.keys().copied().ne(0..labels.len()) {
        return Err(refuse("id2label must number the labels 0, 1, 2 and so on"));
    }
    Ok(labels.into_values().collect())
}

/// What transformers calls labels that have no names.
pub(super) fn default_label(index: usize) -> String {
    format!("LABEL_{index}")
}

fn default_labels(config: &Map<String, Value>) -> Result<Vec<String>, ModelError> {
    /// More than any classifier of texts has.
    const MOST: u64 = 1 << 20;
    let count = match config.get("num_labels") {
        None | Some(Value::Null) => 2,
        Some(count) => count
            .as_u64()
            .filter(|count| (1..=MOST).contains(count))
            .ok_or_else(|| {
                ModelError::Config(format!(
                    "num_labels is {count}; it must be a number of labels"
                ))
            })?,
    };
    Ok((0..count as usize).map(default_label).collect())
}

/// What the model answers. transformers takes one output without a word for a number. What a
/// regression of a folder answers are values themselves.
///
/// # Errors
/// [`ModelError::Config`] where `problem_type` is none that transformers knows.
pub(super) fn task(config: &Map<String, Value>, labels: usize) -> Result<Task, ModelError> {
    let kind = match config.get("problem_type") {
        None | Some(Value::Null) if labels == 1 => TaskKind::Regression,
        None | Some(Value::Null) => TaskKind::SingleLabel,
        Some(word) => word.as_str().and_then(named).ok_or_else(|| {
            ModelError::Config(format!(
                "problem_type is {word}; it must be {}",
                TaskKind::ALL.map(TaskKind::problem_type).join(", ")
            ))
        })?,
    };
    Ok(match kind {
        TaskKind::SingleLabel => Task::SingleLabel,
        TaskKind::MultiLabel => Task::MultiLabel,
        TaskKind::Regression => Task::Regression(ValueScale::PLAIN),
    })
}
