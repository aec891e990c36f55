//! A trained classifier as a Hugging Face folder.
//!
//! With pooling `pooler`, or `last` of a decoder, the folder is an ordinary one of the family's classes for sequence
//! classification, such as `BertForSequenceClassification`. For
//! `mean` and `cls`, which transformers has no class for, a short `modeling_umbel.py` goes
//! with it, so that `AutoModelForSequenceClassification.from_pretrained(folder,
//! trust_remote_code=True)` gives the same logits.

use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Map, Value, json};

use super::read::transposed;
use super::saved::SavedModel;
use crate::error::ModelError;
use crate::families::{Family, TransformerSpec};
use umbel_proto::classifier::Pooling;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 4 bytes: exactly as trained.
    F32,
    /// 2 bytes: half the size, rounded.
    F16,
}

/// All that a folder is written from, but for the weights.
pub(crate) struct Saving<'a> {
    /// What the encoder is built from.
    pub(crate) spec: &'a TransformerSpec,
    /// What makes it this classifier.
    pub(crate) model: SavedModel,
    /// `config.json` as it was read.
    pub(crate) original: Map<String, Value>,
    /// `tokenizer.json` as it was read.
    pub(crate) tokenizer: &'a [u8],
}

/// A weight to save.
pub(crate) struct NamedWeight {
    /// Its name in the layout.
    pub(crate) name: String,
    /// Its shape in memory.
    pub(crate) shape: Vec<usize>,
    /// Whether files have it the other way round, as they do linear layers'.
    pub(crate) transposed: bool,
    /// In memory order.
    pub(crate) values: Vec<f32>,
}

/// A file's name and content.
pub(crate) type NamedFile = (&'static str, Vec<u8>);

/// What special tokens are called in BERT's and in RoBERTa's vocabularies.
const SPECIAL_TOKENS: [(&str, [&str; 2]); 5] = [
    ("pad_token", ["[PAD]", "<pad>"]),
    ("unk_token", ["[UNK]", "<unk>"]),
    ("cls_token", ["[CLS]", "<s>"]),
    ("sep_token", ["[SEP]", "</s>"]),
    ("mask_token", ["[MASK]", "<mask>"]),
];

const MODELING: &str = include_str!("modeling_umbel.py");

/// Whether transformers has a class for a family's classifiers with this pooling.
fn has_class(family: &dyn Family, pooling: Pooling) -> bool {
    family.poolings().first() == Some(&pooling)
}

impl SavedModel {
    /// The original configuration's keys, with what makes it this classifier's.
    fn config(
        &self,
        family: &dyn Family,
        mut config: Map<String, Value>,
        precision: Precision,
    ) -> Value {
        let id2label: Map<String, Value> = self
            .labels
            .iter()
            .enumerate()
            .map(|(id, label)| (id.to_string(), json!(label)))
            .collect();
        let label2id: Map<String, Value> = self
            .labels
            .iter()
            .enumerate()
            .map(|(id, label)| (label.clone(), json!(id)))
            .collect();
        let dtype = match precision {
            Precision::F32 => "float32",
            Precision::F16 => "float16",
        };
        let architecture = match has_class(family, self.pooling) {
            true => {
                config.remove("auto_map");
                format!("{}ForSequenceClassification", family.class())
            }
            false => {
                let class = "UmbelForSequenceClassification";
                let map = format!("modeling_umbel.{class}");
                config.insert(
                    "auto_map".into(),
                    json!({ "AutoModelForSequenceClassification": map }),
                );
                class.to_owned()
            }
        };
        for (key, value) in [
            ("architectures", json!([architecture])),
            ("model_type", json!(family.model_type())),
            ("id2label", Value::Object(id2label)),
            ("label2id", Value::Object(label2id)),
            ("num_labels", json!(self.labels.len())),
            ("problem_type", json!(self.task.kind().problem_type())),
            ("torch_dtype", json!(dtype)),
            ("umbel_pooling", json!(self.pooling.to_string())),
        ] {
            config.insert(key.into(), value);
        }
        if let Some(max_tokens) = self.max_tokens {
            config.insert("umbel_max_tokens".into(), json!(max_tokens));
        }
        // The base model's says nothing of these weights.
        config.remove("umbel_temperature");
        if let Some(temperature) = self.temperature {
            config.insert("umbel_temperature".into(), json!(temperature.get()));
        }
        config.remove("umbel_pairs");
        if self.pairs {
            config.insert("umbel_pairs".into(), json!(true));
        }
        config.remove("umbel_thresholds");
        if let Some(thresholds) = &self.thresholds {
            let numbers = thresholds.iter().map(|threshold| threshold.get());
            config.insert("umbel_thresholds".into(), numbers.collect());
        }
        Value::Object(config)
    }
}

impl Saving<'_> {
    /// The files of a whole model.
    pub(crate) fn files(
        &self,
        tensors: Vec<NamedWeight>,
        precision: Precision,
    ) -> Result<Vec<NamedFile>, ModelError> {
        let mut files = self.surroundings(precision);
        let weights = weights(tensors, precision, self.spec.family, |name| {
            self.file_name(name)
        })?;
        files.push(("model.safetensors", weights));
        Ok(files)
    }

    /// A weight's name in files, from its name in the layout.
    pub(super) fn file_name(&self, name: &str) -> String {
        self.spec.family.file_name(name, self.model.pooling)
    }

    /// Names a decoder's tokens for padding, beginning and end as `config.json` numbers them, whatever
    /// they are called, and pads behind a text: positions count from its first token.
    fn name_ends(&self, tokenizer_config: &mut Map<String, Value>) {
        for role in ["pad", "bos", "eos"] {
            let id = self.original.get(&format!("{role}_token_id"));
            let token = id.and_then(|id| added_token(self.tokenizer, id));
            let key = format!("{role}_token");
            match token {
                Some(token) => tokenizer_config.insert(key, json!(token)),
                // Another token than the model passes over would be read as the last.
                None if role == "pad" => tokenizer_config.remove(&key),
                None => None,
            };
        }
        tokenizer_config.insert("padding_side".into(), json!("right"));
    }

    /// Everything but the weights.
    pub(super) fn surroundings(&self, precision: Precision) -> Vec<NamedFile> {
        let mut tokenizer_config = tokenizer_config(self.tokenizer, self.model.max_tokens);
        if self.spec.causal {
            self.name_ends(&mut tokenizer_config);
        }
        // Without them, Python leaves out which text of a pair a token is of, or, in older versions,
        // gives it to models that don't know of it.
        let inputs: &[&str] = match self.spec.token_types.is_some_and(|kinds| kinds > 1) {
            true => &["input_ids", "token_type_ids", "attention_mask"],
            false => &["input_ids", "attention_mask"],
        };
        tokenizer_config.insert("model_input_names".into(), json!(inputs));
        let tokenizer_config = Value::Object(tokenizer_config);
        let config = self
            .model
            .config(self.spec.family, self.original.clone(), precision);
        let mut files = vec![
            ("config.json", pretty(&config)),
            ("tokenizer.json", self.tokenizer.to_vec()),
            ("tokenizer_config.json", pretty(&tokenizer_config)),
        ];
        if !has_class(self.spec.family, self.model.pooling) {
            files.push(("modeling_umbel.py", modeling(self.spec.family)));
        }
        files
    }
}

