//! Sums of per-unit clipped gradients by book-keeping (Bu et al. 2023): one backward pass,
//! no gradient of a single unit kept in memory where its norm can be had without.
//!
//! [`tape`] records a forward pass, [`taps`] has the norms and sums of each kind of layer,
//! [`micro_batch`] runs one padded batch, and [`gradient_sum`] adds them up.

mod embedding;
mod micro_batch;
pub(crate) mod tape;
mod taps;

use rand::Rng;

use crate::classifier::Classifier;
use crate::error::ModelError;
use micro_batch::{MicroBatch, unclipped};

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
    /// It is scaled by min(1, C/norm) (Abadi et al. 2016), with this C.
    Flat(f64),
}

impl Clipping {
    /// The factor of a unit whose gradient has this norm; a norm that is no number gives
    /// `None`, and the unit counts as zero.
    fn factor(self, norm: f64) -> Option<f64> {
        match self {
            _ if !norm.is_finite() => None,
            Self::Flat(c) if norm > c => Some(c / norm),
            Self::Flat(_) | Self::None => Some(1.0),
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
    let mut total = GradientSum {
        sum: vec![0.0; model.layout().len()],
        loss: 0.0,
        norms: vec![0.0; units.len()],
        rejected: 0,
    };
    check_rows(model, examples, units)?;
    let capacity = micro_batch.max(1);
    let longest = |unit: &usize| {
        let lengths = units[*unit].iter().map(|row| examples[*row].tokens.len());
        lengths.max().unwrap_or(0)
    };
    // Units of one length lie together, so that little is padded.
    let mut order: Vec<usize> = (0..units.len()).filter(|u| !units[*u].is_empty()).collect();
    order.sort_by_key(longest);
    let mut pending: Vec<usize> = Vec::new();
    let mut rows = 0;
    for unit in order {
        let size = units[unit].len();
        if size > capacity {
            add_large_unit(
                model,
                examples,
                units,
                unit,
                clipping,
                capacity,
                dropout_rng,
                &mut total,
            )?;
            continue;
        }
        if rows + size > capacity {
            add_batch(
                model,
                examples,
                units,
                &pending,
                clipping,
                dropout_rng,
                &mut total,
            )?;
            pending.clear();
            rows = 0;
        }
        pending.push(unit);
        rows += size;
    }
    add_batch(
        model,
        examples,
        units,
        &pending,
        clipping,
        dropout_rng,
        &mut total,
    )?;
    Ok(total)
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

/// Adds whole units that fit one micro-batch together.
fn add_batch<R: Rng>(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
    chosen: &[usize],
    clipping: Clipping,
    rng: &mut R,
    total: &mut GradientSum,
) -> Result<(), ModelError> {
    if chosen.is_empty() {
        return Ok(());
    }
    let members: Vec<&[usize]> = chosen.iter().map(|unit| units[*unit].as_slice()).collect();
    let batch = MicroBatch::run(model, examples, &members, rng)?;
    let norms = batch.norms();
    let factors: Vec<Option<f64>> = norms.iter().map(|norm| clipping.factor(*norm)).collect();
    if factors.iter().any(Option::is_none) {
        if let ([unit], [norm]) = (chosen, norms.as_slice()) {
            total.norms[*unit] = *norm;
            total.rejected += 1;
            return Ok(());
        }
        // NaN times zero is NaN, so in a batch one unit's reaches the others. Were these
        // rejected with it, a unit's absence would show in more than its own gradient.
        for unit in chosen.chunks(1) {
            add_batch(model, examples, units, unit, clipping, rng, total)?;
        }
        return Ok(());
    }
    let factors: Vec<f64> = factors.into_iter().flatten().collect();
    total.loss += batch.loss();
    batch.add_scaled(&factors, &mut total.sum);
    for (unit, norm) in chosen.iter().zip(norms) {
        total.norms[*unit] = norm;
    }
    Ok(())
}

/// Adds a unit of more rows than a micro-batch holds: its gradient is summed first, so that
/// it is clipped as a whole.
#[allow(
    clippy::too_many_arguments,
    reason = "the arguments of its only caller"
)]
fn add_large_unit<R: Rng>(
    model: &Classifier,
    examples: &[Example],
    units: &[Vec<usize>],
    unit: usize,
    clipping: Clipping,
    capacity: usize,
    rng: &mut R,
    total: &mut GradientSum,
) -> Result<(), ModelError> {
    let (gradient, loss) = unclipped(model, examples, &units[unit], capacity, rng)?;
    let norm = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
    total.norms[unit] = norm;
    let Some(factor) = clipping.factor(norm) else {
        total.rejected += 1;
        return Ok(());
    };
    total.loss += loss;
    for (sum, x) in total.sum.iter_mut().zip(gradient) {
        *sum += factor * x;
    }
    Ok(())
}
