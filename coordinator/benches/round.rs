//! What taking all updates of one round costs, by the number of clients: time must grow as the
//! clients do, not as their square. `cargo bench --workspace --bench round`.
//!
//! Updates are a handful of numbers, so that what is measured is the coordinator's bookkeeping
//! and not the memory's bandwidth.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::{Engine, Event, RoundProtocol, RoundSettings};
use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::clock::{Clock, SystemClock};
use umbel_coordinator::run::place::begun;
use umbel_coordinator::run::{Driven, Driver, Health, Observer, Outcome, RoundSummary};
use umbel_coordinator::store::{Change, MemoryStore, RunStore};
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::LedgerPoint;
use umbel_proto::federation::Federation;
use umbel_proto::message::{
    BlobDigest, ClientId, Ending, Hello, Instance, PROTOCOL_VERSION, Receipt, Task, Update,
};
use umbel_proto::plan::{AgreedPlan, Plan};

fn main() {
    divan::main();
}

/// Each client has one process.
const THIS: Instance = Instance(1);

const CLIENTS: [usize; 4] = [1_000, 4_000, 10_000, 16_000];
const PARAMETERS: usize = 4;

fn clients(count: usize) -> Vec<ClientId> {
    let name = |i: usize| format!("client-{i:05}").parse().expect("a valid name");
    (0..count).map(name).collect()
}

fn settings(clients: &[ClientId]) -> RoundSettings {
    RoundSettings {
        rounds: 1,
        clients: clients.iter().cloned().collect(),
        minimum: clients.len(),
        independent: false,
        closes_early: true,
        quorum: None,
        attempts: 1,
        patient: false,
    }
}

/// The engine alone: every event of a round's updates.
#[divan::bench(args = CLIENTS, sample_count = 20, sample_size = 1)]
fn engine(bencher: Bencher<'_, '_>, count: usize) {
    let clients = clients(count);
    let arrive = |client: &ClientId| Event::UpdateArrived {
        client: client.clone(),
        round: 1,
        digest: BlobDigest::from([7; 32]),
    };
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            let mut engine = Engine::new(settings(&clients));
            let joined = clients.iter().cloned().map(Event::Joined);
            let opened = [Event::RoundPermitted, Event::CohortDrawn(clients.clone())];
            for event in joined.chain(opened) {
                black_box(engine.handle(event));
            }
            (engine, clients.iter().map(arrive).collect::<Vec<_>>())
        })
        .bench_local_values(|(mut engine, events)| {
            for event in events {
                black_box(engine.handle(event));
            }
            engine
        });
}

/// Calls from one thread after the other, through all that a call takes: hash, checks, locks,
/// and the sum. Lock time is less than this.
#[divan::bench(args = CLIENTS, sample_count = 20, sample_size = 1)]
fn lobby(bencher: Bencher<'_, '_>, count: usize) {
    let clients = clients(count);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| OpenRound::of(&clients))
        .bench_local_values(|round| {
            for (client, update) in round.updates {
                let receipt = round.lobby.submit(&client, update);
                assert_eq!(receipt, Receipt::Accepted);
            }
            Ended(Some(round.driving))
        });
}

/// A run at the beginning of its only round.
struct OpenRound {
    lobby: Arc<Lobby>,
    driving: JoinHandle<Outcome>,
    updates: Vec<(ClientId, Update)>,
}

/// Waits for the driver outside of what is measured.
struct Ended(Option<JoinHandle<Outcome>>);

impl Drop for Ended {
    fn drop(&mut self) {
        let outcome = self
            .0
            .take()
            .map(|driving| driving.join().expect("no panic"));
        assert_eq!(
            outcome.map(|outcome| outcome.ending),
            Some(Ending::Complete)
        );
    }
}

impl OpenRound {
    fn of(clients: &[ClientId]) -> Self {
        let plan = plan();
        let offer = Offer {
            plan: plan.bytes().to_vec(),
            labels: plan.classifier.options.labels.clone(),
            files: Vec::new(),
        };
        let rules = UpdateRules::of(&plan);
        let lobby = Arc::new(Lobby::new(offer, rules, Engine::new(settings(clients))));
        let sent = plan.clone();
        let driving = drive(plan, clients, Arc::clone(&lobby));
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            software: "bench".into(),
            labels: Vec::new(),
            ledger: LedgerPoint::START,
            instance: THIS,
        };
        let ledger = (Arc::from([]), LedgerPoint::START);
        lobby.open(WitnessTerms::new(&sent, [7; 32].into(), ledger, None));
        for client in clients {
            lobby.join(client, &hello).expect("a known client");
            let task = lobby.next_task(client, THIS, Duration::ZERO);
            task.expect("it is ready");
        }
        let task = lobby.next_task(&clients[0], THIS, Duration::from_secs(60));
        assert!(matches!(task, Ok(Some(Task::Train { round: 1, .. }))));
        let update = |(i, client): (usize, &ClientId)| {
            let vector = LatticeVector::from_values(vec![i as i64; PARAMETERS]);
            let values = vector.encode();
            (client.clone(), Update { round: 1, values })
        };
        Self {
            lobby,
            driving,
            updates: clients.iter().enumerate().map(update).collect(),
        }
    }
}

fn drive(plan: AgreedPlan, clients: &[ClientId], lobby: Arc<Lobby>) -> JoinHandle<Outcome> {
    let section = |client| format!("[[clients]]\nname = '{client}'\n");
    let sections: String = clients.iter().map(section).collect();
    let text = [CONFIGURATION, &sections].concat();
    let config: RunConfig = toml::from_str(&text).expect("a configuration");
    std::thread::spawn(move || {
        let clock = SystemClock::new();
        let parameters = vec![0.0; PARAMETERS];
        let store = Arc::new(MemoryStore::default());
        let begun = begun(&config, &plan, LedgerPoint::START, 0);
        store.commit(Change::Begun(begun)).expect("a new store");
        let time = (&clock as &dyn Clock, Patience::NONE);
        let driver = Driver::new(plan, config, lobby, None, parameters, time, store);
        match driver.expect("a driver").drive(&mut Nobody) {
            Ok(Driven::Over(outcome)) => *outcome,
            other => panic!("{other:?}"),
        }
    })
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
unit = 'none'
[training]
method = 'gradients'
expected_batch = 10
[server]
optimiser = 'sgd'
learning_rate = 0.1
";

/// A plan of three rounds, in which the coordinator adds noise to sums of gradients.
const EXAMPLE: &[u8] = include_bytes!("../../proto/plan.example.json");

/// One round in which nobody is protected.
fn plan() -> AgreedPlan {
    let example = Plan::from_json(EXAMPLE).expect("a plan");
    let changed = example.changed(|plan| {
        plan.rounds = 1.try_into().expect("a round");
        plan.protection = None;
        plan.classifier.parameters = PARAMETERS;
    });
    changed.expect("a plan").into()
}
