//! A model's folder: its files by name, and what to say of a place that isn't one.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::files::CONFIG;
use crate::error::ModelError;

/// How a file begins that Git LFS left in the place of a large one.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What a PEFT adapter's folder has.
pub(super) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// A folder that is there.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// # Errors
    /// [`ModelError::Folder`] where there is no folder, with what there is and what to do.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| {
            Err(ModelError::Folder {
                path: path.to_owned(),
                reason,
            })
        };
        if path.is_dir() {
            return Ok(Self {
                path: path.to_owned(),
            });
        }
        if path.is_file() {
            let parent = path.parent().unwrap_or(Path::new("."));
            let parent = match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            };
            return refuse(format!(
                "this is a file; name the folder of the model, which may be {}",
                parent.display()
            ));
        }
        if path.components().any(|part| part.as_os_str() == "~") {
            return refuse(
                "there is no such folder; `~` isn't replaced by your home folder here: write the \
                 whole path"
                    .into(),
            );
        }
        refuse(not_there(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    /// Whether it holds an adapter rather than a model.
    pub(super) fn is_adapter(&self) -> bool {
        self.has(ADAPTER_CONFIG)
    }

    /// A file's content.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`]; [`ModelError::Folder`] for a pointer in its place.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        let path = self.path.join(name);
        let content = std::fs::read(&path).map_err(ModelError::unreadable(&path))?;
        refuse_pointer(&path, &content)?;
        let is_text = name.ends_with(".json") || name.ends_with(".txt");
        match is_text {
            true => self.text(name, content),
            false => Ok(content),
        }
    }

    /// A text in UTF-8, without the mark that some editors put before it.
    fn text(&self, name: &str, mut content: Vec<u8>) -> Result<Vec<u8>, ModelError> {
        if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
            return Err(self.refuse_file(name, "it is text in UTF-16; save it as UTF-8"));
        }
        if content.starts_with(b"\xef\xbb\xbf") {
            content.drain(..3);
        }
        Ok(content)
    }

    /// A file's content, if there is one of this name.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub(super) fn read_if_there(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        self.has(name).then(|| self.read(name)).transpose()
    }

    /// The JSON object in a file, if there is one of this name.
    ///
    /// # Errors
    /// As [`Folder::read`]; [`ModelError::Folder`] where it isn't a JSON object.
    pub(super) fn object(
        &self,
        name: &str,
    ) -> Result<Option<serde_json::Map<String, Value>>, ModelError> {
        let Some(content) = self.read_if_there(name)? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&content);
        read.map(Some)
            .map_err(|e| self.refuse_file(name, format!("it isn't a JSON object: {e}")))
    }

    /// Refuses this folder.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Folder {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }

    /// Refuses one of its files.
    pub(super) fn refuse_file(&self, name: &str, reason: impl Into<String>) -> ModelError {
        ModelError::Folder {
            path: self.path.join(name),
            reason: reason.into(),
        }
    }

    /// The names of its files, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.entries(Path::is_file)
    }

    /// Whether it holds a folder of this name.
    pub(super) fn has_folder(&self, name: &str) -> bool {
        self.path.join(name).is_dir()
    }

    fn entries(&self, wanted: impl Fn(&Path) -> bool) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.path) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| wanted(&entry.path()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Refuses a folder without `config.json`, with where it may be.
    ///
    /// # Errors
    /// [`ModelError::Folder`] where there is none.
    pub(super) fn check_config(&self) -> Result<(), ModelError> {
        if self.has(CONFIG) {
            return Ok(());
        }
        if let Some(inner) = self.transformer_of_modules()? {
            return Err(self.refuse(format!(
                "this is a sentence-transformers folder (modules.json) whose model is in {inner}; \
                 name {}",
                self.path.join(&inner).display()
            )));
        }
        if let Some(inner) = self.model_below() {
            return Err(self.refuse(format!(
                "there is no config.json, but there is one below: name {}",
                inner.display()
            )));
        }
        Err(self.refuse(format!(
            "there is no config.json, so this is no model folder of Hugging Face's layout; {}{}",
            self.holds(),
            match self.names().iter().any(|name| name.ends_with(".gguf")) {
                true => "; GGUF is for other programs: fetch the folder that it was made from",
                false => "",
            }
        )))
    }

    /// What is in it, in words.
    pub(super) fn holds(&self) -> String {
        const SHOWN: usize = 8;
        let names = self.names();
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        match names.as_slice() {
            [] => "it holds no files".into(),
            names => {
                let shown = names[..names.len().min(SHOWN)].join(", ");
                format!("it holds {shown}{more}")
            }
        }
    }

    /// Where an older sentence-transformers folder keeps its transformer.
    fn transformer_of_modules(&self) -> Result<Option<String>, ModelError> {
        let Some(content) = self.read_if_there("modules.json")? else {
            return Ok(None);
        };
        let modules: Value = serde_json::from_slice(&content)
            .map_err(|e| self.refuse_file("modules.json", format!("it isn't JSON: {e}")))?;
        let modules = modules.as_array().into_iter().flatten();
        let mut paths = modules.filter_map(|module| module.get("path").and_then(Value::as_str));
        Ok(paths
            .find(|path| self.path.join(path).join(CONFIG).is_file() && !path.is_empty())
            .map(str::to_owned))
    }

    /// A model's folder at most two below this one.
    fn model_below(&self) -> Option<PathBuf> {
        let below = |folder: &Folder| -> Vec<Folder> {
            let folders = folder.entries(Path::is_dir).into_iter();
            let path = |name: String| Folder {
                path: folder.path.join(name),
            };
            folders.map(path).collect()
        };
        let children = below(self);
        let grandchildren: Vec<Folder> = children.iter().flat_map(below).collect();
        let mut all = children.iter().chain(&grandchildren);
        all.find(|folder| folder.has(CONFIG))
            .map(|folder| folder.path.clone())
    }
}

/// Refuses what Git LFS leaves in the place of a file that wasn't fetched.
pub(super) fn refuse_pointer(path: &Path, content: &[u8]) -> Result<(), ModelError> {
    if !content.starts_with(LFS_POINTER) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(content);
    let size = text.lines().find_map(|line| line.strip_prefix("size "));
    let size = size.map_or_else(String::new, |size| format!(" of {} bytes", size.trim()));
    Err(ModelError::Folder {
        path: path.to_owned(),
        reason: format!(
            "this is a Git LFS pointer, {} bytes of text in the place of the file{size}; fetch the \
             file itself: run `git lfs pull` where the folder was cloned, or download it again",
            content.len()
        ),
    })
}

/// What to say of a folder that isn't there: it may be a name on the Hugging Face Hub.
fn not_there(path: &Path) -> String {
    let mut name: Vec<String> = path
        .components()
        .rev()
        .take(2)
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    // An owner's part only where the folder above isn't there either.
    if path
        .parent()
        .is_none_or(|parent| parent.as_os_str().is_empty() || parent.is_dir())
    {
        name.truncate(1);
    }
    name.reverse();
    let name = name.join("/");
    format!(
        "there is no such folder; Umbel reads models from folders on this machine and fetches none: \
         if `{name}` is the name of a model on the Hugging Face Hub, fetch it first, as with \
         `hf download {name} --local-dir FOLDER`, and name that folder"
    )
}
