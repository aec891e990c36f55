//! The folder of a run, verified: as it was left, and after anything in it was changed.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use umbel::coordinator::certificate::verify::{Known, verify};
use umbel::privacy::certificate::{Examination, Outcome};
use umbel::privacy::ledger::FileLedgerStorage;

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench, repository};

/// Simulates a small private run and returns its folder.
fn run_folder(bench: &Workbench, name: &str, more: &[&str]) -> PathBuf {
    let run = bench.configuration(name, PRIVATE_GRADIENTS, &SITES);
    folder_of(bench, &bench.simulate(&run, more))
}

fn folder_of(bench: &Workbench, run: &serde_json::Value) -> PathBuf {
    bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"))
}

fn examined(folder: &Path) -> Examination {
    verify(folder, Known::nothing()).expect("a run's folder")
}

/// The names of the checks that came out so.
fn named(examination: &Examination, outcome: Outcome) -> Vec<&'static str> {
    examination
        .checks
        .iter()
        .filter(|check| check.outcome == outcome)
        .map(|check| check.name)
        .collect()
}

/// Every file of the folder that is signed, or is the signature's own.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["", "model"]
        .iter()
        .flat_map(|name| fs::read_dir(folder.join(name)).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .collect();
    files.push(folder.join("sites/ledgers.jsonl"));
    files.sort();
    files
}

#[test]
fn a_run_verifies_and_no_byte_of_it_can_be_changed() {
    let bench = Workbench::new(12);
    let folder = run_folder(&bench, "certified", &[]);
    let examination = examined(&folder);
    assert!(examination.holds(), "{:?}", examination.checks);
    assert_eq!(
        named(&examination, Outcome::Open),
        ["origin", "sites' word"]
    );
    let files = files(&folder);
    for name in [
        "certificate.json",
        "certificate.html",
        "ledger.jsonl",
        "plan.json",
        "metrics.jsonl",
        "report.html",
        "result.json",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
    ] {
        assert!(files.contains(&folder.join(name)), "{name}");
    }
    let strategy = (
        prop::sample::select(files),
        any::<prop::sample::Index>(),
        0..8u8,
        0..4,
    );
    let mut runner = TestRunner::new(Config::with_cases(400));
    let outcome = runner.run(&strategy, |(file, at, bit, how)| {
        let before = fs::read(&file).expect("a file");
        let mut changed = before.clone();
        let at = at.index(changed.len());
        match how {
            0 | 1 => changed[at] ^= 1 << bit,
            2 => changed.truncate(at),
            _ => changed.insert(at, b" \n\r\t\0x{0"[usize::from(bit)]),
        }
        fs::write(&file, &changed).expect("a file");
        let examination = examined(&folder);
        fs::write(&file, &before).expect("a file");
        // A site's ledger may lose whole lines from its end; the site itself must see that.
        let site = file.starts_with(folder.join("sites"));
        let shortened = site && (changed.is_empty() || changed.ends_with(b"\n"));
        prop_assert!(!examination.holds() || shortened, "{}", file.display());
        Ok(())
    });
    outcome.expect("every change is noticed");
    assert!(examined(&folder).holds(), "all is as it was");
}

#[test]
fn files_added_to_the_model_or_missing_are_noticed() {
    let bench = Workbench::new(12);
    let folder = run_folder(&bench, "files", &[]);
    let model = folder.join("model");
    let failing = || named(&examined(&folder), Outcome::Fails);
    fs::write(model.join("extra.py"), "print()").expect("a file");
    assert_eq!(failing(), ["model"]);
    fs::remove_file(model.join("extra.py")).expect("a file");
    fs::create_dir(model.join("more")).expect("a folder");
    assert_eq!(failing(), ["model"], "even an empty folder");
    fs::remove_dir(model.join("more")).expect("a folder");
    let config = fs::read(model.join("config.json")).expect("a file");
    fs::remove_file(model.join("config.json")).expect("a file");
    assert_eq!(failing(), ["model"]);
    #[cfg(unix)]
    {
        fs::write(folder.join("elsewhere.json"), &config).expect("a file");
        let link = std::os::unix::fs::symlink("../elsewhere.json", model.join("config.json"));
        link.expect("a link");
        assert_eq!(
            failing(),
            ["model"],
            "a link to the same content isn't the file"
        );
        fs::remove_file(model.join("config.json")).expect("a file");
    }
    fs::write(model.join("config.json"), config).expect("a file");
    assert!(failing().is_empty());
    fs::remove_file(folder.join("ledger.jsonl")).expect("a file");
    assert_eq!(failing(), ["ledger"]);
}

