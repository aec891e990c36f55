//! A PEFT adapter put onto its base model, where that is within reach.
//!
//! An adapter's folder has low-rank matrices beside a base model's layers, and whole tensors in the
//! place of others, such as the head. Merged, W + s B A (Hu et al. 2022, §4.1), they are a model as
//! any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::files::{CONFIG, ModelFiles, TOKENIZER};
use super::folder::{ADAPTER_CONFIG, Folder};
use super::read::{numbers, transposed};
use super::saved::labels;
use super::tokenizer_files::tokenizer;
use super::weight_files::{FileTensor, joined, of_safetensors, tensors};
use crate::error::ModelError;
use crate::families::{Family, TransformerSpec};

/// What is read of `adapter_config.json`, with PEFT's defaults.
#[derive(Deserialize)]
struct AdapterConfig {
    peft_type: Option<String>,
    task_type: Option<String>,
    base_model_name_or_path: Option<String>,
    lora_alpha: Option<f64>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    rank_pattern: Option<Map<String, Value>>,
    #[serde(default)]
    alpha_pattern: Option<Map<String, Value>>,
}

/// `lora_alpha` where it isn't there, as in PEFT.
const ALPHA: f64 = 8.0;

/// What PEFT puts before the names of the tensors that it wraps.
const WRAPPER: &str = "base_model.model.";

/// Reads an adapter's folder with its base model.
///
/// # Errors
/// [`ModelError::Folder`] saying that it is an adapter, of which base model, and what can't be
/// merged or found.
pub(super) fn merged(folder: &Folder) -> Result<ModelFiles, ModelError> {
    let content = folder.read(ADAPTER_CONFIG)?;
    let config: AdapterConfig = serde_json::from_slice(&content).map_err(|e| {
        folder.refuse_file(
            ADAPTER_CONFIG,
            format!("it isn't an adapter's configuration: {e}"),
        )
    })?;
    check(folder, &config)?;
    let base = base(folder, &config)?;
    let adapter = adapter_tensors(folder)?;
    let mut files = ModelFiles::of(&base)?;
    let keys = merged_config(folder, &files)?;
    let spec = TransformerSpec::from_json(&files.config)?;
    let damaged = |e: safetensors::SafeTensorError| ModelError::Weights(e.to_string());
    let base_tensors = of_safetensors(&files.weights).map_err(damaged)?;
    check_orientation(folder, &config, spec.family, &base_tensors)?;
    let mut whole = Merging {
        folder,
        family: spec.family,
        alpha: config.lora_alpha.unwrap_or(ALPHA),
        rank_stabilised: config.use_rslora,
        tensors: base_tensors
            .into_iter()
            .map(|t| (t.name.clone(), t))
            .collect(),
    };
    whole.add(adapter)?;
    files.config = labelled(keys, &whole).to_string().into_bytes();
    files.weights = joined(&whole.tensors.into_values().collect::<Vec<_>>())?;
    if folder.has(TOKENIZER) {
        let keys: Map<String, Value> =
            serde_json::from_slice(&files.config).map_err(|e| ModelError::Config(e.to_string()))?;
        let own = tokenizer(folder, &keys)?;
        files.tokenizer = own.bytes;
        files.origin.max_tokens = own.max_tokens;
    }
    files.origin.notes.push(format!(
        "the adapter in {} was merged into {}",
        folder.path().display(),
        base.path().display()
    ));
    Ok(files)
}

/// Refuses adapters of which the sum W + s B A isn't all.
fn check(folder: &Folder, config: &AdapterConfig) -> Result<(), ModelError> {
    let refuse = |what: &str| {
        Err(folder.refuse(format!(
            "this is a PEFT adapter {what}, which isn't merged here; merge it in Python: \
             PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(other)"
        )))
    };
    let has =
        |pattern: &Option<Map<String, Value>>| pattern.as_ref().is_some_and(|p| !p.is_empty());
    match config.peft_type.as_deref() {
        Some("LORA") | None => {}
        Some(other) => return refuse(&format!("of the type {other}")),
    }
    if let Some(task @ ("TOKEN_CLS" | "QUESTION_ANS")) = config.task_type.as_deref() {
        return refuse(&format!("for the task {task}"));
    }
    if config.use_dora {
        return refuse("with use_dora");
    }
    if has(&config.rank_pattern) || has(&config.alpha_pattern) {
        return refuse("with a rank or alpha for each layer");
    }
    Ok(())
}

