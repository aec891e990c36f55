//! A run with its driver in a thread, and its clients and its clock in the test's hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::{Engine, RoundProtocol, RoundSettings};
use umbel_coordinator::run::absence::Patience;
use umbel_coordinator::run::clock::Clock;
use umbel_coordinator::run::place::begun;
use umbel_coordinator::run::{Driven, Driver, Health, Observer, Outcome, RoundSummary};
use umbel_coordinator::store::{Change, MemoryStore, RunStore};
use umbel_privacy::budget::Budget;
use umbel_privacy::certificate::SigningKey;
use umbel_privacy::disk::AnyLedgerStorage;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::{FileLedgerStorage, Ledger, LedgerPoint};
use umbel_privacy::poisson::SamplingRate;
use umbel_privacy::private_rng::NoiseSource;
use umbel_privacy::unit::NoisePlacement;
use umbel_proto::departure::Departure;
use umbel_proto::federation::Federation;
use umbel_proto::message::{
    BlobDigest, ClientId, Ending, Hello, Instance, PROTOCOL_VERSION, Receipt, Task, Update,
};
use umbel_proto::plan::{AgreedPlan, Plan, WrittenPlan};
use umbel_proto::spending::Spending;

pub const PARAMETERS: usize = 3;
const CLIENTS: [&str; 2] = ["a", "b"];
/// Each client has one process.
pub const THIS: Instance = Instance(1);

/// A plan of three rounds, in which the coordinator adds noise to sums of gradients.
const EXAMPLE: &[u8] = include_bytes!("../../../proto/plan.example.json");

/// The example, changed.
fn plan_with(change: impl FnOnce(&mut WrittenPlan)) -> AgreedPlan {
    let example = Plan::from_json(EXAMPLE).expect("a plan");
    let changed = example.changed(|plan| {
        plan.classifier.parameters = PARAMETERS;
        plan.sampling_rate = SamplingRate::ALL;
        plan.divisor = number(10.0);
        plan.seed = Some(1);
        change(plan);
    });
    changed.expect("a plan").into()
}

/// A number that is in the range of what it stands for.
pub fn number<N, T>(number: N) -> T
where
    T: TryFrom<N>,
    T::Error: std::fmt::Debug,
{
    T::try_from(number).expect("in its range")
}

/// Two clients with a gradient each: their rows are protected by noise of this placement.
pub fn plan_placed(placement: NoisePlacement, epsilon: f64, rounds: u32) -> AgreedPlan {
    plan_with(|plan| {
        plan.rounds = number(rounds);
        let promise = plan.protection.as_mut().expect("the example promises");
        promise.placement = placement;
        promise.budget = Budget::new(epsilon, 1e-5).expect("a budget");
        promise.noise_multiplier = number(2.0);
        promise.clipping_norm = number(1.0);
    })
}

/// The same, with the clients' own noise.
pub fn plan(epsilon: f64, rounds: u32) -> AgreedPlan {
    plan_placed(NoisePlacement::Local, epsilon, rounds)
}

/// One round in which nobody is protected.
pub fn unprotected() -> AgreedPlan {
    plan_with(|plan| {
        plan.rounds = number(1);
        plan.protection = None;
    })
}

pub const CONFIGURATION: &str = "
[run]
name = 'test'
rounds = 1
[model]
base = 'nowhere'
[privacy]
unit = 'record'
[training]
method = 'gradients'
expected_batch = 10
[server]
optimiser = 'sgd'
learning_rate = 0.1
[federation]
gather_seconds = 60
round_seconds = 60
[[clients]]
name = 'a'
[[clients]]
name = 'b'
";

/// A clock that moves when it is told to.
#[derive(Default)]
pub struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn unix_seconds(&self) -> u64 {
        1_700_000_000
    }
}

/// Keeps nothing, and finds everything sound.
pub struct Nobody;

impl Observer for Nobody {
    fn round_done(&mut self, _: &RoundSummary) -> Health {
        Health::Sound
    }
}

pub fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

