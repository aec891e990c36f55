//! Which combinations of privacy unit, summed quantity and place of the noise
//! hold a guarantee. Everything else is refused when a configuration is read.
//!
//! | unit | summed | noise | guarantee is held by |
//! |---|---|---|---|
//! | record, group | gradients | central | the run ledger and each site's ledger |
//! | record, group | gradients or deltas | local | each site's ledger |
//! | client | deltas | central or local | the run ledger |
//! | none | either | (ignored) | nobody |

use serde::{Deserialize, Serialize};

use crate::unit::{NoisePlacement, PrivacyUnit};
use crate::words;

/// What the clients' updates are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Summed {
    /// Sums of clipped gradients of the units that a client sampled (FedSGD).
    Gradients,
    /// Differences of parameters after several local steps (FedAvg and its kin).
    Deltas,
}

words!(Summed, "something clients send", "gradients, deltas",
    Summed::Gradients => "gradients", Summed::Deltas => "deltas");

/// A combination that would hold no guarantee. The message says why, and what to
/// use instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCombination {
    /// Deltas bound what a client contributes, not what one of its units does.
    #[error(
        "unit {unit} with deltas and central noise protects nobody: one {unit} steers every local \
         step, and clipping the whole delta doesn't bound its share; \
         send gradients, or add noise locally, or protect unit client"
    )]
    UnitHiddenInDelta {
        /// The unit that was asked for: record or group.
        unit: PrivacyUnit,
    },
    /// Gradients are clipped unit by unit, so a client's sum isn't bounded.
    #[error(
        "unit client with gradients protects nobody: they are clipped for each row or group, so a \
         client's sum grows with its number of rows; \
         send deltas (one local step is the same update), or protect unit record or group"
    )]
    ClientSumUnbounded,
}

/// Accepts exactly the combinations of the table above.
///
/// # Errors
/// [`InvalidCombination`], with the reason and what to use instead.
pub fn check_combination(
    unit: PrivacyUnit,
    summed: Summed,
    placement: NoisePlacement,
) -> Result<(), InvalidCombination> {
    match (unit, summed, placement) {
        (PrivacyUnit::Record | PrivacyUnit::Group, Summed::Gradients, _) => Ok(()),
        (PrivacyUnit::Record | PrivacyUnit::Group, Summed::Deltas, NoisePlacement::Local) => Ok(()),
        (PrivacyUnit::Record | PrivacyUnit::Group, Summed::Deltas, NoisePlacement::Central) => {
            Err(InvalidCombination::UnitHiddenInDelta { unit })
        }
        (PrivacyUnit::Client, Summed::Deltas, _) => Ok(()),
        (PrivacyUnit::Client, Summed::Gradients, _) => Err(InvalidCombination::ClientSumUnbounded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NoisePlacement::{Central, Local};
    use PrivacyUnit::{Client, Group, Record};
    use Summed::{Deltas, Gradients};

    #[test]
    fn exactly_the_combinations_that_hold_a_guarantee_are_accepted() {
        let accepted = |unit, summed, placement| check_combination(unit, summed, placement).is_ok();
        let mut found = Vec::new();
        for unit in [Record, Group, Client] {
            for summed in [Gradients, Deltas] {
                for placement in [Central, Local] {
                    if !accepted(unit, summed, placement) {
                        found.push((unit, summed, placement));
                    }
                }
            }
        }
        assert_eq!(
            found,
            [
                (Record, Deltas, Central),
                (Group, Deltas, Central),
                (Client, Gradients, Central),
                (Client, Gradients, Local),
            ]
        );
    }

    #[test]
    fn a_refusal_says_what_to_use_instead() {
        let message = check_combination(Group, Deltas, Central)
            .unwrap_err()
            .to_string();
        assert!(message.contains("one group steers"), "{message}");
        assert!(message.contains("send gradients"), "{message}");
        let message = check_combination(Client, Gradients, Central)
            .unwrap_err()
            .to_string();
        assert!(message.contains("send deltas"), "{message}");
    }

    #[test]
    fn the_words_read_back_as_themselves() {
        assert_eq!("gradients".parse(), Ok(Gradients));
        assert_eq!(Deltas.to_string().parse(), Ok(Deltas));
        assert!("weights".parse::<Summed>().is_err());
    }
}
