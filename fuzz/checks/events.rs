//! An events file as `umbel account epsilon --events` reads it, and what its events cost.
//!
//! The input's first line is the question, `DELTA ADJACENCY`; all after it is the file.

use umbel_privacy::accountant::{Accountant, Delta, PldAccountant};
use umbel_privacy::certificate::accounting::merged;
use umbel_privacy::{Adjacency, MechanismEvent};

use super::costs;
use super::effort::{is_mild, mechanisms};

/// Mechanisms for which epsilon is computed: what a list costs in time grows with its length, and that is
/// whoever's wish who wrote it.
const MOST_MECHANISMS: usize = 4;

/// Reads the file, and checks what must hold of everything that is read.
pub fn check(input: &[u8]) {
    let Some((delta, adjacency, file)) = question(input) else {
        return;
    };
    let events: Vec<MechanismEvent> = match serde_json::from_str(file) {
        Ok(events) => events,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    reads_back(&events);
    merging_changes_nothing(&events, adjacency);
    let small = events.iter().map(mechanisms).sum::<usize>() <= MOST_MECHANISMS;
    let mild = events.iter().all(is_mild) && delta.get() >= 1e-30;
    // Others are slow: few of them are enough.
    let chosen = input.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 16 == 0;
    if small && (mild || chosen) {
        costs::check(&events, delta, adjacency);
    }
}

fn question(input: &[u8]) -> Option<(Delta, Adjacency, &str)> {
    let (question, file) = str::from_utf8(input).ok()?.split_once('\n')?;
    let (delta, adjacency) = question.split_once(' ')?;
    let delta = Delta::try_from(delta.parse::<f64>().ok()?).ok()?;
    Some((delta, adjacency.parse().ok()?, file))
}

fn reads_back(events: &[MechanismEvent]) {
    let written = serde_json::to_string(events).expect("what was read can be written");
    let again: Vec<MechanismEvent> = serde_json::from_str(&written).expect("and read again");
    assert_eq!(again, events);
}

fn merging_changes_nothing(events: &[MechanismEvent], adjacency: Adjacency) {
    let composed = |events: &[MechanismEvent]| {
        let mut accountant = PldAccountant::new(adjacency);
        let all = events
            .iter()
            .try_for_each(|event| accountant.compose(event, 1));
        all.map(|()| format!("{accountant:?}"))
    };
    assert_eq!(composed(&merged(events)), composed(events));
}