/// The two clients' side of a run.
pub struct Clients<'a> {
    lobby: &'a Lobby,
    clock: &'a HandClock,
}

impl Clients<'_> {
    /// Waits until this client is given something to do.
    fn task(&self, name: &str) -> Task {
        loop {
            let task = self
                .lobby
                .next_task(&client(name), THIS, Duration::from_secs(5));
            if let Some(task) = task.expect("a client of the run") {
                return task;
            }
        }
    }

    /// Is asked to train in this round.
    pub fn asked(&self, name: &str, round: u32) {
        match self.task(name) {
            Task::Train { round: asked, .. } => assert_eq!(asked, round),
            Task::Finished(ending) => panic!("round {round} isn't begun: {ending:?}"),
        }
    }

    /// Is asked to train in this round, and told that its last update in the model has these
    /// coordinates, if one is.
    pub fn goes_on_from(&self, name: &str, round: u32, last: Option<[i64; PARAMETERS]>) {
        let encoded = |last: [i64; PARAMETERS]| LatticeVector::from_values(last.into()).encode();
        let expected = last.map(|last| BlobDigest::of(&encoded(last)));
        match self.task(name) {
            Task::Train {
                round: asked,
                counted,
                ..
            } => assert_eq!((asked, counted), (round, expected)),
            Task::Finished(ending) => panic!("round {round} isn't begun: {ending:?}"),
        }
    }

    /// Is given nothing to do for a while.
    pub fn has_nothing_to_do(&self, name: &str) {
        let task = self
            .lobby
            .next_task(&client(name), THIS, Duration::from_millis(300));
        assert_eq!(task.expect("a client of the run"), None);
    }

    /// Is told how the run ended, perhaps after being asked to train.
    pub fn ends(&self, name: &str) -> Ending {
        loop {
            match self.task(name) {
                Task::Finished(ending) => return ending,
                Task::Train { .. } => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Is told how the run ended.
    pub fn told(&self, name: &str) -> Ending {
        match self.task(name) {
            Task::Finished(ending) => ending,
            Task::Train { round, .. } => panic!("{name} is asked to train in round {round}"),
        }
    }

    /// Hands in an update of these coordinates.
    pub fn submits(&self, name: &str, round: u32, coordinates: [i64; PARAMETERS]) {
        let vector = LatticeVector::from_values(coordinates.into());
        let values = vector.encode();
        let receipt = self.lobby.submit(&client(name), Update { round, values });
        assert_eq!(receipt, Receipt::Accepted);
    }

    /// Hands in an update when its round is closed.
    pub fn submits_too_late(&self, name: &str, round: u32) {
        let values = LatticeVector::from_values([0; PARAMETERS].into()).encode();
        let receipt = self.lobby.submit(&client(name), Update { round, values });
        assert!(matches!(receipt, Receipt::Late { .. }), "{receipt:?}");
    }

    /// Both are asked, and only `a` answers in time.
    pub fn miss(&self, round: u32) {
        for name in CLIENTS {
            self.asked(name, round);
        }
        self.submits("a", round, [0; PARAMETERS]);
        self.be_late();
    }

    /// Lets the round's time pass.
    pub fn be_late(&self) {
        self.clock.0.fetch_add(61, Ordering::SeqCst);
    }

    /// Can't go on.
    pub fn leaves(&self, name: &str) {
        self.lobby.leave(&client(name), THIS, Departure::Unsaid);
    }

    /// Both are asked, and answer.
    pub fn take_part(&self, round: u32) {
        for name in CLIENTS {
            self.asked(name, round);
        }
        for name in CLIENTS {
            self.submits(name, round, [0; PARAMETERS]);
        }
    }
}

/// How a run is set up.
pub struct Setting {
    /// A name of its own for each test.
    pub test: &'static str,
    pub plan: AgreedPlan,
    /// Updates that a round needs.
    pub minimum: usize,
    pub attempts: u32,
    pub patience: Patience,
}

/// Runs a plan against what its clients do.
pub fn run(setting: Setting, clients: fn(&Clients<'_>)) -> Outcome {
    run_at(0.1, setting, clients)
}

/// The same, with this learning rate at the server.
pub fn run_at(learning_rate: f64, setting: Setting, clients: fn(&Clients<'_>)) -> Outcome {
    run_watched(learning_rate, setting, &mut Nobody, clients)
}

/// The same, with this observer.
pub fn run_watched(
    learning_rate: f64,
    setting: Setting,
    observer: &mut dyn Observer,
    clients: impl FnOnce(&Clients<'_>),
) -> Outcome {
    run_by(Engine::new, (learning_rate, setting), observer, clients)
}

/// The same, where rounds go by this protocol.
pub fn run_by<P: RoundProtocol + 'static>(
    protocol: impl FnOnce(RoundSettings) -> P,
    (learning_rate, setting): (f64, Setting),
    observer: &mut dyn Observer,
    clients: impl FnOnce(&Clients<'_>),
) -> Outcome {
    let Setting {
        test,
        plan,
        minimum,
        attempts,
        patience,
    } = setting;
    let rules = UpdateRules::of(&plan);
    let offer = Offer {
        plan: plan.bytes().to_vec(),
        labels: plan.classifier.options.labels.clone(),
        files: Vec::new(),
    };
    let settings = RoundSettings {
        rounds: plan.rounds.get(),
        clients: CLIENTS.map(client).into(),
        minimum,
        independent: false,
        closes_early: true,
        quorum: None,
        attempts,
        patient: !patience.pause.is_zero(),
    };
    let lobby = Arc::new(Lobby::new(offer, rules, protocol(settings)));
    let sent = plan.clone();
    let spending = plan.is_private().then(|| spending(test, &plan));
    let clock = HandClock::default();
    let mut config: RunConfig = toml::from_str(CONFIGURATION).expect("a configuration");
    config.server.learning_rate = number(learning_rate);
    let store = Arc::new(MemoryStore::default());
    let begun = begun(&config, &plan, LedgerPoint::START, 0);
    store.commit(Change::Begun(begun)).expect("a new store");
    let driver = Driver::new(
        plan,
        config,
        Arc::clone(&lobby),
        spending,
        vec![0.0; PARAMETERS],
        (&clock, patience),
        store,
    )
    .expect("a driver");
    let key = SigningKey::generate(&mut NoiseSource::seeded(1, "coordinator")).expect("a key");
    let ledger = (Arc::from([]), LedgerPoint::START);
    lobby.open(WitnessTerms::new(&sent, key.public_key(), ledger, None));
    std::thread::scope(|scope| {
        let driving = scope.spawn(move || driver.drive(observer));
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            software: "test".into(),
            labels: Vec::new(),
            ledger: LedgerPoint::START,
            instance: THIS,
        };
        for name in CLIENTS {
            lobby.join(&client(name), &hello).expect("a known client");
            let task = lobby.next_task(&client(name), THIS, Duration::ZERO);
            task.expect("it is ready");
        }
        clients(&Clients {
            lobby: &lobby,
            clock: &clock,
        });
        // Whoever still waits for a client now waits for nothing.
        while !driving.is_finished() {
            clock.0.fetch_add(61, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
        }
        match driving.join().expect("no panic") {
            Ok(Driven::Over(outcome)) => *outcome,
            other => panic!("{other:?}"),
        }
    })
}

fn spending(test: &str, plan: &AgreedPlan) -> Spending<AnyLedgerStorage> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("driven-{test}.jsonl"));
    let _ = std::fs::remove_file(&path);
    let storage: AnyLedgerStorage = Box::new(FileLedgerStorage::open(&path).expect("a file"));
    let ledger = Ledger::open(storage).expect("a ledger");
    let budget = plan.protection.expect("a promise").budget;
    Spending::open(ledger, "data".into(), budget, plan).expect("a sound plan")
}

/// Drawings of noise that a private run's entries pay for.
pub fn paid_draws(outcome: &Outcome) -> u64 {
    outcome.spent.as_ref().expect("what it cost").draws
}
