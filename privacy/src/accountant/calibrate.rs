//! The accountant's questions the other way round: which noise meets an epsilon, how many
//! rounds fit in a budget, and how large a share may be sampled. Answers are always on the safe
//! side.

use crate::accountant::event::{MechanismEvent, NoiseMultiplier};
use crate::accountant::{Accountant, AccountingError, Delta, Epsilon, PldAccountant};
use crate::budget::Budget;
use crate::poisson::SamplingRate;
use crate::unit::Adjacency;

/// Why no noise multiplier was found.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// The mechanism can't be accounted for.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// Even the largest noise costs more.
    #[error(
        "no noise multiplier up to 2^40 keeps {rounds} rounds within epsilon {epsilon} at delta {delta}; \
         allow a larger epsilon or delta, or fewer rounds"
    )]
    OutOfReach {
        /// The epsilon that was asked for.
        epsilon: f64,
        /// Its delta.
        delta: Delta,
        /// Rounds.
        rounds: u64,
    },
    /// Even the smallest sampling rate costs more.
    #[error(
        "no sampling rate from {LEAST_RATE:e} up keeps {rounds} rounds with noise multiplier \
         {noise_multiplier} within epsilon {epsilon} at delta {delta}; allow a larger epsilon or \
         delta, more noise, or fewer rounds"
    )]
    NoRate {
        /// The epsilon that was asked for.
        epsilon: f64,
        /// Its delta.
        delta: Delta,
        /// The noise multiplier.
        noise_multiplier: f64,
        /// Rounds.
        rounds: u64,
    },
}

/// The least sampling rate that is looked at: no run samples one unit in 10¹².
const LEAST_RATE: f64 = 1e-12;

/// Relative distance from the least noise multiplier at which the search ends.
const TOLERANCE: f64 = 1e-6;

const SMALLEST: f64 = 1.0 / (1u64 << 20) as f64;
const LARGEST: f64 = (1u64 << 40) as f64;

/// The least noise multiplier σ with which `rounds` rounds at sampling rate q stay within
/// the budget, to a relative 10^-6: never below it, so epsilon is never overshot. What counts is
/// the upper end of the accountant's interval, which falls with σ but for the interval's width (often
/// 10^-5 of epsilon, at most 10^-3), so that a slightly smaller σ may happen to fit as well. Zero rounds, and a budget so large that 2^-20 meets it, give 2^-20.
///
/// # Errors
/// [`CalibrationError::OutOfReach`], or [`CalibrationError::Accounting`] for a
/// combination that has no sound figure.
pub fn noise_multiplier(
    budget: &Budget,
    sampling_rate: SamplingRate,
    rounds: u64,
    adjacency: Adjacency,
) -> Result<NoiseMultiplier, CalibrationError> {
    let cost = |sigma: f64| -> Result<f64, CalibrationError> {
        // Only positive finite candidates occur; anything else doesn't fit.
        let Ok(sigma) = NoiseMultiplier::try_from(sigma) else {
            return Ok(f64::INFINITY);
        };
        let event = MechanismEvent::poisson_gaussian(sampling_rate, sigma);
        Ok(epsilon_of(&event, rounds, budget.delta(), adjacency)?.get())
    };
    let fits = |epsilon: f64| epsilon <= budget.epsilon();
    let out_of_reach = || CalibrationError::OutOfReach {
        epsilon: budget.epsilon(),
        delta: budget.delta(),
        rounds,
    };
    let (mut high, mut high_cost) = (1.0, cost(1.0)?);
    while !fits(high_cost) {
        high *= 2.0;
        if high > LARGEST {
            return Err(out_of_reach());
        }
        high_cost = cost(high)?;
    }
    let mut low = high / 2.0;
    let mut low_cost = cost(low)?;
    while fits(low_cost) {
        (high, high_cost) = (low, low_cost);
        low /= 2.0;
        if low < SMALLEST {
            return NoiseMultiplier::try_from(high).map_err(|_| out_of_reach());
        }
        low_cost = cost(low)?;
    }
    let mut turn = 0;
    while high > low * (1.0 + TOLERANCE) {
        // ln ε is nearly linear in ln σ: where a line crosses the target, and a little to
        // either side of it, to close in from both; now and then halfway, to be sure.
        let slope = (high_cost / low_cost).ln() / (high / low).ln();
        let crossing = low * ((budget.epsilon() / low_cost).ln() / slope).exp();
        let proposed = match turn % 4 {
            0 => crossing,
            1 => crossing * (1.0 + 0.4 * TOLERANCE),
            2 => crossing * (1.0 - 0.4 * TOLERANCE),
            _ => (low * high).sqrt(),
        };
        turn += 1;
        let middle = if proposed > low && proposed < high {
            proposed
        } else {
            (low * high).sqrt()
        };
        let found = cost(middle)?;
        if fits(found) {
            (high, high_cost) = (middle, found);
        } else {
            (low, low_cost) = (middle, found);
        }
    }
    NoiseMultiplier::try_from(high).map_err(|_| out_of_reach())
}

