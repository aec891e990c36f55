//! The accountant against reference values computed elsewhere: 30- to 40-digit closed
//! forms and quadratures (mpmath), Google's `dp_accounting` and Microsoft's PRV
//! accountant. Each test reads `../shared/golden/epsilon.json` and is skipped, saying so,
//! where that isn't there.

use serde_json::Value;
use umbel_privacy::accountant::{calibrate, conversion, gaussian, rdp};
use umbel_privacy::{
    Accountant, Adjacency, Budget, Delta, MechanismEvent, NoiseMultiplier, RdpAccountant,
    SamplingRate,
};

use crate::reference::{cases, number};

fn delta(case: &Value) -> Delta {
    Delta::try_from(number(&case["delta"])).unwrap()
}

fn sigma(value: &Value) -> NoiseMultiplier {
    NoiseMultiplier::try_from(number(value)).unwrap()
}

fn rate(value: &Value) -> SamplingRate {
    SamplingRate::try_from(number(value)).unwrap()
}

fn accountant(case: &Value, adjacency: Adjacency) -> RdpAccountant {
    let events: Vec<MechanismEvent> = serde_json::from_value(case["events"].clone()).unwrap();
    let mut accountant = RdpAccountant::new(adjacency);
    accountant
        .compose(&MechanismEvent::Composed { events }, 1)
        .unwrap();
    accountant
}

#[track_caller]
fn assert_close(found: f64, expected: f64, relative: f64, case: &Value) {
    let close = found == expected || (found - expected).abs() <= relative * expected.abs();
    assert!(close, "{}: {found:e} for {expected:e}", case["id"]);
}

/// The adjacency of a case, if it is one of ours.
fn adjacency(case: &Value) -> Option<Adjacency> {
    match case["adjacency"].as_str() {
        Some("add_remove") => Some(Adjacency::AddOrRemove),
        Some("replace_one") => Some(Adjacency::ReplaceOne),
        _ => None,
    }
}

/// Cases of compositions under add-or-remove adjacency.
fn add_or_remove_compositions() -> Vec<Value> {
    cases("epsilon")
        .into_iter()
        .filter(|case| case["adjacency"] == "add_remove")
        .collect()
}

#[test]
fn rdp_epsilon_of_every_composition_equals_the_exact_one_at_the_same_orders() {
    for case in add_or_remove_compositions() {
        let found = accountant(&case, Adjacency::AddOrRemove)
            .rdp_epsilon(delta(&case))
            .get();
        let exact = number(&case["expected"]["rdp_exact_default_orders"]);
        assert_close(found, exact, 1e-6, &case);
        assert!(
            found >= exact * (1.0 - 1e-9),
            "{}: under-reported, {found}",
            case["id"]
        );
    }
}

#[test]
fn no_epsilon_is_below_the_true_one() {
    for case in add_or_remove_compositions() {
        let found = accountant(&case, Adjacency::AddOrRemove)
            .epsilon(delta(&case))
            .get();
        let least = number(&case["accept"]["epsilon_min"]);
        assert!(found >= least, "{}: {found} is below {least}", case["id"]);
    }
}

#[test]
fn compositions_without_sampling_have_their_exact_epsilon_under_both_adjacencies() {
    let mut checked = 0;
    for case in cases("epsilon") {
        let Some(adjacency) = adjacency(&case) else {
            continue;
        };
        let events = case["events"].as_array().unwrap();
        if !events.iter().all(|event| event["type"] == "gaussian") {
            continue;
        }
        let exact = &case["expected"]["exact"];
        if exact.is_null() {
            continue;
        }
        let found = accountant(&case, adjacency).epsilon(delta(&case)).get();
        assert_close(found, number(exact), 1e-12, &case);
        checked += 1;
    }
    println!("{checked} compositions of unsampled Gaussians");
}

#[test]
fn sampled_compositions_under_replace_one_are_refused() {
    for case in cases("epsilon")
        .iter()
        .filter(|case| case["adjacency"] == "replace_one")
    {
        let events: Vec<MechanismEvent> = serde_json::from_value(case["events"].clone()).unwrap();
        let sampled = case["events"].as_array().unwrap().iter().any(|event| {
            event["type"] == "poisson_gaussian" && number(&event["sampling_probability"]) < 1.0
        });
        let composed = RdpAccountant::new(Adjacency::ReplaceOne)
            .compose(&MechanismEvent::Composed { events }, 1);
        assert_eq!(composed.is_err(), sampled, "{}", case["id"]);
    }
}

