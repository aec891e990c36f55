//! What protects nobody.

use serde::{Deserialize, Serialize};

use super::{Known, Renyi};
use crate::accountant::{AccountingError, Delta};
use crate::unit::Adjacency;

/// Something that protects nobody: no finite epsilon bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonPrivate {}

impl Known for NonPrivate {
    fn name(&self) -> &'static str {
        "what protects nobody"
    }

    fn least_epsilon(&self, _adjacency: Adjacency, _delta: Delta) -> f64 {
        f64::INFINITY
    }

    fn renyi(&self, _adjacency: Adjacency) -> Result<Renyi, AccountingError> {
        Ok(Box::new(|_| f64::INFINITY))
    }
}
