//! `umbel settings`: every setting of a configuration.

use clap::{Args, ValueEnum};
use umbel_proto::exit_code::ExitKind;
use umbel_proto::settings::{Section, instead_of_word, markdown, toml_value};

use super::print;
use crate::failure::Failure;

/// List the settings of a configuration
///
/// Says of each what it means, what it may be and what holds if it is left out. The JSON Schema is
/// for editors, which then complete keys and mark mistakes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel settings run
  umbel settings run privacy
  umbel settings site --format json-schema > client.schema.json")]
pub struct Settings {
    /// Whose configuration: of a run (run.toml, coordinator.toml), of a site (client.toml), or both.
    whose: Whose,
    /// Only this section, such as privacy or model.lora.
    section: Option<String>,
    /// How to write them.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Whose {
    Run,
    Site,
    All,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Markdown,
    JsonSchema,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] for a section that there isn't.
pub fn run(command: &Settings) -> Result<ExitKind, Failure> {
    let of_run = || {
        (
            umbel_coordinator::config::schema(),
            umbel_coordinator::config::settings(),
        )
    };
    let of_site = || {
        (
            umbel_client::config::schema(),
            umbel_client::config::settings(),
        )
    };
    let asked = match command.whose {
        Whose::Run => vec![("run", of_run())],
        Whose::Site => vec![("site", of_site())],
        Whose::All if command.section.is_none() && command.format == Format::Markdown => {
            return printed(&reference());
        }
        Whose::All => vec![("run", of_run()), ("site", of_site())],
    };
    if command.format == Format::JsonSchema {
        let [(_, (schema, _))] = asked.as_slice() else {
            let reason = "a schema is of one kind of file: write run or site in place of all";
            return Err(Failure::new(ExitKind::Configuration, reason));
        };
        let schema = serde_json::to_string_pretty(schema.as_value()).map_err(Failure::internal)?;
        return printed(&(schema + "\n"));
    }
    let sections = asked
        .into_iter()
        .flat_map(|(_, (_, sections))| sections)
        .collect();
    let sections = chosen(sections, command.section.as_deref())?;
    printed(&match command.format {
        Format::Markdown => markdown(&sections, 3),
        _ => text(&sections),
    })
}

/// The sections of this name, or all.
fn chosen(mut sections: Vec<Section>, wanted: Option<&str>) -> Result<Vec<Section>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(sections);
    };
    let mut known: Vec<String> = sections.iter().map(|s| s.path.clone()).collect();
    known.retain(|path| !path.is_empty());
    sections.retain(|section| section.path == wanted.trim_matches(['[', ']']));
    if sections.is_empty() {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let told = instead_of_word(wanted, &known);
        let reason = format!("there is no such section: {told}");
        return Err(Failure::new(ExitKind::Configuration, reason));
    }
    Ok(sections)
}

/// The page of the book that lists every setting.
pub fn reference() -> String {
    let run = markdown(&umbel_coordinator::config::settings(), 3);
    let site = markdown(&umbel_client::config::settings(), 3);
    format!("{PREFACE}\n## A run\n\n{OF_RUN}\n{run}## A site\n\n{OF_SITE}\n{site}")
}

const PREFACE: &str = "\
# Configuration

This page is made of the programs' own settings: `umbel settings all --format markdown` prints it.

Configurations are TOML. Unknown keys are refused, and an error names the key that was meant. A key
that is needed has no default. Where the default is a dash, the meaning says what holds without the
key. The JSON Schema, `umbel settings run --format json-schema`, lets an editor complete keys and
mark mistakes.
";
const OF_RUN: &str = "\
Read by `umbel simulate`, `umbel audit` and `umbel-coordinator serve`. Paths are relative to the
file, except `run.out`, which is relative to where the command is run.
";
const OF_SITE: &str = "\
Read by `umbel-client`. Paths are relative to the file. [Ids](ids.md) says which ids of groups are
the same.
";

fn printed(page: &str) -> Result<ExitKind, Failure> {
    print(page)?;
    Ok(ExitKind::Success)
}

fn text(sections: &[Section]) -> String {
    let mut page = String::new();
    for section in sections {
        if !section.path.is_empty() {
            page.push_str(&format!("{}\n", section.heading()));
        }
        for setting in &section.settings {
            let holds = match (&setting.default, setting.required) {
                (_, true) => "; needed".to_owned(),
                (Some(default), _) => format!("; default {}", toml_value(default)),
                (None, _) => String::new(),
            };
            page.push_str(&format!("  {} ({}{holds})\n", setting.name, setting.values));
            page.push_str(&format!(
                "      {}\n",
                setting.doc.replace('\n', "\n      ")
            ));
        }
        page.push('\n');
    }
    page
}
