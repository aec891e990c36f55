//! An analyst who chooses the second run by what the first one released.
//!
//! Two runs cost the budget exactly whichever second run is chosen, by the sum of their privacy-loss
//! distributions. Chosen by the first result, they cost nearly twice the budget's δ: the unsampled Gaussian
//! where the first loss was large already, the rarely sampled one with little noise where it was not.

use umbel_privacy::accountant::{PldAccountant, gaussian};
use umbel_privacy::filter::{FilterOrder, RenyiFilter};
use umbel_privacy::{
    Accountant, Adjacency, Budget, BudgetGate, MechanismEvent, NoiseMultiplier, SamplingRate,
};

const EPSILON: f64 = 3.0;
const DELTA: f64 = 1e-5;
/// μ of the first run, and of the first choice.
const FIRST_MU: f64 = 0.45;
const CHOICE_MU: f64 = 0.5609;
/// The second choice.
const SIGMA: f64 = 0.3;
const RATE: f64 = 0.0003;

fn gaussian_event(mu: f64) -> MechanismEvent {
    MechanismEvent::gaussian(NoiseMultiplier::try_from(1.0 / mu).unwrap())
}

fn choices() -> [MechanismEvent; 2] {
    let sampled = MechanismEvent::poisson_gaussian(
        SamplingRate::try_from(RATE).unwrap(),
        NoiseMultiplier::try_from(SIGMA).unwrap(),
    );
    [gaussian_event(CHOICE_MU), sampled]
}

fn after_the_first_run() -> PldAccountant {
    let mut accountant = PldAccountant::new(Adjacency::AddOrRemove);
    accountant.compose(&gaussian_event(FIRST_MU), 1).unwrap();
    accountant
}

/// ∫ f over [low, high] by the midpoint rule.
fn integral(low: f64, high: f64, steps: u32, f: impl Fn(f64) -> f64) -> f64 {
    let width = (high - low) / f64::from(steps);
    (0..steps)
        .map(|step| f(low + (f64::from(step) + 0.5) * width) * width)
        .sum()
}

fn density(x: f64, mean: f64, sigma: f64) -> f64 {
    let z = (x - mean) / sigma;
    (-0.5 * z * z).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt())
}

/// δ of the second choice, by its densities, at any real ε.
fn sampled_delta(epsilon: f64) -> f64 {
    integral(-2.5, 4.0, 4000, |x| {
        let without = density(x, 0.0, SIGMA);
        let with = (1.0 - RATE) * without + RATE * density(x, 1.0, SIGMA);
        (with - epsilon.exp() * without).max(0.0)
    })
}

/// δ of a Gaussian at any real ε: below zero by exchanging its sides.
fn gaussian_delta(epsilon: f64) -> f64 {
    if epsilon >= 0.0 {
        gaussian::delta(CHOICE_MU, epsilon)
    } else {
        1.0 - epsilon.exp() + epsilon.exp() * gaussian::delta(CHOICE_MU, -epsilon)
    }
}

#[test]
fn each_path_fits_by_distributions_and_the_choice_costs_nearly_twice_the_delta() {
    let budget = Budget::new(EPSILON, DELTA).unwrap();
    for choice in choices() {
        let gate = BudgetGate::check(&after_the_first_run(), &choice, &budget);
        assert!(gate.is_ok(), "{gate:?}");
    }
    let mean = FIRST_MU * FIRST_MU / 2.0;
    let true_delta = integral(mean - 8.0 * FIRST_MU, mean + 8.0 * FIRST_MU, 400, |loss| {
        let rest = EPSILON - loss;
        density(loss, mean, FIRST_MU) * gaussian_delta(rest).max(sampled_delta(rest))
    });
    assert!(true_delta > 1.7 * DELTA, "{true_delta}");
}

#[test]
fn the_filter_between_runs_refuses_what_such_a_choice_needs() {
    let budget = Budget::new(EPSILON, DELTA).unwrap();
    let filter = RenyiFilter::new(&budget, FilterOrder::for_budget(&budget));
    let refused = choices().into_iter().filter(|choice| {
        let mut spent = after_the_first_run();
        spent.compose(choice, 1).unwrap();
        filter.check(&spent, &budget).is_err()
    });
    assert!(refused.count() >= 1);
    // It isn't shut altogether: a second run that costs as little as the first fits.
    let mut twice = after_the_first_run();
    twice.compose(&gaussian_event(FIRST_MU), 1).unwrap();
    assert_eq!(filter.check(&twice, &budget), Ok(()));
}
