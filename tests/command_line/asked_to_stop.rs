//! Ctrl-C in a simulation.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};
use crate::world::program;

/// A simulation of far too many rounds, and what it says, line by line.
fn begun(bench: &Workbench, sampling_rate: f64) -> (Child, impl Iterator<Item = String>) {
    let run = bench.configuration("long", PRIVATE_GRADIENTS, &SITES);
    let mut command = program("umbel", bench.path());
    command.arg("simulate").arg(run).args([
        "--json",
        "-v",
        "--set",
        "run.rounds=2000",
        "--set",
        "privacy.noise_multiplier=300.0",
        "--set",
        &format!("privacy.sampling_rate={sampling_rate:?}"),
        "--set",
        "evaluation.every=1",
        "--set",
        "evaluation.files=[{ name = \"pooled\", path = \"pooled.csv\" }]",
    ]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let said = BufReader::new(child.stderr.take().expect("a pipe"));
    (child, said.lines().map_while(Result::ok))
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill starts").success());
}

/// Waits until the run has released a round.
fn wait_for_a_round(bench: &Workbench) {
    let metrics = || {
        let runs = fs::read_dir(bench.path().join("runs")).ok()?;
        runs.filter_map(Result::ok)
            .find_map(|run| fs::read_to_string(run.path().join("metrics.jsonl")).ok())
    };
    while metrics().is_none_or(|text| text.lines().count() < 2) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn it_ends_after_the_round_with_model_report_and_certificate() {
    let bench = Workbench::new(8);
    let (child, said) = begun(&bench, 0.5);
    wait_for_a_round(&bench);
    interrupt(&child);
    let said: Vec<String> = said.collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(13), "{said:?}");
    assert!(
        said.iter()
            .any(|line| line.contains("stopping after this round")),
        "{said:?}"
    );
    let run: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(run["ending"], "stopped");
    let rounds = run["rounds"].as_u64().expect("a count");
    assert!((1..2000).contains(&rounds), "{rounds}");
    let folder = bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"));
    for name in [
        "model/model.safetensors",
        "report.html",
        "certificate.json",
        "result.json",
    ] {
        assert!(folder.join(name).exists(), "{name}");
    }
    // Only the rounds that were done are charged, and all of it verifies.
    let ledger = fs::read_to_string(folder.join("ledger.jsonl")).expect("a ledger");
    assert_eq!(ledger.lines().count() as u64, rounds);
    let verified = bench.umbel(&["verify", folder.to_str().expect("UTF-8")]);
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(
        verified.status.success() && text.contains("stopped"),
        "{text}"
    );
    let report = fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(report.contains("Stopped early"));
}

#[test]
fn a_second_one_ends_it_at_once_and_leaves_what_a_resumption_needs() {
    // Rounds that take so long that the second one comes while one is open.
    let bench = Workbench::new(400);
    let (mut child, mut said) = begun(&bench, 1.0);
    wait_for_a_round(&bench);
    interrupt(&child);
    let first = said.find(|line| line.contains("stopping after this round"));
    assert!(first.is_some(), "nothing was said of the first one");
    interrupt(&child);
    let second = said.find(|line| line.contains("at once; --resume"));
    let second = second.expect("something is said of the second one");
    assert_eq!(child.wait().expect("it ends").code(), Some(7), "{second}");
    let folder = second
        .split_whitespace()
        .find(|word| word.starts_with("runs/"));
    let folder = bench.path().join(folder.expect("the folder is named"));
    assert!(folder.join("journal").is_dir());
    assert!(!folder.join("certificate.json").exists());
}
