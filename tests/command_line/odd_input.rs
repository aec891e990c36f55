//! Arguments that nobody means: files that aren't there, folders in their place, numbers out of
//! every range, bytes that are no text. Each is refused with a sentence and a code from the list.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::world::{done, errors, program};

/// Runs a program on arguments in the place where a run is done.
fn asked(of: &str, arguments: &[OsString]) -> Output {
    let mut command = program(of, done().bench.path());
    command.args(arguments).stdin(Stdio::null());
    command.output().expect("it starts")
}

/// It was refused as the list of exit codes has it, with a reason, and without a panic.
fn is_refused(of: &str, arguments: &[OsString], output: &Output) {
    let said = errors(output);
    let code = output.status.code();
    assert!(
        code.is_some_and(|code| (2..=13).contains(&code)),
        "{of} {arguments:?}: {code:?}: {said}"
    );
    let told = !said.trim().is_empty() || !output.stdout.is_empty();
    assert!(
        told && !said.contains("panicked"),
        "{of} {arguments:?}: {said}"
    );
}

/// Every way to name a file on a command line, `FILE` in its place.
const FILES: [(&str, &str); 23] = [
    ("umbel", "simulate FILE"),
    ("umbel", "simulate done.toml --resume FILE"),
    ("umbel", "evaluate --model FILE --data pooled.csv"),
    ("umbel", "evaluate --model MODEL --data FILE"),
    ("umbel", "predict --model FILE --text film"),
    ("umbel", "predict --model MODEL --data FILE"),
    ("umbel", "account epsilon --events FILE --delta 1e-5"),
    ("umbel", "account events FILE"),
    (
        "umbel",
        "account plot --noise-multiplier 1 --steps 2 --delta 1e-5 --out FILE/svg",
    ),
    ("umbel", "verify FILE"),
    ("umbel", "verify RUN --key FILE"),
    ("umbel", "verify RUN --ledger FILE"),
    ("umbel", "verify RUN --site berlin=FILE"),
    ("umbel", "audit FILE"),
    ("umbel", "bench --model FILE"),
    ("umbel-client", "run FILE"),
    ("umbel-client", "check FILE"),
    ("umbel-client", "check FILE --offline"),
    ("umbel-client", "key FILE"),
    ("umbel-coordinator", "serve FILE"),
    ("umbel-coordinator", "check FILE"),
    ("umbel-coordinator", "status FILE"),
    ("umbel-coordinator", "stop FILE"),
];

/// The words of a command line, with `FILE` and the paths of the run that is done put in.
fn words(line: &str, file: &OsString) -> Vec<OsString> {
    let word = |word: &str| match word {
        "FILE" => file.clone(),
        "MODEL" => done().model().into_os_string(),
        "RUN" => done().run.clone().into_os_string(),
        _ => match word.split_once("FILE") {
            None => word.into(),
            Some((before, after)) => {
                let mut whole = OsString::from(before);
                whole.push(file);
                whole.push(after);
                whole
            }
        },
    };
    line.split_whitespace().map(word).collect()
}

#[test]
fn files_that_are_missing_or_no_files_are_refused_by_name() {
    let folder = done().bench.path().join("folder");
    fs::create_dir_all(&folder).expect("a folder");
    for (of, line) in FILES {
        for name in ["nowhere", "folder", "/dev/null/beyond", "nul\u{7}bell"] {
            // An empty folder has no ledger of a run, and a plot may well be written into one.
            if name == "folder" && line.contains("plot") {
                continue;
            }
            let arguments = words(line, &name.into());
            let output = asked(of, &arguments);
            is_refused(of, &arguments, &output);
            if name == "nowhere" && !line.contains("--site") {
                let told = errors(&output) + &String::from_utf8_lossy(&output.stdout);
                assert!(told.contains(name), "{of} {arguments:?}: {told}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_text_are_paths_and_other_arguments_of_that_kind_are_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = OsString::from_vec(b"odd-\xff\xfe".to_vec());
    for (of, line) in FILES {
        let arguments = words(line, &odd);
        is_refused(of, &arguments, &asked(of, &arguments));
    }
    for (of, line) in [
        ("umbel", "predict --model MODEL --text FILE"),
        ("umbel", "simulate done.toml --set FILE"),
        ("umbel", "FILE"),
        ("umbel", "account epsilon --delta FILE"),
        ("umbel", "settings run FILE"),
        ("umbel-client", "FILE"),
        ("umbel-coordinator", "init new --site FILE"),
    ] {
        let arguments = words(line, &odd);
        is_refused(of, &arguments, &asked(of, &arguments));
    }
    // Where such a path is a good one, everything works: model, table, and folder of runs.
    let bench = &done().bench;
    let model = bench.path().join(&odd);
    if fs::create_dir(&model).is_err() {
        eprintln!("skipped: this file system only has names that are text");
        return;
    }
    for entry in fs::read_dir(done().model()).expect("a model") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), model.join(entry.file_name())).expect("a copy");
    }
    let table = model.join(OsString::from_vec(b"t\xff.csv".to_vec()));
    fs::copy(bench.path().join("pooled.csv"), &table).expect("a copy");
    for command in ["evaluate", "predict"] {
        let mut asked = program("umbel", bench.path());
        asked.args([command, "--device", "cpu", "--json", "--model"]);
        let output = asked.arg(&model).arg("--data").arg(&table).output();
        let output = output.expect("it starts");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{command}: {}",
            errors(&output)
        );
        assert!(!output.stdout.is_empty());
    }
    let mut simulate = program("umbel", bench.path());
    simulate.args([
        "simulate",
        "done.toml",
        "--json",
        "--set",
        "run.rounds=1",
        "--out",
    ]);
    let output = simulate
        .arg(model.join("runs"))
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let run = fs::read_dir(model.join("runs")).expect("the folder of runs");
    let mut runs = run.filter_map(Result::ok).map(|entry| entry.path());
    let run = runs.find(|path| path.is_dir()).expect("a run");
    let mut verify = program("umbel", bench.path());
    let output = verify.arg("verify").arg(&run).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
}

