//! What virtual time came to in a round, as a simulation knows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A round in virtual time. It closed at its line's `seconds`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VirtualRound {
    /// Virtual seconds from the beginning of the run until the round was opened first.
    pub opened: f64,
    /// How often it was tried.
    pub attempts: u32,
    /// Who was missing at its end, and why; `None` where the client is the unit.
    #[serde(flatten)]
    pub missing: Option<Stragglers>,
}

/// Why updates of a round didn't count. The coordinator can't tell these apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stragglers {
    /// Whose update came too late, and when: virtual seconds from the beginning of the run.
    pub late: BTreeMap<String, f64>,
    /// Who was still training for an earlier round, and until when.
    pub busy: BTreeMap<String, f64>,
    /// Who was asked, and dropped out.
    pub dropped: Vec<String>,
    /// Who wasn't there.
    pub away: Vec<String>,
}

/// Tells what virtual time came to in a round that was released.
pub type Timeline<'a> = &'a (dyn Fn(u32) -> Option<VirtualRound> + Sync);
