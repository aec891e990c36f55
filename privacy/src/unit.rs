//! The three words that say what a guarantee means: whom it protects
//! ([`PrivacyUnit`]), who had to be trusted ([`NoisePlacement`]) and what counts
//! as a neighbouring data set ([`Adjacency`]).
//!
//! All three are written in kebab-case in configurations, ledgers and reports.

use serde::{Deserialize, Serialize};

use crate::words;

/// What one neighbouring data set may add or remove. Where nobody may be protected, that is an
/// `Option` of it, written as [`crate::unit_word`] says. The units are in the order of how much
/// they protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyUnit {
    /// One row.
    Record,
    /// Everything that shares one value of a named column at one site.
    Group,
    /// Everything that one client holds.
    Client,
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

words!(PrivacyUnit, "a privacy unit", "record, group, client",
    PrivacyUnit::Record => "record", PrivacyUnit::Group => "group",
    PrivacyUnit::Client => "client");
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
        for unit in [PrivacyUnit::Record, PrivacyUnit::Group, PrivacyUnit::Client] {
            assert_eq!(unit.to_string().parse(), Ok(unit));
            assert_eq!(serde_json::to_string(&unit).unwrap(), format!("\"{unit}\""));
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
