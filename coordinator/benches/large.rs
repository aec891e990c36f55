//! A round of a large model: memory, times, and recovery, by the number of clients.
//! `cargo bench --workspace --bench large`, or with a size and numbers of clients of your own:
//! `cargo bench --workspace --bench large -- 23000000 8 64`.
//!
//! `-- pace` tells instead how many rounds a second there are where nobody trains, of a small model.
//!
//! Each line is a process of its own, so that its peak of memory is its own. Updates come as a
//! network brings them, in chunks, into files that are synced. `UMBEL_BENCH_FOLDER` says on which
//! disk; memory shouldn't grow with clients, and the disk's speed is most of the time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use umbel_coordinator::aggregate::UpdateRules;
use umbel_coordinator::certificate::witness::WitnessTerms;
use umbel_coordinator::config::RunConfig;
use umbel_coordinator::lobby::{Lobby, Offer};
use umbel_coordinator::round::RoundSettings;
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
    ClientId, Hello, Instance, PROTOCOL_VERSION, Receipt, Task, Update, UpdateAnnouncement,
};
use umbel_proto::plan::{AgreedPlan, Plan};
use umbel_proto::spending::Spending;
use umbel_proto::wire::chunk::CHUNK_BYTES;

/// BERT-base.
const PARAMETERS: usize = 110_000_000;
const CLIENTS: [usize; 2] = [8, 64];
const THIS: Instance = Instance(1);
const LONG: Duration = Duration::from_secs(3_600);

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    let parameters = numbers.first().copied().unwrap_or(PARAMETERS);
    if std::env::args().any(|text| text == "pace") {
        return pace();
    }
    if let Ok(part) = std::env::var("UMBEL_BENCH_PART") {
        let folder = std::env::var("UMBEL_BENCH_FOLDER").expect("a folder");
        return live(&part, Path::new(&folder), parameters, numbers[1]);
    }
    let clients = numbers.get(1..).filter(|clients| !clients.is_empty());
    println!(
        "{parameters} parameters: the model has {} MB",
        parameters * 4 / 1_000_000
    );
    for &clients in clients.unwrap_or(&CLIENTS) {
        for (parts, name) in [(&["round"][..], "a round"), (&["cut", "again"], "recovery")] {
            let base = std::env::var_os("UMBEL_BENCH_FOLDER").map(PathBuf::from);
            let folder = tempfile::tempdir_in(base.unwrap_or_else(std::env::temp_dir));
            let folder = folder.expect("a folder");
            println!("{clients} clients, {name}:");
            for part in parts {
                let done = Command::new(std::env::current_exe().expect("this program"))
                    .args([parameters.to_string(), clients.to_string()])
                    .env("UMBEL_BENCH_PART", part)
                    .env("UMBEL_BENCH_FOLDER", folder.path())
                    .status();
                // What is cut off ends by itself, and not well.
                assert!(*part == "cut" || done.expect("it starts").success());
            }
        }
    }
}

/// Rounds a second, of clients that answer at once.
fn pace() {
    const ROUNDS: u32 = 10;
    const PARAMETERS: usize = 1_000;
    for count in [4, 64, 1_000] {
        let clients: Vec<ClientId> = (0..count)
            .map(|i| format!("client-{i:03}").parse().expect("a name"))
            .collect();
        let base = std::env::var_os("UMBEL_BENCH_FOLDER").map(PathBuf::from);
        let folder = tempfile::tempdir_in(base.unwrap_or_else(std::env::temp_dir));
        let folder = folder.expect("a folder");
        let (lobby, driving) = coordinator(folder.path(), (PARAMETERS, ROUNDS), &clients);
        for client in &clients {
            lobby.join(client, &hello()).expect("it is known");
            lobby
                .next_task(client, THIS, Duration::ZERO)
                .expect("it is ready");
        }
        let began = Instant::now();
        let values = values(PARAMETERS).encode();
        for round in 1..=ROUNDS {
            std::thread::scope(|scope| {
                // As many calls at a time as a service has threads for, or fewer.
                for some in clients.chunks(clients.len().div_ceil(16)) {
                    let (lobby, values) = (&lobby, &values);
                    scope.spawn(move || {
                        for client in some {
                            let task = lobby.next_task(client, THIS, LONG).expect("no refusal");
                            assert!(
                                matches!(task, Some(Task::Train { round: r, .. }) if r == round)
                            );
                            let values = values.clone();
                            upload(lobby, client, &Update { round, values });
                        }
                    });
                }
            });
        }
        driving.join().expect("no panic");
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "{count} clients: {:.2} rounds a second",
            f64::from(ROUNDS) / seconds
        );
    }
}

