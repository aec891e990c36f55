//! A client's connection, over which messages are lost, late, and come twice.

use std::sync::Arc;
use std::time::Duration;

use umbel_client::clock::ClockReading;
use umbel_client::transport::{Transport, TransportError};
use umbel_coordinator::lobby::Lobby;
use umbel_privacy::certificate::Countersignature;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::departure::Departure;
use umbel_proto::federation::{Federation as _, Refusal, RefusalKind};
use umbel_proto::incoming::NotReceived;
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, Instance, Receipt, Results, Task, Update, UpdateAnnouncement,
    Welcome,
};
use umbel_proto::wire::chunk::ChunkError;

use crate::power::Power;
use crate::scheduler;
use crate::world::World;

pub struct Link {
    pub world: Arc<World>,
    pub client: ClientId,
    pub instance: Instance,
    pub task: scheduler::Task,
    pub power: Arc<Power>,
}

/// How long a caller waits before it tries again.
const AGAIN: Duration = Duration::from_millis(700);
/// How long a call for the next task waits.
const TASK_WAIT: Duration = Duration::from_secs(20);

impl Link {
    /// Makes a call until its answer arrives.
    fn call<T>(&self, call: impl Fn(&Lobby) -> T) -> Result<T, TransportError> {
        loop {
            self.world.scheduler.step(self.task);
            if self.power.is_out() {
                return Err(TransportError::Unreachable {
                    address: String::new(),
                    reason: "this process is gone".into(),
                });
            }
            let Some(lobby) = self.world.reach(&self.client) else {
                self.pause_for(AGAIN);
                continue;
            };
            if !self.world.is_disturbed() {
                return Ok(call(&lobby));
            }
            match self.world.scheduler.draw(100) {
                0..4 => {}
                4..8 => drop(call(&lobby)),
                8..12 => {
                    drop(call(&lobby));
                    return Ok(call(&lobby));
                }
                _ => return Ok(call(&lobby)),
            }
            self.pause_for(AGAIN);
        }
    }

    /// The same for calls that may be refused. A coordinator that is about to go is waited for.
    fn ask<T>(&self, call: impl Fn(&Lobby) -> Result<T, Refusal>) -> Result<T, TransportError> {
        loop {
            match self.call(&call)? {
                Err(refusal) if refusal.kind == RefusalKind::Away => self.pause_for(AGAIN),
                answer => return Ok(answer?),
            }
        }
    }

    fn pause_for(&self, time: Duration) {
        self.world.scheduler.sleep(self.task, time);
    }

    /// Sends an update part by part, from where an earlier upload broke off. `None` if this one
    /// breaks off, too.
    fn upload(&self, lobby: &Lobby, update: &Update) -> Option<Receipt> {
        let mut announced = UpdateAnnouncement::of(update);
        announced.offset = lobby.received(&self.client, announced);
        let mut arriving = match lobby.receive(&self.client, announced) {
            Ok(arriving) => arriving,
            Err(NotReceived::Answered(receipt)) => return Some(receipt),
            Err(why) => {
                lobby.note_unstorable(&why.to_string());
                return None;
            }
        };
        for part in update.values[announced.offset as usize..].chunks(4) {
            if self.world.is_disturbed() && self.world.scheduler.chance(150) {
                return None;
            }
            if let Err(why) = arriving.push(part) {
                lobby.note_unstorable(&why.to_string());
                return None;
            }
        }
        match arriving.finish() {
            Ok(arrived) => match lobby.submit_arrived(&self.client, arrived) {
                Receipt::NotNow { .. } => None,
                receipt => Some(receipt),
            },
            Err(ChunkError::KeptPartAltered) => None,
            Err(why) => {
                lobby.note_unstorable(&why.to_string());
                None
            }
        }
    }

    /// Gives a sign of life, if it gets through.
    pub fn alive(&self) {
        if let Some(lobby) = self.world.reach(&self.client) {
            lobby.alive(&self.client, self.instance);
        }
    }
}

impl Transport for Link {
    fn instance(&self) -> Instance {
        self.instance
    }

    fn join(&mut self, hello: &Hello) -> Result<Welcome, TransportError> {
        self.ask(|lobby| lobby.join(&self.client, hello))
    }

    fn next_task(&mut self) -> Result<Task, TransportError> {
        loop {
            let task =
                self.ask(|lobby| lobby.next_task(&self.client, self.instance, Duration::ZERO))?;
            let absent = match &task {
                Some(Task::Train { round, .. }) => {
                    let who = (self.client.clone(), *round);
                    self.world.setting.absent.contains(&who)
                }
                _ => false,
            };
            match task {
                Some(task) if !absent => {
                    if let Task::Train {
                        round, parameters, ..
                    } = &task
                    {
                        self.world.saw_parameters(*round, *parameters);
                    }
                    return Ok(task);
                }
                _ => {
                    self.alive();
                    self.world.scheduler.wait(self.task, TASK_WAIT);
                }
            }
        }
    }

    fn blob(&mut self, digest: &BlobDigest) -> Result<Arc<[u8]>, TransportError> {
        self.ask(|lobby| lobby.blob(&self.client, digest))
    }

    fn submit(&mut self, update: &Update) -> Result<Receipt, TransportError> {
        let digest = BlobDigest::of(&update.values);
        self.world.saw_update(&self.client, update.round, digest);
        if self.world.scheduler.chance(50) {
            let (client, late) = (self.client.clone(), update.clone());
            self.world
                .haunt(Box::new(move |lobby| drop(lobby.submit(&client, late))));
        }
        loop {
            if let Some(receipt) = self.call(|lobby| self.upload(lobby, update))? {
                return Ok(receipt);
            }
            self.pause_for(AGAIN);
        }
    }

    fn countersign(&mut self, _: &Countersignature) -> Result<Option<LedgerPoint>, TransportError> {
        Ok(None)
    }

    fn results(&mut self) -> Result<Option<Results>, TransportError> {
        Ok(None)
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_for(pause);
    }

    fn clock(&self) -> Option<ClockReading> {
        Some(ClockReading {
            coordinator: self.world.coordinators_time(),
            own: self.world.right_time(),
        })
    }

    fn leave(&mut self, why: Departure) {
        if !self.power.is_out()
            && let Some(lobby) = self.world.reach(&self.client)
        {
            lobby.leave(&self.client, self.instance, why);
        }
    }
}
