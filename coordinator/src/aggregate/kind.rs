//! What is known of a rule before there are updates: its name and what it guarantees.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use umbel_proto::settings;

use super::{ALL, Aggregate};

/// A rule by which a round's updates become one vector.
pub struct AggregateKind {
    /// The name that `server.aggregate` has.
    pub name: &'static str,
    /// Whether one unit moves the result by no more than its own clipped share, which is what the
    /// accountant counts on. A rule of which that isn't so goes with the unit `none` alone.
    pub bounds_units: bool,
    /// The keys of `[server]` that it heeds.
    pub keys: &'static [AggregateKey],
    /// What the result is divided by, given the public divisor of a sum and the number of
    /// configured clients.
    pub(super) divisor: fn(f64, usize) -> f64,
    /// Makes one for so many numbers, and says whether their sum might overflow.
    pub(super) make: fn(&AggregateSettings, usize, bool) -> Box<dyn Aggregate>,
}

/// A key of `[server]` that some rules have and others don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKey {
    /// [`AggregateSettings::trim`].
    Trim,
    /// [`AggregateSettings::malicious`].
    Malicious,
    /// [`AggregateSettings::keep`].
    Keep,
}

impl AggregateKey {
    /// The key as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trim => "server.trim",
            Self::Malicious => "server.malicious",
            Self::Keep => "server.keep",
        }
    }
}

/// The numbers of the rules that have some.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AggregateSettings {
    /// The share of clients that is left out at either end of each coordinate.
    pub trim: f64,
    /// How many clients may be malicious.
    pub malicious: usize,
    /// How many updates are averaged.
    pub keep: usize,
}

impl Default for AggregateSettings {
    fn default() -> Self {
        Self {
            trim: 0.2,
            malicious: 1,
            keep: 1,
        }
    }
}

/// A rule with its numbers.
#[derive(Clone, Copy, Debug)]
pub struct AggregateRule {
    /// The rule.
    pub kind: &'static AggregateKind,
    /// Its numbers.
    pub settings: AggregateSettings,
}

impl AggregateRule {
    /// The sum.
    pub fn sum() -> Self {
        Self {
            kind: standard(),
            settings: AggregateSettings::default(),
        }
    }
}

/// A name that no rule has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule by which updates become one has this name: {0}")]
pub struct UnknownAggregate(String);

impl AggregateKind {
    /// The public number that the result is divided by.
    pub fn divisor(&self, divisor: f64, clients: usize) -> f64 {
        (self.divisor)(divisor, clients)
    }
}

/// The sum.
pub fn standard() -> &'static AggregateKind {
    ALL[0]
}

impl fmt::Debug for AggregateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Serialize for AggregateKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

/// Reads the name of a rule.
///
/// # Errors
/// The names that there are, for any other.
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static AggregateKind, D::Error> {
    let name = String::deserialize(deserializer)?;
    ALL.iter()
        .copied()
        .find(|kind| kind.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
            let told = settings::instead_of_word(&name, &known);
            serde::de::Error::custom(UnknownAggregate(told))
        })
}

/// The schema of a rule's name.
pub fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
    schemars::json_schema!({ "type": "string", "enum": names })
}
