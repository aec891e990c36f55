//! A simulation that is killed goes on in its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

const MORE: [&str; 6] = [
    "--seed",
    "11",
    "--set",
    "run.rounds=8",
    "--set",
    "server.average=0.9",
];

fn start(bench: &Workbench, run: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_umbel"))
        .arg("simulate")
        .arg(run)
        .args(MORE)
        .current_dir(bench.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("umbel starts")
}

/// The folder of the only run, once it has so many rounds.
fn folder_with(bench: &Workbench, rounds: usize) -> PathBuf {
    let begun = Instant::now();
    loop {
        let runs = fs::read_dir(bench.path().join("runs"));
        let folders = runs
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        for folder in folders.filter(|path| path.is_dir()) {
            let metrics = fs::read_to_string(folder.join("metrics.jsonl"));
            if metrics.is_ok_and(|lines| lines.lines().count() >= rounds) {
                return folder;
            }
        }
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "no round is done"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// The folder of a simulation that was killed once so many rounds were done.
fn killed_after(bench: &Workbench, run: &Path, rounds: usize) -> PathBuf {
    let mut killed = start(bench, run);
    let folder = folder_with(bench, rounds);
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    folder
}

#[test]
fn a_killed_simulation_goes_on_to_the_same_model() {
    let bench = Workbench::new(12);
    let run = bench.configuration("killed", PRIVATE_GRADIENTS, &SITES);
    let folder = killed_after(&bench, &run, 3);
    assert!(folder.join("journal").is_dir());
    let resume = ["--resume", folder.to_str().expect("UTF-8")];
    // Another seed is another plan.
    let path = run.to_str().expect("UTF-8");
    let other = [&["simulate", path, "--seed", "12"][..], &MORE[2..], &resume].concat();
    let output = bench.umbel(&other);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("has an unfinished run by plan"), "{errors}");
    let resumed = bench.simulate(&run, &[&MORE[..], &resume].concat());
    let undisturbed = bench.simulate(&run, &MORE);
    assert_eq!(bench.weights(&resumed), bench.weights(&undisturbed));
    for key in ["epsilon", "rounds", "participation", "accuracy", "ending"] {
        assert_eq!(resumed[key], undisturbed[key], "{key}");
    }
    let ledger = |run: &serde_json::Value, name: &str| {
        let folder = run["run_dir"].as_str().expect("a folder");
        let text = fs::read_to_string(bench.path().join(folder).join(name)).expect("a ledger");
        text.lines().count()
    };
    assert_eq!(ledger(&resumed, "sites/ledgers.jsonl"), 8 * SITES.len());
    assert_eq!(ledger(&resumed, "ledger.jsonl"), 8);
    assert_eq!(ledger(&resumed, "metrics.jsonl"), 8);
    assert!(!folder.join("journal").exists());
    assert!(bench.umbel(&["verify", resume[1]]).status.success());
    // It is over.
    let again = [&["simulate", path][..], &MORE, &resume].concat();
    assert_eq!(bench.umbel(&again).status.code(), Some(2));
}

#[test]
fn what_sites_kept_and_is_damaged_is_told_with_its_line_and_what_to_do() {
    let bench = Workbench::new(12);
    let run = bench.configuration("damaged", PRIVATE_GRADIENTS, &SITES);
    let folder = killed_after(&bench, &run, 2);
    let path = run.to_str().expect("UTF-8");
    let resume = ["--resume", folder.to_str().expect("UTF-8")];
    let resume = [&["simulate", path][..], &MORE, &resume].concat();
    let damages = [
        ("ledgers.jsonl", "a backup that ends no earlier"),
        ("answers.jsonl", "begin the run anew"),
    ];
    for (name, remedy) in damages {
        let file = folder.join("sites").join(name);
        let sound = fs::read_to_string(&file).expect("what sites kept");
        let (first, others) = sound.split_once('\n').expect("several lines");
        fs::write(&file, format!("{first}\n{{\"data_set\":\n{others}")).expect("writable");
        let output = bench.umbel(&resume);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{told}");
        assert!(told.contains(name) && told.contains("line 2"), "{told}");
        assert!(!told.contains("line 1"), "{told}");
        assert!(told.contains(remedy), "{told}");
        assert!(!told.contains("writable"), "{told}");
        // Refused before anything was done: what is there is as it was.
        fs::write(&file, sound).expect("writable");
    }
    assert!(bench.umbel(&resume).status.success());
}
