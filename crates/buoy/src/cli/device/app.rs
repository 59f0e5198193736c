//! The running image: the client engine, its objects, its sockets.
//!
//! What the image does wrong is written in the image itself (`buoy fw build --behaviour`), so that roll-back is seen and not mocked.

use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_client::firmware::fetch::CoapFetch;
use buoy_client::firmware::ota::OtaTarget;
use buoy_client::firmware::{DownloadError, Fetch, FirmwareUpdate, Protocol, State};
use buoy_client::objects::{
    ConnectivityMonitoring, ConnectivityStatistics, Device, LightControl, Location, PowerSource, Temperature,
    Time,
};
use buoy_client::{ClientConfig, Event, HostClient, Object, Security, Server, ServerSlot, Storage};
use buoy_coap::block::BlockSize;
use buoy_coap::time::Instant;
use buoy_net::clock::Clock;
use buoy_ota::simflash::FileFlash;
use buoy_ota::slots::{self, Slot};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::http::{self, Step};
use super::storage::Folder;
use super::{Args, FACTORY_RESET, Parts, REBOOT, open_flash};

/// The line that keeps the watchdog quiet.
pub(super) const HEARTBEAT: &str = ".";
const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
/// Kind of power source of object 3.
const INTERNAL_BATTERY: u8 = 1;
/// Network bearer of object 4.
const ETHERNET: u8 = 41;
const MEASURE_EVERY: Duration = Duration::from_secs(1);
const PROTOCOLS: &[Protocol] = &[Protocol::Coap, Protocol::Http];
const MTU: usize = 2048;
/// A download is told in steps of so many bytes.
const PROGRESS_STEP: u32 = 64 << 10;

/// How an image behaves once it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Behaviour {
    /// As it should.
    #[default]
    Good,
    /// It crashes soon after its start.
    Crash,
    /// It stops doing anything.
    Hang,
    /// Its self-test fails.
    FailSelfTest,
}

impl Behaviour {
    const ALL: [Self; 4] = [Self::Good, Self::Crash, Self::Hang, Self::FailSelfTest];

    /// What says so in an image.
    pub(crate) fn marker(self) -> &'static str {
        match self {
            Self::Good => "buoy-behaviour=good;",
            Self::Crash => "buoy-behaviour=crash;",
            Self::Hang => "buoy-behaviour=hang;",
            Self::FailSelfTest => "buoy-behaviour=fail-self-test;",
        }
    }

    fn of(image: &[u8]) -> Self {
        let has = |marker: &str| image.windows(marker.len()).any(|window| window == marker.as_bytes());
        Self::ALL.into_iter().find(|behaviour| has(behaviour.marker())).unwrap_or_default()
    }
}

/// What the threads tell the engine's loop.
pub(super) enum Input {
    Server(ServerSlot, Vec<u8>),
    Fetched(Vec<u8>),
    Http(Step),
}

type Rng = ChaCha12Rng;

struct Image<'d> {
    client: HostClient<Rng>,
    device: Device,
    firmware: FirmwareUpdate<OtaTarget<'d, FileFlash>>,
    light: LightControl<1>,
    temperature: Temperature<1>,
    time: Time,
    monitoring: ConnectivityMonitoring,
    location: Location,
    statistics: ConnectivityStatistics,
    storage: Folder,
    clock: Clock,
    sockets: Vec<(ServerSlot, UdpSocket)>,
    fetch: Option<(CoapFetch<Rng>, UdpSocket)>,
    inputs: Sender<Input>,
    behaviour: Behaviour,
    light_was: Option<u8>,
}

