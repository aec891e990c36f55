//! The proof that something was recorded as spent.

use crate::accountant::event::MechanismEvent;
use crate::ledger::entry::LedgerEntry;
use crate::ledger::hash::EntryHash;
use crate::rounded_gaussian::least_standard_deviation;

/// That an event is in a ledger, written and synced. Made by [`crate::Ledger::spend`], and
/// after a crash by [`crate::Ledger::take_up`], alone; used up by [`crate::release()`], and neither copied nor cloned: one entry, one
/// drawing of noise.
#[derive(Debug)]
pub struct Spent {
    entry: LedgerEntry,
    /// What this token allows: the entry's event, or one step of it.
    event: MechanismEvent,
}

impl Spent {
    /// For the ledger, once the entry is durable.
    pub(crate) fn recorded(entry: LedgerEntry) -> Self {
        let event = entry.event.clone();
        Self { entry, event }
    }

    /// The entry.
    pub fn entry(&self) -> &LedgerEntry {
        &self.entry
    }

    /// The entry's hash, the ledger's head when it was written.
    pub fn hash(&self) -> EntryHash {
        self.entry.hash
    }

    /// The event that this token pays for.
    pub fn event(&self) -> &MechanismEvent {
        &self.event
    }

    /// The tokens of the single steps of a self-composed event, such as the local steps
    /// of a round that was recorded as one entry before it began; of any other event,
    /// this token alone.
    pub fn into_steps(self) -> SpentSteps {
        let (step, left) = match self.event {
            MechanismEvent::SelfComposed { event, count } => (*event, count),
            event => (event, 1),
        };
        SpentSteps {
            entry: self.entry,
            step,
            left,
        }
    }

    /// The least standard deviation, in lattice steps, of noise that is what was paid for.
    /// `None` where the event is not one single Gaussian.
    pub(crate) fn least_standard_deviation(&self) -> Option<f64> {
        let sigma = self.event.single_noise_multiplier()?;
        let noise = self.entry.protection?;
        Some(least_standard_deviation(
            sigma,
            noise.clipping_norm,
            noise.lattice_step,
        ))
    }
}

/// The tokens of the steps of one entry, one after the other.
#[derive(Debug)]
pub struct SpentSteps {
    entry: LedgerEntry,
    step: MechanismEvent,
    left: u64,
}

impl SpentSteps {
    /// How many tokens are left.
    pub fn left(&self) -> u64 {
        self.left
    }
}

impl Iterator for SpentSteps {
    type Item = Spent;

    fn next(&mut self) -> Option<Spent> {
        self.left = self.left.checked_sub(1)?;
        Some(Spent {
            entry: self.entry.clone(),
            event: self.step.clone(),
        })
    }
}
