//! A machine whose process can be ended at any write, and the sites that wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::{Engine, RoundSettings};
use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::place::begun;
use umbel_coordinator::run::{Driven, Driver, Outcome, RunError};
use umbel_coordinator::store::{Change, FileStore, RunStore, Spool};
use umbel_privacy::certificate::SigningKey;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::{Ledger, LedgerPoint};
use umbel_privacy::private_rng::NoiseSource;
use umbel_proto::federation::Federation;
use umbel_proto::incoming::NotReceived;
use umbel_proto::message::{
    BlobDigest, ClientId, Hello, PROTOCOL_VERSION, Receipt, Task, Update, UpdateAnnouncement,
};
use umbel_proto::plan::AgreedPlan;
use umbel_proto::spending::Spending;

use crate::harness::{CONFIGURATION, HandClock, Nobody, PARAMETERS, THIS, client};
use crate::power::{Power, PoweredDisk, PoweredStorage};

/// A run's disk, and its sites with their outboxes.
pub struct Machine {
    folder: TempDir,
    plan: AgreedPlan,
    spool: Spool,
    average: Option<f64>,
    sites: Sites,
}

/// What the sites know.
#[derive(Default)]
struct Sites {
    /// The bytes that each gave in a round, by the parameters that it began with.
    outboxes: BTreeMap<(ClientId, u32, BlobDigest), Vec<u8>>,
    /// The parameters that were published for each round.
    published: BTreeMap<u32, BTreeSet<BlobDigest>>,
}

const CLIENTS: [&str; 3] = ["a", "b", "c"];

