//! The servers that are measured, as processes that end with their handle.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::measured::Measured;

/// A process whose use of the processor is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    /// Measures, and how much processor's time the process took meanwhile.
    pub(crate) fn during(self, measure: impl FnOnce() -> Result<Measured>) -> Result<Measured> {
        let before = self.processor_time()?;
        let mut measured = measure()?;
        measured.server = Some(self.processor_time()?.saturating_sub(before));
        Ok(measured)
    }

    /// In user space and in the kernel, of all threads.
    pub(crate) fn processor_time(self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name, in brackets, may have spaces. After it these are the 12th and 13th field (proc_pid_stat(5)), in hundredths of a second.
        let fields = stat.rsplit_once(')').context("no name")?.1.split_whitespace().skip(11).take(2);
        let ticks = fields.map(|ticks| Ok(ticks.parse::<u64>()?)).sum::<Result<u64>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }
}

/// A Buoy server with its durable store.
pub(crate) struct Buoy {
    child: Child,
    pub(crate) coap: SocketAddrV4,
    pub(crate) http: SocketAddr,
}

impl Buoy {
    /// A server that speaks plain CoAP.
    pub(crate) fn start(program: &Path, data: &Path) -> Result<Self> {
        Self::start_with(program, data, ["--coaps", "off", "--coap", "127.0.0.1:0"])
    }

    /// A server that speaks CoAP over DTLS alone: [`Buoy::coap`] is where.
    pub(crate) fn start_secure(program: &Path, data: &Path, coaps: &str) -> Result<Self> {
        Self::start_with(program, data, ["--coap", "off", "--coaps", coaps])
    }

    fn start_with(program: &Path, data: &Path, ports: [&str; 4]) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("serve")
            .args(ports)
            .args(["--http", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("RUST_LOG", "error")
            // The devices of benchmarks say nothing of themselves.
            .env("BUOY_SURVEY", "off")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (mut coap, mut http) = (None, None);
        while http.is_none() {
            let line = lines.next().context("the server ended")??;
            let mut words = line.split_whitespace();
            let (name, uri) = (words.next().context("no name")?, words.next().context("no address")?);
            let address = uri.rsplit("//").next().unwrap_or_default();
            match name {
                "CoAP" | "CoAPS" => coap = Some(address.parse()?),
                "REST" => http = Some(address.parse()?),
                _ => {}
            }
        }
        let (coap, http) = (coap.context("no CoAP port")?, http.context("no REST port")?);
        Ok(Self { child, coap, http })
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// What the process has in memory now.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most that the process had in memory.
    pub(crate) fn peak_bytes(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kilobytes: u64 = line.split_whitespace().next().context("no number")?.parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Buoy {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on Leshan's library, in memory (interop/leshan).
pub(crate) struct Leshan {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) coap: SocketAddrV4,
    pub(crate) http: SocketAddr,
}

impl Leshan {
    /// The built program.
    pub(crate) fn jar() -> Option<PathBuf> {
        let jar = PathBuf::from("interop/leshan/target/leshan-peers.jar");
        jar.exists().then_some(jar)
    }

    pub(crate) fn start(jar: &Path) -> Result<Self> {
        Self::start_with(jar, &[])
    }

    /// With these arguments more. If there are any, the server speaks DTLS, and [`Leshan::coap`] is where.
    pub(crate) fn start_with(jar: &Path, arguments: &[String]) -> Result<Self> {
        let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let path = format!("{}:interop/leshan/target/libs/*", jar.display());
        let mut child = Command::new("java")
            .args(["-Xmx12g", "-cp", &path])
            .args(["buoy.interop.LeshanServer", "--port", "0", "--bench", "--http", &http.port().to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("java does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let ready = lines.next().context("Leshan's server ended")??;
        // The plain port, and then the secure one.
        let ports = ready.strip_prefix("READY ").context("no READY")?;
        let port = ports.split_whitespace().last().context("no port")?.parse()?;
        let coap = SocketAddrV4::new([127, 0, 0, 1].into(), port);
        Ok(Self { child, lines, coap, http })
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Bytes of heap in use after a collection.
    pub(crate) fn heap(&mut self) -> Result<u64> {
        self.ask("memory", "heap")
    }

    /// How many notifications it has taken.
    pub(crate) fn notifications(&mut self) -> Result<u64> {
        self.ask("notifications", "notifications")
    }

    fn ask(&mut self, command: &str, name: &str) -> Result<u64> {
        let input = self.child.stdin.as_mut().context("no input")?;
        writeln!(input, "{command}")?;
        let line = self.lines.next().context("Leshan's server ended")??;
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        ensure!(answer["success"] == true, "{line}");
        answer[name].as_u64().context("no number")
    }
}

impl Drop for Leshan {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
