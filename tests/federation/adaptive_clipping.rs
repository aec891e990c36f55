//! Adaptive clipping in whole runs: it finds its quantile, changes nothing else, and is refused
//! where it can't hold.

use std::fs;

use serde_json::Value;

use crate::workbench::{SITES, Workbench};

/// A run of the classifier's last layer, in which a round is expected to have 80 units.
fn sections(noise_multiplier: f64, learning_rate: f64, more: &str) -> String {
    format!(
        "[privacy]\nunit = \"record\"\nepsilon = 1e6\ndelta = 1e-5\nclipping_norm = 0.5\n\
         sampling_rate = 0.5\nnoise_multiplier = {noise_multiplier}\n\
         allow_weak_noise = true\n{more}\n\
         [training]\nmethod = \"gradients\"\nexpected_batch = 80\n\
         [server]\noptimiser = \"sgd\"\nlearning_rate = {learning_rate}\n"
    )
}

/// A run's metrics, one object a round.
fn metrics(bench: &Workbench, run: &Value) -> Vec<Value> {
    let folder = run["run_dir"].as_str().expect("a run folder");
    let lines = fs::read_to_string(bench.path().join(folder).join("metrics.jsonl"));
    let lines = lines.expect("metrics");
    let metric = |line: &str| serde_json::from_str(line).expect("JSON");
    lines.lines().map(metric).collect()
}

#[test]
fn the_threshold_comes_to_leave_the_asked_for_share_unclipped() {
    let bench = Workbench::new(40);
    for quantile in [0.3, 0.8] {
        // The model all but stands still, so that its norms do.
        let adaptive =
            format!("[privacy.adaptive_clipping]\nquantile = {quantile}\nlearning_rate = 0.5\n");
        let name = format!("quantile-{quantile}");
        let run = bench.configuration(&name, &sections(1.0, 1e-9, &adaptive), &SITES);
        let run = bench.simulate(
            &run,
            &[
                "--seed",
                "1",
                "--set",
                "run.rounds=40",
                "--set",
                "model.train=head",
            ],
        );
        let late: Vec<f64> = metrics(&bench, &run)[20..]
            .iter()
            .map(|metric| metric["unclipped"].as_f64().expect("a share"))
            .collect();
        let mean = late.iter().sum::<f64>() / late.len() as f64;
        // 20 shares, each off by 0.05 of noise and as much of sampling.
        assert!((mean - quantile).abs() < 0.1, "{quantile}: {late:?}");
        let folder = run["run_dir"].as_str().expect("a run folder");
        let verified = bench.umbel(&["verify", folder]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(verified.status.success(), "{said}");
    }
}

/// The numbers of a run's released weights.
fn weights(bench: &Workbench, run: &Value) -> Vec<f32> {
    let file = bench.weights(run);
    let header = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let (numbers, _) = file[8 + header..].as_chunks::<4>();
    numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn with_a_threshold_that_stays_steps_are_those_of_fixed_clipping() {
    let bench = Workbench::new(40);
    let stays = "[privacy.adaptive_clipping]\nlearning_rate = 1e-9\n";
    let result = |name: &str, learning_rate: f64, adaptive: &str| {
        let sections = sections(0.01, learning_rate, adaptive);
        let run = bench.configuration(name, &sections, &SITES);
        let more = [
            "--seed",
            "1",
            "--set",
            "model.train=head",
            "--set",
            "privacy.sampling_rate=1",
        ];
        weights(&bench, &bench.simulate(&run, &more))
    };
    let start = result("start", 1e-12, "");
    let fixed = result("fixed", 0.5, "");
    let adaptive = result("adaptive", 0.5, stays);
    let moved = distance(&fixed, &start);
    assert!(moved > 0.01, "{moved}");
    // The noise of two rounds, and the slack of 2^-10 that only fixed clipping leaves.
    assert!(distance(&adaptive, &fixed) < 0.02 * moved);
}

#[test]
fn what_clipping_can_not_adapt_to_is_refused() {
    let bench = Workbench::new(4);
    let adaptive = "[privacy.adaptive_clipping]\n";
    let refused = |name: &str, sections: &str, more: &[&str], reason: &str| {
        let run = bench.configuration(name, sections, &SITES);
        let path = run.to_str().expect("UTF-8");
        let output = bench.umbel(&[&["simulate", path], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(
            said.contains("adaptive_clipping") && said.contains(reason),
            "{name}: {said}"
        );
    };
    let record = |sigma| sections(sigma, 0.5, adaptive);
    // 80 units are expected, and 20 · 4.1 would be needed.
    refused("small", &record(4.1), &[], "at least 82 units");
    refused(
        "local",
        &record(1.0),
        &["--set", "privacy.noise=local"],
        "central",
    );
    for rule in ["automatic", "residual"] {
        let set = format!("privacy.clipping={rule}");
        refused(rule, &record(1.0), &["--set", &set], "flat");
    }
    refused(
        "quantile",
        &record(1.0),
        &["--set", "privacy.adaptive_clipping.quantile=1.5"],
        "above 0 and below 1",
    );
    let clients = crate::combinations::sections("client", "deltas", "central");
    let clients = clients.replace(
        "\n[training]",
        "\n[privacy.adaptive_clipping]\n\n[training]",
    );
    refused("clients", &clients, &[], "expected");
    let none = crate::combinations::sections("none", "gradients", "central");
    let none = none.replace(
        "\n[training]",
        "\n[privacy.adaptive_clipping]\n\n[training]",
    );
    refused("none", &none, &[], "clips nothing");
}

#[test]
fn whole_clients_are_clipped_adaptively_too() {
    let bench = Workbench::new(4);
    let sections = "[privacy]\nunit = \"client\"\nepsilon = 1e7\ndelta = 1e-5\nclipping_norm = 0.01\n\
         noise_multiplier = 0.05\nallow_weak_noise = true\n\
         [privacy.adaptive_clipping]\nlearning_rate = 1.0\n\
         [training]\nmethod = \"deltas\"\n[training.local]\noptimiser = \"sgd\"\nsteps = 1\n\
         batch = 4\nlearning_rate = 0.1\n[server]\noptimiser = \"sgd\"\nlearning_rate = 1e-9\n";
    let run = bench.configuration("clients", sections, &SITES);
    let more = [
        "--seed",
        "1",
        "--set",
        "run.rounds=30",
        "--set",
        "model.train=head",
    ];
    let run = bench.simulate(&run, &more);
    let metrics = metrics(&bench, &run);
    let threshold = |round: usize| {
        metrics[round]["clipping_threshold"]
            .as_f64()
            .expect("a number")
    };
    let unclipped = |round: usize| metrics[round]["unclipped"].as_f64().expect("a number");
    // Who took part is what such a run hides.
    assert!(
        run["clients"].is_null() && run["participation"].is_null() && run["bytes_up"].is_null()
    );
    assert!(
        metrics
            .iter()
            .all(|metric| metric["clients"].is_null() && metric["missing"].is_null())
    );
    // All four are clipped at first; later about half of them.
    assert!(unclipped(0) < 0.3, "{}", unclipped(0));
    let late: f64 = (15..30).map(unclipped).sum::<f64>() / 15.0;
    assert!((late - 0.5).abs() < 0.2, "{late}");
    assert!(threshold(29) > 0.01, "{}", threshold(29));
}
