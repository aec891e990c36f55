//! What a run leaves for people and for machines says the same, and is coloured by what it's worth.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::workbench::{PLAIN_GRADIENTS, PRIVATE_GRADIENTS, SITES, Workbench};
use crate::world::errors;

/// Simulates one round with these settings; the run's folder and its JSON.
fn run(bench: &Workbench, sections: &str, set: &[&str]) -> (PathBuf, Value) {
    let run = bench.configuration("shown", sections, &SITES);
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let run = bench.simulate(&run, &[&["--set", "run.rounds=1"], set.as_slice()].concat());
    let folder = bench
        .path()
        .join(run["run_dir"].as_str().expect("a folder"));
    (folder, run)
}

fn pages(folder: &Path) -> [String; 2] {
    ["report.html", "certificate.html"]
        .map(|name| fs::read_to_string(folder.join(name)).expect(name))
}

#[test]
fn epsilon_500_is_red_and_epsilon_1_is_green() {
    let bench = Workbench::new(8);
    let weak = ["privacy.epsilon=500", "privacy.allow_weak_noise=true"];
    for (set, class, level) in [
        (weak.as_slice(), "nobody", "weak"),
        (&["privacy.epsilon=8"], "moderate", "moderate"),
        (&["privacy.epsilon=1"], "strong", "strong"),
        (
            &["privacy.epsilon=1", "privacy.units=1000000"],
            "nobody",
            "weak",
        ),
    ] {
        let (folder, run) = run(&bench, PRIVATE_GRADIENTS, set);
        assert_eq!(run["protection"], level, "{set:?}");
        for page in pages(&folder) {
            assert!(
                page.contains(&format!("class=\"protection {class}\"")),
                "{set:?}"
            );
        }
        let [report, _] = pages(&folder);
        assert_eq!(
            report.contains("<div class=\"nobody\">"),
            class == "nobody",
            "{set:?}"
        );
    }
    let (folder, run) = run(&bench, PLAIN_GRADIENTS, &[]);
    assert_eq!(run["protection"], "nobody");
    assert!(run["attack"].is_null());
    assert!(pages(&folder)[0].contains("class=\"protection nobody\""));
}

#[test]
fn the_pages_and_the_json_have_the_same_numbers() {
    let bench = Workbench::new(8);
    let set = [
        "report.purpose=Letters, sorted",
        "report.organisation=A newspaper",
        "report.contact=privacy@example.org",
        "privacy.units=4321",
    ];
    let (folder, run) = run(&bench, PRIVATE_GRADIENTS, &set);
    let found = run["attack"]["true_positives"].as_f64().expect("a share");
    assert!(found > 0.01 && found < 1.0, "{found}");
    assert_eq!(run["attack"]["basis"], "mechanism");
    let kept = fs::read_to_string(folder.join("result.json")).expect("a result");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!(
        (&kept["attack"], &kept["units"]),
        (&run["attack"], &4321.into())
    );
    for page in pages(&folder) {
        for words in [
            "Letters, sorted",
            "A newspaper",
            "privacy@example.org",
            "4,321",
        ] {
            assert!(page.contains(words), "{words}");
        }
        assert!(page.contains("class=\"trade-off\"") && page.contains("Signatures"));
        let percent = page.split("finds at most ").nth(1).expect("a share");
        let percent = percent.split(' ').next().expect("a number");
        let shown: f64 = percent.parse().expect("a number");
        // Rounded up.
        assert!(
            shown >= 100.0 * found && shown < 100.0 * found + 0.11,
            "{shown} {found}"
        );
    }
}

#[test]
fn words_that_are_no_line_and_no_units_are_refused() {
    let bench = Workbench::new(8);
    let run = bench.configuration("words", PRIVATE_GRADIENTS, &SITES);
    let run = run.to_str().expect("UTF-8");
    for set in [
        "report.purpose=\"two\\nlines\"",
        "privacy.units=0",
        "report.purpse=\"x\"",
    ] {
        let output = bench.umbel(&["simulate", run, "--set", set]);
        assert_eq!(output.status.code(), Some(2), "{set}: {}", errors(&output));
        let section = set.split('.').next().expect("a section");
        assert!(
            errors(&output).contains(section),
            "{set}: {}",
            errors(&output)
        );
    }
}
