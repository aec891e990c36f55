//! What is wrong is found before anything is made: no folder, no key, no model, no certificate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::workbench::{PRIVATE_GRADIENTS, SITES, Workbench};
use crate::world::{errors, program};

/// Everything below a folder.
fn everything(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.insert(path);
    }
    found
}

/// Runs a command that must be refused, with these words, and must make nothing.
fn refused(bench: &Workbench, of: &str, arguments: &[&str], words: &[&str]) {
    let before = everything(bench.path());
    let output = program(of, bench.path()).args(arguments).output();
    let output = output.expect("it starts");
    let said = errors(&output);
    let code = output.status.code().expect("a code");
    assert!(
        ![0, 1, 101].contains(&code),
        "{arguments:?}: {code}: {said}"
    );
    for word in words {
        assert!(said.contains(word), "{arguments:?}: no {word:?} in {said}");
    }
    let made: Vec<_> = everything(bench.path())
        .difference(&before)
        .cloned()
        .collect();
    assert!(made.is_empty(), "{arguments:?} made {made:?}: {said}");
}

/// What a slip of the finger makes of a configuration, and what must be said of it.
const SLIPS: [(&str, &[&str]); 14] = [
    ("model.base=nowhere", &["nowhere"]),
    ("data.text=txt", &["txt"]),
    ("data.label=lable", &["lable"]),
    ("data.labels=[\"negative\", \"postive\"]", &["postive"]),
    ("data.format=cvs", &["cvs", "csv"]),
    (
        "evaluation.files=[{ name = \"t\", path = \"nowhere.csv\" }]",
        &["nowhere.csv"],
    ),
    ("privacy.epsilon=-1", &["epsilon"]),
    ("privacy.epsilon=nan", &["epsilon"]),
    ("privacy.delta=1", &["delta"]),
    ("privacy.sampling_rate=1e308", &["sampling_rate"]),
    ("privacy.clipping_norm=0", &["clipping"]),
    ("run.rounds=0", &["rounds"]),
    ("run.name=../up", &["name"]),
    ("server.learning_rate=inf", &["learning_rate"]),
];

#[test]
fn a_simulation_is_refused_before_it_makes_anything() {
    let bench = Workbench::new(8);
    let run = bench.configuration("checked", PRIVATE_GRADIENTS, &SITES);
    let run = run.to_str().expect("UTF-8");
    for (slip, words) in SLIPS {
        refused(&bench, "umbel", &["simulate", run, "--set", slip], words);
    }
    let group = [
        "simulate",
        run,
        "--set",
        "privacy.unit=group",
        "--set",
        "data.group=patint",
    ];
    refused(&bench, "umbel", &group, &["patint"]);
    for (option, value, words) in [
        ("--memory", "1KB", &["memory"] as &[&str]),
        ("--device", "gpu:99", &["gpu"]),
        ("--resume", "nowhere", &["nowhere"]),
        ("--out", "checked.toml", &["checked.toml"]),
    ] {
        refused(&bench, "umbel", &["simulate", run, option, value], words);
    }
}

#[test]
fn a_misspelt_table_is_named_with_its_client() {
    let bench = Workbench::new(8);
    let clients = ["amazon", "movie", "nyt", "twiter"];
    let run = bench.configuration("misspelt", PRIVATE_GRADIENTS, &clients);
    let run = run.to_str().expect("UTF-8");
    refused(
        &bench,
        "umbel",
        &["simulate", run],
        &["client twiter", "twiter.csv"],
    );
    // One that the run can do without is told of, and the run goes on.
    let output = bench.umbel(&["simulate", run, "--set", "federation.minimum=3"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(
        errors(&output).contains("warning: client twiter"),
        "{}",
        errors(&output)
    );
}

#[test]
fn a_key_or_ledger_that_cannot_be_used_is_found_before_the_folder_is_made() {
    let bench = Workbench::new(8);
    let run = bench.configuration("books", PRIVATE_GRADIENTS, &SITES);
    let run = run.to_str().expect("UTF-8");
    bench.write("broken.jsonl", "no ledger\n");
    bench.write("broken.key", "no key\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let key = bench.path().join("broken.key");
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("permissions");
    }
    for (set, words) in [
        ("privacy.ledger=broken.jsonl", ["broken.jsonl"]),
        ("privacy.ledger=nowhere/ledger.jsonl", ["nowhere"]),
        ("run.signing_key=broken.key", ["broken.key"]),
        ("run.signing_key=nowhere/signing.key", ["nowhere"]),
    ] {
        refused(&bench, "umbel", &["simulate", run, "--set", set], &words);
    }
}

#[test]
fn a_coordinator_is_refused_before_it_makes_anything() {
    let bench = Workbench::new(8);
    let mut clients = String::new();
    for site in SITES {
        clients += &format!("\n[[clients]]\nname = \"{site}\"\n");
    }
    let run = bench.configuration("served", PRIVATE_GRADIENTS, &[]);
    let text = fs::read_to_string(&run).expect("the configuration");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let serve = format!("\n[serve]\nlisten = \"127.0.0.1:{port}\"\ntls = false\n");
    fs::write(&run, text + &serve + &clients).expect("the configuration");
    let run = run.to_str().expect("UTF-8");
    // Tables are the sites' own, and their columns, too.
    let ours = |slip: &&(&str, &[&str])| {
        !["data.text", "data.label=", "data.labels"]
            .iter()
            .any(|key| slip.0.starts_with(key))
    };
    for (slip, words) in SLIPS.iter().filter(ours) {
        refused(
            &bench,
            "umbel-coordinator",
            &["serve", run, "--set", slip],
            words,
        );
    }
    refused(
        &bench,
        "umbel-coordinator",
        &["serve", run, "--set", "data.labels=[]"],
        &["data.labels"],
    );
    bench.write("broken.jsonl", "no ledger\n");
    let set = "privacy.ledger=broken.jsonl";
    refused(
        &bench,
        "umbel-coordinator",
        &["serve", run, "--set", set],
        &["broken.jsonl"],
    );
    // Last of all: the address is in use.
    refused(
        &bench,
        "umbel-coordinator",
        &["serve", run],
        &[&port.to_string()],
    );
    refused(
        &bench,
        "umbel-coordinator",
        &["serve", run, "--new"],
        &[&port.to_string()],
    );
}
