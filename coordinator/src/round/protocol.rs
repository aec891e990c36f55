//! What the lobby and the driver ask of the rules by which rounds go.

use std::collections::BTreeSet;
use std::fmt;

use umbel_proto::message::{BlobDigest, ClientId};

use super::engine::RoundSettings;
use super::event::{Action, Event, RefusedUpdate};
use super::phase::Phase;
use super::taken_up::Stood;

/// The rules by which rounds go: when one begins, whose updates count, and when it closes.
///
/// Whoever carries the actions out relies on this, whatever the events are (a suite of tests runs for
/// every implementation):
///
/// - A round is opened only after the gate permitted it, each attempt anew.
/// - [`Action::Count`] names a client of the open cohort, once an attempt, and none after the round
///   was closed.
/// - [`Action::Release`] follows [`Event::SpendRecorded`] for that round, with the very updates that
///   counted. So nothing is released that wasn't paid for.
/// - After [`Action::Finish`] there is no other action.
pub trait RoundProtocol: fmt::Debug + Send {
    /// Takes an event and says what is to be done. An event that means nothing in the present
    /// phase (a late update, a deadline of a closed round) changes nothing.
    #[must_use]
    fn handle(&mut self, event: Event) -> Vec<Action>;

    /// Begins where a run stood that was cut off, rather than with its first round, and says what is to
    /// be done first.
    #[must_use]
    fn take_up(&mut self, stood: Stood) -> Vec<Action>;

    /// Whether this update would count now: `Ok(true)` if it does, `Ok(false)` if the very
    /// same one counts already.
    ///
    /// # Errors
    /// [`RefusedUpdate`] says why it can't count.
    fn admits(
        &self,
        client: &ClientId,
        round: u32,
        digest: &BlobDigest,
    ) -> Result<bool, RefusedUpdate>;

    /// What the run demands.
    fn settings(&self) -> &RoundSettings;

    /// Where the run stands.
    fn phase(&self) -> &Phase;

    /// The clients that are ready to train, and have neither left nor fallen silent.
    fn present(&self) -> &BTreeSet<ClientId>;

    /// Rounds whose result is out.
    fn rounds_done(&self) -> u32;
}
