//! What must hold of any configuration, of a site or of a coordinator.

use std::fs;

use umbel_client::config::ClientConfig;
use umbel_coordinator::config::load;

/// Reads a file as both. It is a configuration, or a sentence that says what is wrong.
pub fn check(input: &[u8]) {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().join("settings.toml");
    fs::write(&path, input).expect("it can be written");
    match ClientConfig::load(&path) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(config) => {
            config.device().expect("it was checked");
            config.precision().expect("it was checked");
        }
    }
    for overrides in [
        &[][..],
        &["privacy.epsilon=3".to_owned(), "run.rounds=2".to_owned()],
    ] {
        match load(&path, overrides, Some(1)) {
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
            Ok(loaded) => assert_eq!(loaded.config.run.seed, Some(1)),
        }
    }
}
