//! What the head reads of each row, kept from one sum to the next.
//!
//! Where the head alone is trained, and without dropout, a row's states are the same in every round:
//! they are computed when the row is first drawn. After that a round costs what its head costs, so that
//! all rows can be drawn in each round, which gives the most accuracy for an epsilon.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::work::Example;
use crate::model::Stamp;

/// The states of some rows; empty at first. They belong to the first model that is trained on the
/// rows, and others compute their own.
#[derive(Debug, Default)]
pub struct KeptStates {
    of: OnceLock<Stamp>,
    rows: Vec<OnceLock<Box<[f32]>>>,
    /// Bytes that more of them may take.
    left: AtomicUsize,
}

impl KeptStates {
    /// For so many rows. States that don't fit into so many bytes are computed each time.
    pub fn new(rows: usize, bytes: usize) -> Self {
        Self {
            of: OnceLock::new(),
            rows: (0..rows).map(|_| OnceLock::new()).collect(),
            left: AtomicUsize::new(bytes),
        }
    }

    /// Bytes that the states of one row take.
    pub fn bytes_of_row(width: usize) -> usize {
        size_of::<OnceLock<Box<[f32]>>>() + width * size_of::<f32>()
    }

    /// Whether they are of a model with these frozen weights; from now on they are, if nobody's yet.
    pub(crate) fn are_of(&self, stamp: Stamp) -> bool {
        let of = self.of.get_or_init(|| stamp);
        of.has_the_frozen_weights_of(stamp)
    }

    /// A row's states, if they are kept.
    pub(crate) fn get(&self, row: usize) -> Option<&[f32]> {
        self.rows.get(row)?.get().map(AsRef::as_ref)
    }

    /// Keeps a row's states, if there is room.
    pub(crate) fn keep(&self, row: usize, states: &[f32]) {
        let Some(place) = self.rows.get(row) else {
            return;
        };
        let less = |left: usize| left.checked_sub(size_of_val(states));
        let room = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if room.is_ok() {
            place.get_or_init(|| states.into());
        }
    }
}

/// Rows to train on, and what is kept of them.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRows<'a> {
    pub(crate) examples: &'a [Example],
    pub(crate) kept: Option<&'a KeptStates>,
}

impl<'a> TrainingRows<'a> {
    /// Rows whose states are kept here: for these very rows, in this order.
    pub fn keeping(examples: &'a [Example], kept: &'a KeptStates) -> Self {
        let kept = Some(kept);
        Self { examples, kept }
    }
}

impl<'a> From<&'a [Example]> for TrainingRows<'a> {
    fn from(examples: &'a [Example]) -> Self {
        let kept = None;
        Self { examples, kept }
    }
}

impl<'a> From<&'a Vec<Example>> for TrainingRows<'a> {
    fn from(examples: &'a Vec<Example>) -> Self {
        examples.as_slice().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_isnt_kept() {
        let kept = KeptStates::new(3, 20);
        for row in 0..3 {
            kept.keep(row, &[1.0, 2.0]);
        }
        kept.keep(3, &[1.0]);
        let found = (0..4).map(|row| kept.get(row).is_some());
        assert_eq!(found.collect::<Vec<_>>(), [true, true, false, false]);
    }

    #[test]
    fn they_belong_to_one_model_whatever_its_head() {
        let kept = KeptStates::new(1, 100);
        let first = Stamp::new();
        assert!(kept.are_of(first));
        assert!(kept.are_of(first.of_other_parameters()));
        assert!(!kept.are_of(Stamp::new()));
    }
}
