//! Running a classifier on token ids.

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::classifier::Classifier;
use crate::data::LabelledTexts;
use crate::device::is_cpu;
use crate::error::ModelError;
use crate::gradient::Example;
use crate::gradient::tape::Tape;
use crate::host::{self, Workspace};

/// One score a label for each row, in the order of the rows, all finite. At most `batch` rows
/// pass through the network at a time.
///
/// # Errors
/// [`ModelError::Row`] for a row that doesn't fit the model, [`ModelError::Scores`] for a model
/// whose numbers are so large that they overflow on the way.
pub fn logits(
    model: &Classifier,
    rows: &[Vec<u32>],
    batch: usize,
) -> Result<Vec<Vec<f32>>, ModelError> {
    for (row, tokens) in rows.iter().enumerate() {
        model.check_row(row, tokens)?;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows[*row].len());
    let batches: Vec<Vec<&[u32]>> = order
        .chunks(batch.max(1))
        .map(|chosen| chosen.iter().map(|row| rows[*row].as_slice()).collect())
        .collect();
    let answers = if is_cpu(model.device()) {
        logits_on_host(model, &batches)
    } else {
        logits_on_device(model, &batches)?
    };
    if answers.iter().flatten().any(|score| !score.is_finite()) {
        return Err(ModelError::Scores);
    }
    let mut scores = vec![Vec::new(); rows.len()];
    for (row, values) in order.into_iter().zip(answers) {
        scores[row] = values;
    }
    Ok(scores)
}

/// Whether a model's scores are finite numbers at all, found by one short row that every model
/// can read: the first few of its tokens, whatever they mean.
///
/// # Errors
/// [`ModelError::Scores`] where they aren't.
pub fn check_scores(model: &Classifier) -> Result<(), ModelError> {
    const TOKENS: usize = 8;
    let spec = model.spec();
    let tokens = TOKENS.min(spec.vocab_size).min(spec.max_tokens());
    logits(model, &[(0..tokens as u32).collect()], 1).map(drop)
}

pub(crate) fn logits_on_host(model: &Classifier, batches: &[Vec<&[u32]>]) -> Vec<Vec<f32>> {
    let weights = model.host().weights(model);
    let answers = batches
        .par_iter()
        .map_init(Workspace::default, |workspace, rows| {
            host::logits(&weights, rows, workspace)
        });
    answers.flatten_iter().collect()
}

pub(crate) fn logits_on_device(
    model: &Classifier,
    batches: &[Vec<&[u32]>],
) -> Result<Vec<Vec<f32>>, ModelError> {
    let mut answers = Vec::new();
    for rows in batches {
        let batch = model.batch(rows)?;
        let answer = model.network().logits(&batch, &mut Tape::off());
        answers.extend(split(answer));
    }
    Ok(answers)
}

/// The probability of each label for each row.
///
/// # Errors
/// As [`logits`].
pub fn predict(
    model: &Classifier,
    rows: &[Vec<u32>],
    batch: usize,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let scores = logits(model, rows, batch)?;
    Ok(scores.iter().map(|scores| softmax(scores)).collect())
}

/// Turns labelled texts into token ids and labels.
///
/// # Errors
/// [`ModelError`] where the tokeniser fails.
pub fn tokenise(
    texts: &LabelledTexts,
    classifier: &Classifier,
) -> Result<Vec<Example>, ModelError> {
    texts
        .texts
        .iter()
        .zip(&texts.labels)
        .map(|(text, &label)| {
            Ok(Example {
                tokens: classifier.encode(text)?,
                label,
            })
        })
        .collect()
}

/// The last hidden states of one row, one vector a token.
///
/// # Errors
/// As [`logits`].
pub fn last_hidden_state(model: &Classifier, tokens: &[u32]) -> Result<Vec<Vec<f32>>, ModelError> {
    let batch = model.batch(&[tokens])?;
    let hidden = model.network().hidden(&batch, &mut Tape::off());
    let [_, tokens, width] = hidden.dims();
    Ok(split(hidden.reshape([tokens, width])))
}

fn split(rows: Tensor<2>) -> Vec<Vec<f32>> {
    let width = rows.dims()[1].max(1);
    let values: Vec<f32> = rows.into_data().iter::<f32>().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.iter().map(|x| x / sum).collect()
}
