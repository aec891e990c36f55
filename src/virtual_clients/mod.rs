//! The clients of a simulation, run by a few workers.
//!
//! A client is what it is in production, to the letter: it joins, keeps a ledger, trains when its
//! coordinator asks for an update and signs at the end ([`umbel_client::member`]). Only that one
//! thread waits for tasks, for all of them, that workers run those who are asked, and that the
//! ledgers of those who are asked at a time are synced together, before any of them trains.

mod client;
mod disk;
mod pool;
mod records;
mod timed;

use std::num::NonZero;
use std::sync::{Arc, mpsc};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use umbel_client::site::SiteSettings;
use umbel_coordinator::lobby::{Asked, Lobby};
use umbel_proto::message::ClientId;

pub(crate) use client::Failed;
use client::{Common, VirtualClient};
pub(crate) use disk::SitesDisk;
use pool::Pool;

use crate::virtual_time::{VirtualClock, VirtualTime, Workers};

/// How long the dispatcher waits before it looks whether anybody is left.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Clients at work. Dropping it has each of them take its last turn.
pub(crate) struct VirtualClients<'scope> {
    pool: Arc<Pool<VirtualClient>>,
    disk: Arc<SitesDisk>,
    failures: mpsc::Receiver<Failed>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> VirtualClients<'scope> {
    /// Has `workers` threads run these clients, until the run in `lobby` is over for all of them.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        (sites, disk): (Vec<SiteSettings>, &Arc<SitesDisk>),
        (lobby, time): (&Arc<Lobby>, Option<&Arc<VirtualTime>>),
        workers: NonZero<usize>,
    ) -> Self {
        let (failed, failures) = mpsc::channel();
        let common = Arc::new(Common {
            coordinator: Arc::clone(lobby) as _,
            disk: Arc::clone(disk),
            time: time.map(Arc::clone),
        });
        let client = |site| VirtualClient::new(site, Arc::clone(&common), failed.clone());
        let ledgers = Arc::clone(disk);
        let begin = Box::new(move || ledgers.begin());
        let pool = Arc::new(Pool::of(sites.into_iter().map(client), begin));
        let mut threads = Vec::with_capacity(workers.get() + 1);
        for _ in 0..workers.get() {
            let pool = Arc::clone(&pool);
            threads.push(scope.spawn(move || pool.work(workers)));
        }
        let (asks, lobby) = (Arc::clone(&pool), Arc::clone(lobby));
        match time {
            None => threads.push(scope.spawn(move || dispatch(&lobby, &asks))),
            Some(_) => threads.push(scope.spawn(move || await_end(&lobby, &asks))),
        }
        Self {
            pool,
            disk: Arc::clone(disk),
            failures,
            threads,
        }
    }

    /// The clock of a run whose clients these are, in this virtual time.
    pub(crate) fn clock(&self, time: &Arc<VirtualTime>) -> VirtualClock {
        VirtualClock::new(time, Arc::clone(&self.pool) as _)
    }

    /// The first client that failed so far, and why.
    pub(crate) fn first_failure(&self) -> Option<Failed> {
        self.failures.try_recv().ok()
    }

    /// The coordinator is done: waits until every client has taken its last turn. A panic of one of
    /// them goes on here.
    pub(crate) fn end(mut self) {
        self.pool.close();
        for thread in std::mem::take(&mut self.threads) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        if let Some(panic) = self.pool.take_panic() {
            std::panic::resume_unwind(panic);
        }
        self.disk.tidy_up();
    }
}

impl Drop for VirtualClients<'_> {
    fn drop(&mut self) {
        self.pool.close();
    }
}

/// Waits for tasks, for all clients.
fn dispatch(lobby: &Lobby, pool: &Pool<VirtualClient>) {
    let (mut last, mut before) = (None, Vec::<ClientId>::new());
    while !pool.is_empty() {
        match lobby.wait_for_asked(last, LOOK_UP) {
            None => {}
            Some(Asked::Train { attempt, clients }) => {
                // Who was asked before forgets what it gave then.
                pool.ask(before.iter().chain(&clients), attempt.round());
                (last, before) = (Some(attempt), clients);
            }
            Some(Asked::NoMore) => {
                pool.close();
                return;
            }
        }
    }
}

/// In virtual time, whose clock sends for clients: waits until nobody is asked for anything any more.
fn await_end(lobby: &Lobby, pool: &Pool<VirtualClient>) {
    let mut last = None;
    while !pool.is_empty() {
        match lobby.wait_for_asked(last, LOOK_UP) {
            None => {}
            Some(Asked::Train { attempt, .. }) => last = Some(attempt),
            Some(Asked::NoMore) => {
                pool.close();
                return;
            }
        }
    }
}

impl Workers for Pool<VirtualClient> {
    fn run(&self, clients: &[ClientId], round: u32) {
        self.ask(clients, round);
    }

    fn settle(&self) {
        Pool::settle(self);
    }
}
