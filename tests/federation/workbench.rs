//! A small federation on disk: real texts, the small BERT of the examples, few rows.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The four sites of the example.
pub const SITES: [&str; 4] = ["amazon", "movie", "nyt", "twitter"];

/// A folder with a configuration and the sites' tables.
pub struct Workbench {
    folder: TempDir,
}

/// The top of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Workbench {
    /// Takes `rows` rows of every site of the example.
    pub fn new(rows: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bench = Self { folder };
        let mut pooled = String::from("text,label\r\n");
        for site in SITES {
            let path = format!("examples/sentiment/data/sites/{site}/train.csv");
            let table = fs::read_to_string(repository().join(path)).expect("the example's data");
            // These tables have no line breaks inside of fields.
            let chosen: Vec<&str> = table.split("\r\n").take(rows + 1).collect();
            bench.write(&format!("{site}.csv"), &(chosen.join("\r\n") + "\r\n"));
            pooled += &(chosen[1..].join("\r\n") + "\r\n");
        }
        bench.write("pooled.csv", &pooled);
        bench
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).expect("a writable temporary folder");
        path
    }

    /// Writes a run's configuration: common sections, `sections`, and these clients' tables.
    pub fn configuration(&self, name: &str, sections: &str, clients: &[&str]) -> PathBuf {
        let model = repository().join("examples/sentiment/bert-tiny");
        let mut text = format!(
            "[run]\nname = \"{name}\"\nrounds = 2\n\n\
             [model]\nbase = {model:?}\nmax_tokens = 16\n\n\
             [data]\nlabels = [\"negative\", \"positive\"]\nclean = false\n\n{sections}\n"
        );
        for client in clients {
            let _ = write!(
                text,
                "\n[[clients]]\nname = \"{client}\"\ndata = \"{client}.csv\"\n"
            );
        }
        self.write(&format!("{name}.toml"), &text)
    }

    /// Runs `umbel` here, its runs going to `runs`.
    pub fn umbel(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_umbel"))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("RUST_LOG")
            .output()
            .expect("umbel starts")
    }

    /// Simulates a configuration and returns the JSON that it ends with.
    pub fn simulate(&self, configuration: &Path, more: &[&str]) -> serde_json::Value {
        let path = configuration.to_str().expect("a path in UTF-8");
        let output = self.umbel(&[&["simulate", path, "--json"], more].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {errors}", output.status);
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// The released weights of a run.
    pub fn weights(&self, run: &serde_json::Value) -> Vec<u8> {
        let folder = run["run_dir"].as_str().expect("a run folder");
        fs::read(self.path().join(folder).join("model/model.safetensors")).expect("a model")
    }
}

/// Privacy off, summed gradients, everybody in every round.
pub const PLAIN_GRADIENTS: &str = "\
[privacy]
unit = \"none\"

[training]
method = \"gradients\"
expected_batch = 48
micro_batch = 8

[server]
optimiser = \"adam\"
learning_rate = 1e-3
";

/// Record-level privacy with central noise.
pub const PRIVATE_GRADIENTS: &str = "\
[privacy]
unit = \"record\"
epsilon = 8.0
delta = 1e-5
clipping_norm = 0.5
sampling_rate = 0.5

[training]
method = \"gradients\"
expected_batch = 24
micro_batch = 8

[server]
optimiser = \"adam\"
learning_rate = 1e-3
";
