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
    /// The run's name: part of the run folder's name and of every ledger entry. 1 to 64 letters,
    /// digits, `.`, `_` or `-`.
    pub name: RunName,
    /// Rounds to train. Needed without `privacy.units`.
    pub rounds: Rounds,
    /// Folder in which the run's own folder is made, relative to where the command is run.
    #[serde(default = "default_out")]
    pub out: PathBuf,
    /// The key that signs certificates. It is made if there is none, only its owner can read it,
    /// and its public half is beside it as `.pub`. Left out: `signing.key`, beside the
    /// configuration for `serve`, in `run.out` for a simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// Write the curves for TensorBoard, too, into the folder `tensorboard` of the run's: the numbers of
    /// `metrics.jsonl`, as they come.
    #[serde(default)]
    pub tensorboard: bool,
    /// Makes the whole run predictable, noise included, for tests and simulations. It then protects
    /// nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

fn default_out() -> PathBuf {
    "runs".into()
}
