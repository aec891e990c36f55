//! Who gets to see a round's result: one before it is published, one after.

use super::summary::RoundSummary;

/// Where results go before anybody sees them.
pub trait RoundStore {
    /// Stores a round's result so that it survives a crash. Nobody has seen it yet, and if
    /// it can't be stored, nobody will: an error ends the run.
    ///
    /// # Errors
    /// A sentence saying what can't be done (the disk is full, say).
    fn store(&mut self, summary: &RoundSummary) -> Result<(), String>;
}

/// Who looks at results once they are out: evaluations, metrics, progress bars.
///
/// It is called in a thread of its own, for one round after the other, while the next round is
/// under way. It can't fail: what goes wrong in it is its own to report, and no reason to end
/// a run.
pub trait Observer: Send {
    /// A round's result is stored and out. Says whether it is worth training on.
    fn round_done(&mut self, summary: &RoundSummary) -> Health;
}

/// What became of the model in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its numbers are finite, as far as they were looked at.
    Sound,
    /// Its parameters or its scores on public rows aren't finite: training on would only spend.
    Diverged,
}