/// Runs the image in `slot`.
pub(super) fn run(args: &Args, parts: &Parts, slot: Slot) -> anyhow::Result<()> {
    end_with_the_boot_loader();
    let mut flash = open_flash(args)?;
    let image = slots::authenticate(&mut flash, &parts.layout, &parts.trust, slot)
        .map_err(|error| anyhow::anyhow!("the image in {slot:?} cannot run: {error:?}"))?;
    let behaviour = behaviour_in(&mut flash, &image);
    let version = image.info().descriptor.version;
    let (inputs, received) = channel();

    let mut config = ClientConfig::new(&args.endpoint)
        .map_err(|_| anyhow::anyhow!("the endpoint name must have 1 to 64 bytes"))?;
    config.queue_mode = args.queue;
    config.awake = Duration::from_secs(args.awake);
    let mut client = HostClient::new(config, rng()?);
    let security = Security {
        short_server_id: 1,
        ..Security::none(&args.server).map_err(|_| anyhow::anyhow!("--server is too long"))?
    };
    client
        .add_server(security, Server::new(1, args.lifetime))
        .map_err(|_| anyhow::anyhow!("there is no room for a server account"))?;
    let mut device = Device::new("Buoy", "Simulated buoy", &args.endpoint, version.as_str());
    device.set_queue_mode(args.queue);
    let battery = PowerSource { kind: INTERNAL_BATTERY, millivolts: Some(3800), milliamperes: Some(125) };
    device.power[0] = Some(battery);
    device.battery_level = Some(87);
    let target = OtaTarget::new(flash, parts.device(), slot);
    let mut image = Image {
        client,
        device,
        firmware: FirmwareUpdate::new(target, PROTOCOLS),
        light: LightControl::new(),
        temperature: Temperature::new(20.0, Some((-40.0, 85.0))),
        time: Time::new(),
        monitoring: ConnectivityMonitoring::new(ETHERNET, "127.0.0.1"),
        // Somewhere in the Atlantic.
        location: Location::new(34.5, -38.25),
        statistics: ConnectivityStatistics::new(),
        storage: Folder::beside(&args.flash).context("the state beside the flash cannot be kept")?,
        clock: Clock::start(),
        sockets: Vec::new(),
        fetch: None,
        inputs,
        behaviour,
        light_was: None,
    };
    image.start(&args.server)?;
    let mut next_heartbeat = Instant::ZERO;
    let mut next_measurement = image.clock.now() + MEASURE_EVERY;
    loop {
        let now = image.clock.now();
        if now >= next_heartbeat {
            say(HEARTBEAT);
            next_heartbeat = now + HEARTBEAT_EVERY;
        }
        if now >= next_measurement {
            image.measure(now);
            next_measurement = now + MEASURE_EVERY;
        }
        image.settle(now)?;
        let wait = image.next_deadline().unwrap_or(Instant::NEVER).min(next_heartbeat).min(next_measurement);
        if let Ok(input) = received.recv_timeout(wait.since(image.clock.now()) + Duration::from_millis(1)) {
            image.take(input)?;
        }
    }
}

/// The behaviour that the running image says, not one that lies in another slot.
fn behaviour_in(flash: &mut FileFlash, image: &slots::AuthenticImage) -> Behaviour {
    let region = image.region();
    let start = region.offset() as usize;
    Behaviour::of(flash.sim().bytes().get(start..start + region.len() as usize).unwrap_or_default())
}

fn rng() -> anyhow::Result<Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the system has no random numbers: {error}"))?;
    Ok(Rng::from_seed(seed))
}

/// A line for whoever watches. Without a watcher there is no device.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn end_with_the_boot_loader() {
    std::thread::spawn(|| {
        let mut byte = [0];
        while std::io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
        std::process::exit(0);
    });
}

/// Runs `$act` with the client and the list of all objects.
macro_rules! with_objects {
    ($image:expr, |$client:ident, $objects:ident, $storage:ident| $act:expr) => {{
        let Image {
            client: $client,
            device,
            firmware,
            light,
            temperature,
            time,
            monitoring,
            location,
            statistics,
            storage: $storage,
            ..
        } = $image;
        let _ = &$storage;
        let $objects: &mut [&mut dyn Object] =
            &mut [device, firmware, light, temperature, time, monitoring, location, statistics];
        $act
    }};
}

