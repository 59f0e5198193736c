//! The command line: one module a subcommand.
//!
//! The exit codes are in `ctl::exit`; `buoy help exit-codes` shows them.

mod admin;
mod audit;
mod backup;
mod ca;
mod completions;
mod ctl;
mod demo;
mod device;
mod doctor;
mod fw;
mod keyfile;
mod keys;
mod logging;
mod man;
mod restore;
mod serve;
mod settings;
mod signal;
mod signature_names;
mod store;
#[cfg(target_os = "linux")]
mod swarm;
mod top;

use std::process::ExitCode;

use buoy_lwm2m::text::harmless;
use clap::{Parser, Subcommand};

/// Manages small connected devices by LwM2M: server, firmware host, REST interface and simulator in one program.
#[derive(Debug, Parser)]
#[command(name = "buoy", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(Box<serve::Args>),
    /// The audit log, read from the store itself: checks and exports it.
    Audit(audit::Args),
    /// The accounts of a server that does not run, for who is locked out.
    Admin(admin::Args),
    /// Copies all state of a server, which may be running, to a new folder.
    Backup(backup::Args),
    /// Makes the data folder of a server from a backup, after it has checked that the backup is whole.
    Restore(restore::Args),
    /// Looks for what keeps a server from working well: settings, ports, addresses, clock, certificates, disk, store, limits.
    Doctor(Box<doctor::Args>),
    /// Brings the schema of a server's database up to date; the server must not run. `buoy serve` does it too.
    Migrate(store::MigrateArgs),
    /// Moves the state of a server that does not run between its data folder and PostgreSQL.
    MoveStore(store::MoveArgs),
    /// The key that seals the secrets of a data folder.
    Keyfile(keyfile::Args),
    /// An authority for fleets that have none: makes keys and certificates for devices and servers.
    Ca(ca::Args),
    /// Manages the devices of a running server: list, read, write, observe, update.
    Ctl(Box<ctl::Args>),
    /// Signs in to a server by its address, and saves it as a context for `buoy ctl`.
    Login(ctl::LoginAt),
    /// Shows what goes on at a server, live in the terminal.
    Top(top::Args),
    /// Plays the whole story on one machine: server, devices, updates, roll-back.
    Demo(demo::Args),
    /// Runs a simulated device: the client engine as a process, with a flash in a file.
    Device(Box<device::Args>),
    /// Runs thousands of simulated devices against a server on this machine, and measures.
    #[cfg(target_os = "linux")]
    Swarm(Box<swarm::Args>),
    /// Prints a script by which a shell completes commands, and the names of devices, groups and firmware.
    #[command(after_help = completions::USE)]
    Completions {
        /// Which.
        shell: completions::Shell,
    },
    /// Writes the manual pages of all commands into a folder.
    Man(man::Args),
    /// Prints the reference of all settings of the server (Markdown).
    Settings,
    /// Shows the exit codes.
    #[command(after_help = ctl::EXIT_CODES)]
    ExitCodes,
    /// Prints the description of the REST interface `/api/v1` (OpenAPI).
    Openapi,
    /// Makes keys; signs, verifies and inspects firmware.
    Fw(fw::Args),
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    completions::answer();
    let command = Cli::parse().command;
    // A demo has a server to end first.
    if !matches!(command, Command::Serve(_) | Command::Demo(_)) {
        end_with_the_reader();
    }
    if matches!(
        command,
        Command::Admin(_)
            | Command::Audit(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Migrate(_)
            | Command::MoveStore(_)
            | Command::Keyfile(_)
    ) {
        // What the store warns of.
        logging::start(logging::LogFormat::Text, "warn");
    }
    let result = match command {
        Command::Serve(args) => serve::run(*args),
        Command::Admin(args) => admin::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Doctor(args) => doctor::run(*args),
        Command::Settings => {
            print!("{}", settings::page());
            Ok(())
        }
        Command::Migrate(args) => store::migrate(&args),
        Command::MoveStore(args) => store::move_store(&args),
        Command::Keyfile(args) => keyfile::run(&args),
        Command::Ca(args) => ca::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Login(args) => ctl::login_at(&args),
        Command::Top(args) => top::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Device(args) => device::run(&args),
        Command::Completions { shell } => completions::print(shell),
        Command::Man(args) => man::run(&args),
        Command::ExitCodes => {
            println!("{}", ctl::EXIT_CODES);
            Ok(())
        }
        Command::Openapi => {
            print!("{}", buoy_http::openapi_document());
            Ok(())
        }
        #[cfg(target_os = "linux")]
        Command::Swarm(args) => swarm::run(&args),
        Command::Fw(args) => fw::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Devices and servers have their words in it.
            eprintln!("buoy: {}", harmless(&format!("{error:#}")));
            ctl::Exit::of(&error).into()
        }
    }
}

/// Whether somebody could type this.
fn is_command_line(line: &str) -> bool {
    // What stands between quotes is one word.
    let mut words = Vec::new();
    for (place, part) in line.split('\'').enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace()),
            _ => words.push(part),
        }
    }
    let result = Cli::try_parse_from(words);
    result.inspect_err(|error| tracing::error!("{line}: {error}")).is_ok()
}

/// `buoy ctl devices | head -1`: who reads no more ends the program without a word, as other programs do.
#[cfg(unix)]
fn end_with_the_reader() {
    // SAFETY: nothing else has been started, and the default action is a valid one.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

#[cfg(not(unix))]
fn end_with_the_reader() {}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
