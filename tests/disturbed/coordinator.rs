//! A coordinator's process: the product's own lobby, driver, journal and ledger.

use std::sync::Arc;
use std::time::Duration;

use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::{Engine, RoundSettings};
use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::clock::Clock;
use umbel_coordinator::run::place::begun;
use umbel_coordinator::run::{Driven, Driver, Health, Observer, Outcome, RoundSummary, RunError};
use umbel_coordinator::store::{Change, FileStore, RunStore as _, Spool};
use umbel_privacy::certificate::SigningKey;
use umbel_privacy::disk::Disk;
use umbel_privacy::ledger::{Ledger, LedgerPoint, SeenLedgers};
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::spending::Spending;

use crate::power::{Power, PoweredDisk, PoweredStorage};
use crate::scheduler::{Scheduler, Task};
use crate::setting::{CLIENTS, Kind, PARAMETERS, ROUND, client};
use crate::world::World;

/// The name of its machine.
pub const MACHINE: &str = "coordinator";

/// How long a run pauses below its minimum.
const PAUSE: Duration = Duration::from_secs(3_600);
/// After how long a client is silent.
const SILENCE: Duration = Duration::from_secs(30);

struct DrawnClock {
    scheduler: Arc<Scheduler>,
    task: Task,
    /// What the wall clock shows; it jumps.
    unix_seconds: u64,
}

impl Clock for DrawnClock {
    fn elapsed(&self) -> Duration {
        self.scheduler.now()
    }

    fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    fn wait(&self, longest: Duration, waiting: &mut dyn FnMut(Duration) -> bool) {
        waiting(Duration::ZERO);
        self.scheduler.wait(self.task, longest);
    }
}

struct Nobody;

impl Observer for Nobody {
    fn round_done(&mut self, _: &RoundSummary) -> Health {
        Health::Sound
    }
}

fn configuration() -> RunConfig {
    let head = format!(
        "run = {{ name = 'test', rounds = 1 }}\n\
         model = {{ base = 'nowhere' }}\n\
         privacy = {{ unit = 'record' }}\n\
         training = {{ method = 'gradients', expected_batch = 10 }}\n\
         server = {{ optimiser = 'adam', learning_rate = 0.1 }}\n\
         federation = {{ gather_seconds = 60, round_seconds = {} }}\n",
        ROUND.as_secs()
    );
    let clients = CLIENTS.map(|name| format!("[[clients]]\nname = '{name}'\n"));
    toml::from_str(&(head + &clients.concat())).expect("a configuration")
}

/// One process's life: until the run is over, or something ends it.
pub fn live(
    world: &World,
    task: Task,
    power: &Arc<Power>,
    unix_seconds: u64,
) -> Result<Outcome, RunError> {
    let folder = world.folder(MACHINE);
    let plan = world.setting.plan();
    let config = configuration();
    let disk: Arc<dyn Disk> = Arc::new(PoweredDisk(Arc::clone(power)));
    let journal = folder.join("journal");
    std::fs::create_dir_all(&journal).expect("a folder");
    let storage = PoweredStorage::open(&journal.join("run.journal"), power);
    let store = FileStore::open_on(&journal, Spool::Kept, Arc::clone(&disk), storage)?;
    let path = folder.join("ledger.jsonl");
    let storage = PoweredStorage::open(&path, power);
    let ledger = Ledger::open(storage).map_err(|e| RunError::Spending(e.into()))?;
    let history = store.load()?;
    let budget = plan.protection.expect("a promise").budget;
    let mut spending = Spending::open(ledger, "data".into(), budget, &plan)?;
    let offer = Offer {
        plan: plan.bytes().to_vec(),
        labels: plan.classifier.options.labels.clone(),
        files: Vec::new(),
    };
    let settings = RoundSettings {
        rounds: plan.rounds.get(),
        clients: CLIENTS.map(client).into(),
        minimum: world.setting.minimum,
        independent: world.setting.is_independent(),
        closes_early: world.setting.kind != Kind::ClientsInFixedTime,
        quorum: None,
        attempts: 20,
        patient: true,
    };
    let lobby = Arc::new(Lobby::new(
        offer,
        UpdateRules::of(&plan),
        Engine::new(settings),
    ));
    match history {
        None => {
            let begun = begun(&config, &plan, LedgerPoint::START, unix_seconds);
            store.commit(Change::Begun(begun))?;
        }
        Some(history) => {
            spending = spending.since(0)?;
            lobby.take_up(&history, &store)?;
        }
    }
    let seen = SeenLedgers::beside(&path, disk);
    let seen = seen.map_err(|e| RunError::Privacy(e.to_string()))?;
    let key = SigningKey::generate(&mut NoiseSource::seeded(1, "key")).expect("a key");
    let nothing = (Arc::from([]), LedgerPoint::START);
    lobby.open(WitnessTerms::new(
        &plan,
        key.public_key(),
        nothing,
        Some(seen),
    ));
    let clock = DrawnClock {
        scheduler: Arc::clone(&world.scheduler),
        task,
        unix_seconds,
    };
    let patience = Patience {
        pause: PAUSE,
        silence: Some(SILENCE),
    };
    let driver = Driver::new(
        plan,
        config,
        Arc::clone(&lobby),
        Some(spending),
        vec![0.0; PARAMETERS],
        (&clock, patience),
        Arc::new(store),
    )?;
    world.coordinator_is(Some((lobby, Arc::clone(power))));
    match driver.drive_in_one_thread(&mut Nobody)? {
        Driven::Over(outcome) => Ok(*outcome),
        Driven::Paused { .. } => Err(RunError::Privacy("nobody asked it to stop".into())),
    }
}
