//! `buoy completions`: a shell asks this program what can stand at a place of the command line, so that names of devices can be completed.

use std::ffi::OsStr;
use std::io::Write;

use clap::{Arg, Command, CommandFactory, ValueEnum};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::ctl;

/// Shown below the help.
pub(super) const USE: &str = "\
  bash   source <(buoy completions bash)
  zsh    source <(buoy completions zsh)
  fish   buoy completions fish | source

The line goes into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish. Names are those of the server of BUOY_SERVER, or of the context that is used.";

/// Set by the script in the environment of a question.
const QUESTION: &str = "BUOY_COMPLETE";

/// The shells.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Answers the question of a shell, and ends the program; does nothing if there is none.
pub(super) fn answer() {
    CompleteEnv::with_factory(command).var(QUESTION).bin("buoy").complete();
}

/// Prints the script of a shell.
pub(super) fn print(shell: Shell) -> anyhow::Result<()> {
    let name = shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let shells = Shells::builtins();
    let shell = shells.completer(&name).ok_or_else(|| anyhow::anyhow!("{name} has no completions"))?;
    let mut script = Vec::new();
    shell.write_registration(QUESTION, "buoy", "buoy", "buoy", &mut script)?;
    Ok(std::io::stdout().write_all(&script)?)
}

/// The command line, in which some arguments know what can stand there.
fn command() -> Command {
    completed(super::Cli::command())
}

fn completed(command: Command) -> Command {
    command.mut_args(with_names).mut_subcommands(completed)
}

fn with_names(arg: Arg) -> Arg {
    let kind = match arg.get_id().as_str() {
        "endpoint" | "endpoints" | "others" => ctl::Completed::Devices,
        "firmware" => ctl::Completed::Firmware,
        "group" | "ungroup" | "parent" => ctl::Completed::Groups,
        "context" => ctl::Completed::Contexts,
        _ => return arg,
    };
    arg.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(kind, typed)))
}

fn candidates(kind: ctl::Completed, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    // A shell has no place for an error: there is nothing to complete then.
    let names = ctl::names(kind, &typed).unwrap_or_default();
    // A name of a device could have anything in it, and is written into a terminal.
    let names = names.into_iter().filter(|name| name.starts_with(&*typed));
    names.map(|name| CompletionCandidate::new(buoy_lwm2m::text::harmless(&name).to_string())).collect()
}
