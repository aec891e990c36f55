//! What an update must be to count, and what becomes of those that do.

use umbel_privacy::clip::ClippingNorm;
use umbel_privacy::lattice::{LatticeStep, LatticeVector};
use umbel_proto::plan::Plan;

use super::{Aggregate, AggregateKind, standard};

/// What a submitted vector must be, by the plan: checked on what was really received.
#[derive(Clone, Debug)]
pub struct UpdateRules {
    parameters: usize,
    width: usize,
    largest: u64,
    step: LatticeStep,
    /// The norm that the guarantee rests on, where it rests on what one client submits.
    norm: Option<ClippingNorm>,
    kind: &'static AggregateKind,
}

/// Why a vector is no update.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUpdate {
    /// Wrong length or encoding.
    #[error(
        "the update isn't {parameters} numbers of {width} bytes: {reason}; is the client's version or model another?"
    )]
    Shape {
        /// Numbers expected.
        parameters: usize,
        /// Bytes of each.
        width: usize,
        /// What is wrong.
        reason: String,
    },
    /// A coordinate that no honest client can have.
    #[error(
        "coordinate {index} of the update is {found} lattice steps, more than the {largest} that the clipping norm and max_units allow"
    )]
    Coordinate {
        /// Which.
        index: usize,
        /// What it is.
        found: i64,
        /// What it may be.
        largest: u64,
    },
    /// The norm is above the clipping norm.
    #[error("the update's norm is above the clipping norm: {0}")]
    Norm(String),
}

impl UpdateRules {
    /// The rules of a plan.
    pub fn of(plan: &Plan) -> Self {
        let one_client_is_the_unit = plan.hides_clients() && !plan.has_local_noise();
        Self {
            parameters: plan.coordinates(),
            width: plan.coordinate_width(),
            largest: plan.largest_coordinate(),
            step: plan.submitted_step(),
            norm: plan
                .mechanism()
                .filter(|_| one_client_is_the_unit)
                .map(|mechanism| mechanism.clipping_norm),
            kind: standard(),
        }
    }

    /// Rules for updates of so many numbers, each of eight bytes and below 2^40.
    #[cfg(test)]
    pub(crate) fn of_numbers(parameters: usize) -> Self {
        Self {
            parameters,
            width: 8,
            largest: 1 << 40,
            step: LatticeStep::UNCLIPPED,
            norm: None,
            kind: standard(),
        }
    }

    /// Bytes of an update.
    pub fn bytes(&self) -> u64 {
        self.parameters as u64 * self.width as u64
    }

    /// Numbers of an update.
    pub fn numbers(&self) -> usize {
        self.parameters
    }

    /// Whether a sum of one such update from each of so many clients could leave the range of
    /// its integers.
    pub fn may_overflow(&self, clients: usize) -> bool {
        let most = u128::from(self.largest).saturating_mul(clients as u128);
        most > i64::MAX as u128
    }

    /// The lattice of the updates.
    pub fn step(&self) -> LatticeStep {
        self.step
    }

    /// Reads an update and checks everything about it.
    ///
    /// # Errors
    /// [`BadUpdate`] says what is wrong with it.
    pub fn read(&self, bytes: &[u8]) -> Result<LatticeVector, BadUpdate> {
        let vector = LatticeVector::decode(bytes, self.width, self.parameters).map_err(|e| {
            BadUpdate::Shape {
                parameters: self.parameters,
                width: self.width,
                reason: e.to_string(),
            }
        })?;
        let largest = self.largest;
        let too_large = |value: &i64| value.unsigned_abs() > largest;
        if let Some(index) = vector.values().iter().position(too_large) {
            return Err(BadUpdate::Coordinate {
                index,
                found: vector.values()[index],
                largest,
            });
        }
        if let Some(norm) = self.norm {
            vector
                .check_norm(norm, self.step)
                .map_err(|e| BadUpdate::Norm(e.to_string()))?;
        }
        Ok(vector)
    }

    /// The same rules for updates that become one vector in another way than by their sum.
    pub fn aggregated_by(self, kind: &'static AggregateKind) -> Self {
        Self { kind, ..self }
    }

    /// An aggregate of nothing, to which each of so many clients may add an update once.
    pub fn aggregate(&self, clients: usize) -> Box<dyn Aggregate> {
        (self.kind.make)(self.parameters, self.may_overflow(clients))
    }
}
