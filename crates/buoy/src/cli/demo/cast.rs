//! Who takes part in the demo: a server, devices and releases, in a folder that goes with the demo.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use buoy_ota::host::{self, ImageBuilder, PrivateKey};
use buoy_ota::signature::Algorithm;

use buoy_sim::device::Behaviour;

/// The server, and the folder with everything.
pub(super) struct Cast {
    folder: PathBuf,
    server: Child,
    key: PrivateKey,
    pub(super) coaps: String,
    pub(super) bootstraps: String,
    pub(super) http: String,
}

impl Cast {
    pub(super) fn assemble(store: Option<&str>) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("buoy-demo-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
        fs::write(folder.join("release.pub.pem"), key.public_pem()?)?;
        let mut server = Command::new(std::env::current_exe()?)
            .args(["serve", "--coaps", "127.0.0.1:0", "--bootstraps", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .args(["--awake-time", "2", "--data"])
            .arg(folder.join("data"))
            .args(store.into_iter().flat_map(|store| ["--store", store]))
            // The story is not for an operator's own database.
            .env_remove("BUOY_STORE")
            // That it is on loopback is no surprise here.
            .env("RUST_LOG", "warn,buoy::cli::serve=error")
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = lines_of(server.stdout.take().context("the server has no output")?);
        let address = |name: &str| -> anyhow::Result<String> {
            let line = lines.recv_timeout(Duration::from_secs(30)).context("the server did not start")?;
            line.strip_prefix(name).map(|rest| rest.trim().to_owned()).with_context(|| line.clone())
        };
        address("Store")?;
        let (coaps, bootstraps, http) = (address("CoAPS")?, address("BootstrapS")?, address("REST")?);
        let cast = Self { folder, server, key, coaps, bootstraps, http };
        let (image, signature) = cast.release("1.0.0")?;
        fs::write(cast.folder.join("factory.bin"), image)?;
        fs::write(cast.folder.join("factory.bin.sig"), signature)?;
        Ok(cast)
    }

    /// An image and its signature. 1.2.0 crashes; 1.3.0 was changed after it was signed; 1.4.0 is large.
    pub(super) fn release(&self, version: &str) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        let behaviour = if version == "1.2.0" { Behaviour::Crash } else { Behaviour::Good };
        let size = if version == "1.4.0" { 900_000 } else { 60_000 };
        let filler = format!("release {version}\n");
        let payload: Vec<u8> = behaviour.marker().bytes().chain(filler.bytes().cycle()).take(size).collect();
        let mut image = ImageBuilder::new("buoy-demo", version).payload(&payload).build();
        let signature = host::sign_detached(&image, &self.key)?;
        if version == "1.3.0" {
            // The attacker mends checksum and hash, as anybody can; only the signature tells.
            let changed: Vec<u8> = payload.iter().map(|byte| byte ^ 1).collect();
            image = ImageBuilder::new("buoy-demo", version).payload(&changed).build();
        }
        Ok((image, signature))
    }

    /// Starts a device, or switches it on again. All that it has from the factory is the address of the bootstrap server and
    /// its key for that.
    pub(super) fn device(&self, endpoint: &str, extra: &[&str]) -> anyhow::Result<Device> {
        let key = self.folder.join(format!("{endpoint}.factory-key"));
        buoy_files::replace(&key, factory_key(endpoint).as_bytes(), buoy_files::Access::Owner)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["device", "--bootstrap", &self.bootstraps, "--endpoint", endpoint, "--psk-key-file"])
            .arg(key)
            .arg("--flash")
            .arg(self.folder.join(format!("{endpoint}.flash")))
            .arg("--trust")
            .arg(self.folder.join("release.pub.pem"))
            .arg("--factory")
            .arg(self.folder.join("factory.bin"))
            .args(extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let lines = lines_of(child.stdout.take().context("the device has no output")?);
        Ok(Device { child, lines })
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        // Whatever is gone already needs no end.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A device's process.
pub(super) struct Device {
    child: Child,
    lines: Receiver<String>,
}

impl Device {
    /// Waits for a line that starts so.
    pub(super) fn wait_for_line(&self, start: &str, patience: Duration) -> anyhow::Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) if line.starts_with(start) => return Ok(line),
                Ok(_) => {}
                Err(_) => bail!("the device never said {start}"),
            }
        }
    }

    pub(super) fn cut_power(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        // The image's process follows its boot loader within moments.
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The key, in hexadecimal digits, that a device leaves the factory with. Those of true devices are random.
pub(super) fn factory_key(endpoint: &str) -> String {
    endpoint
        .bytes()
        .chain(b"-from-factory".iter().copied())
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (lines, received) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Who no longer listens must not stop the writer, so the rest is read all the same.
            let _ = lines.send(line);
        }
    });
    received
}
