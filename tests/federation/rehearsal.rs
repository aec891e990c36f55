//! A rehearsal over mutual TLS: everything is tried, and nothing is spent or kept.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::network::{Processes, federation, free_port, report, start_clients, start_coordinator};
use crate::workbench::{SITES, Workbench};

/// How clients ended: exit code, and what they said on standard error.
type Ends = Vec<(Option<i32>, String)>;

/// What a rehearsal says, and the exit codes of coordinator and clients.
fn rehearse(bench: &Workbench, configuration: &Path) -> (Value, Option<i32>, Ends) {
    let coordinator = start_coordinator(bench, configuration, &["--rehearse"]);
    let mut clients = start_clients(bench);
    let output = coordinator.wait_with_output().expect("it ends");
    let log = fs::read_to_string(bench.path().join("coordinator.log")).unwrap_or_default();
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {log}"));
    let ends = clients.0.drain(..).map(|client| {
        let output = client.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), errors)
    });
    let ends = ends.collect();
    (said, output.status.code(), ends)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path.display().to_string()),
        }
    }
    found
}

#[test]
fn a_rehearsal_tries_everything_spends_nothing_and_the_run_itself_begins_at_zero() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let (said, code, clients) = rehearse(&bench, &configuration);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (&said["went_well"], &said["rounds"]),
        (&true.into(), &2.into()),
        "{said}"
    );
    for client in said["clients"].as_array().expect("clients") {
        assert_eq!(client["fate"], "took part in all rounds", "{said}");
    }
    for (code, errors) in clients {
        assert_eq!(code, Some(0), "{errors}");
        assert!(errors.contains("that was a rehearsal"), "{errors}");
    }
    let left: Vec<String> = [bench.path().join("runs"), bench.path().join("federation")]
        .iter()
        .flat_map(|folder| files(folder))
        .collect();
    let of_a_run = |file: &&String| {
        ["ledger", "rehearsal", "certificate.json", "model.safetensors", "receipts", "metrics"]
            .iter()
            .any(|part| file.contains(part))
            // Sites keep the base model, so that the run needn't bring it again.
            && !file.contains("base-models")
    };
    assert_eq!(
        left.iter().filter(of_a_run).collect::<Vec<_>>(),
        [] as [&String; 0]
    );
    let coordinator = start_coordinator(&bench, &configuration, &[]);
    let clients = start_clients(&bench);
    let served = report(&bench, coordinator);
    drop::<Processes>(clients);
    assert_eq!(served["rounds"], 2);
    for site in SITES {
        let ledger = bench
            .path()
            .join(format!("federation/sites/{site}/ledger.jsonl"));
        let ledger = fs::read_to_string(ledger).expect("a ledger");
        assert_eq!(ledger.lines().count(), 2, "{site}");
    }
}

#[test]
fn a_site_that_could_not_take_part_in_the_run_is_named_by_the_rehearsal() {
    let bench = Workbench::new(12);
    let configuration = federation(&bench, free_port());
    let path = bench.path().join("federation/sites/movie/client.toml");
    let text = fs::read_to_string(&path).expect("the file");
    // Enough for the rounds of a rehearsal of thirty rounds, and not for thirty.
    let smaller = text.replace("epsilon = 8.0", "epsilon = 3.5");
    fs::write(&path, smaller).expect("the file");
    let text = fs::read_to_string(&configuration).expect("the file");
    fs::write(&configuration, text.replace("rounds = 2", "rounds = 30")).expect("the file");
    let (said, code, clients) = rehearse(&bench, &configuration);
    assert_eq!(code, Some(7), "{said}");
    assert_eq!(said["went_well"], false);
    assert_eq!(said["rounds_planned"], 30);
    let movie = said["clients"].as_array().expect("clients").iter();
    let movie = movie
        .clone()
        .find(|client| client["name"] == "movie")
        .expect("movie");
    let fate = movie["fate"].as_str().expect("a fate");
    assert!(fate.contains("its budget doesn't allow more"), "{said}");
    let (code, errors) = &clients[SITES
        .iter()
        .position(|site| *site == "movie")
        .expect("it is one")];
    assert_eq!(*code, Some(5), "{errors}");
    assert!(
        errors.contains("isn't ready for the run that is rehearsed"),
        "{errors}"
    );
    assert!(errors.contains("not for the whole plan"), "{errors}");
    assert!(
        !bench
            .path()
            .join("federation/sites/movie/ledger.jsonl")
            .exists()
    );
}
