//! Trained heads: kept by the names of their labels, or begun anew, with a word.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use umbel_model::{
    Classifier, ClassifierOptions, DeviceChoice, ModelFiles, Pooling, Precision, Task,
    TrainableSet, logits, predict,
};
use umbel_proto::task::ValueScale;

use crate::support::options;
use crate::{Saved, Stored, scores};

/// The saved classifier in a run with these labels.
fn in_a_run(saved: &Saved, labels: &[&str], pooling: Pooling) -> Classifier {
    let files = ModelFiles::read(&saved.folder()).expect("files");
    let options = ClassifierOptions {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..options(pooling, TrainableSet::Full)
    };
    let (device, _) = DeviceChoice::Cpu.resolve().expect("the CPU");
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    Classifier::load(&files, options, &mut rng, &device).expect("a classifier")
}

fn words(model: &Classifier) -> String {
    let words = model.reading().to_string();
    println!("{words}");
    assert!(!words.contains('\n'));
    words
}

#[test]
fn the_same_labels_in_another_order_have_the_same_scores() {
    for pooling in [Pooling::Pooler, Pooling::Mean] {
        let saved = Saved::new(pooling, Precision::F32);
        let before = scores(&saved.classifier);
        let model = in_a_run(&saved, &["mixed", "bad", "good"], pooling);
        for (before, after) in before.iter().zip(scores(&model)) {
            assert_eq!(after, [before[2], before[0], before[1]], "{pooling}");
        }
        assert!(words(&model).contains("order of labels"));
        let same = in_a_run(&saved, &["bad", "good", "mixed"], pooling);
        assert_eq!(scores(&same), before);
        assert!(words(&same).contains("kept"));
    }
}

/// How far the first label is ahead of the second for each of these texts.
fn lead(model: &Classifier, texts: [&str; 2]) -> [f32; 2] {
    let rows = texts.map(|text| model.encode(text).expect("tokens"));
    let scores = logits(model, &rows, 1).expect("scores");
    [0, 1].map(|row| scores[row][0] - scores[row][1])
}

#[test]
fn a_new_head_that_begins_at_names_knows_each_name_from_the_other() {
    for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Pooler] {
        let saved = Saved::new(pooling, Precision::F32);
        let begun = |labels: &[&str]| {
            let mut model = in_a_run(&saved, labels, pooling);
            assert!(model.begin_at_label_names().expect("a start"));
            model
        };
        let names = ["very bad", "good"];
        let [bad, good] = lead(&begun(&["very_bad", "good"]), names);
        assert!(bad > good + 1e-3, "{pooling}: {bad} {good}");
        let turned = lead(&begun(&["good", "very_bad"]), names);
        assert!((turned[0] + bad).abs() < 1e-3 && (turned[1] + good).abs() < 1e-3);
    }
}

#[test]
fn a_head_that_the_folder_has_doesnt_begin_at_names() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    let mut model = in_a_run(&saved, &["bad", "good", "mixed"], Pooling::Mean);
    assert!(!model.begin_at_label_names().expect("no start"));
    assert_eq!(scores(&model), scores(&saved.classifier));
}

#[test]
fn other_labels_begin_anew_with_a_word() {
    let saved = Saved::new(Pooling::Pooler, Precision::F32);
    for labels in [
        &["ham", "spam", "eggs"][..],
        &["bad", "good", "mixed", "other"],
        &["bad", "good"],
    ] {
        let model = in_a_run(&saved, labels, Pooling::Pooler);
        let trained = scores(&saved.classifier)[0][0];
        assert!(scores(&model).iter().all(|row| row[0] != trained));
        let words = words(&model);
        for part in [
            "the classifier begins anew",
            "bad, good, mixed",
            &labels.join(", "),
        ] {
            assert!(words.contains(part), "{words}");
        }
        assert!(!words.contains("the pooler begins anew"), "{words}");
    }
}

#[test]
fn a_head_of_another_pooling_begins_anew_with_a_word() {
    let saved = Saved::new(Pooling::Cls, Precision::F32);
    let labels = ["bad", "good", "mixed"];
    let model = in_a_run(&saved, &labels, Pooling::Mean);
    for part in ["begins anew", "pooling cls", "pooling is mean"] {
        assert!(words(&model).contains(part));
    }
    let model = in_a_run(&saved, &labels, Pooling::Pooler);
    assert!(words(&model).contains("the pooler begins anew"));
}

