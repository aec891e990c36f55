//! Where answers go: closed pipes, full disks, terminals.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};
use crate::world::{PROGRAMS, done, errors, program};

/// A command that answers on standard output, run where a run is done.
struct Answering {
    name: &'static str,
    command: Command,
}

/// One of every command that answers, and doesn't take long.
fn answering(folder: &Path) -> Vec<Answering> {
    let done = done();
    let (model, run) = (done.model(), done.run.clone());
    let configuration = done.bench.path().join("done.toml");
    let pooled = done.bench.path().join("pooled.csv");
    let mut all = Vec::new();
    let mut add = |name, of: &str, arguments: &[&str], paths: &[&Path]| {
        let mut command = program(of, folder);
        command.args(arguments).args(paths).stdin(Stdio::null());
        all.push(Answering { name, command });
    };
    for of in PROGRAMS {
        add("--help", of, &["--help"], &[]);
        add("--version", of, &["--version"], &[]);
    }
    let mechanism = [
        "--noise-multiplier",
        "2",
        "--steps",
        "10",
        "--delta",
        "1e-5",
    ];
    for json in [&[] as &[&str], &["--json"]] {
        let account = |question| [&["account", question], mechanism.as_slice(), json].concat();
        add("account epsilon", "umbel", &account("epsilon"), &[]);
        let calibrate = [
            &["account", "calibrate", "--epsilon", "8", "--delta", "1e-5"],
            ["--steps", "10"].as_slice(),
            json,
        ];
        add("account calibrate", "umbel", &calibrate.concat(), &[]);
        let audit = [
            &["audit", "--noise-multiplier", "2", "--delta", "1e-5"],
            ["--canaries", "100"].as_slice(),
            json,
        ];
        add("audit", "umbel", &audit.concat(), &[]);
        add("verify", "umbel", &[&["verify"], json].concat(), &[&run]);
        let evaluate = [&["evaluate", "--device", "cpu"], json].concat();
        let of_model = [Path::new("--model"), &model, Path::new("--data"), &pooled];
        add("evaluate", "umbel", &evaluate, &of_model);
        let predict = [&["predict", "--device", "cpu"], json].concat();
        add("predict", "umbel", &predict, &of_model);
        let bench = ["bench", "--train", "head", "--batch", "2", "--tokens", "4"];
        let short = ["--device", "cpu", "--seconds", "0"];
        add(
            "bench",
            "umbel",
            &[&bench, short.as_slice(), json].concat(),
            &[],
        );
        add(
            "simulate",
            "umbel",
            &[&["simulate"], json].concat(),
            &[&configuration],
        );
    }
    let plot = [&["account", "plot"], mechanism.as_slice()].concat();
    add("account plot", "umbel", &plot, &[]);
    add("settings", "umbel", &["settings", "all"], &[]);
    add("completions", "umbel", &["completions", "bash"], &[]);
    add("man", "umbel", &["man", "pages"], &[]);
    add(
        "init",
        "umbel-coordinator",
        &["init", "federation", "--site", "berlin"],
        &[],
    );
    add(
        "check",
        "umbel-coordinator",
        &["check", "nowhere.toml"],
        &[],
    );
    add("check", "umbel-client", &["check", "nowhere.toml"], &[]);
    all
}

/// Runs every command that answers, with a standard output of this kind, and without one that
/// anybody reads; returns what each said on standard error and its exit code.
fn with_output(output: impl Fn() -> Stdio) -> Vec<(&'static str, String, Option<i32>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut all = Vec::new();
    for (i, Answering { name, mut command }) in answering(folder.path()).into_iter().enumerate() {
        // Some make folders, and none is to find another's.
        let own = folder.path().join(i.to_string());
        fs::create_dir(&own).expect("a folder");
        let output = command.current_dir(own).stdout(output()).output();
        let output = output.expect("it starts");
        all.push((name, errors(&output), output.status.code()));
    }
    all
}

#[test]
fn a_closed_pipe_ends_every_command_quietly_and_with_its_own_exit_code() {
    let closed = with_output(|| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer.into()
    });
    let open = with_output(Stdio::null);
    for ((name, said, code), (_, _, own)) in closed.into_iter().zip(open) {
        assert_eq!(code, own, "{name}: {said}");
        assert!(
            !said.contains("panicked") && !said.contains("pipe"),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_full_disk_under_the_answer_is_told_as_an_error() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this system has no /dev/full");
        return;
    }
    let full = || {
        let device = OpenOptions::new().write(true).open("/dev/full");
        Stdio::from(device.expect("/dev/full"))
    };
    for (name, said, code) in with_output(full) {
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains("standard output"), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    for of in PROGRAMS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let folder = tempfile::tempdir().expect("a folder");
        let command = match of {
            "umbel" => ["-vv", "simulate", "nowhere.toml"].as_slice(),
            "umbel-client" => &["run", "nowhere.toml"],
            _ => &["serve", "nowhere.toml"],
        };
        let mut refused = program(of, folder.path());
        let status = refused.args(command).stderr(writer).status();
        assert_eq!(status.expect("it starts").code(), Some(2), "{of}");
    }
    // Logs and progress go there, too.
    let bench = Workbench::new(8);
    let run = bench.configuration("mute", PRIVATE_GRADIENTS, &SITES);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut simulate = program("umbel", bench.path());
    simulate.args(["-vv", "simulate"]).arg(run).stderr(writer);
    let output = simulate.output().expect("it starts");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn escape_codes_stay_out_of_files_and_pipes() {
    let bench = Workbench::new(8);
    let run = bench.configuration("plain", PRIVATE_GRADIENTS, &SITES);
    let mut commands = Vec::new();
    let mut simulate = program("umbel", bench.path());
    simulate.args(["-v", "simulate"]).arg(&run);
    commands.push(simulate);
    for of in PROGRAMS {
        for arguments in [&["--help"] as &[&str], &["--nonsense"]] {
            let mut command = program(of, bench.path());
            command.args(arguments);
            commands.push(command);
        }
    }
    // Both log that they can't go on.
    let mut serve = program("umbel-coordinator", bench.path());
    serve.env("RUST_LOG", "trace").arg("serve").arg(&run);
    commands.push(serve);
    let mut join = program("umbel-client", bench.path());
    join.env("RUST_LOG", "trace").arg("run").arg(&run);
    commands.push(join);
    for mut command in commands {
        let log = bench.path().join("log");
        let file = File::create(&log).expect("a file");
        let output = command.stderr(file).output().expect("it starts");
        let said = [output.stdout, fs::read(&log).expect("the log")].concat();
        assert!(!said.is_empty(), "{command:?}");
        let text = String::from_utf8_lossy(&said);
        assert!(!said.contains(&0x1b), "{command:?}: {text}");
    }
}
