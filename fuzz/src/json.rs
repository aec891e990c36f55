//! Changes one thing in a JSON document, so that it mostly stays readable.

use serde_json::{Number, Value};

use crate::chance::Chance;

/// Words that mean something somewhere.
const WORDS: &[&str] = &[
    "gaussian",
    "poisson_gaussian",
    "laplace",
    "discrete_laplace",
    "truncated_poisson_gaussian",
    "fixed_size_gaussian",
    "tree_aggregation",
    "banded_toeplitz",
    "non_private",
    "self_composed",
    "composed",
    "record",
    "group",
    "client",
    "none",
    "central",
    "local",
    "add-or-remove",
    "replace-one",
    "zero-out",
    "gradients",
    "deltas",
    "flat",
    "automatic",
    "residual",
    "sgd",
    "adam-w",
    "lora",
    "full",
    "pld",
    "rdp",
    "complete",
    "budget-exhausted",
    "visits",
    "claims",
    "",
];

/// Numbers at the edges of what is allowed, or of what a machine can hold.
const NUMBERS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-5,
    0.3,
    1e-300,
    1e300,
    5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    0.999_999_999_999_999_9,
    1.000_000_000_000_000_2,
    1e6,
    1e-6,
    1e4,
    1e15,
];

/// Integers of the same sort.
const INTEGERS: &[u64] = &[
    0,
    1,
    2,
    3,
    20,
    100,
    10_000,
    1_000_000,
    1 << 20,
    1 << 30,
    (1 << 32) - 1,
    1 << 32,
    1 << 53,
    (1 << 53) + 1,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// Changes one node, or a few.
pub fn mutate(document: &mut Value, chance: &mut Chance) {
    let times = 1 + if chance.one_in(3) { chance.below(4) } else { 0 };
    for _ in 0..times {
        let other = {
            let which = chance.below(count(document));
            nth(document, which).clone()
        };
        let which = chance.below(count(document));
        change(nth(document, which), other, chance);
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The node at a place in the order of writing.
fn nth(value: &mut Value, mut at: usize) -> &mut Value {
    if at == 0 || count(value) <= 1 {
        return value;
    }
    at -= 1;
    let children: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(items) => Box::new(items.iter_mut()),
        Value::Object(fields) => Box::new(fields.values_mut()),
        _ => unreachable!("it has no children"),
    };
    for child in children {
        let size = count(child);
        if at < size {
            return nth(child, at);
        }
        at -= size;
    }
    unreachable!("the place is within the document")
}

fn change(node: &mut Value, other: Value, chance: &mut Chance) {
    if chance.one_in(40) {
        *node = other;
        return;
    }
    match node {
        Value::Null => *node = other,
        Value::Bool(truth) => *truth = !*truth,
        Value::Number(number) => *number = changed_number(number, chance),
        Value::String(text) => *text = changed_text(text, chance),
        Value::Array(items) => change_list(items, other, chance),
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            if names.is_empty() {
                return;
            }
            let name = chance.pick(&names);
            if chance.one_in(4) {
                fields.remove(&name);
            } else if chance.one_in(6) {
                fields.insert(
                    chance.pick(&["count", "sampling_probability", "x"]).into(),
                    other,
                );
            } else if let Some(field) = fields.get_mut(&name) {
                change(field, other, chance);
            }
        }
    }
}

fn changed_number(number: &Number, chance: &mut Chance) -> Number {
    let is_integer = number.is_u64() || number.is_i64();
    if is_integer && !chance.one_in(6) {
        let value = number.as_u64().unwrap_or(0);
        return match chance.below(10) {
            0 | 1 => value.wrapping_add(1),
            2 | 3 => value.wrapping_sub(1),
            4 => chance.pick(INTEGERS),
            5 | 6 => chance.log_uniform(1.0, 1e6) as u64,
            _ => (value as f64 * chance.log_uniform(0.01, 100.0)) as u64,
        }
        .into();
    }
    let value = number.as_f64().unwrap_or(1.0);
    let new = match chance.below(7) {
        0 => chance.pick(NUMBERS),
        1 => f64::from_bits(value.to_bits() ^ (1 << chance.below(64))),
        2 => f64::from_bits(value.to_bits().wrapping_add(1)),
        3 => chance.log_uniform(1e-12, 1e12),
        4 => chance.log_uniform(1e-300, 1e300),
        5 => value * chance.log_uniform(0.9, 1.1),
        _ => value * chance.log_uniform(0.001, 1000.0),
    };
    Number::from_f64(new).unwrap_or_else(|| 0.into())
}

fn changed_text(text: &str, chance: &mut Chance) -> String {
    let hash = text.len() >= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match chance.below(4) {
        0 if hash => text.to_uppercase(),
        0 => "x".repeat(chance.below(300)),
        1 => text.chars().rev().collect(),
        2 => format!(
            "{text}{}",
            chance.pick(&["\u{0}", "\u{7f}", "é", "\"", "\\", "/"])
        ),
        _ => chance.pick(WORDS).into(),
    }
}

fn change_list(items: &mut Vec<Value>, other: Value, chance: &mut Chance) {
    let at = chance.below(items.len());
    match (chance.below(5), items.is_empty()) {
        (0, _) | (_, true) => items.push(other),
        (1, _) => drop(items.remove(at)),
        (2, _) => items.insert(at, items[at].clone()),
        (3, _) => {
            let to = chance.below(items.len());
            items.swap(at, to);
        }
        _ => change(&mut items[at], other, chance),
    }
}
