//! Runs side by side.

use std::fs;

use crate::workbench::{PLAIN_GRADIENTS, SITES, Workbench};

#[test]
fn runs_are_compared_by_what_they_came_to_and_by_what_was_set() {
    let bench = Workbench::new(8);
    let run = bench.configuration("trial", PLAIN_GRADIENTS, &SITES);
    let text = fs::read_to_string(&run).unwrap();
    let files = "\n[evaluation]\nfiles = [{ name = \"all\", path = \"pooled.csv\" }]\n";
    fs::write(&run, text + files).unwrap();
    let folder = |rate: &str| {
        let rate = format!("server.learning_rate={rate}");
        let out = format!("runs-{}", rate.len());
        let report = bench.simulate(&run, &["--seed", "1", "--set", &rate, "--out", &out]);
        report["run_dir"].as_str().unwrap().to_owned()
    };
    let (slow, quick) = (folder("0.0001"), folder("0.01"));
    let output = bench.umbel(&[
        "compare", &slow, &quick, "--json", "--html", "c.html", "--csv", "c.csv", "--svg", "c.svg",
    ]);
    assert!(output.status.success(), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["score"], "accuracy");
    assert_eq!(told["runs"].as_array().unwrap().len(), 2);
    assert_eq!(told["runs"][0]["rounds"], 2);
    let differing = told["differing"].as_object().unwrap();
    let names: Vec<&String> = differing.keys().collect();
    assert_eq!(names, ["learning rate"], "{differing:?}");
    let page = fs::read_to_string(bench.path().join("c.html")).unwrap();
    assert!(page.contains("accuracy by seconds") && page.contains("<strong>0.01</strong>"));
    let figure = fs::read_to_string(bench.path().join("c.svg")).unwrap();
    assert!(figure.contains("accuracy by seconds") && page.contains("Score over time"));
    assert_eq!(told["runs"][0]["virtual_time"], false);
    let over_seconds = told["runs"][0]["over_seconds"].as_array().unwrap();
    assert_eq!(over_seconds.len(), 2, "each round is scored");
    assert!(over_seconds[0][0].as_f64() < over_seconds[1][0].as_f64());
    let curves = fs::read_to_string(bench.path().join("c.csv")).unwrap();
    assert!(curves.starts_with("run,round,accuracy"), "{curves}");
    assert_eq!(curves.lines().count(), 5);
    let table = bench.umbel(&["compare", &slow, &quick]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("learning rate: 0.0001 | 0.01"), "{table}");
}

#[test]
fn runs_in_virtual_time_are_drawn_over_virtual_seconds() {
    let bench = Workbench::new(8);
    let run = bench.configuration("late", PLAIN_GRADIENTS, &SITES);
    let text = fs::read_to_string(&run).unwrap();
    let more = "\n[evaluation]\nevery = 1\nfiles = [{ name = \"all\", path = \"pooled.csv\" }]\n\
                \n[simulation]\ntraining_seconds = 100.0\n";
    fs::write(&run, text + more).unwrap();
    let report = bench.simulate(&run, &["--seed", "1"]);
    let folder = report["run_dir"].as_str().unwrap();
    let output = bench.umbel(&["compare", folder, "--json", "--svg", "c.svg"]);
    assert!(output.status.success(), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let seconds = |i: usize| told["runs"][0]["over_seconds"][i][0].as_f64();
    assert_eq!([seconds(0), seconds(1)], [Some(100.0), Some(200.0)]);
    let figure = fs::read_to_string(bench.path().join("c.svg")).unwrap();
    assert!(figure.contains("accuracy by virtual seconds"));
    let single = ["--seed", "1", "--set", "run.rounds=1"];
    let report = bench.simulate(&run, &single);
    let folder = report["run_dir"].as_str().unwrap();
    let output = bench.umbel(&["compare", folder, "--svg", "none.svg"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!bench.path().join("none.svg").exists());
}

#[test]
fn a_folder_that_is_no_run_is_refused_by_name() {
    let bench = Workbench::new(2);
    let output = bench.umbel(&["compare", "."]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("metrics.jsonl") && error.contains("a run that is over"),
        "{error}"
    );
}
