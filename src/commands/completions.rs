//! `umbel completions`: scripts that let a shell complete all three programs' command lines.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use umbel::failure::Failure;
use umbel_proto::exit_code::ExitKind;

use super::print;

/// Print a script that lets a shell complete these programs' command lines
///
/// For all three programs, one script after the other, or for one of them (--of), as shells want
/// it that keep a file for each program.
#[derive(Args)]
#[command(after_help = "\
Examples:
  source <(umbel completions bash)
  umbel completions zsh --of umbel-client > ~/.zfunc/_umbel-client
  umbel completions fish > ~/.config/fish/conf.d/umbel.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
    /// One program alone [default: all three].
    #[arg(long, value_name = "PROGRAM")]
    of: Option<Program>,
}

/// The programs that there are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Program {
    Umbel,
    UmbelClient,
    UmbelCoordinator,
}

impl Program {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Umbel, Self::UmbelClient, Self::UmbelCoordinator];

    /// Its command line.
    pub(super) fn command_line(self) -> clap::Command {
        match self {
            Self::Umbel => crate::command_line::Arguments::command(),
            Self::UmbelClient => umbel_client::command_line::Arguments::command(),
            Self::UmbelCoordinator => umbel_coordinator::command_line::Arguments::command(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// [`Failure`] where the script can't be printed.
pub fn run(command: &Completions) -> Result<ExitKind, Failure> {
    let programs = Program::ALL.into_iter();
    let mut scripts = Vec::new();
    for program in programs.filter(|program| command.of.is_none_or(|of| of == *program)) {
        let mut line = program.command_line();
        let name = line.get_name().to_owned();
        clap_complete::generate(command.shell, &mut line, name, &mut scripts);
        scripts.push(b'\n');
    }
    print(String::from_utf8(scripts).map_err(Failure::internal)?)?;
    Ok(ExitKind::Success)
}
