//! What a run's records come to: where it stands, and who did what.

use std::collections::{BTreeMap, BTreeSet};

use umbel_privacy::ledger::EntryHash;
use umbel_proto::message::{BlobDigest, ClientId};

use super::record::{Record, RoundClosed, RoundOpened, RoundReleased, RunBegun};
use crate::lobby::Attendance;
use crate::round::Participation;

/// A run, as far as its store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What is fixed for all of it.
    pub begun: RunBegun,
    /// The last round whose result is stored.
    pub released: Option<RoundReleased>,
    /// The attempt that was open last, unless its round was released.
    pub open: Option<OpenAttempt>,
    /// Who was here last.
    pub present: BTreeSet<ClientId>,
    /// Who took part in what. A client that was in the cohort of an attempt which wasn't closed
    /// counts as asked in it: it may have trained.
    pub attendance: BTreeMap<ClientId, Attendance>,
    /// Who took part in the last round whose result is stored.
    pub participation: Participation,
    /// Of each client that took part in a round whose result is stored, the last update that did.
    pub in_model: BTreeMap<ClientId, BlobDigest>,
    /// Whether the run is over.
    pub over: bool,
}

/// An attempt at a round without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAttempt {
    /// How it began.
    pub opened: RoundOpened,
    /// Updates that were accepted.
    pub accepted: BTreeMap<ClientId, BlobDigest>,
    /// What it was closed with, if it was.
    pub closed: Option<RoundClosed>,
    /// The entry that paid for it, if that is known.
    pub spent: Option<EntryHash>,
}

impl History {
    /// A run of which nothing is known but its beginning.
    pub fn new(begun: RunBegun) -> Self {
        Self {
            begun,
            released: None,
            open: None,
            present: BTreeSet::new(),
            attendance: BTreeMap::new(),
            participation: Participation::default(),
            in_model: BTreeMap::new(),
            over: false,
        }
    }

