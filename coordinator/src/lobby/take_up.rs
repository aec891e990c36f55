//! Going on with a run: what clients meet is what they left.

use std::collections::{BTreeMap, BTreeSet};

use umbel_proto::message::{BlobDigest, ClientId};

use super::Lobby;
use crate::aggregate::RoundSum;
use crate::round::{OpenRound, Stood};
use crate::store::{History, OpenAttempt, RunStore, StoreError};

impl Lobby {
    /// Takes up a run that was cut off. To be called before any client is let in.
    ///
    /// Updates that are stored are in the sum again; clients whose update isn't are asked for it
    /// again, and have the same bytes still.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    pub fn take_up(&self, history: &History, store: &dyn RunStore) -> Result<(), StoreError> {
        let mut given = BTreeMap::new();
        // Accepted before, and not here any more: their clients will send them again.
        let mut lost = Vec::new();
        let sum = match &history.open {
            Some(open) => Some(self.sum_again(open, store, (&mut given, &mut lost))?),
            None => None,
        };
        let open = history.open.as_ref().map(|open| OpenRound {
            round: open.opened.round,
            attempt: open.opened.attempt,
            cohort: open.opened.cohort.iter().cloned().collect(),
            given: given.clone(),
            closed: open.closed.as_ref().map(|closed| {
                let updates = closed.updates.iter();
                updates.map(|update| update.client.clone()).collect()
            }),
        });
        let stood = Stood {
            done: history.done(),
            present: history.present.clone(),
            open,
        };
        let mut state = self.lock();
        state.take_up(stood, sum, given);
        for (client, update) in &history.in_model {
            if let Some(seat) = state.seats.get_mut(client) {
                seat.in_model = Some(*update);
            }
        }
        for (client, attendance) in &history.attendance {
            if let Ok(seat) = state.known(client) {
                seat.clone_from(attendance);
            }
        }
        for client in &lost {
            if let Ok(seat) = state.known(client) {
                seat.counted = seat.counted.saturating_sub(1);
            }
        }
        if let Some(open) = &history.open {
            // Whoever was in the cohort of an attempt that wasn't closed may have trained.
            let asked: BTreeSet<&ClientId> = match &open.closed {
                Some(closed) => closed.asked.iter().collect(),
                None => open.opened.cohort.iter().collect(),
            };
            for client in asked {
                let attempt = (open.opened.round, open.opened.attempt);
                state.note_asked_before(client, attempt, open.closed.is_some());
            }
        }
        self.wake(state);
        Ok(())
    }

    /// The sum of the updates that are stored, which `given` names then; `lost` names the clients of
    /// those that aren't.
    fn sum_again(
        &self,
        open: &OpenAttempt,
        store: &dyn RunStore,
        (given, lost): (&mut BTreeMap<ClientId, BlobDigest>, &mut Vec<ClientId>),
    ) -> Result<RoundSum, StoreError> {
        let clients = open.opened.cohort.len();
        let sum = RoundSum::empty(&self.rules, clients);
        let accepted: Vec<(ClientId, BlobDigest)> = match &open.closed {
            Some(closed) => {
                let updates = closed.updates.iter();
                updates.map(|u| (u.client.clone(), u.update)).collect()
            }
            None => open.accepted.clone().into_iter().collect(),
        };
        for (client, digest) in accepted {
            let Some(bytes) = store.update(&client, &digest)? else {
                tracing::info!(%client, "its stored update isn't here; it is asked again");
                lost.push(client);
                continue;
            };
            let checked = self.rules.check(&self.rules.readable(&*bytes));
            let added = checked.map_err(|why| why.to_string()).and_then(|update| {
                let open = sum.lock().map_err(|lost| lost.to_string())?;
                open.add(&update, |_| ()).map_err(|lost| lost.to_string())
            });
            match added {
                Ok(()) => {
                    given.insert(client, digest);
                }
                Err(why) => {
                    tracing::error!(%client, "its stored update can't be used: {why}");
                    lost.push(client);
                }
            }
        }
        Ok(sum)
    }
}
