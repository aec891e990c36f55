//! All that a report tells of a run. Nothing in it may come from private rows, but through
//! the released models.

use serde::{Deserialize, Serialize};
use umbel_privacy::combination::Summed;
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};

use super::strength::Strength;
use crate::observe::evaluation::Evaluation;
use crate::observe::judgement::Judgement;
use crate::observe::scores::Scores;

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's name.
    pub name: String,
    /// Name and version of the software.
    pub software: String,
    /// When it began, in words for people.
    pub started: String,
    /// When it ended.
    pub finished: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it is for, and who answers for it.
    #[serde(default)]
    pub about: About,
    /// How it ended.
    pub ending: Ending,
    /// What was promised and spent.
    pub privacy: PrivacySummary,
    /// What an attacker can do at most; `None` where nothing is guaranteed.
    #[serde(default)]
    pub strength: Option<Strength>,
    /// What was trained and how.
    pub training: TrainingSummary,
    /// What training began with.
    #[serde(default)]
    pub base: Base,
    /// How connections were secured, a sentence each ("Clients were threads of one process:
    /// nothing crossed a network.").
    pub connections: Vec<String>,
    /// Everybody whom the configuration names; nobody where the client is the unit.
    pub clients: Vec<ClientSummary>,
    /// Who gave nothing in which rounds, and why; empty where the client is the unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absences: Vec<AbsenceSummary>,
    /// The rounds in virtual time; empty for a run in the machine's own time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_time: Vec<VirtualLine>,
    /// What was moved; `None` where the client is the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// Scores of the final model on public files, if there were any.
    pub results: Option<Results>,
    /// What was known after each round.
    pub curve: Vec<CurvePoint>,
    /// The ledger's head: the hash of its last entry.
    pub ledger_head: Option<String>,
    /// SHA-256 of the released `model.safetensors`; `None` where the run left no model.
    pub model_hash: Option<String>,
    /// The public half of the key that signs the run's certificate.
    #[serde(default)]
    pub signing_key: Option<String>,
    /// The command that recomputes epsilon from the parameters, if there is any epsilon.
    pub account_command: Option<String>,
}

impl RunSummary {
    /// Whether the run left a model, which is what its guarantee is about.
    pub fn leaves_a_model(&self) -> bool {
        let unsound = matches!(self.ending, Ending::Diverged { kept: None, .. });
        self.training.rounds_done > 0 && !unsound
    }
}

/// What a run is for, and who answers for it, as the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it is for.
    pub purpose: Option<String>,
    /// Who is responsible.
    pub organisation: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// The base model's origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// SHA-256 of its weights.
    pub weights: Option<String>,
    /// The runs that it descends from, as far as certificates tell.
    pub ancestors: Vec<Ancestor>,
}

/// A run that the base model descends from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// The name of its folder.
    pub run: String,
    /// Whom it protected, if anybody.
    #[serde(with = "umbel_privacy::unit_word")]
    pub unit: Option<PrivacyUnit>,
    /// The data set that it spent on.
    pub data_set: String,
    /// SHA-256 of its certificate.
    pub certificate: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Ending {
    /// All planned rounds were done.
    Complete,
    /// One more round would have cost more than the budget holds.
    BudgetExhausted,
    /// It couldn't go on.
    Failed {
        /// Why.
        reason: String,
    },
    /// The model's numbers stopped being finite.
    Diverged {
        /// The round after which that was found.
        round: u32,
        /// The round whose model is kept, if there is a sound one.
        kept: Option<u32>,
    },
    /// Whoever conducted it ended it early.
    Stopped,
}

impl Ending {
    /// What is kept of a run that diverged, in a sentence.
    pub(crate) fn kept(kept: Option<u32>) -> String {
        match kept {
            Some(round) => format!("The model that is kept is that of round {round}."),
            None => "There is no sound model to keep.".into(),
        }
    }
}

/// How a run treated what it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrivacySummary {
    /// What it promised and spent; `None` where it promised nothing.
    pub promise: Option<PromiseSummary>,
    /// Poisson sampling rate: of units at each site, or of clients for the unit `client`.
    pub sampling_rate: f64,
    /// Whether randomness came from a seed.
    pub seeded: bool,
}

/// What a run promised, and what it spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromiseSummary {
    /// What one neighbouring data set may add or remove.
    pub unit: PrivacyUnit,
    /// Which data sets are neighbours.
    pub adjacency: Adjacency,
    /// Who added the noise.
    pub placement: NoisePlacement,
    /// The column that names the group, for that unit.
    pub group_column: Option<String>,
    /// Rows of one group that took part, at most.
    pub rows_per_group: Option<usize>,
    /// Epsilon spent on the data set, as the ledger has it.
    pub epsilon_spent: f64,
    /// Whether other runs used the same rows. Then what was spent is no guarantee by itself, and
    /// the budget is, which the filter between runs holds.
    #[serde(default)]
    pub spans_runs: bool,
    /// The budget's epsilon.
    pub epsilon_budget: f64,
    /// Delta of both.
    pub delta: f64,
    /// About how many units there are, a public number; `None` where nobody said.
    #[serde(default)]
    pub units: Option<u64>,
    /// Standard deviation of the noise over the clipping norm.
    pub noise_multiplier: f64,
    /// The sampling rate for which amplification is claimed: 1 where none is.
    pub accounted_sampling_rate: f64,
    /// Noise draws in a round that the accountant counts.
    pub draws_per_round: u32,
    /// Noise draws of the whole run that the ledger counts. Under local noise those of the
    /// site that was asked most often, rounds that were tried again included.
    #[serde(default)]
    pub draws: u64,
    /// L2 norm to which one unit's contribution was clipped.
    pub clipping_norm: f64,
    /// The last threshold of adaptive clipping, where clipping adapted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipping_threshold: Option<f64>,
}

