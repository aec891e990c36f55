//! A last layer that begins at its labels' names, which are public.
//!
//! An encoder that tells sentences apart already knows something of what labels mean: it puts the text
//! "card arrival" near questions about cards that haven't come. A last layer that begins there, and not
//! at random, has that much less to learn under noise. It costs no privacy, since no row is read.

use umbel_proto::task::Task;

use super::Model;
use super::last_layer::{LastLayer, last_layer};
use crate::error::ModelError;
use crate::network::{Tape, rows_of};
use crate::tokens::{TokenRow, Tokens};

/// What the cosine between a text's state and a label's direction is multiplied by, for states as long
/// as those of names: scores then differ by a few units, as those of a model that has begun to learn.
const SHARPNESS: f64 = 10.0;

/// Names that pass through the encoder together.
const AT_ONCE: usize = 32;

/// A direction shorter than this share of the states is rounding, and not what the name means.
const NOTHING: f64 = 1e-5;

impl Model {
    /// Begins a new last layer at its labels' names, and tells whether it did.
    ///
    /// # Errors
    /// As [`crate::logits`].
    pub(crate) fn begin_at_label_names(&mut self) -> Result<bool, ModelError> {
        if !self.reading.head_is_new() || self.options.task != Task::SingleLabel {
            return Ok(false);
        }
        let weights = directions(&self.states_of_names()?, self.spec().hidden_size);
        last_layer(
            &mut self.network,
            &self.device,
            |which, values| match which {
                LastLayer::Weight => weights.clone(),
                LastLayer::Bias => values.to_vec(),
            },
        );
        self.stamp = self.stamp.of_other_parameters();
        Ok(true)
    }

    /// What the last layer would read of each label's name as a text, in the order of the labels. `None`
    /// for a name of which the tokeniser makes nothing.
    fn states_of_names(&self) -> Result<Vec<Option<Vec<f32>>>, ModelError> {
        let tokens: Vec<Tokens> = (self.labels().iter())
            .map(|name| Ok(self.tokens(&as_words(name), None)?.0))
            .collect::<Result<_, ModelError>>()?;
        let read: Vec<usize> = (0..tokens.len())
            .filter(|label| !tokens[*label].is_empty())
            .collect();
        let mut states = vec![None; tokens.len()];
        for labels in read.chunks(AT_ONCE) {
            let rows: Vec<TokenRow<'_>> = (labels.iter())
                .map(|label| TokenRow::from(&tokens[*label]))
                .collect();
            let pooled = (self.network).pooled(&self.batch(&rows)?, &mut Tape::off());
            let [rows, _, width] = pooled.dims();
            for (label, state) in labels.iter().zip(rows_of(pooled.reshape([rows, width]))) {
                states[*label] = Some(state);
            }
        }
        Ok(states)
    }
}

/// A label as somebody would write it in a text: `card_arrival` is "card arrival".
fn as_words(label: &str) -> String {
    let words = label.replace(['_', '-'], " ");
    match words.trim() {
        "" => label.to_owned(),
        words => words.to_owned(),
    }
}

/// The last layer's weights, `[width, labels]` in row-major order, of one state a label: in how far each
/// differs from their mean, at length one, times [`SHARPNESS`] over the states' mean length. Zero for a
/// label that has no state, and for one whose state is the mean, as where all names mean the same.
fn directions(states: &[Option<Vec<f32>>], width: usize) -> Vec<f32> {
    let known = || states.iter().flatten();
    let count = known().count() as f64;
    let mean: Vec<f64> = (0..width)
        .map(|at| known().map(|state| f64::from(state[at])).sum::<f64>() / count)
        .collect();
    let long = known().map(|state| length(state.iter().map(|x| f64::from(*x))));
    let long = long.sum::<f64>() / count;
    let labels = states.len();
    let mut weights = vec![0.0; width * labels];
    for (label, state) in states.iter().enumerate() {
        let Some(state) = state else { continue };
        let apart = || {
            state
                .iter()
                .zip(&mean)
                .map(|(x, mean)| f64::from(*x) - mean)
        };
        let far = length(apart());
        if far > NOTHING * long {
            for (at, x) in apart().enumerate() {
                weights[at * labels + label] = (SHARPNESS * x / (far * long)) as f32;
            }
        }
    }
    weights
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_scored_by_its_cosine_with_what_sets_a_name_apart() {
        let states = [vec![3.0, 4.0, 0.0], vec![3.0, 0.0, 4.0]];
        let weights = directions(&states.clone().map(Some), 3);
        let score = |state: &[f32], label: usize| -> f32 {
            (0..3).map(|at| state[at] * weights[at * 2 + label]).sum()
        };
        let cosine = 10.0 * 4.0 / 5.0 / 2.0_f32.sqrt();
        for label in [0, 1] {
            assert!((score(&states[label], label) - cosine).abs() < 1e-5);
            assert!((score(&states[label], 1 - label) + cosine).abs() < 1e-5);
        }
        assert!(score(&[7.0, 2.0, 2.0], 0).abs() < 1e-5);
    }

    #[test]
    fn names_that_say_nothing_score_nothing() {
        for state in [vec![0.0, 0.0], vec![0.3, -0.7]] {
            let states = [state.clone(), state.clone(), state].map(Some);
            assert_eq!(directions(&states, 2), [0.0; 6]);
        }
        assert!(directions(&[], 2).is_empty());
    }

    #[test]
    fn a_name_without_a_state_scores_nothing_and_leaves_the_others_as_they_are() {
        let states = [vec![3.0, 4.0], vec![-1.0, 2.0]].map(Some);
        let two = directions(&states, 2);
        let [first, second] = states;
        let three = directions(&[first, None, second], 2);
        assert_eq!(three, [two[0], 0.0, two[1], two[2], 0.0, two[3]]);
        assert_eq!(directions(&[None, None], 2), [0.0; 4]);
    }

    #[test]
    fn a_label_is_read_as_words() {
        assert_eq!(as_words("card_arrival"), "card arrival");
        assert_eq!(as_words("very-good"), "very good");
        assert_eq!(as_words("__"), "__");
        assert_eq!(as_words("Ärger"), "Ärger");
    }
}
