//! An events file as `umbel account epsilon --events` reads it, and what its events cost.
//!
//! The input's first line is the question, `DELTA ADJACENCY`; all after it is the file.

use umbel_privacy::accountant::{
    Accountant, AccountingError, Delta, GdpAccountant, Interval, PldAccountant, RdpAccountant,
    ZcdpAccountant,
};
use umbel_privacy::certificate::accounting::merged;
use umbel_privacy::{Adjacency, MechanismEvent};

/// Mechanisms for which epsilon is computed: what a list costs in time grows with its length, and that is
/// whoever's wish who wrote it.
const MOST_MECHANISMS: usize = 4;

/// What rounding may take of a bound, relative: bounds of two methods are compared.
const ROUNDING: f64 = 1e-8;

/// Reads the file, and checks what must hold of everything that is read.
pub fn check(input: &[u8]) {
    let Some((delta, adjacency, file)) = question(input) else {
        return;
    };
    let events: Vec<MechanismEvent> = match serde_json::from_str(file) {
        Ok(events) => events,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    reads_back(&events);
    merging_changes_nothing(&events, adjacency);
    let small = events.iter().map(mechanisms).sum::<usize>() <= MOST_MECHANISMS;
    let mild = events.iter().all(is_mild) && delta.get() >= 1e-30;
    // Settings that nobody would ask about are slow: few of them are enough.
    let chosen = input.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 16 == 0;
    if small && (mild || chosen) {
        costs(&events, delta, adjacency);
    }
}

/// Whether an event's numbers are within a few orders of magnitude of what is used.
fn is_mild(event: &MechanismEvent) -> bool {
    match event {
        MechanismEvent::Gaussian { noise_multiplier }
        | MechanismEvent::PoissonSampledGaussian {
            noise_multiplier, ..
        }
        | MechanismEvent::TruncatedPoissonGaussian {
            noise_multiplier, ..
        }
        | MechanismEvent::FixedSizeGaussian {
            noise_multiplier, ..
        }
        | MechanismEvent::TreeAggregation {
            noise_multiplier, ..
        }
        | MechanismEvent::BandedToeplitz {
            noise_multiplier, ..
        } => (0.01..1e4).contains(&noise_multiplier.get()),
        MechanismEvent::Laplace {
            scale_over_sensitivity,
            ..
        } => (0.01..1e4).contains(&scale_over_sensitivity.get()),
        MechanismEvent::DiscreteLaplace {
            parameter,
            integer_sensitivity,
        } => (1e-4..100.0).contains(&(parameter.get() * f64::from(integer_sensitivity.get()))),
        MechanismEvent::NonPrivate => true,
        MechanismEvent::SelfComposed { event, count } => *count < 1 << 32 && is_mild(event),
        MechanismEvent::Composed { events } => events.iter().all(is_mild),
    }
}

fn question(input: &[u8]) -> Option<(Delta, Adjacency, &str)> {
    let (question, file) = str::from_utf8(input).ok()?.split_once('\n')?;
    let (delta, adjacency) = question.split_once(' ')?;
    let delta = Delta::try_from(delta.parse::<f64>().ok()?).ok()?;
    Some((delta, adjacency.parse().ok()?, file))
}

fn reads_back(events: &[MechanismEvent]) {
    let written = serde_json::to_string(events).expect("what was read can be written");
    let again: Vec<MechanismEvent> = serde_json::from_str(&written).expect("and read again");
    assert_eq!(again, events);
}

fn merging_changes_nothing(events: &[MechanismEvent], adjacency: Adjacency) {
    let apart = composed(PldAccountant::new(adjacency), events).map(|all| format!("{all:?}"));
    let together = merged(events);
    let together = composed(PldAccountant::new(adjacency), &together);
    assert_eq!(together.map(|all| format!("{all:?}")), apart);
}

/// Single mechanisms in an event, as written.
pub fn mechanisms(event: &MechanismEvent) -> usize {
    match event {
        MechanismEvent::SelfComposed { event, .. } => mechanisms(event),
        MechanismEvent::Composed { events } => events.iter().map(mechanisms).sum(),
        _ => 1,
    }
}

fn composed<A: Accountant>(
    mut accountant: A,
    events: &[MechanismEvent],
) -> Result<A, AccountingError> {
    for event in events {
        accountant.compose(event, 1)?;
    }
    Ok(accountant)
}

/// What must hold of the epsilon of any events, whatever they are.
pub fn costs(events: &[MechanismEvent], delta: Delta, adjacency: Adjacency) {
    let accountant = match composed(PldAccountant::new(adjacency), events) {
        Ok(accountant) => accountant,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            return for (_, epsilon) in by_others(events, delta, adjacency) {
                assert!(epsilon >= 0.0, "{epsilon}");
            };
        }
    };
    let all = accountant.interval(delta);
    is_sound(all);
    assert_eq!(accountant.epsilon(delta).get(), all.upper());
    if events.iter().any(MechanismEvent::protects_nobody) {
        assert_eq!(all.upper(), f64::INFINITY);
    }
    agrees_with_others(&accountant, events, delta, all);
    // One of the two, as each takes a while.
    let turn = delta.get().to_bits() % 2 == 0;
    if let Some((_, fewer)) = events.split_last().filter(|_| turn) {
        let fewer = composed(PldAccountant::new(adjacency), fewer).expect("it was composed");
        let fewer = fewer.interval(delta);
        is_sound(fewer);
        no_less(all, fewer, "more events cost less");
    }
    if let Ok(laxer) = Delta::try_from(if turn { 1.0 } else { delta.get() * 2.0 }) {
        let laxer = accountant.interval(laxer);
        is_sound(laxer);
        no_less(all, laxer, "a larger delta has a larger epsilon");
    }
}

