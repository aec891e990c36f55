//! The PLD accountant against reference values computed elsewhere: Google's
//! `dp_accounting`, Microsoft's PRV accountant and 40-digit closed forms. Each test reads
//! `../shared/golden/epsilon.json` and is skipped, saying so, where that isn't there.

use serde_json::{Value, json};
use umbel_privacy::accountant::{Interval, PldAccountant};
use umbel_privacy::{Accountant, Adjacency, Delta, MechanismEvent, RdpAccountant};

use crate::reference::{cases, number};

fn adjacency(case: &Value) -> Adjacency {
    match case["adjacency"].as_str() {
        Some("replace_one") => Adjacency::ReplaceOne,
        Some("replace_special") => Adjacency::ZeroOut,
        _ => Adjacency::AddOrRemove,
    }
}

fn interval(events: Value, adjacency: Adjacency, delta: &Value) -> Interval {
    let events: Vec<MechanismEvent> = serde_json::from_value(events).unwrap();
    let mut accountant = PldAccountant::new(adjacency);
    accountant
        .compose(&MechanismEvent::Composed { events }, 1)
        .unwrap();
    let found = accountant.interval(Delta::try_from(number(delta)).unwrap());
    assert!(found.lower() <= found.upper());
    found
}

/// `upper` is no more than the reference, a pessimistic discretisation, and `lower` no
/// more than `gap` below it.
#[track_caller]
fn assert_agrees(found: Interval, reference: f64, gap: f64, case: &Value) {
    assert!(
        found.upper() <= reference * (1.0 + 1e-4) && found.lower() >= reference - gap,
        "{}: {found:?} for {reference}",
        case["id"]
    );
}

#[test]
fn every_composition_is_accepted() {
    let mut counted = 0;
    for case in cases("epsilon") {
        let found = interval(case["events"].clone(), adjacency(&case), &case["delta"]);
        let accept = &case["accept"];
        let range = number(&accept["epsilon_min"])..=number(&accept["epsilon_max_tight"]);
        let width = found.upper() / found.lower() - 1.0;
        println!("{} {found:?} width {width:e} in {range:?}", case["id"]);
        assert!(
            range.contains(&found.upper()),
            "{}: {found:?} {range:?}",
            case["id"]
        );
        if let Some(exact) = case["expected"]["exact"].as_str() {
            let exact: f64 = exact.parse().unwrap();
            assert!(
                found.lower() <= exact && exact <= found.upper(),
                "{}",
                case["id"]
            );
        }
        assert!(width <= 1e-3, "{}: {found:?}", case["id"]);
        counted += 1;
    }
    println!("{counted} compositions");
}

#[test]
fn small_deltas_keep_their_digits() {
    for case in cases("epsilon_small_delta") {
        let found = interval(case["events"].clone(), adjacency(&case), &case["delta"]);
        let reference = &case["expected"];
        println!("{} {found:?} {reference}", case["id"]);
        if let Some(accept) = case["accept"].as_object() {
            let range = number(&accept["epsilon_min"])..=number(&accept["epsilon_max_tight"]);
            assert!(
                range.contains(&found.upper()),
                "{}: {found:?} {range:?}",
                case["id"]
            );
        }
        assert!(found.upper() / found.lower() < 1.001);
    }
}

#[test]
fn every_interval_meets_the_bounds_of_an_independent_accountant() {
    for case in cases("epsilon_prv_bounds") {
        let found = interval(
            case["events"].clone(),
            Adjacency::AddOrRemove,
            &case["delta"],
        );
        let expected = &case["expected"];
        let (low, high) = (
            number(&expected["prv_lower"]),
            number(&expected["prv_upper"]),
        );
        assert!(
            found.upper() >= low && found.lower() <= high,
            "{}: {found:?}",
            case["id"]
        );
    }
}

#[test]
fn laplace_mechanisms_match() {
    for case in cases("laplace") {
        let events = json!([{
            "type": "laplace",
            "scale_over_sensitivity": case["scale_over_sensitivity"],
            "sampling_probability": case["sampling_probability"],
            "count": case["count"],
        }]);
        let found = interval(events, adjacency(&case), &case["delta"]);
        assert_agrees(
            found,
            number(&case["expected"]["pld_pessimistic"]),
            2e-3,
            &case,
        );
    }
    for case in cases("discrete_laplace") {
        let events = json!([{
            "type": "discrete_laplace",
            "parameter": case["parameter"],
            "integer_sensitivity": case["integer_sensitivity"],
            "count": case["count"],
        }]);
        let found = interval(events, adjacency(&case), &case["delta"]);
        assert_agrees(
            found,
            number(&case["expected"]["pld_pessimistic"]),
            2e-3,
            &case,
        );
    }
}

