//! The configuration of a run, read once, at the edge, from one TOML file.
//!
//! Every key is a field here, with its meaning and its default; unknown keys are
//! refused. The same file drives a simulation (`[[clients]]` name a data file) and a
//! run over the network (`[[clients]]` name a certificate).

mod check;
mod load;
mod plan;
mod trainable;

pub use load::{ConfigError, LoadedConfig, load};
pub use plan::{ModelFacts, plan};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use umbel_privacy::combination::Summed;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::message::{BlobDigest, ClientId};
use umbel_proto::plan::{ClippingRule, LocalOptimiser};

use crate::strategy::{self, Given, StrategyKind};

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What the run is called and how long it is.
    pub run: RunSection,
    /// Which model is fine-tuned.
    pub model: ModelSection,
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
    /// Where to listen. Only `umbel-coordinator serve` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve: Option<ServeSection>,
    /// The clients.
    pub clients: Vec<ClientSection>,
}

/// `[run]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// Name of the run: part of its folder's name and of every ledger entry.
    pub name: String,
    /// Rounds to train.
    pub rounds: u32,
    /// Folder in which the run's own folder is made. Default `runs`, where the command is run.
    #[serde(default = "default_out")]
    pub out: PathBuf,
    /// The file of the key that signs the run's certificate; made where there is none.
    /// Default for the coordinator: `signing.key` beside the configuration; for a
    /// simulation: in the folder of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// Makes the whole run predictable, for tests and simulations. Protects nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// `[model]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// Folder of a pretrained BERT in Hugging Face layout.
    pub base: PathBuf,
    /// Trainable set: `full`, `encoder` (all but the embeddings), `lora` (low-rank adapters
    /// and the head), `bias` (all biases and the head) or `head`.
    #[serde(default = "default_train")]
    pub train: String,
    /// The adapters of the set `lora`. Left out, they have the defaults of their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraSection>,
    /// Pooling: `cls`, `mean` or `pooler`.
    #[serde(default = "default_pooling")]
    pub pooling: String,
    /// Tokens of each text that are read, special tokens included.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: usize,
    /// Dropout rate in training. Default 0: under noise there is little to overfit.
    #[serde(default)]
    pub dropout: f64,
}

/// `[model.lora]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraSection {
    /// Columns of A and rows of B.
    pub rank: usize,
    /// The adapters' output is multiplied by alpha / rank.
    pub alpha: f64,
    /// Layers with an adapter: `query`, `key`, `value`, `attention-output`, `intermediate`,
    /// `output`, or `all`.
    pub targets: Vec<String>,
    /// Train B alone, and leave A as it was drawn (FFA-LoRA).
    pub freeze_a: bool,
    /// Draws A; public. Default: `run.seed`, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// `[data]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSection {
    /// Column with the text.
    pub text: String,
    /// Column with the label.
    pub label: String,
    /// Column that names the group (a patient, an author), for the unit `group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Texts in that column that are ids just as they are written, though they read like a
    /// missing value ("Null" is a surname) or like another id. Over the network, sites list
    /// their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub real_ids: Vec<String>,
    /// The label set, in order. A simulation may leave it out and take the union of its
    /// files; over the network it must be given, since sites must not reveal theirs.
    pub labels: Vec<String>,
    /// Normalise white space and drop empty and duplicate rows before training.
    pub clean: bool,
}

/// `[privacy]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacySection {
    /// What is protected: `record`, `group`, `client` or `none`.
    pub unit: PrivacyUnit,
    /// Who adds the noise: `central` (the coordinator) or `local` (each site).
    #[serde(default = "default_placement")]
    pub noise: NoisePlacement,
    /// The neighbourhood that epsilon speaks of.
    #[serde(default = "default_adjacency")]
    pub adjacency: Adjacency,
    /// The budget's epsilon. Needed unless the unit is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// The budget's delta. Needed unless the unit is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// L2 norm to which one unit's contribution is clipped. Needed unless the unit is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipping_norm: Option<f64>,
    /// How a unit's gradient is clipped: `flat` or `automatic`.
    #[serde(default)]
    pub clipping: ClippingRule,
    /// `[privacy.adaptive_clipping]`: lets the norm to which gradients are clipped follow a
    /// quantile of their norms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_clipping: Option<AdaptiveClippingSection>,
    /// Poisson sampling rate of units (of clients for the unit `client`). Default 1.
    #[serde(default = "one")]
    pub sampling_rate: f64,
    /// Noise multiplier. Left out, it is calibrated so that all rounds fit the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_multiplier: Option<f64>,
    /// Whether the noise multiplier, given or calibrated, may be below 0.3. So little noise
    /// promises next to nothing, and each site has to allow it, too.
    #[serde(default)]
    pub allow_weak_noise: bool,
    /// Rows of one group that take part, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_group: Option<usize>,
    /// The data that the budget belongs to; spending adds up over all runs on it. Default:
    /// the run's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_set: Option<String>,
    /// The ledger file. Default for the coordinator: `ledger.jsonl` beside the
    /// configuration. A simulation keeps one in each run's folder unless this is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<PathBuf>,
}

/// `[privacy.adaptive_clipping]`: `clipping_norm` is where it begins. A bit of each unit, whether
/// it was clipped, is summed and noised with the gradients, and charged with them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveClippingSection {
    /// The share of units that is to be left unclipped.
    #[serde(default = "half")]
    pub quantile: f64,
    /// By how much the norm follows, per round.
    #[serde(default = "one_fifth")]
    pub learning_rate: f64,
}

