//! Running a classifier on token ids.

use rayon::prelude::*;

use crate::classifier::Classifier;
use crate::data::LabelledTexts;
use crate::error::ModelError;
use crate::model::Model;
use crate::network::{Tape, rows_of};
use crate::task::answers;
use crate::text_lengths::TextLengths;
use crate::tokens::{TokenRow, Tokens};
use crate::trainer::Example;

/// One score a label for each row, in the order of the rows, all finite. At most `batch` rows
/// pass through the network at a time.
///
/// # Errors
/// [`ModelError::Row`] for a row that doesn't fit the model, [`ModelError::Scores`] for a model
/// whose numbers are so large that they overflow on the way.
pub fn logits<R>(model: &Classifier, rows: &[R], batch: usize) -> Result<Vec<Vec<f32>>, ModelError>
where
    for<'a> TokenRow<'a>: From<&'a R>,
{
    let rows: Vec<TokenRow<'_>> = rows.iter().map(TokenRow::from).collect();
    for (row, tokens) in rows.iter().enumerate() {
        model.check_row(row, *tokens)?;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows[*row].ids().len());
    let batches: Vec<Vec<TokenRow<'_>>> = order
        .chunks(batch.max(1))
        .map(|chosen| chosen.iter().map(|row| rows[*row]).collect())
        .collect();
    let answers = model.trainer().logits(model, &batches)?;
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
    logits(model, &[(0..tokens as u32).collect::<Vec<_>>()], 1).map(drop)
}

/// The probability of each label for each row: those of a text sum to 1 where it has one label.
/// Of a regression, its value.
///
/// # Errors
/// As [`logits`].
pub fn predict<R>(model: &Classifier, rows: &[R], batch: usize) -> Result<Vec<Vec<f32>>, ModelError>
where
    for<'a> TokenRow<'a>: From<&'a R>,
{
    let scores = logits(model, rows, batch)?;
    Ok(scores
        .iter()
        .map(|scores| answers(model.task(), scores))
        .collect())
}

/// Turns texts, or pairs of them, into token ids on all threads, and counts those that are too long.
///
/// # Errors
/// [`ModelError`] where the tokeniser fails.
pub fn tokens_of(
    model: &Model,
    texts: &[(&str, Option<&str>)],
) -> Result<(Vec<Tokens>, TextLengths), ModelError> {
    let found: Vec<_> = texts
        .par_iter()
        .map(|(text, second)| model.tokens(text, *second))
        .collect();
    let mut lengths = TextLengths::most(model.most_tokens());
    // One after the other, so that of several errors it is always the first.
    let tokens = found.into_iter().map(|found| {
        let (tokens, whole) = found?;
        lengths.count(whole);
        Ok(tokens)
    });
    let tokens = tokens.collect::<Result<_, ModelError>>()?;
    Ok((tokens, lengths))
}

/// Turns labelled texts into token ids and targets, and counts those that are too long.
///
/// # Errors
/// [`ModelError`] where the tokeniser fails.
pub fn tokenise(
    texts: &LabelledTexts,
    model: &Model,
) -> Result<(Vec<Example>, TextLengths), ModelError> {
    let second = |row: usize| texts.seconds.as_ref().and_then(|seconds| seconds.get(row));
    let each = texts.texts.iter().enumerate();
    let each: Vec<_> = each
        .map(|(row, text)| (text.as_str(), second(row).map(String::as_str)))
        .collect();
    let (tokens, lengths) = tokens_of(model, &each)?;
    let examples = tokens.into_iter().zip(&texts.targets);
    let examples = examples.map(|(tokens, target)| Example {
        tokens,
        target: target.clone(),
    });
    Ok((examples.collect(), lengths))
}

/// The last hidden states of one row, one vector a token.
///
/// # Errors
/// As [`logits`].
pub fn last_hidden_state(model: &Model, tokens: &[u32]) -> Result<Vec<Vec<f32>>, ModelError> {
    let batch = model.batch(&[tokens.into()])?;
    let hidden = model.network().hidden(&batch, &mut Tape::off());
    let [_, tokens, width] = hidden.dims();
    Ok(rows_of(hidden.reshape([tokens, width])))
}
