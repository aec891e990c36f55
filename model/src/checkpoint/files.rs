//! The three files of a model, in memory.

use std::path::Path;

use serde_json::{Map, Value};

use super::folder::Folder;
use super::peft;
use super::tokenizer_files::{TokenizerFile, tokenizer};
use super::weight_files::{Weights, weights};
use crate::error::ModelError;
use crate::families::TransformerSpec;

/// The content of a model's files: from a folder, whose layout may be any that can be read, or from
/// a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.json`
    pub config: Vec<u8>,
    /// `tokenizer.json`
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`
    pub weights: Vec<u8>,
    /// Where they are from.
    pub origin: Origin,
}

/// What a folder had in the place of the three files, and says beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file that the weights are from.
    pub weights: String,
    /// The longest text that the model is said to read, in tokens (`model_max_length`).
    pub max_tokens: Option<usize>,
    /// What was done to make the three files.
    pub notes: Vec<String>,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            weights: WEIGHTS.into(),
            max_tokens: None,
            notes: Vec::new(),
        }
    }
}

pub(super) const CONFIG: &str = "config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";

impl ModelFiles {
    /// Reads a folder in Hugging Face layout: today's, or an earlier one, or a PEFT adapter whose
    /// base model is within reach.
    ///
    /// # Errors
    /// [`ModelError`] naming the file, what is in its place, and what to do.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let folder = Folder::open(folder)?;
        if folder.is_adapter() {
            return peft::merged(&folder);
        }
        Self::of(&folder)
    }

    /// Reads a folder that is no adapter's.
    pub(super) fn of(folder: &Folder) -> Result<Self, ModelError> {
        folder.check_config()?;
        let config = folder.read(CONFIG)?;
        // First: the folder of a model that can't be read may have other files, too.
        TransformerSpec::from_json(&config)?;
        let keys: Map<String, Value> =
            serde_json::from_slice(&config).map_err(|e| ModelError::Config(e.to_string()))?;
        let Weights { bytes, file } = weights(folder)?;
        let TokenizerFile {
            bytes: tokenizer,
            max_tokens,
            notes,
        } = tokenizer(folder, &keys)?;
        let notes = notes.into_iter().chain(own_code(&keys)).collect();
        Ok(Self {
            config,
            tokenizer,
            weights: bytes,
            origin: Origin {
                weights: file,
                max_tokens,
                notes,
            },
        })
    }

    /// Takes files by their names; others are passed over.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`] naming the file that isn't among them.
    pub fn from_named<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, ModelError> {
        let (mut config, mut tokenizer, mut weights) = (None, None, None);
        for (name, content) in files {
            match name {
                CONFIG => config = Some(content.to_vec()),
                TOKENIZER => tokenizer = Some(content.to_vec()),
                WEIGHTS => weights = Some(content.to_vec()),
                _ => {}
            }
        }
        let there = |content: Option<Vec<u8>>, name: &str| {
            let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
            content.ok_or_else(|| ModelError::unreadable(Path::new(name))(missing()))
        };
        Ok(Self {
            config: there(config, CONFIG)?,
            tokenizer: there(tokenizer, TOKENIZER)?,
            weights: there(weights, WEIGHTS)?,
            origin: Origin::default(),
        })
    }

    /// The files with their names.
    pub fn named(&self) -> [(&str, &[u8]); 3] {
        [
            (CONFIG, &self.config),
            (TOKENIZER, &self.tokenizer),
            (WEIGHTS, &self.weights),
        ]
    }
}

/// What to say of a model that brings code of its own, which may compute something else.
fn own_code(config: &Map<String, Value>) -> Option<String> {
    let classes = config.get("auto_map")?.as_object()?.values();
    let mut classes = classes.filter_map(Value::as_str);
    let other = classes.find(|class| !class.starts_with("modeling_umbel."))?;
    let model_type = config.get("model_type").and_then(Value::as_str);
    Some(format!(
        "config.json names code of the model's own (auto_map: {other}), which isn't run: it is read as \
         any model of the type {}",
        model_type.unwrap_or("bert")
    ))
}