/// Every number on a command line, `N` in its place. Those that a number may well be good for are
/// told by what else is said.
const NUMBERS: [(&str, &str); 19] = [
    ("umbel", "account epsilon --noise-multiplier N --delta 1e-5"),
    ("umbel", "account epsilon --noise-multiplier 1 --delta N"),
    (
        "umbel",
        "account epsilon --noise-multiplier 1 --sampling-rate N --delta 1e-5",
    ),
    (
        "umbel",
        "account epsilon --noise-multiplier 1 --steps N --delta 1e-5",
    ),
    (
        "umbel",
        "account calibrate --epsilon N --delta 1e-5 --steps 10",
    ),
    (
        "umbel",
        "account calibrate --epsilon 8 --delta N --steps 10",
    ),
    (
        "umbel",
        "account calibrate --epsilon 8 --delta 1e-5 --steps N",
    ),
    (
        "umbel",
        "account calibrate --epsilon 8 --delta 1e-5 --noise-multiplier N --steps 10",
    ),
    (
        "umbel",
        "account calibrate --epsilon 8 --delta 1e-5 --noise-multiplier 1 --sampling-rate N",
    ),
    (
        "umbel",
        "account plot --noise-multiplier N --steps 10 --delta 1e-5",
    ),
    (
        "umbel",
        "account plot --noise-multiplier 1 --steps N --delta 1e-5",
    ),
    (
        "umbel",
        "audit --noise-multiplier N --delta 1e-5 --canaries 100",
    ),
    (
        "umbel",
        "audit --noise-multiplier 1 --delta N --canaries 100",
    ),
    (
        "umbel",
        "audit --noise-multiplier 1 --delta 1e-5 --clipping-norm N --canaries 100",
    ),
    (
        "umbel",
        "audit --noise-multiplier 1 --delta 1e-5 --canaries N",
    ),
    (
        "umbel",
        "audit --noise-multiplier 1 --delta 1e-5 --canaries 100 --confidence N",
    ),
    (
        "umbel",
        "bench --device cpu --train head --tokens N --batch 1 --seconds 0",
    ),
    ("umbel", "simulate done.toml --memory N"),
    ("umbel-coordinator", "init new --site berlin --days N"),
];

#[test]
fn numbers_out_of_every_range_are_refused() {
    for (of, line) in NUMBERS {
        for number in [
            "nan",
            "-1",
            "-inf",
            "1e400",
            "0x10",
            "",
            "99999999999999999999999999",
        ] {
            let arguments: Vec<OsString> = line
                .split_whitespace()
                .map(|word| if word == "N" { number } else { word })
                .map(OsString::from)
                .collect();
            let output = asked(of, &arguments);
            let code = output.status.code();
            // A noise multiplier or a memory may be as large as it likes.
            let may_be_large = number.starts_with("9999")
                && (line.contains("noise-multiplier N") || line.contains("memory N"))
                || number.starts_with("9999") && line.contains("epsilon N");
            if !(may_be_large && code == Some(0)) {
                is_refused(of, &arguments, &output);
            }
        }
    }
    assert!(!Path::new("new").exists());
}

#[test]
fn the_largest_and_smallest_numbers_get_an_answer_soon() {
    for line in [
        "account epsilon --noise-multiplier 1e-300 --delta 1e-5",
        "account epsilon --noise-multiplier 1e300 --delta 1e-300",
        "account epsilon --noise-multiplier 1 --steps 18446744073709551615 --delta 1e-5",
        "account epsilon --noise-multiplier 1 --sampling-rate 1e-300 --steps 10 --delta 1e-5",
        "account calibrate --epsilon 1e-300 --delta 1e-5 --steps 10",
        "account calibrate --epsilon 1e300 --delta 1e-5 --steps 10",
        "account plot --noise-multiplier 1e-300,1e300 --steps 3 --delta 1e-5",
        "account plot --noise-multiplier 5 --steps 18446744073709551615 --delta 1e-5",
    ] {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let output = asked("umbel", &arguments);
        match output.status.code() {
            Some(0) => {
                let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
                assert!(!text.contains("nan"), "{line}: {text}");
            }
            _ => is_refused("umbel", &arguments, &output),
        }
    }
}
