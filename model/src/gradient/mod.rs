//! Sums of per-unit clipped gradients by book-keeping (Bu et al. 2023): one backward pass,
//! no gradient of a single unit kept in memory where its norm can be had without.
//!
//! On the CPU, `on_host` has tiles of rows computed by `host`. On a GPU, `on_device`
//! has micro-batches of few shapes: `shape` sorts units into them, `tape` records a forward pass,
//! `parts` has the norms and sums of each kind of tensor, `micro_batch` runs one batch, and
//! `isolation` makes sure that nobody's gradient depends on others. `squares` tells which norms
//! can be relied on.

pub(crate) mod embedding;
pub(crate) mod isolation;
mod micro_batch;
mod on_device;
mod on_host;
mod parts;
mod physical;
mod recycled;
mod shape;
pub(crate) mod squares;
pub(crate) mod tape;

#[cfg(test)]
mod autodiff_tests;
#[cfg(test)]
mod norm_tests;
#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
pub(crate) mod support;

use rand::Rng;

use crate::classifier::Classifier;
use crate::device::is_cpu;
use crate::error::ModelError;
pub use physical::PhysicalBatch;

/// A tokenised row with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Token ids, special tokens included; not empty.
    pub tokens: Vec<u32>,
    /// Index of the label.
    pub label: usize,
}

/// What is done to a unit's gradient before it is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clipping {
    /// Nothing: plain training.
    None,
    /// It is scaled by min(1, C/norm) (Abadi et al. 2016, Algorithm 1), with this C.
    Flat(f64),
    /// It is scaled by C/(norm + 0.01), with this C (AUTO-S of Bu et al. 2023, "Automatic
    /// Clipping", with their γ = 0.01): every unit counts about the same, and the norm stays
    /// below C.
    Automatic(f64),
}

/// γ of automatic clipping: it keeps the factor finite, and gradients much smaller than it
/// small.
const STABILITY: f64 = 0.01;

impl Clipping {
    /// The factor of a unit whose gradient has this norm, a finite number.
    pub(crate) fn factor(self, norm: f64) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Flat(c) if norm > c => c / norm,
            Self::Flat(_) => 1.0,
            Self::Automatic(c) => c / (norm + STABILITY),
        }
    }
}

/// The sum over units of their clipped gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientSum {
    /// In the order of the classifier's layout.
    pub sum: Vec<f64>,
    /// Sum of the rows' cross-entropies.
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

/// Sums the clipped gradients of `units`, each a list of rows of `examples` that are clipped
/// together, whatever micro-batches they fall into. A unit's loss is the sum of its rows'
/// cross-entropies. `batch` bounds what passes through the network at a time.
///
/// # Errors
/// [`ModelError::Row`] for a row that isn't there or doesn't fit the model.
pub fn gradient_sum<R: Rng>(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
    clipping: Clipping,
    batch: PhysicalBatch,
    dropout_rng: &mut R,
) -> Result<GradientSum, ModelError> {
    check_rows(model, examples, units)?;
    let work = Work {
        model,
        examples,
        units,
        clipping,
        batch,
    };
    if is_cpu(model.device()) {
        Ok(on_host::sum(&work, dropout_rng))
    } else {
        on_device::sum(&work, dropout_rng)
    }
}

/// What is to be summed.
struct Work<'a> {
    model: &'a Classifier,
    examples: &'a [Example],
    units: &'a [Vec<usize>],
    clipping: Clipping,
    batch: PhysicalBatch,
}

impl Work<'_> {
    /// A sum of nothing.
    fn nothing(&self) -> GradientSum {
        GradientSum {
            sum: recycled::zeros(self.model.layout().len()),
            loss: 0.0,
            norms: vec![0.0; self.units.len()],
            rejected: 0,
        }
    }

    /// A row's tokens.
    fn length(&self, row: usize) -> usize {
        self.examples[row].tokens.len()
    }

    /// The rows of a unit that doesn't fit the batch, in pieces that do.
    fn pieces(&self, unit: usize) -> Vec<&[usize]> {
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
    fn add_multiplied_out(
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
        let factor = self.clipping.factor(norm);
        for (sum, x) in total.sum.iter_mut().zip(gradient) {
            *sum += factor * x;
        }
    }
}

fn check_rows(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
) -> Result<(), ModelError> {
    for row in units.iter().flatten().copied() {
        let reason = match examples.get(row) {
            None => format!("there are only {} rows", examples.len()),
            Some(example) if example.label >= model.labels().len() => {
                format!(
                    "its label {} isn't below {}",
                    example.label,
                    model.labels().len()
                )
            }
            Some(example) => {
                model.check_row(row, &example.tokens)?;
                continue;
            }
        };
        return Err(ModelError::Row { row, reason });
    }
    Ok(())
}
