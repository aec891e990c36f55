//! Which parameters there are, and rows and parameters that don't fit.

use umbel_model::{Clipping, Example, ModelError, Pooling, TrainableSet, logits};

use crate::support::{self, POSITIONS, VOCABULARY, options, tiny};
use crate::{each_alone, example, sum_with};

#[test]
fn weights_outside_of_the_trainable_set_are_not_among_the_parameters() {
    let names = |train| -> Vec<String> {
        let model = tiny(options(Pooling::Mean, train));
        let entries = model.layout().entries().iter();
        entries.map(|entry| entry.name.clone()).collect()
    };
    let bias = names(TrainableSet::Bias);
    assert!(
        bias.iter()
            .all(|name| name.ends_with(".bias") || name == "classifier.weight")
    );
    // Six linear layers and two normalisations in each of two layers, one before them, and
    // the head's two.
    assert_eq!(bias.len(), 2 * 8 + 1 + 2);
    let lora = names(support::lora(&["query", "output"], false));
    assert_eq!(lora.len(), 2 * 2 * 2 + 2);
    let frozen = names(support::lora(&["query", "output"], true));
    assert_eq!(frozen.len(), 2 * 2 + 2);
    assert!(frozen.iter().all(|name| !name.contains("lora_A")));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let complaint = |row: Example, unit: &[usize]| {
        let rows = [example(&[2, 3], 0), row];
        match sum_with(&model, &rows, &[vec![0], unit.to_vec()], Clipping::None, 4) {
            Err(error @ ModelError::Row { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let fine = || example(&[2, 3], 0);
    assert_eq!(complaint(fine(), &[2]), "row 2: there are only 2 rows");
    assert_eq!(complaint(fine(), &[usize::MAX]).split(':').count(), 2);
    assert_eq!(
        complaint(example(&[2], 3), &[1]),
        "row 1: its label 3 isn't below 3"
    );
    assert!(complaint(example(&[], 0), &[1]).contains("no tokens"));
    assert!(complaint(example(&[5; POSITIONS + 1], 0), &[1]).contains("33 tokens"));
    assert!(complaint(example(&[VOCABULARY as u32], 0), &[1]).contains("below 50"));
    assert!(complaint(example(&[u32::MAX], 0), &[1]).contains("below 50"));
    assert!(logits(&model, &[vec![2], vec![]], 4).is_err());
}

/// Whoever reads the message looks for the row in the data, not in a micro-batch.
#[test]
fn a_refused_row_is_named_by_its_place_in_the_data() {
    let model = tiny(options(Pooling::Mean, TrainableSet::Full));
    let rows = [example(&[2, 3], 0), example(&[2, 3], 0), example(&[99], 0)];
    let error = sum_with(&model, &rows, &each_alone(&rows), Clipping::None, 1);
    assert!(
        error
            .expect_err("a refusal")
            .to_string()
            .starts_with("row 2:")
    );
    let rows = rows.map(|example| example.tokens);
    let error = logits(&model, &rows, 1).expect_err("a refusal");
    assert!(error.to_string().starts_with("row 2:"));
}

#[test]
fn parameters_of_another_length_or_not_finite_are_refused_and_change_nothing() {
    let mut model = tiny(options(Pooling::Pooler, TrainableSet::Encoder));
    let before = model.parameters();
    assert_eq!(before.len(), model.layout().len());
    for length in [0, before.len() - 1, before.len() + 1] {
        let error = model.set_parameters(&vec![0.0; length]);
        assert!(matches!(error, Err(ModelError::ParameterCount { found, .. }) if found == length));
    }
    for bad in [f32::NAN, f32::INFINITY] {
        let mut parameters = before.clone();
        parameters[11] = bad;
        let error = model.set_parameters(&parameters);
        assert!(matches!(
            error,
            Err(ModelError::NotFinite { index: 11, .. })
        ));
    }
    assert_eq!(model.parameters(), before);
}
