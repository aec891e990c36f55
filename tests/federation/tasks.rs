//! Runs whose model gives any number of labels a text, or a value.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, Workbench};

/// What each bit of a row's number says of it.
const WORDS: [(&str, &str); 3] = [
    ("plot", "the story is dull"),
    ("music", "a lovely song"),
    ("price", "costs much money"),
];

fn text(row: usize) -> String {
    let said = WORDS.iter().enumerate();
    let said = said.filter(|(bit, _)| row >> bit & 1 == 1);
    let said: Vec<&str> = said.map(|(_, (_, words))| *words).collect();
    format!("{} number {}", said.join(" and "), row / 8)
}

fn labels(row: usize) -> Vec<&'static str> {
    let there = WORDS.iter().enumerate();
    let there = there.filter(|(bit, _)| row >> bit & 1 == 1);
    there.map(|(_, (label, _))| *label).collect()
}

/// Rows of every combination of labels, in a text with a separator.
fn separated(rows: usize) -> String {
    let mut table = String::from("text,label\n");
    for row in 0..rows {
        let _ = writeln!(table, "{},{}", text(row), labels(row).join("; "));
    }
    table
}

/// The same rows with a column for each label.
fn columns(rows: usize) -> String {
    let mut table = String::from("text,plot,music,price\n");
    for row in 0..rows {
        let bit = |bit: usize| row >> bit & 1;
        let _ = writeln!(table, "{},{},{},{}", text(row), bit(0), bit(1), bit(2));
    }
    table
}

/// The same rows as lists in JSON.
fn lists(rows: usize) -> String {
    let line = |row| serde_json::json!({"text": text(row), "label": labels(row)}).to_string();
    (0..rows).map(line).collect::<Vec<_>>().join("\n")
}

/// Rows whose value is 30 and 10 more for each thing that is said.
fn values(rows: usize) -> String {
    let mut table = String::from("text,degrees\n");
    for row in 0..rows {
        let value = 30 + 10 * labels(row).len();
        let _ = writeln!(table, "{},{value}", text(row));
    }
    table
}

const LABELS: &str = "data.labels=[\"plot\", \"music\", \"price\"]";

fn several<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "--set",
        LABELS,
        "--set",
        "task.kind=multi-label",
        "--set",
        "data.label_separator=;",
        "--set",
        "evaluation.files=[{name=\"public\", path=\"public.jsonl\"}]",
        "--device",
        "cpu",
    ];
    [&common, more].concat()
}

fn degrees<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "--set",
        "data.labels=[]",
        "--set",
        "data.label=degrees",
        "--set",
        "task.kind=regression",
        "--device",
        "cpu",
    ];
    [&common, more].concat()
}

const PUBLIC_VALUES: &str = "evaluation.files=[{name=\"public\", path=\"public.csv\"}]";

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("one JSON object")
}

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("no number: {of}"))
}

fn model(run: &Value) -> String {
    let folder = Path::new(run["run_dir"].as_str().expect("a folder")).join("model");
    folder.to_str().expect("UTF-8").to_owned()
}

fn saved(bench: &Workbench, run: &Value) -> Value {
    let config = bench.path().join(model(run)).join("config.json");
    json(&fs::read(config).expect("config.json"))
}

