//! ELECTRA (Clark et al. 2020), as a discriminator: BERT's layers, with embeddings that may be
//! narrower than the hidden states and a linear layer between the two.
//!
//! Its classifiers have RoBERTa's head, with GELU in the place of tanh.

use serde_json::{Map, Value, json};

use super::{
    Activation, ConfigKeys, EncoderClass, Family, PoolerActivation, PoolerShape, Positions,
    TransformerSpec, keys, roberta,
};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const ELECTRA: &dyn Family = &Electra;

struct Electra;

impl Family for Electra {
    fn model_type(&self) -> &'static str {
        "electra"
    }

    fn class(&self) -> &'static str {
        "Electra"
    }

    fn prefix(&self) -> &'static str {
        "electra"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        /// `embedding_size` where the configuration has none, as in transformers' `ElectraConfig`.
        const EMBEDDING_SIZE: usize = 128;
        let spec = config.encoder(self, Positions::FromZero)?;
        let embedding_size = config.optional_size("embedding_size")?;
        let embedding_size = embedding_size.unwrap_or(EMBEDDING_SIZE);
        Ok(TransformerSpec {
            embedding_size,
            projects_embeddings: embedding_size != spec.hidden_size,
            pooler: PoolerShape::of(PoolerActivation::Like(Activation::Gelu)),
            ..spec
        })
    }

    fn config(&self, spec: &TransformerSpec) -> Map<String, Value> {
        let mut keys = keys::written(spec);
        keys.insert("embedding_size".into(), json!(spec.embedding_size));
        keys
    }

    fn file_name(&self, name: &str, pooling: Pooling) -> String {
        roberta::head_name(name, pooling).unwrap_or_else(|| format!("electra.{name}"))
    }

    fn head(&self, _pooling: Pooling) -> &'static [&'static str] {
        &["classifier"]
    }

    fn encoder_class(&self) -> EncoderClass {
        EncoderClass {
            has_pooler: false,
            has_segments: true,
        }
    }
}
