//! A limit on updates' norms.

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench};

/// Averages of what clients' own steps came to, one of which takes far larger ones.
const DELTAS: &str = "\
[privacy]
unit = \"none\"

[training]
method = \"deltas\"
micro_batch = 4

[training.local]
optimiser = \"sgd\"
steps = 2
batch = 4
learning_rate = 1.0

[server]
optimiser = \"sgd\"
learning_rate = 1.0
";

/// The released weights as numbers, behind the header of the file.
fn numbers(file: &[u8]) -> Vec<f32> {
    let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let weights = file[8 + header..].chunks_exact(4);
    weights
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

fn distance(one: &[f32], other: &[f32]) -> f64 {
    let squares = one.iter().zip(other);
    let squares = squares.map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn no_client_moves_the_model_further_than_the_limit() {
    let bench = Workbench::new(12);
    let run = bench.configuration("long", DELTAS, &SITES);
    let released = |more: &[&str]| {
        let settings = ["--seed", "7", "--set", "run.rounds=1"];
        let report = bench.simulate(&run, &[&settings[..], more].concat());
        numbers(&bench.weights(&report))
    };
    let start = released(&["--set", "training.local.learning_rate=1e-12"]);
    let free = released(&[]);
    let moved = distance(&start, &free);
    assert!(moved > 0.1, "{moved}");
    // A limit beyond all updates changes nothing, to the last bit.
    assert!(released(&["--set", "server.update_norm=1e6"]) == free);
    for limit in [1e-2, 1e-3] {
        let setting = format!("server.update_norm={limit}");
        let moved = distance(&start, &released(&["--set", &setting]));
        // The mean of four updates of that norm; they point much the same way.
        assert!(moved <= limit * 1.001, "{limit}: {moved}");
        assert!(moved > limit * 0.2, "{limit}: {moved}");
    }
    // It goes with the other rules, too.
    let settings = [
        "--set",
        "server.aggregate=median",
        "--set",
        "server.update_norm=1e-3",
    ];
    assert!(distance(&start, &released(&settings)) <= 2e-3);
}

#[test]
fn a_limit_that_privacy_makes_redundant_or_that_is_no_number_is_refused() {
    let bench = Workbench::new(4);
    let private = bench.configuration("private", PRIVATE_GRADIENTS, &SITES);
    let plain = bench.configuration("plain", PLAIN_GRADIENTS, &SITES);
    for (run, limit, word) in [
        (&private, "1.0", "privacy.clipping_norm"),
        (&plain, "0.0", "clipping norm"),
        (&plain, "-1.0", "clipping norm"),
        (&plain, "nan", "clipping norm"),
        (&plain, "inf", "clipping norm"),
    ] {
        let setting = format!("server.update_norm={limit}");
        let refused = bench.umbel(&["simulate", run.to_str().unwrap(), "--set", &setting]);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{limit}: {told}");
        assert!(told.contains(word), "{limit}: {told}");
    }
}

#[test]
fn curves_for_tensorboard_are_written_on_request() {
    let bench = Workbench::new(8);
    let run = bench.configuration("curves", PLAIN_GRADIENTS, &SITES);
    let files = |more: &[&str]| {
        let report = bench.simulate(&run, more);
        let folder = bench.path().join(report["run_dir"].as_str().unwrap());
        let files = std::fs::read_dir(folder.join("tensorboard")).ok()?;
        Some(files.map(|file| file.unwrap().path()).collect::<Vec<_>>())
    };
    assert_eq!(files(&[]), None);
    let files = files(&["--set", "run.tensorboard=true"]).unwrap();
    let file = String::from_utf8_lossy(&std::fs::read(&files[0]).unwrap()).into_owned();
    assert!(file.contains("brain.Event:2"));
    assert_eq!(file.matches("learning_rate").count(), 2);
}
