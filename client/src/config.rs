//! The configuration of a site, `client.toml`.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::Deserialize;
use umbel_model::data::TableSchema;
use umbel_model::{ComputePrecision, DeviceChoice, ModelError};
use umbel_proto::message::ClientId;

use crate::policy::SitePolicy;

/// A site's configuration. Unknown keys are refused; paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The name under which the coordinator knows this site.
    pub name: ClientId,
    /// `https://host:port`.
    pub coordinator: String,
    /// Certificates. Left out, the site speaks without TLS, which only works on one machine.
    pub tls: Option<TlsSection>,
    /// The site's table.
    pub data: DataSection,
    /// The site's own rules.
    pub policy: PolicySection,
    /// Where to train.
    #[serde(default)]
    pub device: DeviceSection,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// The authority that signed the coordinator's certificate (PEM).
    pub ca: PathBuf,
    /// This site's certificate (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// The name in the coordinator's certificate, where it isn't the address's host.
    pub server_name: Option<String>,
}

/// `[data]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// CSV, JSON Lines or Parquet.
    pub path: PathBuf,
    /// Column with the text.
    #[serde(default = "text")]
    pub text: String,
    /// Column with the label.
    #[serde(default = "label")]
    pub label: String,
    /// Column that names the group, for the unit `group`.
    pub group: Option<String>,
    /// Texts in that column that are ids just as they are written, though they read like a
    /// missing value ("Null" is a surname) or like another id.
    #[serde(default)]
    pub real_ids: Vec<String>,
    /// This site's label set; left out, the run's is taken.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// `[policy]`: the rules, and where ledger and key are.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct PolicySection {
    /// Where this site records what was spent.
    pub ledger: PathBuf,
    /// The key with which this site signs what it was told and did; made if there is none.
    pub signing_key: PathBuf,
    /// The ledger's name for this data. It has no default: a name that came from the file would
    /// begin at 0 when the file is renamed.
    pub data_set: String,
    /// The rules.
    pub rules: SitePolicy,
}

/// Serde's own flattening would pass over unknown keys, and a mistyped rule must never be
/// passed over: so the keys that aren't rules are taken out, and the rest are the rules.
impl TryFrom<toml::Table> for PolicySection {
    type Error = String;

    fn try_from(mut section: toml::Table) -> Result<Self, String> {
        let mut text = |key: &str| match section.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("policy.{key} is {other}, but must be a text")),
        };
        let ledger = text("ledger")?.unwrap_or_else(|| "ledger.jsonl".into());
        let signing_key = text("signing_key")?.unwrap_or_else(|| "site.key".into());
        let data_set = text("data_set")?.ok_or(
            "policy.data_set is missing: give this site's data a name, under which all that is \
             spent on it adds up in the ledger. Keep the name when the file changes; a ledger that \
             was begun without one has the table's file name",
        )?;
        let rules: Result<SitePolicy, toml::de::Error> = section.try_into();
        Ok(Self {
            ledger: ledger.into(),
            signing_key: signing_key.into(),
            data_set,
            rules: rules.map_err(|e| format!("[policy]: {}", e.message()))?,
        })
    }
}

/// `[device]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSection {
    /// `auto`, `cpu`, `gpu` or `gpu:N`.
    #[serde(default = "auto")]
    pub device: String,
    /// `f32`, or `f16` or `bf16` on a GPU that computes in it.
    #[serde(default = "single")]
    pub precision: String,
    /// Memory that training may take, such as `"4GB"` or `"512MiB"`; no limit if left out.
    pub memory: Option<ByteSize>,
}

impl Default for DeviceSection {
    fn default() -> Self {
        Self {
            device: auto(),
            precision: single(),
            memory: None,
        }
    }
}

fn auto() -> String {
    "auto".into()
}
fn single() -> String {
    ComputePrecision::default().to_string()
}
fn text() -> String {
    "text".into()
}
fn label() -> String {
    "label".into()
}

