//! Simulations in virtual time.

use serde_json::Value;

use crate::virtual_clients::{WHOLE_CLIENTS, twelve};
use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, Workbench};

/// Nobody is protected; half of the updates are enough, with some drop-outs.
const HASTY: &str = "\
[federation]
minimum = 3
quorum_percent = 50
grace = 0.5
round_seconds = 600

[simulation]
seed = 3
training_seconds = 60.0
training_spread = 1.0
round_spread = 0.2
delay_seconds = 2.0
delay_spread = 0.5
drop_out = 0.1
";

/// The lines of a run's metrics.
fn lines(bench: &Workbench, report: &Value) -> Vec<Value> {
    let folder = bench.path().join(report["run_dir"].as_str().unwrap());
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn bench() -> (Workbench, Vec<String>) {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    (bench, clients)
}

fn configuration(
    (bench, clients): &(Workbench, Vec<String>),
    name: &str,
    sections: &str,
) -> std::path::PathBuf {
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    bench.configuration(name, sections, &names)
}

fn count_of(of: &Value) -> usize {
    match of {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        other => panic!("{other} counts nothing"),
    }
}

#[test]
fn a_seed_draws_the_same_times_and_the_same_model_for_any_number_of_workers() {
    let world = bench();
    let run = configuration(&world, "hasty", &(PLAIN_GRADIENTS.to_owned() + HASTY));
    let bench = &world.0;
    let simulate = |workers, more: &[&str]| {
        let settings = [
            "--seed",
            "7",
            "--set",
            "run.rounds=4",
            "--parallel",
            workers,
        ];
        let report = bench.simulate(&run, &[&settings[..], more].concat());
        assert_eq!(report["virtual_time"], true);
        assert_eq!(
            report["settings"]["a round closes"],
            "0.5 times as long after 50 % of the updates, or after 600 s"
        );
        (bench.weights(&report), lines(bench, &report))
    };
    let (weights, told) = simulate("1", &[]);
    for workers in ["2", "4"] {
        let (other, other_told) = simulate(workers, &[]);
        assert!(weights == other, "{workers} workers made another model");
        assert_eq!(told, other_told, "{workers} workers told of other times");
    }
    let (other, other_told) = simulate("2", &["--set", "simulation.seed=4"]);
    assert!(weights != other, "the seed of the times changes nothing");
    assert_ne!(told, other_told);
    // Some were late, and everybody is told of.
    let late = |line: &Value| count_of(&line["virtual"]["late"]);
    assert!(told.iter().map(late).sum::<usize>() > 0);
    for line in &told {
        let virtual_time = &line["virtual"];
        let missing = ["late", "busy", "dropped", "away"].map(|why| count_of(&virtual_time[why]));
        let gave = count_of(&line["gave"]);
        assert_eq!(gave + missing.iter().sum::<usize>(), 12, "{line}");
        assert!(gave >= 6, "{line}");
        let closed = line["seconds"].as_f64().unwrap();
        assert!(virtual_time["opened"].as_f64().unwrap() < closed);
        for (client, arrived) in virtual_time["late"].as_object().unwrap() {
            assert!(arrived.as_f64().unwrap() > closed, "{client} wasn't late");
        }
    }
}

#[test]
fn deadline_and_quorum_count_in_virtual_seconds() {
    let world = bench();
    let bench = &world.0;
    let took = |name: &str, sections: &str| {
        let sections = format!("{PLAIN_GRADIENTS}\n{sections}");
        let run = configuration(&world, name, &sections);
        let began = std::time::Instant::now();
        let report = bench.simulate(&run, &["--seed", "7"]);
        assert!(began.elapsed().as_secs() < 60, "{name} took real time");
        (report["seconds"].as_f64().unwrap(), lines(bench, &report))
    };
    // Everybody takes 100 seconds, twice.
    let (seconds, _) = took("even", "[simulation]\ntraining_seconds = 100.0\n");
    assert_eq!(seconds, 200.0);
    // Half a minute on the way, and nothing else.
    let delay = "[simulation]\ntraining_seconds = 0.0\ndelay_seconds = 30.0\n";
    assert_eq!(took("delay", delay).0, 60.0);
    // Somebody is always slower than the deadline.
    let slow = "[federation]\nminimum = 2\nround_seconds = 90\n[simulation]\n\
                training_seconds = 60.0\ntraining_spread = 1.5\n";
    let (seconds, told) = took("deadline", slow);
    assert_eq!(seconds, 180.0);
    assert!(
        told.iter()
            .all(|line| count_of(&line["virtual"]["late"]) > 0)
    );
    // Who is late in the first round is still at it in the second, or in time for neither.
    let late = told[0]["virtual"]["late"].as_object().unwrap();
    for (client, arrived) in late {
        if arrived.as_f64().unwrap() > 180.0 {
            assert!(told[1]["virtual"]["busy"].get(client).is_some(), "{client}");
        }
    }
    // Drop-outs fall silent, so that nobody waits for them until the deadline.
    let lossy = "[federation]\nminimum = 1\nround_seconds = 100000\nsilence_seconds = 40\n\
                 [simulation]\ntraining_seconds = 60.0\ndrop_out = 0.5\n";
    let (seconds, told) = took("lossy", lossy);
    let dropped = |line: &Value| count_of(&line["virtual"]["dropped"]);
    assert!(told.iter().map(dropped).sum::<usize>() > 0);
    assert!((120.0..=200.0).contains(&seconds), "{seconds}");
    // Nobody waits for those who are away.
    let away =
        "[federation]\nminimum = 1\n[simulation]\ntraining_seconds = 60.0\navailable = 0.5\n";
    let (seconds, told) = took("away", away);
    assert_eq!(seconds, 120.0);
    let away = |line: &Value| count_of(&line["virtual"]["away"]);
    assert!((1..24).contains(&told.iter().map(away).sum::<usize>()));
}

#[test]
fn where_the_client_is_the_unit_a_drop_out_holds_its_round_until_the_deadline_and_isnt_named() {
    let world = bench();
    let bench = &world.0;
    let sections = "[federation]\nround_seconds = 300\n[simulation]\ntraining_seconds = 60.0\n";
    let run = configuration(&world, "whole", &format!("{WHOLE_CLIENTS}\n{sections}"));
    let quick = bench.simulate(&run, &["--seed", "7"]);
    assert_eq!(quick["seconds"], 120.0);
    let lossy = ["--seed", "7", "--set", "simulation.drop_out=0.9"];
    let held = bench.simulate(&run, &lossy);
    assert_eq!(held["seconds"], 600.0);
    for line in lines(bench, &held) {
        let told = line["virtual"].as_object().unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["attempts", "opened"]);
    }
    let hasty = bench.umbel(&[
        "simulate",
        run.to_str().unwrap(),
        "--set",
        "federation.quorum_percent=50",
    ]);
    assert_eq!(hasty.status.code(), Some(2));
}

