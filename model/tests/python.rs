//! A saved classifier gives the same logits in Python's transformers.

mod support;

use std::path::{Path, PathBuf};
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

/// A classifier, and the folders of which Python is to make the same.
struct Case {
    what: String,
    classifier: Classifier,
    folders: Vec<String>,
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
        let home = tempfile::tempdir().expect("a folder");
        if lacks(home.path(), "torch, transformers, peft") {
            return;
        }
        let cases = of_pooling(pooling).flat_map(|family| {
            let home = home.path().join(family.model_type());
            std::fs::create_dir(&home).expect("a folder");
            with_adapter(family, pooling, targets, &home)
        });
        compare(home.path(), &cases.collect::<Vec<_>>());
    }
}

/// What was trained in a family, merged, and as an adapter that `peft` puts onto the base model.
fn with_adapter(family: &dyn Family, pooling: Pooling, targets: &[&str], home: &Path) -> [Case; 2] {
    let [base, merged, adapter] = ["base", "merged", "adapter"].map(|name| named(home, name));
    let pretrained = tiny(family, pooling);
    pretrained.save(&base, Precision::F32).expect("saved");
    let classifier = adapted(&base, pooling, targets);
    classifier.save(&merged, Precision::F32).expect("saved");
    let [base, merged] = [base, merged].map(text);
    classifier.save_adapter(&adapter, &base).expect("saved");
    let [before, after] =
        [&pretrained, &classifier].map(|model| logits(model, &rows(model), 8).expect("logits"));
    assert_ne!(
        before, after,
        "an adapter that changes nothing shows nothing"
    );
    let what = |kind: &str| format!("{family:?} {pooling} {targets:?}, {kind}");
    [
        Case {
            what: what("merged"),
            classifier: classifier.clone(),
            folders: vec![merged],
        },
        Case {
            what: what("base and adapter"),
            classifier,
            folders: vec![base, text(adapter)],
        },
    ]
}

/// A folder whose own name no other has: Python keeps the code of folders by their names.
fn named(home: &Path, name: &str) -> PathBuf {
    let family = home.file_name().expect("a name").to_str().expect("UTF-8");
    home.join(format!("{name}-{}", family.replace('-', "_")))
}

fn text(path: PathBuf) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The model in a folder with adapters and a head of other numbers than it began with.
fn adapted(base: &Path, pooling: Pooling, targets: &[&str]) -> Classifier {
    let files = ModelFiles::read(base).expect("the model's files");
    let lora = support::lora(targets, false);
    let set = match targets {
        ["all"] => support::with_words(lora),
        _ => lora,
    };
    let options = support::options(pooling, set);
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
    let home = tempfile::tempdir().expect("a folder");
    if lacks(home.path(), "torch, transformers") {
        return;
    }
    let case = |family: &'static dyn Family| {
        let classifier = tiny(family, pooling);
        let name = family.model_type().replace('-', "_");
        let folder = home.path().join(format!("classifier-{name}"));
        classifier.save(&folder, Precision::F32).expect("saved");
        Case {
            what: format!("{family:?} {pooling}"),
            classifier,
            folders: vec![text(folder)],
        }
    };
    compare(
        home.path(),
        &of_pooling(pooling).map(case).collect::<Vec<_>>(),
    );
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

fn rows(classifier: &Classifier) -> Vec<Vec<u32>> {
    let encode = |text: &&str| classifier.encode(text).expect("token ids");
    TEXTS.iter().map(encode).collect()
}

/// Compares classifiers with what Python makes of folders, all of them in one process: it takes
/// longer to start than to compute.
fn compare(home: &Path, cases: &[Case]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transformers_check.py");
    let texts = serde_json::to_string(&TEXTS).expect("JSON");
    let folders: Vec<_> = cases.iter().map(|case| &case.folders).collect();
    let folders = serde_json::to_string(&folders).expect("JSON");
    let printed = python(home, &[script, &texts, &folders]).expect("the script runs");
    let theirs: Vec<Answer> = serde_json::from_str(printed.trim()).expect("the script's JSON");
    assert_eq!(theirs.len(), cases.len());
    for (case, theirs) in cases.iter().zip(&theirs) {
        compare_logits(case, theirs);
    }
}

fn compare_logits(case: &Case, theirs: &Answer) {
    let (classifier, what) = (&case.classifier, &case.what);
    let ours = logits(classifier, &rows(classifier), 8).expect("logits");
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
}

/// Whether Python lacks any of these modules, which is said.
fn lacks(home: &Path, modules: &str) -> bool {
    let Err(reason) = python(home, &["-c", &format!("import {modules}")]) else {
        return false;
    };
    let last = reason.lines().last().unwrap_or_default();
    println!("skipped: Python lacks one of {modules}: {last}");
    true
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