impl Machine {
    pub fn new(plan: AgreedPlan, spool: Spool) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            plan,
            spool,
            average: None,
            sites: Sites::default(),
        }
    }

    /// Releases a moving average of its parameters.
    pub fn averaging(self, decay: f64) -> Self {
        Self {
            average: Some(decay),
            ..self
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The ledger's bytes.
    pub fn ledger(&self) -> Vec<u8> {
        std::fs::read(self.path("ledger.jsonl")).unwrap_or_default()
    }

    /// How many different parameters were published for a round.
    pub fn published(&self, round: u32) -> usize {
        self.sites.published.get(&round).map_or(0, BTreeSet::len)
    }

    /// What sites were asked to train on, by round.
    pub fn asked(&self) -> &BTreeMap<u32, BTreeSet<BlobDigest>> {
        &self.sites.published
    }

    /// The most updates of different bytes that one site gave in one round.
    pub fn most_paid(&self) -> usize {
        let mut given = BTreeMap::new();
        for (site, round, _) in self.sites.outboxes.keys() {
            *given.entry((site, round)).or_insert(0) += 1;
        }
        given.into_values().max().unwrap_or(0)
    }

    /// Files that are left of updates.
    pub fn spooled(&self) -> usize {
        std::fs::read_dir(self.path("journal/spool")).map_or(0, Iterator::count)
    }

    /// One process's life: until the run is over, or power is out.
    pub fn live(&mut self, power: &Arc<Power>) -> Option<Outcome> {
        match self.drive(power) {
            Ok(Driven::Over(outcome)) => Some(*outcome),
            Ok(Driven::Paused { .. }) => panic!("nobody stopped it"),
            Err(_) if power.is_out() => None,
            Err(error) => panic!("with power: {error}"),
        }
    }

    fn drive(&mut self, power: &Arc<Power>) -> Result<Driven, RunError> {
        let sections: String = CLIENTS[2..]
            .iter()
            .map(|name| format!("[[clients]]\nname = '{name}'\n"))
            .collect();
        let config: RunConfig = toml::from_str(&[CONFIGURATION, &sections].concat()).expect("TOML");
        let mut config = config;
        config.server.optimiser = umbel_coordinator::strategy::named("adam").expect("Adam");
        config.server.average = self.average;
        let plan = self.plan.clone();
        let store = FileStore::open_on(
            &self.path("journal"),
            self.spool,
            Arc::new(PoweredDisk(Arc::clone(power))),
            PoweredStorage::open(&self.journal_file(), power),
        )?;
        let storage = PoweredStorage::open(&self.path("ledger.jsonl"), power);
        let ledger = Ledger::open(storage).map_err(|e| RunError::Spending(e.into()))?;
        let history = store.load()?;
        let budget = plan.protection.expect("a promise").budget;
        let mut spending = Spending::open(ledger, "data".into(), budget, &plan)?;
        let rules = UpdateRules::of(&plan);
        let offer = Offer {
            plan: plan.bytes().to_vec(),
            labels: plan.classifier.options.labels.clone(),
            files: Vec::new(),
        };
        let settings = RoundSettings {
            rounds: plan.rounds.get(),
            clients: CLIENTS.map(client).into(),
            minimum: 3,
            independent: false,
            closes_early: true,
            quorum: None,
            attempts: 2,
            patient: false,
        };
        let lobby = Arc::new(Lobby::new(offer, rules, Engine::new(settings)));
        match history {
            None => {
                let begun = begun(&config, &plan, LedgerPoint::START, 0);
                store.commit(Change::Begun(begun))?;
            }
            Some(history) => {
                spending = spending.since(0)?;
                lobby.take_up(&history, &store)?;
            }
        }
        let key = SigningKey::generate(&mut NoiseSource::seeded(1, "key")).expect("a key");
        let point = (Arc::from([]), LedgerPoint::START);
        lobby.open(WitnessTerms::new(&plan, key.public_key(), point, None));
        let clock = HandClock::default();
        let driver = Driver::new(
            plan,
            config,
            Arc::clone(&lobby),
            Some(spending),
            vec![0.0; PARAMETERS],
            (&clock, Patience::NONE),
            Arc::new(store),
        )?;
        let sites = &mut self.sites;
        std::thread::scope(|scope| {
            let driving = scope.spawn(move || driver.drive(&mut Nobody));
            for name in CLIENTS {
                // It may be gone already.
                let _ = lobby.join(&client(name), &hello());
            }
            while !driving.is_finished() {
                for name in CLIENTS {
                    sites.answer(&lobby, &client(name));
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            driving.join().expect("no panic")
        })
    }

    fn journal_file(&self) -> PathBuf {
        let folder = self.path("journal");
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.join("run.journal")
    }
}

/// Hands an update in as a network does: in parts, from where an earlier upload broke off.
fn upload(lobby: &Lobby, site: &ClientId, update: &Update) -> Receipt {
    let refused = |reason: &dyn ToString| Receipt::NotNow {
        reason: reason.to_string(),
    };
    let mut announced = UpdateAnnouncement::of(update);
    announced.offset = lobby.received(site, announced);
    let mut arriving = match lobby.receive(site, announced) {
        Ok(arriving) => arriving,
        Err(NotReceived::Answered(receipt)) => return receipt,
        Err(why) => {
            lobby.note_unstorable(&why.to_string());
            return refused(&why);
        }
    };
    for part in update.values[announced.offset as usize..].chunks(3) {
        if let Err(why) = arriving.push(part) {
            lobby.note_unstorable(&why.to_string());
            return refused(&why);
        }
    }
    match arriving.finish() {
        Ok(arrived) => lobby.submit_arrived(site, arrived),
        Err(why) => {
            lobby.note_unstorable(&why.to_string());
            refused(&why)
        }
    }
}

impl Sites {
    /// A site does what it is asked for, if it is asked.
    fn answer(&mut self, lobby: &Lobby, site: &ClientId) {
        let task = lobby.next_task(site, THIS, Duration::ZERO);
        let Ok(Some(Task::Train {
            round, parameters, ..
        })) = task
        else {
            return;
        };
        self.published.entry(round).or_default().insert(parameters);
        let Ok(bytes) = lobby.blob(site, &parameters) else {
            return;
        };
        let key = (site.clone(), round, parameters);
        let update = self.outboxes.entry(key).or_insert_with(|| {
            // Something that depends on site, round and every bit of the parameters.
            let seed = BlobDigest::of(&[site.as_str().as_bytes(), &bytes].concat());
            let numbers = seed.as_bytes().iter().take(PARAMETERS);
            let numbers = numbers.map(|b| i64::from(*b) * 1000 + i64::from(round));
            LatticeVector::from_values(numbers.collect()).encode()
        });
        let values = update.clone();
        let receipt = upload(lobby, site, &Update { round, values });
        assert!(!matches!(receipt, Receipt::Refused { .. }), "{receipt:?}");
    }
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        software: "test".into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: THIS,
    }
}
