//! The command `umbel-client`. (That there is a test of it here also makes `cargo test` build
//! it, for the tests of whole runs.)

use std::process::Command;

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_umbel-client"))
        .args(["run", "nowhere.toml"])
        .env_remove("RUST_LOG")
        .output()
        .expect("the client starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("nowhere.toml"), "{errors}");
}