#[test]
fn the_command_tells_people_machines_and_scripts_what_holds() {
    let bench = Workbench::new(12);
    let folder = run_folder(&bench, "told", &[]);
    let path = folder.to_str().expect("UTF-8");
    let public = folder.with_file_name("signing.pub");
    let public = public.to_str().expect("UTF-8");
    let output = bench.umbel(&["verify", path, "--key", public]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.lines().count() <= 24, "one screen: {text}");
    assert!(text.contains("Verified. One record is protected"), "{text}");
    // The sites' keys weren't given.
    let open: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" open "))
        .collect();
    assert!(
        open.len() == 1 && open[0].starts_with("sites' word"),
        "{text}"
    );

    let key = fs::read_to_string(public).expect("a key");
    let output = bench.umbel(&["verify", path, "--key", key.trim(), "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["verified"], true);
    assert_eq!(answer["public_key"], key.trim());

    let output = bench.umbel(&["verify", path, "--key", &"0".repeat(64)]);
    assert_eq!(output.status.code(), Some(10));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("NOT VERIFIED"), "{text}");
    assert!(text.contains("another key"), "{text}");

    for (arguments, code, word) in [
        (vec!["verify", "nowhere"], 2, "nowhere"),
        (vec!["verify", path, "--key", "nowhere"], 2, "--key"),
        (vec!["verify", "."], 10, "certificate.json"),
    ] {
        let output = bench.umbel(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(word), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_kept_ledger_counts_earlier_runs_and_must_go_on_where_a_run_ended() {
    let bench = Workbench::new(12);
    let keep = [
        "--set",
        "privacy.ledger=kept.jsonl",
        "--set",
        "privacy.noise_multiplier=3.0",
    ];
    let first = run_folder(&bench, "kept", &keep);
    let second = run_folder(&bench, "kept", &keep);
    let epsilons = |folder: &Path| {
        let certificate = examined(folder).certificate.expect("a certificate");
        let guarantee = certificate.guarantee.expect("a guarantee");
        (guarantee.run.epsilon, guarantee.data_set.epsilon)
    };
    assert_eq!(epsilons(&first).0, epsilons(&first).1);
    assert_eq!(epsilons(&second).0, epsilons(&first).0);
    assert!(epsilons(&second).1 > epsilons(&second).0);
    let kept = bench.path().join("kept.jsonl");
    let known = Known {
        live: Some(&kept),
        ..Known::nothing()
    };
    for folder in [&first, &second] {
        let examination = verify(folder, known).expect("a run's folder");
        assert!(examination.holds(), "{:?}", examination.checks);
    }
    // Whole lines taken from the end leave a sound chain, but not one that holds the run.
    let text = fs::read_to_string(&kept).expect("a ledger");
    let shorter: String = text
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    bench.write("kept.jsonl", &shorter);
    let live = |folder| {
        let examination = verify(folder, known).expect("a run's folder");
        named(&examination, Outcome::Fails)
    };
    assert_eq!(live(&first), [""; 0]);
    assert_eq!(live(&second), ["live ledger"]);
}

#[test]
fn a_second_process_on_one_ledger_is_refused_with_its_name() {
    let bench = Workbench::new(12);
    let run = bench.configuration("locked", PRIVATE_GRADIENTS, &SITES);
    let held = FileLedgerStorage::open(bench.path().join("held.jsonl")).expect("a ledger");
    let arguments = [
        "simulate",
        run.to_str().expect("UTF-8"),
        "--set",
        "privacy.ledger=held.jsonl",
    ];
    let output = bench.umbel(&arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{errors}");
    assert!(
        errors.contains("held.jsonl") && errors.contains("in use by another process"),
        "{errors}"
    );
    drop(held);
    assert!(bench.umbel(&arguments).status.success());
}

#[test]
fn runs_that_protect_nobody_are_certified_as_such() {
    let bench = Workbench::new(12);
    let plain = bench.configuration("plain", PLAIN_GRADIENTS, &SITES);
    let plain = folder_of(&bench, &bench.simulate(&plain, &[]));
    let seeded = run_folder(&bench, "seeded", &["--seed", "7"]);
    for folder in [plain, seeded] {
        let examination = examined(&folder);
        assert!(examination.holds(), "{:?}", examination.checks);
        assert!(
            examination
                .certificate
                .expect("a certificate")
                .protects_nobody
        );
        let page = fs::read_to_string(folder.join("certificate.html")).expect("a page");
        assert!(page.contains("protects nobody"), "{page}");
    }
}

#[test]
fn events_are_exported_for_other_accountants_and_read_back() {
    let bench = Workbench::new(12);
    let run = bench.configuration("events", PRIVATE_GRADIENTS, &SITES);
    let run = bench.simulate(&run, &[]);
    let folder = run["run_dir"].as_str().expect("a folder");
    let output = bench.umbel(&["account", "events", folder, "--json"]);
    let events = String::from_utf8(output.stdout).expect("UTF-8");
    bench.write("events.json", &events);
    let events: serde_json::Value = serde_json::from_str(&events).expect("JSON");
    assert_eq!(events[0]["type"], "self_composed");
    assert_eq!(events[0]["count"], 2);
    assert_eq!(events[0]["event"]["type"], "poisson_gaussian");
    let arguments = [
        "account",
        "epsilon",
        "--events",
        "events.json",
        "--delta",
        "1e-5",
        "--json",
    ];
    let output = bench.umbel(&arguments);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let epsilon = |value: &serde_json::Value| value["epsilon"].as_f64().expect("an epsilon");
    assert!((epsilon(&answer) - epsilon(&run)).abs() < 1e-9);

    let python = std::env::var("UMBEL_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = std::process::Command::new(&python)
        .args(["-c", "import dp_accounting"])
        .output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no dp_accounting to recompute epsilon with");
        return;
    }
    let output = std::process::Command::new(&python)
        .arg(repository().join("examples/recompute_epsilon.py"))
        .args(["events.json", "--delta", "1e-5"])
        .current_dir(bench.path())
        .output()
        .expect("python starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let figure = |name: &str| -> f64 {
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a line");
        let word = line.split_whitespace().nth(2).expect("a number");
        word.parse().expect("a number")
    };
    // Theirs is tight, and ours never below it; their RDP has fewer orders than ours.
    assert!(figure("PLD:") <= epsilon(&run) + 1e-3, "{text}");
    assert!(
        (figure("RDP:") / epsilon(&run) - 1.0).abs() < 0.05,
        "{text}"
    );
}
