//! `[server]`: how the coordinator applies a round's sum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::method::LearningRate;
use umbel_proto::schema;

use super::{ConfigError, refuse, require};
use crate::aggregate::{self, AggregateKey, AggregateKind, AggregateRule, AggregateSettings};
use crate::strategy::{self, Given, StrategyKind};

/// `[server]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// The server's optimiser: `sgd` (FedAvg), `momentum` (FedAvgM), `adam`, or `fed-adam`,
    /// `fed-yogi` and `fed-adagrad` as Flower has them. A key that it doesn't have is refused.
    /// Needed without `privacy.units`.
    #[serde(deserialize_with = "strategy::deserialize")]
    #[schemars(schema_with = "strategy::schema")]
    pub optimiser: &'static StrategyKind,
    /// How a round's updates become one vector. `sum` is the only rule that goes with privacy. The
    /// others withstand clients that send anything: `median`, `trimmed-mean`, `krum`.
    #[serde(
        default = "aggregate::standard",
        deserialize_with = "aggregate::deserialize"
    )]
    #[schemars(schema_with = "aggregate::schema")]
    pub aggregate: &'static AggregateKind,
    /// For `trimmed-mean`: the share of clients that is left out at either end of each coordinate,
    /// below one half. Left out: 0.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim: Option<f64>,
    /// For `krum`: how many clients may be malicious. Left out: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malicious: Option<u32>,
    /// For `krum`: how many updates are averaged, those with the least scores. With 1 it is Krum,
    /// with more multi-Krum. Left out: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// The largest L2 norm that one client's update may have. A longer one is scaled down to it, so
    /// that no client moves the model further than others. It goes with every `aggregate`, and only with
    /// the unit `none`: elsewhere clipping bounds what a unit moves. Left out: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::above_zero")]
    pub update_norm: Option<ClippingNorm>,
    /// Learning rate at its peak. Needed without `privacy.units`, and for other optimisers than
    /// `adam`.
    pub learning_rate: LearningRate,
    /// What is kept of the last step's direction, for `momentum`. Left out: 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Decay of the mean, for `adam`, `fed-adam` and `fed-yogi`. Left out: 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// Decay of the squares, for the same. Left out: 0.999 for `adam`, else 0.99.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// What is added to the root of the squares, for the same and `fed-adagrad`. Left out: 1e-6 for
    /// `adam`, else 1e-3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Rounds over which the learning rate rises to its peak. A shorter run stays below it.
    #[serde(default)]
    pub warmup_rounds: u32,
    /// How the learning rate falls after that: `none`; `linear` down to 0 after the last round;
    /// `cosine` down to 0, slowly at first and at the end; or `step`, by `step_factor` after every
    /// `step_rounds`.
    #[serde(default)]
    pub decay: Decay,
    /// For `decay = "step"`: after how many rounds the rate falls. Left out: a third of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_rounds: Option<u32>,
    /// For `decay = "step"`: by which factor, above 0 and below 1. Left out: 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_factor: Option<f64>,
    /// Scores and releases a moving average of the parameters over the rounds, in which noise
    /// cancels out. This is how much of it is kept at a round, from 0.5 up to but without 1;
    /// early rounds keep less. Clients train on the parameters themselves. It costs no privacy.
    /// Left out: no average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
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

    pub(super) fn check(&self, unit: Option<PrivacyUnit>) -> Result<(), ConfigError> {
        if unit.is_some() && !self.aggregate.bounds_units {
            let reason = format!(
                "{:?} only goes with the unit `none`: one unit can move its result by more than its \
                 own clipped share, so that no noise here would be enough; use `sum`, or protect \
                 nobody",
                self.aggregate
            );
            return Err(refuse("server.aggregate", reason));
        }
        if self.update_norm.is_some()
            && let Some(unit) = unit
        {
            let why = needs_no_update_norm(unit);
            return Err(refuse("server.update_norm", why));
        }
        self.check_aggregate()?;
        self.check_steps()?;
        require(
            self.average.is_none_or(|decay| (0.5..1.0).contains(&decay)),
            "server.average",
            "must be at least 0.5 and below 1",
        )?;
        let usable = self.optimiser.check(&self.given());
        usable.map_err(|(key, why)| refuse(key.name(), why.to_string()))
    }
}

impl ServerSection {
    /// How updates become one vector.
    pub fn rule(&self) -> AggregateRule {
        let usual = AggregateSettings::default();
        let whole = |given: Option<u32>, usual| given.map_or(usual, |n| n as usize);
        AggregateRule {
            kind: self.aggregate,
            settings: AggregateSettings {
                trim: self.trim.unwrap_or(usual.trim),
                malicious: whole(self.malicious, usual.malicious),
                keep: whole(self.keep, usual.keep),
            },
        }
    }

    fn check_steps(&self) -> Result<(), ConfigError> {
        let steps = self.decay == Decay::Step;
        let only = "only goes with server.decay = \"step\"; remove it";
        require(
            steps || self.step_rounds.is_none(),
            "server.step_rounds",
            only,
        )?;
        require(
            steps || self.step_factor.is_none(),
            "server.step_factor",
            only,
        )?;
        require(
            self.step_rounds != Some(0),
            "server.step_rounds",
            "must be at least 1",
        )?;
        let factor = self.step_factor;
        require(
            factor.is_none_or(|factor| factor > 0.0 && factor < 1.0),
            "server.step_factor",
            "must be above 0 and below 1",
        )
    }

    fn check_aggregate(&self) -> Result<(), ConfigError> {
        let given = [
            (AggregateKey::Trim, self.trim.is_some()),
            (AggregateKey::Malicious, self.malicious.is_some()),
            (AggregateKey::Keep, self.keep.is_some()),
        ];
        for (key, given) in given {
            if given && !self.aggregate.keys.contains(&key) {
                let reason = format!(
                    "is given, but the rule {:?} (server.aggregate) has no such setting; remove it, \
                     or choose another rule",
                    self.aggregate
                );
                return Err(refuse(key.name(), reason));
            }
        }
        require(
            self.trim.is_none_or(|trim| (0.0..0.5).contains(&trim)),
            "server.trim",
            "must be at least 0 and below 0.5",
        )?;
        require(self.keep != Some(0), "server.keep", "must be at least 1")
    }
}

/// Why a limit on updates' norms is refused where this is the unit.
fn needs_no_update_norm(unit: PrivacyUnit) -> &'static str {
    match unit {
        PrivacyUnit::Client => {
            "does nothing with privacy.unit \"client\": an update whose norm is above \
             privacy.clipping_norm is refused already; lower that, and remove this"
        }
        PrivacyUnit::Record | PrivacyUnit::Group => {
            "only goes with the unit `none`: each unit is clipped already (privacy.clipping_norm), and \
             a sum of many that is scaled and rounded once more isn't known to keep what the noise \
             counts on; lower privacy.clipping_norm or training.max_units instead, and remove this"
        }
    }
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// It doesn't.
    #[default]
    None,
    /// In a straight line to 0 at the last round.
    Linear,
    /// Along half a wave to 0 at the last round (Loshchilov and Hutter 2017, without restarts).
    Cosine,
    /// By a factor after every so many rounds.
    Step,
}
