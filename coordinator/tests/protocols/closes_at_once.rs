//! A protocol of rounds besides the one that runs follow: the first update closes its round.

use std::collections::BTreeSet;

use umbel_coordinator::round::{
    Action, Engine, Event, Phase, RefusedUpdate, RoundProtocol, RoundSettings, Stood,
};
use umbel_proto::message::{BlobDigest, ClientId};

/// As [`Engine`], but that nobody is waited for once an update is there.
#[derive(Debug)]
pub struct ClosesAtOnce(Engine);

impl ClosesAtOnce {
    /// A run that waits for its clients.
    pub fn new(settings: RoundSettings) -> Self {
        Self(Engine::new(settings))
    }

    fn close(&mut self, mut actions: Vec<Action>) -> Vec<Action> {
        if let Phase::Collecting { collection, .. } = self.0.phase()
            && collection.given() > 0
        {
            actions.extend(self.0.handle(Event::DeadlinePassed));
        }
        actions
    }
}

impl RoundProtocol for ClosesAtOnce {
    fn handle(&mut self, event: Event) -> Vec<Action> {
        let actions = self.0.handle(event);
        self.close(actions)
    }

    fn take_up(&mut self, stood: Stood) -> Vec<Action> {
        let actions = self.0.take_up(stood);
        self.close(actions)
    }

    fn admits(
        &self,
        client: &ClientId,
        round: u32,
        digest: &BlobDigest,
    ) -> Result<bool, RefusedUpdate> {
        self.0.admits(client, round, digest)
    }

    fn settings(&self) -> &RoundSettings {
        self.0.settings()
    }

    fn phase(&self) -> &Phase {
        self.0.phase()
    }

    fn present(&self) -> &BTreeSet<ClientId> {
        self.0.present()
    }

    fn rounds_done(&self) -> u32 {
        self.0.rounds_done()
    }
}
