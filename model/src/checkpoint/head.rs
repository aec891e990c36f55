//! What becomes of a trained head in a run: it is kept by the names of its labels, or begun anew.

use serde_json::{Map, Value};
use umbel_proto::classifier::{ClassifierOptions, Pooling};
use umbel_proto::task::TaskKind;

use super::files::ModelFiles;
use super::saved::{class, default_label, labels, other_class, own_pooling, task, umbel_pooling};
use crate::error::ModelError;

/// What a run makes of a file's classifier.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeadUse {
    /// Its outputs are the run's labels in the run's order.
    AsItIs,
    /// They are the run's labels in another order: which of them each of the run's is.
    ByName(Vec<usize>),
    /// They aren't, and why.
    Anew(Anew),
}

/// Why a classifier begins anew.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Anew {
    /// There is none.
    NotThere,
    /// It has other labels than the run.
    Labels(Vec<String>),
    /// It was trained on another vector of a text than the run's pooling gives.
    Pooling(Pooling),
    /// Its outputs mean something else.
    Task(TaskKind),
    /// It is of a class that does something else.
    Class(String),
    /// It doesn't fit to what `config.json` says of it.
    Damaged(String),
}

impl HeadUse {
    /// What a run of these options makes of the head that `config.json` describes.
    pub(crate) fn of(config: &Map<String, Value>, options: &ClassifierOptions) -> Self {
        if let Some(class) = other_class(config) {
            return Self::Anew(Anew::Class(class.to_owned()));
        }
        let read = labels(config).and_then(|labels| {
            let task = task(config, labels.len())?;
            Ok((labels, task, umbel_pooling(config)?))
        });
        let (labels, task, pooling) = match read {
            Ok(read) => read,
            Err(error) => return Self::Anew(Anew::Damaged(error.to_string())),
        };
        let pooling = pooling.unwrap_or(own_pooling(config));
        if task.kind() != options.task.kind() {
            Self::Anew(Anew::Task(task.kind()))
        } else if pooling != options.pooling {
            Self::Anew(Anew::Pooling(pooling))
        } else {
            match rows(&labels, &options.labels) {
                Some(rows) if rows.iter().copied().eq(0..rows.len()) => Self::AsItIs,
                Some(rows) => Self::ByName(rows),
                None => Self::Anew(Anew::Labels(labels)),
            }
        }
    }
}

/// Which of a file's labels each of the run's is, where they are the same labels.
fn rows(file: &[String], run: &[String]) -> Option<Vec<usize>> {
    if file.len() != run.len() {
        return None;
    }
    let by_name = |names: &[String]| -> Option<Vec<usize>> {
        let place = |label: &String| names.iter().position(|name| name == label);
        run.iter().map(place).collect()
    };
    // Labels without names have their numbers alone.
    let unnamed = || {
        let numbers = file.iter().enumerate();
        let all = numbers
            .clone()
            .all(|(index, label)| *label == default_label(index));
        all.then(|| {
            numbers
                .map(|(index, _)| index.to_string())
                .collect::<Vec<_>>()
        })
    };
    let found = by_name(file).or_else(|| by_name(&unnamed()?))?;
    // Where a file has a label twice, no place is anyone's.
    let distinct: std::collections::BTreeSet<usize> = found.iter().copied().collect();
    (distinct.len() == found.len()).then_some(found)
}

impl ModelFiles {
    /// The pooling that a run of these labels goes on with unless it names one: that with which
    /// this program trained the model, or that of a classifier with the same labels,
    /// or a decoder's.
    ///
    /// # Errors
    /// [`ModelError::Config`] for a `config.json` that can't be read.
    pub fn pooling(&self, run: &[String]) -> Result<Option<Pooling>, ModelError> {
        let config: Map<String, Value> =
            serde_json::from_slice(&self.config).map_err(|e| ModelError::Config(e.to_string()))?;
        if let Some(pooling) = umbel_pooling(&config)? {
            return Ok(Some(pooling));
        }
        let classifies = class(&config).is_some_and(|c| c.ends_with("ForSequenceClassification"));
        let same = || labels(&config).is_ok_and(|labels| rows(&labels, run).is_some());
        let own = own_pooling(&config);
        // A decoder's first token sees no other, and its last all: without a trained head, too.
        let is_only_choice = own == Pooling::Last;
        Ok((is_only_choice || (classifies && same())).then_some(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use umbel_proto::classifier::{Dropout, HeadScale, MaxTokens, TrainableSet};
    use umbel_proto::task::Task;

    fn of(config: Value, pooling: Pooling, labels: &[&str]) -> HeadUse {
        let options = ClassifierOptions {
            task: Task::SingleLabel,
            pairs: false,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            class_weights: None,
            pooling,
            max_tokens: MaxTokens::default(),
            dropout: Dropout::NONE,
            head_scale: HeadScale::ONE,
            train: TrainableSet::Head,
        };
        HeadUse::of(config.as_object().expect("an object"), &options)
    }

    fn anew(answer: HeadUse) -> Anew {
        match answer {
            HeadUse::Anew(why) => why,
            kept => panic!("{kept:?}"),
        }
    }

    #[test]
    fn a_head_is_kept_by_the_names_of_its_labels() {
        let config = json!({"id2label": {"0": "neg", "1": "pos", "2": "mixed"}});
        let of = |labels: &[&str]| of(config.clone(), Pooling::Pooler, labels);
        assert_eq!(of(&["neg", "pos", "mixed"]), HeadUse::AsItIs);
        assert_eq!(of(&["mixed", "neg", "pos"]), HeadUse::ByName(vec![2, 0, 1]));
        for others in [
            &["neg", "pos"][..],
            &["neg", "pos", "other"],
            &["neg", "pos", "mixed", "other"],
            &["Neg", "pos", "mixed"],
        ] {
            let labels = ["neg", "pos", "mixed"].map(str::to_owned).to_vec();
            assert_eq!(anew(of(others)), Anew::Labels(labels));
        }
    }

    #[test]
    fn labels_without_names_are_those_of_their_numbers_and_no_others() {
        for config in [
            json!({}),
            json!({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}),
        ] {
            let of = |labels: &[&str]| of(config.clone(), Pooling::Pooler, labels);
            assert_eq!(of(&["0", "1"]), HeadUse::AsItIs);
            assert_eq!(of(&["1", "0"]), HeadUse::ByName(vec![1, 0]));
            assert_eq!(of(&["LABEL_1", "LABEL_0"]), HeadUse::ByName(vec![1, 0]));
            assert!(matches!(anew(of(&["no", "yes"])), Anew::Labels(_)));
            assert!(matches!(anew(of(&["1", "2"])), Anew::Labels(_)));
        }
    }

    #[test]
    fn a_head_of_another_kind_begins_anew_and_says_which() {
        let labels = json!({"0": "neg", "1": "pos"});
        let with = |key: &str, value: Value| {
            let mut config = json!({"id2label": labels});
            config[key] = value;
            anew(of(config, Pooling::Mean, &["neg", "pos"]))
        };
        assert_eq!(
            with("umbel_pooling", json!("cls")),
            Anew::Pooling(Pooling::Cls)
        );
        assert_eq!(with("vocab_size", json!(3)), Anew::Pooling(Pooling::Pooler));
        let task = with("problem_type", json!("multi_label_classification"));
        assert_eq!(task, Anew::Task(TaskKind::MultiLabel));
        let class = with("architectures", json!(["BertForTokenClassification"]));
        assert_eq!(class, Anew::Class("BertForTokenClassification".into()));
        assert!(matches!(with("id2label", json!(["neg"])), Anew::Damaged(_)));
    }
}
