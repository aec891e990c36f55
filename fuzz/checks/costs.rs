//! What must hold of the epsilon of any events.

use umbel_privacy::accountant::{
    Accountant, AccountingError, Delta, GdpAccountant, Interval, PldAccountant, RdpAccountant,
    ZcdpAccountant,
};
use umbel_privacy::{Adjacency, MechanismEvent};

/// What rounding may take of a bound, relative: bounds of two methods are compared.
const ROUNDING: f64 = 1e-8;

/// Checks it by every accountant, under one adjacency.
pub fn check(events: &[MechanismEvent], delta: Delta, adjacency: Adjacency) {
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
    if events.iter().any(MechanismEvent::protects_nobody) {
        assert_eq!(all.upper(), f64::INFINITY);
    }
    agrees_with_others(&accountant, events, delta, all);
    // One of three, as each takes a while.
    match delta.get().to_bits() % 3 {
        0 => assert_eq!(accountant.epsilon(delta).get(), all.upper()),
        1 => more_costs_no_less(events, delta, all, adjacency),
        _ => {
            if let Ok(laxer) = Delta::try_from(delta.get() * 2.0) {
                let laxer = accountant.interval(laxer);
                is_sound(laxer);
                no_less(all, laxer, "a larger delta has a larger epsilon");
            }
        }
    }
}

fn more_costs_no_less(
    events: &[MechanismEvent],
    delta: Delta,
    all: Interval,
    adjacency: Adjacency,
) {
    let fewer = events.split_last().map_or(events, |(_, fewer)| fewer);
    let fewer = composed(PldAccountant::new(adjacency), fewer).expect("it was composed");
    let fewer = fewer.interval(delta);
    is_sound(fewer);
    no_less(all, fewer, "more events cost less");
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
        assert!(
            !exact || found.upper() >= epsilon * (1.0 - ROUNDING),
            "{epsilon}, {found:?}"
        );
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

fn composed<A: Accountant>(
    mut accountant: A,
    events: &[MechanismEvent],
) -> Result<A, AccountingError> {
    for event in events {
        accountant.compose(event, 1)?;
    }
    Ok(accountant)
}
