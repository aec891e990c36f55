//! What a trainer is asked for, and what it answers.

use std::fmt::Debug;

use rand::Rng;

use super::clipping::Clipping;
use super::kept_states::KeptStates;
use super::physical::PhysicalBatch;
use super::recycled;
use crate::error::ModelError;
use crate::loss::Loss;
use crate::model::Model;
use crate::target::Target;
use crate::tokens::{TokenRow, Tokens};

/// Trains and scores models on one kind of device. What it keeps between two calls only saves
/// time: it is kept by the model's stamp, so that no answer is of weights that a model had before.
pub(crate) trait Trainer: Debug + Send + Sync {
    /// Sums the clipped gradients of the units, whose rows were checked. Dropout's masks are drawn
    /// from `rng`.
    ///
    /// # Errors
    /// [`ModelError::Device`] where the device can't be relied on.
    fn sum(&self, work: &Work<'_>, rng: &mut dyn Rng) -> Result<GradientSum, ModelError>;

    /// One score a label for each row of all batches, in their order. The rows were checked.
    ///
    /// # Errors
    /// [`ModelError::Device`] where the device fails.
    fn logits(
        &self,
        model: &Model,
        batches: &[Vec<TokenRow<'_>>],
    ) -> Result<Vec<Vec<f32>>, ModelError>;
}

/// A tokenised row with its target.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Its tokens; not empty.
    pub tokens: Tokens,
    /// What is right for it.
    pub target: Target,
}

impl Example {
    /// Bytes that it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let labels = match &self.target {
            Target::Labels(labels) => size_of_val(labels.as_slice()),
            Target::Class(_) | Target::Value(_) => 0,
        };
        size_of::<Self>() + size_of::<u32>() * self.tokens.len() + labels
    }
}

/// The sum over units of their clipped gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientSum {
    /// In the order of the classifier's layout.
    pub sum: Vec<f64>,
    /// Sum of the rows' losses.
    pub loss: f64,
    /// Each unit's norm before clipping, in the order of the units; none of them where nothing
    /// is clipped, and so nothing was measured.
    pub norms: Vec<f64>,
    /// Units whose gradient was NaN or infinite; they count as zero.
    pub rejected: usize,
}

impl GradientSum {
    /// Gives its memory back, for the next sum over the same parameters.
    pub fn recycle(self) {
        recycled::give_back(self.sum);
    }
}

/// What is to be summed.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) model: &'a Model,
    pub(crate) examples: &'a [Example],
    /// Where states of these rows may be kept. Whether that pays is the trainer's business.
    pub(crate) kept: Option<&'a KeptStates>,
    /// Each a list of rows of `examples` that are clipped together.
    pub(crate) units: &'a [Vec<usize>],
    pub(crate) clipping: Clipping,
    /// What passes through the network at a time, at most.
    pub(crate) batch: PhysicalBatch,
}

impl Work<'_> {
    /// Checks that all rows of its units are there and fit the model.
    ///
    /// # Errors
    /// [`ModelError::Row`] for the first that doesn't.
    pub(crate) fn check_rows(&self) -> Result<(), ModelError> {
        let options = self.model.options();
        for row in self.units.iter().flatten().copied() {
            let reason = match self.examples.get(row) {
                None => format!("there are only {} rows", self.examples.len()),
                Some(example) => {
                    let mistake = example.target.mistake(options.task, options.labels.len());
                    let Some(mistake) = mistake else {
                        self.model.check_row(row, (&example.tokens).into())?;
                        continue;
                    };
                    mistake
                }
            };
            return Err(ModelError::Row { row, reason });
        }
        Ok(())
    }

    /// A sum of nothing.
    pub(super) fn nothing(&self) -> GradientSum {
        GradientSum {
            sum: recycled::zeros(self.model.layout().len()),
            loss: 0.0,
            norms: vec![0.0; self.units.len()],
            rejected: 0,
        }
    }

    /// A row's tokens.
    pub(super) fn length(&self, row: usize) -> usize {
        self.examples[row].tokens.len()
    }

    /// The rows of a unit that doesn't fit the batch, in pieces that do.
    pub(super) fn pieces(&self, unit: usize) -> Vec<&[usize]> {
        let rows = &self.units[unit];
        let mut pieces = Vec::new();
        let (mut first, mut filled) = (0, 0);
        for (place, row) in rows.iter().enumerate() {
            let length = self.length(*row);
            if place > first && !self.batch.holds(place - first + 1, filled + length) {
                pieces.push(&rows[first..place]);
                (first, filled) = (place, 0);
            }
            filled += length;
        }
        pieces.push(&rows[first..]);
        pieces
    }

    /// Finishes a unit that was multiplied out: clips its `gradient` as a whole, measured in
    /// double precision, and adds it.
    pub(super) fn add_multiplied_out(
        &self,
        unit: usize,
        gradient: &[f64],
        loss: f64,
        total: &mut GradientSum,
    ) {
        let norm = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        total.norms[unit] = norm;
        if !norm.is_finite() {
            total.rejected += 1;
            return;
        }
        total.loss += loss;
        let rows = self.units[unit].len();
        let residual = Loss::of(self.model.options()).residual(loss, rows);
        let factor = self.clipping.factor(norm, residual);
        for (sum, x) in total.sum.iter_mut().zip(gradient) {
            *sum += factor * x;
        }
    }
}
