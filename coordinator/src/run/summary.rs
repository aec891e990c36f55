//! What a round, and a run, come to.

use std::sync::Arc;
use std::time::Duration;

use umbel_proto::message::{ClientId, Ending};
use umbel_proto::spending::LedgerSnapshot;

use crate::lobby::Absence;
use crate::round::Participation;

/// What a finished round was like.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundSummary {
    /// The round, from 1.
    pub round: u32,
    /// Epsilon spent on the data set so far, at the plan's delta; `None` without privacy.
    pub epsilon: Option<f64>,
    /// Who took part; `None` where the client is the unit, as this is what the noise hides.
    pub took_part: Option<TookPart>,
    /// The model after the round: its parameters, or their average with `server.average`.
    pub parameters: Arc<[f32]>,
    /// The learning rate of the round's step.
    pub learning_rate: f64,
    /// What adaptive clipping learnt, where clipping adapts.
    pub adaptive: Option<Adapted>,
    /// Hash of the ledger's last entry, the round's; `None` without privacy.
    pub ledger_head: Option<String>,
    /// The run's clock when the parameters were there.
    pub at: Duration,
}

impl RoundSummary {
    /// Whether all that the next round would start from is finite numbers. It is released by
    /// now, so that looking at it costs nothing.
    pub fn is_finite(&self) -> bool {
        let threshold = self.adaptive.map(|adapted| adapted.threshold);
        threshold.is_none_or(f64::is_finite) && self.parameters.iter().all(|w| w.is_finite())
    }
}

/// Who took part in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TookPart {
    /// Whose updates count.
    pub gave: Vec<ClientId>,
    /// Who was in the cohort and gave nothing that counts, and why.
    pub missing: Vec<(ClientId, Absence)>,
}

impl TookPart {
    /// With a reason for each who is missing.
    pub(super) fn of(participation: Participation, why: impl Fn(&ClientId) -> Absence) -> Self {
        let missing = participation.missing.into_iter();
        Self {
            gave: participation.counted,
            missing: missing
                .map(|client| (client.clone(), why(&client)))
                .collect(),
        }
    }
}

/// What a round taught adaptive clipping. Both numbers come from the round's noised sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adapted {
    /// The noisy share of units that weren't clipped.
    pub unclipped: f64,
    /// The threshold of the next round.
    pub threshold: f64,
}

/// What became of a run that was driven.
#[derive(Clone, Debug)]
pub enum Driven {
    /// It is over.
    Over(Box<Outcome>),
    /// It stopped after so many rounds, and can be gone on with.
    Paused {
        /// Rounds whose result is out.
        rounds: u32,
    },
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The ending.
    pub ending: Ending,
    /// Rounds whose result is out.
    pub rounds: u32,
    /// What the run is left with: the parameters of the last round whose numbers are finite,
    /// and that round. `None` where there is no such round.
    pub kept: Option<(u32, Arc<[f32]>)>,
    /// What it cost; `None` without privacy.
    pub spent: Option<Spend>,
    /// The ledger at the end; `None` where there is none, and where it can't be read any more.
    pub ledger: Option<LedgerSnapshot>,
}

/// What a run cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Spend {
    /// Drawings of noise that this run's entries pay for.
    pub draws: u64,
    /// Epsilon spent on the data set, at the plan's delta.
    pub epsilon: f64,
    /// Whether other runs used the same rows, so that this epsilon is no guarantee by itself.
    pub spans_runs: bool,
    /// Hash of the ledger's last entry.
    pub ledger_head: String,
}
