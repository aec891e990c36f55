//! Sums of per-unit clipped gradients by book-keeping (Bu et al. 2023): one backward pass,
//! no gradient of a single unit kept in memory where its norm can be had without.
//!
//! [`tape`] records a forward pass, [`parts`] has the norms and sums of each kind of tensor,
//! [`squares`] tells which norms can be relied on, [`micro_batch`] runs one padded batch, and
//! [`gradient_sum`] adds them up.

mod embedding;
mod micro_batch;
mod parts;
mod runs;
mod squares;
pub(crate) mod tape;

#[cfg(test)]
mod autodiff_tests;
#[cfg(test)]
mod norm_tests;
#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "tests outside of the crate use more of it")]
mod support;

use rand::Rng;

use crate::classifier::Classifier;
use crate::error::ModelError;
use micro_batch::MicroBatch;

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
    fn factor(self, norm: f64) -> f64 {
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
    /// Each unit's norm before clipping, in the order of the units.
    pub norms: Vec<f64>,
    /// Units whose gradient was NaN or infinite; they count as zero.
    pub rejected: usize,
}

/// Sums the clipped gradients of `units`, each a list of rows of `examples` that are clipped
/// together, whatever micro-batches they fall into. A unit's loss is the sum of its rows'
/// cross-entropies. At most `micro_batch` rows pass through the network at a time.
///
/// # Errors
/// [`ModelError::Row`] for a row that isn't there or doesn't fit the model.
pub fn gradient_sum<R: Rng>(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
    clipping: Clipping,
    micro_batch: usize,
    dropout_rng: &mut R,
) -> Result<GradientSum, ModelError> {
    check_rows(model, examples, units)?;
    let capacity = micro_batch.max(1);
    let mut summing = Summing {
        model,
        examples,
        units,
        clipping,
        capacity,
        rng: dropout_rng,
        total: GradientSum {
            sum: vec![0.0; model.layout().len()],
            loss: 0.0,
            norms: vec![0.0; units.len()],
            rejected: 0,
        },
    };
    let mut pending: Vec<usize> = Vec::new();
    let mut rows = 0;
    for unit in order(examples, units) {
        let size = units[unit].len();
        if size > capacity {
            summing.add_multiplied_out(unit)?;
            continue;
        }
        if rows + size > capacity {
            summing.add_together(&pending)?;
            pending.clear();
            rows = 0;
        }
        pending.push(unit);
        rows += size;
    }
    summing.add_together(&pending)?;
    Ok(summing.total)
}

/// The units that have rows, in the order in which they are added: those of equally many rows
/// lie together, since their norms are computed together, and among them those of one length,
/// so that little is padded.
fn order(examples: &[Example], units: &[Vec<usize>]) -> Vec<usize> {
    let longest = |unit: &usize| {
        let lengths = units[*unit].iter().map(|row| examples[*row].tokens.len());
        lengths.max().unwrap_or(0)
    };
    let mut order: Vec<usize> = (0..units.len()).filter(|u| !units[*u].is_empty()).collect();
    order.sort_by_key(|unit| (units[*unit].len(), longest(unit)));
    order
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

/// A sum that is being formed.
struct Summing<'a, R> {
    model: &'a Classifier,
    examples: &'a [Example],
    units: &'a [Vec<usize>],
    clipping: Clipping,
    /// Rows of a micro-batch, at most.
    capacity: usize,
    rng: &'a mut R,
    total: GradientSum,
}

impl<R: Rng> Summing<'_, R> {
    /// Adds whole units that fit one micro-batch together.
    fn add_together(&mut self, chosen: &[usize]) -> Result<(), ModelError> {
        if chosen.is_empty() {
            return Ok(());
        }
        let members: Vec<&[usize]> = chosen.iter().map(|u| self.units[*u].as_slice()).collect();
        let batch = MicroBatch::run(self.model, self.examples, &members, self.rng)?;
        let norms = batch.norms();
        if norms.iter().all(Option::is_some) {
            let norms: Vec<f64> = norms.into_iter().flatten().collect();
            let factors: Vec<f64> = norms.iter().map(|n| self.clipping.factor(*n)).collect();
            batch.add_scaled(&factors, &mut self.total.sum);
            self.total.loss += batch.loss();
            for (unit, norm) in chosen.iter().zip(norms) {
                self.total.norms[*unit] = norm;
            }
            return Ok(());
        }
        // NaN times zero is NaN, so in this batch's sum one unit's would reach the others.
        // Were these left out with it, a unit's absence would show in more than its own
        // gradient.
        let mut sound = Vec::new();
        for (unit, norm) in chosen.iter().zip(norms) {
            match norm {
                Some(_) => sound.push(*unit),
                None => self.add_multiplied_out(*unit)?,
            }
        }
        self.add_together(&sound)
    }

    /// Adds a unit by itself: its gradient is multiplied out, as a sum over as many
    /// micro-batches as it takes, measured in double precision, and then clipped as a whole.
    fn add_multiplied_out(&mut self, unit: usize) -> Result<(), ModelError> {
        let mut gradient = vec![0.0; self.total.sum.len()];
        let mut loss = 0.0;
        for rows in self.units[unit].chunks(self.capacity) {
            let batch = MicroBatch::run(self.model, self.examples, &[rows], self.rng)?;
            batch.add_scaled(&[1.0], &mut gradient);
            loss += batch.loss();
        }
        let norm = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        self.total.norms[unit] = norm;
        if !norm.is_finite() {
            self.total.rejected += 1;
            return Ok(());
        }
        self.total.loss += loss;
        let factor = self.clipping.factor(norm);
        for (sum, x) in self.total.sum.iter_mut().zip(gradient) {
            *sum += factor * x;
        }
        Ok(())
    }
}
