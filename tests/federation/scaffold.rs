//! SCAFFOLD: clients and server that correct their steps by control variates.

use std::fs;
use std::process::{Command, Stdio};

use crate::network::{Processes, federation, free_port, start_clients, start_coordinator};
use crate::virtual_clients::{WHOLE_CLIENTS, twelve};
use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};

const SCAFFOLD: &str = "\
[privacy]
unit = \"none\"

[training]
method = \"deltas\"
micro_batch = 4

[training.local]
optimiser = \"sgd\"
steps = 2
batch = 4
learning_rate = 0.05

[server]
optimiser = \"scaffold\"
learning_rate = 1.0
";

/// A part of the clients in each round: some are late, some drop out.
const A_PART: &str = "\
[federation]
minimum = 3
quorum_percent = 50
grace = 0.5
round_seconds = 600

[simulation]
seed = 3
training_seconds = 60.0
training_spread = 1.0
drop_out = 0.1
";

#[test]
fn the_model_is_the_same_for_any_number_of_workers_and_for_a_part_of_the_clients() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for (name, more) in [("all", ""), ("part", A_PART)] {
        let run = bench.configuration(name, &format!("{SCAFFOLD}\n{more}"), &names);
        let simulate = |workers, optimiser: &str| {
            let settings = ["--seed", "7", "--set", "run.rounds=5"];
            let more = ["--parallel", workers, "--set", optimiser];
            let report = bench.simulate(&run, &[&settings[..], &more].concat());
            let variates = bench
                .path()
                .join(report["run_dir"].as_str().unwrap())
                .join("sites/ledgers.jsonl.variates");
            let had_some = optimiser.ends_with("scaffold");
            assert_eq!(variates.exists(), had_some, "{name}");
            let left = fs::read_dir(variates).map_or(0, Iterator::count);
            assert_eq!(left, 0, "{name}: variates are left");
            bench.weights(&report)
        };
        let one = simulate("1", "server.optimiser=scaffold");
        for workers in ["2", "4"] {
            let other = simulate(workers, "server.optimiser=scaffold");
            assert!(one == other, "{name}: {workers} workers");
        }
        let plain = simulate("2", "server.optimiser=sgd");
        assert!(one != plain, "{name}: variates change nothing");
    }
}

#[test]
fn a_killed_simulation_goes_on_with_every_clients_variate() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    let run = bench.configuration("killed", SCAFFOLD, &names);
    let settings = ["--seed", "7", "--set", "run.rounds=6", "--parallel", "2"];
    let undisturbed = bench.simulate(&run, &settings);
    let resumed =
        crate::taken_up::killed_and_resumed(&bench, &run, &settings, &[2, 5, 9, 14, 20, 40, 60]);
    assert!(!resumed.is_empty(), "it was never killed in time");
    for report in resumed {
        assert!(bench.weights(&report) == bench.weights(&undisturbed));
    }
}

#[test]
fn processes_over_tls_train_the_simulations_model_and_one_that_is_killed_comes_back() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, text.replace(PRIVATE_GRADIENTS, SCAFFOLD)).unwrap();
    for site in SITES {
        let path = bench
            .path()
            .join(format!("federation/sites/{site}/client.toml"));
        let text = fs::read_to_string(&path).unwrap();
        let open = text.replace("[device]", "allow_unprotected = true\n\n[device]");
        fs::write(&path, open.replace("\n\nallow", "\nallow")).unwrap();
    }
    let rounds = ["--set", "run.rounds=4"];
    let first = start_coordinator(&bench, &configuration, &rounds);
    let mut first = Processes(vec![first]);
    let clients = start_clients(&bench);
    crate::network::wait_for_round(&bench, 2);
    // Both sides go on from what they have on their disks.
    drop(clients);
    first.0[0].kill().expect("it runs");
    first.0[0].wait().expect("it ends");
    let second = start_coordinator(&bench, &configuration, &rounds);
    let clients = start_clients(&bench);
    let served = crate::network::report(&bench, second);
    drop(clients);
    let simulated = bench.configuration("network", SCAFFOLD, &SITES);
    let simulated = bench.simulate(&simulated, &[&["--seed", "11"][..], &rounds].concat());
    assert_eq!(served["rounds"], 4);
    assert_eq!(bench.weights(&served), bench.weights(&simulated));
}

#[test]
fn it_is_refused_with_what_to_use_instead_where_it_would_protect_nobody() {
    let bench = Workbench::new(12);
    let refused = |sections: &str, settings: &[&str]| {
        let run = bench.configuration("refused", sections, &SITES);
        let mut command = Command::new(env!("CARGO_BIN_EXE_umbel"));
        command.arg("simulate").arg(&run).current_dir(bench.path());
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{settings:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let scaffold = "server.optimiser=scaffold";
    let told = refused(WHOLE_CLIENTS, &[scaffold]);
    assert!(told.contains("only goes with the unit `none`"), "{told}");
    assert!(told.contains("training.local.proximal"), "{told}");
    let told = refused(PRIVATE_GRADIENTS, &[scaffold]);
    assert!(told.contains("only goes with the unit `none`"), "{told}");
    for (setting, word) in [
        ("training.local.momentum=0.9", "`sgd` without momentum"),
        ("training.local.optimiser=adam-w", "`sgd` without momentum"),
        ("training.local.proximal=0.1", "the same drift"),
        ("server.aggregate=median", "must be `sum`"),
        ("server.update_norm=1.0", "shortened update"),
        ("server.momentum=0.9", "no such setting"),
    ] {
        let told = refused(SCAFFOLD, &[setting]);
        assert!(told.contains(word), "{setting}: {told}");
    }
    assert!(!bench.path().join("runs").exists(), "something was made");
}
