//! Who the board talks to: `buoy serve`, its operator, and a time server.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// The host as the board sees it: QEMU leads this address to loopback.
pub(super) const HOST: &str = "10.0.2.2";
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A server, and what an operator does with it.
pub(super) struct Server {
    child: Child,
    buoy: PathBuf,
    http: String,
    /// The port of the bootstrap server.
    pub(super) bootstrap: u16,
}

impl Server {
    pub(super) fn start(buoy: &Path, data: &Path, log: &Path) -> Result<Self> {
        let mut child = Command::new(buoy)
            .args(["serve", "--shards", "1", "--http", "127.0.0.1:0", "--public-host", HOST])
            .args(["--coaps", "0.0.0.0:0", "--bootstraps", "0.0.0.0:0", "--files", "0.0.0.0:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .context("buoy could not be started")?;
        let output = child.stdout.take().context("buoy has no output")?;
        let mut server = Self { child, buoy: buoy.to_owned(), http: String::new(), bootstrap: 0 };
        for line in BufReader::new(output).lines() {
            let line = line?;
            let Some((name, uri)) = line.split_once(' ') else { continue };
            // What comes behind the URI is for people.
            let uri = uri.split_whitespace().next().unwrap_or_default();
            match name {
                "BootstrapS" => server.bootstrap = uri.rsplit(':').next().unwrap_or_default().parse()?,
                "REST" => {
                    server.http = uri.to_owned();
                    break;
                }
                _ => {}
            }
        }
        if server.http.is_empty() {
            bail!("buoy serve did not start:\n{}", fs::read_to_string(log)?);
        }
        Ok(server)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.buoy);
        command.args(["ctl", "--server", &self.http]).args(arguments).stdin(Stdio::null());
        command
    }

    /// Starts a verb of `buoy ctl` that takes long.
    pub(super) fn start_verb(&self, arguments: &[&str]) -> Result<Verb> {
        let mut command = self.command(arguments);
        Ok(Verb(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)))
    }

    /// What a verb of `buoy ctl` says; it must succeed.
    pub(super) fn says(&self, arguments: &[&str]) -> Result<String> {
        let (success, said) = self.start_verb(arguments)?.end()?;
        if !success {
            bail!("`buoy ctl {}` failed: {said}", arguments.join(" "));
        }
        Ok(said)
    }

    /// What a verb says; it must fail.
    pub(super) fn refuses(&self, arguments: &[&str]) -> Result<String> {
        let (success, said) = self.start_verb(arguments)?.end()?;
        if success {
            bail!("`buoy ctl {}` should have failed, and said: {said}", arguments.join(" "));
        }
        Ok(said)
    }

    /// Waits until a value of the device's has this text in it.
    pub(super) fn waits_for(
        &self,
        endpoint: &str,
        path: &str,
        text: &str,
        patience: Duration,
    ) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let (success, said) = self.start_verb(&["read", endpoint, path])?.end()?;
            if success && said.contains(text) {
                return Ok(said);
            }
            if Instant::now() > deadline {
                bail!("{path} of {endpoint} should say {text:?}, and says {said:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A verb of `buoy ctl` under way.
pub(super) struct Verb(Option<Child>);

impl Verb {
    /// Whether it is over.
    pub(super) fn is_over(&mut self) -> Result<bool> {
        Ok(self.0.as_mut().map_or(Ok(None), Child::try_wait)?.is_some() || self.0.is_none())
    }

    /// Whether it succeeded, and what it said.
    pub(super) fn end(mut self) -> Result<(bool, String)> {
        let child = self.0.take().context("it is over already")?;
        let output = child.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }
}

impl Drop for Verb {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may be over already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A server of SNTP (RFC 4330) that says the time of this machine, on loopback.
pub(super) struct TimeServer {
    pub(super) port: u16,
    is_over: Arc<AtomicBool>,
}

impl TimeServer {
    pub(super) fn start() -> Result<Self> {
        const SINCE_1900: u64 = 2_208_988_800;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        let server = Self { port: socket.local_addr()?.port(), is_over: Arc::default() };
        let is_over = server.is_over.clone();
        std::thread::spawn(move || {
            let mut request = [0; 48];
            while !is_over.load(Ordering::Relaxed) {
                let Ok((48, from)) = socket.recv_from(&mut request) else { continue };
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let seconds = ((now.as_secs() + SINCE_1900) as u32).to_be_bytes();
                // Version 4, server, stratum 1; the request's time comes back as the originate timestamp.
                let mut answer = vec![4 << 3 | 4, 1];
                answer.resize(24, 0);
                answer.extend(&request[40..48]);
                answer.extend([seconds, [0; 4], seconds, [0; 4]].concat());
                // Lost, as it might be on the way.
                let _ = socket.send_to(&answer, from);
            }
        });
        Ok(server)
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
