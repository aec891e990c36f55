//! `config.json` as keys that are there or not, of the right kind or refused by name.

use serde_json::{Map, Value, json};

use super::{Family, LayerShape, PoolerActivation, PoolerShape, Positions, TransformerSpec};
use crate::error::ModelError;

/// The keys of a `config.json`. A key that is `null` isn't there: transformers writes both.
pub struct ConfigKeys(Map<String, Value>);

impl ConfigKeys {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it isn't a JSON object.
    pub fn parse(json: &[u8]) -> Result<Self, ModelError> {
        let keys = serde_json::from_slice(json).map_err(|e| ModelError::Config(e.to_string()))?;
        Ok(Self(keys))
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|value| !value.is_null())
    }

    /// The first class of transformers that it names, such as `BertModel`.
    pub fn class(&self) -> Option<&str> {
        self.0.get("architectures")?.as_array()?.first()?.as_str()
    }

    /// A key that must be there: a whole number.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it isn't.
    pub fn size(&self, key: &str) -> Result<usize, ModelError> {
        self.optional_size(key)?.ok_or_else(|| {
            ModelError::Config(format!("there is no {key}, which every model needs"))
        })
    }

    /// A whole number, if it is there.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it is something else.
    pub fn optional_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let whole = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        self.read(key, "a whole number of at least 0", whole)
    }

    /// A number, if it is there.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it is something else.
    pub fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.read(key, "a number", Value::as_f64)
    }

    /// A text, if it is there.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it is something else.
    pub fn word(&self, key: &str) -> Result<Option<&str>, ModelError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) => Ok(Some(word)),
            Some(other) => Err(wrong_kind(key, other, "a text")),
        }
    }

    /// A list of texts, if it is there.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it is something else.
    pub fn words(&self, key: &str) -> Result<Option<Vec<String>>, ModelError> {
        let words = |value: &Value| {
            let words = value.as_array()?.iter();
            words.map(|word| Some(word.as_str()?.to_owned())).collect()
        };
        self.read(key, "a list of texts", words)
    }

    /// The keys of an object, if it is there.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it is something else.
    pub fn object(&self, key: &str) -> Result<Option<Self>, ModelError> {
        let object = |value: &Value| value.as_object().cloned();
        Ok(self.read(key, "an object", object)?.map(Self))
    }

    /// The keys of an object within another, if they are there.
    ///
    /// # Errors
    /// [`ModelError::Config`] where one of the two is no object.
    pub fn within(&self, outer: &str, inner: &str) -> Result<Option<Self>, ModelError> {
        match self.object(outer)? {
            Some(outer) => outer.object(inner),
            None => Ok(None),
        }
    }

    /// Whether a key is there and true.
    ///
    /// # Errors
    /// [`ModelError::Config`] where it is neither true nor false.
    pub fn is_true(&self, key: &str) -> Result<bool, ModelError> {
        let found = self.read(key, "true or false", Value::as_bool)?;
        Ok(found.unwrap_or(false))
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ModelError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(wrong_kind(key, value, expected)),
            },
        }
    }

    /// An encoder whose keys are BERT's, with the defaults of transformers' `BertConfig`.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the key.
    pub fn encoder(
        &self,
        family: &'static dyn Family,
        positions: Positions,
    ) -> Result<TransformerSpec, ModelError> {
        let kind = self.word("position_embedding_type")?;
        if let Some(kind) = kind.filter(|kind| *kind != "absolute") {
            return Err(ModelError::Config(format!(
                "position_embedding_type is `{kind}`; only `absolute` is supported"
            )));
        }
        if self.is_true("is_decoder")? {
            return Err(ModelError::Config(
                "is_decoder is true; only encoders are supported".into(),
            ));
        }
        let activation = self.word("hidden_act")?.unwrap_or("gelu");
        let heads = self.size("num_attention_heads")?;
        let hidden_size = self.size("hidden_size")?;
        Ok(TransformerSpec {
            family,
            vocab_size: self.size("vocab_size")?,
            embedding_size: hidden_size,
            projects_embeddings: false,
            hidden_size,
            layers: self.size("num_hidden_layers")?,
            shared_layers: false,
            layer: LayerShape::BERT,
            heads,
            key_value_heads: heads,
            causal: false,
            intermediate_size: self.size("intermediate_size")?,
            position_rows: self
                .optional_size("max_position_embeddings")?
                .unwrap_or(512),
            positions,
            norms_embeddings: true,
            padding: None,
            rotations: Vec::new(),
            token_types: Some(self.optional_size("type_vocab_size")?.unwrap_or(2)),
            relative_bias: false,
            disentangled: None,
            layer_norm_epsilon: self.number("layer_norm_eps")?.unwrap_or(1e-12),
            activation: activation.parse()?,
            pooler: PoolerShape::of(PoolerActivation::Tanh),
        })
    }
}

/// The keys that [`ConfigKeys::encoder`] reads.
pub(super) fn written(spec: &TransformerSpec) -> Map<String, Value> {
    let mut keys = Map::new();
    for (key, value) in [
        ("model_type", json!(spec.family.model_type())),
        ("vocab_size", json!(spec.vocab_size)),
        ("hidden_size", json!(spec.hidden_size)),
        ("num_hidden_layers", json!(spec.layers)),
        ("num_attention_heads", json!(spec.heads)),
        ("intermediate_size", json!(spec.intermediate_size)),
        ("max_position_embeddings", json!(spec.position_rows)),
        ("layer_norm_eps", json!(spec.layer_norm_epsilon)),
        ("hidden_act", json!(spec.activation.word())),
    ] {
        keys.insert(key.into(), value);
    }
    if let Some(types) = spec.token_types {
        keys.insert("type_vocab_size".into(), json!(types));
    }
    if let Positions::AfterPadding(id) = spec.positions {
        keys.insert("pad_token_id".into(), json!(id));
    }
    keys
}

fn wrong_kind(key: &str, found: &Value, expected: &str) -> ModelError {
    ModelError::Config(format!("{key} is {found}; it must be {expected}"))
}
