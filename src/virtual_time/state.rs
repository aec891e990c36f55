//! What happens when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use umbel_coordinator::lobby::Attempt;
use umbel_coordinator::observe::virtual_time::{Stragglers, VirtualRound};
use umbel_proto::message::ClientId;

use super::{Errand, VirtualTime};

/// What happens to a client. At most one thing of each is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Its update of this round arrives.
    HandsIn { round: u32 },
    /// It is done with an earlier round, and asks for its task.
    Begins,
    /// Nothing was heard of it for too long.
    FallsSilent,
}

/// Who is there is settled for an attempt at a round, and in a pause for a minute of it.
pub(super) type Roll = (u32, u32, Option<u64>);

/// An attempt that was opened.
struct Open {
    attempt: Attempt,
    /// When its round was opened first, and how often.
    opened: Duration,
    attempts: u32,
    /// Who was asked.
    asked: BTreeSet<ClientId>,
    dropped: BTreeSet<ClientId>,
    away: BTreeSet<ClientId>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) errands: BTreeMap<ClientId, Errand>,
    /// Who was given its task in the turns that were just taken, and whether it trained for it.
    pub(super) begun: BTreeMap<ClientId, bool>,
    /// The one that was called last.
    roll: Option<Roll>,
    pub(super) away: BTreeSet<ClientId>,
    /// Since when the run pauses, if it does.
    paused: Option<Duration>,
    pub(super) over: bool,
    awaited: BTreeMap<(Duration, ClientId), What>,
    /// Until when clients are at their updates, whether these still count or not.
    busy: BTreeMap<ClientId, Duration>,
    open: Option<Open>,
    /// Rounds before the open one.
    lines: BTreeMap<u32, VirtualRound>,
}

impl VirtualTime {
    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    pub(super) fn pass(&self, time: Duration) {
        let mut state = self.lock();
        state.now = state.now.saturating_add(time);
    }
}

impl State {
    /// The attempt that was opened last.
    pub(super) fn attempt(&self) -> Option<Attempt> {
        self.open.as_ref().map(|open| open.attempt)
    }

    pub(super) fn round(&self) -> u32 {
        self.attempt().map_or(0, Attempt::round)
    }

    /// Whether a client is at an update.
    pub(super) fn is_busy(&self, client: &ClientId) -> bool {
        self.busy.get(client).is_some_and(|until| *until > self.now)
    }

    /// Before which attempt, and in which minute of a pause, the roll is to be called now, if it is.
    pub(super) fn roll_to_call(
        &mut self,
        (round, attempt, pauses): (u32, u32, bool),
    ) -> Option<Roll> {
        let minute = if pauses {
            let since = *self.paused.get_or_insert(self.now);
            match self.now.saturating_sub(since).as_secs() / 60 {
                0 => return None,
                minute => Some(minute),
            }
        } else if self.paused.take().is_some() {
            // Whoever was there at the end of a pause stays for its attempt.
            self.roll = Some((round, attempt, None));
            return None;
        } else {
            None
        };
        let roll = (round, attempt, minute);
        (self.roll.replace(roll) != Some(roll)).then_some(roll)
    }

    /// An attempt was opened, and lacks updates of these clients. Returns who takes a turn now.
    pub(super) fn open(&mut self, attempt: Attempt, lacking: Vec<ClientId>) -> Vec<ClientId> {
        self.errands.clear();
        let round = attempt.round();
        let again = self.round() == round;
        let now = self.now;
        let before = self.close();
        self.busy.retain(|_, until| *until > now);
        for (key, what) in std::mem::take(&mut self.awaited) {
            match what {
                What::HandsIn { round: of } if of == round => {
                    self.awaited.insert(key, what);
                }
                What::HandsIn { .. } => {
                    self.errands.insert(key.1, Errand::HandInLate { round });
                }
                // Those who fell silent were called back, and who begins is put down again.
                What::Begins | What::FallsSilent => {}
            }
        }
        let (opened, attempts) = match &before {
            Some(open) if again => (open.opened, open.attempts),
            _ => (now, 0),
        };
        let still_at_it: BTreeSet<ClientId> = self
            .awaited
            .keys()
            .map(|(_, client)| client.clone())
            .collect();
        for client in &lacking {
            if self.away.contains(client) || still_at_it.contains(client) {
                continue;
            }
            match self.busy.get(client) {
                Some(until) => {
                    self.awaited.insert((*until, client.clone()), What::Begins);
                }
                None => {
                    let drops_out = false;
                    let begin = Errand::Begin { round, drops_out };
                    self.errands.insert(client.clone(), begin);
                }
            }
        }
        let asked: BTreeSet<ClientId> = lacking.into_iter().collect();
        for client in before.into_iter().flat_map(|open| open.asked) {
            let errand = self.errands.entry(client);
            if !again {
                errand.or_insert(Errand::Forget { round });
            }
        }
        self.open = Some(Open {
            attempt,
            opened,
            attempts: attempts + 1,
            away: self.away.intersection(&asked).cloned().collect(),
            asked,
            dropped: BTreeSet::new(),
        });
        self.errands.keys().cloned().collect()
    }

    /// Goes on to the first thing that happens, if that is before `until`, or to `until`.
    pub(super) fn next_until(&mut self, until: Duration) -> Option<(ClientId, What)> {
        match self.awaited.first_entry() {
            Some(first) if first.key().0 <= until => {
                let ((at, client), what) = first.remove_entry();
                self.now = self.now.max(at);
                Some((client, what))
            }
            _ => {
                self.now = until;
                None
            }
        }
    }

    /// A client's update will arrive then.
    pub(super) fn hand_in(&mut self, client: ClientId, at: Duration) {
        let round = self.round();
        self.busy.insert(client.clone(), at);
        self.awaited.insert((at, client), What::HandsIn { round });
    }

    /// A client drops out, and falls silent then.
    pub(super) fn drop_out(&mut self, client: ClientId, silent_at: Duration) {
        if let Some(open) = &mut self.open {
            open.dropped.insert(client.clone());
        }
        self.awaited.insert((silent_at, client), What::FallsSilent);
    }

    /// Everybody who was silent is heard of again, or isn't there.
    pub(super) fn forget_silence(&mut self) {
        self.awaited.retain(|_, what| *what != What::FallsSilent);
    }

    /// Puts down what came of the attempt that was open.
    fn close(&mut self) -> Option<Open> {
        let round = self.round();
        if let Some(line) = self.line(round) {
            self.lines.insert(round, line);
        }
        self.open.take()
    }

    /// What came of a round.
    pub(super) fn line(&self, round: u32) -> Option<VirtualRound> {
        let open = match &self.open {
            Some(open) if open.attempt.round() == round => open,
            _ => return self.lines.get(&round).cloned(),
        };
        let names =
            |clients: &BTreeSet<ClientId>| clients.iter().map(ToString::to_string).collect();
        let mut missing = Stragglers {
            dropped: names(&open.dropped),
            away: names(&open.away),
            ..Stragglers::default()
        };
        for ((at, client), what) in &self.awaited {
            let (client, at) = (client.to_string(), at.as_secs_f64());
            match what {
                What::HandsIn { round: of } if *of == round => missing.late.insert(client, at),
                What::Begins => missing.busy.insert(client, at),
                _ => None,
            };
        }
        Some(VirtualRound {
            opened: open.opened.as_secs_f64(),
            attempts: open.attempts,
            missing: Some(missing),
        })
    }
}
