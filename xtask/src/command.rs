//! Child processes: without standard input, with their output in a file, and never longer than they may.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const LOGS: &str = "target/xtask";
const POLL: Duration = Duration::from_millis(20);
/// Nothing here takes so long unless it hangs.
const LONGEST: Duration = Duration::from_secs(45 * 60);

/// A command to run.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    log: String,
    limit: Duration,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Whether it ended by itself and with exit code 0.
    pub(crate) success: bool,
    /// All that it printed.
    pub(crate) output: String,
}

impl Run {
    /// A command of the system. Its output is kept under its name.
    pub(crate) fn new(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        let log = program.rsplit('/').next().unwrap_or(program).to_owned();
        Self { command, log, limit: LONGEST }
    }

    /// The cargo that runs this task.
    pub(crate) fn cargo(arguments: &[&str]) -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        Self::new(&cargo, arguments).log(arguments.first().copied().unwrap_or("cargo"))
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Hides variables of the environment, such as those by which one cargo speaks to the next.
    pub(crate) fn without_env(mut self, names: &[&str]) -> Self {
        for name in names {
            self.command.env_remove(name);
        }
        self
    }

    /// Names the file that keeps the output.
    pub(crate) fn log(mut self, name: &str) -> Self {
        self.log = name.to_owned();
        self
    }

    /// Ends the command if it takes longer.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    /// If it could not be started.
    pub(crate) fn finish(mut self) -> Result<Finished> {
        fs::create_dir_all(LOGS)?;
        let path = PathBuf::from(LOGS).join(format!("{}.log", self.log));
        let log = File::create(&path)?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let program = self.command.get_program().to_string_lossy().into_owned();
        let mut child = self.command.spawn().with_context(|| format!("`{program}` could not be started"))?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if started.elapsed() > self.limit {
                child.kill()?;
                child.wait()?;
                break None;
            }
            std::thread::sleep(POLL);
        };
        let mut output = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
        if status.is_none() {
            output.push_str(&format!("\n`{program}` was ended: it took over {} s\n", self.limit.as_secs()));
        }
        Ok(Finished { success: status.is_some_and(|status| status.success()), output })
    }

    /// Runs the command in sight, with its output where ours goes.
    ///
    /// # Errors
    /// If it could not be started.
    pub(crate) fn in_the_open(mut self) -> Result<ExitStatus> {
        Ok(self.command.status()?)
    }
}

/// Whether a program is installed: whether `PROGRAM ARGUMENT` can be started at all.
pub(crate) fn is_installed(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}
