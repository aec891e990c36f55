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

/// The folder of a simulation into `out` that was killed once its folder `is_at` some point; `None` if it was
/// over by then.
pub(crate) fn killed_at(
    bench: &Workbench,
    run: &Path,
    (settings, out): (&[&str], &str),
    is_at: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let mut killed = Command::new(env!("CARGO_BIN_EXE_umbel"))
        .arg("simulate")
        .arg(run)
        .args(["--json", "--out", out])
        .args(settings)
        .current_dir(bench.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("umbel starts");
    let folder = loop {
        let found = fs::read_dir(bench.path().join(out)).into_iter().flatten();
        let mut found = found.flatten().map(|entry| entry.path());
        let folder = found.find(|path| path.is_dir());
        let over = killed.try_wait().expect("a process").is_some();
        if let Some(folder) = folder.filter(|folder| over || is_at(folder)) {
            break folder;
        }
        assert!(!over, "it ended before it had a folder");
        thread::sleep(Duration::from_micros(500));
    };
    // It may have ended just now.
    let _ = killed.kill();
    killed.wait().expect("it ends");
    (!folder.join("certificate.json").exists()).then_some(folder)
}

/// What comes of simulations that are killed once so many lines are in their journals, and then gone on
/// with. Those that were over by then are left out.
pub(crate) fn killed_and_resumed(
    bench: &Workbench,
    run: &Path,
    settings: &[&str],
    lines: &[usize],
) -> Vec<serde_json::Value> {
    let mut resumed = Vec::new();
    for lines in lines {
        let name = run.file_stem().expect("a name").to_string_lossy();
        let out = format!("{name}-killed-{lines}");
        let is_at = |folder: &Path| {
            let journal = fs::read_to_string(folder.join("journal/run.journal"));
            journal.is_ok_and(|text| text.lines().count() >= *lines)
        };
        if let Some(folder) = killed_at(bench, run, (settings, &out), is_at) {
            let resume = ["--resume", folder.to_str().expect("UTF-8")];
            resumed.push(bench.simulate(run, &[settings, &resume].concat()));
        }
    }
    resumed
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
