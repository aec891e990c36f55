//! A saved classifier gives the same logits in Python's transformers.

mod support;

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use umbel_model::families::{FAMILIES, Family};
use umbel_model::{Classifier, DeviceChoice, ModelFiles, Pooling, Precision, TrainableSet, logits};

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
    compare_all(Pooling::Mean);
}

#[test]
fn a_classifier_pooled_by_the_first_token_gives_the_same_logits_in_transformers() {
    compare_all(Pooling::Cls);
}

#[test]
fn a_classifier_with_a_pooler_gives_the_same_logits_in_transformers() {
    compare_all(Pooling::Pooler);
}

#[test]
fn a_decoder_that_reads_the_last_token_gives_the_same_logits_in_transformers() {
    compare_all(Pooling::Last);
}

#[test]
fn a_merged_classifier_and_its_adapter_on_the_base_give_the_same_logits_in_python() {
    for (pooling, targets) in [
        (Pooling::Mean, &["query", "value"][..]),
        (Pooling::Pooler, &["all"]),
        (Pooling::Cls, &["attention-output", "output"]),
        (Pooling::Last, &["all"]),
        (Pooling::Last, &["query", "value"]),
    ] {
        for family in of_pooling(pooling) {
            compare_adapter(family, pooling, targets);
        }
    }
}

/// Merged, and as an adapter that `peft` puts onto the base model.
fn compare_adapter(family: &dyn Family, pooling: Pooling, targets: &[&str]) {
    let home = tempfile::tempdir().expect("a folder");
    if let Err(reason) = python(home.path(), &["-c", "import torch, transformers, peft"]) {
        let last = reason.lines().last().unwrap_or_default();
        return println!("skipped: Python has no torch, transformers and peft: {last}");
    }
    let [base, merged, adapter] = ["base", "merged", "adapter"].map(|name| home.path().join(name));
    let pretrained = tiny(family, pooling);
    pretrained.save(&base, Precision::F32).expect("saved");
    let classifier = adapted(&base, pooling, targets);
    classifier.save(&merged, Precision::F32).expect("saved");
    let base = base.to_str().expect("a path in UTF-8");
    classifier.save_adapter(&adapter, base).expect("saved");

    let merged = merged.to_str().expect("a path in UTF-8");
    let adapter = adapter.to_str().expect("a path in UTF-8");
    let ours = compare_logits(home.path(), &classifier, &[merged], "merged");
    compare_logits(
        home.path(),
        &classifier,
        &[base, adapter],
        "base and adapter",
    );
    let before = logits(&pretrained, &rows(&pretrained), 8).expect("logits");
    assert_ne!(
        ours, before,
        "an adapter that changes nothing shows nothing"
    );
}

/// The model in a folder with adapters and a head of other numbers than it began with.
fn adapted(base: &Path, pooling: Pooling, targets: &[&str]) -> Classifier {
    let files = ModelFiles::read(base).expect("the model's files");
    let options = support::options(pooling, support::lora(targets, false));
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let mut classifier =
        Classifier::load_without_head(&files, options, &device).expect("a classifier");
    let parameters = classifier.parameters();
    let moved = parameters.iter().enumerate();
    let moved: Vec<f32> = moved.map(|(i, x)| x + 0.2 * (i as f32).sin()).collect();
    classifier.set_parameters(&moved).expect("parameters");
    classifier
}

fn compare_all(pooling: Pooling) {
    for family in of_pooling(pooling) {
        compare(family, pooling);
    }
}

/// The families that can have a pooling.
fn of_pooling(pooling: Pooling) -> impl Iterator<Item = &'static dyn Family> {
    let families = FAMILIES.iter().copied();
    families.filter(move |family| family.poolings().contains(&pooling))
}

fn tiny(family: &dyn Family, pooling: Pooling) -> Classifier {
    let options = support::options(pooling, TrainableSet::Full);
    support::tiny_of(family, &DeviceChoice::Cpu, options).expect("the CPU")
}

fn compare(family: &dyn Family, pooling: Pooling) {
    let home = tempfile::tempdir().expect("a folder");
    if let Err(reason) = python(home.path(), &["-c", "import torch, transformers"]) {
        let last = reason.lines().last().unwrap_or_default();
        return println!("skipped: Python has no torch and transformers: {last}");
    }
    let classifier = tiny(family, pooling);
    let folder = home.path().join("classifier");
    classifier.save(&folder, Precision::F32).expect("saved");
    let folder = folder.to_str().expect("a path in UTF-8");
    let what = format!("{family:?} {pooling}");
    compare_logits(home.path(), &classifier, &[folder], &what);
}

fn rows(classifier: &Classifier) -> Vec<Vec<u32>> {
    let encode = |text: &&str| classifier.encode(text).expect("token ids");
    TEXTS.iter().map(encode).collect()
}

/// Compares a classifier with what Python makes of folders, and returns its logits.
fn compare_logits(
    home: &Path,
    classifier: &Classifier,
    folders: &[&str],
    what: &str,
) -> Vec<Vec<f32>> {
    let ours = logits(classifier, &rows(classifier), 8).expect("logits");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transformers_check.py");
    let texts = serde_json::to_string(&TEXTS).expect("JSON");
    let arguments = [&[script, texts.as_str()], folders].concat();
    let printed = python(home, &arguments).expect("the script runs");
    let theirs: Answer = serde_json::from_str(printed.trim()).expect("the script's JSON");

    assert_eq!(theirs.labels, classifier.labels());
    assert_eq!(theirs.logits.len(), ours.len());
    let mut worst = 0.0_f32;
    for (ours, theirs) in ours.iter().zip(&theirs.logits) {
        assert_eq!(ours.len(), theirs.len());
        for (x, y) in ours.iter().zip(theirs) {
            assert!((x - y).abs() <= 1e-4, "{what}: {x}, {y}");
            worst = worst.max((x - y).abs());
        }
    }
    println!("{what}: logits differ by {worst:e} at most");
    ours
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
