//! What a misspelt key or word was meant to be, and what became of a path.

use std::path::Path;

use super::Section;

/// What to do about a path of Windows.
const PATHS: &str = "a backslash in double quotes begins an escape: write paths in single quotes \
                     ('C:\\models\\bert') or with forward slashes";

/// Refuses a path that holds control characters: what is left of one of Windows whose backslashes
/// were read as escapes (`"C:\temp"` has a tab).
///
/// # Errors
/// A sentence with the remedy.
pub fn check_path(path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    match text.chars().any(char::is_control) {
        true => Err(format!(
            "the path {text:?} holds control characters; {PATHS}"
        )),
        false => Ok(()),
    }
}

/// The same message, with the remedy where a path's backslashes broke a text.
fn with_remedy_for_paths(message: &str) -> String {
    let in_quotes = |line: &str| line.contains('"') && line.contains('\\');
    let broken = ["escape", "unicode value digits"];
    if broken.iter().any(|what| message.contains(what)) && message.lines().any(in_quotes) {
        return format!("{}\n{PATHS}\n", message.trim_end());
    }
    message.into()
}

/// What to say of a key that isn't there: the nearest one of its section, or the section that
/// has it. `siblings` are the keys that could have been meant.
pub fn instead_of(unknown: &str, siblings: &[&str], sections: &[Section]) -> String {
    let elsewhere: Vec<String> = sections
        .iter()
        .filter(|section| section.settings.iter().any(|s| s.name == unknown))
        .map(|section| match section.path.as_str() {
            "" => "the top of the file".into(),
            _ => section.heading(),
        })
        .collect();
    if let Some(near) = nearest(unknown, siblings) {
        return format!("did you mean `{near}`?");
    }
    if !elsewhere.is_empty() {
        return format!("it is a key of {}", elsewhere.join(" and "));
    }
    let known: Vec<String> = siblings.iter().map(|key| format!("`{key}`")).collect();
    match known.as_slice() {
        [] => "there are no keys here".into(),
        known => format!("there are {}", known.join(", ")),
    }
}

/// The word that is most like the unknown one, if one is like it: no more than a third of its
/// letters differ, or one begins like the other.
pub fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let flat = |text: &str| text.to_lowercase().replace(['-', ' ', '.'], "_");
    let unknown = flat(unknown);
    let distance = |word: &&&str| strsim::damerau_levenshtein(&unknown, &flat(word));
    let near = known.iter().min_by_key(distance)?;
    let letters = unknown.chars().count().max(near.chars().count());
    (3 * distance(&near) <= letters).then_some(*near)
}

/// What to say of a word that isn't one of those that may stand there: the nearest one.
pub fn instead_of_word(unknown: &str, known: &[&str]) -> String {
    let choices = known.join(", ");
    match nearest(unknown, known) {
        Some(near) => format!("`{unknown}` isn't one of {choices}; did you mean `{near}`?"),
        None => format!("`{unknown}` isn't one of {choices}"),
    }
}

/// The same message with what an unknown key or word was meant to be, where it is about one.
/// Messages of other errors are returned as they are.
pub fn explained(message: &str, sections: &[Section]) -> String {
    let told = |(line, unknown, expected): (&str, &str, Vec<&str>)| {
        if line.starts_with(FIELD) {
            let advice = instead_of(unknown, &expected, sections);
            return format!("there is no key `{unknown}` here; {advice}");
        }
        instead_of_word(unknown, &expected)
    };
    match message.lines().find_map(unknown) {
        Some(found) => message.replace(found.0, &told(found)),
        None => with_remedy_for_paths(message),
    }
}

/// How serde begins to say that it doesn't know a key.
const FIELD: &str = "unknown field `";
/// The same of a word.
const WORD: &str = "unknown variant `";

/// In serde's line about something that it doesn't know: the line, what that is, and what it
/// could have been.
fn unknown(line: &str) -> Option<(&str, &str, Vec<&str>)> {
    if !line.starts_with(FIELD) && !line.starts_with(WORD) {
        return None;
    }
    let mut quoted = line.split('`').skip(1).step_by(2);
    Some((line, quoted.next()?, quoted.collect()))
}
