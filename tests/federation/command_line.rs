//! The command line: answers for people and machines, and errors without panics.

use std::fs;

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench, repository};

/// Runs `umbel` and expects this exit code, these words in the error, and no panic.
fn refused(bench: &Workbench, arguments: &[&str], code: i32, words: &[&str]) {
    let output = bench.umbel(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    for word in words {
        assert!(
            errors.contains(word),
            "{arguments:?}: no {word:?} in {errors}"
        );
    }
    assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
}

#[test]
fn half_precision_is_refused_where_it_isn_t_there() {
    let bench = Workbench::new(12);
    for run in [PRIVATE_GRADIENTS, PLAIN_GRADIENTS] {
        let run = bench.configuration("halved", run, &SITES);
        let run = run.to_str().expect("UTF-8");
        let arguments = ["simulate", run, "--device", "cpu", "--precision", "f16"];
        refused(&bench, &arguments, 6, &["CPU computes in f32", "f16"]);
    }
}

#[test]
fn a_trained_model_evaluates_and_predicts() {
    let bench = Workbench::new(12);
    let run = bench.configuration("usable", PLAIN_GRADIENTS, &SITES);
    let run = bench.simulate(&run, &[]);
    for key in [
        "unit", "rounds", "clients", "seconds", "run_dir", "accuracy", "macro_f1", "delta",
    ] {
        assert!(run.get(key).is_some(), "{key} is missing from {run}");
    }
    let model = bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"))
        .join("model");
    let model = model.to_str().expect("UTF-8");
    let output = bench.umbel(&[
        "evaluate",
        "--model",
        model,
        "--data",
        "pooled.csv",
        "--json",
        "--device",
        "cpu",
    ]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["examples"], 48);
    assert!(
        answer["accuracy"]
            .as_f64()
            .is_some_and(|a| (0.0..=1.0).contains(&a))
    );
    let output = bench.umbel(&[
        "predict",
        "--model",
        model,
        "--text",
        "what a lovely film",
        "--json",
        "--device",
        "cpu",
    ]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let probabilities = answer["probabilities"].as_object().expect("an object");
    let sum: f64 = probabilities
        .values()
        .filter_map(serde_json::Value::as_f64)
        .sum();
    assert!((sum - 1.0).abs() < 1e-5);
    assert!(probabilities.contains_key(answer["label"].as_str().expect("a label")));
}

#[test]
fn configuration_errors_name_the_key() {
    let bench = Workbench::new(2);
    let unknown = format!("{PRIVATE_GRADIENTS}\nwarmth = 3\n");
    let run = bench.configuration("unknown", &unknown, &SITES);
    refused(
        &bench,
        &["simulate", run.to_str().expect("UTF-8")],
        2,
        &["warmth", "line"],
    );
    let run = bench.configuration("good", PRIVATE_GRADIENTS, &SITES);
    let run = run.to_str().expect("UTF-8");
    refused(
        &bench,
        &["simulate", run, "--set", "privacy.epsilon"],
        2,
        &["key=value"],
    );
    refused(
        &bench,
        &["simulate", run, "--set", "privacy.epsilon=-1"],
        2,
        &["epsilon"],
    );
    refused(
        &bench,
        &["simulate", run, "--set", "privacy.epsilonn=1"],
        2,
        &["epsilonn"],
    );
    refused(
        &bench,
        &["simulate", run, "--set", "privacy.sampling_rate=1.5"],
        2,
        &["sampling_rate"],
    );
    refused(
        &bench,
        &["simulate", run, "--set", "model.train=some"],
        2,
        &["some", "encoder"],
    );
    refused(&bench, &["simulate", "nowhere.toml"], 2, &["nowhere.toml"]);
    refused(
        &bench,
        &["simulate", run, "--device", "abacus"],
        2,
        &["abacus"],
    );
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let bench = Workbench::new(2);
    let from = repository().join("examples/sentiment/bert-tiny");
    let to = bench.path().join("damaged");
    fs::create_dir(&to).expect("a folder");
    for file in ["config.json", "tokenizer.json"] {
        fs::copy(from.join(file), to.join(file)).expect("a copy");
    }
    let weights = fs::read(from.join("model.safetensors")).expect("weights");
    let run = bench.configuration("damaged", PRIVATE_GRADIENTS, &SITES);
    let arguments = [
        "simulate",
        run.to_str().expect("UTF-8"),
        "--set",
        "model.base=damaged",
    ];
    for length in [0, 4, 100, 10_000, weights.len() / 2, weights.len() - 1] {
        fs::write(to.join("model.safetensors"), &weights[..length]).expect("a file");
        refused(&bench, &arguments, 6, &["model.safetensors"]);
    }
    fs::remove_file(to.join("model.safetensors")).expect("a file to remove");
    refused(&bench, &arguments, 6, &["model.safetensors"]);
}

#[test]
fn account_draws_a_curve_for_every_noise_multiplier() {
    let bench = Workbench::new(1);
    let output = bench.umbel(&[
        "account",
        "plot",
        "--noise-multiplier",
        "1,2",
        "--sampling-rate",
        "0.05",
        "--steps",
        "100",
        "--delta",
        "1e-5",
    ]);
    let svg = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && svg.starts_with("<svg"), "{svg}");
    assert_eq!(svg.matches("<polyline").count(), 2);
}

#[test]
fn account_answers_for_machines_and_refuses_what_it_cannot_count() {
    let bench = Workbench::new(1);
    let ask = |arguments: &[&str]| -> serde_json::Value {
        let output = bench.umbel(&[&["account"], arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let epsilon = ask(&[
        "epsilon",
        "--noise-multiplier",
        "1",
        "--sampling-rate",
        "0.01",
        "--steps",
        "1000",
        "--delta",
        "1e-5",
    ]);
    for key in [
        "epsilon",
        "epsilon_lower",
        "accountant",
        "adjacency",
        "elapsed_ms",
    ] {
        assert!(epsilon.get(key).is_some(), "{key}");
    }
    let calibrated = ask(&[
        "calibrate",
        "--epsilon",
        "8",
        "--delta",
        "1e-5",
        "--sampling-rate",
        "0.01",
        "--steps",
        "1000",
    ]);
    let reached = calibrated["epsilon"].as_f64().expect("an epsilon");
    assert!(reached <= 8.0 && reached > 7.999, "{reached}");
    refused(
        &bench,
        &[
            "account",
            "epsilon",
            "--noise-multiplier",
            "0",
            "--delta",
            "1e-5",
        ],
        2,
        &["noise multiplier"],
    );
    refused(
        &bench,
        &[
            "account",
            "epsilon",
            "--noise-multiplier",
            "1",
            "--sampling-rate",
            "0.5",
            "--delta",
            "1e-5",
            "--accountant",
            "zcdp",
        ],
        2,
        &["zcdp", "Poisson-sampled"],
    );
}
