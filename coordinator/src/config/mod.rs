//! The configuration of a run, read once, at the edge, from one TOML file.
//!
//! Every setting is a field of a section here: its name, its default and what it means stand
//! there, and its range in its type. The reference, the schema for editors and the templates are
//! made of that; unknown keys are refused. The same file drives a
//! simulation (`[[clients]]` name a data file, or `[clients]` one for all) and a run over the network (`[[clients]]` name a
//! certificate).

mod clients;
mod data;
mod defaults;
mod load;
mod model;
mod network;
mod plan;
mod privacy;
mod report;
mod run;
mod server;
mod simulation;
mod task;
mod training;

pub use clients::{Alpha, ClientSection, Clients, DividedTable, Split};
pub use data::DataSection;
pub use load::{ConfigError, LoadedConfig, load};
pub use model::{HeadStart, ModelSection};
pub use network::{
    Attempts, Connections, EvaluationFile, EvaluationSection, FederationSection, Grace, Handshakes,
    QuorumPercent, ServeSection,
};
pub use plan::{ModelFacts, plan};
pub use privacy::PrivacySection;
pub use report::{ReportSection, Words};
pub use run::RunSection;
pub use server::{Decay, ServerSection};
pub use simulation::{SimulationSection, Spread};
pub use task::TaskSection;
pub use training::{ExpectedBatch, TrainingSection};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_model::data::TableSchema;
use umbel_proto::message::ClientId;
use umbel_proto::settings::{self, Section};
use umbel_proto::task::TaskKind;

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What the run is called and how long it is.
    pub run: RunSection,
    /// Which model is fine-tuned.
    pub model: ModelSection,
    /// What the model answers about a text.
    #[serde(default)]
    pub task: TaskSection,
    /// How tables are read.
    #[serde(default)]
    pub data: DataSection,
    /// What is promised.
    pub privacy: PrivacySection,
    /// How sites train.
    pub training: TrainingSection,
    /// How the coordinator applies a round's sum.
    pub server: ServerSection,
    /// Who must be there and how long to wait for them.
    #[serde(default)]
    pub federation: FederationSection,
    /// Evaluation on public files, at the coordinator.
    #[serde(default)]
    pub evaluation: EvaluationSection,
    /// What the report says of the run besides its numbers.
    #[serde(default)]
    pub report: ReportSection,
    /// Where to listen. Only `umbel-coordinator serve` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve: Option<ServeSection>,
    /// Virtual time. Only `umbel simulate` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<SimulationSection>,
    /// The clients.
    pub clients: Clients,
}

/// The schema of a run's configuration, for editors.
pub fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(RunConfig);
    defaults::relax(&mut schema);
    schema
}

/// The settings of a run.
pub fn settings() -> Vec<Section> {
    settings::sections(&schema())
}

impl RunConfig {
    /// The names of the model's outputs as far as the configuration tells: the labels, or the name of
    /// a regression's value, which is that of its column unless `data.labels` has another.
    pub fn outputs(&self) -> Vec<String> {
        match (self.task.kind, self.data.labels.as_slice()) {
            (TaskKind::Regression, []) => vec![self.data.label.clone()],
            (_, labels) => labels.to_vec(),
        }
    }

    /// How the tables are read.
    pub fn schema(&self) -> TableSchema {
        let schema = self.data.schema();
        let client = self.clients.divided().and_then(|table| table.by.clone());
        TableSchema { client, ..schema }.for_task(self.task.kind, &self.data.labels)
    }

    /// The same run with the clients that its table was divided among.
    ///
    /// # Errors
    /// [`ConfigError`] where it can't be one with so many.
    pub fn with_clients(
        &self,
        names: impl IntoIterator<Item = ClientId>,
    ) -> Result<Self, ConfigError> {
        let named = Self {
            clients: self.clients.named(names),
            ..self.clone()
        };
        named.check()?;
        Ok(named)
    }

    /// Refuses clients that only a simulation has.
    ///
    /// # Errors
    /// [`ConfigError`] for a table that is to be divided, and for virtual time.
    pub fn require_listed(&self) -> Result<(), ConfigError> {
        require(
            self.clients.divided().is_none(),
            "clients",
            "[clients] divides one table among simulated clients (umbel simulate); over the \
             network, list each client under [[clients]]",
        )?;
        require(
            self.simulation.is_none(),
            "simulation",
            "draws how quick simulated clients are (umbel simulate); over the network they take as \
             long as they do, so remove the section",
        )
    }

    /// Checks what no section can see by itself. What a plan must be is checked by making its
    /// parts, as [`plan`](fn@plan) does once more when the model is known.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.task.check()?;
        self.data.check(self.task.kind)?;
        self.model.trainable_set(self.run.seed)?;
        require(
            self.model.head_start == HeadStart::Random || self.task.kind == TaskKind::SingleLabel,
            "model.head_start",
            "`label-names` goes with task.kind = \"single-label\", where scores are compared with each \
             other; use \"random\"",
        )?;
        let method = self.training.method()?;
        self.privacy.check(&method)?;
        self.server.check(self.privacy.unit, &method)?;
        network::check(self)
    }
}

fn refuse(key: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Check {
        key: key.to_owned(),
        reason: reason.into(),
    }
}

fn require(ok: bool, key: &str, reason: &str) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(refuse(key, reason)) }
}
