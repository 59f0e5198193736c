//! Who takes part in the demo: a server, devices and releases.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use buoy_files::{Access, replace};
use buoy_ota::host::{self, ImageBuilder, PrivateKey};
use buoy_ota::signature::Algorithm;
use buoy_services::hex;
use buoy_sim::account::Account;
use buoy_sim::device::{self, Behaviour, DeviceEvent, DeviceSettings, FactoryImage, Output, Transcript};

use super::slots::Flash;
use super::stage::Stage;

/// Where `buoy ctl` looks for a server by itself, and where `buoy serve` listens by itself.
const USUAL: (&str, &str, &str) = ("127.0.0.1:5684", "127.0.0.1:5784", "127.0.0.1:8080");

/// So many events of each device are shown after a failure.
const LAST_EVENTS: usize = 8;

/// The server, its addresses, and the key of the releases.
pub(super) struct Cast {
    stage: Arc<Stage>,
    key: PrivateKey,
    /// Of each device that was switched on: its name, and what it told.
    told: Mutex<Vec<(String, Arc<Transcript>)>>,
    pub(super) coaps: String,
    pub(super) bootstraps: String,
    pub(super) http: String,
}

/// Which ports the server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// The usual ones if they are free, so that a command line needs no address.
    Usual,
    /// Any that are free.
    Any,
}

impl Cast {
    /// Starts the server. `public_host` is what devices are told, if they see this machine under another address.
    pub(super) fn assemble(
        stage: Arc<Stage>,
        store: Option<&str>,
        ports: Ports,
        public_host: Option<&str>,
    ) -> anyhow::Result<Self> {
        let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
        let (coaps, bootstraps, http) = match ports {
            Ports::Usual if are_free(USUAL) => USUAL,
            Ports::Usual | Ports::Any => ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"),
        };
        let mut server = Command::new(std::env::current_exe()?)
            .args(["serve", "--coaps", coaps, "--bootstraps", bootstraps, "--http", http])
            .args(["--awake-time", "2", "--store-patience", "0", "--data"])
            .arg(stage.folder().join("data"))
            .args(public_host.into_iter().flat_map(|host| ["--public-host", host]))
            .args(store.into_iter().flat_map(|store| ["--store", store]))
            // The story is not for an operator's own database.
            .env_remove("BUOY_STORE")
            // The fleet's campaigns go by what devices say they are.
            .env_remove("BUOY_SURVEY")
            // That it is on loopback is no surprise here.
            .env("RUST_LOG", "warn,buoy::cli::serve=error")
            .stdout(Stdio::piped())
            .spawn()?;
        let output = server.stdout.take();
        stage.take_server(server);
        let lines = lines_of(output.context("the server has no output")?);
        let address = |name: &str| -> anyhow::Result<String> {
            loop {
                let line = lines.recv_timeout(Duration::from_secs(30));
                let line =
                    line.ok().context("the server did not start; what it said of that stands above")?;
                if let Some(rest) = line.strip_prefix(name) {
                    return Ok(rest.trim().to_owned());
                }
            }
        };
        address("Store")?;
        let (coaps, bootstraps, http) = (address("CoAPS")?, address("BootstrapS")?, address("REST")?);
        Ok(Self { stage, key, told: Mutex::default(), coaps, bootstraps, http })
    }

    pub(super) fn folder(&self) -> &Path {
        self.stage.folder()
    }

    /// Has a board switched off with the demo.
    pub(super) fn watch_board(&self, board: Arc<Mutex<Child>>) {
        self.stage.watch_board(board);
    }

    /// Writes an image and its signature (`NAME.sig`) into the folder. 1.2.0 crashes; 1.3.0 was changed after it was signed; 1.4.0 is large.
    pub(super) fn release(&self, version: &str) -> anyhow::Result<Release> {
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
        let name = format!("release-{version}.bin");
        fs::write(self.folder().join(&name), &image)?;
        fs::write(self.folder().join(format!("{name}.sig")), &signature)?;
        Ok(Release { name, image, signature })
    }

    /// Writes the key that a device leaves the factory with into the folder, and says what the file is called.
    pub(super) fn factory_key_file(&self, endpoint: &str) -> anyhow::Result<String> {
        let name = format!("{endpoint}.factory-key");
        let digits = hex::encode(&factory_key(endpoint));
        replace(&self.folder().join(&name), digits.as_bytes(), Access::Owner)?;
        Ok(name)
    }

    /// The last things that the devices told, for whoever looks for the cause of a failure.
    pub(super) fn last_events(&self) -> Vec<String> {
        let all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(endpoint, transcript): &(String, Arc<Transcript>)| {
            let events = transcript.events();
            let last = events.iter().skip(events.len().saturating_sub(LAST_EVENTS));
            last.map(|event| format!("{endpoint} {event}")).collect::<Vec<_>>()
        };
        all.iter().flat_map(of).collect()
    }

    /// Switches a device on, for the first time or again. All that it has from the factory is an image, the address of the bootstrap
    /// server and its key for that.
    pub(super) fn device(
        &self,
        endpoint: &str,
        queue_mode: bool,
        flash: &Arc<Flash>,
    ) -> anyhow::Result<Device> {
        let Release { image, signature, .. } = self.release("1.0.0")?;
        let mut settings = DeviceSettings::new(endpoint, self.folder().join(format!("{endpoint}.flash")))?;
        settings.client.queue_mode = queue_mode;
        if queue_mode {
            settings.client.awake = Duration::from_secs(2);
        }
        settings.factory = Some(FactoryImage { image, signature });
        settings.trust.trust(self.key.public_key()?)?;
        let account = Account::psk(&self.bootstraps, endpoint.as_bytes(), &factory_key(endpoint));
        settings.accounts.bootstrap = Some(account?);
        let transcript = Arc::new(Transcript::new());
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((endpoint.to_owned(), transcript.clone()));
        drop(all);
        let (told, drawn) = (transcript.clone(), flash.clone());
        let output = move |event: &DeviceEvent| {
            drawn.take(event);
            told.show(event);
        };
        let device = device::Device::start(settings, Arc::new(output))?;
        Ok(Device { device, transcript })
    }
}

/// What a release is made of, and what its file is called.
pub(super) struct Release {
    pub(super) name: String,
    pub(super) image: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// A device that is switched on.
pub(super) struct Device {
    device: device::Device,
    transcript: Arc<Transcript>,
}

impl Device {
    /// Waits for an event; `what` names it if none comes.
    pub(super) fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        is_meant: impl Fn(&DeviceEvent) -> bool,
    ) -> anyhow::Result<DeviceEvent> {
        let event = self.transcript.wait_for(patience, is_meant);
        event.with_context(|| format!("the device has not told {what} in {} s", patience.as_secs()))
    }

    pub(super) fn cut_power(self) -> anyhow::Result<()> {
        Ok(self.device.cut_power()?)
    }
}

/// The key that a device leaves the factory with. Those of true devices are random.
pub(super) fn factory_key(endpoint: &str) -> [u8; 16] {
    let mut bytes = endpoint.bytes().chain(b"-from-factory....".iter().copied());
    std::array::from_fn(|_| bytes.next().unwrap_or_default())
}

fn are_free((coaps, bootstraps, http): (&str, &str, &str)) -> bool {
    UdpSocket::bind(coaps).is_ok() && UdpSocket::bind(bootstraps).is_ok() && TcpListener::bind(http).is_ok()
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
