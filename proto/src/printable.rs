//! Text from somebody else, made fit for a log, a terminal or a file.

/// What stands where a text was cut.
const CUT: char = '…';

/// The text in one line of at most `longest` characters: whatever could steer a terminal, begin a
/// line of its own or turn the order of letters round is replaced by `?`.
///
/// Whoever sent it chose every character, and whoever reads it trusts the log.
pub fn printable(text: &str, longest: usize) -> String {
    let mut characters = text.chars();
    let mut line: String = characters.by_ref().take(longest).map(harmless).collect();
    if characters.next().is_some() {
        line.pop();
        line.push(CUT);
    }
    line
}

fn harmless(character: char) -> char {
    match character {
        c if c.is_control() => '?',
        // Line and paragraph separators; marks and overrides of the direction of writing.
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => '?',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => '?',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "l’étiquette « positif » n’est pas 陽性";
        assert_eq!(printable(text, 100), text);
    }

    #[test]
    fn nothing_steers_a_terminal_or_begins_a_line() {
        let hostile = "fine\u{1b}[2J\r\n2026-01-01 WARN forged\u{9b}31m\u{202e}gpj.exe\u{2028}x\0";
        let line = printable(hostile, 100);
        assert_eq!(line, "fine?[2J??2026-01-01 WARN forged?31m?gpj.exe?x?");
    }

    #[test]
    fn a_long_text_is_cut_by_characters() {
        assert_eq!(printable("ääääää", 4), "äää…");
        assert_eq!(printable("ääää", 4), "ääää");
        assert_eq!(printable("x", 0), "…");
    }
}
