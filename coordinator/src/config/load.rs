//! Reading a configuration: file, overrides, then checks.

use std::path::{Path, PathBuf};

use umbel_model::families::TransformerSpec;
use umbel_proto::settings;

use super::{RunConfig, defaults};

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration {path}: {source}; check the path")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It isn't TOML, or has an unknown, missing or ill-typed key.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which key or line, and why.
        reason: String,
    },
    /// An override isn't `key=value`, or its key can't be set.
    #[error("--set {text}: {reason}")]
    Override {
        /// What was given.
        text: String,
        /// Why it can't be used.
        reason: String,
    },
    /// Keys that don't go together, or a number out of its range.
    #[error("{key}: {reason}")]
    Check {
        /// The key.
        key: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// A configuration and the folder that its paths are relative to.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The checked configuration, its paths resolved against the configuration's folder.
    pub config: RunConfig,
    /// The configuration's folder.
    pub folder: PathBuf,
}

/// Reads `path`, applies `overrides` (`privacy.epsilon=3`) and `seed`, and checks the result.
///
/// Paths in the file are relative to the file, except `run.out`, which is relative to
/// where the command is run, as a user who types the command expects.
///
/// # Errors
/// [`ConfigError`] naming the file and key.
pub fn load(
    path: &Path,
    overrides: &[String],
    seed: Option<u64>,
) -> Result<LoadedConfig, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let invalid = |reason: String| ConfigError::Invalid {
        path: path.to_owned(),
        reason,
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(|e| invalid(told(&e)))?;
    for text in overrides {
        set(&mut table, text)?;
    }
    if overrides
        .iter()
        .any(|text| text.replace([' ', '"'], "") == "privacy.unit=none")
    {
        drop_promise(&mut table);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let filled = defaults::fill(&mut table, |base| word_table(&folder.join(base)))?;
    // What was neither overridden nor filled in is parsed from the text itself, for errors that
    // show line and column.
    let mut config: RunConfig = if overrides.is_empty() && !filled {
        toml::from_str(&text).map_err(|e| invalid(told(&e)))?
    } else {
        table
            .try_into()
            .map_err(|e: toml::de::Error| invalid(told(&e)))?
    };
    if seed.is_some() {
        config.run.seed = seed;
    }
    resolve(&mut config, &folder).map_err(invalid)?;
    config.check()?;
    Ok(LoadedConfig { config, folder })
}

/// How many numbers the word embeddings of the model in a folder are, if there is one. If there is none,
/// whoever reads the model says so.
fn word_table(base: &Path) -> Option<usize> {
    let json = std::fs::read(base.join("config.json")).ok()?;
    let spec = TransformerSpec::from_json(&json).ok()?;
    spec.vocab_size.checked_mul(spec.embedding_size)
}

/// What is wrong, with the key that was meant where there is no such key.
fn told(error: &toml::de::Error) -> String {
    settings::explained(&error.to_string(), &super::settings())
}

/// Makes every path of the file relative to the working folder rather than to the file.
fn resolve(config: &mut RunConfig, folder: &Path) -> Result<(), String> {
    let files = config.evaluation.files.iter_mut().map(|f| &mut f.path);
    let tables = config.clients.paths();
    let serve = config.serve.iter_mut();
    let serve = serve.flat_map(|s| [&mut s.certificate, &mut s.key, &mut s.ca]);
    let paths = std::iter::once(&mut config.model.base)
        .chain(files)
        .chain(tables)
        .chain(serve)
        .chain(&mut config.privacy.ledger)
        .chain(&mut config.run.signing_key);
    for path in paths {
        settings::check_path(path)?;
        *path = folder.join(&*path);
    }
    Ok(())
}

/// Sets `a.b.c=value`, where the value is TOML, or a bare string where it isn't.
fn set(table: &mut toml::Table, text: &str) -> Result<(), ConfigError> {
    let refuse = |reason: String| ConfigError::Override {
        text: text.to_owned(),
        reason,
    };
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| refuse("expected key=value, such as privacy.epsilon=3".into()))?;
    let value = parse_value(value.trim());
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    if last.is_empty() || parts.iter().any(|part| part.is_empty()) {
        return Err(refuse(format!("`{key}` isn't a dotted key")));
    }
    let mut here = table;
    for part in parts {
        here = here
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| refuse(format!("`{part}` isn't a section of keys")))?;
    }
    here.insert(last.to_owned(), value);
    Ok(())
}

/// Whoever switches privacy off on the command line needs not remove the promise from the
/// file first. In a file, unit `none` beside an epsilon stays an error.
fn drop_promise(table: &mut toml::Table) {
    if let Some(privacy) = table.get_mut("privacy").and_then(toml::Value::as_table_mut) {
        privacy.remove("epsilon");
        privacy.remove("noise_multiplier");
        privacy.remove("rows_per_group");
        privacy.remove("clipping");
        privacy.remove("adaptive_clipping");
    }
}

fn parse_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../examples")
            .join(name)
    }

    #[test]
    fn word_embeddings_are_trained_by_rule_where_the_base_model_has_few() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("run.toml");
        let text = "[run]\nname = 'first'\n[model]\nbase = 'base'\n[data]\nlabels = ['no', 'yes']\n\
                    [privacy]\nepsilon = 8.0\nunits = 900\n[[clients]]\nname = 'a'\ndata = 'a.csv'\n";
        std::fs::write(&path, text).expect("written");
        let words = || {
            let config = load(&path, &[], None).expect("a configuration").config;
            config.model.lora.and_then(|lora| lora.words)
        };
        assert_eq!(words(), None, "no model yet");
        let base = home.path().join("base");
        std::fs::create_dir(&base).expect("a folder");
        for (vocabulary, expected) in [("30522", Some(0.5)), ("99999", None), ("-1", None)] {
            let json = format!(
                r#"{{"model_type": "bert", "vocab_size": {vocabulary}, "hidden_size": 128,
                "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512,
                "max_position_embeddings": 512, "type_vocab_size": 2}}"#
            );
            std::fs::write(base.join("config.json"), json).expect("written");
            assert_eq!(words().map(|words| words.get()), expected, "{vocabulary}");
        }
    }

    #[test]
    fn every_example_can_be_loaded_with_its_privacy_and_without() {
        for name in [
            "sentiment/run.toml",
            "sentiment/plain.toml",
            "sentiment/adapters.toml",
            "sentiment/stragglers.toml",
            "airline/adapters.toml",
            "banking/head.toml",
            "tasks/tags.toml",
            "tasks/polarity.toml",
            "tasks/pairs.toml",
        ] {
            for overrides in [vec![], vec!["privacy.unit=none".to_owned()]] {
                if let Err(error) = load(&example(name), &overrides, None) {
                    panic!("{name} with {overrides:?}: {error}");
                }
            }
        }
    }
}
