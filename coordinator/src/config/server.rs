//! `[server]`: how the coordinator applies a round's sum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use umbel_privacy::unit::PrivacyUnit;
use umbel_proto::method::LearningRate;

use super::{ConfigError, refuse};
use crate::aggregate::{self, AggregateKind};
use crate::strategy::{self, Given, StrategyKind};

/// `[server]`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSection {
    /// The server's optimiser: `sgd` (FedAvg), `momentum` (FedAvgM), `adam`, or `fed-adam`,
    /// `fed-yogi` and `fed-adagrad` as Flower has them. A key that it doesn't have is refused.
    #[serde(deserialize_with = "strategy::deserialize")]
    #[schemars(schema_with = "strategy::schema")]
    pub optimiser: &'static StrategyKind,
    /// How a round's updates become one vector. `sum` is the only rule that goes with privacy.
    #[serde(
        default = "aggregate::standard",
        deserialize_with = "aggregate::deserialize"
    )]
    #[schemars(schema_with = "aggregate::schema")]
    pub aggregate: &'static AggregateKind,
    /// Learning rate at its peak.
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
    /// How the learning rate falls after that: `none`, or `linear` down to 0 after the last round.
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

    pub(super) fn check(&self, unit: PrivacyUnit) -> Result<(), ConfigError> {
        if unit != PrivacyUnit::None && !self.aggregate.bounds_units {
            let reason = format!(
                "{:?} only goes with the unit `none`: one unit can move its result by more than its \
                 own clipped share, so that no noise here would be enough; use `sum`, or protect \
                 nobody",
                self.aggregate
            );
            return Err(refuse("server.aggregate", reason));
        }
        let usable = self.optimiser.check(&self.given());
        usable.map_err(|(key, why)| refuse(key.name(), why.to_string()))
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
}
