//! Who is here: which process is a client, when it is ready, and whether it is still heard of.
//!
//! A client joins, reads its data and its ledger, and only then asks for a task. By that it says
//! that it is ready, and only then it counts as present. So a client that can't take part is never
//! waited for, and costs nobody else anything.

use std::collections::BTreeSet;

use umbel_proto::departure::Departure;
use umbel_proto::federation::{Refusal, RefusalKind};
use umbel_proto::message::{ClientId, Instance};

use super::state::State;
use crate::round::Event;

impl State {
    /// Notes that a process of a client joined.
    pub(super) fn note_joined(&mut self, client: &ClientId, instance: Instance) {
        if let Some(seat) = self.seats.get_mut(client) {
            seat.joined = Some(instance);
            seat.heard = true;
            seat.attendance.joined = true;
        }
    }

    /// A process asks for a task, so it is ready. If it joined after the one that was ready
    /// before, it takes that one's place.
    ///
    /// # Errors
    /// [`Refusal`] for a process that is to join first, or whose place another one took.
    pub(super) fn take_place(
        &mut self,
        client: &ClientId,
        instance: Instance,
    ) -> Result<(), Refusal> {
        let Some(seat) = self.seats.get_mut(client) else {
            return Ok(());
        };
        if seat.ready == Some(instance) {
            self.note_alive(client, None);
            return Ok(());
        }
        if seat.joined != Some(instance) {
            return Err(match seat.ready {
                Some(_) => superseded(client),
                None => Refusal {
                    kind: RefusalKind::Missing,
                    reason: "join the run (again) before asking for a task".into(),
                },
            });
        }
        if seat.ready.replace(instance).is_some() {
            tracing::warn!(
                %client,
                "another process of this client is ready and takes over; if nobody restarted it, \
                 its certificate is in use twice"
            );
        }
        seat.heard = true;
        seat.silent = false;
        seat.attendance.left = None;
        tracing::info!(%client, "client is ready");
        self.handle(Event::Joined(client.clone()));
        Ok(())
    }

    /// Notes a sign of life. Whoever fell silent is back by it. A sign of a process that isn't the
    /// client (any more) says nothing.
    pub(super) fn note_alive(&mut self, client: &ClientId, instance: Option<Instance>) {
        let Some(seat) = self.seats.get_mut(client) else {
            return;
        };
        if instance.is_some() && seat.ready != instance {
            return;
        }
        seat.heard = true;
        if std::mem::take(&mut seat.silent) {
            tracing::info!(%client, "client is heard of again");
            self.handle(Event::Joined(client.clone()));
        }
    }

    /// Who gave a sign of life since this was asked last.
    pub(super) fn take_heard(&mut self) -> BTreeSet<ClientId> {
        let heard = |(client, seat): (&ClientId, &mut super::state::Seat)| {
            std::mem::take(&mut seat.heard).then(|| client.clone())
        };
        self.seats.iter_mut().filter_map(heard).collect()
    }

    /// Nothing is heard of a client. Says whether that is news.
    pub(super) fn note_silent(&mut self, client: &ClientId) -> bool {
        let Some(seat) = self.seats.get_mut(client) else {
            return false;
        };
        // Something came while the driver made up its mind.
        if seat.heard || seat.silent {
            return false;
        }
        seat.silent = true;
        self.handle(Event::Left(client.clone()));
        true
    }

    /// A process leaves. Says whether the client is gone by that: a process that never was ready
    /// takes nobody's place away, unless nobody else is there.
    pub(super) fn give_place_up(
        &mut self,
        client: &ClientId,
        instance: Instance,
        why: Departure,
    ) -> bool {
        let Some(seat) = self.seats.get_mut(client) else {
            return false;
        };
        let is_it = match seat.ready {
            Some(ready) => ready == instance,
            None => seat.joined == Some(instance),
        };
        if seat.joined == Some(instance) {
            seat.joined = None;
        }
        if !is_it {
            return false;
        }
        seat.ready = None;
        seat.silent = false;
        if why != Departure::Done {
            seat.attendance.left = Some(why);
        }
        self.handle(Event::Left(client.clone()));
        true
    }
}

fn superseded(client: &ClientId) -> Refusal {
    Refusal {
        kind: RefusalKind::Mismatch,
        reason: format!(
            "another process joined as `{client}` later and takes part in its place, so this one \
             ends; run one client for each certificate"
        ),
    }
}
