//! What everybody tries first, and what they mistype.

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};
use crate::world::{answers, errors, program};

#[test]
fn a_run_that_is_shorter_than_its_warm_up_is_trained_and_told_so() {
    let bench = Workbench::new(8);
    let sections = format!("{PRIVATE_GRADIENTS}warmup_rounds = 5\n");
    let run = bench.configuration("short", &sections, &SITES);
    let run = run.to_str().expect("UTF-8");
    let output = bench.umbel(&["simulate", run, "--set", "run.rounds=1"]);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("server.warmup_rounds"), "{said}");
    let output = bench.umbel(&["simulate", run, "--set", "run.rounds=6"]);
    assert!(
        !errors(&output).contains("server.warmup_rounds"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_misspelt_key_option_or_command_gets_the_nearest_one() {
    let bench = Workbench::new(2);
    let run = bench.configuration("near", PRIVATE_GRADIENTS, &SITES);
    let wrong = format!("{PRIVATE_GRADIENTS}learning_rat = 1\n");
    let wrong = bench.configuration("wrong", &wrong, &SITES);
    let (run, wrong) = (run.to_str().expect("UTF-8"), wrong.to_str().expect("UTF-8"));
    let client = bench.write(
        "client.toml",
        "name = \"a\"\ncoordinatr = \"http://localhost:1\"\n",
    );
    let client = client.to_str().expect("UTF-8");
    for (of, arguments, meant) in [
        ("umbel", ["simulate", wrong].as_slice(), "`learning_rate`"),
        (
            "umbel",
            &["simulate", run, "--set", "privacy.epsilonn=3"],
            "`epsilon`",
        ),
        (
            "umbel",
            &["simulate", run, "--set", "privcy.epsilon=3"],
            "`privacy`",
        ),
        (
            "umbel",
            &["simulate", run, "--set", "server.optimiser=adamm"],
            "`adam`",
        ),
        ("umbel", &["simulate", run, "--sede", "1"], "--seed"),
        ("umbel", &["simulat", run], "simulate"),
        ("umbel", &["settings", "run", "privcy"], "privacy"),
        ("umbel-client", &["check", client], "`coordinator`"),
        ("umbel-client", &["chek", client], "check"),
        (
            "umbel-coordinator",
            &["serve", run, "--devise", "cpu"],
            "--device",
        ),
        (
            "umbel-coordinator",
            &["serve", run, "--set", "privacy.epsilonn=3"],
            "`epsilon`",
        ),
    ] {
        let output = program(of, bench.path()).args(arguments).output();
        let output = output.expect("it starts");
        let said = errors(&output) + &answers(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(meant), "{arguments:?}: {said}");
        assert!(
            said.lines().count() < 12,
            "{arguments:?} lists too much: {said}"
        );
    }
}

#[test]
fn help_says_what_delta_is_and_how_to_choose_it() {
    let bench = Workbench::new(1);
    for arguments in [
        ["account", "epsilon", "--help"].as_slice(),
        &["account", "calibrate", "--help"],
        &["account", "plot", "--help"],
        &["audit", "--help"],
        &["settings", "run", "privacy"],
    ] {
        let words = answers(&bench.umbel(arguments));
        let words: Vec<&str> = words.split_whitespace().collect();
        let text = words.join(" ");
        assert!(
            text.contains("what epsilon leaves out") || text.contains("What epsilon leaves out"),
            "{text}"
        );
        assert!(text.contains("1 / (number of units)"), "{text}");
    }
}
