//! The command `umbel-coordinator`. (That there is a test of it under this name also makes
//! `cargo test --release --workspace --test command_line` build it, for the tests of all three programs.)

use std::process::Command;

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_umbel-coordinator"))
        .args(["check", "nowhere.toml"])
        .env_remove("RUST_LOG")
        .output()
        .expect("the coordinator starts");
    let found = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{found}");
    assert!(found.contains("nowhere.toml"), "{found}");
}
