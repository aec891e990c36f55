//! `[run]`: what a run is called and how long it is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::name::RunName;
use umbel_proto::plan::Rounds;

/// `[run]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// Name of the run: part of its folder's name and of every ledger entry.
    pub name: RunName,
    /// Rounds to train.
    pub rounds: Rounds,
    /// Folder in which the run's own folder is made. Default `runs`, where the command is run.
    #[serde(default = "default_out")]
    pub out: PathBuf,
    /// The file of the key that signs the run's certificate; made if there is none.
    /// Default for the coordinator: `signing.key` beside the configuration; for a
    /// simulation: in the folder of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// Makes the whole run predictable, for tests and simulations. Protects nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn default_out() -> PathBuf {
    "runs".into()
}
