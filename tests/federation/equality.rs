//! What must be the same, however it is computed.

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench};

/// The largest difference between two files' weights.
pub fn largest_difference(one: &[u8], other: &[u8]) -> f32 {
    let numbers = |bytes: &[u8]| -> Vec<f32> {
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        let (floats, _) = bytes[8 + header as usize..].as_chunks::<4>();
        floats.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let (one, other) = (numbers(one), numbers(other));
    assert_eq!(one.len(), other.len());
    one.iter()
        .zip(&other)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn four_sites_without_privacy_train_what_the_pooled_rows_train() {
    let bench = Workbench::new(12);
    for optimiser in ["adam", "momentum", "sgd"] {
        let set = format!("server.optimiser={optimiser}");
        let more = ["--set", &set, "--set", "run.rounds=20"];
        let federated = bench.configuration("federated", PLAIN_GRADIENTS, &SITES);
        let federated = bench.simulate(&federated, &more);
        let pooled = bench.configuration("pooled", PLAIN_GRADIENTS, &["pooled"]);
        let pooled = bench.simulate(&pooled, &more);
        let difference = largest_difference(&bench.weights(&federated), &bench.weights(&pooled));
        println!("{optimiser}: largest difference {difference:e}");
        assert!(difference <= 1e-5, "{optimiser}: {difference}");
    }
}

#[test]
fn the_model_does_not_depend_on_the_order_of_arrival() {
    let bench = Workbench::new(12);
    let forward = bench.configuration("order", PRIVATE_GRADIENTS, &SITES);
    let mut reversed = SITES;
    reversed.reverse();
    let backward = bench.configuration("order-reversed", PRIVATE_GRADIENTS, &reversed);
    let one = bench.simulate(&forward, &["--seed", "5", "--parallel", "1"]);
    let other = bench.simulate(&backward, &["--seed", "5", "--parallel", "4"]);
    assert_eq!(bench.weights(&one), bench.weights(&other));
}

#[test]
fn clients_leave_nothing_of_themselves_in_the_models_that_they_share() {
    // Local steps change the model that a client was lent, and the next client gets that one.
    let bench = Workbench::new(12);
    for unit in ["none", "client"] {
        let sections = crate::combinations::sections(unit, "deltas", "central");
        let run = bench.configuration(&format!("shared-{unit}"), &sections, &SITES);
        let with = |workers: &str| {
            let run = bench.simulate(&run, &["--seed", "5", "--parallel", workers]);
            bench.weights(&run)
        };
        let one = with("1");
        for workers in ["2", "4"] {
            assert_eq!(one, with(workers), "unit {unit}, {workers} at a time");
        }
    }
}

#[test]
fn a_seed_repeats_a_run_and_another_one_does_not() {
    let bench = Workbench::new(12);
    let run = bench.configuration("seeded", PRIVATE_GRADIENTS, &SITES);
    let one = bench.simulate(&run, &["--seed", "5"]);
    let same = bench.simulate(&run, &["--seed", "5"]);
    let other = bench.simulate(&run, &["--seed", "6"]);
    assert_eq!(one["seeded"], true);
    assert_eq!(bench.weights(&one), bench.weights(&same));
    assert_ne!(bench.weights(&one), bench.weights(&other));
}

#[test]
fn without_a_seed_no_two_runs_are_alike() {
    let bench = Workbench::new(12);
    let run = bench.configuration("unseeded", PRIVATE_GRADIENTS, &SITES);
    let (one, other) = (bench.simulate(&run, &[]), bench.simulate(&run, &[]));
    assert_eq!(one["seeded"], false);
    assert_ne!(bench.weights(&one), bench.weights(&other));
}