pub(super) fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// The code of a family's classifier with a pooling that transformers has no class for. The file
/// in this folder is BERT's.
fn modeling(family: &dyn Family) -> Vec<u8> {
    let code = MODELING.replace("Bert", family.class());
    let encoder = format!("self.{}", family.prefix());
    let mut code = code.replace("self.bert", &encoder);
    let class = family.encoder_class();
    if !class.has_pooler {
        code = code.replace(", add_pooling_layer=False", "");
    }
    if !class.has_segments {
        code = code.replace(", token_type_ids=token_type_ids", "");
    }
    code.into_bytes()
}

/// `tokenizer_config.json`: what the special tokens are called that `tokenizer.json` has. One that
/// it lacks isn't named: Python would add it, and the model has no embedding for it.
fn tokenizer_config(tokenizer: &[u8], max_tokens: Option<usize>) -> Map<String, Value> {
    let file: Value = serde_json::from_slice(tokenizer).unwrap_or_default();
    let added = file.get("added_tokens").and_then(Value::as_array);
    let known = |word: &str| {
        let mut tokens = added.into_iter().flatten();
        tokens.any(|token| token.get("content").and_then(Value::as_str) == Some(word))
    };
    let mut config = Map::new();
    config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
    if let Some(max_tokens) = max_tokens {
        config.insert("model_max_length".into(), json!(max_tokens));
    }
    for (role, words) in SPECIAL_TOKENS {
        if let Some(word) = words.into_iter().find(|word| known(word)) {
            config.insert(role.into(), json!(word));
        }
    }
    config
}

/// The token of a number among those that a tokeniser lists by themselves.
fn added_token(tokenizer: &[u8], id: &Value) -> Option<String> {
    let file: Value = serde_json::from_slice(tokenizer).ok()?;
    let mut added = file.get("added_tokens")?.as_array()?.iter();
    let token = added.find(|token| token.get("id") == Some(id))?;
    Some(token.get("content")?.as_str()?.to_owned())
}

/// Writes the folder beside its place, then moves it there.
pub(crate) fn write_folder(folder: &Path, files: &[NamedFile]) -> Result<(), ModelError> {
    // Hidden, so that no other model's name is taken.
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.with_file_name(format!(".{name}.being-written"));
    let unwritable = ModelError::unwritable;
    if draft.exists() {
        std::fs::remove_dir_all(&draft).map_err(unwritable(&draft))?;
    }
    std::fs::create_dir_all(&draft).map_err(unwritable(&draft))?;
    for (name, content) in files {
        let path = draft.join(name);
        std::fs::write(&path, content).map_err(unwritable(&path))?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(unwritable(folder))?;
    }
    std::fs::rename(&draft, folder).map_err(unwritable(folder))
}

/// A `safetensors` file, with orientation as Hugging Face's and names by `rename`.
pub(super) fn weights(
    tensors: Vec<NamedWeight>,
    precision: Precision,
    family: &dyn Family,
    rename: impl Fn(&str) -> String,
) -> Result<Vec<u8>, ModelError> {
    let wrong = |e: safetensors::SafeTensorError| ModelError::Weights(e.to_string());
    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|tensor| {
            let NamedWeight {
                name,
                mut shape,
                mut values,
                ..
            } = tensor;
            let name = rename(&name);
            let transpose = tensor.transposed && !family.inputs_first(&name);
            if let (true, &[rows, columns]) = (transpose, shape.as_slice()) {
                values = transposed(&values, rows, columns);
                shape.reverse();
            }
            (name, shape, bytes(&values, precision))
        })
        .collect();
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
    };
    let views = stored
        .iter()
        .map(|(name, shape, data)| {
            TensorView::new(dtype, shape.clone(), data).map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)?;
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    serialize(views, Some(metadata)).map_err(wrong)
}

fn bytes(values: &[f32], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Precision::F16 => values
            .iter()
            .flat_map(|v| f16::from_f32(*v).to_le_bytes())
            .collect(),
    }
}
