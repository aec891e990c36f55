//! How an update comes in: checked without the lobby's lock, counted under it, added under the
//! sum's. It is read a block at a time, from wherever it came into, each time that it is looked at.

use umbel_proto::incoming::{Arrived, InMemory, Incoming, NotReceived, UpdateBytes};
use umbel_proto::message::{BlobDigest, ClientId, Receipt, UpdateAnnouncement};

use super::state::State;
use super::{Halt, Lobby};
use crate::aggregate::{CheckError, Readable, Unfit};
use crate::round::{Event, Phase, RefusedUpdate, RoundProtocol};
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
    Late(String),
    Refused(String),
    /// It isn't the update's fault.
    NotNow(String),
}

impl Lobby {
    /// Gets ready for an update that comes over a network, where the store wants it. What can't
    /// count, or counts already, needn't come.
    pub(super) fn begin_update(
        &self,
        client: &ClientId,
        announced: UpdateAnnouncement,
    ) -> Result<Box<dyn Incoming>, NotReceived> {
        let submission = Submission {
            client,
            round: announced.round,
            digest: announced.digest,
        };
        if let Err(why) = self.admit(&submission) {
            return Err(NotReceived::Answered(self.answer(&submission, Err(why))));
        }
        let most = self.rules.bytes();
        match self.store.get() {
            Some(store) => store.receive(client, announced, most),
            None => Ok(Box::new(InMemory::new(announced, most)?)),
        }
    }

    fn admit(&self, submission: &Submission<'_>) -> Result<(), NotCounted> {
        let mut state = self.lock();
        if let Err(refusal) = state.known(submission.client) {
            return Err(NotCounted::Refused(refusal.reason));
        }
        submission.admitted_by(&*state.engine)
    }

    /// Takes one update.
    pub(super) fn take_update(&self, client: &ClientId, arrived: Arrived) -> Receipt {
        let submission = Submission {
            client,
            round: arrived.announced.round,
            digest: arrived.announced.digest,
        };
        let bytes = &*arrived.bytes;
        let counted = self.read_and_count(&submission, (bytes, arrived.announced.bytes));
        self.answer(&submission, counted)
    }

    fn answer(&self, submission: &Submission<'_>, counted: Result<(), NotCounted>) -> Receipt {
        let reason = match counted {
            Ok(()) => return Receipt::Accepted,
            Err(NotCounted::Duplicate) => return Receipt::Duplicate,
            Err(NotCounted::NotNow(reason)) => return Receipt::NotNow { reason },
            Err(NotCounted::Late(reason)) => {
                self.refuse(submission.client, &reason);
                return Receipt::Late { reason };
            }
            Err(NotCounted::Refused(reason)) => reason,
        };
        self.refuse(submission.client, &reason);
        if let Some(seat) = self.lock().seats.get_mut(submission.client) {
            seat.refused_in = Some(submission.round);
        }
        Receipt::Refused { reason }
    }

    fn read_and_count(
        &self,
        submission: &Submission<'_>,
        (bytes, length): (&dyn UpdateBytes, u64),
    ) -> Result<(), NotCounted> {
        let mut attempt = self.receive_bytes(submission, length)?;
        let _slot = self.slots.take();
        // The rules follow from the plan alone and are the same in every round. Whether the
        // round is still open is asked again when the update is counted.
        let checked = self.rules.check(&self.rules.readable(bytes));
        let update = checked.map_err(|error| match error {
            CheckError::Bad(why) => NotCounted::Refused(why.to_string()),
            CheckError::Io(error) => self.unstorable(&error),
        })?;
        loop {
            self.keep(submission, attempt, bytes)?;
            match self.count(submission, attempt, &update)? {
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
        bytes: &dyn UpdateBytes,
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
        kept.map_err(|error| self.unstorable(&error))
    }

    /// The disk failed, so that the run stops, to be gone on with.
    fn unstorable(&self, error: &dyn ToString) -> NotCounted {
        self.halt(Halt::Store(error.to_string()));
        let reason = "the coordinator can't store updates; its log says more";
        NotCounted::NotNow(reason.into())
    }

    /// Notes that bytes came. What can't count any more is told so before anybody decodes it.
    /// Returns the attempt that is open.
    fn receive_bytes(&self, submission: &Submission<'_>, bytes: u64) -> Result<u32, NotCounted> {
        let mut state = self.lock();
        if let Err(refusal) = state.known(submission.client) {
            return Err(NotCounted::Refused(refusal.reason));
        }
        state.note_alive(submission.client, None);
        state.traffic.up += bytes;
        submission.admitted_by(&*state.engine)?;
        state.open_attempt(submission.round)
    }

    /// Has the engine count a checked update, and adds it: see [`crate::aggregate`] for the
    /// order of the locks.
    fn count(
        &self,
        submission: &Submission<'_>,
        attempt: u32,
        update: &Readable<'_>,
    ) -> Result<Counted, NotCounted> {
        loop {
            let closed = || NotCounted::from(RefusedUpdate::Closed(submission.round));
            let open = self.lock().sum.clone().ok_or_else(closed)?;
            let sum = open
                .lock()
                .map_err(|lost| NotCounted::Refused(lost.to_string()))?;
            if !sum.is_taken() {
                sum.check(update).map_err(|why| match why {
                    Unfit::Lattice(why) => NotCounted::Refused(why.to_string()),
                    Unfit::Read(error) => self.unstorable(&error),
                })?;
            }
            let mut state = self.lock();
            if !state.is_open(&open) {
                // Another attempt began since; its sum is another.
                continue;
            }
            submission.admitted_by(&*state.engine)?;
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
            // A sum that is lost because the disk failed is made again by whoever goes on with the
            // run. The driver hears of it before it can find that there is no sum.
            let added = sum.add(update, |why| {
                if let Unfit::Read(error) = why {
                    self.halt(Halt::Store(error.to_string()));
                }
            });
            return match added {
                Ok(()) => Ok(Counted::Yes),
                Err(lost) => Err(match self.halted() {
                    Some(Halt::Store(_)) => NotCounted::NotNow(lost.to_string()),
                    _ => NotCounted::Refused(lost.to_string()),
                }),
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
    fn admitted_by(&self, engine: &dyn RoundProtocol) -> Result<(), NotCounted> {
        if engine.admits(self.client, self.round, &self.digest)? {
            Ok(())
        } else {
            Err(NotCounted::Duplicate)
        }
    }
}

impl From<RefusedUpdate> for NotCounted {
    fn from(why: RefusedUpdate) -> Self {
        match why {
            RefusedUpdate::Closed(_) | RefusedUpdate::NotInCohort => Self::Late(why.to_string()),
            RefusedUpdate::Conflicting => Self::Refused(why.to_string()),
        }
    }
}
