//! The pages and files that are made of the settings are in step with them. Where one isn't,
//! `UMBEL_BLESS=1 cargo test --release --workspace --test documents` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use umbel::commands::settings::reference;
use umbel_proto::settings::{Section, template};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Holds a file against what it should be.
fn in_step(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os("UMBEL_BLESS").is_some() {
        return fs::write(&file, wanted).expect("a writable file");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    assert!(
        found == wanted,
        "{path} isn't what the settings say; write it anew with UMBEL_BLESS=1. First: {differs:?}"
    );
}

fn bare(name: &str) -> String {
    let path = root().join("coordinator/src/init/bare").join(name);
    fs::read_to_string(path).expect("a bare template")
}

#[test]
fn the_reference_lists_the_settings() {
    in_step("docs/src/reference/configuration.md", &reference());
}

#[test]
fn the_templates_explain_every_key() {
    let run = umbel_coordinator::config::settings();
    let site = umbel_client::config::settings();
    let files = Path::new("coordinator/src/init");
    for (name, sections) in [("coordinator.toml", run), ("client.toml", site)] {
        let bare = bare(name);
        let file = files.join(name.replace(".toml", "_template.toml"));
        in_step(&file.display().to_string(), &template(&bare, &sections));
        for section in &sections {
            has_all_keys(name, &bare, section);
        }
    }
}

/// Whether each key of a section stands in a template, set or behind a `#`.
fn has_all_keys(name: &str, bare: &str, section: &Section) {
    // Clients are written by `init` itself, and adapters stand on one line.
    if section.path == "clients" {
        return;
    }
    for setting in &section.settings {
        let key = format!("{} = ", setting.name);
        assert!(
            bare.contains(&key),
            "{name} lacks {}.{}",
            section.path,
            setting.name
        );
    }
}

#[test]
fn the_schemas_take_every_example() {
    let schema = serde_json::to_string(&umbel_coordinator::config::schema()).expect("JSON");
    for key in [
        "\"adaptive_clipping\"",
        "\"exclusiveMinimum\"",
        "\"record\"",
    ] {
        assert!(schema.contains(key), "the schema lacks {key}");
    }
}
