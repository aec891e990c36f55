//! The three words that say what a guarantee means: whom it protects
//! ([`PrivacyUnit`]), who had to be trusted ([`NoisePlacement`]) and what counts
//! as a neighbouring data set ([`Adjacency`]).
//!
//! All three are written in kebab-case in configurations, ledgers and reports.

use serde::{Deserialize, Serialize};

use crate::words;

/// What one neighbouring data set may add or remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyUnit {
    /// One row.
    Record,
    /// Everything that shares one value of a named column at one site.
    Group,
    /// Everything that one client holds.
    Client,
    /// Nobody is protected.
    None,
}

/// What is protected where anything is: a [`PrivacyUnit`] but for `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtectedUnit {
    /// One row.
    Record,
    /// Everything that shares one value of a named column at one site.
    Group,
    /// Everything that one client holds.
    Client,
}

impl PrivacyUnit {
    /// The unit, if there is protection.
    pub fn protected(self) -> Option<ProtectedUnit> {
        match self {
            Self::Record => Some(ProtectedUnit::Record),
            Self::Group => Some(ProtectedUnit::Group),
            Self::Client => Some(ProtectedUnit::Client),
            Self::None => None,
        }
    }
}

impl From<ProtectedUnit> for PrivacyUnit {
    fn from(unit: ProtectedUnit) -> Self {
        match unit {
            ProtectedUnit::Record => Self::Record,
            ProtectedUnit::Group => Self::Group,
            ProtectedUnit::Client => Self::Client,
        }
    }
}

impl From<Option<ProtectedUnit>> for PrivacyUnit {
    fn from(unit: Option<ProtectedUnit>) -> Self {
        unit.map_or(Self::None, Self::from)
    }
}

/// Where the noise is added, hence who is trusted with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoisePlacement {
    /// The coordinator adds it, and is trusted with sums.
    Central,
    /// Each client adds all that its own guarantee needs; nobody is trusted.
    Local,
}

/// Which data sets are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adjacency {
    /// One unit more or one unit fewer: the sum moves by at most C.
    AddOrRemove,
    /// One unit replaced by another: the sum moves by at most 2 C.
    ReplaceOne,
    /// One unit replaced by one that contributes nothing: the sum moves by at most C.
    ZeroOut,
}

words!(PrivacyUnit, "a privacy unit", "record, group, client, none",
    PrivacyUnit::Record => "record", PrivacyUnit::Group => "group",
    PrivacyUnit::Client => "client", PrivacyUnit::None => "none");
words!(ProtectedUnit, "a protected unit", "record, group, client",
    ProtectedUnit::Record => "record", ProtectedUnit::Group => "group",
    ProtectedUnit::Client => "client");
words!(NoisePlacement, "a noise placement", "central, local",
    NoisePlacement::Central => "central", NoisePlacement::Local => "local");
words!(Adjacency, "an adjacency", "add-or-remove, replace-one, zero-out",
    Adjacency::AddOrRemove => "add-or-remove", Adjacency::ReplaceOne => "replace-one",
    Adjacency::ZeroOut => "zero-out");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself_and_equals_its_serialised_form() {
        for unit in [
            PrivacyUnit::Record,
            PrivacyUnit::Group,
            PrivacyUnit::Client,
            PrivacyUnit::None,
        ] {
            assert_eq!(unit.to_string().parse::<PrivacyUnit>().unwrap(), unit);
            let json = serde_json::to_string(&unit).unwrap();
            assert_eq!(json, format!("\"{unit}\""));
            // What is protected is written as the unit is, so that files don't tell them apart.
            let protected = unit.protected();
            assert_eq!(PrivacyUnit::from(protected), unit);
            assert_eq!(serde_json::from_str(&json).ok(), protected);
            assert!(protected.is_none_or(|p| p.to_string() == unit.to_string()));
        }
        for placement in [NoisePlacement::Central, NoisePlacement::Local] {
            assert_eq!(placement.to_string().parse(), Ok(placement));
            assert_eq!(
                serde_json::to_string(&placement).unwrap(),
                format!("\"{placement}\"")
            );
        }
        for adjacency in [
            Adjacency::AddOrRemove,
            Adjacency::ReplaceOne,
            Adjacency::ZeroOut,
        ] {
            assert_eq!(adjacency.to_string().parse(), Ok(adjacency));
            assert_eq!(
                serde_json::to_string(&adjacency).unwrap(),
                format!("\"{adjacency}\"")
            );
        }
    }

    #[test]
    fn an_unknown_word_names_the_choices() {
        let message = "distributed"
            .parse::<NoisePlacement>()
            .unwrap_err()
            .to_string();
        assert_eq!(
            message,
            "\"distributed\" isn't a noise placement; write one of central, local"
        );
    }
}