/// Refuses an adapter for weights that lie the other way round, of a model that has none such. Where
/// they do, PEFT itself turns them whatever the file says.
fn check_orientation(
    folder: &Folder,
    config: &AdapterConfig,
    family: &dyn Family,
    base: &[FileTensor],
) -> Result<(), ModelError> {
    let lie_so = || base.iter().any(|tensor| family.inputs_first(&tensor.name));
    if !config.fan_in_fan_out || lie_so() {
        return Ok(());
    }
    Err(folder.refuse(
        "this is a PEFT adapter with fan_in_fan_out, and its base model's weights don't lie so; is \
         its base model another one?",
    ))
}

/// The folder of the base model.
fn base(folder: &Folder, config: &AdapterConfig) -> Result<Folder, ModelError> {
    let named = config
        .base_model_name_or_path
        .as_deref()
        .unwrap_or_default();
    let beside = folder.path().join(named);
    let places = [PathBuf::from(named), beside];
    let is_model = |path: &&PathBuf| !named.is_empty() && path.join(CONFIG).is_file();
    if let Some(place) = places.iter().find(is_model) {
        let base = Folder::open(place)?;
        if !base.is_adapter() {
            return Ok(base);
        }
        return Err(folder.refuse(format!(
            "this is a PEFT adapter, and its base model `{named}` is an adapter, too; merge that one \
             first"
        )));
    }
    let named = match named {
        "" => "that adapter_config.json doesn't name".to_owned(),
        named => format!("`{named}`, which is no folder here"),
    };
    Err(folder.refuse(format!(
        "this is a PEFT adapter, not a model: it needs the base model {named}; fetch that, and write \
         its path at base_model_name_or_path in adapter_config.json, or merge the two in Python: \
         PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(other)"
    )))
}

fn adapter_tensors(folder: &Folder) -> Result<Vec<FileTensor>, ModelError> {
    for name in ["adapter_model.safetensors", "adapter_model.bin"] {
        if folder.has(name) {
            return tensors(folder, name);
        }
    }
    Err(folder.refuse(format!(
        "this is a PEFT adapter without its weights (adapter_model.safetensors or \
         adapter_model.bin); {}",
        folder.holds()
    )))
}

/// The adapter's own `config.json` where it has one: then it says labels and pooling.
fn merged_config(folder: &Folder, base: &ModelFiles) -> Result<Map<String, Value>, ModelError> {
    if let Some(own) = folder.object(CONFIG)? {
        return Ok(own);
    }
    serde_json::from_slice(&base.config).map_err(|e| ModelError::Config(e.to_string()))
}

/// A configuration with as many labels as the head has outputs.
fn labelled(mut keys: Map<String, Value>, whole: &Merging<'_>) -> Value {
    let heads = [
        "classifier.weight",
        "classifier.out_proj.weight",
        "score.weight",
    ];
    let outputs = heads
        .iter()
        .find_map(|name| whole.tensors.get(*name)?.shape.first().copied());
    let named = labels(&keys).map(|labels| labels.len()).ok();
    if let Some(outputs) = outputs.filter(|outputs| Some(*outputs) != named) {
        keys.remove("id2label");
        keys.remove("label2id");
        keys.insert("num_labels".into(), json!(outputs));
    }
    Value::Object(keys)
}

/// A base model's tensors, to which an adapter's are added.
struct Merging<'a> {
    folder: &'a Folder,
    family: &'static dyn Family,
    alpha: f64,
    rank_stabilised: bool,
    tensors: BTreeMap<String, FileTensor>,
}

