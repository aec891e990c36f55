//! The clients of a simulation, run by a few workers.

use std::fs;
use std::path::Path;

use crate::taken_up::killed_at;
use crate::workbench::{PLAIN_GRADIENTS, SITES, Workbench};

/// The client is the unit; about half of them are drawn in a round.
pub const WHOLE_CLIENTS: &str = "\
[privacy]
unit = \"client\"
noise_multiplier = 1.0
epsilon = 100.0
delta = 1e-5
clipping_norm = 0.5
sampling_rate = 0.5

[training]
method = \"deltas\"
micro_batch = 4

[training.local]
optimiser = \"sgd\"
steps = 2
batch = 4
learning_rate = 0.01

[server]
optimiser = \"sgd\"
learning_rate = 1.0
";

/// Twelve clients of four rows each.
pub fn twelve(bench: &Workbench) -> Vec<String> {
    let mut clients = Vec::new();
    for site in SITES {
        let table = fs::read_to_string(bench.path().join(format!("{site}.csv"))).unwrap();
        let rows: Vec<&str> = table.trim_end().split("\r\n").collect();
        for (i, rows) in rows[1..].chunks(4).enumerate() {
            let name = format!("{site}-{i}");
            bench.write(
                &format!("{name}.csv"),
                &format!("text,label\r\n{}\r\n", rows.join("\r\n")),
            );
            clients.push(name);
        }
    }
    clients
}

#[test]
fn the_model_is_the_same_however_many_workers_run_the_clients() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    assert_eq!(clients.len(), 12);
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for (name, sections) in [("client", WHOLE_CLIENTS), ("plain", PLAIN_GRADIENTS)] {
        let run = bench.configuration(name, sections, &names);
        let weights = |workers| {
            let report = bench.simulate(&run, &["--seed", "7", "--parallel", workers]);
            bench.weights(&report)
        };
        let one = weights("1");
        assert!(one == weights("2"), "{name}: two workers differ from one");
        assert!(one == weights("4"), "{name}: four workers differ from one");
        let other = bench.simulate(&run, &["--seed", "8", "--parallel", "4"]);
        assert!(
            one != bench.weights(&other),
            "{name}: the seed changes nothing"
        );
    }
}

#[test]
fn a_simulation_of_many_clients_that_is_killed_forgets_no_spending_and_goes_on() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let run = bench.configuration("killed", WHOLE_CLIENTS, &names);
    let settings = ["--seed", "7", "--set", "run.rounds=4", "--parallel", "2"];
    let undisturbed = bench.simulate(&run, &settings);
    let ledgers =
        |folder: &Path| fs::read_to_string(folder.join("sites/ledgers.jsonl")).unwrap_or_default();
    let mut resumed = 0;
    for lines in [0, 1, 2, 3] {
        let out = format!("killed-{lines}");
        // Killed once so many rounds are done; as soon as anybody has paid, if that is none.
        let is_at = |folder: &Path| {
            let metrics = fs::read_to_string(folder.join("metrics.jsonl"));
            let paid = !ledgers(folder).is_empty();
            paid && metrics.is_ok_and(|text| text.lines().count() >= lines)
        };
        let Some(folder) = killed_at(&bench, &run, (&settings, &out), is_at) else {
            continue;
        };
        let before = ledgers(&folder);
        let resume = ["--resume", folder.to_str().unwrap()];
        let report = bench.simulate(&run, &[&settings[..], &resume].concat());
        resumed += 1;
        assert!(
            bench.weights(&report) == bench.weights(&undisturbed),
            "killed after {lines} rounds, it went on to another model"
        );
        // Whatever was paid is still there, and nobody paid twice.
        let after = ledgers(&folder);
        let whole = before.rfind('\n').map_or("", |end| &before[..=end]);
        assert!(after.starts_with(whole));
        assert_eq!(after.lines().count(), 12);
        assert!(bench.umbel(&["verify", resume[1]]).status.success());
        let sites = fs::read_dir(folder.join("sites")).unwrap();
        let left: Vec<_> = sites.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["ledgers.jsonl"]);
    }
    assert!(resumed > 0);
}
