//! A simulated client: a production client whose tasks a worker asks for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use umbel_client::member::{Followed, Member};
use umbel_client::participate::{ClientError, enter};
use umbel_client::site::SiteSettings;
use umbel_client::transport::{InProcess, THREAD, Transport as _};
use umbel_proto::departure::Departure;
use umbel_proto::federation::Federation;
use umbel_proto::message::ClientId;

use super::pool::{TakesTurns, Turn};

/// Which client failed, and why.
pub(crate) type Failed = (ClientId, ClientError);

/// A client of a simulation. It joins in its first turn.
pub(super) struct VirtualClient {
    settings: SiteSettings,
    coordinator: Arc<dyn Federation>,
    transport: InProcess,
    member: Option<Member>,
    failed: mpsc::Sender<Failed>,
}

impl VirtualClient {
    pub(super) fn new(
        settings: SiteSettings,
        coordinator: Arc<dyn Federation>,
        failed: mpsc::Sender<Failed>,
    ) -> Self {
        Self {
            transport: InProcess::new(settings.name.clone(), Arc::clone(&coordinator)),
            settings,
            coordinator,
            member: None,
            failed,
        }
    }

    fn try_turn(&mut self) -> Result<Turn, ClientError> {
        loop {
            let Self {
                settings,
                coordinator,
                transport,
                member,
                ..
            } = self;
            let member = match member {
                Some(member) => member,
                None => member.insert(enter(transport, settings, &mut |_| {})?),
            };
            let next = match coordinator.next_task(&settings.name, THREAD, Duration::ZERO) {
                Ok(None) => return Ok(Turn::Rest),
                Ok(Some(task)) => Ok(task),
                Err(refusal) => Err(refusal.into()),
            };
            match member.follow(next, transport, &mut |_| {})? {
                Followed::Done => {}
                Followed::Ended(_) => return Ok(Turn::Gone),
                Followed::AnotherRun => self.member = None,
            }
        }
    }
}

impl TakesTurns for VirtualClient {
    fn name(&self) -> &ClientId {
        &self.settings.name
    }

    fn take_turn(&mut self) -> Turn {
        match self.try_turn() {
            Ok(turn) => turn,
            Err(error) => {
                let client = &self.settings.name;
                tracing::error!(%client, "{error}");
                self.transport.leave(error.departure());
                // The receiver is gone only when the simulation has ended.
                let _ = self.failed.send((client.clone(), error));
                Turn::Gone
            }
        }
    }

    fn give_up(&mut self) {
        self.transport.leave(Departure::Unsaid);
    }
}