#[test]
fn truncated_poisson_samples_match_under_every_adjacency() {
    for case in cases("epsilon_truncated_poisson") {
        let by_adjacency = &case["expected"]["pld_pessimistic_by_adjacency"];
        for (adjacency, name) in [
            (Adjacency::AddOrRemove, "add_remove"),
            (Adjacency::ReplaceOne, "replace_one"),
            (Adjacency::ZeroOut, "replace_special"),
        ] {
            let events = json!([{
                "type": "truncated_poisson_gaussian",
                "dataset_size": case["dataset_size"],
                "sampling_probability": case["sampling_probability"],
                "truncated_batch_size": case["truncated_batch_size"],
                "noise_multiplier": case["noise_multiplier"],
                "count": case["count"],
            }]);
            let found = interval(events, adjacency, &case["delta"]);
            println!("{} {name} {found:?} {}", case["id"], by_adjacency[name]);
            assert_agrees(found, number(&by_adjacency[name]), 3e-3, &case);
        }
    }
}

#[test]
fn cyclic_poisson_samples_of_banded_matrices_match() {
    for case in cases("bandmf_cyclic_poisson") {
        let expected = &case["expected"];
        let events = json!([{
            "type": "poisson_gaussian",
            "noise_multiplier": case["noise_multiplier"],
            "sampling_probability": expected["per_group_sampling_probability"],
            "count": expected["composed_steps"],
        }]);
        let found = interval(events, adjacency(&case), &case["delta"]);
        assert_agrees(found, number(&expected["pld_pessimistic"]), 2e-3, &case);
    }
}

#[test]
fn matrix_mechanisms_without_sampling_have_their_exact_epsilon() {
    for case in cases("matrix_factorization_toeplitz") {
        let events = json!([{
            "type": "banded_toeplitz",
            "noise_multiplier": case["noise_std_on_Z"],
            "rounds": case["rounds"],
            "bands": case["bands"],
            "min_separation": case["min_separation"],
            "max_participations": case["max_participations"],
        }]);
        let found = interval(events, adjacency(&case), &case["delta"]);
        let exact = number(&case["expected"]["exact_epsilon"]);
        assert!(
            (found.upper() / exact - 1.0).abs() < 1e-9,
            "{}: {found:?}",
            case["id"]
        );
    }
    for case in cases("tree_aggregation") {
        let events = json!([{
            "type": "tree_aggregation",
            "noise_multiplier": case["noise_multiplier"],
            "step_count": case["step_count"],
            "count": case["count"],
        }]);
        let found = interval(events, adjacency(&case), &case["delta"]);
        let exact = number(&case["expected"]["exact_epsilon"]);
        assert!(
            (found.upper() / exact - 1.0).abs() < 1e-9,
            "{}: {found:?}",
            case["id"]
        );
    }
}

#[test]
fn fixed_size_samples_have_their_renyi_epsilon() {
    for case in cases("epsilon_sample_wor_rdp") {
        // The reference takes sigma over the replace-one sensitivity, twice the clipping norm.
        let sigma = 2.0 * number(&case["noise_multiplier"]);
        let events: Vec<MechanismEvent> = serde_json::from_value(json!([{
            "type": "fixed_size_gaussian",
            "dataset_size": case["dataset_size"],
            "sample_size": case["sample_size"],
            "noise_multiplier": sigma,
            "count": case["count"],
        }]))
        .unwrap();
        let mut accountant = RdpAccountant::new(Adjacency::ReplaceOne);
        accountant
            .compose(&MechanismEvent::Composed { events }, 1)
            .unwrap();
        let found = accountant
            .epsilon(Delta::try_from(number(&case["delta"])).unwrap())
            .get();
        let expected = number(&case["expected"]["rdp_default_orders"]);
        assert!(
            (found / expected - 1.0).abs() < 1e-6,
            "{}: {found} for {expected}",
            case["id"]
        );
    }
}
