//! A list that a cell of text holds: JSON's `["a", "b"]`, or Python's `['a', 'b']`, which is what
//! pandas writes into CSV.

use serde_json::Value;

/// What a text is, as a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListText {
    /// None: it has no brackets around it, or nothing between them that a list would have.
    NoList,
    /// A list of these.
    Items(Vec<String>),
    /// It looks like one, and can't be read.
    Unclear,
}

/// Reads a text that may be a list.
pub(super) fn list_in(text: &str) -> ListText {
    let inner = text.trim().strip_prefix('[');
    let Some(inner) = inner.and_then(|inner| inner.strip_suffix(']')) else {
        return ListText::NoList;
    };
    match in_json(text).or_else(|| in_python(inner)) {
        Some(items) => ListText::Items(items),
        None if inner.contains([',', '"', '\'']) => ListText::Unclear,
        None => ListText::NoList,
    }
}

fn in_json(text: &str) -> Option<Vec<String>> {
    let items: Vec<Value> = serde_json::from_str(text).ok()?;
    let item = |item: Value| match item {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    items.into_iter().map(item).collect()
}

/// What stands between a Python list's brackets: texts in either kind of quotes, numbers and truth
/// values.
fn in_python(inner: &str) -> Option<Vec<String>> {
    let mut items = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (item, after) = match rest.chars().next()? {
            quote @ ('\'' | '"') => quoted(&rest[1..], quote)?,
            _ => {
                let end = rest.find(',').unwrap_or(rest.len());
                (bare(rest[..end].trim())?, &rest[end..])
            }
        };
        items.push(item);
        rest = after.trim_start();
        if !rest.is_empty() {
            // A comma may end the list, too.
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    Some(items)
}

/// A number or a truth value.
fn bare(word: &str) -> Option<String> {
    let known = matches!(word, "True" | "False") || word.parse::<f64>().is_ok_and(f64::is_finite);
    known.then(|| word.to_owned())
}

/// The text up to this quote, with what comes behind it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == quote => return Some((item, &text[place + c.len_utf8()..])),
            '\\' => item.push(match chars.next()?.1 {
                c @ ('\\' | '\'' | '"') => c,
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'x' => code(&mut chars, 2)?,
                'u' => code(&mut chars, 4)?,
                'U' => code(&mut chars, 8)?,
                _ => return None,
            }),
            c => item.push(c),
        }
    }
    None
}

/// The character of so many hexadecimal digits.
fn code(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut value = 0;
    for _ in 0..digits {
        value = value * 16 + chars.next()?.1.to_digit(16)?;
    }
    char::from_u32(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_json_and_python_write_them_are_read() {
        for (text, expected) in [
            (r#"["a", "b c"]"#, &["a", "b c"][..]),
            ("['a', 'b c']", &["a", "b c"]),
            (r#"["it's", 'a "b"']"#, &["it's", "a \"b\""]),
            (
                r"['it\'s', 'caf\xe9', '\u00e9', 'a\\b']",
                &["it's", "caf\u{e9}", "\u{e9}", "a\\b"],
            ),
            (" [1, -2.5, True] ", &["1", "-2.5", "True"]),
            ("[]", &[]),
            ("[ ]", &[]),
            ("['a',]", &["a"]),
            (r#"["\u00e9\ud83d\ude00"]"#, &["\u{e9}\u{1F600}"]),
            ("['a, b', 'c]']", &["a, b", "c]"]),
        ] {
            let expected = expected.iter().map(|item| (*item).to_owned()).collect();
            assert_eq!(list_in(text), ListText::Items(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_list_is_told_from_labels_in_brackets() {
        for text in ["a", "", "[", "]", "[spam]", "[a] b", "a, b", "[not a list]"] {
            assert_eq!(list_in(text), ListText::NoList, "{text}");
        }
        for text in [
            "[a, b]",
            "['a' 'b']",
            "['a",
            "['a']]",
            "[None, 'a']",
            "['a', nan]",
            r"['\q']",
            "[['a'], 'b']",
            r#"["a", null]"#,
            r"['\ud83d']",
            "['a',,]",
        ] {
            let found = list_in(text);
            let expected = match text.ends_with(']') {
                true => ListText::Unclear,
                false => ListText::NoList,
            };
            assert_eq!(found, expected, "{text}");
        }
    }
}
