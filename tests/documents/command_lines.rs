//! Command lines in documents are ones that the programs take.

use clap::{CommandFactory, error::ErrorKind};

use crate::pages;
use crate::shell;

#[test]
fn every_command_line_is_taken() {
    let mut taken = 0;
    for page in pages::all() {
        for block in page.blocks() {
            for shown in shell::commands(&block) {
                taken += usize::from(is_taken(&block.place, &shown.words));
            }
        }
    }
    assert!(taken >= 20, "only {taken} command lines were found");
}

/// Whether it is a command of ours; panics if it is one that would be refused.
fn is_taken(place: &str, words: &[String]) -> bool {
    let parser = match words.first().map(String::as_str) {
        Some("umbel") => umbel::command_line::Arguments::command(),
        Some("umbel-coordinator") => umbel::coordinator::command_line::Arguments::command(),
        Some("umbel-client") => umbel::client::command_line::Arguments::command(),
        _ => return false,
    };
    match parser.try_get_matches_from(words) {
        Err(e) if !matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            panic!("{place}: {words:?}: {e}")
        }
        _ => true,
    }
}
