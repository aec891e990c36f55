//! `umbel-coordinator check` and `umbel-client check`: what a run would find, before anybody pays,
//! with nothing made, charged or sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use umbel_coordinator::init::{InitOptions, init};

use crate::network::{
    EIGHT, Processes, binary, check_eight_rounds, federation, free_port, report, start_clients,
};
use crate::workbench::{SITES, Workbench};

/// Every file below a folder, with its bytes.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            files.insert(path, bytes);
        }
    }
    files
}

fn run(bench: &Workbench, program: &str, arguments: &[&str]) -> Output {
    Command::new(binary(program))
        .args(arguments)
        .env_remove("RUST_LOG")
        .current_dir(bench.path())
        .output()
        .expect("it starts")
}

fn site_folder(bench: &Workbench, site: &str) -> PathBuf {
    bench.path().join(format!("federation/sites/{site}"))
}

/// Checks a site; returns the exit code and the JSON.
fn check_site(bench: &Workbench, site: &str, more: &[&str]) -> (i32, Value) {
    let config = site_folder(bench, site).join("client.toml");
    let config = config.to_str().expect("UTF-8");
    let output = run(
        bench,
        "umbel-client",
        &[&["check", config, "--json"], more].concat(),
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"));
    (output.status.code().expect("no signal"), found)
}

/// The first finding of this name.
fn finding<'a>(found: &'a Value, name: &str) -> &'a Value {
    let checks = found["checks"].as_array().expect("checks");
    let mut named = checks.iter().filter(|check| check["name"] == name);
    named
        .next()
        .unwrap_or_else(|| panic!("no {name} in {found:#}"))
}

fn changed(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("the file");
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).expect("the file");
}

/// A coordinator that waits for its sites.
fn waiting(bench: &Workbench, configuration: &Path) -> std::process::Child {
    let log = fs::File::create(bench.path().join("coordinator.log")).expect("a log");
    let child = Command::new(binary("umbel-coordinator"))
        .arg("serve")
        .arg(configuration)
        .args(["--seed", "11", "--json"])
        .args(EIGHT)
        .env_remove("RUST_LOG")
        .current_dir(bench.path())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the coordinator starts");
    let begun = std::time::Instant::now();
    let read = || fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    while !read().contains("waiting for clients") {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", read());
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn a_site_is_checked_without_a_network_and_nothing_is_made() {
    let bench = Workbench::new(12);
    federation(&bench, free_port());
    let before = snapshot(bench.path());
    let (code, found) = check_site(&bench, "amazon", &["--offline"]);
    assert_eq!(code, 0, "{found:#}");
    assert_eq!(found["ready"], true);
    let table = finding(&found, "table");
    assert_eq!(table["rows"], 12);
    let labels = table["labels"].as_object().expect("counts");
    let rows: u64 = labels.values().filter_map(Value::as_u64).sum();
    assert_eq!(rows, 12, "every row has its label counted");
    assert_eq!(finding(&found, "budget")["spent_epsilon"], 0.0);
    assert!(finding(&found, "certificate")["days_left"].as_i64() >= Some(364));
    assert_eq!(snapshot(bench.path()), before);
}

#[test]
fn a_site_is_checked_against_the_run_that_is_offered_and_the_run_isnt_disturbed() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let coordinator = waiting(&bench, &configuration);
    let folder = site_folder(&bench, "movie");
    let before = snapshot(&folder);
    let (code, found) = check_site(&bench, "movie", &[]);
    assert_eq!(code, 0, "{found:#}");
    assert_eq!(finding(&found, "coordinator")["run"], "network");
    assert_eq!(finding(&found, "policy")["rounds"], 8);
    assert_eq!(finding(&found, "budget")["outcome"], "good");
    assert_eq!(finding(&found, "units")["units"], 12);
    assert!(finding(&found, "texts")["texts_cut"].as_u64() <= Some(12));
    assert!(finding(&found, "speed")["rows_per_second"].as_f64() > Some(0.0));
    let apart = finding(&found, "clock")["seconds_ahead"].as_f64();
    assert!(
        apart.is_some_and(|seconds| seconds.abs() <= 60.0),
        "{found:#}"
    );
    assert_eq!(snapshot(&folder), before, "nothing is made or changed");
    // The run goes on as if nobody had asked.
    let clients = start_clients(&bench);
    let served = report(&bench, coordinator);
    check_eight_rounds(&bench, &served, clients);
}

#[test]
fn what_would_end_a_run_is_found_before_anybody_pays() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let coordinator = Processes(vec![waiting(&bench, &configuration)]);
    let toml = |site: &str| site_folder(&bench, site).join("client.toml");
    // A budget that wouldn't last to the end.
    changed(&toml("amazon"), "epsilon = 8.0", "epsilon = 2.0");
    let (code, found) = check_site(&bench, "amazon", &[]);
    assert_eq!(code, 5, "{found:#}");
    assert_eq!(finding(&found, "budget")["outcome"], "bad");
    // A policy that forbids the run.
    changed(
        &toml("movie"),
        "allow_seeded = true",
        "allow_seeded = false",
    );
    let (code, found) = check_site(&bench, "movie", &[]);
    assert_eq!(code, 9, "{found:#}");
    // A label that is misspelt in the last row.
    let table = bench.path().join("nyt.csv");
    let text = fs::read_to_string(&table).expect("a table");
    let (rows, last) = text.trim_end().rsplit_once(',').expect("a label");
    fs::write(&table, format!("{rows},{last}e\r\n")).expect("a table");
    let (code, found) = check_site(&bench, "nyt", &[]);
    assert_eq!(code, 3, "{found:#}");
    let detail = finding(&found, "table")["detail"]
        .as_str()
        .expect("a sentence");
    assert!(detail.contains("row 12"), "{detail}");
    // Too little memory.
    changed(
        &toml("twitter"),
        "device = \"cpu\"",
        "device = \"cpu\"\nmemory = \"1MB\"",
    );
    let (code, found) = check_site(&bench, "twitter", &[]);
    assert_eq!(code, 6, "{found:#}");
    drop(coordinator);
    for site in SITES {
        let ledger = site_folder(&bench, site).join("ledger.jsonl");
        assert!(!ledger.exists(), "{site} paid");
    }
    // A coordinator that is away.
    let (code, found) = check_site(&bench, "amazon", &[]);
    assert_eq!(code, 4, "{found:#}");
    assert_eq!(
        finding(&found, "table")["rows"],
        12,
        "the rest is looked at"
    );
}

