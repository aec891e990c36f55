//! `umbel man`: manual pages of all three programs.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_mangen::generate_to;
use umbel::failure::Failure;
use umbel_proto::exit_code::ExitKind;

use super::completions::Program;
use super::print;

/// Write manual pages of all three programs into a folder
///
/// One page for each program and each of its commands: umbel.1, umbel-simulate.1 and so on. The
/// folder is made if there is none; pages of these names are written anew.
#[derive(Args)]
#[command(after_help = "\
Examples:
  umbel man ~/.local/share/man/man1
  man umbel-simulate")]
pub struct Man {
    /// The folder, such as /usr/local/share/man/man1.
    folder: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] where a page can't be written.
pub fn run(command: &Man) -> Result<ExitKind, Failure> {
    let folder = &command.folder;
    let failed = |e: std::io::Error| {
        let reason = format!(
            "{}: {e}; name a folder that you may write",
            folder.display()
        );
        Failure::new(ExitKind::Configuration, reason)
    };
    fs::create_dir_all(folder).map_err(failed)?;
    for program in Program::ALL {
        generate_to(program.command_line(), folder).map_err(failed)?;
    }
    print(format_args!("the pages are in {}", folder.display()))?;
    Ok(ExitKind::Success)
}
