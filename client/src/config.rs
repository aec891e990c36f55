//! The configuration of a site, `client.toml`.

mod policy;

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use umbel_model::data::{
    Asked, Delimiter, LabelsPerRow, Separator, TableFormat, TableOptions, TableSchema,
    TextEncoding, read_labels,
};
use umbel_model::{ComputePrecision, DeviceChoice, ModelError};
use umbel_proto::message::ClientId;
use umbel_proto::settings::{self, Section};

pub use self::policy::PolicySection;
use crate::grpc::ProxyChoice;

/// A site's configuration. Unknown keys are refused; paths are relative to the file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The name under which the coordinator knows this site.
    pub name: ClientId,
    /// Where the coordinator is: `https://host:port` (`http://` on one machine, without `[tls]`).
    /// This site dials out; nothing needs to reach it.
    pub coordinator: String,
    /// The HTTP proxy through which the coordinator is dialled, by CONNECT: `http://host:port` or
    /// `http://user:password@host:port`. Left out, what `HTTPS_PROXY` and `NO_PROXY` say; `none` is
    /// none, whatever they say. TLS goes from end to end in any case.
    #[schemars(with = "Option<String>")]
    pub proxy: Option<ProxyChoice>,
    /// Certificates. Left out, the site speaks without TLS, which only works on one machine.
    pub tls: Option<TlsSection>,
    /// The site's table.
    pub data: DataSection,
    /// The site's own rules.
    pub policy: PolicySection,
    /// Where to train.
    #[serde(default)]
    pub device: DeviceSection,
    /// What the site takes home.
    #[serde(default)]
    pub results: ResultsSection,
    /// Base models that were fetched before.
    #[serde(default)]
    pub cache: CacheSection,
}

/// `[cache]`: base models that were fetched before, so that a client which is started again needn't
/// fetch them again. A file is used only if it still has its SHA-256.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSection {
    /// The folder. It is made if there is none.
    #[serde(default = "cache_folder")]
    pub folder: PathBuf,
    /// What it may hold, such as `"8GiB"`; the files that weren't used for longest go first. `"0B"`
    /// keeps nothing.
    #[serde(default = "cache_size")]
    #[schemars(with = "String")]
    pub size: ByteSize,
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            folder: cache_folder(),
            size: cache_size(),
        }
    }
}

fn cache_folder() -> PathBuf {
    "base-models".into()
}
fn cache_size() -> ByteSize {
    ByteSize::gib(8)
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// This site's table: CSV, JSON, Parquet, Arrow, an Excel workbook, or a folder of such files. It
    /// never leaves the site.
    pub path: PathBuf,
    /// Column with the text.
    #[serde(default = "text")]
    pub text: String,
    /// Column with the second text, in a run that reads two texts together.
    pub text_pair: Option<String>,
    /// Column with the label, the labels or the value.
    #[serde(default = "label")]
    pub label: String,
    /// What stands between the labels of a text in that column, such as `";"`, in a run in which texts
    /// have any number of labels. Left out, such a text is one label.
    #[schemars(with = "Option<String>")]
    pub label_separator: Option<Separator>,
    /// Column that names the group, for the unit `group`.
    pub group: Option<String>,
    /// Texts in that column that are ids exactly as written, though they look like a missing value
    /// ("Null" is a surname) or like another id.
    #[serde(default)]
    pub real_ids: Vec<String>,
    /// This site's label set. If it is given, the run's must be the same.
    #[serde(default, deserialize_with = "read_labels")]
    pub labels: Vec<String>,
    /// The table's format: `csv`, `json`, `parquet`, `arrow` or `xlsx`. Left out, it is known by its
    /// content.
    #[schemars(with = "Option<String>")]
    pub format: Option<TableFormat>,
    /// What separates the columns of a CSV table: one character, or `comma`, `semicolon`, `tab`,
    /// `pipe` or `space`. Left out, the first four are looked for in the header.
    #[schemars(with = "Option<String>")]
    pub delimiter: Option<Delimiter>,
    /// The encoding of a table that is text, such as `windows-1252`. Left out, it is UTF-8 or
    /// UTF-16, which are told apart.
    #[schemars(with = "Option<String>")]
    pub encoding: Option<TextEncoding>,
    /// The sheet of a workbook that has several with these columns.
    pub sheet: Option<String>,
}

/// The schema of a site's configuration.
pub fn schema() -> Schema {
    schemars::schema_for!(ClientConfig)
}

/// The settings of a site.
pub fn settings() -> Vec<Section> {
    settings::sections(&schema())
}

/// `[device]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSection {
    /// `auto`, `cpu`, `gpu` or `gpu:N`.
    #[serde(default = "auto")]
    pub device: String,
    /// The format in which training multiplies the encoder's matrices: `f32`, or `f16` or `bf16` on
    /// a GPU that computes in it, with the units `client` and `none`.
    #[serde(default = "single")]
    pub precision: String,
    /// Memory that training may take, such as `"4GB"`: weights, sums, and what a pass through the
    /// model keeps. With less memory, fewer rows pass at a time. If not even one row fits, the site
    /// refuses and says how much would do. On a GPU this is an estimate. Left out, there is no
    /// limit.
    #[schemars(with = "Option<String>")]
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

/// `[results]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultsSection {
    /// Whether the site fetches the model and its certificate when a run is over. The certificate is
    /// held against the plan that the site agreed to and against what it signed itself.
    #[serde(default = "yes")]
    pub keep: bool,
    /// Where they are kept, each run in a folder of its own.
    #[serde(default = "results")]
    pub folder: PathBuf,
}

impl Default for ResultsSection {
    fn default() -> Self {
        Self {
            keep: yes(),
            folder: results(),
        }
    }
}

fn yes() -> bool {
    true
}
fn results() -> PathBuf {
    "results".into()
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
        let mut config: Self = toml::from_str(&content)
            .map_err(|e| invalid(settings::explained(&e.to_string(), &settings())))?;
        config.device().map_err(invalid)?;
        config.precision().map_err(invalid)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in config.paths() {
            settings::check_path(path).map_err(invalid)?;
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let tls = self.tls.iter_mut();
        let tls = tls.flat_map(|tls| [&mut tls.ca, &mut tls.certificate, &mut tls.key]);
        let others = [
            &mut self.data.path,
            &mut self.cache.folder,
            &mut self.policy.ledger,
            &mut self.policy.signing_key,
            &mut self.results.folder,
        ];
        others.into_iter().chain(tls)
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
            text_pair: self.data.text_pair.clone(),
            label: self.data.label.clone(),
            label_separator: self.data.label_separator.clone(),
            labels: LabelsPerRow::One,
            group: self.data.group.clone(),
            client: None,
            real_ids: self.data.real_ids.clone(),
            options: TableOptions {
                format: self.data.format,
                delimiter: self.data.delimiter,
                encoding: self.data.encoding,
                sheet: self.data.sheet.clone(),
            },
            asked: Asked::Configuration,
        }
    }
}
