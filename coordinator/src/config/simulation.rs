//! `[simulation]`: how quick and how reliable simulated clients are, in virtual time.

use std::ops::Bound::{Excluded, Included};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_proto::bounded;

use super::{ConfigError, RunConfig, refuse, require};

bounded! {
    /// How long something takes a client, in virtual seconds.
    VirtualSeconds(f64): "a time in [simulation]", Included(0.0), Included(1e6);

    /// The standard deviation of a time's logarithm.
    Spread(f64): "a spread in [simulation]", Included(0.0), Included(3.0);

    /// The share of clients that are there.
    Available(f64): "available", Excluded(0.0), Included(1.0);

    /// The share of asked clients that never answer.
    DropOut(f64): "drop_out", Included(0.0), Excluded(1.0);
}

/// The longest that a wait under `[federation]` may be in virtual time: a month.
const LONGEST_WAIT: u64 = 31 * 86_400;

/// `[simulation]`: has `umbel simulate` run in virtual time. Clients take as long as is drawn here, the
/// limits under `[federation]` count in the same virtual seconds, and computing takes none of them. A
/// time is log-normal: half of all are below its median, and its spread is the standard deviation of
/// its logarithm.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulationSection {
    /// How long the median client trains in a round, in seconds.
    pub training_seconds: VirtualSeconds,
    /// How much clients differ in that: with 0.5 one in six takes more than 1.6 times the median, with
    /// 1 more than 2.7 times.
    #[serde(default)]
    pub training_spread: Spread,
    /// How much one client differs in that from round to round.
    #[serde(default)]
    pub round_spread: Spread,
    /// How long the median answer is on its way, parameters and update together, in seconds.
    #[serde(default)]
    pub delay_seconds: VirtualSeconds,
    /// How much answers differ in that, each drawn by itself.
    #[serde(default)]
    pub delay_spread: Spread,
    /// The share of clients that are there when a round opens, each drawn by itself. The others were
    /// silent for so long that a round isn't kept open for them, and are drawn again at the next one. In
    /// a pause they are drawn again every minute.
    #[serde(default = "all")]
    pub available: Available,
    /// The share of clients that are asked, begin and never answer in that round, each drawn by itself.
    /// They fall silent at a random moment of their training (`federation.silence_seconds`), stay
    /// charged for the round, and are back at the next one.
    #[serde(default)]
    pub drop_out: DropOut,
    /// Of these draws: the same seed draws the same times, whatever `run.seed` is.
    #[serde(default)]
    pub seed: u64,
}

impl Default for VirtualSeconds {
    fn default() -> Self {
        Self(0.0)
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self(0.0)
    }
}

impl Default for DropOut {
    fn default() -> Self {
        Self(0.0)
    }
}

fn all() -> Available {
    Available(1.0)
}

impl SimulationSection {
    /// Whether a client may be missing, other than by being slow.
    pub fn loses_clients(&self) -> bool {
        self.drop_out.get() > 0.0 || self.available.get() < 1.0
    }

    /// Checks it against a run of so many clients.
    pub(super) fn check(&self, config: &RunConfig, clients: usize) -> Result<(), ConfigError> {
        let federation = &config.federation;
        for (key, seconds) in [
            ("federation.round_seconds", federation.round_seconds),
            ("federation.gather_seconds", federation.gather_seconds),
            ("federation.patience_seconds", federation.patience_seconds),
        ] {
            if seconds > LONGEST_WAIT {
                let reason = format!(
                    "is {seconds}; in virtual time ([simulation]) it may be {LONGEST_WAIT} seconds, a \
                     month, at most"
                );
                return Err(refuse(key, reason));
            }
        }
        let needs_all = federation.minimum == 0 || federation.minimum == clients;
        require(
            !(self.loses_clients() && needs_all && !config.privacy.hides_clients()),
            "federation.minimum",
            "asks for everybody's update, and some clients never answer (simulation.drop_out, \
             simulation.available); set it to fewer than there are clients",
        )
    }
}
