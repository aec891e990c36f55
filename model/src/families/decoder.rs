//! What decoders share: tokens see only themselves and those before, so that a text's last token alone
//! has seen all of it, and its state is what their classifiers read.

use serde_json::{Map, Value, json};

use super::{ConfigKeys, TransformerSpec};
use crate::error::ModelError;
use umbel_proto::classifier::Pooling;

/// Their own pooling, and the only other that reads all of a text: the first token sees no other.
pub(super) const POOLINGS: &[Pooling] = &[Pooling::Last, Pooling::Mean];

/// The padding token, which pooling `last` passes over. Many have none: then a text's score is its
/// last token's, whichever that is.
pub(super) fn padding(config: &ConfigKeys) -> Result<Option<u32>, ModelError> {
    // Some write -1 where there is none.
    if config.number("pad_token_id")? == Some(-1.0) {
        return Ok(None);
    }
    let padding = config.optional_size("pad_token_id")?;
    let small = |padding: usize| {
        u32::try_from(padding).map_err(|_| {
            ModelError::Config(format!(
                "pad_token_id is {padding}; no vocabulary is so large"
            ))
        })
    };
    padding.map(small).transpose()
}

/// The same, written.
pub(super) fn put_padding(keys: &mut Map<String, Value>, spec: &TransformerSpec) {
    if let Some(padding) = spec.padding {
        keys.insert("pad_token_id".into(), json!(padding));
    }
}

/// A tensor of the head by its name in files, if it is one: transformers calls the only layer `score`.
pub(super) fn score(name: &str, pooling: Pooling) -> Option<String> {
    let rest = name.strip_prefix("classifier")?;
    Some(match pooling {
        Pooling::Last => format!("score{rest}"),
        _ => name.to_owned(),
    })
}

/// The layers beside the decoder.
pub(super) fn head(pooling: Pooling) -> &'static [&'static str] {
    match pooling {
        Pooling::Last => &["score"],
        _ => &["classifier"],
    }
}
