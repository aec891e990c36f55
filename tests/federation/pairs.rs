//! Runs whose model reads two texts together.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, Workbench};

/// Questions of which the second text alone tells whether they were answered.
fn table(rows: usize) -> String {
    let mut table = String::from("question,answer,label\n");
    for row in 0..rows {
        let (answer, label) = match row % 2 {
            0 => ("a lovely good film", "positive"),
            _ => ("an awful bad film", "negative"),
        };
        let _ = writeln!(table, "how was number {row} of them,{answer} {row},{label}");
    }
    table
}

const PAIRS: [&str; 6] = [
    "--set",
    "data.text=question",
    "--set",
    "data.text_pair=answer",
    "--set",
    "evaluation.files=[{name=\"public\", path=\"public.csv\"}]",
];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&PAIRS, &["--device", "cpu"][..], more].concat()
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(text)))
}

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("no number: {of}"))
}

#[test]
fn the_second_text_is_read_in_training_evaluation_and_prediction() {
    let bench = Workbench::new(1);
    bench.write("site.csv", &table(48));
    bench.write("public.csv", &table(48));
    let configuration = bench.configuration("pairs", PLAIN_GRADIENTS, &["site"]);
    let run = bench.simulate(&configuration, &with(&["--set", "run.rounds=20"]));
    assert!(number(&run["accuracy"]) > 0.95, "{run}");
    let model = Path::new(run["run_dir"].as_str().expect("a folder")).join("model");
    let model = model.to_str().expect("UTF-8");

    let data = [
        "evaluate",
        "--model",
        model,
        "--data",
        "public.csv",
        "--text",
        "question",
        "--json",
    ];
    let found = json(
        &bench
            .umbel(&[&data[..], &["--text-pair", "answer"]].concat())
            .stdout,
    );
    assert_eq!(found["accuracy"], run["accuracy"]);
    let alone = bench.umbel(&data);
    let said = String::from_utf8_lossy(&alone.stderr);
    assert!(
        said.contains("--text-pair") && alone.status.code() == Some(2),
        "{said}"
    );

    let text = [
        "predict",
        "--model",
        model,
        "--json",
        "--text",
        "how was number 3",
    ];
    let told = |second: &str| {
        json(
            &bench
                .umbel(&[&text[..], &["--text-pair", second]].concat())
                .stdout,
        )
    };
    assert_eq!(told("an awful bad film")["label"], "negative");
    let told = told("a lovely good film");
    assert_eq!(
        (&told["label"], &told["text_pair"]),
        (&"positive".into(), &"a lovely good film".into())
    );
    for (more, words) in [
        (&[][..], "--text-pair"),
        (
            &["--text-pair", "a", "--text-pair", "b"],
            "1 --text and 2 --text-pair",
        ),
    ] {
        let output = bench.umbel(&[&text[..], more].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains(words) && output.status.code() == Some(2),
            "{said}"
        );
    }
    let blank = json(
        &bench
            .umbel(&[&text[..], &["--text-pair", " "]].concat())
            .stdout,
    );
    assert_eq!(
        (&blank["label"], &blank["blank"]),
        (&Value::Null, &true.into())
    );

    let table = [
        "predict",
        "--model",
        model,
        "--json",
        "--data",
        "public.csv",
        "--column",
        "question",
    ];
    let output = bench.umbel(&[&table[..], &["--column-pair", "answer"]].concat());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 48);
}

#[test]
fn a_pair_without_its_second_text_is_dropped_by_cleaning_or_refused() {
    let bench = Workbench::new(1);
    let rows = table(24);
    bench.write("public.csv", &rows);
    bench.write("site.csv", &format!("{rows}and this, ,positive\n"));
    let configuration = bench.configuration("pairs", PRIVATE_GRADIENTS, &["site"]);
    let run = bench.simulate(&configuration, &with(&["--set", "data.clean=true"]));
    assert_eq!(run["ending"], "complete");
    let path = configuration.to_str().expect("UTF-8");
    let refused = bench.umbel(&[&["simulate", path][..], &with(&[])].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("the second text is empty"), "{said}");
    bench.write("site.csv", "question,label\na,positive\nb,negative\n");
    let refused = bench.umbel(&[&["simulate", path][..], &with(&[])].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("no column \"answer\"") && said.contains("data.text_pair"),
        "{said}"
    );
}
