//! The settings of a configuration, as its schema has them: what the reference, the templates and
//! the errors about unknown keys are made of. A setting's name, meaning, default and range stand
//! in one place, the section that reads it.

use std::fmt::Write as _;

use serde_json::Value;

/// A section of a configuration: `[run]`, or the keys before the first section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name with dots; empty for the keys before the first section.
    pub path: String,
    /// Whether it may be there several times: `[[clients]]`.
    pub repeated: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// What it is for.
    pub doc: String,
    /// Its keys.
    pub settings: Vec<Setting>,
}

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// What it may be, in words.
    pub values: String,
    /// What holds if it is left out; `None` where nothing does, or the meaning says what.
    pub default: Option<Value>,
    /// Whether it has to be there.
    pub required: bool,
}

impl Section {
    /// As it is written in a file.
    pub fn heading(&self) -> String {
        match (self.path.as_str(), self.repeated) {
            ("", _) => String::new(),
            (path, false) => format!("[{path}]"),
            (path, true) => format!("[[{path}]]"),
        }
    }
}

/// The sections of a configuration, those that are needed first.
pub fn sections(schema: &schemars::Schema) -> Vec<Section> {
    let root = schema.as_value();
    let mut found = Vec::new();
    let place = Place {
        path: String::new(),
        repeated: false,
        required: true,
    };
    collect(root, root, place, &mut found);
    found.retain(|section| !section.settings.is_empty());
    found
}

struct Place {
    path: String,
    repeated: bool,
    required: bool,
}

fn collect(root: &Value, section: &Value, place: Place, found: &mut Vec<Section>) {
    let required = section.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|r| r.iter().any(|key| key == name));
    let at = found.len();
    found.push(Section {
        doc: doc_of(section),
        settings: Vec::new(),
        path: place.path.clone(),
        repeated: place.repeated,
        required: place.required,
    });
    for (name, key) in in_order(section) {
        let (key_itself, repeated) = element(root, key);
        if key_itself.get("properties").is_some() {
            let inner = Place {
                path: [place.path.as_str(), name]
                    .join(".")
                    .trim_matches('.')
                    .into(),
                repeated,
                required: is_required(name),
            };
            collect(root, key_itself, inner, found);
            continue;
        }
        let default = key.get("default").filter(|d| !d.is_null()).cloned();
        found[at].settings.push(Setting {
            doc: doc_of(key),
            values: words(root, key),
            default,
            required: is_required(name),
            name: name.clone(),
        });
    }
}

/// The keys of a section: those that are needed first, in the order in which they are declared, and
/// the others by their names, since a schema doesn't keep their order.
fn in_order(section: &Value) -> Vec<(&String, &Value)> {
    let keys = section.get("properties").and_then(Value::as_object);
    let required = section.get("required").and_then(Value::as_array);
    let rank = |name: &str| {
        let place = required.and_then(|names| names.iter().position(|key| key == name));
        place.unwrap_or(usize::MAX)
    };
    let mut keys: Vec<_> = keys.into_iter().flatten().collect();
    keys.sort_by_key(|(name, _)| rank(name));
    keys
}

/// What a key is, past references and `null`, and whether it is a list of that.
fn element<'a>(root: &'a Value, key: &'a Value) -> (&'a Value, bool) {
    let key = resolved(root, key);
    match key.get("items") {
        Some(items) => (resolved(root, items), true),
        None => (key, false),
    }
}

fn resolved<'a>(root: &'a Value, key: &'a Value) -> &'a Value {
    if let Some(path) = key.get("$ref").and_then(Value::as_str) {
        let target = path.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(key, |target| resolved(root, target));
    }
    let not_null = |choice: &&Value| choice.get("type").is_none_or(|t| t != "null");
    match key.get("anyOf").and_then(Value::as_array) {
        Some(choices) => match choices.iter().find(not_null) {
            Some(choice) => resolved(root, choice),
            None => key,
        },
        None => key,
    }
}