impl Merging<'_> {
    fn add(&mut self, adapter: Vec<FileTensor>) -> Result<(), ModelError> {
        let mut pairs: BTreeMap<String, [Option<FileTensor>; 2]> = BTreeMap::new();
        for mut tensor in adapter {
            let name = tensor.name.strip_prefix(WRAPPER).unwrap_or(&tensor.name);
            let name = name
                .replace(".modules_to_save.", ".")
                .replace(".base_layer.", ".")
                .replace(".default.", ".");
            let low_rank = ["lora_A", "lora_B"]
                .iter()
                .position(|side| name.contains(side));
            match low_rank {
                Some(side) => {
                    let layer = name.split(".lora_").next().unwrap_or_default().to_owned();
                    pairs.entry(layer).or_default()[side] = Some(tensor);
                }
                None if name.contains("lora_") => {
                    let reason = format!("its tensor `{name}` can't be merged into a matrix");
                    return Err(self.refuse(&reason));
                }
                None => {
                    let place = self.place(&name).unwrap_or(name);
                    tensor.name.clone_from(&place);
                    self.tensors.insert(place, tensor);
                }
            }
        }
        for (layer, pair) in pairs {
            let [Some(a), Some(b)] = pair else {
                return Err(self.refuse(&format!("its `{layer}` lacks lora_A or lora_B")));
            };
            self.merge(&layer, &a, &b)?;
        }
        Ok(())
    }

    /// What a tensor is called in the base model's file: with the encoder's prefix or without.
    fn place(&self, name: &str) -> Option<String> {
        let bare = name
            .strip_prefix(self.family.prefix())
            .and_then(|rest| rest.strip_prefix('.'));
        let full = format!("{}.{name}", self.family.prefix());
        let mut names = [Some(name), bare, Some(full.as_str())]
            .into_iter()
            .flatten();
        names
            .find(|name| self.tensors.contains_key(*name))
            .map(str::to_owned)
    }

    /// W + s B A for one layer.
    fn merge(&mut self, layer: &str, a: &FileTensor, b: &FileTensor) -> Result<(), ModelError> {
        let name = format!("{layer}.weight");
        let Some(place) = self.place(&name) else {
            return Err(self.refuse(&format!("its base model has no tensor `{name}`")));
        };
        let base = &self.tensors[&place];
        let (&[rank, inputs], &[outputs, other]) = (a.shape.as_slice(), b.shape.as_slice()) else {
            return Err(self.refuse(&format!("its matrices of `{layer}` aren't matrices")));
        };
        let inputs_first = self.family.inputs_first(&name);
        let expected = match inputs_first {
            true => [inputs, outputs],
            false => [outputs, inputs],
        };
        if rank == 0 || rank != other || base.shape != expected {
            let reason = format!(
                "its matrices of `{layer}`, {:?} and {:?}, don't fit the base model's {:?}",
                a.shape, b.shape, base.shape
            );
            return Err(self.refuse(&reason));
        }
        let file = self.folder.path().display().to_string();
        let read = |tensor: &FileTensor| numbers(&file, &tensor.name, tensor.dtype, &tensor.data);
        let [mut weight, a, b] = [read(base)?, read(a)?, read(b)?];
        let rank_root = (rank as f64).sqrt();
        let scale = match self.rank_stabilised {
            true => self.alpha / rank_root,
            false => self.alpha / rank as f64,
        } as f32;
        if inputs_first {
            weight = transposed(&weight, inputs, outputs);
        }
        for (row, b) in weight.chunks_mut(inputs).zip(b.chunks(rank)) {
            for (b, a) in b.iter().zip(a.chunks(inputs)) {
                row.iter_mut().zip(a).for_each(|(w, a)| *w += scale * b * a);
            }
        }
        if inputs_first {
            weight = transposed(&weight, outputs, inputs);
        }
        let merged = FileTensor {
            name: place.clone(),
            dtype: Dtype::F32,
            shape: expected.to_vec(),
            data: weight.iter().flat_map(|w| w.to_le_bytes()).collect(),
        };
        self.tensors.insert(place, merged);
        Ok(())
    }

    fn refuse(&self, reason: &str) -> ModelError {
        let path: &Path = self.folder.path();
        ModelError::Folder {
            path: path.to_owned(),
            reason: format!("this is a PEFT adapter, and {reason}; is its base model another one?"),
        }
    }
}
