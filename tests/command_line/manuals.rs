//! Completions for shells, and manual pages.

use std::fs;
use std::process::{Command, Stdio};

use crate::world::{PROGRAMS, answers, errors, program};

#[test]
fn every_shell_gets_completions_of_all_three_programs() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program("umbel", folder.path())
            .args(["completions", shell])
            .output();
        let script = answers(&output.expect("it starts"));
        for word in [
            "umbel-client",
            "umbel-coordinator",
            "simulate",
            "offline",
            "log-json",
        ] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        for of in PROGRAMS {
            let mut asked = program("umbel", folder.path());
            let output = asked.args(["completions", shell, "--of", of]).output();
            let script = answers(&output.expect("it starts"));
            assert!(script.contains(of), "{shell}: {of}");
            assert_eq!(
                script.contains("offline"),
                of == "umbel-client",
                "{shell}: {of}"
            );
        }
    }
}

#[test]
fn bash_takes_its_completions() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = program("umbel", folder.path())
        .args(["completions", "bash"])
        .output();
    let script = folder.path().join("completions");
    fs::write(&script, output.expect("it starts").stdout).expect("a file");
    let source = "source ./completions && complete -p umbel umbel-client umbel-coordinator && \
                  COMP_WORDS=(umbel simu) COMP_CWORD=1 && _umbel umbel simu umbel && \
                  echo ${COMPREPLY[@]}";
    let bash = Command::new("bash")
        .args(["-c", source])
        .current_dir(folder.path())
        .output();
    let Ok(output) = bash else {
        eprintln!("skipped: there is no bash");
        return;
    };
    assert!(output.status.success(), "{}", errors(&output));
    assert!(
        answers(&output).ends_with("simulate\n"),
        "{}",
        answers(&output)
    );
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = program("umbel", folder.path())
        .args(["man", "new/man1"])
        .output();
    assert!(output.expect("it starts").status.success());
    let pages: Vec<String> = fs::read_dir(folder.path().join("new/man1"))
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    for page in [
        "umbel.1",
        "umbel-simulate.1",
        "umbel-account-epsilon.1",
        "umbel-client.1",
        "umbel-client-run.1",
        "umbel-coordinator-serve.1",
    ] {
        assert!(
            pages.iter().any(|made| made == page),
            "no {page} in {pages:?}"
        );
    }
    let page = folder.path().join("new/man1/umbel-simulate.1");
    let text = fs::read_to_string(&page).expect("a page");
    assert!(
        text.contains("\\-\\-resume") && text.contains(".SH NAME"),
        "{text}"
    );
    let mandoc = Command::new("mandoc")
        .args(["-T", "lint", "-W", "error"])
        .arg(&page)
        .stdin(Stdio::null())
        .output();
    if let Ok(output) = mandoc {
        assert!(output.status.success(), "{}", answers(&output));
    }
    // A file in the folder's place.
    fs::write(folder.path().join("file"), "").expect("a file");
    let output = program("umbel", folder.path())
        .args(["man", "file"])
        .output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
}
