//! What a folder says of its tokeniser beside the vocabulary: `tokenizer_config.json`,
//! `special_tokens_map.json` and `added_tokens.json`, read as transformers reads them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::folder::Folder;
use crate::error::ModelError;

const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";

/// What kind of tokeniser transformers makes, by its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `BertTokenizer` and those that are the same: word pieces between `[CLS]` and `[SEP]`.
    Bert,
    /// `MPNetTokenizer`: word pieces between `<s>` and `</s>`.
    Mpnet,
    /// `RobertaTokenizer`: pairs of bytes.
    Roberta,
    /// `GPT2Tokenizer`: pairs of bytes, with nothing before or behind a text unless it is asked for.
    Gpt2,
    /// One whose `tokenizer.json` says everything.
    AsWritten,
}

/// A folder's settings.
pub(super) struct TokenizerSettings {
    class: Class,
    keys: Map<String, Value>,
    /// By their ids.
    added: BTreeMap<u64, AddedToken>,
}

/// Roles of special tokens, in the order in which transformers adds them.
pub(super) const ROLES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

impl Class {
    /// The class that a folder names, or that its model's type has.
    fn of(named: Option<&str>, model_type: Option<&str>) -> Self {
        let Some(named) = named else {
            return match model_type {
                Some("bert" | "distilbert" | "electra") | None => Self::Bert,
                Some("mpnet") => Self::Mpnet,
                Some("roberta") => Self::Roberta,
                Some("gpt2") => Self::Gpt2,
                Some(_) => Self::AsWritten,
            };
        };
        match named.strip_suffix("Fast").unwrap_or(named) {
            "BertTokenizer" | "DistilBertTokenizer" | "ElectraTokenizer" => Self::Bert,
            "MPNetTokenizer" => Self::Mpnet,
            "RobertaTokenizer" => Self::Roberta,
            "GPT2Tokenizer" => Self::Gpt2,
            _ => Self::AsWritten,
        }
    }

    /// What the special tokens are called where nothing else is said.
    fn default_token(self, role: &str) -> Option<&'static str> {
        let (bert, roberta) = match role {
            "unk_token" => (Some("[UNK]"), "<unk>"),
            "sep_token" => (Some("[SEP]"), "</s>"),
            "pad_token" => (Some("[PAD]"), "<pad>"),
            "cls_token" => (Some("[CLS]"), "<s>"),
            "mask_token" => (Some("[MASK]"), "<mask>"),
            "bos_token" => (None, "<s>"),
            "eos_token" => (None, "</s>"),
            _ => return None,
        };
        match self {
            Self::Bert => bert,
            Self::Mpnet if role == "unk_token" => Some("[UNK]"),
            Self::Mpnet | Self::Roberta => Some(roberta),
            Self::Gpt2 => match role {
                "unk_token" | "bos_token" | "eos_token" => Some("<|endoftext|>"),
                _ => None,
            },
            Self::AsWritten => None,
        }
    }
}

impl TokenizerSettings {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// [`ModelError`] naming the file.
    pub(super) fn read(folder: &Folder, config: &Map<String, Value>) -> Result<Self, ModelError> {
        let mut keys = folder.object(SETTINGS)?.unwrap_or_default();
        let mut added = BTreeMap::new();
        if let Some(Value::Object(tokens)) = keys.get("added_tokens_decoder") {
            for (id, token) in tokens {
                let wrong = || {
                    let reason = format!("added_tokens_decoder has no token at {id}");
                    folder.refuse_file(SETTINGS, reason)
                };
                let id = id.parse().map_err(|_| wrong())?;
                added.insert(id, token_of(token, false).ok_or_else(wrong)?);
            }
        } else {
            // Files of before `added_tokens_decoder` was there.
            for (role, token) in folder.object(SPECIAL_TOKENS)?.unwrap_or_default() {
                keys.insert(role, token);
            }
            for (text, id) in folder.object(ADDED_TOKENS)?.unwrap_or_default() {
                let id = id.as_u64().ok_or_else(|| {
                    let reason =
                        format!("the token `{text}` has the id {id}, which isn't a number");
                    folder.refuse_file(ADDED_TOKENS, reason)
                })?;
                let special = is_special(&keys, &text);
                added.insert(id, AddedToken::from(text, special));
            }
        }
        let word = |map: &Map<String, Value>, key: &str| {
            map.get(key).and_then(Value::as_str).map(str::to_owned)
        };
        let named = word(&keys, "tokenizer_class").or_else(|| word(config, "tokenizer_class"));
        let class = Class::of(named.as_deref(), word(config, "model_type").as_deref());
        Ok(Self { class, keys, added })
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    /// For the class of a vocabulary whose folder doesn't name one.
    pub(super) fn with_class(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Whether a key is true, or what it is where it isn't there.
    pub(super) fn flag(&self, key: &str, default: bool) -> bool {
        self.optional_flag(key).unwrap_or(default)
    }

    /// Whether a key is true, if it is there.
    pub(super) fn optional_flag(&self, key: &str) -> Option<bool> {
        self.keys.get(key).and_then(Value::as_bool)
    }

    /// The longest text that the model is said to read. Without one, transformers writes a number
    /// that no text reaches.
    pub(super) fn max_tokens(&self) -> Option<usize> {
        let longest = self.keys.get("model_max_length")?.as_u64()?;
        usize::try_from(longest).ok()
    }

    /// The special token in a role.
    pub(super) fn token(&self, role: &str) -> Option<AddedToken> {
        match self.keys.get(role) {
            Some(Value::Null) | None => {
                let word = self.class.default_token(role)?;
                Some(AddedToken::from(word, true))
            }
            Some(token) => token_of(token, true),
        }
    }

    /// What is added to the vocabulary, in order: what it already has stays what it is. A special
    /// token that nobody lists is added only where the vocabulary `has` it: the model has no
    /// embedding for another.
    pub(super) fn added(&self, has: impl Fn(&str) -> bool) -> Vec<AddedToken> {
        let mut all: Vec<AddedToken> = self.added.values().cloned().collect();
        let named = ROLES.iter().filter_map(|role| {
            let token = self.token(role)?;
            (self.keys.contains_key(*role) || has(&token.content)).then_some(token)
        });
        let more = ["extra_special_tokens", "additional_special_tokens"];
        let more = more
            .iter()
            .filter_map(|key| self.keys.get(*key)?.as_array());
        let more = more.flatten().filter_map(|token| token_of(token, true));
        for token in named.chain(more) {
            if all.iter().all(|other| other.content != token.content) {
                all.push(token);
            }
        }
        all
    }
}

/// Whether a text is that of a special token by any of its roles.
fn is_special(keys: &Map<String, Value>, text: &str) -> bool {
    let is = |value: &Value| token_of(value, true).is_some_and(|token| token.content == text);
    let listed = |key: &str| keys.get(key).and_then(Value::as_array);
    ROLES.iter().any(|role| keys.get(*role).is_some_and(is))
        || listed("additional_special_tokens").is_some_and(|tokens| tokens.iter().any(is))
}

/// A token from its text, or from its text and how it is matched.
fn token_of(value: &Value, special: bool) -> Option<AddedToken> {
    let (content, keys) = match value {
        Value::String(content) => (content.as_str(), None),
        Value::Object(keys) => (keys.get("content")?.as_str()?, Some(keys)),
        _ => return None,
    };
    let flag = |key: &str| keys.and_then(|keys| keys.get(key)?.as_bool());
    let special = special || flag("special").unwrap_or(false);
    let token = AddedToken::from(content, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false));
    Some(match flag("normalized") {
        Some(normalized) => token.normalized(normalized),
        None => token,
    })
}
