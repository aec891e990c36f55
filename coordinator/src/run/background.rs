//! The thread in which results are looked at, and what the driver hears from it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Scope;

use super::observer::{Health, Observer};
use super::summary::RoundSummary;
use crate::lobby::Lobby;

/// An observer at work, seen from the driver.
pub(super) struct Background<'a> {
    observer: At<'a>,
    /// The round whose verdict isn't in yet.
    awaited: Option<u32>,
}

/// Where the observer works.
enum At<'a> {
    /// In a thread of its own.
    Thread {
        rounds: Sender<RoundSummary>,
        verdicts: Receiver<Verdict>,
    },
    /// In the driver's.
    Here {
        observer: &'a mut dyn Observer,
        found: Option<Verdict>,
    },
}

/// What the observer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) round: u32,
    pub(super) health: Health,
}

impl<'a> Background<'a> {
    /// Starts the observer's thread, which ends when this is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        observer: &'scope mut dyn Observer,
        lobby: Arc<Lobby>,
    ) -> Self {
        let (rounds, shown) = mpsc::channel::<RoundSummary>();
        let (found, verdicts) = mpsc::channel();
        scope.spawn(move || {
            for summary in shown {
                let verdict = look(observer, &summary);
                if found.send(verdict).is_err() {
                    return;
                }
                // It may wait for clients' updates, which nobody needs if this one diverged.
                lobby.nudge();
            }
        });
        Self {
            observer: At::Thread { rounds, verdicts },
            awaited: None,
        }
    }

    /// No thread: the observer looks at each result as soon as it is shown.
    pub(super) fn none(observer: &'a mut dyn Observer) -> Self {
        let found = None;
        Self {
            observer: At::Here { observer, found },
            awaited: None,
        }
    }

    /// Shows a round's result, and doesn't wait. The verdict on the round before must be in:
    /// so at most one result is kept in memory for the observer.
    pub(super) fn show(&mut self, summary: RoundSummary) {
        assert_eq!(self.awaited, None, "one round at a time");
        self.awaited = Some(summary.round);
        match &mut self.observer {
            // If the thread is gone, waiting for its verdict finds that out.
            At::Thread { rounds, .. } => drop(rounds.send(summary)),
            At::Here { observer, found } => *found = Some(look(*observer, &summary)),
        }
    }

    /// The verdict on the last round shown, if it has just come in.
    pub(super) fn poll(&mut self) -> Option<Verdict> {
        let verdict = match &mut self.observer {
            At::Thread { verdicts, .. } => verdicts.try_recv().ok(),
            At::Here { found, .. } => found.take(),
        }?;
        self.awaited = None;
        Some(verdict)
    }

    /// Waits for the verdict on the last round shown; `None` if it is in already.
    pub(super) fn wait(&mut self) -> Option<Verdict> {
        let round = self.awaited.take()?;
        let none = Verdict {
            round,
            health: Health::Sound,
        };
        let verdict = match &mut self.observer {
            At::Thread { verdicts, .. } => verdicts.recv().ok(),
            At::Here { found, .. } => found.take(),
        };
        Some(verdict.unwrap_or(none))
    }
}

/// A panic in an observer says nothing about the model, and must not end a run.
fn look(observer: &mut dyn Observer, summary: &RoundSummary) -> Verdict {
    let round = summary.round;
    let looked = catch_unwind(AssertUnwindSafe(|| observer.round_done(summary)));
    let health = looked.unwrap_or_else(|_| {
        tracing::error!(round, "looking at a round's result panicked");
        Health::Sound
    });
    Verdict { round, health }
}
