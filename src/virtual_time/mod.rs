//! Virtual time: a simulation whose clients take as long as a distribution says.
//!
//! The driver is the one of production, with its deadline, quorum and grace. It waits by a
//! [`Clock`](umbel_coordinator::run::clock::Clock), and asks it what time it is. Here that clock is a
//! list of what happens next. Where the driver has
//! nothing to do, the clock goes on to the first of these, has it done by the workers, and lets the
//! driver look again. So nothing depends on how fast this machine is, or how many workers there are.
//!
//! A client that is asked pays and trains at once, and its update is kept back until its time has come.
//! One that comes when its round is closed is refused, as it would be in production, and its client
//! begins the next round only when it is done with this one.

mod clock;
mod draws;
mod state;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Asked, Lobby};
use umbel_coordinator::observe::virtual_time::VirtualRound;
use umbel_coordinator::run::absence::Patience;
use umbel_proto::exit_code::ExitKind;
use umbel_proto::message::ClientId;

pub(crate) use clock::{VirtualClock, Workers};
use draws::Draws;

use crate::failure::Failure;
use state::{State, What};

/// How long a run waits for clients that are missing: in virtual time, as in production.
///
/// # Errors
/// [`Failure`] where a run in virtual time is to be gone on with.
pub(crate) fn patience(config: &RunConfig, resumes: bool) -> Result<Patience, Failure> {
    if config.simulation.is_none() {
        return Ok(Patience::NONE);
    }
    if resumes {
        let reason = "a run in virtual time ([simulation]) can't be resumed: when each client would \
                      have answered went with its process; start it again";
        return Err(Failure::new(ExitKind::Configuration, reason));
    }
    Ok(Patience {
        pause: Duration::from_secs(config.federation.patience_seconds),
        // The virtual clock says who falls silent.
        silence: None,
    })
}

/// What a client is to do in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Ask for the task of this round, pay and train.
    Begin {
        /// The round.
        round: u32,
        /// Whether it drops out once it has paid.
        drops_out: bool,
    },
    /// Hand in what it trained.
    HandIn,
    /// Hand it in although its round is closed, and forget what it gave before this one.
    HandInLate {
        /// The round that is open.
        round: u32,
    },
    /// Forget what it gave before this round.
    Forget {
        /// The round that is open.
        round: u32,
    },
}

/// Whom the workers are to run.
struct Turns {
    clients: Vec<ClientId>,
    round: u32,
}

/// The virtual time of one run.
pub(crate) struct VirtualTime {
    draws: Draws,
    /// After how long nobody waits for a client of which nothing is heard.
    silence: Duration,
    /// Whether who took part is hidden.
    hides_clients: bool,
    everybody: BTreeSet<ClientId>,
    lobby: Arc<Lobby>,
    state: Mutex<State>,
}

impl VirtualTime {
    /// Virtual time from 0 on, if the run is in it.
    pub(crate) fn of(config: &RunConfig, lobby: &Arc<Lobby>) -> Option<Arc<Self>> {
        let settings = config.simulation.as_ref()?;
        let silence = config.federation.silence_seconds.get();
        Some(Arc::new(Self {
            draws: Draws(settings.clone()),
            silence: Duration::from_secs(silence),
            hides_clients: config.privacy.hides_clients(),
            everybody: config.clients.iter().map(|c| c.name.clone()).collect(),
            lobby: Arc::clone(lobby),
            state: Mutex::default(),
        }))
    }

    /// What this client is to do now, if it was sent for; once.
    pub(crate) fn errand(&self, client: &ClientId) -> Option<Errand> {
        self.lock().errands.remove(client)
    }

    /// A client was given its task; `trains`: it has no update for it yet.
    pub(crate) fn note_begun(&self, client: &ClientId, trains: bool) {
        self.lock().begun.insert(client.clone(), trains);
    }

    /// What came of a round that was released.
    pub(crate) fn timeline(&self, round: u32) -> Option<VirtualRound> {
        let mut line = self.lock().line(round)?;
        if self.hides_clients {
            line.missing = None;
        }
        Some(line)
    }

    fn now(&self) -> Duration {
        self.lock().now
    }

    /// Settles who is there, before a round is opened.
    fn call_the_roll(&self) {
        if !self.draws.0.loses_clients() {
            return;
        }
        let Some(ahead) = self.lobby.about_to_open() else {
            return;
        };
        let mut state = self.lock();
        let Some((round, attempt, minute)) = state.roll_to_call(ahead) else {
            return;
        };
        let is_away = |client: &&ClientId| {
            !state.is_busy(client) && !self.draws.is_there(client, (round, attempt), minute)
        };
        let away: BTreeSet<ClientId> = self.everybody.iter().filter(is_away).cloned().collect();
        for client in &self.everybody {
            self.lobby.presume(client, !away.contains(client));
        }
        state.away = away;
        state.forget_silence();
    }

    /// Lets as much time pass as until something happens, but `longest` at most. Says whom to run.
    fn go_on(&self, longest: Duration) -> Option<Turns> {
        let mut state = self.lock();
        match self.lobby.wait_for_asked(state.attempt(), Duration::ZERO) {
            Some(Asked::NoMore) => {
                state.over = true;
                return None;
            }
            Some(Asked::Train { attempt, clients }) => {
                let clients = state.open(attempt, clients);
                self.settle_drop_outs(&mut state);
                let round = attempt.round();
                return Some(Turns { clients, round });
            }
            None => {}
        }
        let until = state.now.saturating_add(longest);
        let (client, what) = state.next_until(until)?;
        let round = state.round();
        let errand = match what {
            What::FallsSilent => {
                self.lobby.presume(&client, false);
                return None;
            }
            What::HandsIn { .. } => Errand::HandIn,
            What::Begins => Errand::Begin {
                round,
                drops_out: false,
            },
        };
        state.errands.insert(client.clone(), errand);
        self.settle_drop_outs(&mut state);
        let clients = vec![client];
        Some(Turns { clients, round })
    }

    /// Draws who of those that are about to begin drops out.
    fn settle_drop_outs(&self, state: &mut State) {
        let Some(attempt) = state.attempt() else {
            return;
        };
        let key = (attempt.round(), attempt.attempt());
        for (client, errand) in &mut state.errands {
            if let Errand::Begin { drops_out, .. } = errand {
                *drops_out = self.draws.part(client, key).drops_out.is_some();
            }
        }
    }

    /// Puts down when those who have begun will be done.
    fn put_down_begun(&self) {
        let mut state = self.lock();
        let Some(attempt) = state.attempt() else {
            return;
        };
        let key = (attempt.round(), attempt.attempt());
        for (client, trains) in std::mem::take(&mut state.begun) {
            let part = self.draws.part(&client, key);
            if let Some(after) = part.drops_out {
                let at = state.now.saturating_add(after).saturating_add(self.silence);
                state.drop_out(client, at);
                continue;
            }
            let training = if trains {
                part.training
            } else {
                Duration::ZERO
            };
            let at = state.now.saturating_add(training + part.delay);
            state.hand_in(client, at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is changed by code that doesn't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
