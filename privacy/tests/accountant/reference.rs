//! Reference values that were computed elsewhere.

use serde_json::Value;

/// The reference cases of one kind; none, with a note, where there is no such file.
pub fn cases(kind: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/golden/epsilon.json"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: the reference values {path} aren't there");
        return Vec::new();
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let all = file["cases"].as_array().unwrap();
    let found: Vec<Value> = all
        .iter()
        .filter(|case| case["kind"] == kind)
        .cloned()
        .collect();
    assert!(!found.is_empty(), "no case of kind {kind}");
    found
}

/// A number, also where it was written as a text.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some(text) => text.parse().unwrap(),
        None => panic!("{value} isn't a number"),
    })
}
