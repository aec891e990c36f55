//! Private runs that learn, from a base model of each kind of network.

use std::fmt::Write as _;

use crate::workbench::{Workbench, repository};

const ROWS: usize = 512;

/// With noise as large as the clipping norm.
const NOISY: &str = "\
[privacy]
unit = \"record\"
epsilon = 40.0
delta = 1e-5
noise_multiplier = 1.0
clipping_norm = 0.5
sampling_rate = 0.5

[training]
method = \"gradients\"
expected_batch = 256
micro_batch = 64

[server]
optimiser = \"adam\"
learning_rate = 2e-2
";

/// Rows whose only word that counts stands at any place, as many of each label.
fn table(first: usize, rows: usize) -> String {
    let openings = [
        "the film was",
        "and more of it,",
        "a",
        "the worst of the end is",
    ];
    let endings = ["film", "than anyone", "", "of the films"];
    let mut table = String::from("text,label\n");
    for row in first..first + rows {
        let (word, label) = [("good", "positive"), ("bad", "negative")][row % 2];
        let (opening, ending) = (openings[row / 2 % 4], endings[row / 8 % 4]);
        let _ = writeln!(table, "\"{opening} {word} {ending} {row}\",{label}");
    }
    table
}

#[test]
fn a_private_run_learns_with_each_kind_of_network() {
    let bench = Workbench::new(1);
    bench.write("all.csv", &table(0, ROWS));
    bench.write("public.csv", &table(ROWS, 128));
    let mut accuracies = Vec::new();
    for family in ["albert", "modernbert", "deberta-v2", "gpt2", "llama"] {
        let base = repository()
            .join("model/tests/family_fixtures")
            .join(family);
        let base = format!("model.base={:?}", base.to_str().expect("UTF-8"));
        let configuration = bench.configuration(family, NOISY, &["all"]);
        let more = [
            "--seed",
            "1",
            "--set",
            base.as_str(),
            "--set",
            "model.max_tokens=24",
            "--set",
            "model.train=full",
            "--set",
            "run.rounds=30",
            "--set",
            "evaluation.files=[{name=\"public\", path=\"public.csv\"}]",
            "--device",
            "cpu",
        ];
        let run = bench.simulate(&configuration, &more);
        assert_eq!(run["ending"], "complete", "{family}: {run}");
        let accuracy = run["accuracy"].as_f64().expect("a share");
        println!("{family}: accuracy {accuracy}, epsilon {}", run["epsilon"]);
        accuracies.push((family, accuracy));
    }
    // Half of them would be right by chance, 61 % once in a hundred tables.
    for (family, accuracy) in accuracies {
        assert!(accuracy > 0.8, "{family}: {accuracy}");
    }
}
