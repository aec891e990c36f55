//! Texts in a column of ids that name nobody.
//!
//! A row without an id is about somebody, but nobody knows whom. Data frames, spreadsheets,
//! databases and people write that in their own words, and taken for an id such a word makes
//! one person of all who have none.

use super::id_folding::{number, plain};

/// Words for "there is none", squeezed to their letters and digits: `N/A`, `<NA>`, `n.a.` and
/// `#N/A` are all `na`. They are what pandas, R, spreadsheets, SQL dumps, JSON and JavaScript
/// write, what forms are filled in with, and what forums put in place of a deleted author. A few
/// are names, too: whoever is called so is listed under `data.real_ids`.
const WORDS: [&str; 57] = [
    "1ind",
    "1qnan",
    "anon",
    "anonym",
    "anonymised",
    "anonymized",
    "anonymous",
    "deleted",
    "deleteduser",
    "desconhecido",
    "desconocido",
    "inconnu",
    "inf",
    "infinity",
    "keineangabe",
    "missing",
    "na",
    "nan",
    "nat",
    "nil",
    "nodata",
    "noid",
    "noname",
    "none",
    "notapplicable",
    "notassigned",
    "notavailable",
    "notgiven",
    "notknown",
    "notprovided",
    "notrecorded",
    "notspecified",
    "novalue",
    "nul",
    "null",
    "nullptr",
    "onbekend",
    "other",
    "others",
    "redacted",
    "removed",
    "sconosciuto",
    "tba",
    "tbc",
    "tbd",
    "unassigned",
    "unbekannt",
    "undef",
    "undefined",
    "unidentified",
    "unk",
    "unkn",
    "unknown",
    "unknownuser",
    "unnamed",
    "unspecified",
    "withheld",
];

/// What spreadsheets show behind a `#` where a formula came to nothing.
const FORMULA_ERRORS: [&str; 10] = [
    "blocked", "calc", "connect", "div0", "name", "nana", "num", "ref", "spill", "value",
];

/// Numbers with which statistics packages and scripts mark a gap.
const CODES: [&str; 5] = ["-1", "-9", "-99", "-999", "-9999"];

/// Whether a text in a column of ids says that there is no id.
pub(super) fn is_missing(text: &str) -> bool {
    let text = plain(text);
    let squeezed: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let digits_are_zero = squeezed.len() >= 32 && squeezed.bytes().all(|b| b == b'0');
    squeezed.is_empty()
        || WORDS.contains(&squeezed.as_str())
        || (text.starts_with('#') && FORMULA_ERRORS.contains(&squeezed.as_str()))
        || number(&text).is_some_and(|number| CODES.contains(&number.as_str()))
        // The null of a database dump, and the UUID that stands for none.
        || text == "\\n"
        || digits_are_zero
}

/// Whether a text is a number as a tool writes it that may have rounded it, so that several
/// people's ids look alike: `1.23457E+11`, or `12345678901234568.0`.
pub(super) fn is_rounded(text: &str) -> bool {
    /// Whole numbers up to 2^53 are exact as floats.
    const EXACT: u64 = 1 << 53;
    let text = plain(text);
    if let Some((mantissa, exponent)) = text.split_once("e+") {
        let digits = !exponent.is_empty() && exponent.bytes().all(|b| b.is_ascii_digit());
        return digits && number(&mantissa.replace(',', ".")).is_some();
    }
    let Some((whole, _)) = text.split_once('.') else {
        return false;
    };
    number(&text).is_some()
        && whole
            .trim_start_matches(['-', '+'])
            .replace(',', "")
            .parse::<u64>()
            .is_ok_and(|whole| whole > EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_for_no_id_is_known() {
        for text in [
            "nan",
            "NaN",
            "-nan",
            "None",
            "NULL",
            "null",
            "(null)",
            "N/A",
            "n/a",
            "NA",
            "n.a.",
            "<NA>",
            "#N/A",
            "#NA",
            "#N/A N/A",
            "NaT",
            "nil",
            "undefined",
            "-1.#IND",
            "1.#QNAN",
            "\\N",
            "-",
            "--",
            "\u{2014}",
            "?",
            "??",
            ".",
            "...",
            "*",
            "_",
            "/",
            "[]",
            "{}",
            "\"\"",
            " ",
            "\u{a0}",
            "\u{200b}",
            "\u{feff}",
            "unknown",
            "Unknown",
            "UNK",
            "<unk>",
            "[unknown]",
            "missing",
            "not available",
            "Not-Applicable",
            "not_recorded",
            "#REF!",
            "#VALUE!",
            "#NAME?",
            "#DIV/0!",
            "[deleted]",
            "[removed]",
            "anonymous",
            "-1",
            "-1.0",
            "-999",
            "\u{2212}9",
            "00000000-0000-0000-0000-000000000000",
            "unbekannt",
            " nan ",
            "\u{ff2e}\u{ff21}\u{ff2e}",
            "na\u{200b}n",
            "'nan'",
            "inf",
        ] {
            assert!(is_missing(text), "{text:?}");
        }
    }

    #[test]
    fn an_id_is_an_id() {
        for text in [
            "p1",
            "0",
            "1",
            "7.0",
            "-2",
            "-12",
            "999",
            "n",
            "x",
            "name",
            "value",
            "ref",
            "anna",
            "nancy",
            "nana",
            "natalie",
            "noel",
            "nullmeyer",
            "unknown17",
            "a-b",
            "\u{674e}",
            "00000000-0000-0000-0000-000000000001",
            "12e4",
            "@null_island",
            "0000",
        ] {
            assert!(!is_missing(text), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_a_tool_may_have_rounded_are_known() {
        for text in [
            "1.23457E+11",
            "1e+16",
            "1E+05",
            "-2.5e+20",
            "1,23457E+11",
            "12345678901234568.0",
        ] {
            assert!(is_rounded(text), "{text:?}");
        }
        for text in [
            "123456789012345678",
            "7.0",
            "12e4",
            "e+5",
            "a1e+5",
            "1.5",
            "9007199254740992.0",
            "",
        ] {
            assert!(!is_rounded(text), "{text:?}");
        }
    }

    #[test]
    fn words_are_sorted_and_squeezed() {
        assert!(WORDS.is_sorted());
        assert!(
            WORDS
                .iter()
                .all(|word| word.chars().all(char::is_alphanumeric))
        );
    }
}
