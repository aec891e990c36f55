//! How an update comes in: checked without the lobby's lock, counted under it, added under the
//! sum's.

use umbel_privacy::lattice::LatticeVector;
use umbel_proto::message::{BlobDigest, ClientId, Receipt, Update};

use super::state::State;
use super::{Halt, Lobby};
use crate::round::{Engine, Event, Phase, RefusedUpdate};
use crate::store::Change;

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
        let mut attempt = self.receive(submission, values.len())?;
        let _slot = self.slots.take();
        // The rules follow from the plan alone and are the same in every round. Whether the
        // round is still open is asked again when the update is counted.
        let vector = self.rules.read(&values);
        let vector = vector.map_err(|why| NotCounted::Refused(why.to_string()))?;
        loop {
            self.keep(submission, attempt, &values)?;
            match self.count(submission, attempt, &vector)? {
                Counted::Yes => return Ok(()),
                // Another attempt began since. The same bytes may count there.
                Counted::AttemptIs(now) => attempt = now,
            }
        }
    }

    /// Stores an update before it counts, so that a coordinator that goes on with the run has
    /// it. If it can't be stored, the run stops there rather than count what it may lose.
    fn keep(
        &self,
        submission: &Submission<'_>,
        attempt: u32,
        bytes: &[u8],
    ) -> Result<(), NotCounted> {
        let Some(store) = self.store.get() else {
            return Ok(());
        };
        let kept = store.commit(Change::Accepted {
            round: submission.round,
            attempt,
            client: submission.client,
            update: submission.digest,
            bytes,
        });
        kept.map_err(|error| {
            self.halt(Halt::Store(error.to_string()));
            let reason = "the coordinator can't store updates; its log says more";
            NotCounted::Refused(reason.into())
        })
    }

    /// Notes that bytes came. What can't count any more is told so before anybody decodes it.
    /// Returns the attempt that is open.
    fn receive(&self, submission: &Submission<'_>, bytes: usize) -> Result<u32, NotCounted> {
        let mut state = self.lock();
        if let Err(refusal) = state.known(submission.client) {
            return Err(NotCounted::Refused(refusal.reason));
        }
        state.note_alive(submission.client, None);
        state.traffic.up += bytes as u64;
        submission.admitted_by(&state.engine)?;
        state.open_attempt(submission.round)
    }

    /// Has the engine count a checked update, and adds it: see [`crate::aggregate`] for the
    /// order of the locks.
    fn count(
        &self,
        submission: &Submission<'_>,
        attempt: u32,
        vector: &LatticeVector,
    ) -> Result<Counted, NotCounted> {
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
            let now = state.open_attempt(submission.round)?;
            if now != attempt {
                return Ok(Counted::AttemptIs(now));
            }
            let counted = (submission.client.clone(), submission.digest);
            state.counted.extend([counted]);
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
            return match added {
                Ok(()) => Ok(Counted::Yes),
                Err(lost) => Err(NotCounted::Refused(lost.to_string())),
            };
        }
    }
}

/// What became of an update that may count.
enum Counted {
    Yes,
    /// It was stored for an earlier attempt than the one that is open.
    AttemptIs(u32),
}

impl State {
    /// The attempt at this round that is open.
    fn open_attempt(&self, of: u32) -> Result<u32, NotCounted> {
        match self.engine.phase() {
            Phase::Collecting { round, attempt, .. } if *round == of => Ok(*attempt),
            _ => Err(RefusedUpdate::Closed(of).into()),
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
