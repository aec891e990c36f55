//! Runs that start from what an earlier run released: both cost, and nobody forgets the first.

use std::fs;
use std::path::{Path, PathBuf};

use umbel::coordinator::certificate::verify::{Known, verify};
use umbel::privacy::accountant::{Accountant, PldAccountant};
use umbel::privacy::certificate::{Certificate, Guarantee, Outcome};

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench};

/// Simulates from a base model.
fn from(bench: &Workbench, base: &Path, more: &[&str]) -> PathBuf {
    let run = bench.configuration("lineage", PRIVATE_GRADIENTS, &SITES);
    let base = format!("model.base={}", base.display());
    let run = bench.simulate(&run, &[&["--set", &base], more].concat());
    bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"))
}

/// Simulates a first run.
fn first(bench: &Workbench, sections: &str, more: &[&str]) -> PathBuf {
    let run = bench.configuration("lineage", sections, &SITES);
    let run = bench.simulate(&run, more);
    bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"))
}

/// A simulation from a base model that is refused or fails; returns its code and sentence.
fn fails(bench: &Workbench, base: &Path, more: &[&str]) -> (Option<i32>, String) {
    let run = bench.configuration("lineage", PRIVATE_GRADIENTS, &SITES);
    let base = format!("model.base={}", base.display());
    let run = run.to_str().expect("UTF-8");
    let output = bench.umbel(&[&["simulate", run, "--set", &base], more].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), errors)
}

fn verified(folder: &Path) -> Certificate {
    let examination = verify(folder, Known::nothing()).expect("a folder");
    assert!(examination.holds(), "{:?}", examination.checks);
    examination.certificate.expect("a certificate")
}

fn guarantee(folder: &Path) -> Guarantee {
    verified(folder).guarantee.expect("a guarantee")
}

/// Room for two runs, with the noise of one that fits epsilon 8.
const ROOM: [&str; 2] = ["--set", "privacy.epsilon=20"];

#[test]
fn a_run_from_a_released_model_is_certified_at_what_both_cost() {
    let bench = Workbench::new(12);
    let parent = first(&bench, PRIVATE_GRADIENTS, &[]);
    let of_parent = guarantee(&parent);
    let noise = format!(
        "privacy.noise_multiplier={}",
        of_parent.noise_multiplier.get()
    );
    let more = [ROOM.as_slice(), &["--set", &noise]].concat();
    let child = from(&bench, &parent.join("model"), &more);
    let of_child = guarantee(&child);

    let mut both = PldAccountant::new(of_parent.adjacency);
    for event in of_parent.run.events.iter().chain(&of_child.run.events) {
        both.compose(event, 1).expect("a known event");
    }
    let both = both.epsilon(of_parent.delta).get();
    let alone = of_child.data_set.epsilon.expect("a figure");
    let total = of_child.total.epsilon.expect("a figure");
    assert!((7.9..=8.0).contains(&alone), "{alone}");
    assert!(
        both > 10.5 && total >= both * (1.0 - 1e-6),
        "{total} {both}"
    );

    // The grandchild counts both, and the gate knew of it all along.
    let grandchild = from(&bench, &child.join("model"), &more);
    let certificate = verified(&grandchild);
    assert_eq!(certificate.lineage.len(), 2);
    let of_grandchild = certificate.guarantee.expect("a guarantee");
    assert!(of_grandchild.total.epsilon.expect("a figure") > total + 1.0);
    let output = bench.umbel(&["verify", grandchild.to_str().expect("UTF-8")]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for said in [
        "with the base model",
        "between runs holds",
        "over all runs on these rows, by the budget between runs",
        "which by itself is no guarantee",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }

    // Without the base model's certificate nobody can tell.
    fs::remove_file(child.join("base_certificate.json")).expect("a file");
    let examination = verify(&child, Known::nothing()).expect("a folder");
    let failing = examination.checks.iter();
    let failing = failing.filter(|check| check.outcome == Outcome::Fails);
    assert_eq!(failing.map(|c| c.name).collect::<Vec<_>>(), ["base model"]);
}

#[test]
fn a_budget_that_the_base_model_used_up_allows_no_round() {
    let bench = Workbench::new(12);
    let parent = first(&bench, PRIVATE_GRADIENTS, &[]);
    let (code, _) = fails(&bench, &parent.join("model"), &[]);
    assert_eq!(code, Some(5), "budget exhausted");
}

#[test]
fn entries_of_a_kept_ledger_are_not_counted_twice() {
    let bench = Workbench::new(12);
    let kept = [ROOM.as_slice(), &["--set", "privacy.ledger=kept.jsonl"]].concat();
    let noise = ["--set", "privacy.noise_multiplier=2.0"];
    let more = [kept, noise.to_vec()].concat();
    let parent = first(&bench, PRIVATE_GRADIENTS, &more);
    let child = from(&bench, &parent.join("model"), &more);
    let certificate = verified(&child);
    assert!(certificate.lineage[0].in_later_ledger);
    let guarantee = certificate.guarantee.expect("a guarantee");
    assert_eq!(guarantee.total, guarantee.data_set);
}

#[test]
fn models_of_other_rows_cost_nothing_where_a_person_says_so() {
    let bench = Workbench::new(12);
    let named = |name: &'static str| ["--set", name];
    let parent = first(&bench, PRIVATE_GRADIENTS, &named("privacy.data_set=oslo"));
    let child = from(
        &bench,
        &parent.join("model"),
        &named("privacy.data_set=bergen"),
    );
    let of_child = guarantee(&child);
    assert_eq!(of_child.total, of_child.data_set);
    // A name that stands in for none says nothing.
    let (code, _) = fails(&bench, &parent.join("model"), &[]);
    assert_eq!(code, Some(5), "budget exhausted");
}

#[test]
fn a_released_model_without_its_certificate_is_no_base() {
    let bench = Workbench::new(12);
    let parent = first(&bench, PRIVATE_GRADIENTS, &[]);
    let elsewhere = bench.path().join("elsewhere/model");
    fs::create_dir_all(&elsewhere).expect("a folder");
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(parent.join("model").join(file), elsewhere.join(file)).expect("a copy");
    }
    let (code, why) = fails(&bench, &elsewhere, &ROOM);
    assert_eq!(code, Some(6), "{why}");
    assert!(why.contains("umbel_certificate.json"), "{why}");

    // That of another run isn't its.
    let other = first(&bench, PRIVATE_GRADIENTS, &[]);
    let certificate = |run: &Path| fs::read(run.join("certificate.json")).expect("a file");
    fs::write(
        elsewhere.join("umbel_certificate.json"),
        certificate(&other),
    )
    .expect("a file");
    let (code, why) = fails(&bench, &elsewhere, &ROOM);
    assert_eq!(code, Some(6), "{why}");
    assert!(why.contains("didn't release"), "{why}");

    fs::write(
        elsewhere.join("umbel_certificate.json"),
        certificate(&parent),
    )
    .expect("a file");
    let more = [ROOM, ["--set", "privacy.noise_multiplier=3.0"]].concat();
    let child = from(&bench, &elsewhere, &more);
    assert_eq!(verified(&child).lineage.len(), 1);
}

#[test]
fn nothing_protected_starts_from_a_model_that_protects_nobody() {
    let bench = Workbench::new(12);
    for parent in [
        first(&bench, PLAIN_GRADIENTS, &[]),
        first(&bench, PRIVATE_GRADIENTS, &["--seed", "7"]),
    ] {
        let (code, why) = fails(&bench, &parent.join("model"), &ROOM);
        assert_eq!(code, Some(8), "{why}");
        assert!(why.contains("protected nobody"), "{why}");
    }
}