/// Why a site's configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientConfigError {
    /// The file can't be read.
    #[error("can't read {}: {source}; check the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It isn't TOML, or a key is unknown, missing or ill-typed.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which key, and why.
        reason: String,
    },
}

impl ClientConfig {
    /// Reads a configuration and makes its paths relative to where the command is run.
    ///
    /// # Errors
    /// [`ClientConfigError`] naming the file and key.
    pub fn load(path: &Path) -> Result<Self, ClientConfigError> {
        let content =
            std::fs::read_to_string(path).map_err(|source| ClientConfigError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
        let invalid = |reason: String| ClientConfigError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let mut config: Self = toml::from_str(&content).map_err(|e| invalid(e.to_string()))?;
        config.device().map_err(invalid)?;
        config.precision().map_err(invalid)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let at = |path: &mut PathBuf| *path = folder.join(&*path);
        at(&mut config.data.path);
        at(&mut config.policy.ledger);
        at(&mut config.policy.signing_key);
        if let Some(tls) = &mut config.tls {
            at(&mut tls.ca);
            at(&mut tls.certificate);
            at(&mut tls.key);
        }
        Ok(config)
    }

    /// Where to train.
    ///
    /// # Errors
    /// A sentence for a word that names no device.
    pub fn device(&self) -> Result<DeviceChoice, String> {
        let word = &self.device.device;
        word.parse()
            .map_err(|e: ModelError| format!("device.device: {e}"))
    }

    /// In what to multiply matrices there.
    ///
    /// # Errors
    /// A sentence for a word that names no precision.
    pub fn precision(&self) -> Result<ComputePrecision, String> {
        let word = &self.device.precision;
        word.parse()
            .map_err(|e: ModelError| format!("device.precision: {e}"))
    }

    /// The table's columns.
    pub fn schema(&self) -> TableSchema {
        TableSchema {
            text: self.data.text.clone(),
            label: self.data.label.clone(),
            group: self.data.group.clone(),
            real_ids: self.data.real_ids.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(policy: &str) -> Result<ClientConfig, toml::de::Error> {
        let head =
            "name = \"a\"\ncoordinator = \"https://localhost:1\"\n[data]\npath = \"t.csv\"\n";
        toml::from_str(&format!(
            "{head}[policy]\ndata_set = \"visits\"\nepsilon = 1.0\ndelta = 1e-5\n{policy}"
        ))
    }

    #[test]
    fn a_mistyped_rule_is_refused_rather_than_passed_over() {
        let error = read("allow_centra_noise = false").expect_err("an unknown key");
        assert!(error.to_string().contains("allow_centra_noise"), "{error}");
    }

    #[test]
    fn rules_and_ledger_are_read_from_one_section() {
        let config = read("ledger = \"mine.jsonl\"\nallow_central_noise = false").expect("sound");
        assert_eq!(config.policy.ledger, PathBuf::from("mine.jsonl"));
        assert!(!config.policy.rules.allow_central_noise);
        assert_eq!(config.policy.data_set, "visits");
        assert_eq!(config.policy.rules.least_noise_multiplier.get(), 0.3);
    }

    #[test]
    fn a_least_noise_that_is_no_number_is_refused() {
        for wrong in ["-0.1", "nan", "inf"] {
            let error = read(&format!("least_noise_multiplier = {wrong}")).expect_err(wrong);
            assert!(
                error.to_string().contains("least_noise_multiplier"),
                "{error}"
            );
        }
    }

    #[test]
    fn data_without_a_name_are_refused() {
        let unnamed = "name = \"a\"\ncoordinator = \"https://localhost:1\"\n[data]\npath = \
                       \"t.csv\"\n[policy]\nepsilon = 1.0\ndelta = 1e-5\n";
        let error = toml::from_str::<ClientConfig>(unnamed).expect_err("no name");
        assert!(error.to_string().contains("policy.data_set"), "{error}");
    }
}
