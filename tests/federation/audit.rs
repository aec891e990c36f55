//! `umbel audit` as a command: what it prints, what it refuses, and that it reads no rows.

use serde_json::Value;

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

/// The answer of an audit that contradicts nothing.
fn audited(bench: &Workbench, arguments: &[&str]) -> Value {
    let output = bench.umbel(&[&["audit"], arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn refused(bench: &Workbench, arguments: &[&str], words: &str) {
    let output = bench.umbel(&[&["audit"], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert!(errors.contains(words), "{arguments:?}: {errors}");
}

const GAUSSIAN: [&str; 4] = ["--noise-multiplier", "1", "--delta", "1e-6"];

#[test]
fn a_mechanism_is_audited_beside_its_claim_and_the_same_with_the_same_seed() {
    let bench = Workbench::new(2);
    let ask = || {
        audited(
            &bench,
            &[&GAUSSIAN[..], &["--seed", "1", "--canaries", "400000"]].concat(),
        )
    };
    let (answer, again) = (ask(), ask());
    let number = |key: &str| answer[key].as_f64().expect(key);
    assert_eq!(answer["contradicted"], false);
    assert!(number("lower_bound") > 0.0);
    assert!(number("lower_bound") <= number("claimed_epsilon"));
    assert!(number("expected_bound_with_halved_noise") > number("claimed_epsilon"));
    assert_eq!(answer["notices_halved_noise"], true);
    assert_eq!(answer["confidence"], 0.95);
    assert_eq!(answer["charged"], answer["released"]);
    assert!(answer["client_estimate"].is_null());
    assert_eq!(answer["correct"], again["correct"]);
}

#[test]
fn clients_get_an_estimate_besides() {
    let bench = Workbench::new(2);
    let few = ["--unit", "client", "--canaries", "1000"];
    let answer = audited(&bench, &[&GAUSSIAN[..], &few].concat());
    assert!(answer["client_estimate"].as_f64().is_some(), "{answer}");
}

#[test]
fn a_configuration_is_audited_without_its_tables() {
    let bench = Workbench::new(2);
    let run = bench.configuration("audited", PRIVATE_GRADIENTS, &SITES);
    for site in SITES {
        std::fs::remove_file(bench.path().join(format!("{site}.csv"))).expect("removed");
    }
    let run = run.to_str().expect("UTF-8");
    let answer = audited(&bench, &[run, "--canaries", "1000"]);
    assert_eq!(answer["unit"], "record");
    assert!(answer["rounds"].as_u64().is_some_and(|rounds| rounds > 0));
    refused(
        &bench,
        &[run, "--set", "privacy.unit=none"],
        "protects nobody",
    );
}

#[test]
fn what_cannot_be_audited_is_refused_in_words() {
    let bench = Workbench::new(2);
    refused(&bench, &[], "nothing to audit");
    refused(&bench, &["--noise-multiplier", "1"], "nothing to audit");
    let with = |more: &[&'static str]| [&GAUSSIAN[..], more].concat();
    refused(&bench, &with(&["--unit", "none"]), "no epsilon to audit");
    refused(&bench, &with(&["--canaries", "3"]), "use 100 to 1000000");
    refused(&bench, &with(&["--rounds", "0"]), "0 rounds");
    refused(&bench, &with(&["--confidence", "1"]), "isn't a confidence");
    refused(
        &bench,
        &with(&["--sampling-rate", "2"]),
        "isn't a sampling rate",
    );
    refused(
        &bench,
        &["--noise-multiplier", "nan", "--delta", "1e-5"],
        "noise multiplier",
    );
}
