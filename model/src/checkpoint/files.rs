//! The three files of a model, in memory.

use std::path::Path;

use crate::error::ModelError;

/// The content of a model's files: from a folder, or from a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// `config.json`
    pub config: Vec<u8>,
    /// `tokenizer.json`
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`
    pub weights: Vec<u8>,
}

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";

impl ModelFiles {
    /// Reads a folder in Hugging Face layout.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`] naming the file.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(ModelError::unreadable(&path))
        };
        Ok(Self {
            config: read(CONFIG)?,
            tokenizer: read(TOKENIZER)?,
            weights: read(WEIGHTS)?,
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