fn half() -> f64 {
    0.5
}

fn one_fifth() -> f64 {
    0.2
}

/// `[training]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSection {
    /// `gradients` (one server step on the summed gradients) or `deltas` (local steps first).
    pub method: Summed,
    /// The public number by which a sum of gradients is divided: what the sampling rate is
    /// expected to draw over all sites. Needed for `gradients`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_batch: Option<f64>,
    /// Rows that pass through the model at a time.
    #[serde(default = "default_micro_batch")]
    pub micro_batch: usize,
    /// Public cap on a site's units, and so on what it adds up in one round: a site with more
    /// refuses the run.
    #[serde(default = "default_max_units")]
    pub max_units: u64,
    /// Local steps, for `deltas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalSection>,
}

/// `[training.local]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSection {
    /// `sgd` or `adam-w`.
    pub optimiser: LocalOptimiser,
    /// Steps in a round.
    pub steps: u32,
    /// Rows of a step.
    pub batch: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay.
    #[serde(default)]
    pub weight_decay: f64,
    /// Momentum of SGD.
    #[serde(default)]
    pub momentum: f64,
}

/// `[server]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// The name of a strategy ([`strategy::ALL`]).
    #[serde(deserialize_with = "strategy::deserialize")]
    pub optimiser: &'static StrategyKind,
    /// Learning rate at its peak.
    pub learning_rate: f64,
    /// What is kept of the last step's direction; the strategy's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Decay of the mean; the strategy's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// Decay of the squares; the strategy's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// What is added to the root of the squares; the strategy's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Rounds over which the learning rate rises from 0 to its peak.
    #[serde(default)]
    pub warmup_rounds: u32,
    /// `none`, or `linear` from the peak to 0 at the last round.
    #[serde(default)]
    pub decay: Decay,
}

impl ServerSection {
    /// The numbers that are given for the strategy.
    pub fn given(&self) -> Given {
        Given {
            momentum: self.momentum,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
        }
    }
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// It doesn't.
    #[default]
    None,
    /// In a straight line to 0 at the last round.
    Linear,
}

/// `[federation]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FederationSection {
    /// Clients that a round needs at least; below it the round is repeated, then the run
    /// fails. 0 stands for all of them. With a client sampling rate below 1 there is no minimum.
    pub minimum: usize,
    /// How often a round is repeated that too few clients completed.
    pub attempts: u32,
    /// How long the coordinator waits for clients to join, in seconds.
    pub gather_seconds: u64,
    /// How long a round may take, in seconds.
    pub round_seconds: u64,
}

/// `[evaluation]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSection {
    /// Evaluate after the first round, after every so many, and at the end; 0: at the end only.
    pub every: u32,
    /// Rows used for these; the end uses all. 0 stands for all.
    pub rows: usize,
    /// Labelled files that count as public: what is computed on them is published.
    pub files: Vec<EvaluationFile>,
}

/// `[[evaluation.files]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationFile {
    /// Name in tables.
    pub name: String,
    /// CSV, JSON Lines or Parquet.
    pub path: PathBuf,
}

/// `[serve]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeSection {
    /// Address and port.
    pub listen: String,
    /// `false` serves without TLS, which is only allowed on a loopback address.
    #[serde(default = "yes")]
    pub tls: bool,
    /// The coordinator's certificate (PEM).
    #[serde(default = "default_certificate")]
    pub certificate: PathBuf,
    /// Its private key (PEM).
    #[serde(default = "default_key")]
    pub key: PathBuf,
    /// The authority that signed the clients' certificates (PEM).
    #[serde(default = "default_ca")]
    pub ca: PathBuf,
}

/// `[[clients]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSection {
    /// The client's name.
    pub name: ClientId,
    /// Its table, for a simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// SHA-256 of its certificate, for a run over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<BlobDigest>,
}

impl Default for LoraSection {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            targets: ["query", "value"].map(str::to_owned).to_vec(),
            freeze_a: false,
            seed: None,
        }
    }
}

impl Default for DataSection {
    fn default() -> Self {
        Self {
            text: "text".into(),
            label: "label".into(),
            group: None,
            real_ids: Vec::new(),
            labels: Vec::new(),
            clean: true,
        }
    }
}

impl Default for FederationSection {
    fn default() -> Self {
        Self {
            minimum: 0,
            attempts: 2,
            gather_seconds: 600,
            round_seconds: 600,
        }
    }
}

impl Default for EvaluationSection {
    fn default() -> Self {
        Self {
            every: 10,
            rows: 0,
            files: Vec::new(),
        }
    }
}

fn default_out() -> PathBuf {
    "runs".into()
}
fn default_train() -> String {
    "encoder".into()
}
fn default_pooling() -> String {
    "mean".into()
}
fn default_max_tokens() -> usize {
    128
}
fn default_placement() -> NoisePlacement {
    NoisePlacement::Central
}
fn default_adjacency() -> Adjacency {
    Adjacency::AddOrRemove
}
fn one() -> f64 {
    1.0
}
fn yes() -> bool {
    true
}
fn default_micro_batch() -> usize {
    64
}
fn default_max_units() -> u64 {
    1 << 16
}
fn default_certificate() -> PathBuf {
    "server.pem".into()
}
fn default_key() -> PathBuf {
    "server.key".into()
}
fn default_ca() -> PathBuf {
    "ca.pem".into()
}
