//! Programs, and a small run that is done once for all tests that need a model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::workbench::{PLAIN_GRADIENTS, SITES, Workbench};

/// The programs.
pub const PROGRAMS: [&str; 3] = ["umbel", "umbel-client", "umbel-coordinator"];

/// A program of the workspace, built beside `umbel`, to be run in `folder`.
pub fn program(name: &str, folder: &Path) -> Command {
    let umbel = Path::new(env!("CARGO_BIN_EXE_umbel"));
    let path = umbel.parent().expect("a folder").join(name);
    assert!(
        path.exists(),
        "{} isn't built; run cargo test --release --workspace",
        path.display()
    );
    let mut command = Command::new(path);
    command
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR");
    command
}

/// What was said on standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What was said on standard output.
pub fn answers(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A bench with a run that is done.
pub struct Done {
    pub bench: Workbench,
    pub run: PathBuf,
}

impl Done {
    /// The run's model.
    pub fn model(&self) -> PathBuf {
        self.run.join("model")
    }
}

/// One run for all tests that only read.
pub fn done() -> &'static Done {
    static DONE: OnceLock<Done> = OnceLock::new();
    DONE.get_or_init(|| {
        let bench = Workbench::new(8);
        let run = bench.configuration("done", PLAIN_GRADIENTS, &SITES);
        let run = bench.simulate(&run, &["--set", "run.rounds=1"]);
        let run = bench
            .path()
            .join(run["run_dir"].as_str().expect("a folder"));
        Done { bench, run }
    })
}
