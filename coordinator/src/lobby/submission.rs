//! How an update comes in: checked without the lobby's lock, counted under it, added under the
//! sum's.

use umbel_privacy::lattice::LatticeVector;
use umbel_proto::message::{BlobDigest, ClientId, Receipt, Update};

use super::Lobby;
use crate::round::{Engine, Event, RefusedUpdate};

/// What is known of an update without its numbers.
struct Submission<'a> {
    client: &'a ClientId,
    round: u32,
    digest: BlobDigest,
}

/// What an update comes to that doesn't count.
enum NotCounted {
    Duplicate,
    Refused(String),
}

impl Lobby {
    /// Takes one update.
    pub(super) fn take_update(&self, client: &ClientId, update: Update) -> Receipt {
        let submission = Submission {
            client,
            round: update.round,
            digest: BlobDigest::of(&update.values),
        };
        let reason = match self.read_and_count(&submission, update.values) {
            Ok(()) => return Receipt::Accepted,
            Err(NotCounted::Duplicate) => return Receipt::Duplicate,
            Err(NotCounted::Refused(reason)) => reason,
        };
        self.refuse(client, &reason);
        Receipt::Refused { reason }
    }

    fn read_and_count(
        &self,
        submission: &Submission<'_>,
        values: Vec<u8>,
    ) -> Result<(), NotCounted> {
        self.receive(submission, values.len())?;
        let _slot = self.slots.take();
        // The rules follow from the plan alone and are the same in every round. Whether the
        // round is still open is asked again when the update is counted.
        let vector = self.rules.read(&values);
        drop(values);
        let vector = vector.map_err(|why| NotCounted::Refused(why.to_string()))?;
        self.count(submission, &vector)
    }

    /// Notes that bytes came. What can't count any more is told so before anybody decodes it.
    fn receive(&self, submission: &Submission<'_>, bytes: usize) -> Result<(), NotCounted> {
        let mut state = self.lock();
        if let Err(refusal) = state.known(submission.client) {
            return Err(NotCounted::Refused(refusal.reason));
        }
        state.traffic.up += bytes as u64;
        submission.admitted_by(&state.engine)
    }

    /// Has the engine count a checked update, and adds it: see [`crate::aggregate`] for the
    /// order of the locks.
    fn count(&self, submission: &Submission<'_>, vector: &LatticeVector) -> Result<(), NotCounted> {
        loop {
            let closed = || NotCounted::from(RefusedUpdate::Closed(submission.round));
            let open = self.lock().sum.clone().ok_or_else(closed)?;
            let sum = open
                .lock()
                .map_err(|lost| NotCounted::Refused(lost.to_string()))?;
            if !sum.is_taken() {
                sum.check(vector)
                    .map_err(|why| NotCounted::Refused(why.to_string()))?;
            }
            let mut state = self.lock();
            if !state.is_open(&open) {
                // Another attempt began since; its sum is another.
                continue;
            }
            submission.admitted_by(&state.engine)?;
            if sum.is_taken() {
                return Err(closed());
            }
            // It has trained for this attempt, even if it never fetched the task.
            state.note_given(submission.client);
            if let Ok(attendance) = state.known(submission.client) {
                attendance.counted += 1;
            }
            state.handle(Event::UpdateArrived {
                client: submission.client.clone(),
                round: submission.round,
                digest: submission.digest,
            });
            self.wake(state);
            let added = sum.add(vector);
            return added.map_err(|lost| NotCounted::Refused(lost.to_string()));
        }
    }
}

impl Submission<'_> {
    fn admitted_by(&self, engine: &Engine) -> Result<(), NotCounted> {
        if engine.admits(self.client, self.round, &self.digest)? {
            Ok(())
        } else {
            Err(NotCounted::Duplicate)
        }
    }
}

impl From<RefusedUpdate> for NotCounted {
    fn from(why: RefusedUpdate) -> Self {
        Self::Refused(why.to_string())
    }
}
