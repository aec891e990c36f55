//! A round of a large model: memory, times, and recovery, by the number of clients.
//! `cargo bench --workspace --bench large`, or with a size and numbers of clients of your own:
//! `cargo bench --workspace --bench large -- 23000000 8 64`.
//!
//! Of whole rounds it also says how long each stage took: encoding at a site, and noise, step and store at the
//! coordinator. The first round's step is the longest, since the optimiser's moments are first written then.
//!
//! `-- pace` tells instead how many rounds a second there are where nobody trains, of a small model.
//!
//! Each line is a process of its own, so that its peak of memory is its own. Updates come as a
//! network brings them, in chunks, into files that are synced. `UMBEL_BENCH_FOLDER` says on which
//! disk; memory shouldn't grow with clients, and the disk's speed is most of the time.

#[path = "../tests/driven/many.rs"]
mod many;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use umbel_proto::federation::Federation as _;
use umbel_proto::message::{ClientId, Task, Update};

use many::{LONG, THIS, clients, coordinator, hello, upload, values};

/// Whole rounds.
const ROUNDS: u32 = 2;
/// BERT-base.
const PARAMETERS: usize = 110_000_000;
const CLIENTS: [usize; 2] = [8, 64];

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
        for (parts, name) in [(&["rounds"][..], "rounds"), (&["cut", "again"], "recovery")] {
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
        let clients = clients(count);
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

fn seconds(since: Instant) -> String {
    format!("{:.3} s", since.elapsed().as_secs_f64())
}

fn live(part: &str, folder: &Path, parameters: usize, count: usize) {
    // The driver tells how long noise, step and store took.
    tracing_subscriber::fmt()
        .with_env_filter("umbel_coordinator::run::release=debug")
        .without_time()
        .with_writer(std::io::stdout)
        .init();
    let clients = clients(count);
    let began = Instant::now();
    let (lobby, driving) = coordinator(folder, (parameters, ROUNDS), &clients);
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
    let vector = values(parameters);
    let began = Instant::now();
    let values = vector.encode();
    println!("  a site encodes its update in {}", seconds(began));
    drop(vector);
    let sent = match part {
        "cut" => &clients[..clients.len() - 1],
        _ => &clients[..],
    };
    // What the client's side of this process takes isn't the coordinator's.
    let before = peak();
    for round in 1..=ROUNDS {
        let open = task(last, LONG).expect("no refusal");
        assert!(matches!(open, Some(Task::Train { round: r, .. }) if r == round));
        let update = Update {
            round,
            values: values.clone(),
        };
        let began = Instant::now();
        for client in sent {
            upload(&lobby, client, &update);
        }
        let took = began.elapsed().as_secs_f64();
        let bytes = update.values.len();
        let megabytes = (bytes * sent.len()) as f64 / 1e6;
        if part == "cut" {
            std::process::exit(1);
        }
        println!(
            "  {:.2} bytes a coordinate; {megabytes:.0} MB came, were checked, synced and summed in \
             {took:.1} s ({:.0} MB/s)",
            bytes as f64 / parameters as f64,
            megabytes / took
        );
        drop(update);
        let began = Instant::now();
        // Everybody asks again, and hears of the next round or of the end.
        for client in &clients {
            task(client, LONG).expect("no refusal");
        }
        println!(
            "  paid, noised, stepped and stored {:.1} s later",
            began.elapsed().as_secs_f64()
        );
    }
    driving.join().expect("no panic");
    println!(
        "  peak {} MB ({before} MB before the first update came)",
        peak()
    );
}
