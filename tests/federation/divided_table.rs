//! Clients that a simulation makes of one table.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::taken_up::killed_and_resumed;
use crate::virtual_clients::{WHOLE_CLIENTS, twelve};
use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, Workbench};

/// One table of the rows of all of these clients, who are named in the column `user`; and people in
/// the column `person`, two rows each.
fn pooled(bench: &Workbench, clients: &[String]) {
    let mut table = String::from("user,person,text,label\r\n");
    for client in clients {
        let own = fs::read_to_string(bench.path().join(format!("{client}.csv"))).unwrap();
        for (i, row) in own.trim_end().split("\r\n").skip(1).enumerate() {
            let _ = write!(table, "{client},{client}-{},{row}\r\n", i / 2);
        }
    }
    bench.write("users.csv", &table);
}

/// A configuration whose clients are made as `section` says.
fn divided(bench: &Workbench, name: &str, sections: &str, section: &str) -> PathBuf {
    let path = bench.configuration(name, sections, &[]);
    let text = fs::read_to_string(&path).unwrap();
    let section = format!("\n[clients]\nfrom = \"users.csv\"\n{section}\n");
    fs::write(&path, text + &section).unwrap();
    path
}

#[test]
fn a_table_divided_by_a_column_trains_the_model_of_as_many_tables() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    pooled(&bench, &clients);
    let names: Vec<&str> = clients.iter().map(String::as_str).collect();
    for (name, sections) in [("client", WHOLE_CLIENTS), ("plain", PLAIN_GRADIENTS)] {
        let listed = bench.configuration(name, sections, &names);
        let listed = bench.weights(&bench.simulate(&listed, &["--seed", "7"]));
        let run = divided(&bench, &format!("{name}-by"), sections, "by = \"user\"");
        let run_name = format!("run.name={name}");
        for workers in ["1", "2", "4"] {
            let settings = ["--seed", "7", "--parallel", workers, "--set", &run_name];
            let report = bench.simulate(&run, &settings);
            assert!(
                bench.weights(&report) == listed,
                "{name}, {workers} workers"
            );
        }
    }
}

#[test]
fn clients_of_a_table_go_on_to_the_same_model_wherever_their_simulation_is_killed() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    pooled(&bench, &clients);
    let by = "by = \"user\"";
    let split = "split = \"dirichlet\"\nalpha = 0.3\nclients = 6";
    for (name, sections, section) in [
        ("client", WHOLE_CLIENTS, by),
        ("record", PRIVATE_GRADIENTS, split),
        ("plain", PLAIN_GRADIENTS, split),
    ] {
        let run = divided(&bench, name, sections, section);
        let out = format!("{name}-runs");
        let settings = [
            ["--seed", "7", "--set", "run.rounds=3"],
            ["--parallel", "2", "--out", &out],
        ];
        let undisturbed = bench.simulate(&run, settings.as_flattened());
        // From the run's beginning over its first updates to the last rounds' ends.
        let lines = [1, 2, 3, 5, 8, 11, 14, 17, 20];
        let resumed = killed_and_resumed(&bench, &run, &settings.as_flattened()[..6], &lines);
        assert!(resumed.len() > 2, "{name}: it was hardly ever killed");
        for report in resumed {
            let same = bench.weights(&report) == bench.weights(&undisturbed);
            assert!(same, "{name}: {}", report["run_dir"]);
            for key in ["epsilon", "rounds", "ending", "participation"] {
                assert_eq!(report[key], undisturbed[key], "{name}: {key}");
            }
            let folder = report["run_dir"].as_str().unwrap();
            let verified = bench.umbel(&["verify", folder]);
            let said = String::from_utf8_lossy(&verified.stdout);
            assert!(verified.status.success(), "{name}: {folder}: {said}");
        }
    }
}

#[test]
fn every_split_serves_every_unit() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    pooled(&bench, &clients);
    let group = PRIVATE_GRADIENTS.replace("\"record\"", "\"group\"\nrows_per_group = 2");
    for (name, sections, more) in [
        ("client", WHOLE_CLIENTS, ""),
        ("record", PRIVATE_GRADIENTS, ""),
        ("none", PLAIN_GRADIENTS, ""),
        ("group", &group, "data.group=person"),
    ] {
        for split in [
            "split = \"iid\"",
            "split = \"dirichlet\"\nalpha = 0.3",
            "split = \"quantity\"\nalpha = 0.3\nseed = 3",
        ] {
            let run = divided(&bench, name, sections, &format!("{split}\nclients = 5"));
            let mut settings = vec!["--seed", "1", "--set", "run.rounds=1"];
            if !more.is_empty() {
                settings.extend(["--set", more]);
            }
            let report = bench.simulate(&run, &settings);
            assert_eq!(report["rounds"], 1, "{name}, {split}: {report}");
        }
    }
}

#[test]
fn what_cant_be_divided_is_refused_with_what_there_is() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    pooled(&bench, &clients);
    let refused = |section: &str| {
        let run = divided(&bench, "refused", WHOLE_CLIENTS, section);
        let output = bench.umbel(&["simulate", run.to_str().unwrap()]);
        assert!(!output.status.success(), "{section}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = refused("by = \"usr\"");
    assert!(
        error.contains("clients.by") && error.contains("user, person, text"),
        "{error}"
    );
    let error = refused("split = \"iid\"\nclients = 500");
    assert!(
        error.contains("clients.clients") && error.contains("is 48"),
        "{error}"
    );
    let error = refused("bi = \"user\"");
    assert!(error.contains("`by`"), "{error}");
    let error = refused("");
    assert!(error.contains("split = \"iid\""), "{error}");
    assert!(!bench.path().join("runs").exists(), "something was made");
}

#[test]
fn a_client_whose_rows_cleaning_takes_away_is_told_of() {
    let bench = Workbench::new(12);
    let clients = twelve(&bench);
    pooled(&bench, &clients);
    let table = fs::read_to_string(bench.path().join("users.csv")).unwrap();
    bench.write("users.csv", &(table + "nobody,nobody-0,  ,positive\r\n"));
    let run = divided(&bench, "blank", PLAIN_GRADIENTS, "by = \"user\"");
    for (clean, told) in [("true", true), ("false", false)] {
        let clean = format!("data.clean={clean}");
        let rounds = ["--set", "run.rounds=1", "--set", &clean];
        let output = bench.umbel(&[&["simulate", run.to_str().unwrap()], &rounds[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        let note = "12 of the 13 clients in column \"user\" are in this run";
        assert_eq!(said.contains(note), told, "{said}");
        // Without cleaning, whoever has only a blank text can't take part.
        assert_eq!(said.contains("client nobody: row 49"), !told, "{said}");
    }
}
