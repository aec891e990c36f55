//! A simulated client: a production client whose tasks a worker asks for.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use umbel_client::member::{Followed, Member};
use umbel_client::participate::{ClientError, enter};
use umbel_client::site::{SiteError, SiteSettings};
use umbel_client::site_ledger::SiteLedgerError;
use umbel_client::transport::{InProcess, THREAD, Transport as _, TransportError};
use umbel_privacy::ledger::book::Committed;
use umbel_proto::departure::Departure;
use umbel_proto::federation::Federation;
use umbel_proto::message::{ClientId, Task};

use super::disk::SitesDisk;
use super::pool::{TakesTurns, Turn};
use super::timed::HeldBack;
use crate::virtual_time::{Errand, VirtualTime};

/// Which client failed, and why.
pub(crate) type Failed = (ClientId, ClientError);

/// What all clients of a simulation have in common.
pub(super) struct Common {
    pub(super) coordinator: Arc<dyn Federation>,
    pub(super) disk: Arc<SitesDisk>,
    /// In which they are, unless they take as long as they take.
    pub(super) time: Option<Arc<VirtualTime>>,
}

/// A client of a simulation. It joins in its first turn.
pub(super) struct VirtualClient {
    pub(super) settings: SiteSettings,
    pub(super) common: Arc<Common>,
    pub(super) transport: InProcess,
    pub(super) member: Option<Member>,
    /// What the coordinator answered last, while it isn't followed yet.
    pub(super) next: Option<Result<Task, TransportError>>,
    /// In virtual time: what it is at.
    errand: Option<Errand>,
    /// In virtual time: its update, until its time has come.
    pub(super) held_back: Option<HeldBack>,
    failed: mpsc::Sender<Failed>,
}

impl VirtualClient {
    pub(super) fn new(
        settings: SiteSettings,
        common: Arc<Common>,
        failed: mpsc::Sender<Failed>,
    ) -> Self {
        let coordinator = Arc::clone(&common.coordinator);
        Self {
            transport: InProcess::new(settings.name.clone(), coordinator),
            settings,
            common,
            member: None,
            next: None,
            errand: None,
            held_back: None,
            failed,
        }
    }

    /// What the coordinator asks for now; `None` if that is nothing.
    pub(super) fn poll(&self) -> Option<Result<Task, TransportError>> {
        let coordinator = &self.common.coordinator;
        let task = coordinator.next_task(&self.settings.name, THREAD, Duration::ZERO);
        task.map_err(TransportError::from).transpose()
    }

    fn try_prepare(&mut self, round: u32) -> Result<Turn, ClientError> {
        if self.member.is_none() {
            let member = enter(&mut self.transport, &self.settings, &mut |_| {})?;
            self.member = Some(member);
            return Ok(Turn::Again);
        }
        if let Some(time) = &self.common.time {
            self.errand = time.errand(&self.settings.name);
            if let Some(errand) = self.errand {
                return self.prepare_errand(errand);
            }
        }
        self.next = self.poll();
        if let Some(member) = &mut self.member {
            member.forget_before(round)?;
            if let Some(Ok(task)) = &self.next {
                member.pay(task)?;
            }
        }
        Ok(match self.next {
            Some(_) => Turn::Again,
            None => Turn::Rest,
        })
    }

    fn try_act(&mut self) -> Result<Turn, ClientError> {
        if let Some(errand) = self.errand.take() {
            return self.act_errand(errand);
        }
        match self.next.take() {
            Some(next) => self.follow(next),
            None => Ok(self.look_again()),
        }
    }

    /// Does what the coordinator answered.
    pub(super) fn follow(
        &mut self,
        next: Result<Task, TransportError>,
    ) -> Result<Turn, ClientError> {
        if let Some(member) = &mut self.member {
            match member.follow(next, &mut self.transport, &mut |_| {})? {
                Followed::Done => {}
                Followed::Ended(_) => return Ok(Turn::Gone),
                Followed::AnotherRun => {
                    self.member = None;
                    return Ok(Turn::Again);
                }
            }
        }
        Ok(self.look_again())
    }

    /// Says, by asking for a task, that it is ready for one.
    fn look_again(&self) -> Turn {
        match self.poll() {
            Some(_) => Turn::Again,
            None => Turn::Rest,
        }
    }

    /// Ends this client by its error.
    fn fail(&mut self, error: ClientError) -> Turn {
        let client = &self.settings.name;
        tracing::error!(%client, "{error}");
        self.transport.leave(error.departure());
        // The receiver is gone only when the simulation has ended.
        let _ = self.failed.send((client.clone(), error));
        Turn::Gone
    }
}

impl TakesTurns for VirtualClient {
    fn name(&self) -> &ClientId {
        &self.settings.name
    }

    fn prepare(&mut self, round: u32) -> Turn {
        let turn = self.try_prepare(round);
        turn.unwrap_or_else(|error| self.fail(error))
    }

    fn computes(&self) -> bool {
        matches!(self.next, Some(Ok(Task::Train { .. })))
    }

    fn act(&mut self, _: &Committed) -> Turn {
        let turn = self.try_act();
        turn.unwrap_or_else(|error| self.fail(error))
    }

    fn spoil(&mut self, why: &io::Error) {
        let why = SiteLedgerError::Open(self.common.disk.error(why));
        self.fail(ClientError::Site(SiteError::Ledger(why)));
    }

    fn give_up(&mut self) {
        self.transport.leave(Departure::Unsaid);
    }
}
