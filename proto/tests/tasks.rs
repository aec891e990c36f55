//! What a plan may say of its task: a coordinator that says more, or less, is refused by every site.

use serde_json::{Value, json};
use umbel_proto::plan::Plan;
use umbel_proto::task::{Task, TaskKind};

/// The example's plan with other options of its classifier.
fn with(changes: Value) -> Result<Plan, String> {
    let mut plan: Value =
        serde_json::from_slice(include_bytes!("../plan.example.json")).expect("the example");
    let options = plan["classifier"]["options"]
        .as_object_mut()
        .expect("options");
    for (key, value) in changes.as_object().expect("changes") {
        options.insert(key.clone(), value.clone());
    }
    Plan::from_json(plan.to_string().as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn a_plan_without_a_word_of_it_is_for_one_label_a_text() {
    let plan = with(json!({})).expect("the example");
    let options = &plan.classifier.options;
    assert_eq!((options.task, options.pairs), (Task::SingleLabel, false));
    // Nor does it say a word, so that digests of plans stay what they were.
    let json = String::from_utf8(plan.to_json()).expect("UTF-8");
    for key in ["task", "pairs", "class_weights"] {
        assert!(!json.contains(&format!("\"{key}\"")), "{key}");
    }
}

#[test]
fn every_task_travels() {
    for options in [
        json!({"task": {"kind": "multi-label"}, "labels": ["a"]}),
        json!({"task": {"kind": "multi-label"}, "labels": ["a", "b", "c"], "pairs": true}),
        json!({"task": {"kind": "regression", "offset": 3, "scale": 0.5}, "labels": ["value"]}),
        json!({"class_weights": [0.5, 2.0], "labels": ["a", "b"]}),
    ] {
        let plan = with(options.clone()).unwrap_or_else(|e| panic!("{options}: {e}"));
        assert_eq!(Plan::from_json(&plan.to_json()).expect("a plan"), plan);
    }
    let plan = with(json!({"task": {"kind": "multi-label"}})).expect("a plan");
    assert_eq!(plan.classifier.options.task.kind(), TaskKind::MultiLabel);
}

#[test]
fn a_task_that_its_labels_cannot_serve_is_refused_by_its_key() {
    let regression = json!({"kind": "regression", "offset": 0, "scale": 1});
    for (options, key) in [
        (
            json!({"task": {"kind": "multi-label"}, "labels": []}),
            "data.labels",
        ),
        (
            json!({"task": {"kind": "multi-label"}, "labels": ["a", "a"]}),
            "data.labels",
        ),
        (
            json!({"task": regression, "labels": ["a", "b"]}),
            "data.labels",
        ),
        (json!({"task": regression, "labels": []}), "data.labels"),
        (json!({"labels": ["a"]}), "data.labels"),
        (
            json!({"labels": ["a", "b"], "class_weights": [1.0]}),
            "training.class_weights",
        ),
        (
            json!({"task": {"kind": "multi-label"}, "labels": ["a", "b"], "class_weights": [1, 1]}),
            "training.class_weights",
        ),
        (json!({"task": {"kind": "ranking"}}), "isn't readable"),
        (
            json!({"task": {"kind": "regression", "offset": 0, "scale": 0}, "labels": ["a"]}),
            "isn't readable",
        ),
        (
            json!({"task": {"kind": "regression", "offset": 0}, "labels": ["a"]}),
            "isn't readable",
        ),
        (
            json!({"task": {"kind": "single-label", "scale": 2}}),
            "isn't readable",
        ),
        (
            json!({"labels": ["a", "b"], "class_weights": [1.0, -1.0]}),
            "isn't readable",
        ),
        (
            json!({"labels": ["a", "b"], "class_weights": [1.0, 1e300]}),
            "isn't readable",
        ),
        (json!({"pairs": "yes"}), "isn't readable"),
    ] {
        let refused = with(options.clone()).map(drop).expect_err("a refusal");
        assert!(refused.contains(key), "{options}: {refused}");
    }
}
