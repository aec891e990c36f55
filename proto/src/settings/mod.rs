//! The settings of a configuration, as its schema has them: what the reference, the templates and
//! the errors about unknown keys are made of. A setting's name, meaning, default and range stand
//! in one place, the section that reads it.

//! | module | what it is for |
//! |---|---|
//! | `sections` | from a schema to sections and keys |
//! | `page` | the page of the reference, and templates |
//! | `advice` | what a misspelt key or word was meant to be |

mod advice;
mod page;
mod sections;

pub use advice::{check_path, explained, instead_of, instead_of_word, nearest};
pub use page::{markdown, template, toml_value};
pub use sections::sections;
use serde_json::Value;

/// A section of a configuration: `[run]`, or the keys before the first section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name with dots; empty for the keys before the first section.
    pub path: String,
    /// Whether it may be there several times: `[[clients]]`.
    pub repeated: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// What it is for.
    pub doc: String,
    /// Its keys.
    pub settings: Vec<Setting>,
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// What it may be, in words.
    pub values: String,
    /// What holds if it is left out; `None` where nothing does, or the meaning says what.
    pub default: Option<Value>,
    /// Whether it has to be there.
    pub required: bool,
}

impl Section {
    /// As it is written in a file.
    pub fn heading(&self) -> String {
        match (self.path.as_str(), self.repeated) {
            ("", _) => String::new(),
            (path, false) => format!("[{path}]"),
            (path, true) => format!("[[{path}]]"),
        }
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
