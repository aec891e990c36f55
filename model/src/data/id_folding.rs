//! What two spellings of one id have in common.
//!
//! Tables pass through spreadsheets, data frames and hands, and each leaves its traces on ids:
//! `P2` and `p2`, `7` and `7.0` and `007`, a no-break space, an accent in one code point or two.
//! Two ids that fold to one text are most likely one person. Folding only finds such pairs:
//! nobody is ever put together with somebody by it.

use tokenizers::NormalizedString;

/// An id without what different writers of it may do differently: case, white space at its ends
/// and runs of it, characters that can't be seen, quotes around it, Unicode's many ways to write
/// one letter, typographic dashes and apostrophes, and the ways to write one number.
pub(super) fn folded(id: &str) -> String {
    let text = plain(id);
    number(&text).unwrap_or(text)
}

/// The same, with numbers as they are written.
pub(super) fn plain(id: &str) -> String {
    let mut text = NormalizedString::from(id);
    if !id.is_ascii() {
        // Upper case first: `ß` is `ss` then, and `ς` is `σ`. Case may undo composition.
        text.nfkd().uppercase().lowercase().nfkd();
    }
    let seen: String = text
        .get()
        .chars()
        .filter(|c| c.is_whitespace() || !is_invisible(*c))
        .map(|c| typed(c).to_ascii_lowercase())
        .collect();
    let words: Vec<&str> = seen.split_whitespace().collect();
    words.join(" ").trim_matches(['"', '\'']).trim().to_owned()
}

/// Characters that leave no mark: controls, marks of direction, joiners, soft hyphens, the byte
/// order mark, variation selectors, tags (Unicode's `Default_Ignorable_Code_Point`, and
/// interlinear marks).
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What a typewriter has in place of a typographic character.
fn typed(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2b9}' | '\u{2bc}' | '\u{2032}' | '`'
        | '\u{b4}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
        // Braille's blank cell.
        '\u{2800}' => ' ',
        other => other,
    }
}

/// The one way to write a decimal number: no plus sign, no zeros in front or at the end of a
/// fraction, no separators of thousands. `None` for what isn't one.
///
/// A zero in front is what a spreadsheet takes off (`007`), and `.0` what a data frame puts on
/// where a column has gaps. Exponents aren't read: tools that write them have rounded already,
/// and without a sign (`12e4`) they are found in ids that are no numbers.
pub(super) fn number(text: &str) -> Option<String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match (digits.split_once('.'), digits.split_once(',')) {
        (Some((whole, fraction)), _) => (without_thousands(whole)?, fraction),
        // A comma before nothing but zeros, three of which could be thousands.
        (None, Some((whole, zeros))) if zeros.len() != 3 && zeros.bytes().all(|b| b == b'0') => {
            (whole.to_owned(), zeros)
        }
        (None, _) => (without_thousands(digits)?, ""),
    };
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !are_digits(&whole) || !are_digits(fraction) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    let fraction = fraction.trim_end_matches('0');
    let sign = if negative && (whole, fraction) != ("0", "") {
        "-"
    } else {
        ""
    };
    Some(match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    })
}

/// `1,204` as `1204`; `None` where commas stand elsewhere.
fn without_thousands(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut digits = first.to_owned();
    let mut separated = false;
    for group in groups {
        separated = true;
        if group.len() != 3 {
            return None;
        }
        digits.push_str(group);
    }
    (!separated || (1..=3).contains(&first.len())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_id_fold_to_one_text() {
        for spellings in [
            &["p2", "P2", " p2", "p2\t", "\"p2\"", "'p2"][..],
            &[
                "7", "7.0", "007", "+7", "7.", "7,0", "7.00", "\u{ff17}", "'7",
            ],
            &["1204", "1,204", "1204.0", "01204"],
            &["-3", "\u{2212}3", "-3.0", "-03"],
            &["0", "-0", "000", "0.0"],
            &["2.5", "2.50", "02.5"],
            &["M\u{fc}ller", "Mu\u{308}ller", "M\u{dc}LLER"],
            &["Stra\u{df}e", "STRASSE", "strasse"],
            &[
                "\u{3a3}\u{3af}\u{3c3}\u{3c5}\u{3c6}\u{3bf}\u{3c2}",
                "\u{3a3}\u{38a}\u{3a3}\u{3a5}\u{3a6}\u{39f}\u{3a3}",
            ],
            &[
                "anna b",
                "anna  b",
                "anna\u{a0}b",
                "Anna\u{2003}B",
                "anna\nb",
            ],
            &[
                "anna",
                "an\u{200b}na",
                "\u{feff}anna",
                "an\u{ad}na",
                "anna\u{200e}",
                "anna\0",
            ],
            &["o'brien", "O\u{2019}Brien"],
            &["p-1", "p\u{2013}1", "P\u{2011}1"],
            &["\u{fb01}n", "fin"],
        ] {
            for spelling in spellings {
                assert_eq!(folded(spelling), folded(spellings[0]), "{spelling:?}");
            }
        }
    }

    #[test]
    fn different_ids_stay_different() {
        let ids = [
            "7",
            "70",
            "7.5",
            "-7",
            "p7",
            "p07",
            "7a",
            "12e4",
            "120000",
            "1.2.3",
            "1,2",
            "1,20",
            "anna",
            "anne",
            "ana",
            "anna b",
            "annab",
            "M\u{fc}ller",
            "Muller",
            "a-b",
            "ab",
            "a/b",
            "0x7",
            "7,000",
            "2026-01-07",
            "#7",
            "(7)",
        ];
        for (i, one) in ids.iter().enumerate() {
            for other in &ids[..i] {
                assert_ne!(folded(one), folded(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn folding_twice_changes_nothing_more() {
        for id in [
            "P\u{ac} 7",
            "007",
            "' x '",
            "\"\"",
            "--1",
            "1e+5",
            "\u{1f88}",
            "7,",
        ] {
            assert_eq!(folded(&folded(id)), folded(id), "{id:?}");
        }
    }
}
