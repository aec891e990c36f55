//! Folders of models that give any number of labels, or a value.

use serde_json::{Value, json};
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, ModelFiles, Pooling, Precision, Task, Threshold,
    TrainableSet, predict,
};
use umbel_proto::task::ValueScale;

use crate::support::{lora, options, tiny};
use crate::{Saved, open};

fn scale(offset: f64, scale: f64) -> Task {
    Task::Regression(ValueScale {
        offset: offset.try_into().expect("an offset"),
        scale: scale.try_into().expect("a scale"),
    })
}

fn regression(task: Task, train: TrainableSet) -> ClassifierOptions {
    ClassifierOptions {
        task,
        labels: vec!["degrees".into()],
        ..options(Pooling::Pooler, train)
    }
}

fn values(model: &Classifier) -> Vec<f32> {
    let texts = ["the film was good", "bad"];
    let rows = texts.map(|text| model.encode(text).expect("ids"));
    predict(model, &rows, 2).expect("values").concat()
}

fn near(found: &[f32], expected: &[f32]) -> bool {
    let pairs = found.iter().zip(expected);
    found.len() == expected.len()
        && pairs
            .clone()
            .all(|(x, y)| (x - y).abs() < 1e-4 * y.abs().max(1.0))
}

#[test]
fn a_saved_regression_answers_values_whatever_scale_it_was_trained_in() {
    let folder = tempfile::tempdir().expect("a folder");
    for train in [TrainableSet::Head, lora(&["all"], false)] {
        let trained = tiny(regression(scale(37.0, 2.5), train));
        let whole = folder.path().join("whole");
        trained.save(&whole, Precision::F32).expect("a folder");
        let opened = open(&whole).expect("a regression");
        assert_eq!(opened.task(), Task::Regression(ValueScale::PLAIN));
        assert!(near(&values(&opened), &values(&trained)), "{train}");
    }
    // A run in another scale goes on from the same values.
    let files = ModelFiles::read(&folder.path().join("whole")).expect("the files");
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let options = regression(scale(-4.0, 0.125), TrainableSet::Full);
    let goes_on = Classifier::load_without_head(&files, options, &device).expect("a model");
    let opened = open(&folder.path().join("whole")).expect("a regression");
    assert!(near(&values(&goes_on), &values(&opened)));
    assert!(
        goes_on
            .reading()
            .to_string()
            .contains("the classifier is kept")
    );
}

#[test]
fn thresholds_are_saved_and_a_list_that_is_none_is_refused() {
    let saved = Saved::new(Pooling::Pooler, Precision::F32);
    saved.set("problem_type", json!("multi_label_classification"));
    let half: Vec<f64> = saved
        .open()
        .expect("a model")
        .thresholds()
        .iter()
        .map(|t| t.get())
        .collect();
    assert_eq!(half, [0.5; 3]);
    let mut model = saved.open().expect("a model");
    let thresholds = [0.0, 0.25, 1.0].map(|t| Threshold::try_from(t).expect("a threshold"));
    // As many as there are labels, or none is taken.
    model.set_thresholds(thresholds[..2].to_vec());
    assert_eq!(model.thresholds()[1].get(), 0.5);
    model.set_thresholds(thresholds.to_vec());
    let folder = tempfile::tempdir().expect("a folder");
    let again = folder.path().join("again");
    model.save(&again, Precision::F32).expect("a folder");
    assert_eq!(open(&again).expect("a model").thresholds(), thresholds);
    for wrong in [
        json!([0.5]),
        json!([0.5, 0.5, 1.5]),
        json!([0.5, 0.5, null]),
        json!(0.5),
        json!({"bad": 0.5}),
    ] {
        saved.set("umbel_thresholds", wrong.clone());
        assert!(
            saved.complaint().contains("umbel_thresholds must be"),
            "{wrong}"
        );
    }
    saved.set("umbel_thresholds", Value::Null);
    assert!(saved.open().is_ok());
}
