//! Figures of scores are those of scikit-learn on the same rows
//! (`examples/make_score_fixtures.py`).

use serde::Deserialize;
use umbel_model::metrics::{
    BagOfWords, Classification, Temperature, confusion, cross_entropy, expected_calibration_error,
    mean_area_under_roc, reliability, softmax,
};

#[derive(Deserialize)]
struct Fixture {
    labels: Vec<usize>,
    scores: Vec<Vec<f32>>,
    tokens: Vec<Vec<u32>>,
    accuracy: f64,
    macro_f1: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<usize>,
    confusion: Vec<Vec<usize>>,
    auc: f64,
    loss: f64,
    ece: f64,
    temperature: f64,
    bag_of_words: Vec<usize>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/scores.json")).expect("a fixture")
}

/// The first of the highest.
fn prediction(scores: &[f32]) -> usize {
    let better = |best: usize, i: usize| if scores[i] > scores[best] { i } else { best };
    (1..scores.len()).fold(0, better)
}

#[track_caller]
fn agree(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{found}, not {expected}"
    );
}

#[test]
fn labels_are_scored_as_scikit_learn_scores_them() {
    let fixture = fixture();
    let predictions: Vec<usize> = fixture.scores.iter().map(|s| prediction(s)).collect();
    let classes = fixture.support.len();
    let found = Classification::of(&fixture.labels, &predictions, classes);
    agree(found.accuracy, fixture.accuracy, 1e-12);
    agree(found.macro_f1, fixture.macro_f1, 1e-12);
    for (i, class) in found.per_class.iter().enumerate() {
        agree(class.precision, fixture.precision[i], 1e-12);
        agree(class.recall, fixture.recall[i], 1e-12);
        agree(class.f1, fixture.f1[i], 1e-12);
        assert_eq!(class.support, fixture.support[i]);
    }
    let counts = confusion(&fixture.labels, &predictions, classes);
    assert_eq!(counts, fixture.confusion);
}

#[test]
fn probabilities_are_scored_as_scikit_learn_scores_them() {
    let fixture = fixture();
    let probabilities: Vec<Vec<f64>> = fixture.scores.iter().map(|s| softmax(s)).collect();
    let area = mean_area_under_roc(&probabilities, &fixture.labels, fixture.support.len());
    agree(area.expect("rows of every class"), fixture.auc, 1e-12);
    let rows = || fixture.scores.iter().zip(&fixture.labels);
    let loss: f64 = rows()
        .map(|(scores, label)| cross_entropy(scores, *label))
        .sum();
    agree(loss / fixture.labels.len() as f64, fixture.loss, 1e-12);
    let claims: Vec<(f64, bool)> = rows()
        .map(|(scores, label)| {
            let claim = softmax(scores).into_iter().fold(0.0, f64::max);
            (claim, prediction(scores) == *label)
        })
        .collect();
    let error = expected_calibration_error(&reliability(&claims));
    agree(error.expect("rows"), fixture.ece, 1e-12);
}

#[test]
fn the_temperature_is_the_one_that_scipy_finds() {
    let fixture = fixture();
    let rows = fixture.scores.iter().zip(&fixture.labels);
    let rows: Vec<(&[f32], usize)> = rows.map(|(s, label)| (s.as_slice(), *label)).collect();
    let found = Temperature::fit(&rows).expect("a temperature").get();
    // A minimum of values is known to half of a float's digits.
    agree(found / fixture.temperature, 1.0, 1e-6);
}

#[test]
fn the_bag_of_words_answers_as_multinomial_naive_bayes() {
    let fixture = fixture();
    let half = fixture.labels.len() / 2;
    let rows = fixture.tokens.iter().zip(&fixture.labels);
    let first = rows.take(half).map(|(t, label)| (t.as_slice(), *label));
    let model = BagOfWords::fit(first).expect("rows");
    let rest = fixture.tokens[half..].iter();
    let answers: Vec<usize> = rest.map(|tokens| model.predict(tokens)).collect();
    assert_eq!(answers, fixture.bag_of_words);
}
