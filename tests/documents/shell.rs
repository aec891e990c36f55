//! Command lines as documents show them.

use crate::pages::Block;

/// A command line and what is shown below it.
pub struct Shown {
    /// Its words, as the program gets them.
    pub words: Vec<String>,
    /// The lines that it prints, where the block shows them.
    pub output: String,
}

/// The commands of a block, if it is one of commands: in `console` those after `$ `, in `sh` all.
pub fn commands(block: &Block) -> Vec<Shown> {
    let console = match block.words.first().map(String::as_str) {
        Some("console") => true,
        Some("sh") => false,
        _ => return Vec::new(),
    };
    let joined = block.body.replace("\\\n", " ");
    let mut shown: Vec<Shown> = Vec::new();
    for line in joined.lines() {
        let command = if console {
            line.strip_prefix("$ ")
        } else {
            Some(line)
        };
        match (command, shown.last_mut()) {
            (Some(command), _) => shown.push(Shown {
                words: installed(words(command)),
                output: String::new(),
            }),
            (None, Some(last)) => last.output += &format!("{line}\n"),
            (None, None) => panic!("{}: output before any command", block.place),
        }
    }
    shown
}

/// The command as it is where our programs are in the path: a clone runs them by cargo, or from
/// the folder that they are built in.
fn installed(words: Vec<String>) -> Vec<String> {
    let mut words =
        match words.strip_prefix(&["cargo", "run", "--release", "--"].map(str::to_owned)) {
            Some(rest) => [&["umbel".to_owned()], rest].concat(),
            None => words,
        };
    if let Some(program) = words.first_mut()
        && let Some(name) = program.strip_prefix("target/release/")
    {
        *program = name.to_owned();
    }
    words
}

/// Splits a line as a shell does, up to a comment, a pipe or a redirection.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '<' | '>' | '#') if word.is_none() => return words,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
