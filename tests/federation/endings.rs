//! How runs end when they don't end well, and what they leave.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

#[test]
fn a_run_stops_before_the_round_that_its_budget_does_not_allow() {
    let bench = Workbench::new(12);
    let run = bench.configuration("budget", PRIVATE_GRADIENTS, &SITES);
    let path = run.to_str().expect("UTF-8");
    let output = bench.umbel(&[
        "simulate",
        path,
        "--json",
        "--set",
        "run.rounds=50",
        "--set",
        "privacy.noise_multiplier=1.0",
    ]);
    assert_eq!(
        output.status.code(),
        Some(5),
        "budget exhausted has a code of its own"
    );
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(run["ending"], "budget-exhausted");
    let rounds = run["rounds"].as_u64().expect("a count");
    assert!((1..50).contains(&rounds), "{rounds}");
    let epsilon = run["epsilon"].as_f64().expect("an epsilon");
    assert!(epsilon <= 8.0, "{epsilon}");
    let folder = bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"));
    let entries = fs::read_to_string(folder.join("ledger.jsonl"))
        .expect("a ledger")
        .lines()
        .count();
    assert_eq!(entries as u64, rounds);
    assert!(
        bench.weights(&run).len() > 1_000_000,
        "the last model is kept"
    );
    let report = fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(
        report.to_lowercase().contains("budget"),
        "the report says why it ended"
    );

    // One more round really would have cost too much.
    let account = |steps: u64| {
        let steps = steps.to_string();
        let output = bench.umbel(&[
            "account",
            "epsilon",
            "--noise-multiplier",
            "1.0",
            "--sampling-rate",
            "0.5",
            "--steps",
            &steps,
            "--delta",
            "1e-5",
            "--json",
        ]);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["epsilon"].as_f64().expect("an epsilon")
    };
    assert!((account(rounds) - epsilon).abs() < 1e-9);
    assert!(account(rounds + 1) > 8.0);
}

#[test]
fn a_ledger_that_is_kept_adds_up_over_runs() {
    let bench = Workbench::new(12);
    let run = bench.configuration("kept", PRIVATE_GRADIENTS, &SITES);
    let keep = [
        "--set",
        "privacy.ledger=kept.jsonl",
        "--set",
        "privacy.noise_multiplier=3.0",
    ];
    let first = bench.simulate(&run, &keep);
    let second = bench.simulate(&run, &keep);
    let epsilon = |run: &serde_json::Value| run["epsilon"].as_f64().expect("an epsilon");
    assert!(epsilon(&second) > epsilon(&first));
    let ledger = fs::read_to_string(bench.path().join("kept.jsonl")).expect("the ledger");
    assert_eq!(ledger.lines().count(), 4);
}

#[test]
fn rows_under_a_name_that_a_kept_ledger_doesnt_know_need_a_word() {
    let bench = Workbench::new(12);
    let run = bench.configuration("kept", PRIVATE_GRADIENTS, &SITES);
    let keep = ["--set", "privacy.ledger=kept.jsonl"];
    bench.simulate(&run, &keep);
    let path = run.to_str().expect("UTF-8");
    // A renamed run would begin at 0 on the same rows.
    let renamed = ["simulate", path, "--set", "run.name=another"];
    let output = bench.umbel(&[&renamed, keep.as_slice()].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{errors}");
    assert!(errors.contains("spending on \"kept\""), "{errors}");
    assert!(errors.contains("none on \"another\""), "{errors}");
    assert!(errors.contains("--new-data-set"), "{errors}");
    let output = bench.umbel(&[&renamed, keep.as_slice(), &["--new-data-set"]].concat());
    assert!(output.status.success());
}

#[test]
fn a_damaged_ledger_stops_the_run_and_a_torn_last_line_does_not() {
    let bench = Workbench::new(12);
    let run = bench.configuration("torn", PRIVATE_GRADIENTS, &SITES);
    let path = run.to_str().expect("UTF-8");
    let keep = [
        "--set",
        "privacy.ledger=torn.jsonl",
        "--set",
        "privacy.noise_multiplier=3.0",
    ];
    bench.simulate(&run, &keep);
    let ledger = fs::read_to_string(bench.path().join("torn.jsonl")).expect("the ledger");
    bench.write("torn.jsonl", &ledger[..ledger.len() - 20]);
    bench.simulate(&run, &keep);
    let ledger = fs::read_to_string(bench.path().join("torn.jsonl")).expect("the ledger");
    assert_eq!(ledger.lines().count(), 3);
    bench.write(
        "torn.jsonl",
        &ledger.replacen("\"round\":1", "\"round\":9", 1),
    );
    let output = bench.umbel(&[&["simulate", path], keep.as_slice()].concat());
    assert_eq!(output.status.code(), Some(8));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("line 1") || errors.contains("entry 0"),
        "{errors}"
    );
}