/// How many runs of `event` fit in the budget when nothing was spent before; at most
/// 2^53, which stands for "any number".
///
/// # Errors
/// [`AccountingError`] for an event that has no sound figure.
pub fn rounds_within(
    budget: &Budget,
    event: &MechanismEvent,
    adjacency: Adjacency,
) -> Result<u64, AccountingError> {
    let mut accountant = PldAccountant::new(adjacency);
    accountant.compose(event, 0)?;
    let fits = |rounds: u64| -> Result<bool, AccountingError> {
        let mut trial = accountant.clone();
        match trial.compose(event, rounds) {
            Ok(()) => Ok(trial.epsilon(budget.delta()).get() <= budget.epsilon()),
            Err(AccountingError::TooMany) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let (mut enough, mut too_many) = (0, 1);
    while fits(too_many)? {
        enough = too_many;
        too_many *= 2;
        if too_many > 1 << 53 {
            return Ok(enough);
        }
    }
    while too_many - enough > 1 {
        let middle = enough + (too_many - enough) / 2;
        if fits(middle)? {
            enough = middle;
        } else {
            too_many = middle;
        }
    }
    Ok(enough)
}

/// The largest sampling rate q with which `rounds` rounds with noise multiplier σ stay within
/// the budget, to a relative 10^-6: never above it, so epsilon is never overshot. As with
/// [`noise_multiplier`], a slightly larger one may happen to fit as well.
///
/// # Errors
/// [`CalibrationError::NoRate`], or [`CalibrationError::Accounting`] for a combination that has
/// no sound figure.
pub fn sampling_rate(
    budget: &Budget,
    noise_multiplier: NoiseMultiplier,
    rounds: u64,
    adjacency: Adjacency,
) -> Result<SamplingRate, CalibrationError> {
    let no_rate = || CalibrationError::NoRate {
        epsilon: budget.epsilon(),
        delta: budget.delta(),
        noise_multiplier: noise_multiplier.get(),
        rounds,
    };
    let rate = |q: f64| SamplingRate::try_from(q).map_err(|_| no_rate());
    let fits = |q: f64| -> Result<bool, CalibrationError> {
        let event = MechanismEvent::poisson_gaussian(rate(q)?, noise_multiplier);
        let epsilon = epsilon_of(&event, rounds, budget.delta(), adjacency)?;
        Ok(epsilon.get() <= budget.epsilon())
    };
    if fits(1.0)? {
        return rate(1.0);
    }
    if !fits(LEAST_RATE)? {
        return Err(no_rate());
    }
    let (mut low, mut high) = (LEAST_RATE, 1.0);
    while high > low * (1.0 + TOLERANCE) {
        let middle = f64::sqrt(low * high);
        if fits(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    rate(low)
}

/// Epsilon of `count` runs of `event` when nothing was spent before.
///
/// # Errors
/// [`AccountingError`] for an event that has no sound figure.
pub fn epsilon_of(
    event: &MechanismEvent,
    count: u64,
    delta: Delta,
    adjacency: Adjacency,
) -> Result<Epsilon, AccountingError> {
    let mut accountant = PldAccountant::new(adjacency);
    accountant.compose(event, count)?;
    Ok(accountant.epsilon(delta))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(epsilon: f64, delta: f64) -> Budget {
        Budget::new(epsilon, delta).unwrap()
    }

    fn rate(q: f64) -> SamplingRate {
        SamplingRate::try_from(q).unwrap()
    }

    /// Relative width below which `tests/accountant/pld_properties.rs` holds every interval.
    const WIDEST: f64 = 1e-3;

    /// Whether what costs `found` at most costs `epsilon` but for what intervals leave open. The
    /// truth rises with less noise, and an interval's upper end is at most its width above it: so
    /// the upper end of something costlier is at most a width below that of something cheaper.
    fn hardly_fits(epsilon: f64, found: f64) -> bool {
        found > epsilon * (1.0 - WIDEST)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn calibrated_noise_meets_the_epsilon_and_hardly_more(
            epsilon in 0.3f64..20.0, ln_delta in -25f64..-7.0, ln_q in -7f64..0.0, rounds in 1u64..5000,
        ) {
            let budget = budget(epsilon, ln_delta.exp());
            let q = rate(ln_q.exp());
            let sigma = noise_multiplier(&budget, q, rounds, Adjacency::AddOrRemove).unwrap();
            let cost = |sigma: f64| {
                let event =
                    MechanismEvent::poisson_gaussian(q, NoiseMultiplier::try_from(sigma).unwrap());
                epsilon_of(&event, rounds, budget.delta(), Adjacency::AddOrRemove).unwrap().get()
            };
            prop_assert!(cost(sigma.get()) <= epsilon);
            let less = cost(sigma.get() * (1.0 - 2e-6));
            prop_assert!(hardly_fits(epsilon, less), "{less}");
        }

        #[test]
        fn the_largest_sampling_rate_meets_the_epsilon_and_a_larger_one_does_not(
            epsilon in 0.5f64..10.0, ln_delta in -25f64..-7.0, sigma in 0.7f64..4.0,
            rounds in 100u64..5000,
        ) {
            let budget = budget(epsilon, ln_delta.exp());
            let sigma = NoiseMultiplier::try_from(sigma).unwrap();
            let add = Adjacency::AddOrRemove;
            let q = sampling_rate(&budget, sigma, rounds, add).unwrap().get();
            let cost = |q: f64| {
                let event = MechanismEvent::poisson_gaussian(rate(q), sigma);
                epsilon_of(&event, rounds, budget.delta(), add).unwrap().get()
            };
            prop_assert!(cost(q) <= epsilon);
            let more = cost((q * (1.0 + 2e-6)).min(1.0));
            prop_assert!(q == 1.0 || hardly_fits(epsilon, more), "{more}");
        }

        #[test]
        fn one_round_more_than_fit_costs_too_much(
            epsilon in 0.5f64..10.0, sigma in 0.7f64..4.0, ln_q in -6f64..0.0,
        ) {
            let budget = budget(epsilon, 1e-5);
            let sigma = NoiseMultiplier::try_from(sigma).unwrap();
            let event = MechanismEvent::poisson_gaussian(rate(ln_q.exp()), sigma);
            let rounds = rounds_within(&budget, &event, Adjacency::AddOrRemove).unwrap();
            let cost = |rounds| {
                epsilon_of(&event, rounds, budget.delta(), Adjacency::AddOrRemove).unwrap().get()
            };
            prop_assert!(cost(rounds) <= epsilon);
            prop_assert!(cost(rounds + 1) > epsilon);
        }
    }

    #[test]
    fn replacing_one_unit_needs_twice_the_noise() {
        let budget = budget(2.0, 1e-5);
        let add = noise_multiplier(&budget, rate(1.0), 50, Adjacency::AddOrRemove).unwrap();
        let replace = noise_multiplier(&budget, rate(1.0), 50, Adjacency::ReplaceOne).unwrap();
        assert!((replace.get() / add.get() - 2.0).abs() < 4e-6);
    }

    #[test]
    fn what_has_no_answer_is_refused() {
        let budget = budget(2.0, 1e-5);
        let too_many = noise_multiplier(&budget, rate(1.0), u64::MAX, Adjacency::AddOrRemove);
        assert!(too_many.is_err());
        let tight = Budget::new(1e-14, 1e-14).unwrap();
        assert!(matches!(
            noise_multiplier(&tight, rate(1.0), 1 << 50, Adjacency::AddOrRemove),
            Err(CalibrationError::OutOfReach { .. })
        ));
    }

    #[test]
    fn a_sampling_rate_is_all_none_or_between() {
        let add = Adjacency::AddOrRemove;
        let sigma = |sigma: f64| NoiseMultiplier::try_from(sigma).unwrap();
        let ample = budget(100.0, 1e-5);
        assert_eq!(sampling_rate(&ample, sigma(5.0), 10, add), Ok(rate(1.0)));
        let hopeless = sampling_rate(&budget(1e-3, 1e-12), sigma(1e-4), 1 << 50, add);
        assert!(
            matches!(hopeless, Err(CalibrationError::NoRate { .. })),
            "{hopeless:?}"
        );
        assert_eq!(sampling_rate(&ample, sigma(5.0), 0, add), Ok(rate(1.0)));
    }

    #[test]
    fn extremes_end_at_the_edges_of_the_search() {
        let huge = Budget::new(1e300, 0.5).unwrap();
        let sigma = noise_multiplier(&huge, rate(1.0), 1, Adjacency::AddOrRemove).unwrap();
        assert!(sigma.get() <= 2.0 * SMALLEST);
        let event = MechanismEvent::gaussian(NoiseMultiplier::try_from(1e30).unwrap());
        let rounds = rounds_within(&budget(1.0, 0.1), &event, Adjacency::AddOrRemove).unwrap();
        assert_eq!(rounds, 1 << 53);
        let loud = MechanismEvent::gaussian(NoiseMultiplier::try_from(1e-3).unwrap());
        assert_eq!(
            rounds_within(&budget(1.0, 0.1), &loud, Adjacency::AddOrRemove),
            Ok(0)
        );
    }
}
