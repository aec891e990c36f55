//! Adapters and head as a PEFT folder, which `PeftModel.from_pretrained` puts onto the base
//! model.
//!
//! The base model's own folder says nothing of labels and pooling, so the folder also has the
//! classifier's `config.json`, tokeniser, and for the poolings that transformers has no class
//! for, `modeling_umbel.py`.

use serde_json::{Value, json};

use super::write::{NamedFile, NamedWeight, Precision, Saving, pretty, weights};
use crate::error::ModelError;
use crate::families::TransformerSpec;
use crate::lora::adapted_layers;
use umbel_proto::classifier::Pooling;
use umbel_proto::lora::{LoraConfig, LoraTarget};

impl Saving<'_> {
    /// The files of a PEFT adapter for sequence classification. `base` is where Python finds
    /// the base model.
    pub(crate) fn adapter_files(
        &self,
        lora: &LoraConfig,
        base: &str,
        tensors: Vec<NamedWeight>,
    ) -> Result<Vec<NamedFile>, ModelError> {
        // PEFT wraps the model twice.
        let rename = |name: &str| format!("base_model.model.{}", self.file_name(name));
        let weights = weights(tensors, Precision::F32, self.spec.family, rename)?;
        let config = adapter_config(lora, base, self.spec, self.model.pooling);
        let mut files = self.surroundings(Precision::F32);
        files.push(("adapter_config.json", pretty(&config)));
        files.push(("adapter_model.safetensors", weights));
        Ok(files)
    }
}

/// `adapter_config.json`
fn adapter_config(
    lora: &LoraConfig,
    base: &str,
    spec: &TransformerSpec,
    pooling: Pooling,
) -> Value {
    json!({
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": base,
        "r": lora.rank.get(),
        "lora_alpha": number(lora.alpha.get()),
        "lora_dropout": 0.0,
        "target_modules": target_modules(lora, spec),
        "modules_to_save": modules_to_save(lora, spec, pooling),
        "bias": "none",
        "fan_in_fan_out": fan_in_fan_out(lora, spec),
        "init_lora_weights": true,
        "use_rslora": false,
        "use_dora": false,
        "inference_mode": true,
    })
}

/// The layers that are there whole: those beside the encoder, and the word embeddings where they are
/// trained, as the family's files call them.
fn modules_to_save(lora: &LoraConfig, spec: &TransformerSpec, pooling: Pooling) -> Vec<String> {
    let words = lora.words.map(|_| {
        let name = spec.family.file_name("embeddings.word_embeddings", pooling);
        name.rsplit('.').next().unwrap_or(&name).to_owned()
    });
    let head = spec.family.head(pooling).iter().copied();
    head.map(str::to_owned).chain(words).collect()
}

/// The adapted layers of encoder layer 0 as the family's files call them.
fn adapted(lora: &LoraConfig, spec: &TransformerSpec) -> impl Iterator<Item = String> {
    let layers = lora
        .targets
        .iter()
        .flat_map(move |target| adapted_layers(target, spec.layer));
    layers.map(move |layer| {
        let name = format!("encoder.layer.0.{layer}");
        spec.family.file_name(&name, Pooling::Mean)
    })
}

/// Whether adapted layers' weights lie `[in, out]`, as those of `Conv1D` do.
fn fan_in_fan_out(lora: &LoraConfig, spec: &TransformerSpec) -> bool {
    adapted(lora, spec).any(|layer| spec.family.inputs_first(&format!("{layer}.weight")))
}

/// PEFT takes a list as ends of names, and a string as a regular expression for whole names.
/// The ends of the three dense layers aren't told apart by a list.
fn target_modules(lora: &LoraConfig, spec: &TransformerSpec) -> Value {
    let targets: Vec<LoraTarget> = lora.targets.iter().collect();
    let projection =
        |t: &LoraTarget| matches!(t, LoraTarget::Query | LoraTarget::Key | LoraTarget::Value);
    // As the family's files call the layers of encoder layer 0: what is before and after the 0.
    let mut names: Vec<(String, String)> = adapted(lora, spec)
        .filter_map(|full| {
            let (before, after) = full.split_once(".0.")?;
            Some((before.to_owned(), after.to_owned()))
        })
        .collect();
    // Several targets may be one layer.
    names.dedup();
    if targets.iter().all(projection) {
        let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
        let ends: Vec<String> = names.iter().filter_map(|(_, name)| last(name)).collect();
        return json!(ends);
    }
    let escaped = |name: &str| name.replace('.', r"\.");
    let before = names.first().map(|(before, _)| escaped(before));
    let after: Vec<String> = names.iter().map(|(_, after)| escaped(after)).collect();
    json!(format!(
        r"{}\.\d+\.({})",
        before.unwrap_or_default(),
        after.join("|")
    ))
}

/// PEFT's alpha is a whole number in type; other numbers it takes as they are.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e9 {
        json!(x as i64)
    } else {
        json!(x)
    }
}