#[test]
fn a_client_that_cannot_read_its_data_is_named_and_the_run_ends() {
    let bench = Workbench::new(12);
    let run = bench.configuration("stray", PRIVATE_GRADIENTS, &SITES);
    bench.write("nyt.csv", "text,label\r\n\"a stray \" quote\",positive\r\n");
    let output = bench.umbel(&["simulate", run.to_str().expect("UTF-8")]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("nyt.csv") && errors.contains("row 1"),
        "{errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn a_run_goes_on_without_a_failed_client_where_its_minimum_allows() {
    let bench = Workbench::new(12);
    let run = bench.configuration("minimum", PRIVATE_GRADIENTS, &SITES);
    bench.write("nyt.csv", "text,label\r\nsome text,neutral\r\n");
    let run = bench.simulate(&run, &["--set", "federation.minimum=3"]);
    assert_eq!(run["ending"], "complete");
    let clients = run["participation"].as_array().expect("a list");
    let nyt = clients
        .iter()
        .find(|c| c["name"] == "nyt")
        .expect("nyt is listed");
    assert_eq!(nyt["rounds_taken_part"], 0);
    assert!(nyt["left_out_reason"].is_string());
}

/// One unit is one user at a site.
const GROUPED: &str = "\
[privacy]
unit = \"group\"
epsilon = 8.0
delta = 1e-5
clipping_norm = 0.5
noise_multiplier = 3.0

[training]
method = \"gradients\"
expected_batch = 4

[server]
optimiser = \"sgd\"
learning_rate = 0.1
";

/// Runs a simulation that fails: its exit code, its JSON, its folder, and what it says.
fn failed_run(bench: &Workbench, run: &Path, more: &[&str]) -> (i32, Value, PathBuf, String) {
    let path = run.to_str().expect("UTF-8");
    let output = bench.umbel(&[&["simulate", path, "--json"], more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let run: Value = serde_json::from_slice(&output.stdout).expect(&said);
    let folder = bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"));
    (
        output.status.code().expect("an exit code"),
        run,
        folder,
        said,
    )
}

/// Nothing in the folder could be taken for a protected model.
fn holds_no_model(bench: &Workbench, folder: &Path) {
    for name in ["model", "adapter", "certificate.json", "certificate.html"] {
        assert!(!folder.join(name).exists(), "{name}");
    }
    let report = fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(report.contains("protection nobody"), "no green headline");
    let output = bench.umbel(&["verify", folder.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{said}");
    assert!(said.contains("nothing was released"), "{said}");
}

#[test]
fn a_run_that_diverges_stops_at_once_and_keeps_the_rest_of_its_budget() {
    let bench = Workbench::new(12);
    let run = bench.configuration("diverged", PRIVATE_GRADIENTS, &SITES);
    let set = [
        "--set",
        "run.rounds=5",
        "--set",
        "server.learning_rate=1e20",
    ];
    let (code, run, folder, said) = failed_run(&bench, &run, &set);
    assert_eq!(code, 11, "{said}");
    assert_eq!(
        (&run["ending"], &run["rounds"]),
        (&"failed".into(), &1.into())
    );
    assert_eq!(run["diverged_in_round"], 1);
    let reason = run["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("diverged in round 1") && reason.contains("lower learning rate"),
        "{reason}"
    );
    let epsilon = run["epsilon"].as_f64().expect("an epsilon");
    assert!(epsilon > 0.0 && epsilon < 7.0, "{epsilon}");
    let lines = |name: &str| {
        fs::read_to_string(folder.join(name))
            .expect(name)
            .lines()
            .count()
    };
    assert_eq!((lines("ledger.jsonl"), lines("metrics.jsonl")), (1, 1));
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
    assert!(metrics.contains("\"diverged\":true"), "{metrics}");
    let report = fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(report.contains("Diverged"), "the report says why it ended");
    holds_no_model(&bench, &folder);
}

#[test]
fn a_site_whose_own_steps_diverge_says_so() {
    let bench = Workbench::new(12);
    let sections = "\
[privacy]
unit = \"none\"

[training]
method = \"deltas\"
local = { optimiser = \"sgd\", steps = 4, batch = 4, learning_rate = 1e30 }

[server]
optimiser = \"sgd\"
learning_rate = 1.0
";
    let run = bench.configuration("local", sections, &SITES);
    let (code, run, folder, said) = failed_run(&bench, &run, &[]);
    assert_eq!(code, 11, "{said}");
    assert!(said.contains("training at this site diverged"), "{said}");
    assert_eq!(
        (&run["ending"], &run["rounds"]),
        (&"failed".into(), &0.into())
    );
    holds_no_model(&bench, &folder);
}

#[test]
fn a_run_whose_budget_allows_no_round_leaves_no_model_and_no_certificate() {
    let bench = Workbench::new(12);
    let run = bench.configuration("none", PRIVATE_GRADIENTS, &SITES);
    let set = [
        "--set",
        "privacy.epsilon=0.01",
        "--set",
        "privacy.noise_multiplier=1.0",
    ];
    let (code, run, folder, said) = failed_run(&bench, &run, &set);
    assert_eq!(code, 5, "{said}");
    assert_eq!(
        (&run["ending"], &run["rounds"]),
        (&"budget-exhausted".into(), &0.into())
    );
    assert!(run["model_sha256"].is_null());
    holds_no_model(&bench, &folder);
}

#[test]
fn ids_that_tell_nobody_apart_end_the_run_before_anything_is_spent() {
    let bench = Workbench::new(4);
    let run = bench.configuration("ids", GROUPED, &["a"]);
    let set = ["--set", "data.group=patient"];
    for (ids, words) in [
        (["p1", "nan", "nan", "p2"], "the group is missing"),
        (
            ["p2", "P2", "7", "7.0"],
            "\"7\" (row 3) and \"7.0\" (row 4)",
        ),
    ] {
        let rows = ids.map(|id| format!("a film,positive,{id}\r\n"));
        bench.write("a.csv", &format!("text,label,patient\r\n{}", rows.concat()));
        let path = run.to_str().expect("UTF-8");
        let output = bench.umbel(&[&["simulate", path], set.as_slice()].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!bench.path().join("runs").exists(), "nothing is made");
    }
}

#[test]
fn a_run_whose_public_scores_get_no_better_ends_a_round_later_however_often_it_is_run() {
    let bench = Workbench::new(12);
    let sections = format!(
        "{PRIVATE_GRADIENTS}\n[evaluation]\nevery = 1\nstop_after = 2\n\
         [[evaluation.files]]\nname = \"public\"\npath = \"pooled.csv\"\n"
    )
    // Steps so small that no score can change.
    .replace("learning_rate = 1e-3", "learning_rate = 1e-30");
    let run = bench.configuration("settled", &sections, &SITES);
    let path = run.to_str().expect("UTF-8");
    for _ in 0..2 {
        let output = bench.umbel(&[
            "simulate",
            path,
            "--json",
            "--seed",
            "3",
            "--set",
            "run.rounds=30",
        ]);
        let errors = String::from_utf8_lossy(&output.stderr);
        let run: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}"));
        // The first evaluation is the best, the two after it are no better, and the round that
        // sites trained for meanwhile is the last.
        assert_eq!(
            (&run["rounds"], &run["ending"]),
            (&4.into(), &"stopped".into()),
            "{run}"
        );
        assert!(bench.weights(&run).len() > 1_000_000);
    }
    let without = sections.replace(
        "[[evaluation.files]]\nname = \"public\"\npath = \"pooled.csv\"\n",
        "",
    );
    let run = bench.configuration("nothing-to-look-at", &without, &SITES);
    let output = bench.umbel(&["simulate", run.to_str().expect("UTF-8")]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("evaluation.stop_after"), "{errors}");
}
