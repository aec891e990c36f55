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
        "compare", &slow, &quick, "--json", "--html", "c.html", "--csv", "c.csv",
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
    let curves = fs::read_to_string(bench.path().join("c.csv")).unwrap();
    assert!(curves.starts_with("run,round,accuracy"), "{curves}");
    assert_eq!(curves.lines().count(), 5);
    let table = bench.umbel(&["compare", &slow, &quick]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("learning rate: 0.0001 | 0.01"), "{table}");
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
