//! A client's process that is killed at any time: what it sent, it paid for.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use umbel_coordinator::grpc::Security;

use umbel_proto::departure::Departure;

use crate::coordinator::{Call, Coordinator, Script};
use crate::site::{Bench, LOCAL, got};

/// The client, built beside `umbel`.
fn client(configuration: &Path) -> Child {
    let folder = Path::new(env!("CARGO_BIN_EXE_umbel")).parent().unwrap();
    let binary: PathBuf = folder.join("umbel-client");
    assert!(binary.exists(), "run cargo test --release --workspace");
    Command::new(binary)
        .arg("run")
        .arg(configuration)
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn kill(mut client: Child) {
    client.kill().unwrap();
    client.wait().unwrap();
}

/// Runs the client until the run is over.
fn finish(configuration: &Path) {
    let output = client(configuration).wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// Waits until the coordinator has so many updates.
fn wait_for(script: &Script, updates: usize) {
    let begun = Instant::now();
    while got(script).len() < updates {
        assert!(begun.elapsed() < Duration::from_secs(60), "no update");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_before_it_has_an_answer_a_client_sends_the_same_bytes_and_pays_once() {
    let bench = Bench::new();
    let mut script = bench.offered("killed", 20, LOCAL).script(&[(1, 1), (1, 1)]);
    script.thinks = Duration::from_secs(1);
    let script = Arc::new(script);
    let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
    let configuration = bench.client_toml(coordinator.address);
    let killed = client(&configuration);
    wait_for(&script, 1);
    kill(killed);
    finish(&configuration);
    let got = got(&script);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0], got[1]);
    assert_eq!(bench.entries().len(), 1);
}

#[cfg(unix)]
#[test]
fn asked_to_stop_a_client_says_so_ends_well_and_pays_nothing_twice() {
    let bench = Bench::new();
    let mut script = bench
        .offered("stopped", 20, LOCAL)
        .script(&[(1, 1), (1, 1)]);
    script.thinks = Duration::from_secs(2);
    let script = Arc::new(script);
    let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
    let configuration = bench.client_toml(coordinator.address);
    let stopped = client(&configuration);
    wait_for(&script, 1);
    let pid = stopped.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(asked.unwrap().success());
    let output = stopped.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("asked to stop"), "{errors}");
    let left = Call::Leave("north".parse().unwrap(), Departure::Shutdown);
    assert!(script.calls().contains(&left));
    finish(&configuration);
    let got = got(&script);
    assert_eq!(got[0], got[1]);
    assert_eq!(bench.entries().len(), 1);
}

#[test]
fn killed_at_any_time_a_client_never_sends_more_than_it_paid_for() {
    let bench = Bench::new();
    // Always the same round, for longer than all clients live that are killed.
    let mut script = bench.offered("killed", 20, LOCAL).script(&[(1, 1); 40]);
    script.thinks = Duration::from_millis(200);
    let script = Arc::new(script);
    let coordinator = Coordinator::start(&script, Security::LoopbackOnly);
    let configuration = bench.client_toml(coordinator.address);
    for pause in (0..12).map(|i| Duration::from_millis(10 * i * i)) {
        let killed = client(&configuration);
        thread::sleep(pause);
        kill(killed);
        let mut different = got(&script);
        different.dedup();
        assert!(different.len() <= 1, "one update is sent, and no other");
        let paid = bench.entries().len();
        assert!(different.len() <= paid, "{} of {paid}", different.len());
    }
    finish(&configuration);
    assert!(!got(&script).is_empty());
}
