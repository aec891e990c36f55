//! Who looks at a round's result once it is out.

use super::summary::RoundSummary;

/// Who looks at results once they are out: evaluations, metrics, progress bars.
///
/// It is called in a thread of its own, for one round after the other, while the next round is
/// under way. It can't fail: what goes wrong in it is its own to report, and no reason to end
/// a run.
pub trait Observer: Send {
    /// A round's result is stored and out. Says whether it is worth training on.
    fn round_done(&mut self, summary: &RoundSummary) -> Health;

    /// What it found in a round before the run was taken up again; `None` if that isn't known
    /// any more, so that it has to look again.
    fn found(&self, _round: u32) -> Option<Health> {
        None
    }
}

/// What became of the model in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its numbers are finite, as far as they were looked at.
    Sound,
    /// The same, and its scores haven't got better for as long as the run was to try: a further
    /// round would only spend.
    Settled,
    /// Its parameters or its scores on public rows aren't finite: training on would only spend.
    Diverged,
}