fn is_sound(interval: Interval) {
    let (lower, upper) = (interval.lower(), interval.upper());
    assert!(0.0 <= lower && lower <= upper, "{interval:?}");
    assert!(lower.is_finite() || upper == f64::INFINITY);
}

/// Whether the larger quantity's upper bound is at least the smaller one's lower bound.
#[track_caller]
fn no_less(larger: Interval, smaller: Interval, otherwise: &str) {
    let least = smaller.lower() * (1.0 - ROUNDING);
    assert!(
        larger.upper() >= least,
        "{otherwise}: {larger:?}, {smaller:?}"
    );
}

/// Every accountant's upper bound lies above every other's lower one.
fn agrees_with_others(
    accountant: &PldAccountant,
    events: &[MechanismEvent],
    delta: Delta,
    found: Interval,
) {
    let least = found.lower() * (1.0 - ROUNDING);
    for (whose, epsilon) in by_others(events, delta, accountant.adjacency()) {
        assert!(epsilon >= least, "{whose}: {epsilon}, {found:?}");
        let exact = whose == "gdp";
        assert!(!exact || found.upper() >= epsilon * (1.0 - ROUNDING), "{epsilon}, {found:?}");
    }
    for order in [1.01, 2.0, 17.5, 400.0] {
        let divergence = accountant.renyi(order);
        assert!(divergence >= 0.0, "{divergence}");
        // Canonne, Kamath & Steinke 2020, Proposition 12.
        let lost = (delta.get().ln() + order.ln()) / (order - 1.0);
        let epsilon = (divergence + (-1.0 / order).ln_1p() - lost).max(0.0);
        assert!(epsilon >= least, "renyi {order}: {epsilon}, {found:?}");
    }
}

/// Epsilon by those accountants that have a figure.
fn by_others(
    events: &[MechanismEvent],
    delta: Delta,
    adjacency: Adjacency,
) -> Vec<(&'static str, f64)> {
    let mut found = Vec::new();
    if let Ok(rdp) = composed(RdpAccountant::new(adjacency), events) {
        found.push(("rdp", rdp.epsilon(delta).get()));
    }
    if let Ok(zcdp) = composed(ZcdpAccountant::new(adjacency), events) {
        found.push(("zcdp", zcdp.epsilon(delta).get()));
    }
    if let Ok(gdp) = composed(GdpAccountant::new(adjacency), events) {
        found.push(("gdp", gdp.epsilon(delta).get()));
    }
    found
}
