//! How messages write names and numbers.

/// A name in quotes, cut where it is long enough to flood a terminal.
pub(super) fn quoted(name: &str) -> String {
    const MOST: usize = 80;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", name.get(..end).unwrap_or_default()),
        None => format!("{name:?}"),
    }
}

/// `1204` as `1,204`.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Names in quotes where they need them, the first `most` of them.
pub(super) fn list(names: &[String], most: usize) -> String {
    let mut text = names
        .iter()
        .take(most)
        .map(|name| bare_or_quoted(name))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(left) = names.len().checked_sub(most).filter(|left| *left > 0) {
        text.push_str(&format!(" and {left} more"));
    }
    if text.is_empty() {
        "no columns".into()
    } else {
        text
    }
}

fn bare_or_quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./?!+ ".contains(c);
    let long = name.chars().count() > 80;
    if !long && !name.trim().is_empty() && name.trim() == name && name.chars().all(plain) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let found = [0, 12, 999, 1000, 1_204, 1_000_000].map(thousands);
        assert_eq!(found, ["0", "12", "999", "1,000", "1,204", "1,000,000"]);
    }
}
