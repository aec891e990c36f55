//! Under local noise a site spends whenever it is asked to train. The run's figure is that of
//! the site that spent most, so that a round which is tried again counts again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use umbel_coordinator::accumulator::UpdateRules;
use umbel_coordinator::clock::Clock;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::hall::{Hall, Offer};
use umbel_coordinator::round::RoundSettings;
use umbel_coordinator::run::{Driver, Observer, Outcome, RoundSummary};
use umbel_privacy::combination::Summed;
use umbel_privacy::lattice::LatticeVector;
use umbel_privacy::ledger::{FileLedgerStorage, Ledger, chain};
use umbel_privacy::unit::{Adjacency, NoisePlacement, PrivacyUnit};
use umbel_proto::federation::Federation;
use umbel_proto::message::{
    BlobDigest, ClientId, Ending, Hello, PROTOCOL_VERSION, Receipt, Task, Update,
};
use umbel_proto::plan::{ClassifierPlan, LocalPlan, Plan, PrivacyPlan};
use umbel_proto::spending::Spending;

const PARAMETERS: usize = 3;
const CLIENTS: [&str; 2] = ["a", "b"];

fn plan(epsilon: f64, rounds: u32) -> Plan {
    Plan {
        run: "test".into(),
        rounds,
        summed: Summed::Gradients,
        privacy: PrivacyPlan {
            unit: PrivacyUnit::Record,
            placement: NoisePlacement::Local,
            adjacency: Adjacency::AddOrRemove,
            epsilon,
            delta: 1e-5,
            noise_multiplier: 2.0,
            sampling_rate: 1.0,
            clipping_norm: 1.0,
            rows_per_group: None,
        },
        classifier: ClassifierPlan {
            labels: vec!["no".into(), "yes".into()],
            train: "head".into(),
            pooling: "mean".into(),
            max_tokens: 8,
            dropout: 0.0,
            parameters: PARAMETERS,
            layout: BlobDigest::of(b"layout"),
        },
        local: LocalPlan {
            micro_batch: 1,
            max_units: 4,
            clean: false,
            optimisation: None,
        },
        seed: Some(1),
    }
}

const CONFIGURATION: &str = "
[run]
name = 'test'
rounds = 1
[model]
base = 'nowhere'
[privacy]
unit = 'record'
[training]
method = 'gradients'
expected_batch = 1
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
struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    fn unix_seconds(&self) -> u64 {
        1_700_000_000
    }
}

struct Nobody;

impl Observer for Nobody {
    fn store(&mut self, _: &RoundSummary) -> Result<(), String> {
        Ok(())
    }

    fn round_done(&mut self, _: &RoundSummary) -> Result<(), String> {
        Ok(())
    }
}

fn client(name: &str) -> ClientId {
    name.parse().expect("a valid name")
}

/// The two clients' side of a run.
struct Clients<'a> {
    hall: &'a Hall,
    clock: &'a HandClock,
    update: Vec<u8>,
}

impl Clients<'_> {
    /// Waits until this client is given something to do.
    fn task(&self, name: &str) -> Task {
        loop {
            let task = self.hall.next_task(&client(name), Duration::from_secs(5));
            if let Some(task) = task.expect("a client of the run") {
                return task;
            }
        }
    }

    /// Is asked to train in this round.
    fn asked(&self, name: &str, round: u32) {
        match self.task(name) {
            Task::Train { round: asked, .. } => assert_eq!(asked, round),
            Task::Finished(ending) => panic!("round {round} isn't begun: {ending:?}"),
        }
    }

    fn submits(&self, name: &str, round: u32) {
        let values = self.update.clone();
        let receipt = self.hall.submit(&client(name), Update { round, values });
        assert_eq!(receipt, Receipt::Accepted);
    }

    /// Both are asked, and only `a` answers in time.
    fn miss(&self, round: u32) {
        for name in CLIENTS {
            self.asked(name, round);
        }
        self.submits("a", round);
        self.clock.0.fetch_add(61, Ordering::SeqCst);
    }

    /// Both are asked, and answer.
    fn take_part(&self, round: u32) {
        for name in CLIENTS {
            self.asked(name, round);
        }
        for name in CLIENTS {
            self.submits(name, round);
        }
    }
}