    /// The history of these records; `None` where there are none.
    ///
    /// # Errors
    /// A sentence about the first record that can't come where it stands.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Result<Option<Self>, String> {
        let mut history = None;
        for (index, record) in records.into_iter().enumerate() {
            let at = |reason: String| format!("record {index}: {reason}");
            Self::add(&mut history, record).map_err(at)?;
        }
        Ok(history)
    }

    /// Adds a record.
    ///
    /// # Errors
    /// A sentence if it can't come next; then nothing has changed.
    pub fn add(history: &mut Option<Self>, record: Record) -> Result<(), String> {
        match (history.as_mut(), record) {
            (None, Record::Begun(begun)) => {
                *history = Some(Self::new(begun));
                Ok(())
            }
            (None, _) => Err("the run hasn't begun".into()),
            (Some(_), Record::Begun(_)) => Err("the run has begun already".into()),
            (Some(run), _) if run.over => Err("the run is over".into()),
            (Some(run), record) => run.apply(record),
        }
    }

    /// Rounds whose result is stored.
    pub fn done(&self) -> u32 {
        self.released.as_ref().map_or(0, |last| last.round)
    }

    fn apply(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Begun(_) => Err("the run has begun already".into()),
            Record::Opened(opened) => self.open_attempt(opened),
            Record::Accepted {
                round,
                attempt,
                client,
                update,
            } => {
                self.accept((round, attempt), client, update);
                Ok(())
            }
            Record::Closed(closed) => self.close(closed),
            Record::Spent { entry } => self.spend(entry),
            Record::Released(released) => self.release(released),
            Record::Ended | Record::Abandoned => {
                self.over = true;
                Ok(())
            }
        }
    }

    fn of_client(&mut self, client: &ClientId) -> &mut Attendance {
        self.attendance.entry(client.clone()).or_default()
    }

    fn open_attempt(&mut self, opened: RoundOpened) -> Result<(), String> {
        let round = opened.round;
        if round != self.done() + 1 {
            let next = self.done() + 1;
            return Err(format!("round {round} is opened, and {next} is next"));
        }
        if self.open.as_ref().is_some_and(|open| open.closed.is_some()) {
            return Err(format!("round {round} is closed, and is opened again"));
        }
        if let Some(before) = self.open.take() {
            // Nothing says who was given the task of an attempt that came to nothing.
            for client in before.opened.cohort {
                self.of_client(&client).asked += 1;
            }
        }
        for client in &opened.present {
            self.of_client(client).joined = true;
        }
        self.present = opened.present.iter().cloned().collect();
        self.open = Some(OpenAttempt {
            opened,
            accepted: BTreeMap::new(),
            closed: None,
            spent: None,
        });
        Ok(())
    }

    fn open_for(&mut self, what: &str) -> Result<&mut OpenAttempt, String> {
        let none = || format!("{what}, and no round is open");
        self.open.as_mut().ok_or_else(none)
    }

    /// An update may be stored just after its attempt was closed without it: then its client was
    /// told so, and it doesn't count.
    fn accept(&mut self, of: (u32, u32), client: ClientId, update: BlobDigest) {
        let Some(open) = self
            .open
            .as_mut()
            .filter(|open| open.closed.is_none() && of == (open.opened.round, open.opened.attempt))
        else {
            return;
        };
        let first = open.accepted.insert(client.clone(), update).is_none();
        self.present.insert(client.clone());
        let attendance = self.of_client(&client);
        attendance.joined = true;
        attendance.counted += u32::from(first);
    }

    fn close(&mut self, closed: RoundClosed) -> Result<(), String> {
        let open = self.open_for("a round is closed")?;
        if open.opened.round != closed.round || open.closed.is_some() {
            return Err(format!(
                "round {} is closed, which isn't open",
                closed.round
            ));
        }
        let accepted = open.accepted.clone();
        open.closed = Some(closed.clone());
        let in_set: BTreeSet<_> = closed.updates.iter().map(|u| &u.client).collect();
        for client in accepted.keys().filter(|client| !in_set.contains(client)) {
            self.of_client(client).counted -= 1;
        }
        for client in in_set.into_iter().filter(|c| !accepted.contains_key(c)) {
            let attendance = self.of_client(client);
            attendance.joined = true;
            attendance.counted += 1;
        }
        for client in &closed.asked {
            let attendance = self.of_client(client);
            attendance.joined = true;
            attendance.asked += 1;
        }
        Ok(())
    }

    fn spend(&mut self, entry: EntryHash) -> Result<(), String> {
        let open = self.open_for("an entry is noted")?;
        if open.closed.is_none() || open.spent.is_some_and(|known| known != entry) {
            return Err("an entry is noted for a round that isn't closed or has another".into());
        }
        open.spent = Some(entry);
        Ok(())
    }

    fn release(&mut self, released: RoundReleased) -> Result<(), String> {
        let open = self.open_for("a result is stored")?;
        let round = open.opened.round;
        let Some(closed) = open.closed.as_ref().filter(|_| round == released.round) else {
            return Err(format!(
                "a result of round {} is stored, which isn't closed",
                released.round
            ));
        };
        if open.spent != released.entry {
            return Err(format!(
                "the result of round {round} names another entry than the one that paid for it"
            ));
        }
        let missing = missing(&open.opened, closed);
        let counted = closed.updates.iter().map(|u| u.client.clone()).collect();
        let updates = closed.updates.iter();
        let in_model: Vec<_> = updates.map(|u| (u.client.clone(), u.update)).collect();
        self.in_model.extend(in_model);
        self.released = Some(released);
        self.open = None;
        for client in &missing {
            self.of_client(client).missed += 1;
        }
        self.participation = Participation { counted, missing };
        Ok(())
    }
}

/// Who was in a round's cohort and isn't in its sum.
fn missing(opened: &RoundOpened, closed: &RoundClosed) -> Vec<ClientId> {
    let given: BTreeSet<_> = closed.updates.iter().map(|u| &u.client).collect();
    let cohort = opened.cohort.iter();
    cohort.filter(|c| !given.contains(c)).cloned().collect()
}
