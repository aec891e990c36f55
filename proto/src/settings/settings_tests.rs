//! Settings of a small configuration.

use super::*;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use crate::method::{LocalOptimisation, MicroBatch};

/// A configuration.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Whole {
    /// Its name.
    name: String,
    /// How sites train.
    #[serde(default)]
    training: Option<LocalOptimisation>,
    /// The parts.
    parts: Vec<Part>,
}

/// `[[parts]]`: one part.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Part {
    /// Rows at a time.
    #[serde(default)]
    micro_batch: MicroBatch,
    /// Where it is,
    /// if anywhere.
    #[serde(default)]
    place: Option<String>,
}

fn found() -> Vec<Section> {
    sections(&schema_for!(Whole))
}

#[test]
fn every_section_has_its_keys_with_range_and_default() {
    let found = found();
    let headings: Vec<String> = found.iter().map(Section::heading).collect();
    assert_eq!(headings, ["", "[[parts]]", "[training]"]);
    let keys: Vec<(&str, &str)> = found[1]
        .settings
        .iter()
        .map(|s| (s.name.as_str(), s.values.as_str()))
        .collect();
    let rows = "whole number, at least 1 and at most 256";
    assert_eq!(keys, [("micro_batch", rows), ("place", "text")]);
    assert_eq!(found[1].settings[0].default, Some(64.into()));
    assert_eq!(found[1].settings[1].doc, "Where it is, if anywhere.");
    assert!(
        found[2]
            .settings
            .iter()
            .any(|s| s.values == "`sgd`, `adam-w`")
    );
    assert!(found[0].settings[0].required && !found[2].required);
}

#[test]
fn the_page_has_a_table_for_each_section() {
    let page = markdown(&found(), 2);
    assert!(page.contains("## `[[parts]]`\n\nOne part.\n"), "{page}");
    assert!(
        page.contains("| `name` | Its name. | text | needed |"),
        "{page}"
    );
    assert!(
        page.contains("| `place` | Where it is, if anywhere. | text | – |"),
        "{page}"
    );
}

#[test]
fn a_template_has_what_each_key_means_above_it() {
    let bare = "# Ours.\nname = \"x\"\n\n[[parts]]\n# CHANGE ME.\n# place = \"here\"\n";
    let told = "# Ours.\n# Its name.\nname = \"x\"\n\n[[parts]]\n# CHANGE ME.\n\
                # Where it is, if anywhere.\n# place = \"here\"\n";
    assert_eq!(template(bare, &found()), told);
}

#[test]
fn an_unknown_key_is_told_the_nearest_one_or_where_it_belongs() {
    let found = found();
    let siblings = ["micro_batch", "place"];
    assert_eq!(
        instead_of("microbatch", &siblings, &found),
        "did you mean `micro_batch`?"
    );
    assert_eq!(
        instead_of("weight_decay", &siblings, &found),
        "it is a key of [training]"
    );
    assert_eq!(
        instead_of("colour", &siblings, &found),
        "there are `micro_batch`, `place`"
    );
    let told = "at line 3\nunknown field `plase`, expected one of `micro_batch`, `place`\n";
    assert_eq!(
        explained(told, &found),
        "at line 3\nthere is no key `plase` here; did you mean `place`?\n"
    );
    assert_eq!(explained("something else", &found), "something else");
    let told = "unknown variant `Lora`, expected one of `full`, `lora`\nin `model.train`";
    assert_eq!(
        explained(told, &found),
        "`Lora` isn't one of full, lora; did you mean `lora`?\nin `model.train`"
    );
}

#[test]
fn any_key_at_all_gets_an_answer() {
    for key in ["", "`", "é", &"x".repeat(10_000), "\u{0}"] {
        assert!(!instead_of(key, &[], &[]).is_empty());
        assert!(!explained(&format!("unknown field `{key}`"), &[]).is_empty());
    }
}

#[test]
fn a_path_of_windows_in_double_quotes_is_told_how_to_write_it() {
    for text in [r#"path = "C:\models\bert""#, r#"path = "C:\Users\me""#] {
        let error = toml::from_str::<toml::Table>(text).expect_err(text);
        let told = explained(&error.to_string(), &[]);
        assert!(told.contains("in single quotes"), "{told}");
    }
    let other = toml::from_str::<toml::Table>("path = ").expect_err("no value");
    assert!(!explained(&other.to_string(), &[]).contains("single quotes"));
    // Here the escapes are sound, and the path isn't.
    let read: toml::Table = toml::from_str(r#"path = "C:\temp\new""#).expect("TOML");
    let path = read["path"].as_str().expect("text");
    let refused = check_path(path.as_ref()).expect_err("a tab");
    assert!(refused.contains("in single quotes"), "{refused}");
    assert!(check_path(r"C:\models\bert".as_ref()).is_ok());
}
