//! Which accountant computed a certificate's epsilon, and computing it again.
//!
//! A certificate names its accountant, so that it can be checked long after another one has
//! become the default. An accountant that this program doesn't know is refused by name.

use serde::{Deserialize, Serialize};

use crate::accountant::event::MechanismEvent;
use crate::accountant::{Accountant, AccountingError, Delta, PldAccountant, RdpAccountant};
use crate::unit::Adjacency;

/// The relative difference up to which two computations of one epsilon count as the same:
/// far above what the elementary functions of different machines differ by, and far below
/// what anybody would gain by it.
pub const TOLERANCE: f64 = 1e-6;

/// An accountant, as certificates name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountantName {
    /// `pld` or `rdp`.
    pub name: String,
    /// The version of this crate that computed.
    pub version: String,
}

/// Why an epsilon can't be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotAccount {
    /// An accountant of another version of this program.
    #[error("this program has no accountant \"{0}\"; use the version that the certificate names")]
    Unknown(String),
    /// There is no sound figure.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
}

impl AccountantName {
    /// The accountant that new certificates are made with.
    pub fn current() -> Self {
        Self {
            name: "pld".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Epsilon of these events together, by this accountant. Infinite where nothing finite
    /// is known.
    ///
    /// # Errors
    /// [`CannotAccount`] for an accountant that isn't known, and for events that it has no
    /// sound figure for.
    pub fn epsilon<'a>(
        &self,
        events: impl IntoIterator<Item = &'a MechanismEvent>,
        adjacency: Adjacency,
        delta: Delta,
    ) -> Result<f64, CannotAccount> {
        match self.name.as_str() {
            "pld" => composed(PldAccountant::new(adjacency), events, delta),
            "rdp" => composed(RdpAccountant::new(adjacency), events, delta),
            other => Err(CannotAccount::Unknown(other.into())),
        }
    }
}

fn composed<'a>(
    mut accountant: impl Accountant,
    events: impl IntoIterator<Item = &'a MechanismEvent>,
    delta: Delta,
) -> Result<f64, CannotAccount> {
    for event in events {
        accountant.compose(event, 1)?;
    }
    Ok(accountant.epsilon(delta).get())
}

/// Whether two computations of one epsilon agree.
pub fn same_epsilon(claimed: f64, computed: f64) -> bool {
    claimed == computed
        || (computed.is_finite() && (claimed - computed).abs() <= TOLERANCE * computed.abs())
}

/// Puts equal neighbours together: twenty equal rounds become one event, twenty times.
pub fn merged<'a>(events: impl IntoIterator<Item = &'a MechanismEvent>) -> Vec<MechanismEvent> {
    let mut runs: Vec<(MechanismEvent, u64)> = Vec::new();
    for event in events {
        let (event, count) = match event {
            MechanismEvent::SelfComposed { event, count } => (event.as_ref(), *count),
            event => (event, 1),
        };
        match runs.last_mut() {
            Some((last, times)) if last == event && times.checked_add(count).is_some() => {
                *times += count;
            }
            _ => runs.push((event.clone(), count)),
        }
    }
    runs.into_iter()
        .map(|(event, count)| event.times(count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accountant::event::NoiseMultiplier;

    fn event(sigma: f64) -> MechanismEvent {
        MechanismEvent::gaussian(NoiseMultiplier::try_from(sigma).unwrap())
    }

    #[test]
    fn equal_neighbours_are_put_together_and_cost_the_same() {
        let events = [event(1.0), event(1.0).times(3), event(2.0), event(1.0)];
        let together = merged(&events);
        assert_eq!(together, [event(1.0).times(4), event(2.0), event(1.0)]);
        let epsilon = |events: &[MechanismEvent]| {
            AccountantName::current()
                .epsilon(
                    events,
                    Adjacency::AddOrRemove,
                    Delta::try_from(1e-5).unwrap(),
                )
                .unwrap()
        };
        assert!(same_epsilon(epsilon(&events), epsilon(&together)));
        let huge = [event(1.0).times(u64::MAX), event(1.0)];
        assert_eq!(merged(&huge).len(), 2, "no count overflows");
    }

    #[test]
    fn an_unknown_accountant_is_refused_by_name() {
        let unknown = AccountantName {
            name: "abacus".into(),
            version: "9".into(),
        };
        let delta = Delta::try_from(1e-5).unwrap();
        let refused = unknown.epsilon(&[event(1.0)], Adjacency::AddOrRemove, delta);
        assert_eq!(refused, Err(CannotAccount::Unknown("abacus".into())));
    }

    #[test]
    fn epsilons_that_differ_are_told_apart() {
        assert!(same_epsilon(2.0, 2.0 + 1e-9));
        assert!(same_epsilon(0.0, 0.0));
        assert!(same_epsilon(f64::INFINITY, f64::INFINITY));
        for (claimed, computed) in [
            (2.0, 2.001),
            (0.0, 1e-3),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
        ] {
            assert!(!same_epsilon(claimed, computed), "{claimed} {computed}");
        }
    }
}
