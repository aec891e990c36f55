//! What an update must be to count, and what becomes of those that do.

use std::io::{self, Read};

use umbel_privacy::clip::ClippingNorm;
#[cfg(test)]
use umbel_privacy::lattice::longest_encoding;
use umbel_privacy::lattice::{BadEncoding, Coordinates, LatticeStep, ReadError, SquaredNorm};
use umbel_proto::incoming::UpdateBytes;
use umbel_proto::plan::Plan;

use super::shortened::{Shortened, shortening};
use super::{Aggregate, AggregateRule};

/// What a submitted vector must be, by the plan: checked on what was really received.
#[derive(Clone, Debug)]
pub struct UpdateRules {
    parameters: usize,
    longest: u64,
    largest: u64,
    step: LatticeStep,
    /// The norm that the guarantee rests on, where it rests on what one client submits.
    norm: Option<ClippingNorm>,
    /// The longest that an update may be, where it is scaled down to that.
    longest_norm: Option<ClippingNorm>,
    rule: AggregateRule,
}

/// Why a vector is no update.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUpdate {
    /// Wrong length or encoding.
    #[error(
        "the update isn't {parameters} numbers: {reason}; is the client's version or model another?"
    )]
    Shape {
        /// Numbers expected.
        parameters: usize,
        /// What is wrong.
        reason: BadEncoding,
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

/// Why an update doesn't pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is no update.
    #[error(transparent)]
    Bad(#[from] BadUpdate),
    /// This side can't read what came.
    #[error("an update that came can't be read again: {0}")]
    Io(#[from] io::Error),
}

/// The coordinates of an update, a block at a time.
pub struct Reading<'a> {
    coordinates: Coordinates<Box<dyn Read + 'a>>,
    shortened: Option<Shortened>,
}

impl Reading<'_> {
    /// The next coordinates, and the place of the first of them. `None` behind the last.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn next_block(&mut self) -> Result<Option<(usize, &[i64])>, ReadError> {
        let block = self.coordinates.next_block()?;
        Ok(block.map(|(at, values)| match &mut self.shortened {
            None => (at, values),
            Some(shortened) => (at, shortened.of(values)),
        }))
    }
}

/// An update that can be read as often as need be.
#[derive(Clone, Copy, Debug)]
pub struct Readable<'a> {
    pub(super) bytes: &'a dyn UpdateBytes,
    pub(super) numbers: usize,
    /// By which it is multiplied, if it is longer than an update may be.
    pub(super) factor: Option<f64>,
}

impl<'a> Readable<'a> {
    /// Begins to read it.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&self) -> io::Result<Reading<'a>> {
        Ok(Reading {
            coordinates: Coordinates::new(self.bytes.open()?, self.numbers),
            shortened: self.factor.map(Shortened::by),
        })
    }
}

impl UpdateRules {
    /// The rules of a plan.
    pub fn of(plan: &Plan) -> Self {
        let one_client_is_the_unit = plan.hides_clients() && !plan.has_local_noise();
        Self {
            parameters: plan.coordinates(),
            longest: plan.longest_update(),
            largest: plan.largest_coordinate(),
            step: plan.submitted_step(),
            norm: plan
                .mechanism()
                .filter(|_| one_client_is_the_unit)
                .map(|mechanism| mechanism.clipping_norm),
            longest_norm: None,
            rule: AggregateRule::sum(),
        }
    }

    /// Rules for updates of so many numbers, each below 2^40.
    #[cfg(test)]
    pub(crate) fn of_numbers(parameters: usize) -> Self {
        let largest = 1 << 40;
        Self {
            parameters,
            longest: longest_encoding(parameters, largest),
            largest,
            step: LatticeStep::UNCLIPPED,
            norm: None,
            longest_norm: None,
            rule: AggregateRule::sum(),
        }
    }

    /// The most bytes of an update.
    pub fn bytes(&self) -> u64 {
        self.longest
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

    /// An update by these rules, to be read a block at a time.
    pub fn readable<'a>(&self, bytes: &'a dyn UpdateBytes) -> Readable<'a> {
        Readable {
            bytes,
            numbers: self.parameters,
            factor: None,
        }
    }

    /// Reads an update once, a block at a time, and checks everything about it. Returns it as it
    /// counts: scaled down, if it is longer than it may be.
    ///
    /// # Errors
    /// [`CheckError`] says what is wrong with it.
    pub fn check<'a>(&self, update: &Readable<'a>) -> Result<Readable<'a>, CheckError> {
        let largest = self.largest;
        let mut squared = SquaredNorm::default();
        let mut reading = update.read()?;
        while let Some((at, values)) = reading.next_block().map_err(|e| self.unreadable(e))? {
            let too_large = |value: &i64| value.unsigned_abs() > largest;
            if let Some(index) = values.iter().position(too_large) {
                return Err(CheckError::Bad(BadUpdate::Coordinate {
                    index: at + index,
                    found: values[index],
                    largest,
                }));
            }
            if self.norm.is_some() || self.longest_norm.is_some() {
                squared.add(values);
            }
        }
        if let Some(norm) = self.norm {
            let within = squared.check(norm, self.step);
            within.map_err(|e| CheckError::Bad(BadUpdate::Norm(e.to_string())))?;
        }
        let longest = self.longest_norm;
        let factor = longest.and_then(|longest| shortening(&squared, longest, self.step));
        Ok(Readable { factor, ..*update })
    }

    fn unreadable(&self, error: ReadError) -> CheckError {
        match error {
            ReadError::Io(error) => CheckError::Io(error),
            ReadError::Bad(reason) => CheckError::Bad(BadUpdate::Shape {
                parameters: self.parameters,
                reason,
            }),
        }
    }

    /// The same rules for updates that are scaled down to this norm where they are longer.
    pub fn shortened_to(self, longest_norm: Option<ClippingNorm>) -> Self {
        Self {
            longest_norm,
            ..self
        }
    }

    /// The same rules for updates that become one vector in another way than by their sum.
    pub fn aggregated_by(self, rule: AggregateRule) -> Self {
        Self { rule, ..self }
    }

    /// An aggregate of nothing, to which each of so many clients may add an update once.
    pub fn aggregate(&self, clients: usize) -> Box<dyn Aggregate> {
        let AggregateRule { kind, settings } = &self.rule;
        (kind.make)(settings, self.parameters, self.may_overflow(clients))
    }
}
