//! From a schema to sections and keys.

use serde_json::Value;

use super::{Section, Setting};

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
        let forms: Vec<_> = forms(root, key)
            .into_iter()
            .map(|form| element(root, form))
            .filter(|(form, _)| form.get("properties").is_some())
            .collect();
        let one_of_several = forms.len() > 1;
        for (form, repeated) in &forms {
            let inner = Place {
                path: [place.path.as_str(), name]
                    .join(".")
                    .trim_matches('.')
                    .into(),
                repeated: *repeated,
                required: is_required(name) && !one_of_several,
            };
            collect(root, form, inner, found);
        }
        if !forms.is_empty() {
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

/// The forms in which a key may be written: one, or each choice of several.
fn forms<'a>(root: &'a Value, key: &'a Value) -> Vec<&'a Value> {
    let target = key.get("$ref").and_then(Value::as_str);
    let target = target.and_then(|path| root.pointer(path.strip_prefix('#')?));
    match target.unwrap_or(key).get("anyOf").and_then(Value::as_array) {
        Some(choices) => choices.iter().collect(),
        None => vec![key],
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
        Some("object") => match key.get("additionalProperties") {
            Some(values) => format!("by name: {}", words(root, values)),
            None => "section".into(),
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