impl Image<'_> {
    fn start(&mut self, server: &str) -> anyhow::Result<()> {
        with_objects!(self, |client, objects, storage| client.restore(objects, storage))?;
        let address = resolve(server)?;
        let slots: Vec<ServerSlot> = self.client.servers().map(|(slot, _, _)| slot).collect();
        for slot in slots {
            let socket = connect(address)?;
            let inputs = self.inputs.clone();
            listen(&socket, move |bytes| inputs.send(Input::Server(slot, bytes)).is_ok())?;
            self.sockets.push((slot, socket));
        }
        let now = self.clock.now();
        self.client.set_utc(now, (now.as_millis() / 1000) as i64);
        with_objects!(self, |client, objects, storage| client.start(now, objects));
        match self.behaviour {
            Behaviour::Crash => std::process::abort(),
            Behaviour::Hang => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Behaviour::Good | Behaviour::FailSelfTest => {}
        }
        // A download that a power cut broke off goes on.
        self.begin_download(now)
    }

    fn take(&mut self, input: Input) -> anyhow::Result<()> {
        let now = self.clock.now();
        let mut out = [0; MTU];
        match input {
            Input::Server(slot, bytes) => {
                self.statistics.count_received(bytes.len());
                let length = with_objects!(self, |client, objects, storage| {
                    client.handle_datagram(now, slot, &bytes, objects, &mut out)
                });
                // Nothing is acknowledged before it is safe.
                self.persist()?;
                self.send(slot, &out[..length]);
            }
            Input::Fetched(bytes) => {
                let before = self.downloaded();
                let mut context = self.client.context(now);
                if let Some((fetch, socket)) = &mut self.fetch {
                    let length =
                        fetch.handle_datagram(now, &bytes, &mut self.firmware, &mut context, &mut out);
                    if length > 0 {
                        // Lost, as it might be on the way.
                        let _ = socket.send(&out[..length]);
                    }
                }
                self.tell_progress(before);
            }
            Input::Http(step) => self.take_http(now, step),
        }
        Ok(())
    }

    /// Tells each step of a download, and that it goes on where it was: no block is so large as what was in the flash already.
    fn tell_progress(&self, before: u32) {
        let now = self.downloaded();
        if now > before + MTU as u32 {
            say(&format!("RESUME at byte {now}"));
        } else if now / PROGRESS_STEP > before / PROGRESS_STEP {
            say(&format!("PROGRESS {}", now / PROGRESS_STEP * PROGRESS_STEP));
        }
    }

    fn downloaded(&self) -> u32 {
        self.firmware.download().map_or(0, |download| download.offset)
    }

    fn take_http(&mut self, now: Instant, step: Step) {
        let mut context = self.client.context(now);
        match step {
            Step::Begin { etag, length, from } => {
                let offset = match self.firmware.download_begin(&mut context, &etag, length) {
                    Fetch::From(offset) => {
                        if offset > 0 {
                            say(&format!("RESUME at byte {offset}"));
                        }
                        Some(offset)
                    }
                    _ => None,
                };
                // The thread may have given up.
                let _ = from.send(offset);
            }
            Step::Chunk { at, bytes, more } => {
                let _ = more.send(self.firmware.download_chunk(&mut context, at, &bytes));
            }
            Step::Done => self.firmware.download_done(&mut context),
            Step::Failed(error) => self.firmware.download_failed(&mut context, error),
        }
    }

    /// Sends what is due and does what the engine asks for, until neither is left.
    fn settle(&mut self, now: Instant) -> anyhow::Result<()> {
        with_objects!(self, |client, objects, storage| client.handle_timeout(now, objects));
        let mut out = [0; MTU];
        loop {
            let transmit =
                with_objects!(self, |client, objects, storage| client.poll_transmit(now, objects, &mut out));
            self.persist()?;
            if let Some(transmit) = transmit {
                self.send(transmit.server, &out[..transmit.length]);
                continue;
            }
            self.drive_fetch(now);
            match self.client.poll_event() {
                Some(event) => self.event(now, event)?,
                None => break,
            }
        }
        self.watch_light();
        Ok(())
    }

    fn drive_fetch(&mut self, now: Instant) {
        let mut out = [0; MTU];
        let mut context = self.client.context(now);
        let Some((fetch, socket)) = &mut self.fetch else { return };
        while let Some(length) = fetch.poll_transmit(now, &mut self.firmware, &mut context, &mut out) {
            let _ = socket.send(&out[..length]);
        }
        if fetch.is_done() {
            self.fetch = None;
        }
    }

    fn event(&mut self, now: Instant, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Registered(slot) => {
                say(&format!("REGISTERED {}", self.client.location(slot).unwrap_or("")));
                self.prove(now)?;
            }
            Event::RegistrationUpdated(_) => say("UPDATED"),
            Event::RegistrationFailed(_, failure) => say(&format!("REGISTER_FAILED {failure:?}")),
            Event::Deregistered(_) => say("DEREGISTERED"),
            Event::Reboot(_) => self.leave(REBOOT)?,
            Event::FactoryReset => {
                self.storage.wipe()?;
                self.leave(FACTORY_RESET)?;
            }
            Event::DownloadRequested => self.begin_download(now)?,
            Event::DownloadCancelled => {
                self.fetch = None;
                say("DOWNLOAD_CANCELLED");
            }
            other => tracing::debug!(?other, "event"),
        }
        Ok(())
    }

    /// A new image proves itself: it runs, it has registered, and its self-test passes. Only then it is kept.
    fn prove(&mut self, now: Instant) -> anyhow::Result<()> {
        if self.firmware.state() != State::Updating {
            return Ok(());
        }
        if self.behaviour == Behaviour::FailSelfTest {
            say("SELF_TEST failed");
            let rejected = self.firmware.target_mut().reject();
            rejected.map_err(|error| anyhow::anyhow!("the image cannot be given up: {error:?}"))?;
            return self.leave(REBOOT);
        }
        let mut context = self.client.context(now);
        match self.firmware.confirm(&mut context) {
            Ok(()) => say("CONFIRMED"),
            Err(result) => bail!("the image cannot be confirmed: {result:?}"),
        }
        Ok(())
    }

    fn begin_download(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(download) = self.firmware.download() else { return Ok(()) };
        let uri = download.uri.as_str().to_owned();
        say(&format!("DOWNLOAD {uri} from {}", download.offset));
        if Protocol::of(&uri) == Some(Protocol::Http) {
            http::start(uri, self.inputs.clone());
            return Ok(());
        }
        let begun = CoapFetch::new(&download, BlockSize::MAX, rng()?).and_then(|fetch| {
            let address = fetch.host().to_socket_addrs().ok().and_then(|mut all| all.next());
            let socket = address.and_then(|address| connect(address).ok());
            Ok((fetch, socket.ok_or(DownloadError::InvalidUri)?))
        });
        match begun {
            Ok((fetch, socket)) => {
                let inputs = self.inputs.clone();
                listen(&socket, move |bytes| inputs.send(Input::Fetched(bytes)).is_ok())?;
                self.fetch = Some((fetch, socket));
            }
            Err(error) => {
                let mut context = self.client.context(now);
                self.firmware.download_failed(&mut context, error);
            }
        }
        Ok(())
    }

    fn measure(&mut self, now: Instant) {
        let seconds = now.as_millis() as f64 / 1000.0;
        let celsius = 20.0 + (seconds / 10.0).sin() * 3.0;
        let mut context = self.client.context(now);
        self.temperature.set(&mut context, 0, (celsius * 100.0).round() / 100.0);
    }

    fn watch_light(&mut self) {
        let level = self.light.level(0);
        if level != self.light_was {
            if self.light_was.is_some() {
                say(if level.is_some_and(|level| level > 0) { "LIGHT on" } else { "LIGHT off" });
            }
            self.light_was = level;
        }
    }

    /// Ends this run; the boot loader starts the next.
    fn leave(&mut self, code: i32) -> anyhow::Result<()> {
        self.persist()?;
        std::process::exit(code);
    }

    fn persist(&mut self) -> anyhow::Result<()> {
        with_objects!(self, |client, objects, storage| client.persist(objects, storage))
            .context("the state beside the flash cannot be saved")
    }

    fn send(&mut self, slot: ServerSlot, datagram: &[u8]) {
        let socket = self.sockets.iter().find(|(other, _)| *other == slot);
        if let Some((_, socket)) = socket.filter(|_| !datagram.is_empty()) {
            self.statistics.count_sent(datagram.len());
            // Lost, as it might be on the way.
            let _ = socket.send(datagram);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let fetch = self.fetch.as_ref().and_then(|(fetch, _)| fetch.poll_timeout());
        self.client.poll_timeout().into_iter().chain(fetch).min()
    }
}

fn resolve(uri: &str) -> anyhow::Result<SocketAddr> {
    let authority = uri
        .strip_prefix("coap://")
        .with_context(|| format!("{uri} is no coap:// URI; coaps comes with DTLS"))?
        .trim_end_matches('/');
    let with_port = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:5683") };
    with_port
        .to_socket_addrs()
        .with_context(|| format!("{authority} cannot be resolved"))?
        .next()
        .with_context(|| format!("{authority} has no address"))
}

fn connect(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let local: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Hands each datagram to `take`, until it says no.
fn listen(socket: &UdpSocket, take: impl Fn(Vec<u8>) -> bool + Send + 'static) -> std::io::Result<()> {
    let socket = socket.try_clone()?;
    std::thread::spawn(move || {
        let mut buffer = [0; MTU];
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) if !take(buffer[..length].to_vec()) => return,
                Ok(_) => {}
                // A refused connection while the server is away: it comes back.
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    });
    Ok(())
}
