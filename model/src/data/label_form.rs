//! The one form of a label, whatever wrote it.
//!
//! A class must not become two because one site's table went through a data frame, another
//! system's keyboard or a web page. What is undone here is what tools do by themselves: white
//! space and invisible characters at the ends, decomposed letters, `1.0` for 1 in a column with
//! gaps, `True` for true. What people write differently, such as `Positive` and `positive`, stays
//! as it is and is told.

use std::cmp::Ordering;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::id_folding::is_invisible;

/// A label without what surrounds it, in Unicode's composed form.
pub fn tidy(label: &str) -> String {
    let bare = label.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    if is_nfc(bare) {
        bare.to_owned()
    } else {
        bare.nfc().collect()
    }
}

/// The tidy form with whole floats as integers and truth values in small letters.
pub(super) fn canonical(label: &str) -> String {
    let tidy = tidy(label);
    if let Some(whole) = whole_float(&tidy) {
        return match whole {
            "-0" => "0".into(),
            whole => whole.into(),
        };
    }
    match tidy.as_str() {
        "True" | "TRUE" => "true".into(),
        "False" | "FALSE" => "false".into(),
        _ => tidy,
    }
}

/// The integer in `-12.0` or `3.00`. Zeros in front make a code of it, which stays as it is.
fn whole_float(text: &str) -> Option<&str> {
    let (whole, zeros) = text.split_once('.')?;
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    let zeros = !zeros.is_empty() && zeros.bytes().all(|b| b == b'0');
    (plain && zeros).then_some(whole)
}

/// Whether a label says that there is none, in the words of data frames, databases and
/// spreadsheets. `none`, `other` and `unknown` are classes that people have, so they don't.
pub(super) fn is_missing(label: &str) -> bool {
    const WORDS: [&str; 9] = [
        "", "nan", "-nan", "na", "n/a", "<na>", "null", "nat", "#n/a",
    ];
    let tidy = tidy(label);
    tidy == "\\N" || WORDS.contains(&tidy.to_ascii_lowercase().as_str())
}

/// The order of labels: numbers by value where all are numbers, otherwise by their letters with
/// the digits among them read as numbers, so that `LABEL_2` comes before `LABEL_10`.
pub(super) fn in_order(labels: &mut [String]) {
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by(|a, b| {
            let by_value = number(a).zip(number(b)).map(|(a, b)| a.total_cmp(&b));
            by_value.unwrap_or(Ordering::Equal).then_with(|| a.cmp(b))
        });
    } else {
        labels.sort_by(|a, b| natural(a, b).then_with(|| a.cmp(b)));
    }
}

fn number(label: &str) -> Option<f64> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = label.strip_prefix('-').unwrap_or(label);
    let is_number = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    is_number.then(|| label.parse().ok()).flatten()
}

pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(a), leading_digits(b));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let (x, y) = (
                digits_a.trim_start_matches('0'),
                digits_b.trim_start_matches('0'),
            );
            let by_value = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
            if by_value != Ordering::Equal {
                return by_value;
            }
            (a, b) = (&a[digits_a.len()..], &b[digits_b.len()..]);
            continue;
        }
        let (mut letters_a, mut letters_b) = (a.chars(), b.chars());
        match (letters_a.next(), letters_b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x != y => return x.cmp(&y),
            _ => (a, b) = (letters_a.as_str(), letters_b.as_str()),
        }
    }
}

fn leading_digits(text: &str) -> &str {
    let end = text.bytes().position(|b| !b.is_ascii_digit());
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_tools_do_to_a_label_is_undone() {
        for (written, form) in [
            (" pos\u{200b}", "pos"),
            ("\u{feff}pos\r\n", "pos"),
            ("\u{a0}pos\u{3000}", "pos"),
            ("ne\u{301}", "n\u{e9}"),
            ("1.0", "1"),
            ("-3.00", "-3"),
            ("-0.0", "0"),
            ("0.0", "0"),
            ("True", "true"),
            ("FALSE", "false"),
        ] {
            assert_eq!(canonical(written), form, "{written:?}");
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for label in [
            "Positive", "positive", "007", "01.0", "1.5", "1.", ".0", "1.0.0", "v1.0", "1e0", "+1",
            "none", "yes", "not good", "250.01", "-", "tRUE",
        ] {
            assert_eq!(canonical(label), label, "{label:?}");
        }
    }

    #[test]
    fn words_for_no_label_are_known_and_classes_are_not_among_them() {
        for word in [
            "", " ", "nan", "NaN", "NA", "n/a", "<NA>", "NULL", "\\N", "#N/A", "NaT",
        ] {
            assert!(is_missing(word), "{word:?}");
        }
        for class in [
            "none", "None", "other", "unknown", "neutral", "missing", "n", "-1", "0",
        ] {
            assert!(!is_missing(class), "{class:?}");
        }
    }

    fn ordered(labels: &[&str]) -> Vec<String> {
        let mut labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        in_order(&mut labels);
        labels
    }

    #[test]
    fn numbers_come_in_the_order_of_their_values() {
        let numbers: Vec<String> = (-2..12).map(|n| n.to_string()).collect();
        let mut shuffled: Vec<&str> = numbers.iter().map(String::as_str).collect();
        shuffled.sort_unstable();
        assert_eq!(ordered(&shuffled), numbers);
        assert_eq!(ordered(&["10", "2.5", "2"]), ["2", "2.5", "10"]);
        assert_eq!(
            ordered(&["LABEL_10", "LABEL_2", "LABEL_0"]),
            ["LABEL_0", "LABEL_2", "LABEL_10"]
        );
        assert_eq!(
            ordered(&["5 stars", "10 stars", "1 star"]),
            ["1 star", "5 stars", "10 stars"]
        );
    }

    #[test]
    fn labels_without_digits_come_in_the_order_of_their_letters() {
        assert_eq!(
            ordered(&["positive", "Zebra", "negative", "pos"]),
            ["Zebra", "negative", "pos", "positive"]
        );
    }

    proptest! {
        #[test]
        fn the_form_of_a_form_is_itself(label in "\\PC{0,6}|-?[0-9]{1,3}\\.0{0,3}|[Tt]rue") {
            prop_assert_eq!(canonical(&canonical(&label)), canonical(&label));
            prop_assert_eq!(tidy(&tidy(&label)), tidy(&label));
        }

        #[test]
        fn the_order_doesnt_depend_on_where_labels_stood(
            mut labels in prop::collection::vec("[ab0-3]{0,4}", 0..9),
        ) {
            let mut reversed: Vec<String> = labels.iter().rev().cloned().collect();
            in_order(&mut labels);
            in_order(&mut reversed);
            prop_assert_eq!(labels, reversed);
        }
    }
}
