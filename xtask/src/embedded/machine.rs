//! The emulated board: a QEMU with a flash in a file.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::QEMU;
use crate::command::Run;

/// A program that answers fixed questions takes a second.
const LONGEST: Duration = Duration::from_secs(120);
/// Lines that an error shows.
const SHOWN: usize = 25;

/// What a program prints that needs no flash, until it ends.
pub(super) fn run_alone(program: &Path) -> Result<String> {
    let program = format!("loader,file={},cpu-num=0", program.display());
    let arguments =
        ["-M", "virt", "-m", "8M", "-nographic", "-monitor", "none", "-serial", "stdio", "-bios", "none"];
    let run = Run::new(QEMU, &arguments).args(&["-device", &program]).limit(LONGEST).log("embedded-answers");
    Ok(run.finish()?.output.replace('\r', ""))
}

/// A board that is switched on. Its end is a power cut.
pub(super) struct Machine {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Machine {
    /// Switches it on. `speed` is how fast its clock runs.
    pub(super) fn start(flash: &Path, settings: &Path, speed: u32, log: &Path) -> Result<Self> {
        let mut log = File::options().create(true).append(true).open(log)?;
        let drive = format!("if=pflash,unit=0,format=raw,file={}", flash.display());
        let settings = format!("loader,file={},addr=0x80701000,force-raw=on", settings.display());
        let speed = format!("loader,addr=0x80702000,data={speed},data-len=4");
        let mut child = Command::new(QEMU)
            .args([
                "-M",
                "virt",
                "-m",
                "8M",
                "-nographic",
                "-monitor",
                "none",
                "-serial",
                "stdio",
                "-bios",
                "none",
            ])
            .args(["-drive", &drive, "-device", &settings, "-device", &speed])
            .args(["-device", "virtio-net-device,netdev=net", "-netdev", "user,id=net"])
            .args(["-device", "virtio-rng-device", "-device", "i6300esb", "-watchdog-action", "reset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("QEMU could not be started")?;
        let output = child.stdout.take().context("QEMU has no output")?;
        writeln!(log, "--- power on")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                // The log is for people, and the walk goes on without it.
                let _ = writeln!(log, "{line}");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, seen: Vec::new() })
    }

    /// Waits for a line that has this text. Lines before it are passed over.
    pub(super) fn says(&mut self, text: &str, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the board did not say {text:?} in {patience:?}; it said:\n{}", self.last_lines())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("QEMU ended before the board said {text:?}; it said:\n{}", self.last_lines())
                }
            }
        }
    }

    /// Passes over what was said so far.
    pub(super) fn catch_up(&mut self) {
        self.seen.extend(self.lines.try_iter());
    }

    /// The last lines.
    pub(super) fn last_lines(&mut self) -> String {
        self.catch_up();
        let start = self.seen.len().saturating_sub(SHOWN);
        self.seen.iter().skip(start).map(|line| format!("    {line}\n")).collect()
    }

    /// Cuts the power.
    pub(super) fn cut_power(self) {
        drop(self);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
