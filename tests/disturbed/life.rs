//! A run from its beginning to its end, with all that it suffers.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, SystemTime};

use umbel_coordinator::run::Outcome;
use umbel_proto::departure::Departure;
use umbel_proto::federation::Federation as _;
use umbel_proto::message::{ClientId, Ending, Instance};

use crate::faults::{Fault, Faults, Machine};
use crate::power::{LastWrite, Power};
use crate::scheduler::{Killed, Scheduler, Task};
use crate::setting::{CLIENTS, Setting, client};
use crate::world::World;
use crate::{coordinator, site};

/// A run that came to its end.
pub struct Life {
    pub world: Arc<World>,
    pub outcome: Outcome,
    /// What the scheduler did.
    pub steps: u64,
}

/// How long a run may go on when nothing goes wrong any more.
const CONVALESCENCE: Duration = Duration::from_secs(4 * 3_600);

/// How a process ended.
#[derive(Clone)]
enum End<T> {
    Of(T),
    /// It was killed.
    Died,
    /// It gave up by itself.
    Failed(String),
}

impl<T> End<T> {
    fn of<E: std::fmt::Display>(
        ended: Result<Result<T, E>, Box<dyn Any + Send>>,
        power: &Power,
    ) -> Self {
        match ended {
            Ok(Ok(end)) => Self::Of(end),
            // Whoever meets a full disk ends, and is started again when somebody has made room.
            Ok(Err(_)) if power.is_out() || power.met_full() => Self::Died,
            Ok(Err(error)) => Self::Failed(error.to_string()),
            Err(panic) if panic.is::<Killed>() => Self::Died,
            Err(_) => Self::Failed("it panicked".into()),
        }
    }
}

/// Who runs, and how whoever ran ended.
struct Operator<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    world: Arc<World>,
    me: Task,
    writes: bool,
    outages: bool,
    coordinator: Option<Task>,
    sites: BTreeMap<ClientId, Task>,
    /// Instances so far.
    instances: u64,
    ends: Arc<Ends>,
}

#[derive(Default)]
struct Ends {
    coordinators: Mutex<BTreeMap<Task, End<Outcome>>>,
    sites: Mutex<BTreeMap<Task, End<Ending>>>,
}

fn end_of<T: Clone>(ends: &Mutex<BTreeMap<Task, End<T>>>, task: Task) -> Option<End<T>> {
    let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    ends.get(&task).cloned()
}

fn note<T>(ends: &Mutex<BTreeMap<Task, End<T>>>, task: Task, end: End<T>) {
    let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    ends.insert(task, end);
}

/// Lives through a run.
///
/// # Errors
/// What went wrong that mustn't.
pub fn live(seed: u64, setting: Setting, faults: &Faults) -> Result<Life, String> {
    let scheduler = Scheduler::seeded(seed);
    let me = scheduler.enter();
    let world = World::new(Arc::clone(&scheduler), setting);
    if faults.messages {
        world.disturb();
    }
    let outcome = thread::scope(|scope| {
        let mut operator = Operator {
            scope,
            world: Arc::clone(&world),
            me,
            writes: faults.writes,
            outages: faults.outages,
            coordinator: None,
            sites: BTreeMap::new(),
            instances: 0,
            ends: Arc::default(),
        };
        let outcome = operator.run(faults);
        operator.end_all();
        scheduler.leave(me);
        outcome
    })?;
    Ok(Life {
        outcome,
        steps: scheduler.steps(),
        world,
    })
}

impl Operator<'_, '_> {
    fn run(&mut self, faults: &Faults) -> Result<Outcome, String> {
        self.start_coordinator();
        for name in CLIENTS {
            self.start_site(&client(name));
        }
        let mut before: Option<&Fault> = None;
        for (pause, fault) in &faults.list {
            self.world.scheduler.sleep(self.me, *pause);
            if !matches!(before, Some(Fault::Full(_))) {
                self.world.free_all_disks();
            }
            before = Some(fault);
            self.suffer(fault);
            self.revive(600)?;
        }
        self.world.scheduler.sleep(self.me, Duration::from_secs(5));
        self.world.heal();
        self.writes = false;
        self.outages = false;
        let until = self.world.scheduler.now() + CONVALESCENCE;
        while self.world.scheduler.now() < until {
            if let Some(outcome) = self.revive(1000)? {
                return Ok(outcome);
            }
            self.world.scheduler.sleep(self.me, Duration::from_secs(5));
        }
        Err("the run doesn't come to its end although nothing is wrong any more".into())
    }

    fn suffer(&mut self, fault: &Fault) {
        match fault {
            Fault::Site(which) => self.kill_site(&client(CLIENTS[*which])),
            Fault::Coordinator => self.kill_coordinator(),
            Fault::Everybody => {
                self.kill_coordinator();
                for name in CLIENTS {
                    self.kill_site(&client(name));
                }
            }
            Fault::Cut(which, seconds) => {
                let time = Duration::from_secs(*seconds);
                self.world.cut(&client(CLIENTS[*which]), time);
            }
            Fault::Late => self.world.let_a_ghost_arrive(),
            Fault::Jump(seconds) => self.world.jump(*seconds),
            Fault::Full(machine) => {
                let full = self.world.disk_is_full(&name_of(*machine));
                full.store(true, Ordering::SeqCst);
            }
            Fault::Suspended(machine, seconds) => {
                let task = match machine {
                    Machine::Coordinator => self.coordinator,
                    Machine::Site(which) => self.sites.get(&client(CLIENTS[*which])).copied(),
                };
                if let Some(task) = task {
                    let time = Duration::from_secs(*seconds);
                    self.world.scheduler.freeze(task, time);
                }
            }
        }
    }

