//! Trainable sets and clipping rules from the configuration to the released model.

use std::fs;
use std::path::PathBuf;

use crate::combinations::sections;
use crate::equality::largest_difference;
use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench};

fn folder(bench: &Workbench, run: &serde_json::Value) -> PathBuf {
    bench
        .path()
        .join(run["run_dir"].as_str().expect("a run folder"))
}

#[test]
fn biases_and_adapters_train_with_gradients_and_with_deltas() {
    let bench = Workbench::new(12);
    let sums = [
        ("record", "gradients", "central"),
        ("record", "deltas", "local"),
        ("client", "deltas", "central"),
        ("none", "gradients", "central"),
    ];
    for (unit, method, noise) in sums {
        let words = "model.lora.words=0.5";
        for (train, more) in [
            ("bias", &[][..]),
            ("lora", &[]),
            ("lora", &["--set", words]),
        ] {
            let name = format!("{train}-{unit}-{method}-{noise}-{}", more.len());
            let run = bench.configuration(&name, &sections(unit, method, noise), &SITES);
            let set = format!("model.train={train}");
            let run = bench.simulate(&run, &[&["--seed", "1", "--set", &set], more].concat());
            assert_eq!(run["ending"], "complete", "{name}");
            let folder = folder(&bench, &run);
            let saved = folder.join("adapter/adapter_model.safetensors").exists();
            assert_eq!(saved, train == "lora", "{name}");
            let model = folder.join("model");
            let evaluated = bench.umbel(&[
                "evaluate",
                "--model",
                model.to_str().expect("UTF-8"),
                "--data",
                "pooled.csv",
                "--device",
                "cpu",
            ]);
            assert!(evaluated.status.success(), "{name}");
        }
    }
}

#[test]
fn four_sites_train_the_adapters_that_the_pooled_rows_train() {
    let bench = Workbench::new(12);
    for adapters in ["freeze_a=true", "freeze_a=false", "words=0.3"] {
        let adapters = format!("model.lora.{adapters}");
        let more = [
            "--set",
            "model.train=lora",
            "--set",
            "model.lora.targets=[\"all\"]",
            "--set",
            &adapters,
            "--set",
            "run.rounds=10",
        ];
        let federated = bench.configuration("federated", PLAIN_GRADIENTS, &SITES);
        let federated = bench.simulate(&federated, &more);
        let pooled = bench.configuration("pooled", PLAIN_GRADIENTS, &["pooled"]);
        let pooled = bench.simulate(&pooled, &more);
        let difference = largest_difference(&bench.weights(&federated), &bench.weights(&pooled));
        println!("{adapters}: largest difference {difference:e}");
        assert!(difference <= 1e-5, "{difference}");
    }
}

#[test]
fn freezing_a_halves_what_adapters_send() {
    let bench = Workbench::new(4);
    let run = bench.configuration("traffic", PLAIN_GRADIENTS, &SITES);
    let sent = |train: &[&str]| {
        let run = bench.simulate(&run, &[&["--set", "run.rounds=1"], train].concat());
        let folder = bench
            .path()
            .join(run["run_dir"].as_str().expect("a folder"));
        let plan = fs::read(folder.join("plan.json")).expect("a plan");
        let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
        let numbers = plan["classifier"]["parameters"].as_u64().expect("a count");
        (numbers, run["bytes_up"].as_u64().expect("bytes"))
    };
    let head = sent(&["--set", "model.train=head"]);
    let lora = sent(&["--set", "model.train=lora"]);
    let frozen = sent(&[
        "--set",
        "model.train=lora",
        "--set",
        "model.lora.freeze_a=true",
    ]);
    // On square layers A and B are of one size, and everything else is the same.
    assert_eq!(lora.0 - head.0, 2 * (frozen.0 - head.0));
    // In the first round A has no gradient yet, and zeros take next to nothing.
    assert!(
        (head.1..lora.1).contains(&frozen.1),
        "{head:?} {frozen:?} {lora:?}"
    );
}

#[test]
fn each_rule_of_clipping_costs_the_same_and_trains_another_model() {
    let bench = Workbench::new(12);
    let run = bench.configuration("clipping", PRIVATE_GRADIENTS, &SITES);
    let runs = ["flat", "automatic", "residual"].map(|rule| {
        let rule = format!("privacy.clipping={rule}");
        bench.simulate(&run, &["--seed", "5", "--set", &rule])
    });
    let flat = &runs[0];
    for (place, run) in runs.iter().enumerate() {
        assert_eq!(flat["epsilon"], run["epsilon"]);
        assert_eq!(run["ending"], "complete");
        for other in &runs[..place] {
            assert_ne!(bench.weights(other), bench.weights(run));
        }
    }
}

#[test]
fn adapters_and_clipping_that_can_not_be_are_refused_by_their_key() {
    let bench = Workbench::new(2);
    let refusals: [(&[&str], &[&str]); 9] = [
        (
            &["model.train=lara"],
            &["model.train", "lara", "full, encoder, lora, bias, head"],
        ),
        (&["model.lora.rank=4"], &["model.lora", "encoder"]),
        (
            &["model.train=lora", "model.lora.rank=0"],
            &["model.lora", "rank"],
        ),
        (
            &["model.train=lora", "model.lora.rank=500"],
            &["rank", "hidden size"],
        ),
        (
            &["model.train=lora", "model.lora.alpha=-1.0"],
            &["model.lora", "alpha"],
        ),
        (
            &["model.train=lora", "model.lora.targets=[\"dense\"]"],
            &["model.lora", "dense", "attention-output"],
        ),
        (
            &["model.train=lora", "model.lora.words=0.0"],
            &["model.lora", "words"],
        ),
        (&["model.train=lora", "model.lora.warmth=1"], &["warmth"]),
        (&["privacy.clipping=automatical"], &["automatical"]),
    ];
    for (overrides, words) in refusals {
        let run = bench.configuration("refused", PRIVATE_GRADIENTS, &SITES);
        let mut arguments = vec!["simulate", run.to_str().expect("UTF-8")];
        arguments.extend(overrides.iter().flat_map(|text| ["--set", text]));
        let output = bench.umbel(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{overrides:?}");
        assert!(!errors.contains("panicked"), "{overrides:?}: {errors}");
        for word in words {
            assert!(
                errors.contains(word),
                "{overrides:?}: no {word} in {errors}"
            );
        }
    }
    let client = sections("client", "deltas", "central");
    let run = bench.configuration("client", &client, &SITES);
    let run = run.to_str().expect("UTF-8");
    for rule in ["automatic", "residual"] {
        let rule = format!("privacy.clipping={rule}");
        let output = bench.umbel(&["simulate", run, "--set", &rule]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("privacy.clipping"), "{errors}");
    }
}
