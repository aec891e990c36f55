//! Runs that protect nobody leave their mark, and later runs can't pretend otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use umbel::coordinator::certificate::verify::{Known, verify};
use umbel::privacy::MechanismEvent;
use umbel::privacy::certificate::Outcome;
use umbel::privacy::ledger::{book, chain};

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench};

const KEPT: [&str; 4] = [
    "--set",
    "privacy.ledger=kept.jsonl",
    "--set",
    "privacy.data_set=visits",
];

/// Simulates with a ledger that is kept, and expects it to work.
fn works(bench: &Workbench, sections: &str, name: &str, more: &[&str]) -> PathBuf {
    let run = bench.configuration(name, sections, &SITES);
    let run = bench.simulate(&run, &[&KEPT, more].concat());
    bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"))
}

/// Simulates a protected run with the kept ledger, which is refused, and returns the sentence.
fn refused(bench: &Workbench) -> String {
    let run = bench.configuration("protected", PRIVATE_GRADIENTS, &SITES);
    let run = run.to_str().expect("UTF-8");
    let output = bench.umbel(&[&["simulate", run], KEPT.as_slice()].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{errors}");
    errors
}

/// What `umbel verify` says first, by a ledger that is in use, and its exit code.
fn first_line(bench: &Workbench, folder: &Path) -> (String, Option<i32>) {
    let folder = folder.to_str().expect("UTF-8");
    let output = bench.umbel(&["verify", folder, "--ledger", "kept.jsonl"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().unwrap_or_default().to_owned();
    (first, output.status.code())
}

#[test]
fn a_run_of_unit_none_is_marked_at_the_coordinator_and_at_every_site() {
    let bench = Workbench::new(12);
    let folder = works(&bench, PLAIN_GRADIENTS, "plain", &[]);
    let read = |path: &Path| fs::read(path).expect("a ledger");
    let sites = book::split(&read(&folder.join("sites/ledgers.jsonl"))).expect("sound ledgers");
    assert_eq!(sites.len(), SITES.len());
    let mut ledgers = vec![
        read(&bench.path().join("kept.jsonl")),
        read(&folder.join("ledger.jsonl")),
    ];
    ledgers.extend(sites.into_values());
    for bytes in ledgers {
        let entries = chain::verify(&bytes).expect("a sound ledger").entries;
        let [mark] = entries.as_slice() else {
            panic!("{entries:?}");
        };
        assert_eq!(mark.protection, None);
        assert_eq!(mark.event, MechanismEvent::NON_PRIVATE);
        assert_eq!(mark.run_id, "plain");
    }
    let examination = verify(&folder, Known::nothing()).expect("a folder");
    assert!(examination.holds(), "{:?}", examination.checks);
    let (first, code) = first_line(&bench, &folder);
    assert_eq!(code, Some(0));
    for word in ["visits", "without any protection", "\"plain\""] {
        assert!(first.contains(word), "{first}");
    }
}

#[test]
fn no_protected_run_follows_one_that_protected_nobody() {
    for (sections, name, seed, how) in [
        (
            PLAIN_GRADIENTS,
            "plain",
            [].as_slice(),
            "without any protection",
        ),
        (PRIVATE_GRADIENTS, "seeded", &["--seed", "7"], "known seed"),
    ] {
        let bench = Workbench::new(12);
        works(&bench, sections, name, seed);
        let why = refused(&bench);
        for word in ["visits", name, how, "can't be taken back"] {
            assert!(why.contains(word), "{why}");
        }
        // Who protects nobody anyway may go on.
        let again = [
            "--seed",
            "8",
            "--set",
            "privacy.epsilon=20",
            "--set",
            "privacy.noise_multiplier=3.0",
        ];
        works(&bench, PRIVATE_GRADIENTS, "again", &again);
        // Rows under another name are other rows.
        let other = ["--set", "privacy.data_set=others", "--new-data-set"];
        works(&bench, PRIVATE_GRADIENTS, "others", &other);
    }
}

#[test]
fn whoever_adds_up_counts_seeded_noise_as_none() {
    let bench = Workbench::new(12);
    let folder = works(&bench, PRIVATE_GRADIENTS, "seeded", &["--seed", "7"]);
    let examination = verify(&folder, Known::nothing()).expect("a folder");
    assert!(examination.holds(), "{:?}", examination.checks);
    let first = &examination.checks[0];
    assert_eq!((first.name, first.outcome), ("data set", Outcome::Open));
    assert!(first.detail.contains("known seed"), "{}", first.detail);
    let guarantee = examination.certificate.expect("a certificate").guarantee;
    let guarantee = guarantee.expect("a guarantee");
    assert_eq!(
        (guarantee.run.epsilon, guarantee.total.epsilon),
        (None, None)
    );

    let output = bench.umbel(&["account", "events", "kept.jsonl", "--json"]);
    let events = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        events.contains("non_private") && !events.contains("gaussian"),
        "{events}"
    );
    bench.write("events.json", &events);
    for accountant in ["pld", "rdp", "zcdp", "gdp"] {
        let output = bench.umbel(&[
            "account",
            "epsilon",
            "--events",
            "events.json",
            "--delta",
            "1e-5",
            "--accountant",
            accountant,
        ]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("epsilon inf"), "{accountant}: {text}");
    }
}

#[test]
fn a_use_without_protection_after_the_run_is_said_before_its_epsilon() {
    let bench = Workbench::new(12);
    let folder = works(&bench, PRIVATE_GRADIENTS, "protected", &[]);
    works(&bench, PLAIN_GRADIENTS, "later", &[]);
    let (first, code) = first_line(&bench, &folder);
    assert_eq!(code, Some(0));
    for word in ["since this run", "visits", "\"later\""] {
        assert!(first.contains(word), "{first}");
    }
}
