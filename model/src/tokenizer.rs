//! Texts to token ids.

use tokenizers::{Encoding, ModelWrapper, PostProcessor, Tokenizer as Inner, TruncationParams};

use crate::error::ModelError;
use crate::tokenizer_check::{caught, check};
use crate::tokens::Tokens;

/// A model's tokeniser. Truncation and padding that its file may ask for are overridden:
/// length is the caller's choice, and padding the batch's. So is dropout of merges: a text's tokens are
/// always the same.
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
        let mut inner = caught(|| Inner::from_bytes(json))?;
        inner.with_padding(None);
        if let ModelWrapper::BPE(pairs) = inner.get_model()
            && pairs.dropout.is_some()
        {
            let mut pairs = pairs.clone();
            pairs.dropout = None;
            inner.with_model(pairs);
        }
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

    /// Words in its vocabulary, without what was added to it.
    pub(crate) fn words(&self) -> usize {
        self.inner.get_vocab_size(false)
    }

    /// A text's token ids, with special tokens; never empty.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where a text gives no token, or one that the model lacks.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.tokens(text, None).map(|(tokens, _)| tokens.to_vec())
    }

    /// The tokens of a text, or of a pair of texts in the model's template of pairs, and how many they
    /// are before they are cut, special ones included. Of a pair, the longer text is cut first, a token
    /// at a time, as transformers does it.
    ///
    /// # Errors
    /// As [`Self::encode`], and where the limit leaves no room for a pair.
    pub fn tokens(&self, text: &str, second: Option<&str>) -> Result<(Tokens, usize), ModelError> {
        let special = self.special_tokens(second.is_some());
        if self.max_tokens <= special {
            return Err(ModelError::Tokenizer(format!(
                "adds {special} special tokens to each pair of texts, so a limit of {} tokens leaves \
                 no room for them; raise it",
                self.max_tokens
            )));
        }
        let encoding = caught(|| match second {
            Some(second) => self.inner.encode((text, second), true),
            // Where in the text its tokens are is of no use here.
            None => self.inner.encode_fast(text, true),
        })?;
        let ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            return Err(ModelError::Tokenizer(
                "a text gave no tokens at all: it is empty, and this tokeniser puts none of its own \
                 before or behind a text; leave such rows out"
                    .into(),
            ));
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab_size) {
            return Err(ModelError::Tokenizer(format!(
                "gives token {id}, but config.json's vocab_size is {}; the files don't belong \
                 together",
                self.vocab_size
            )));
        }
        let cut = encoding.get_overflowing();
        let whole = match second {
            _ if cut.is_empty() => ids.len(),
            None => special + own_tokens(&encoding) + cut.iter().map(own_tokens).sum::<usize>(),
            // A pair's pieces are combined with each other, so that they can't be counted.
            Some(second) => special + self.whole(text)? + self.whole(second)?,
        };
        Ok((
            Tokens::of_two(ids, first_length(encoding.get_type_ids())?),
            whole,
        ))
    }

    /// How many tokens a text has by itself, without special ones.
    fn whole(&self, text: &str) -> Result<usize, ModelError> {
        let encoding = caught(|| self.inner.encode_fast(text, false))?;
        let cut = encoding.get_overflowing().iter();
        Ok(encoding.len() + cut.map(|piece| piece.len()).sum::<usize>())
    }

    fn special_tokens(&self, pair: bool) -> usize {
        let processor = self.inner.get_post_processor();
        processor.map_or(0, |processor| processor.added_tokens(pair))
    }
}

/// How many tokens of a piece come from its text.
fn own_tokens(piece: &Encoding) -> usize {
    let special = piece.get_special_tokens_mask();
    special.iter().filter(|special| **special == 0).count()
}

/// How many tokens are of type 0: the first of them, all others being of type 1.
fn first_length(types: &[u32]) -> Result<usize, ModelError> {
    let first = types.iter().take_while(|kind| **kind == 0).count();
    match types[first..].iter().all(|kind| *kind == 1) {
        true => Ok(first),
        false => Err(ModelError::Tokenizer(
            "its template gives token types other than 0 to a first text and 1 to a second; such \
             models aren't read"
                .into(),
        )),
    }
}