/// The most memory that this process had, in MB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024 / 1_000_000
}

fn live(part: &str, folder: &Path, parameters: usize, clients: usize) {
    let clients: Vec<ClientId> = (0..clients)
        .map(|i| format!("client-{i:03}").parse().expect("a name"))
        .collect();
    let began = Instant::now();
    let (lobby, driving) = coordinator(folder, (parameters, 1), &clients);
    let task = |client: &ClientId, wait| lobby.next_task(client, THIS, wait);
    for client in &clients {
        lobby.join(client, &hello()).expect("it is known");
        task(client, Duration::ZERO).expect("it is ready");
    }
    let last = clients.last().expect("one at least");
    let open = task(last, LONG).expect("no refusal");
    assert!(
        matches!(open, Some(Task::Train { round: 1, .. })),
        "{open:?}"
    );
    if part == "again" {
        println!(
            "  taken up and open after {:.1} s, peak {} MB",
            began.elapsed().as_secs_f64(),
            peak()
        );
        return;
    }
    let update = Update {
        round: 1,
        values: values(parameters).encode(),
    };
    let sent = match part {
        "cut" => &clients[..clients.len() - 1],
        _ => &clients[..],
    };
    // What the client's side of this process takes isn't the coordinator's.
    let before = peak();
    let began = Instant::now();
    for client in sent {
        upload(&lobby, client, &update);
    }
    let took = began.elapsed().as_secs_f64();
    let megabytes = update.values.len() as f64 * sent.len() as f64 / 1e6;
    if part == "cut" {
        std::process::exit(1);
    }
    println!(
        "  {:.2} bytes a coordinate; {:.0} MB came, were checked, synced and summed in {took:.1} s \
         ({:.0} MB/s)",
        update.values.len() as f64 / parameters as f64,
        megabytes,
        megabytes / took
    );
    drop(update);
    let began = Instant::now();
    driving.join().expect("no panic");
    println!(
        "  paid, noised, stepped and stored {:.1} s later; peak {} MB ({before} MB before the first \
         update came)",
        began.elapsed().as_secs_f64(),
        peak()
    );
}

fn upload(lobby: &Lobby, client: &ClientId, update: &Update) {
    let announced = UpdateAnnouncement::of(update);
    let mut arriving = lobby.receive(client, announced).expect("it may come");
    for chunk in update.values.chunks(CHUNK_BYTES) {
        arriving.push(chunk).expect("it is stored");
    }
    let arrived = arriving.finish().expect("it is whole");
    assert_eq!(lobby.submit_arrived(client, arrived), Receipt::Accepted);
}

/// A sum of some dozens of clipped gradients: each coordinate is about 2^13 steps.
fn values(parameters: usize) -> LatticeVector {
    let mut seed = 1u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((seed >> 33) % (1 << 14)) as i64 - (1 << 13)
    };
    // Three uniform numbers are nearly normal.
    let value = (0..parameters).map(|_| (next() + next() + next()) / 2);
    LatticeVector::from_values(value.collect())
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        software: "bench".into(),
        labels: Vec::new(),
        ledger: LedgerPoint::START,
        instance: THIS,
    }
}

fn plan(parameters: usize, rounds: u32) -> AgreedPlan {
    let example = include_bytes!("../../proto/plan.example.json");
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
fn coordinator(
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
        quorum: None,
        attempts: 1,
        patient: true,
    };
    let lobby = Arc::new(Lobby::new(offer, UpdateRules::of(&plan), settings));
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
