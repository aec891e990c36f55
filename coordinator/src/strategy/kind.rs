//! What is known of a strategy before there is one: its name, its keys, their defaults.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use umbel_proto::settings;

use super::{ALL, Strategy, named};

/// A kind of strategy.
pub struct StrategyKind {
    /// The name that `server.optimiser` has.
    pub name: &'static str,
    /// What people call it, for reports.
    pub title: &'static str,
    /// The keys of `[server]` that it heeds, with their defaults.
    pub keys: &'static [(Key, f64)],
    /// Whether clients correct their local steps by what it tells them with the parameters.
    pub control_variates: bool,
    /// Makes one for so many parameters.
    pub(super) make: fn(Keys, usize) -> Box<dyn Strategy>,
}

/// A key of `[server]` that some strategies have and others don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// What is kept of the last step's direction.
    Momentum,
    /// Decay of the mean.
    Beta1,
    /// Decay of the squares.
    Beta2,
    /// What is added to the root of the squares.
    Epsilon,
}

/// The numbers that a key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From 0 to 1, without 1.
    Fraction,
    /// Between 0 and 1.
    Positive,
}

/// The numbers that a configuration gives, by key; `None` for the strategy's default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Given {
    /// [`Key::Momentum`].
    pub momentum: Option<f64>,
    /// [`Key::Beta1`].
    pub beta1: Option<f64>,
    /// [`Key::Beta2`].
    pub beta2: Option<f64>,
    /// [`Key::Epsilon`].
    pub epsilon: Option<f64>,
}

/// The numbers of one strategy, its defaults where none were given.
#[derive(Clone, Copy)]
pub struct Keys {
    kind: &'static StrategyKind,
    given: Given,
}

/// A name that no strategy has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no optimiser of the server has this name: {0}")]
pub struct UnknownStrategy(String);

/// A key that can't be used as it is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidKey {
    /// The strategy has no such key.
    #[error("is given, but {strategy} has no such setting{}", has(keys))]
    Unused {
        /// The strategy's name.
        strategy: &'static str,
        /// The keys that it has.
        keys: Vec<&'static str>,
    },
    /// A number out of range.
    #[error("is {value}, but must be {range}")]
    OutOfRange {
        /// The number.
        value: f64,
        /// What it may be.
        range: Range,
    },
}

fn has(keys: &[&str]) -> String {
    match keys {
        [] => "; it has none".into(),
        keys => format!("; it has {}", keys.join(", ")),
    }
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Momentum, Self::Beta1, Self::Beta2, Self::Epsilon];

    /// The key as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Momentum => "server.momentum",
            Self::Beta1 => "server.beta1",
            Self::Beta2 => "server.beta2",
            Self::Epsilon => "server.epsilon",
        }
    }

    /// What it may be.
    pub fn range(self) -> Range {
        match self {
            Self::Momentum | Self::Beta1 | Self::Beta2 => Range::Fraction,
            Self::Epsilon => Range::Positive,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fraction => "at least 0 and below 1",
            Self::Positive => "above 0 and below 1",
        })
    }
}

impl Range {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::Fraction => (0.0..1.0).contains(&value),
            Self::Positive => value > 0.0 && value < 1.0,
        }
    }
}

impl Given {
    /// What is given for a key.
    pub fn get(&self, key: Key) -> Option<f64> {
        match key {
            Key::Momentum => self.momentum,
            Key::Beta1 => self.beta1,
            Key::Beta2 => self.beta2,
            Key::Epsilon => self.epsilon,
        }
    }
}

impl Keys {
    /// The number of a key; 0 of one that the strategy doesn't have.
    pub fn get(&self, key: Key) -> f64 {
        let default = self.kind.keys.iter().find(|(own, _)| *own == key);
        let default = default.map_or(0.0, |(_, default)| *default);
        self.given.get(key).unwrap_or(default)
    }
}

impl StrategyKind {
    /// Whether these are numbers that it can use.
    ///
    /// # Errors
    /// The first key that isn't right, and why.
    pub fn check(&self, given: &Given) -> Result<(), (Key, InvalidKey)> {
        for key in Key::ALL {
            let Some(value) = given.get(key) else {
                continue;
            };
            if !self.keys.iter().any(|(own, _)| *own == key) {
                let keys = self.keys.iter().map(|(own, _)| own.name()).collect();
                let strategy = self.name;
                return Err((key, InvalidKey::Unused { strategy, keys }));
            }
            let range = key.range();
            if !range.holds(value) {
                return Err((key, InvalidKey::OutOfRange { value, range }));
            }
        }
        Ok(())
    }

    /// Makes one for so many parameters, with these numbers where they are given.
    pub fn make(&'static self, given: Given, parameters: usize) -> Box<dyn Strategy> {
        (self.make)(Keys { kind: self, given }, parameters)
    }
}

impl UnknownStrategy {
    pub(super) fn new(name: &str) -> Self {
        let known: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
        Self(settings::instead_of_word(name, &known))
    }
}

impl fmt::Debug for StrategyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StrategyKind({})", self.name)
    }
}

impl PartialEq for StrategyKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Serialize for StrategyKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// Reads a strategy's name.
///
/// # Errors
/// The names that there are, for any other.
pub fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static StrategyKind, D::Error> {
    let name = String::deserialize(deserializer)?;
    named(&name).map_err(serde::de::Error::custom)
}

/// The schema of a strategy's name.
pub fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = ALL.iter().map(|kind| kind.name).collect();
    schemars::json_schema!({ "type": "string", "enum": names })
}