/// The description on one line for each paragraph.
fn doc_of(value: &Value) -> String {
    let text = value.get("description").and_then(Value::as_str);
    text.unwrap_or_default()
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a key may be, in words.
fn words(root: &Value, key: &Value) -> String {
    let key = resolved(root, key);
    if let Some(choices) = choices(key) {
        let quoted: Vec<String> = choices.iter().map(|c| format!("`{c}`")).collect();
        return quoted.join(", ");
    }
    let named = match key.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        // `["number", "null"]`: what may be left out.
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|n| *n != "null"),
        _ => None,
    };
    match named {
        Some("integer") => number("whole number", key),
        Some("number") => number("number", key),
        Some("boolean") => "`true` or `false`".into(),
        Some("array") => match key.get("items") {
            Some(items) => format!("list of: {}", words(root, items)),
            None => "list".into(),
        },
        Some("string") if key.get("pattern").is_some() => "64 hexadecimal digits".into(),
        _ => "text".into(),
    }
}

/// The words that a key may be.
fn choices(key: &Value) -> Option<Vec<&str>> {
    if let Some(words) = key.get("enum").and_then(Value::as_array) {
        return Some(words.iter().filter_map(Value::as_str).collect());
    }
    let variants = key.get("oneOf").and_then(Value::as_array)?;
    variants
        .iter()
        .map(|variant| variant.get("const").and_then(Value::as_str))
        .collect()
}

fn number(what: &str, key: &Value) -> String {
    let bound = |name: &str| {
        key.get(name)
            .filter(|v| v.as_f64().is_some_and(f64::is_finite))
    };
    let least = match (bound("minimum"), bound("exclusiveMinimum")) {
        (Some(least), _) => Some(format!("at least {least}")),
        (None, Some(least)) => Some(format!("above {least}")),
        (None, None) => None,
    };
    let most = match (bound("maximum"), bound("exclusiveMaximum")) {
        (Some(most), _) => Some(format!("at most {most}")),
        (None, Some(most)) => Some(format!("below {most}")),
        (None, None) => None,
    };
    match (least, most) {
        (Some(least), Some(most)) => format!("{what}, {least} and {most}"),
        (Some(one), None) | (None, Some(one)) => format!("{what}, {one}"),
        (None, None) => what.into(),
    }
}

/// A table for each section, as a page of a book. `level` is that of the headings.
pub fn markdown(sections: &[Section], level: usize) -> String {
    let mut page = String::new();
    for section in sections {
        let heading = match section.path.as_str() {
            "" => "Before the first section".to_owned(),
            _ => format!("`{}`", section.heading()),
        };
        // Writing to a string can't fail.
        let _ = writeln!(page, "{} {heading}\n", "#".repeat(level));
        let doc = own_words(section);
        if !doc.is_empty() {
            let _ = writeln!(page, "{}\n", doc.replace('\n', "\n\n"));
        }
        let _ = writeln!(
            page,
            "| key | meaning | values | default |\n|---|---|---|---|"
        );
        for setting in &section.settings {
            let default = match (&setting.default, setting.required) {
                (_, true) => "needed".to_owned(),
                (Some(default), _) => format!("`{}`", toml_value(default)),
                (None, _) => "–".into(),
            };
            let cell = |text: &str| text.replace('\n', " ").replace('|', r"\|");
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {default} |",
                setting.name,
                cell(&setting.doc),
                cell(&setting.values)
            );
        }
        page.push('\n');
    }
    page
}

/// An example configuration with what each key means above it. `bare` is the example without that;
/// its own comments stay. Keys and sections behind a `#` are explained, too.
pub fn template(bare: &str, sections: &[Section]) -> String {
    let mut told = String::new();
    let mut here = String::new();
    for line in bare.lines() {
        let shown = line.strip_prefix("# ").unwrap_or(line);
        if let Some(path) = shown.strip_prefix('[') {
            here = path
                .trim_end_matches(']')
                .trim_start_matches('[')
                .to_owned();
        }
        let key = shown.split_once(" = ").map(|(key, _)| key);
        let doc = key.and_then(|key| doc_in(sections, &here, key));
        for row in doc.iter().flat_map(|doc| doc.lines().flat_map(wrapped)) {
            told.push_str(&format!("# {row}\n"));
        }
        told.push_str(line);
        told.push('\n');
    }
    told
}

