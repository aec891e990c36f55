//! A coordinator for many clients of a large model, as it runs over a network: updates come in chunks into
//! files, and ledger and journal are synced.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::{Engine, RoundSettings};
use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::clock::SystemClock;
use umbel_coordinator::run::place::begun;
use umbel_coordinator::run::{Driven, Driver, Health, Observer, RoundSummary};
use umbel_coordinator::store::{Change, FileStore, RunStore as _, Spool};
use umbel_privacy::budget::Budget;
use umbel_privacy::disk::{Disk as _, RealDisk};
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::{Ledger, LedgerPoint};
use umbel_privacy::poisson::SamplingRate;
use umbel_proto::federation::Federation as _;
use umbel_proto::message::{
    ClientId, Hello, Instance, PROTOCOL_VERSION, Receipt, Update, UpdateAnnouncement,
};
use umbel_proto::plan::{AgreedPlan, Plan};
use umbel_proto::spending::Spending;
use umbel_proto::wire::chunk::CHUNK_BYTES;

pub const THIS: Instance = Instance(1);
pub const LONG: Duration = Duration::from_secs(3_600);

pub fn clients(count: usize) -> Vec<ClientId> {
    let name = |i| format!("client-{i:03}");
    (0..count)
        .map(|i| name(i).parse().expect("a name"))
        .collect()
}

/// Sends an update as a network brings it.
pub fn upload(lobby: &Lobby, client: &ClientId, update: &Update) {
    let announced = UpdateAnnouncement::of(update);
    let mut arriving = lobby.receive(client, announced).expect("it may come");
    for chunk in update.values.chunks(CHUNK_BYTES) {
        arriving.push(chunk).expect("it is stored");
    }
    let arrived = arriving.finish().expect("it is whole");
    assert_eq!(lobby.submit_arrived(client, arrived), Receipt::Accepted);
}

/// A sum of some dozens of clipped gradients: each coordinate is about 2^13 steps.
pub fn values(parameters: usize) -> LatticeVector {
    let mut seed = 1u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((seed >> 33) % (1 << 14)) as i64 - (1 << 13)
    };
    // Three uniform numbers are nearly normal.
    let value = (0..parameters).map(|_| (next() + next() + next()) / 2);
    LatticeVector::from_values(value.collect())
}

pub fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        software: "bench".into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: THIS,
    }
}

fn plan(parameters: usize, rounds: u32) -> AgreedPlan {
    let example = include_bytes!("../../../proto/plan.example.json");
    let example = Plan::from_json(example).expect("a plan");
    let changed = example.changed(|plan| {
        plan.classifier.parameters = parameters;
        plan.rounds = rounds.try_into().expect("rounds");
        plan.sampling_rate = SamplingRate::ALL;
        plan.seed = Some(1);
        let promise = plan.protection.as_mut().expect("the example promises");
        promise.budget = Budget::new(100.0, 1e-5).expect("a budget");
        promise.noise_multiplier = 2.0.try_into().expect("sigma");
    });
    changed.expect("a plan").into()
}

/// A coordinator at the beginning of its run, or where it was cut off.
pub fn coordinator(
    folder: &Path,
    (parameters, rounds): (usize, u32),
    clients: &[ClientId],
) -> (Arc<Lobby>, std::thread::JoinHandle<()>) {
    let plan = plan(parameters, rounds);
    let section = |client| format!("[[clients]]\nname = '{client}'\n");
    let sections: String = clients.iter().map(section).collect();
    let config: RunConfig = toml::from_str(&[CONFIGURATION, &sections].concat()).expect("sound");
    let store = FileStore::open(&folder.join("journal"), Spool::Kept).expect("a store");
    let ledger = RealDisk
        .open_ledger(&folder.join("ledger.jsonl"))
        .expect("a ledger");
    let ledger = Ledger::open(ledger).expect("a ledger");
    let budget = plan.protection.expect("a promise").budget;
    let mut spending = Spending::open(ledger, "data".into(), budget, &plan).expect("a budget");
    let offer = Offer {
        plan: plan.bytes().to_vec(),
        labels: plan.classifier.options.labels.clone(),
        files: Vec::new(),
    };
    let settings = RoundSettings {
        rounds,
        clients: clients.iter().cloned().collect(),
        minimum: clients.len(),
        independent: false,
        closes_early: true,
        quorum: None,
        attempts: 1,
        patient: true,
    };
    let lobby = Arc::new(Lobby::new(
        offer,
        UpdateRules::of(&plan),
        Engine::new(settings),
    ));
    match store.load().expect("a sound journal") {
        None => {
            let begun = begun(&config, &plan, LedgerPoint::START, 0);
            store.commit(Change::Begun(begun)).expect("a new store");
        }
        Some(history) => {
            spending = spending.since(0).expect("a ledger");
            lobby.take_up(&history, &store).expect("a sound store");
        }
    }
    let nothing = (Arc::from([]), LedgerPoint::START);
    lobby.open(WitnessTerms::new(&plan, [7; 32].into(), nothing, None));
    let its = Arc::clone(&lobby);
    let driving = std::thread::spawn(move || {
        let clock = SystemClock::new();
        let patience = Patience {
            pause: LONG,
            silence: None,
        };
        let parameters = vec![0.0; parameters];
        let time = (&clock as _, patience);
        let store = Arc::new(store);
        let driver = Driver::new(plan, config, its, Some(spending), parameters, time, store);
        let driven = driver.expect("a driver").drive(&mut Nobody);
        assert!(matches!(driven, Ok(Driven::Over(_))));
    });
    (lobby, driving)
}

struct Nobody;

impl Observer for Nobody {
    fn round_done(&mut self, _: &RoundSummary) -> Health {
        Health::Sound
    }
}

/// All but the clients.
const CONFIGURATION: &str = "
[run]
name = 'bench'
rounds = 1
[model]
base = 'nowhere'
[privacy]
unit = 'record'
[training]
method = 'gradients'
expected_batch = 10
[server]
optimiser = 'adam'
learning_rate = 0.1
[federation]
round_seconds = 3600
";
