//! Probabilities of a released model are calibrated on public rows, and everybody who reads it
//! finds the same ones.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::workbench::{PLAIN_GRADIENTS, Workbench};

/// Rows that are easy to tell apart, of which each `wrong`th has the other label.
fn table(rows: usize, wrong: usize) -> String {
    let mut text = String::from("text,label\n");
    for i in 0..rows {
        let good = i % 2 == 0;
        let words = if good {
            "a lovely good film"
        } else {
            "an awful bad film"
        };
        let named = if i % wrong == 0 { !good } else { good };
        let label = if named { "positive" } else { "negative" };
        let _ = writeln!(text, "{words} {i},{label}");
    }
    text
}

/// A run of ten rounds on these rows, which learns them well and is too sure of the public ones.
fn run(bench: &Workbench, more: &[&str]) -> Value {
    bench.write("site.csv", &table(48, 1_000));
    bench.write("public.csv", &table(210, 7));
    let configuration = bench.configuration("calibrated", PLAIN_GRADIENTS, &["site"]);
    let files = "evaluation.files=[{name=\"public\", path=\"public.csv\"}]";
    let common = [
        "--set",
        files,
        "--set",
        "run.rounds=10",
        "--set",
        "evaluation.every=4",
        "--set",
        "evaluation.rows=50",
        "--device",
        "cpu",
    ];
    bench.simulate(&configuration, &[&common, more].concat())
}

fn evaluate(bench: &Workbench, run: &Value) -> Value {
    let model = Path::new(run["run_dir"].as_str().expect("a folder")).join("model");
    let model = model.to_str().expect("UTF-8");
    let arguments = [
        "--model",
        model,
        "--data",
        "public.csv",
        "--json",
        "--device",
        "cpu",
    ];
    let output = bench.umbel(&[&["evaluate"], &arguments[..]].concat());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("no number: {of}"))
}

fn read(bench: &Workbench, run: &Value, file: &str) -> String {
    let folder = run["run_dir"].as_str().expect("a folder");
    fs::read_to_string(bench.path().join(folder).join(file)).expect("a file of the run")
}

#[test]
fn a_released_model_has_the_temperature_that_its_report_names() {
    let bench = Workbench::new(1);
    let calibrated = run(&bench, &[]);
    let told = &calibrated["judgement"]["calibration"];
    let temperature = number(&told["temperature"]);
    let config: Value =
        serde_json::from_str(&read(&bench, &calibrated, "model/config.json")).expect("JSON");
    assert_eq!(number(&config["umbel_temperature"]), temperature);
    assert!(
        number(&told["now"]["loss"]) < number(&told["before"]["loss"]),
        "{told}"
    );

    let found = evaluate(&bench, &calibrated);
    let close = |a: &Value, b: &Value| (number(a) - number(b)).abs() < 1e-5;
    assert!(close(&found["loss"], &calibrated["loss"]), "{found}");
    assert_eq!(found["accuracy"], calibrated["accuracy"]);
    assert_eq!(found["confusion"], calibrated["judgement"]["confusion"]);

    let plain = run(&bench, &["--set", "evaluation.calibrate=false"]);
    assert_eq!(plain["accuracy"], calibrated["accuracy"]);
    let as_trained = evaluate(&bench, &plain);
    assert!(as_trained["calibration"].get("temperature").is_none());
    let before = &found["calibration"]["before"]["loss"];
    assert!(close(before, &as_trained["loss"]), "{before}, {as_trained}");
}

#[test]
fn every_score_of_a_curve_is_of_the_same_rows_and_the_last_line_has_one() {
    let bench = Workbench::new(1);
    let run = run(&bench, &[]);
    let metrics = read(&bench, &run, "metrics.jsonl");
    let lines: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let scored: Vec<&Value> = lines
        .iter()
        .filter(|line| line.get("accuracy").is_some())
        .collect();
    let rounds: Vec<u64> = scored
        .iter()
        .filter_map(|line| line["round"].as_u64())
        .collect();
    assert_eq!(rounds, [1, 4, 8, 10]);
    for line in scored {
        assert!(line.get("calibrated_loss").is_some(), "{line}");
        // Each 5th of 210 rows: 42.
        let right = number(&line["accuracy"]) * 42.0;
        assert!((right - right.round()).abs() < 1e-9, "{line}");
    }
}
