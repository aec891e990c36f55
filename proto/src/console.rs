//! What a command says: its answer on standard output, all else on standard error.
//!
//! Either may be a pipe that nobody reads any more (`umbel predict … | head -1`), or a file on a
//! full disk. `println!` and `eprintln!` panic there, so the programs' lints refuse them, and what
//! is said goes through here.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::exit_code::ExitKind;

/// Whether somebody still reads what a command answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "whoever computes more for a reader that is gone computes it for nobody"]
pub enum Reader {
    /// As far as the system tells.
    There,
    /// The pipe is closed: the reader has enough, which is no error.
    Gone,
}

/// An answer that couldn't be given.
#[derive(Debug, thiserror::Error)]
#[error(
    "the answer can't be written to standard output: {0}; whatever else the command was to do is done"
)]
pub struct Unsaid(#[from] io::Error);

/// Says this on standard output, as whole lines: one that doesn't end with a line break gets one.
///
/// # Errors
/// [`Unsaid`] where it can't be written, as on a full disk. A closed pipe is none.
pub fn answer(text: impl Display) -> Result<Reader, Unsaid> {
    let mut text = text.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut out = io::stdout().lock();
    heard(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of a write to standard output.
fn heard(written: io::Result<()>) -> Result<Reader, Unsaid> {
    match written {
        Ok(()) => Ok(Reader::There),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(e) => Err(e.into()),
    }
}

/// [`answer`], as the last that a command says: it is all one then whether somebody still reads.
///
/// # Errors
/// The exit code and the sentence with which the command is to end, where the text can't be written.
pub fn last_answer(text: impl Display) -> Result<(), (ExitKind, String)> {
    match answer(text) {
        Ok(_) => Ok(()),
        Err(unsaid) => Err((ExitKind::Internal, unsaid.to_string())),
    }
}

/// Says this on standard error, as a line. If it can't be written there, nobody can be told.
pub fn remark(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// How a command ends that failed: with what was wrong, and the code that tells its kind.
pub fn fail(kind: ExitKind, why: impl Display) -> ExitCode {
    remark(format_args!("error: {why}"));
    kind.into()
}

/// How a command ends whose command line asked for help, or is wrong: with these words, without
/// escape codes and with them.
pub fn end_with_help(plain: &str, coloured: &str, is_wrong: bool) -> ExitCode {
    let words = |may_be_coloured| if may_be_coloured { coloured } else { plain };
    if is_wrong {
        remark(words(is_coloured()).trim_end());
        return ExitKind::Configuration.into();
    }
    match answer(words(are_colours_wanted() && io::stdout().is_terminal())) {
        Ok(_) => ExitKind::Success.into(),
        Err(unsaid) => fail(ExitKind::Internal, unsaid),
    }
}

/// Whether what is said on standard error may be coloured: it goes to a terminal, and `NO_COLOR`
/// (<https://no-color.org>) isn't set.
pub fn is_coloured() -> bool {
    are_colours_wanted() && io::stderr().is_terminal()
}

fn are_colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_a_reader_that_is_gone_and_a_full_disk_an_error() {
        assert_eq!(heard(Ok(())).unwrap(), Reader::There);
        let closed = heard(Err(ErrorKind::BrokenPipe.into()));
        assert_eq!(closed.unwrap(), Reader::Gone);
        let full = heard(Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert!(full.to_string().contains("standard output"), "{full}");
    }
}
