//! RoBERTa (Liu et al. 2019) and what is built like it, XLM-RoBERTa and CamemBERT: BERT's layers,
//! other positions and another head.
//!
//! Its classifiers have no pooler. Their head is a dense layer, tanh, and a linear one, all on the
//! first token's state: what pooling `pooler` computes, with the dense layer called
//! `classifier.dense` and the last one `classifier.out_proj`. A `roberta.pooler` that an encoder's
//! file may have is another task's, and isn't read. With pooling `mean` and `cls` there is one
//! linear layer, `classifier`, and a trained head of the other kind begins anew.

use super::{ConfigKeys, Family, Positions, TransformerSpec};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// The family itself.
pub const ROBERTA: &dyn Family = &Roberta {
    model_type: "roberta",
    class: "Roberta",
};

/// XLM-RoBERTa (Conneau et al. 2020).
pub const XLM_ROBERTA: &dyn Family = &Roberta {
    model_type: "xlm-roberta",
    class: "XLMRoberta",
};

/// CamemBERT (Martin et al. 2020).
pub const CAMEMBERT: &dyn Family = &Roberta {
    model_type: "camembert",
    class: "Camembert",
};

/// Families differ in what they were trained on, and in the names of their classes.
struct Roberta {
    model_type: &'static str,
    class: &'static str,
}

/// `pad_token_id` where the configuration has none, as in transformers' `RobertaConfig`.
const PADDING: usize = 1;

impl Family for Roberta {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn prefix(&self) -> &'static str {
        "roberta"
    }

    fn spec(&'static self, config: &ConfigKeys) -> Result<TransformerSpec, ModelError> {
        let padding = config.optional_size("pad_token_id")?.unwrap_or(PADDING);
        let padding = u32::try_from(padding).map_err(|_| {
            ModelError::Config(format!(
                "pad_token_id is {padding}; no vocabulary is so large"
            ))
        })?;
        config.encoder(self, Positions::AfterPadding(padding))
    }

    fn file_name(&self, name: &str, pooling: Pooling) -> String {
        head_name(name, pooling).unwrap_or_else(|| format!("{}.{name}", self.prefix()))
    }

    fn head(&self, _pooling: Pooling) -> &'static [&'static str] {
        &["classifier"]
    }
}

/// What the head's tensors are called in files: a dense layer and a last one, or one alone.
pub(super) fn head_name(name: &str, pooling: Pooling) -> Option<String> {
    match (name.split_once('.')?, pooling) {
        (("pooler", rest), _) => Some(format!("classifier.{rest}")),
        (("classifier", rest), Pooling::Pooler) => Some(format!("classifier.out_proj.{rest}")),
        (("classifier", _), _) => Some(name.to_owned()),
        _ => None,
    }
}