    fn kill_coordinator(&self) {
        if let Some(task) = self.coordinator {
            self.world.scheduler.kill(task);
        }
    }

    fn kill_site(&self, name: &ClientId) {
        if let Some(task) = self.sites.get(name) {
            self.world.scheduler.kill(*task);
        }
    }

    /// Starts whoever died, in so many of a thousand cases each. `Some` when all is over.
    fn revive(&mut self, per_mille: u64) -> Result<Option<Outcome>, String> {
        let mut over = None;
        match self
            .coordinator
            .and_then(|task| end_of(&self.ends.coordinators, task))
        {
            None => {}
            // It ended after its last round, and before everybody had heard of that.
            Some(End::Of(_)) if !self.world.has_coordinator() => self.start_coordinator(),
            Some(End::Of(outcome)) => over = Some(outcome),
            Some(End::Failed(why)) => return Err(format!("the coordinator gave up: {why}")),
            Some(End::Died) if self.world.scheduler.chance(per_mille) => self.start_coordinator(),
            Some(End::Died) => {}
        }
        let mut ended = 0;
        for name in CLIENTS.map(client) {
            let end = end_of(&self.ends.sites, self.sites[&name]);
            match end {
                None => {}
                Some(End::Of(Ending::Complete)) => ended += 1,
                Some(End::Of(ending)) => return Err(format!("{name} heard of {ending:?}")),
                Some(End::Failed(why)) => return Err(format!("{name} gave up: {why}")),
                Some(End::Died) if self.world.scheduler.chance(per_mille) => {
                    self.start_site(&name);
                }
                Some(End::Died) => {}
            }
        }
        Ok(over.filter(|_| ended == CLIENTS.len()))
    }

    /// Some processes end at one of their writes.
    fn power(&self, machine: &str) -> Arc<Power> {
        let scheduler = &self.world.scheduler;
        let unsynced = self.world.unsynced(machine);
        // Whoever starts is the first on its machine, or comes after one that ended: if it was the
        // machine that went down, what wasn't synced may be lost.
        if self.outages && scheduler.chance(500) {
            unsynced.lose(&mut |below| scheduler.draw(below));
        }
        let disk = (self.world.disk_is_full(machine), unsynced);
        if !self.writes || scheduler.chance(600) {
            return Power::on_disk(disk, u64::MAX, LastWrite::Undone);
        }
        let last = [LastWrite::Undone, LastWrite::Half, LastWrite::Done];
        let last = last[scheduler.draw(3) as usize];
        Power::on_disk(disk, scheduler.draw(40), last)
    }

    fn start_coordinator(&mut self) {
        let (world, ends) = (Arc::clone(&self.world), Arc::clone(&self.ends));
        let power = self.power(coordinator::MACHINE);
        let task = world.scheduler.enter();
        let shown = world
            .coordinators_time()
            .duration_since(SystemTime::UNIX_EPOCH);
        let unix_seconds = shown.expect("after 1970").as_secs();
        self.coordinator = Some(task);
        self.scope.spawn(move || {
            world.scheduler.begin(task);
            let life = || coordinator::live(&world, task, &power, unix_seconds);
            let ended = catch_unwind(AssertUnwindSafe(life));
            let end = End::of(ended, &power);
            if !matches!(end, End::Of(_)) {
                world.coordinator_is(None);
            }
            note(&ends.coordinators, task, end);
            world.scheduler.leave(task);
        });
    }

    fn start_site(&mut self, name: &ClientId) {
        let (world, ends) = (Arc::clone(&self.world), Arc::clone(&self.ends));
        let (power, task) = (self.power(name.as_str()), world.scheduler.enter());
        self.instances += 1;
        let (name, instance) = (name.clone(), Instance(self.instances));
        self.sites.insert(name.clone(), task);
        self.scope.spawn(move || {
            world.scheduler.begin(task);
            let who = (name.clone(), instance);
            let life = || site::live(&world, who, task, &power);
            let ended = catch_unwind(AssertUnwindSafe(life));
            let end = End::of(ended, &power);
            if matches!(end, End::Died) {
                // What it said last may come when another process has its place.
                let leave = move |lobby: &umbel_coordinator::lobby::Lobby| {
                    lobby.leave(&name, instance, Departure::Shutdown);
                };
                world.haunt(Box::new(leave));
            }
            note(&ends.sites, task, end);
            world.scheduler.leave(task);
        });
    }

    /// Ends whatever still runs, after a run that failed.
    fn end_all(&self) {
        for task in self.sites.values().chain(&self.coordinator) {
            self.world.scheduler.kill(*task);
        }
    }
}

fn name_of(machine: Machine) -> String {
    match machine {
        Machine::Coordinator => coordinator::MACHINE.to_owned(),
        Machine::Site(which) => CLIENTS[which].to_owned(),
    }
}

/// With whose updates each round was closed, as the coordinator's journal says.
pub fn closed_sets(world: &World) -> BTreeMap<u32, BTreeSet<ClientId>> {
    let journal = world
        .folder(coordinator::MACHINE)
        .join("journal/run.journal");
    let text = std::fs::read_to_string(journal).expect("a journal");
    let closed = text.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a record");
        let closed = line["record"].get("closed")?.clone();
        let round = closed["round"].as_u64()? as u32;
        let updates = closed["updates"].as_array()?.iter();
        let clients = updates.filter_map(|update| update["client"].as_str().map(client));
        Some((round, clients.collect()))
    });
    closed.collect()
}