/// Runs a plan against what its clients do; returns the outcome and the entries' draws.
fn run(test: &str, plan: Plan, attempts: u32, clients: fn(&Clients<'_>)) -> (Outcome, Vec<u64>) {
    let rules = UpdateRules::of(&plan).expect("a sound plan");
    let width = plan.coordinate_width().expect("a width");
    let offer = Offer {
        plan: plan.to_json(),
        labels: plan.classifier.labels.clone(),
        files: Vec::new(),
    };
    let settings = RoundSettings {
        rounds: plan.rounds,
        clients: CLIENTS.map(client).into(),
        minimum: 2,
        sampled: false,
        attempts,
    };
    let hall = Arc::new(Hall::new(offer, rules, settings));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("repeated-{test}.jsonl"));
    let _ = std::fs::remove_file(&path);
    let ledger = Ledger::open(FileLedgerStorage::open(&path).expect("a file")).expect("a ledger");
    let privacy = (plan.privacy.epsilon, plan.privacy.delta);
    let digest = BlobDigest::of(&plan.to_json());
    let spending =
        Spending::open(ledger, "data".into(), privacy, &plan, digest).expect("a sound plan");
    let clock = HandClock::default();
    let config: RunConfig = toml::from_str(CONFIGURATION).expect("a configuration");
    let driver = Driver::new(
        plan,
        config,
        Arc::clone(&hall),
        Some(spending),
        vec![0.0; PARAMETERS],
        &clock,
    )
    .expect("a driver");
    let outcome = std::thread::scope(|scope| {
        let driving = scope.spawn(move || driver.drive(&mut Nobody));
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            software: "test".into(),
            labels: Vec::new(),
        };
        for name in CLIENTS {
            hall.join(&client(name), &hello).expect("a known client");
        }
        let update = LatticeVector::zeros(PARAMETERS);
        clients(&Clients {
            hall: &hall,
            clock: &clock,
            update: update.encode(width).expect("it fits"),
        });
        // Whoever still waits for a client now waits in vain.
        while !driving.is_finished() {
            clock.0.fetch_add(61, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
        }
        driving.join().expect("no panic").expect("an ending")
    });
    let snapshot = outcome.ledger.clone().expect("a ledger");
    let chain = chain::verify(&snapshot.bytes).expect("a sound ledger");
    let draws = chain.entries.iter().map(|entry| {
        let event = serde_json::to_value(&entry.event).expect("JSON");
        event["count"].as_u64().unwrap_or(1)
    });
    (outcome, draws.collect())
}

#[test]
fn a_round_that_is_repeated_counts_twice_for_the_site_that_spent_most() {
    let (outcome, draws) = run("twice", plan(8.0, 2), 2, |clients| {
        clients.miss(1);
        clients.take_part(1);
        clients.take_part(2);
    });
    assert_eq!(outcome.ending, Ending::Complete);
    assert_eq!((outcome.rounds, outcome.draws), (2, 3));
    assert_eq!(draws, [2, 1]);
}

#[test]
fn a_round_that_came_to_nothing_is_on_record() {
    let (outcome, draws) = run("nothing", plan(8.0, 2), 1, |clients| {
        clients.take_part(1);
        clients.miss(2);
    });
    assert!(
        matches!(outcome.ending, Ending::Failed { .. }),
        "{:?}",
        outcome.ending
    );
    assert_eq!((outcome.rounds, outcome.draws), (1, 2));
    assert_eq!(draws, [1, 1]);
}

#[test]
fn a_round_is_not_repeated_where_the_budget_holds_only_one() {
    // One draw costs 1.99, two cost 2.94.
    let (outcome, draws) = run("budget", plan(2.5, 2), 2, |clients| clients.miss(1));
    assert_eq!(outcome.ending, Ending::BudgetExhausted { rounds: 0 });
    assert_eq!((outcome.rounds, outcome.draws), (0, 1));
    assert_eq!(draws, [1]);
    assert!(outcome.epsilon.is_some_and(|epsilon| epsilon <= 2.5));
}