fn check_coordinator(bench: &Workbench, configuration: &Path, more: &[&str]) -> (i32, Value) {
    let path = configuration.to_str().expect("UTF-8");
    let arguments = [&["check", path, "--json"], more].concat();
    let output = run(bench, "umbel-coordinator", &arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"));
    (output.status.code().expect("no signal"), found)
}

#[test]
fn a_site_whose_texts_have_any_number_of_labels_is_checked_without_a_network() {
    let bench = Workbench::new(12);
    federation(&bench, free_port());
    bench.write(
        "amazon.csv",
        "text,label\na film,good; long\na book,\na song,good\n",
    );
    let config = site_folder(&bench, "amazon").join("client.toml");
    changed(&config, "[data]\n", "[data]\nlabel_separator = \";\"\n");
    let (code, found) = check_site(&bench, "amazon", &["--offline"]);
    assert_eq!(code, 0, "{found:#}");
    let table = finding(&found, "table");
    assert_eq!(
        (
            &table["rows"],
            &table["labels"]["good"],
            &table["labels"]["long"]
        ),
        (&3.into(), &2.into(), &1.into())
    );
    // Lists need no separator.
    changed(&config, "label_separator = \";\"\n", "");
    let lists = "{\"text\": \"a film\", \"label\": [\"good\", \"long\"]}\n{\"text\": \"a book\", \"label\": []}\n";
    bench.write("amazon.csv", lists);
    let (_, found) = check_site(&bench, "amazon", &["--offline"]);
    let table = finding(&found, "table");
    assert_eq!(
        (&table["rows"], &table["labels"]["long"]),
        (&2.into(), &1.into()),
        "{found:#}"
    );
}

#[test]
fn a_coordinator_is_checked_and_nothing_is_made() {
    let bench = Workbench::new(12);
    let port = free_port();
    let configuration = federation(&bench, port);
    let before = snapshot(bench.path());
    let (code, found) = check_coordinator(&bench, &configuration, &[]);
    assert_eq!(code, 0, "{found:#}");
    assert_eq!(finding(&found, "plan")["rounds"], 2);
    assert!(finding(&found, "noise")["noise_multiplier"].as_f64() > Some(0.3));
    assert_eq!(finding(&found, "budget")["epsilon"], 8.0);
    assert!(finding(&found, "certificate")["days_left"].as_i64() >= Some(364));
    assert!(finding(&found, "disk")["needed_bytes"].as_u64() > Some(0));
    assert_eq!(finding(&found, "client")["client"], SITES[0]);
    assert_eq!(snapshot(bench.path()), before);
    // Somebody else has the port.
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let (code, found) = check_coordinator(&bench, &configuration, &[]);
    assert_eq!(code, 4, "{found:#}");
    drop(taken);
    // A budget that no noise can meet.
    let impossible = ["--set", "privacy.epsilon=1e-9"];
    let (code, found) = check_coordinator(&bench, &configuration, &impossible);
    assert_eq!(code, 2, "{found:#}");
    assert_eq!(snapshot(bench.path()), before);
}

/// Puts certificates over the federation's that began so many days ago and are good for `days`.
fn certificates_of(bench: &Workbench, age: u64, days: u32) {
    let sites = SITES.map(|site| site.parse().expect("a name"));
    let begun = SystemTime::now() - Duration::from_secs(age * 24 * 60 * 60);
    let mut options = InitOptions::new("localhost".parse().expect("an address"), begun);
    options.days = days;
    let made = init(&bench.path().join("aged"), &sites, &options).expect("certificates");
    let folder = bench.path().join("federation");
    for file in ["server.pem", "server.key", "ca.pem"] {
        let to = folder.join("coordinator").join(file);
        fs::copy(made.coordinator.join(file), to).expect("a copy");
    }
    for site in &made.sites {
        for file in ["client.pem", "client.key", "ca.pem"] {
            let to = folder.join("sites").join(site.name.as_str()).join(file);
            fs::copy(site.folder.join(file), to).expect("a copy");
        }
    }
}

#[test]
fn a_certificate_that_ended_starts_nothing_at_either_side() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    certificates_of(&bench, 400, 365);
    let before = snapshot(bench.path());
    let path = configuration.to_str().expect("UTF-8");
    let output = run(&bench, "umbel-coordinator", &["serve", path]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in [
        "serve.certificate",
        "server.pem",
        "ended on",
        "sign a new one",
    ] {
        assert!(errors.contains(part), "no {part:?} in {errors}");
    }
    assert_eq!(snapshot(bench.path()), before, "neither folder nor ledger");
    let (code, found) = check_coordinator(&bench, &configuration, &[]);
    assert_eq!(code, 2, "{found:#}");
    let client = site_folder(&bench, "nyt").join("client.toml");
    let client = client.to_str().expect("UTF-8");
    let output = run(&bench, "umbel-client", &["run", client]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("this site's certificate"), "{errors}");
    let (code, found) = check_site(&bench, "nyt", &["--offline"]);
    assert_eq!(code, 2, "{found:#}");
}

#[test]
fn a_certificate_that_ends_soon_is_told_of() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    certificates_of(&bench, 1, 13);
    let (_, found) = check_coordinator(&bench, &configuration, &[]);
    assert_eq!(
        finding(&found, "certificate")["outcome"],
        "warning",
        "{found:#}"
    );
    let (code, found) = check_site(&bench, "nyt", &["--offline"]);
    assert_eq!(code, 0, "{found:#}");
    let detail = finding(&found, "certificate")["detail"]
        .as_str()
        .expect("a sentence");
    // Twelve days are left in the second in which it was made, and eleven whole ones after that.
    let soon = |text: &str| {
        ["11", "12"]
            .iter()
            .any(|n| text.contains(&format!("ends in {n} days")))
    };
    assert!(soon(detail), "{detail}");
    let coordinator = Processes(vec![waiting(&bench, &configuration)]);
    let log = fs::read_to_string(bench.path().join("coordinator.log")).expect("a log");
    drop(coordinator);
    assert!(log.contains("server.pem") && soon(&log), "{log}");
}
