//! One coordinator process and four client processes over mutual TLS on loopback.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

/// A binary of the workspace, built beside `umbel`.
pub(crate) fn binary(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_umbel"))
        .parent()
        .expect("a folder");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} isn't built; run cargo test --release --workspace",
        path.display()
    );
    path
}

/// A port that was free a moment ago, that no other test of this process has, and that systems
/// don't give to outgoing connections, of which other tests make many.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const PORTS: u32 = 18_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + std::process::id().wrapping_mul(97).wrapping_add(next) % PORTS;
        let port = port as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Kills what is still running when a test fails.
pub(crate) struct Processes(pub(crate) Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Makes certificates by `umbel-coordinator init` and writes both sides' configurations.
/// Returns the coordinator's.
pub(crate) fn federation(bench: &Workbench, port: u16) -> PathBuf {
    let address = format!("https://localhost:{port}");
    let mut init = Command::new(binary("umbel-coordinator"));
    init.args(["init", "federation"]).current_dir(bench.path());
    for site in SITES {
        init.args(["--site", site]);
    }
    let made = init
        .args(["--address", &address])
        .output()
        .expect("init starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    configured(bench, port)
}

/// Writes both sides' configurations, where certificates are made.
pub(crate) fn configured(bench: &Workbench, port: u16) -> PathBuf {
    let address = format!("https://localhost:{port}");
    let folder = bench.path().join("federation");
    let example = folder.join("coordinator/coordinator.toml");
    let example = fs::read_to_string(example).expect("an example configuration");
    let clients = &example[example
        .find("[[clients]]")
        .expect("clients with fingerprints")..];
    let run = bench.configuration("network", PRIVATE_GRADIENTS, &[]);
    let run = fs::read_to_string(run).expect("the configuration");
    let serve = format!("\n[serve]\nlisten = \"127.0.0.1:{port}\"\n\n{clients}");
    let configuration = folder.join("coordinator/run.toml");
    fs::write(&configuration, run + &serve).expect("a configuration");
    for site in SITES {
        let data = bench.path().join(format!("{site}.csv"));
        let text = format!(
            "name = \"{site}\"\ncoordinator = \"{address}\"\n\n\
             [tls]\nca = \"ca.pem\"\ncertificate = \"client.pem\"\nkey = \"client.key\"\n\n\
             [data]\npath = {data:?}\n\n\
             [policy]\ndata_set = \"{site}\"\nepsilon = 8.0\ndelta = 1e-5\nallow_seeded = true\n\n\
             [device]\ndevice = \"cpu\"\n"
        );
        fs::write(folder.join(format!("sites/{site}/client.toml")), text).expect("a file");
    }
    configuration
}

/// Starts the coordinator; what it says goes into a file, so that nobody has to read it.
pub(crate) fn start_coordinator(bench: &Workbench, configuration: &Path, more: &[&str]) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(bench.path().join("coordinator.log"))
        .expect("a log");
    Command::new(binary("umbel-coordinator"))
        .arg("serve")
        .arg(configuration)
        .args(["--seed", "11", "--json"])
        .args(more)
        .env_remove("RUST_LOG")
        .current_dir(bench.path())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the coordinator starts")
}

/// Waits until the coordinator has done so many rounds.
pub(crate) fn wait_for_round(bench: &Workbench, round: usize) {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
        if log.matches("round done").count() >= round {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{log}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the coordinator's end, and returns its report.
pub(crate) fn report(bench: &Workbench, coordinator: Child) -> serde_json::Value {
    let output = coordinator.wait_with_output().expect("it ends");
    let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    assert!(output.status.success(), "{log}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {log}"))
}

pub(crate) const EIGHT: [&str; 2] = ["--set", "run.rounds=8"];

/// The run of eight rounds was the simulation's, and every ledger has one charge a round.
pub(crate) fn check_eight_rounds(
    bench: &Workbench,
    served: &serde_json::Value,
    clients: Processes,
) {
    let mut clients = clients;
    for client in clients.0.drain(..) {
        let output = client.wait_with_output().expect("the client ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }
    assert_eq!(served["rounds"], 8);
    let simulated = bench.configuration("network", PRIVATE_GRADIENTS, &SITES);
    let more = [&["--seed", "11"][..], &EIGHT].concat();
    let simulated = bench.simulate(&simulated, &more);
    assert_eq!(served["epsilon"], simulated["epsilon"]);
    assert_eq!(served["participation"], simulated["participation"]);
    assert_eq!(bench.weights(served), bench.weights(&simulated));
    let of_coordinator = "federation/coordinator/ledger.jsonl".to_owned();
    let of_sites = SITES.map(|site| format!("federation/sites/{site}/ledger.jsonl"));
    for ledger in of_sites.iter().chain([&of_coordinator]) {
        let text = fs::read_to_string(bench.path().join(ledger)).expect("a ledger");
        let round = |line: &str| {
            let entry: serde_json::Value = serde_json::from_str(line).expect("an entry");
            entry["round"].as_u64().expect("a round")
        };
        let rounds: Vec<u64> = text.lines().map(round).collect();
        assert_eq!(rounds, [1, 2, 3, 4, 5, 6, 7, 8], "{ledger}");
    }
    let folder = bench
        .path()
        .join(served["run_dir"].as_str().expect("a folder"));
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
    assert_eq!(metrics.lines().count(), 8);
    assert!(
        !folder.join("journal").exists(),
        "nothing is left to go on with"
    );
    verified(bench, served);
}

#[test]
fn a_coordinator_that_is_killed_goes_on_and_the_sites_come_back() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let mut first = start_coordinator(&bench, &configuration, &EIGHT);
    let clients = start_clients(&bench);
    // SIGKILL, in the middle of round 3.
    wait_for_round(&bench, 2);
    first.kill().expect("it runs");
    first.wait().expect("it ends");
    let second = start_coordinator(&bench, &configuration, &EIGHT);
    let served = report(&bench, second);
    check_eight_rounds(&bench, &served, clients);
}

#[cfg(unix)]
#[test]
fn a_coordinator_that_is_asked_to_stop_ends_well_and_goes_on_later() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let first = start_coordinator(&bench, &configuration, &EIGHT);
    let clients = start_clients(&bench);
    wait_for_round(&bench, 2);
    let asked = Command::new("kill")
        .args(["-TERM", &first.id().to_string()])
        .status();
    assert!(asked.expect("kill starts").success());
    let output = first.wait_with_output().expect("it ends");
    let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(log.contains("start the same command again"), "{log}");
    // Another plan is refused; nothing of the run is touched.
    let other = start_coordinator(&bench, &configuration, &["--set", "run.rounds=9"]);
    let output = other.wait_with_output().expect("it ends");
    let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(log.contains("has an unfinished run by plan"), "{log}");
    let second = start_coordinator(&bench, &configuration, &EIGHT);
    let served = report(&bench, second);
    check_eight_rounds(&bench, &served, clients);
}

pub(crate) fn start_clients(bench: &Workbench) -> Processes {
    let start = |site: &&str| {
        Command::new(binary("umbel-client"))
            .arg("run")
            .arg(
                bench
                    .path()
                    .join(format!("federation/sites/{site}/client.toml")),
            )
            .stderr(Stdio::piped())
            .spawn()
            .expect("a client starts")
    };
    Processes(SITES.iter().map(start).collect())
}

#[test]
fn processes_over_tls_train_the_same_model_as_the_simulation_bit_for_bit() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let coordinator = Command::new(binary("umbel-coordinator"))
        .arg("serve")
        .arg(&configuration)
        .args(["--seed", "11", "--json"])
        .current_dir(bench.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the coordinator starts");
    let clients = start_clients(&bench);
    let output = coordinator
        .wait_with_output()
        .expect("the coordinator ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    drop(clients);
    let served: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let simulated = bench.configuration("network", PRIVATE_GRADIENTS, &SITES);
    let simulated = bench.simulate(&simulated, &["--seed", "11"]);
    assert_eq!(served["rounds"], 2);
    assert_eq!(served["epsilon"], simulated["epsilon"]);
    assert_eq!(bench.weights(&served), bench.weights(&simulated));
    let plan = verified(&bench, &served);
    for site in SITES {
        let ledger = bench
            .path()
            .join(format!("federation/sites/{site}/ledger.jsonl"));
        let ledger = fs::read_to_string(ledger).expect("each site has its own ledger");
        assert_eq!(ledger.lines().count(), 2, "{site}");
        assert!(ledger.lines().all(|line| line.contains(&plan)), "{site}");
    }
}

/// Verifies a served run with the key and the ledger of the coordinator; returns the SHA-256
/// of its plan.
fn verified(bench: &Workbench, run: &serde_json::Value) -> String {
    let folder = run["run_dir"].as_str().expect("a run folder");
    let keys = SITES.map(|site| format!("{site}=federation/sites/{site}/site.pub"));
    let mut command = vec![
        "verify",
        folder,
        "--key",
        "federation/coordinator/signing.pub",
        "--ledger",
        "federation/coordinator/ledger.jsonl",
    ];
    for key in &keys {
        command.extend(["--site", key]);
    }
    let output = bench.umbel(&command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("signed by the key that you gave"), "{text}");
    assert!(text.contains("with the keys that you gave"), "{text}");
    // One site's key under another's name.
    let swapped = format!("{}=federation/sites/{}/site.pub", SITES[0], SITES[1]);
    let output = bench.umbel(&["verify", folder, "--site", &swapped]);
    assert_eq!(output.status.code(), Some(10));
    let certificate = fs::read_to_string(bench.path().join(folder).join("certificate.json"));
    let certificate: serde_json::Value =
        serde_json::from_str(&certificate.expect("a certificate")).expect("JSON");
    let plan = certificate["run"]["plan_sha256"].as_str();
    plan.expect("a digest").to_owned()
}

#[test]
fn a_site_refuses_what_its_policy_forbids() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    for site in SITES {
        let path = bench
            .path()
            .join(format!("federation/sites/{site}/client.toml"));
        let text = fs::read_to_string(&path).expect("the file");
        let stricter = text.replace("allow_seeded = true", "allow_seeded = false");
        fs::write(&path, stricter).expect("the file");
    }
    let coordinator = Command::new(binary("umbel-coordinator"))
        .arg("serve")
        .arg(&configuration)
        .args(["--seed", "11", "--json"])
        .current_dir(bench.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the coordinator starts");
    let mut clients = start_clients(&bench);
    for client in clients.0.drain(..) {
        let output = client.wait_with_output().expect("the client ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(9), "{errors}");
        assert!(errors.contains("allow_seeded"), "{errors}");
    }
    // The coordinator would wait for them to come back; nothing was spent.
    drop(Processes(vec![coordinator]));
    let ledger = bench.path().join("federation/coordinator/ledger.jsonl");
    assert!(!ledger.metadata().is_ok_and(|m| m.len() > 0));
}
