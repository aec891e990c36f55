//! `[model]`: which model is fine-tuned, and which of its parameters.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::classifier::{
    ClassifierOptions, Dropout, HeadScale, MaxTokens, Pooling, TrainableKind, TrainableSet,
};
use umbel_proto::lora::LoraConfig;
use umbel_proto::task::Task;

use super::{ConfigError, refuse};

/// `[model]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// Folder of a pretrained encoder (BERT, RoBERTa, XLM-RoBERTa,
    /// CamemBERT, DistilBERT, ELECTRA or MPNet) in Hugging Face
    /// layout: `config.json`, weights and a tokeniser. A name on the Hub isn't a folder: fetch the
    /// model first. A model that Umbel trained needs its certificate, either in the folder as
    /// `umbel_certificate.json` or in its run's folder as `certificate.json`.
    pub base: PathBuf,
    /// What is trained: `full`, `encoder` (all but the embeddings), `lora` (low-rank adapters),
    /// `bias` (every bias, also those of layer normalisations but not their scales: BitFit) or
    /// `head` (the last layer, and the pooler if there is one). Every set trains the head. Left out
    /// with `privacy.units`: `lora`, with adapters on all layers.
    #[serde(default)]
    pub train: TrainableKind,
    /// The adapters of the set `lora`. Left out, they have the defaults of their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// How a text becomes one vector: `cls`, `mean`, `pooler`, or for decoders `last`. Left out, a
    /// model that Umbel trained goes on with its own, a classifier with the run's labels with
    /// `pooler`, which is that of its class in transformers, a decoder with `last`, and anything
    /// else has `mean`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Tokens of each text that are read, special tokens included.
    #[serde(default)]
    pub max_tokens: MaxTokens,
    /// Dropout rate in training. Under noise there is little to overfit.
    #[serde(default)]
    pub dropout: Dropout,
    /// What the gradient of the last layer's weights is multiplied by before a unit is clipped. It
    /// is often many times as long as that of all other layers, so that these get little of the
    /// clipping norm; 0.1 or so gives it to them. Optimisers with squares (such as `adam`) take the
    /// same steps whatever a gradient's scale; with `sgd`, the last layer learns more slowly.
    #[serde(default)]
    pub head_scale: HeadScale,
    /// Where a last layer that the base model hasn't begins: `random`, or at `label-names`, as the
    /// encoder reads them, so that a text is scored by how near it is to each name. Names are public,
    /// so it costs no privacy. It helps where labels are words that say what is meant, most with many
    /// labels and a small epsilon.
    #[serde(default)]
    pub head_start: HeadStart,
}

/// Where a new last layer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// At small random weights.
    #[default]
    Random,
    /// At what the encoder makes of the labels' names.
    LabelNames,
}

impl ModelSection {
    /// Which parameters are trained. Adapters whose seed isn't given start from the run's.
    ///
    /// # Errors
    /// [`ConfigError::Check`] naming the key.
    pub fn trainable_set(&self, run_seed: Option<u64>) -> Result<TrainableSet, ConfigError> {
        let lora = match (self.train, self.lora) {
            (TrainableKind::Lora, lora) => Some(lora.unwrap_or_default().seeded_by(run_seed)),
            (_, lora) => lora,
        };
        self.train
            .with(lora)
            .map_err(|e| refuse("model.lora", e.to_string()))
    }

    /// What is made of the base model, whose own pooling is `own` if it has one.
    ///
    /// # Errors
    /// [`ConfigError::Check`] naming the key.
    pub fn options(
        &self,
        task: Task,
        labels: Vec<String>,
        own: Option<Pooling>,
        run_seed: Option<u64>,
    ) -> Result<ClassifierOptions, ConfigError> {
        Ok(ClassifierOptions {
            task,
            pairs: false,
            class_weights: None,
            labels,
            pooling: self.pooling.or(own).unwrap_or_default(),
            max_tokens: self.max_tokens,
            dropout: self.dropout,
            train: self.trainable_set(run_seed)?,
            head_scale: self.head_scale,
        })
    }
}
