//! The clients of a simulation, run by a few workers.

use std::fs;

use crate::workbench::{PLAIN_GRADIENTS, SITES, Workbench};

/// The client is the unit; about half of them are drawn in a round.
const WHOLE_CLIENTS: &str = "\
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
fn twelve(bench: &Workbench) -> Vec<String> {
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
        assert!(one != bench.weights(&other), "{name}: the seed changes nothing");
    }
}
