//! A saved classifier gives the same logits in Python's transformers.

mod support;

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use umbel_model::{Pooling, Precision, TrainableSet, logits};

const TEXTS: [&str; 3] = [
    "the film was good",
    "bad",
    "a film, a good film, zzz the beds faced a gig and more of it than is ever read to the end",
];

#[derive(Deserialize)]
struct Answer {
    labels: Vec<String>,
    logits: Vec<Vec<f32>>,
}

#[test]
fn a_classifier_pooled_by_mean_gives_the_same_logits_in_transformers() {
    compare(Pooling::Mean);
}

#[test]
fn a_classifier_pooled_by_the_first_token_gives_the_same_logits_in_transformers() {
    compare(Pooling::Cls);
}

#[test]
fn a_classifier_with_a_pooler_gives_the_same_logits_in_transformers() {
    compare(Pooling::Pooler);
}

fn compare(pooling: Pooling) {
    let home = tempfile::tempdir().expect("a folder");
    if let Err(reason) = python(home.path(), &["-c", "import torch, transformers"]) {
        let last = reason.lines().last().unwrap_or_default();
        return println!("skipped: Python has no torch and transformers: {last}");
    }
    let classifier = support::tiny(support::options(pooling, TrainableSet::Full));
    let folder = home.path().join("classifier");
    classifier.save(&folder, Precision::F32).expect("saved");
    let rows: Vec<Vec<u32>> = TEXTS
        .iter()
        .map(|text| classifier.encode(text).expect("token ids"))
        .collect();
    let ours = logits(&classifier, &rows, 8).expect("logits");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transformers_check.py");
    let texts = serde_json::to_string(&TEXTS).expect("JSON");
    let folder = folder.to_str().expect("a path in UTF-8");
    let printed = python(home.path(), &[script, folder, &texts]).expect("the script runs");
    let theirs: Answer = serde_json::from_str(printed.trim()).expect("the script's JSON");

    assert_eq!(theirs.labels, classifier.labels());
    assert_eq!(theirs.logits.len(), ours.len());
    let mut worst = 0.0_f32;
    for (ours, theirs) in ours.iter().zip(&theirs.logits) {
        assert_eq!(ours.len(), theirs.len());
        for (x, y) in ours.iter().zip(theirs) {
            assert!((x - y).abs() <= 1e-4, "{pooling}: {x}, {y}");
            worst = worst.max((x - y).abs());
        }
    }
    println!("{pooling}: logits differ by {worst:e} at most");
}

/// Standard output, or what was wrong.
fn python(home: &Path, arguments: &[&str]) -> Result<String, String> {
    let interpreter = std::env::var("UMBEL_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = Command::new(interpreter)
        .args(arguments)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", home.join("cache"))
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
