//! The page of the reference, and templates of configurations.

use std::fmt::Write as _;

use serde_json::Value;

use super::Section;

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
    let mut here = sections.iter().filter(|section| section.path == path);
    let mut settings = here.clone().flat_map(|section| &section.settings);
    if let Some(setting) = settings.find(|setting| setting.name == key) {
        return Some(setting.doc.clone());
    }
    here.next()?;
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