fn refusal(bench: &Workbench, configuration: &Path, more: &[&str]) -> (Option<i32>, String) {
    let path = configuration.to_str().expect("UTF-8");
    let output = bench.umbel(&[&["simulate", path, "--json"], more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    (output.status.code(), said)
}

#[test]
fn several_labels_a_text_are_learnt_from_any_kind_of_table() {
    let bench = Workbench::new(1);
    bench.write("texts.csv", &separated(64));
    bench.write("ones.csv", &columns(64));
    bench.write("public.jsonl", &lists(160));
    let clients = ["texts", "ones"];
    let configuration = bench.configuration("several", PLAIN_GRADIENTS, &clients);
    let run = bench.simulate(&configuration, &several(&["--set", "run.rounds=25"]));
    assert!(number(&run["micro_f1"]) > 0.9, "{run}");
    assert_eq!(run["accuracy"], Value::Null);
    // Thresholds were fitted on half of the public rows, and judged on the other.
    assert_eq!(run["judgement"]["thresholds_fitted_on"], 80);
    assert_eq!(number(&run["examples"]), 80.0);

    let config = saved(&bench, &run);
    assert_eq!(config["problem_type"], "multi_label_classification");
    assert_eq!(config["num_labels"], 3);
    assert_eq!(config["id2label"]["1"], "music");
    let thresholds = config["umbel_thresholds"].as_array().expect("thresholds");
    let told = run["judgement"]["per_class"].as_array().expect("labels");
    for (threshold, told) in thresholds.iter().zip(told) {
        assert_eq!(threshold, &told["threshold"]);
    }

    let model = model(&run);
    let arguments = [
        "evaluate", "--model", &model, "--data", "ones.csv", "--json", "--device", "cpu",
    ];
    let found = json(&bench.umbel(&arguments).stdout);
    assert!(number(&found["micro_f1"]) > 0.9, "{found}");
    let arguments = [
        "predict",
        "--model",
        &model,
        "--text",
        "a lovely song",
        "--json",
    ];
    let told = json(&bench.umbel(&arguments).stdout);
    assert_eq!(told["labels"], serde_json::json!(["music"]), "{told}");
}

#[test]
fn several_labels_are_learnt_with_privacy() {
    let bench = Workbench::new(1);
    bench.write("texts.csv", &separated(64));
    bench.write("public.jsonl", &lists(64));
    let configuration = bench.configuration("private", PRIVATE_GRADIENTS, &["texts"]);
    let run = bench.simulate(&configuration, &several(&["--seed", "1"]));
    assert!(number(&run["epsilon"]) <= 8.0);
    assert!(run["micro_f1"].is_number(), "{run}");
}

#[test]
fn a_threshold_of_zero_gives_every_label_and_one_of_one_gives_none() {
    let bench = Workbench::new(1);
    bench.write("texts.csv", &separated(16));
    bench.write("public.jsonl", &lists(64));
    let configuration = bench.configuration("thresholds", PLAIN_GRADIENTS, &["texts"]);
    let every = bench.simulate(&configuration, &several(&["--set", "task.threshold=0"]));
    let each = every["judgement"]["per_class"].as_array().expect("labels");
    assert!(each.iter().all(|label| label["predicted"] == 64), "{every}");
    assert!(every["judgement"].get("thresholds_fitted_on").is_none());
    let none = bench.simulate(&configuration, &several(&["--set", "task.threshold=1"]));
    assert_eq!(none["micro_f1"], 0.0);
    let verdict = none["judgement"]["verdict"].as_str().expect("a verdict");
    assert!(
        verdict.contains("gives none of these rows a label"),
        "{verdict}"
    );
}

#[test]
fn values_are_learnt_in_their_own_unit() {
    let bench = Workbench::new(1);
    bench.write("site.csv", &values(64));
    bench.write("public.csv", &values(64));
    let configuration = bench.configuration("values", PLAIN_GRADIENTS, &["site"]);
    let public = ["--set", PUBLIC_VALUES, "--set", "run.rounds=40"];
    let run = bench.simulate(&configuration, &degrees(&public));
    let (rmse, r2) = (number(&run["rmse"]), number(&run["r2"]));
    assert!(rmse < 4.0 && r2 > 0.75, "{run}");

    let config = saved(&bench, &run);
    assert_eq!(config["problem_type"], "regression");
    assert_eq!(config["num_labels"], 1);
    assert_eq!(config["id2label"]["0"], "degrees");

    // The saved model answers values, and is told nothing of the scale.
    let model = model(&run);
    let arguments = [
        "evaluate",
        "--model",
        &model,
        "--data",
        "public.csv",
        "--label",
        "degrees",
        "--json",
        "--device",
        "cpu",
    ];
    let found = json(&bench.umbel(&arguments).stdout);
    assert!((number(&found["rmse"]) - rmse).abs() < 1e-3, "{found}");
    assert!((number(&found["r2"]) - r2).abs() < 1e-4, "{found}");
    let arguments = ["predict", "--model", &model, "--text", &text(7), "--json"];
    let told = json(&bench.umbel(&arguments).stdout);
    assert!(
        (number(&told["values"]["degrees"]) - 60.0).abs() < 12.0,
        "{told}"
    );

    // Training that goes on begins where the model is, though its scale is another.
    let name = configuration.with_file_name("again.toml");
    let again = fs::read_to_string(&configuration).expect("the configuration");
    let again = again.replace("name = \"values\"", "name = \"again\"");
    fs::write(&name, again).expect("a file");
    let base = format!("model.base={:?}", bench.path().join(&model));
    let scale = [
        "--set",
        PUBLIC_VALUES,
        "--set",
        &base,
        "--set",
        "task.offset=0",
        "--set",
        "task.scale=7",
        "--set",
        "server.learning_rate=1e-9",
        "--set",
        "run.rounds=1",
    ];
    let on = bench.simulate(&name, &degrees(&scale));
    assert!((number(&on["rmse"]) - rmse).abs() < 1e-2, "{on}");
}

#[test]
fn a_scale_comes_from_the_configuration_or_public_rows_or_the_run_is_refused() {
    let bench = Workbench::new(1);
    bench.write("site.csv", &values(16));
    bench.write("public.csv", "text,degrees\na,37\nb,37\n");
    let configuration = bench.configuration("values", PRIVATE_GRADIENTS, &["site"]);
    let (code, said) = refusal(&bench, &configuration, &degrees(&[]));
    assert!(
        said.contains("task.scale") && said.contains("no evaluation files"),
        "{said}"
    );
    assert_eq!(code, Some(2));
    let (_, said) = refusal(&bench, &configuration, &degrees(&["--set", PUBLIC_VALUES]));
    assert!(said.contains("all alike"), "{said}");
    let zero = ["--set", "task.offset=37", "--set", "task.scale=0"];
    let (_, said) = refusal(&bench, &configuration, &degrees(&zero));
    assert!(said.contains("scale must be"), "{said}");
    // One row whose value is far from the scale counts for no more than any other.
    bench.write("site.csv", "text,degrees\na,1e9\n");
    let given = ["--set", "task.offset=37", "--set", "task.scale=0.5"];
    let run = bench.simulate(&configuration, &degrees(&given));
    assert_eq!(run["ending"], "complete");
    bench.write("site.csv", "text,degrees\na,1e300\n");
    let (_, said) = refusal(&bench, &configuration, &degrees(&given));
    assert!(said.contains("too large for the run's scale"), "{said}");
}

#[test]
fn class_weights_are_refused_for_labels_that_there_arent_and_change_what_is_learnt() {
    let bench = Workbench::new(8);
    let configuration = bench.configuration("weights", PLAIN_GRADIENTS, &["pooled"]);
    let with = |weights: &str| {
        let set = format!("training.class_weights={weights}");
        bench.simulate(
            &configuration,
            &["--set", &set, "--seed", "1", "--device", "cpu"],
        )
    };
    let alike = with("{positive = 1.0, negative = 1}");
    let plain = bench.simulate(&configuration, &["--seed", "1", "--device", "cpu"]);
    assert_eq!(bench.weights(&alike), bench.weights(&plain));
    assert_ne!(
        bench.weights(&with("{positive = 20.0}")),
        bench.weights(&plain)
    );
    for (weights, words) in [
        (
            "{happy = 2.0}",
            "\"happy\", which is none of the labels (negative, positive)",
        ),
        ("{positive = 0.0}", "class weight must be above 0"),
        ("{positive = -1.0}", "class weight must be above 0"),
        ("{positive = nan}", "class weight must be above 0"),
        ("{positive = inf}", "class weight must be above 0"),
    ] {
        let set = format!("training.class_weights={weights}");
        let (code, said) = refusal(&bench, &configuration, &["--set", &set]);
        assert!(said.contains(words), "{weights}: {said}");
        assert_eq!(code, Some(2));
    }
    bench.write("public.jsonl", &lists(8));
    let weights = several(&["--set", "training.class_weights={plot = 2.0}"]);
    let (_, said) = refusal(&bench, &configuration, &weights);
    assert!(said.contains("training.class_weights"), "{said}");
}

#[test]
fn a_site_whose_table_cannot_serve_the_task_says_so() {
    let bench = Workbench::new(8);
    bench.write("public.jsonl", &lists(16));
    bench.write("public.csv", &values(16));
    bench.write("lists.csv", &separated(16));
    let configuration = bench.configuration("wrong", PRIVATE_GRADIENTS, &["pooled"]);
    // Sentiments aren't values.
    let set = ["--set", PUBLIC_VALUES, "--set", "data.label=label"];
    bench.write("public.csv", "text,label\na,1\nb,2\n");
    let (_, said) = refusal(&bench, &configuration, &degrees(&set));
    assert!(said.contains("is no finite number"), "{said}");
    // Nor are they any of these labels.
    let (_, said) = refusal(&bench, &configuration, &several(&[]));
    assert!(said.contains("isn't one of plot, music, price"), "{said}");
    // A text with several labels is none for a run of one each.
    let configuration = bench.configuration("one", PRIVATE_GRADIENTS, &["lists"]);
    let (_, said) = refusal(&bench, &configuration, &["--set", LABELS]);
    assert!(said.contains("label"), "{said}");
}
