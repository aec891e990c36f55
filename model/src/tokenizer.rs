//! Texts to token ids.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenizers::{PostProcessor, Tokenizer as Inner, TruncationParams};

use crate::charsmap;
use crate::error::ModelError;

/// A model's tokeniser. Truncation and padding that its file may ask for are overridden:
/// length is the caller's choice, and padding the batch's.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Inner,
    max_tokens: usize,
    vocab_size: usize,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. Texts are cut to `max_tokens` (special tokens included); ids
    /// must be below `vocab_size`.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] for a file that isn't a tokenizer.
    pub fn from_json(
        json: &[u8],
        max_tokens: usize,
        vocab_size: usize,
    ) -> Result<Self, ModelError> {
        let wrong = |e: tokenizers::Error| ModelError::Tokenizer(e.to_string());
        check(json)?;
        let mut inner = Inner::from_bytes(json).map_err(wrong)?;
        inner.with_padding(None);
        let special = inner
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        if max_tokens <= special {
            return Err(ModelError::Tokenizer(format!(
                "adds {special} special tokens to each text, so a limit of {max_tokens} tokens \
                 leaves no room for the text; raise it"
            )));
        }
        let truncation = TruncationParams {
            max_length: max_tokens,
            ..TruncationParams::default()
        };
        inner.with_truncation(Some(truncation)).map_err(wrong)?;
        Ok(Self {
            inner,
            max_tokens,
            vocab_size,
        })
    }

    /// Tokens of a text that are read, at most.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Whether a text has more tokens than are read.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where it can't be encoded.
    pub fn cuts(&self, text: &str) -> Result<bool, ModelError> {
        let encoding = self
            .inner
            .encode(text, true)
            .map_err(|e| ModelError::Tokenizer(e.to_string()))?;
        Ok(!encoding.get_overflowing().is_empty())
    }

    /// Words in its vocabulary, without what was added to it.
    pub(crate) fn words(&self) -> usize {
        self.inner.get_vocab_size(false)
    }

    /// A text's token ids, with special tokens; never empty.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where a text gives no token, or one that the model lacks.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.encode_counting(text).map(|(ids, _)| ids)
    }

    /// The same, and how many tokens the text has before it is cut, special ones included.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_counting(&self, text: &str) -> Result<(Vec<u32>, usize), ModelError> {
        let encoding = self
            .inner
            .encode(text, true)
            .map_err(|e| ModelError::Tokenizer(e.to_string()))?;
        let ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            return Err(ModelError::Tokenizer(
                "a text gave no tokens at all; the file lacks its special tokens".into(),
            ));
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size) {
            return Err(ModelError::Tokenizer(format!(
                "gives token {id}, but config.json's vocab_size is {}; the files don't belong \
                 together",
                self.vocab_size
            )));
        }
        let special = self
            .inner
            .get_post_processor()
            .map_or(0, |processor| processor.added_tokens(false));
        // Each piece that was cut off has special tokens of its own.
        let cut = encoding.get_overflowing().iter();
        let cut: usize = cut.map(|piece| piece.len().saturating_sub(special)).sum();
        let whole = ids.len() + cut;
        Ok((ids, whole))
    }
}

/// Refuses what the tokenizers library would panic at: text that isn't JSON, and tables of
/// SentencePiece's normalisation that lead out of themselves.
pub(crate) fn check(json: &[u8]) -> Result<(), ModelError> {
    let file: Value =
        serde_json::from_slice(json).map_err(|e| ModelError::Tokenizer(e.to_string()))?;
    file.get("normalizer").map_or(Ok(()), check_tables)
}

/// Checks every table that is anywhere in a normaliser.
fn check_tables(normalizer: &Value) -> Result<(), ModelError> {
    match normalizer {
        Value::Array(values) => values.iter().try_for_each(check_tables),
        Value::Object(keys) => {
            let named = keys.get("type").and_then(Value::as_str) == Some("Precompiled");
            let table = keys.get("precompiled_charsmap");
            if named || table.is_some() {
                let text = table.and_then(Value::as_str).unwrap_or_default();
                let table = STANDARD
                    .decode(text)
                    .map_err(|e| wrong_table(&e.to_string()))?;
                charsmap::check(&table).map_err(wrong_table)?;
            }
            keys.values().try_for_each(check_tables)
        }
        _ => Ok(()),
    }
}

fn wrong_table(reason: &str) -> ModelError {
    ModelError::Tokenizer(format!(
        "its `Precompiled` normaliser has a table that can't be used: {reason}; fetch the file again"
    ))
}
