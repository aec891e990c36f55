//! The reference of commands has every option, and no other.

use clap::{Command, CommandFactory};

use crate::pages::Page;

#[test]
fn the_reference_has_every_command_and_option() {
    let page = Page::read("docs/src/reference/commands.md");
    for program in [
        umbel::command_line::Arguments::command(),
        umbel::coordinator::command_line::Arguments::command(),
        umbel::client::command_line::Arguments::command(),
    ] {
        for command in program.get_subcommands() {
            compare(&page, program.get_name(), command);
        }
    }
}

fn compare(page: &Page, before: &str, command: &Command) {
    let name = format!("{before} {}", command.get_name());
    if command.has_subcommands() {
        for inner in command.get_subcommands() {
            compare(page, &name, inner);
        }
        return;
    }
    let section = section(page, &name);
    let documented = options(&section);
    let shown = command.get_arguments().filter(|a| !a.is_hide_set());
    let mut taken: Vec<&str> = shown.filter_map(|a| a.get_long()).collect();
    taken.sort_unstable();
    assert_eq!(documented, taken, "options of `{name}`");
}

/// What stands under a command's heading.
fn section(page: &Page, name: &str) -> String {
    let mut inside = false;
    let mut lines = Vec::new();
    for (_, line) in page.prose() {
        if let Some(heading) = line.strip_prefix('#') {
            inside = heading.trim_start_matches('#').trim() == name;
        } else if inside {
            lines.push(line);
        }
    }
    assert!(!lines.is_empty(), "{} lacks `{name}`", page.path.display());
    lines.join("\n")
}

/// The options in the first column of the section's table, in alphabetical order.
fn options(section: &str) -> Vec<&str> {
    let rows = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `--"));
    let name = |row: &'_ str| row.find([' ', '`']).unwrap_or(row.len());
    let mut found: Vec<&str> = rows.map(|row| &row[..name(row)]).collect();
    found.sort_unstable();
    found
}
