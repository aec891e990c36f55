//! BERT (Devlin et al. 2019), and what is built like it: MiniLM, BioBERT, `sentence-transformers`.

use super::{ConfigKeys, Family, Positions, TransformerSpec};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const BERT: &dyn Family = &Bert;

struct Bert;

impl Family for Bert {
    fn model_type(&self) -> &'static str {
        "bert"
    }

    fn class(&self) -> &'static str {
        "Bert"
    }

    fn prefix(&self) -> &'static str {
        "bert"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        config.encoder(self, Positions::FromZero)
    }

    fn head(&self, pooling: Pooling) -> &'static [&'static str] {
        match pooling {
            Pooling::Pooler => &["classifier", "pooler"],
            Pooling::Cls | Pooling::Mean | Pooling::Last => &["classifier"],
        }
    }
}