/// What a key means: a setting's meaning, or what a section is for.
fn doc_in(sections: &[Section], path: &str, key: &str) -> Option<String> {
    let section = sections.iter().find(|section| section.path == path)?;
    if let Some(setting) = section.settings.iter().find(|s| s.name == key) {
        return Some(setting.doc.clone());
    }
    let inner = [path, key].join(".");
    let inner = sections.iter().find(|section| section.path == inner)?;
    Some(own_words(inner))
}

/// What a section is for, without its heading.
fn own_words(section: &Section) -> String {
    let doc = section
        .doc
        .trim_start_matches(&format!("`{}`", section.heading()));
    capitalised(doc.trim_start_matches([':', ' ', '\n']))
}

/// A line cut into rows that fit a screen.
fn wrapped(line: &str) -> Vec<String> {
    const WIDEST: usize = 88;
    let mut rows = vec![String::new()];
    for word in line.split_whitespace() {
        let row = rows
            .last_mut()
            .filter(|row| row.chars().count() + word.len() < WIDEST);
        match row {
            Some(row) if row.is_empty() => row.push_str(word),
            Some(row) => {
                row.push(' ');
                row.push_str(word);
            }
            None => rows.push(word.to_owned()),
        }
    }
    rows
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A value of a schema as it is written in a configuration.
pub fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_value).collect();
            format!("[{}]", items.join(", "))
        }
        // JSON's numbers, words and quoted texts are TOML's.
        other => other.to_string(),
    }
}

/// What to say of a key that isn't there: the nearest one of its section, or the section that
/// has it. `siblings` are the keys that could have been meant.
pub fn instead_of(unknown: &str, siblings: &[&str], sections: &[Section]) -> String {
    let elsewhere: Vec<String> = sections
        .iter()
        .filter(|section| section.settings.iter().any(|s| s.name == unknown))
        .map(|section| match section.path.as_str() {
            "" => "the top of the file".into(),
            _ => section.heading(),
        })
        .collect();
    if let Some(near) = nearest(unknown, siblings) {
        return format!("did you mean `{near}`?");
    }
    if !elsewhere.is_empty() {
        return format!("it is a key of {}", elsewhere.join(" and "));
    }
    let known: Vec<String> = siblings.iter().map(|key| format!("`{key}`")).collect();
    match known.as_slice() {
        [] => "there are no keys here".into(),
        known => format!("there are {}", known.join(", ")),
    }
}

/// The word that is most like the unknown one, if one is like it: no more than a third of its
/// letters differ, or one begins like the other.
pub fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let flat = |text: &str| text.to_lowercase().replace(['-', ' ', '.'], "_");
    let unknown = flat(unknown);
    let distance = |word: &&&str| strsim::damerau_levenshtein(&unknown, &flat(word));
    let near = known.iter().min_by_key(distance)?;
    let letters = unknown.chars().count().max(near.chars().count());
    (3 * distance(&near) <= letters).then_some(*near)
}

/// The same message with what an unknown key or word was meant to be, where it is about one.
/// Messages of other errors are returned as they are.
pub fn explained(message: &str, sections: &[Section]) -> String {
    let told = |(line, unknown, expected): (&str, &str, Vec<&str>)| {
        if line.starts_with(FIELD) {
            let advice = instead_of(unknown, &expected, sections);
            return format!("there is no key `{unknown}` here; {advice}");
        }
        let choices = expected.join(", ");
        match nearest(unknown, &expected) {
            Some(near) => format!("`{unknown}` isn't one of {choices}; did you mean `{near}`?"),
            None => format!("`{unknown}` isn't one of {choices}"),
        }
    };
    match message.lines().find_map(unknown) {
        Some(found) => message.replace(found.0, &told(found)),
        None => message.into(),
    }
}

/// How serde begins to say that it doesn't know a key.
const FIELD: &str = "unknown field `";
/// The same of a word.
const WORD: &str = "unknown variant `";

/// In serde's line about something that it doesn't know: the line, what that is, and what it
/// could have been.
fn unknown(line: &str) -> Option<(&str, &str, Vec<&str>)> {
    if !line.starts_with(FIELD) && !line.starts_with(WORD) {
        return None;
    }
    let mut quoted = line.split('`').skip(1).step_by(2);
    Some((line, quoted.next()?, quoted.collect()))
}

#[cfg(test)]
mod tests {
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
}