impl PrivacySummary {
    /// Whom the run promised to protect, if anybody.
    pub fn unit(&self) -> Option<PrivacyUnit> {
        self.promise.as_ref().map(|promise| promise.unit)
    }

    /// The promise that holds: noise that can be predicted keeps none.
    pub fn kept(&self) -> Option<&PromiseSummary> {
        self.promise.as_ref().filter(|_| !self.seeded)
    }

    /// The epsilon that is guaranteed; `None` where nothing finite is.
    pub fn epsilon_guaranteed(&self) -> Option<f64> {
        self.kept()?.epsilon_guaranteed()
    }
}

impl PromiseSummary {
    /// The epsilon that the promise comes to, which may be infinite: of the only run on its rows what it
    /// cost, of several the budget.
    pub fn epsilon(&self) -> f64 {
        match self.spans_runs {
            true => self.epsilon_budget,
            false => self.epsilon_spent,
        }
    }

    /// The same, if the noise can't be predicted; `None` where nothing finite was spent.
    pub fn epsilon_guaranteed(&self) -> Option<f64> {
        self.epsilon_spent.is_finite().then(|| self.epsilon())
    }
}

/// What was trained and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// What clients sent.
    pub summed: Summed,
    /// Rounds whose result is out.
    pub rounds_done: u32,
    /// Rounds of the configuration.
    pub rounds_planned: u32,
    /// The pretrained model.
    pub base_model: String,
    /// Which parameters were trained: `full`, `encoder`, `lora`, `bias` or `head`.
    pub trainable: String,
    /// How many numbers these are.
    pub trainable_parameters: usize,
    /// Where evaluation (in a simulation, training too) was computed.
    pub device: String,
    /// Other settings worth showing, by name: optimiser, learning rate, expected batch.
    pub settings: Vec<(String, String)>,
}

/// One client in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Its name.
    pub name: String,
    /// Rounds in which its update counted.
    pub rounds_taken_part: u32,
    /// Updates of it that were refused.
    pub refused_updates: u32,
    /// Why it was left out for good, if it was.
    pub left_out_reason: Option<String>,
}

/// A client that gave nothing in rounds one after the other, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsenceSummary {
    /// Its name.
    pub client: String,
    /// The first of the rounds.
    pub from: u32,
    /// The last of them.
    pub to: u32,
    /// Why.
    pub why: String,
}

/// Bytes moved between clients and coordinator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// From clients to the coordinator.
    pub bytes_up: u64,
    /// From the coordinator to clients.
    pub bytes_down: u64,
}

/// Scores on all public rows and on each file's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// All rows together.
    pub overall: Scores,
    /// Each file.
    pub files: Vec<NamedScores>,
    /// What these are worth; `None` in what an earlier version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

impl Results {
    /// Scores and what they are worth.
    pub fn new(evaluation: &Evaluation, judgement: Judgement) -> Self {
        let named = |(name, scores): &(String, Scores)| NamedScores {
            name: name.clone(),
            scores: *scores,
        };
        Self {
            overall: evaluation.overall,
            files: evaluation.files.iter().map(named).collect(),
            judgement: Some(judgement),
        }
    }
}

/// Scores on one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedScores {
    /// The file's name in tables.
    pub name: String,
    /// Its scores.
    pub scores: Scores,
}

/// What was known after a round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The round, from 1.
    pub round: u32,
    /// Mean loss on public rows, where it was computed.
    pub loss: Option<f64>,
    /// The same on half of these rows, at the temperature fitted on the other half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated_loss: Option<f64>,
    /// Accuracy there, of a model of one label a text.
    pub accuracy: Option<f64>,
    /// Micro-F1 there, of a model of any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_f1: Option<f64>,
    /// The root of the mean squared error there, of a regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Epsilon spent so far.
    pub epsilon: Option<f64>,
}

/// A round in virtual time. The counts are `None` where the client is the unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualLine {
    /// The round, from 1.
    pub round: u32,
    /// When it was opened, in virtual seconds from the beginning of the run.
    pub opened: f64,
    /// When it closed.
    pub closed: f64,
    /// Updates that count.
    pub gave: Option<u64>,
    /// Updates that came too late.
    pub late: Option<u64>,
    /// Clients that were still training for an earlier round.
    pub busy: Option<u64>,
    /// Clients that were asked, and dropped out.
    pub dropped: Option<u64>,
    /// Clients that weren't there.
    pub away: Option<u64>,
}