#[test]
fn rdp_at_single_orders_equals_the_thirty_digit_values() {
    for case in cases("rdp_sampled_gaussian_exact") {
        let (q, sigma) = (
            rate(&case["sampling_probability"]),
            sigma(&case["noise_multiplier"]),
        );
        for (order, exact) in case["expected"]["rdp_at_order"].as_object().unwrap() {
            let found = rdp::sampled_gaussian(q, sigma, order.parse().unwrap());
            assert_close(found, number(exact), 1e-9, &case);
            // The references have 15 digits.
            assert!(
                found >= number(exact) * (1.0 - 2e-15),
                "{} at {order}",
                case["id"]
            );
        }
    }
}

#[test]
fn converting_one_order_gives_the_improved_epsilon() {
    for case in cases("rdp_to_epsilon_single_order") {
        let pair = (number(&case["order"]), number(&case["rdp"]));
        let found = conversion::epsilon([pair], delta(&case)).get();
        assert_close(
            found,
            number(&case["expected"]["epsilon_improved"]),
            1e-13,
            &case,
        );
    }
}

#[test]
fn the_closed_form_gives_the_exact_delta_far_into_the_tail() {
    for case in cases("gdp_delta_for_epsilon") {
        let (mu, epsilon) = (number(&case["mu"]), number(&case["epsilon"]));
        // The accuracy that `ln_delta` promises.
        let accuracy = 1e-13 * (2.0 + 2.0 / mu + epsilon / (mu * mu));
        let exact = number(&case["expected"]["exact_delta"]);
        if exact > 0.0 {
            assert_close(gaussian::delta(mu, epsilon), exact, accuracy, &case);
            assert!(
                gaussian::delta(mu, epsilon) >= exact * (1.0 - 1e-15),
                "{}",
                case["id"]
            );
        }
        let ln_exact = number(&case["expected"]["exact_ln_delta"]);
        let error = (gaussian::ln_delta(mu, epsilon) - ln_exact).abs();
        assert!(
            error <= accuracy + 1e-15 * ln_exact.abs(),
            "{}: off by {error:e}",
            case["id"]
        );
    }
}

#[test]
fn the_closed_form_gives_the_exact_epsilon() {
    for case in cases("gdp_epsilon_for_delta") {
        let found = gaussian::epsilon(number(&case["mu"]), delta(&case)).get();
        assert_close(
            found,
            number(&case["expected"]["exact_epsilon"]),
            1e-12,
            &case,
        );
    }
    for case in cases("gaussian_epsilon_for_sigma") {
        let found = gaussian::epsilon(1.0 / number(&case["sigma"]), delta(&case)).get();
        assert_close(
            found,
            number(&case["expected"]["exact_epsilon"]),
            1e-12,
            &case,
        );
    }
}

#[test]
fn calibrated_noise_is_the_least_that_meets_the_epsilon_and_never_less() {
    for case in cases("gaussian_sigma_for_epsilon") {
        let budget = Budget::new(number(&case["epsilon"]), number(&case["delta"])).unwrap();
        let found =
            calibrate::noise_multiplier(&budget, SamplingRate::ALL, 1, Adjacency::AddOrRemove);
        let (found, exact) = (
            found.unwrap().get(),
            number(&case["expected"]["exact_sigma"]),
        );
        assert_close(found, exact, 1.1e-6, &case);
        assert!(found >= exact * (1.0 - 1e-12), "{}: {found}", case["id"]);
    }
    for case in cases("calibrate_noise_multiplier") {
        let budget = Budget::new(number(&case["target_epsilon"]), number(&case["delta"])).unwrap();
        let q = rate(&case["sampling_probability"]);
        let rounds = case["count"].as_u64().unwrap();
        let adjacency = adjacency(&case).unwrap();
        let found = calibrate::noise_multiplier(&budget, q, rounds, adjacency);
        let expected = &case["expected"];
        if q.is_all() {
            let exact = number(&expected["exact_noise_multiplier"]);
            assert_close(found.unwrap().get(), exact, 1.1e-6, &case);
        } else {
            // The reference's grid of 10^-4 is pessimistic, most so where many rounds add up.
            let (found, reference) = (
                found.unwrap().get(),
                number(&expected["pld_noise_multiplier"]),
            );
            let range = reference * (1.0 - 2e-3)..=reference * (1.0 + 2e-6);
            assert!(
                range.contains(&found),
                "{}: {found} for {reference}",
                case["id"]
            );
        }
    }
}
