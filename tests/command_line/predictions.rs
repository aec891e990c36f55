//! `umbel predict`: which model, which texts, and one line for each.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::world::{answers, done, errors, program};

/// Predicts what stands on standard input.
fn predicted(model: &Path, input: &[u8], more: &[&str]) -> Output {
    let mut command = program("umbel", done().bench.path());
    command
        .args(["predict", "--device", "cpu", "--model"])
        .arg(model);
    let child = command
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut writer = child.stdin.take().expect("a pipe");
    // A command that refuses its arguments doesn't read.
    let _ = writer.write_all(input);
    drop(writer);
    child.wait_with_output().expect("it ends")
}

#[test]
fn an_empty_input_is_an_error_and_not_an_empty_answer() {
    let output = predicted(&done().model(), b"", &[]);
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
    assert!(
        errors(&output).contains("standard input is empty"),
        "{}",
        errors(&output)
    );
    let mut closed = program("umbel", done().bench.path());
    closed.args(["predict", "--model"]).arg(done().model());
    let output = closed.stdin(Stdio::null()).output().expect("it starts");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_blank_line_keeps_its_place_and_gets_no_label() {
    let input = "a good film\n\n   \r\na bad film\n".as_bytes();
    let output = predicted(&done().model(), input, &[]);
    let lines: Vec<String> = answers(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    let labels: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert!(!labels[0].is_empty() && !labels[3].is_empty(), "{labels:?}");
    assert_eq!(labels[1..3], ["", ""]);
    assert!(
        errors(&output).contains("2 of 4 texts are blank"),
        "{}",
        errors(&output)
    );

    let output = predicted(&done().model(), input, &["--json"]);
    let answers: Vec<Value> = answers(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers.len(), 4);
    assert!(answers[1]["label"].is_null() && answers[1]["blank"] == true);
    assert!(answers[1].get("probabilities").is_none(), "{}", answers[1]);
    assert!(answers[3]["label"].is_string() && answers[3].get("blank").is_none());
}

#[test]
fn texts_that_are_blank_alone_are_no_error() {
    let output = predicted(&done().model(), b"\n\n", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(answers(&output).lines().count(), 2);
}

#[test]
fn the_folder_of_a_run_is_told_from_that_of_its_model() {
    let run = &done().run;
    for command in ["predict", "evaluate", "bench"] {
        let mut asked = program("umbel", done().bench.path());
        asked.args([command, "--device", "cpu", "--model"]).arg(run);
        match command {
            "predict" => asked.args(["--text", "a good film"]),
            "evaluate" => asked.args(["--data", "pooled.csv"]),
            _ => &mut asked,
        };
        let output = asked.output().expect("it starts");
        assert_eq!(
            output.status.code(),
            Some(6),
            "{command}: {}",
            errors(&output)
        );
        let model = run.join("model").display().to_string();
        assert!(
            errors(&output).contains(&model),
            "{command}: {}",
            errors(&output)
        );
    }
}

#[test]
fn a_reader_that_has_enough_ends_a_long_prediction() {
    // More than a pipe holds, so that the answers can't all be written.
    let many = "a film that was good\n".repeat(20_000);
    let mut command = program("umbel", done().bench.path());
    command
        .args(["predict", "--device", "cpu", "--model"])
        .arg(done().model());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let texts = done().bench.write("many.txt", &many);
    let input = std::fs::File::open(texts).expect("the texts");
    let mut child = command
        .stdin(input)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn();
    let child = child.as_mut().expect("it starts");
    drop(command);
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(&reader), &mut first).expect("a line");
    drop(reader);
    assert!(first.contains("a film that was good"), "{first}");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