#[test]
fn a_run_that_names_no_pooling_goes_on_with_the_models() {
    let owned = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    let same = owned(&["good", "bad", "mixed"]);
    let saved = Saved::new(Pooling::Cls, Precision::F32);
    let pooling = |labels: &[String]| {
        let files = ModelFiles::read(&saved.folder()).expect("files");
        files.pooling(labels).expect("a configuration")
    };
    assert_eq!(pooling(&same), Some(Pooling::Cls));
    assert_eq!(pooling(&owned(&["ham", "spam"])), Some(Pooling::Cls));
    // Of transformers' own class, whose head is of no use to other labels.
    saved.set("umbel_pooling", Value::Null);
    saved.set("architectures", json!(["BertForSequenceClassification"]));
    assert_eq!(pooling(&same), Some(Pooling::Pooler));
    assert_eq!(pooling(&owned(&["ham", "spam"])), None);
    saved.set("architectures", json!(["BertModel"]));
    assert_eq!(pooling(&same), None);
}

#[test]
fn labels_without_names_are_called_as_transformers_calls_them() {
    for (key, value, expected) in [
        ("num_labels", json!(3), ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ("id2label", json!({"0": 0, "1": 1, "2": 2}), ["0", "1", "2"]),
        (
            "id2label",
            json!({"0": 0.0, "1": 1.0, "2": 2.5}),
            ["0", "1", "2.5"],
        ),
        (
            "id2label",
            json!({"0": true, "1": false, "2": "x"}),
            ["true", "false", "x"],
        ),
    ] {
        let saved = Saved::new(Pooling::Pooler, Precision::F32);
        saved.set("id2label", Value::Null);
        saved.set(key, value);
        assert_eq!(saved.open().expect("a classifier").labels(), expected);
    }
}

#[test]
fn a_folder_with_another_number_of_labels_than_its_head_is_refused_with_both() {
    let saved = Saved::new(Pooling::Pooler, Precision::F32);
    saved.set("id2label", json!({"0": "a", "1": "b"}));
    let complaint = saved.complaint();
    for part in ["classifier.weight", "[3, 16]", "[2, 16]"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    // Another run starts from it all the same.
    let model = in_a_run(&saved, &["a", "b"], Pooling::Pooler);
    assert!(words(&model).contains("begins anew"));
}

#[test]
fn an_encoder_without_a_head_is_no_trained_classifier() {
    let saved = Saved::new(Pooling::Pooler, Precision::F32);
    saved.change_tensors(|tensors| tensors.retain(|t| !t.name.starts_with("classifier")));
    saved.set("id2label", Value::Null);
    let complaint = saved.complaint();
    assert!(
        complaint.contains("isn't a trained classifier"),
        "{complaint}"
    );
    let model = in_a_run(&saved, &["a", "b"], Pooling::Pooler);
    assert!(words(&model).contains("the folder has none"));
}

#[test]
fn what_a_file_has_for_another_task_is_said_not_to_be_used() {
    let saved = Saved::new(Pooling::Mean, Precision::F32);
    saved.change_tensors(|tensors| {
        tensors.push(Stored {
            name: "cls.predictions.bias".into(),
            dtype: Dtype::F32,
            shape: vec![1],
            data: vec![0; 4],
        });
    });
    let words = words(&in_a_run(&saved, &["a", "b"], Pooling::Mean));
    let (_, unused) = words.split_once("not used: ").expect(&words);
    assert!(unused.contains("cls.predictions"), "{words}");
}

#[test]
fn labels_that_do_not_exclude_each_other_have_probabilities_of_their_own() {
    let saved = Saved::new(Pooling::Pooler, Precision::F32);
    let row = [saved.classifier.encode("the film").expect("ids")];
    let scores = logits(&saved.classifier, &row, 1)
        .expect("scores")
        .remove(0);
    let answer = |problem: Value| {
        saved.set("problem_type", problem);
        let opened = saved.open().expect("a classifier");
        let answers = predict(&opened, &row, 1).expect("answers").remove(0);
        (opened.task(), answers)
    };
    let (task, each) = answer(json!("multi_label_classification"));
    assert_eq!(task, Task::MultiLabel);
    for (score, probability) in scores.iter().zip(&each) {
        assert!((1.0 / (1.0 + (-score).exp()) - probability).abs() < 1e-6);
    }
    let (task, numbers) = answer(json!("regression"));
    assert_eq!(
        (task, &numbers),
        (Task::Regression(ValueScale::PLAIN), &scores)
    );
    let (task, one) = answer(json!(null));
    assert_eq!(task, Task::SingleLabel);
    assert!((one.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    saved.set("problem_type", json!("ranking"));
    assert!(saved.complaint().contains("ranking"));
    // A run for one label a text can't go on from a head for several.
    saved.set("problem_type", json!("multi_label_classification"));
    let model = in_a_run(&saved, &["bad", "good", "mixed"], Pooling::Pooler);
    assert!(words(&model).contains("multi-label"));
}