#[test]
fn a_private_run_that_loses_updates_pays_for_them_and_verifies() {
    let world = bench();
    let bench = &world.0;
    let run = configuration(&world, "private", &(PRIVATE_GRADIENTS.to_owned() + HASTY));
    let settings = ["--set", "run.rounds=3", "--set", "simulation.drop_out=0.3"];
    let report = bench.simulate(&run, &settings);
    let folder = report["run_dir"].as_str().unwrap();
    let verified = bench.umbel(&["verify", folder]);
    assert!(verified.status.success(), "{verified:?}");
    // Who dropped out or was late has paid, as whoever gave has.
    let ledgers = bench.path().join(folder).join("sites/ledgers.jsonl");
    let paid = std::fs::read_to_string(ledgers).unwrap().lines().count();
    let lines = lines(bench, &report);
    let count = |of: &dyn Fn(&Value) -> usize| lines.iter().map(of).sum::<usize>();
    let gave = count(&|line| count_of(&line["gave"]));
    let lost = count(&|line| {
        let missing = &line["virtual"];
        count_of(&missing["late"]) + count_of(&missing["dropped"])
    });
    assert!(lost > 0);
    assert_eq!(paid, gave + lost);
}

#[test]
fn a_round_that_too_few_answer_is_tried_again_and_then_given_up_in_virtual_time() {
    let world = bench();
    let bench = &world.0;
    // Most drop out, so that no attempt gets eleven of twelve updates.
    let sections = "[federation]\nminimum = 11\nattempts = 3\nround_seconds = 100\n\
                    patience_seconds = 300\n[simulation]\ntraining_seconds = 60.0\ndrop_out = 0.9\n";
    let run = configuration(&world, "few", &format!("{PLAIN_GRADIENTS}\n{sections}"));
    let path = run.to_str().unwrap();
    let few = bench.umbel(&["simulate", path, "--seed", "7", "--json"]);
    assert_eq!(few.status.code(), Some(7), "{few:?}");
    // With as many clients as are away, it pauses for them, and goes on when they are back.
    let sections = "[federation]\nminimum = 9\n[simulation]\ntraining_seconds = 60.0\n\
                    available = 0.75\n";
    let run = configuration(&world, "pause", &format!("{PLAIN_GRADIENTS}\n{sections}"));
    let report = bench.simulate(&run, &["--seed", "7", "--set", "run.rounds=6"]);
    assert_eq!(report["rounds"], 6);
    assert!(
        report["seconds"].as_f64().unwrap() > 360.0,
        "{}",
        report["seconds"]
    );
}

#[test]
fn nonsense_is_refused_before_anything_is_made() {
    let world = bench();
    let bench = &world.0;
    let sections = "[federation]\nminimum = 3\n[simulation]\ntraining_seconds = 60.0\n";
    let run = configuration(&world, "odd", &format!("{PLAIN_GRADIENTS}\n{sections}"));
    for (settings, word) in [
        (
            &["simulation.training_seconds=-1.0"][..],
            "from 0 to 1000000",
        ),
        (&["simulation.training_seconds=nan"], "from 0 to 1000000"),
        (&["simulation.training_seconds=1e300"], "from 0 to 1000000"),
        (&["simulation.training_spread=4.0"], "from 0 to 3"),
        (&["simulation.delay_spread=-0.1"], "from 0 to 3"),
        (&["simulation.drop_out=1.0"], "below 1"),
        (&["simulation.available=0.0"], "above 0"),
        (&["simulation.available=inf"], "at most 1"),
        (&["federation.round_seconds=10000000"], "a month"),
        (&["simulation.speed=1"], "speed"),
        (
            &["simulation.drop_out=0.1", "federation.minimum=0"],
            "some clients never answer",
        ),
    ] {
        let mut arguments = vec!["simulate", run.to_str().unwrap()];
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        let refused = bench.umbel(&arguments);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{settings:?}: {told}");
        assert!(told.contains(word), "{settings:?}: {told}");
    }
    assert!(!bench.path().join("runs").exists());
    let again = bench.umbel(&["simulate", run.to_str().unwrap(), "--resume", "runs/odd-1"]);
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(told.contains("can't be resumed"), "{told}");
}
