//! Commands in blocks marked `console run` print what is shown below them.

use std::process::Command;

use crate::pages;
use crate::shell;

#[test]
fn marked_commands_print_what_is_shown() {
    let mut ran = 0;
    for page in pages::for_users() {
        // The blocks of a page run in one folder, in their order.
        let folder = tempfile::tempdir().expect("a temporary folder");
        for block in page.blocks() {
            if !block.words.iter().any(|word| word == "run") || block.words[0] != "console" {
                continue;
            }
            for shown in shell::commands(&block) {
                assert_eq!(
                    shown.words[0], "umbel",
                    "{}: only umbel is run",
                    block.place
                );
                let done = Command::new(env!("CARGO_BIN_EXE_umbel"))
                    .args(&shown.words[1..])
                    .current_dir(folder.path())
                    .env_remove("RUST_LOG")
                    .output()
                    .expect("umbel starts");
                let printed = String::from_utf8(done.stdout).expect("text");
                let errors = String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success(), "{}: {errors}", block.place);
                assert_eq!(
                    printed.trim_end(),
                    shown.output.trim_end(),
                    "{}",
                    block.place
                );
                ran += 1;
            }
        }
    }
    assert!(ran > 0, "no block is marked");
}
