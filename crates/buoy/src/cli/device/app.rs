//! The running image: the client engine, its objects, its sockets.
//!
//! What the image does wrong is written in the image itself (`buoy fw build --behaviour`), so that roll-back is seen and not mocked.

use std::io::{Read, Write};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_client::firmware::fetch::CoapFetch;
use buoy_client::firmware::ota::OtaTarget;
use buoy_client::firmware::{DownloadError, Fetch, FirmwareUpdate, Part, Protocol, State, UpdateResult};
use buoy_client::objects::{
    ConnectivityMonitoring, ConnectivityStatistics, Device, LightControl, Location, PowerSource, Temperature,
    Time,
};
use buoy_client::text::Text;
use buoy_client::{ClientConfig, Event, HostClient, Object, RecordError, Server, ServerSlot, Storage};
use buoy_coap::block::BlockSize;
use buoy_coap::time::Instant;
use buoy_lwm2m::text::harmless;
use buoy_net::clock::Clock;
use buoy_ota::simflash::FileFlash;
use buoy_ota::slots::{self, Slot};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use super::account::{Account, Accounts, TrustStore, is_secured};
use super::http::{self, Step};
use super::link::{Keep, Link, Unreachable};
use super::storage::Folder;
use super::vault::Vault;
use super::{Args, FACTORY_RESET, Parts, REBOOT, open_flash};

/// The line that keeps the watchdog quiet.
pub(super) const HEARTBEAT: &str = ".";
const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
/// Kind of power source of object 3.
const INTERNAL_BATTERY: u8 = 1;
/// Network bearer of object 4.
const ETHERNET: u8 = 41;
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// What firmware is fetched by; the last only with keys for a server.
const PROTOCOLS: &[Protocol] = &[Protocol::Coap, Protocol::Http, Protocol::Coaps];
pub(super) const MTU: usize = 2048;
/// The short id of the server that the command line names.
const SHORT_SERVER_ID: u16 = 1;
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
    /// From the link of that number.
    Received(u64, Vec<u8>),
    /// From the HTTP fetch of that number.
    Http(u64, Step),
}

pub(super) type Rng = ChaCha12Rng;

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
    rng: Rng,
    vault: Vault,
    trust_store: TrustStore,
    links: Vec<(u64, Link)>,
    links_opened: u64,
    /// Servers that cannot be reached, until the engine is told.
    unreachable: Vec<(ServerSlot, String)>,
    fetch: Option<Fetching>,
    /// The number of the last fetch by HTTP: what earlier ones say is passed over.
    http_fetch: u64,
    /// Under which names a signature has been looked for.
    signature_names: Vec<String>,
    /// The last result that was told.
    told: UpdateResult,
    inputs: Sender<Input>,
    behaviour: Behaviour,
    light_was: Option<u8>,
}

/// A package on its way by CoAP.
struct Fetching {
    fetch: CoapFetch<Rng>,
    over: Over,
}

/// Which way it comes.
enum Over {
    /// One of its own, with its number.
    Own(u64, Box<Link>),
    /// That of a server at which the device is known already: there it has one session for all.
    Server(ServerSlot),
}

/// The configuration of a client of this name, if it is one.
pub(super) fn check_endpoint(endpoint: &str) -> anyhow::Result<ClientConfig> {
    ClientConfig::new(endpoint)
        .map_err(|_| anyhow::anyhow!("--endpoint {endpoint:?} is no endpoint name, which has 1 to 64 bytes"))
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

    let mut config = check_endpoint(&args.endpoint)?;
    config.version = args.lwm2m;
    config.queue_mode = args.queue;
    config.awake = Duration::from_secs(args.awake);
    let mut client = HostClient::new(config, rng()?);
    let mut accounts = args.account.accounts(&args.endpoint)?;
    if let Some(account) = accounts.server {
        add_server(&mut client, account, Server::new(SHORT_SERVER_ID, args.lifetime))?;
    }
    if let Some(account) = accounts.bootstrap {
        let set = client.set_bootstrap_server(account);
        set.map_err(|error| anyhow::anyhow!("the bootstrap account cannot be made: {error}"))?;
    }
    let storage = Folder::beside(&args.flash).context("the state beside the flash cannot be kept")?;
    let mut rng = rng()?;
    let vault = Vault::open(storage.path(), &mut rng, accounts.trust_store.digest())
        .context("DTLS sessions cannot be kept beside the flash")?;
    let mut device = Device::new("Buoy", "Simulated buoy", &args.endpoint, version.as_str());
    device.reset_reason = Text::clipped(&args.reset_reason);
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
        storage,
        clock: Clock::start(),
        rng,
        vault,
        trust_store: std::mem::take(&mut accounts.trust_store),
        links: Vec::new(),
        links_opened: 0,
        unreachable: Vec::new(),
        fetch: None,
        http_fetch: 0,
        signature_names: Vec::new(),
        told: UpdateResult::Initial,
        inputs,
        behaviour,
        light_was: None,
    };
    image.start(accounts)?;
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

fn add_server(client: &mut HostClient<Rng>, account: Account, server: Server) -> anyhow::Result<()> {
    let added = client.add_server(Account { short_server_id: server.short_server_id, ..account }, server);
    added.map(drop).map_err(|error| anyhow::anyhow!("the server account cannot be made: {error}"))
}

fn rng() -> anyhow::Result<Rng> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow::anyhow!("the system has no random numbers: {error}"))?;
    Ok(Rng::from_seed(seed))
}

/// A line for whoever watches. Without a watcher there is no device.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A server's words may be in it.
    if writeln!(out, "{}", harmless(line)).and_then(|()| out.flush()).is_err() {
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
    fn start(&mut self, accounts: Accounts) -> anyhow::Result<()> {
        match with_objects!(self, |client, objects, storage| client.restore(objects, storage)) {
            Err(RecordError::Damaged(object)) => tracing::error!(
                object,
                "the stored record of this object is damaged; what the command line says holds in its place"
            ),
            other => other.context("the state beside the flash cannot be read")?,
        }
        self.follow_flags(accounts)?;
        self.persist()?;
        self.open_links();
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
        match input {
            Input::Received(number, bytes) => {
                self.statistics.count_received(bytes.len());
                if let Some((_, link)) = self.links.iter_mut().find(|(of, _)| *of == number) {
                    let slot = link.slot();
                    for message in link.receive(now, &mut self.rng, bytes) {
                        self.take_message(now, slot, &message)?;
                    }
                } else if let Some(Fetching { over: Over::Own(of, link), .. }) = &mut self.fetch
                    && *of == number
                {
                    let messages = link.receive(now, &mut self.rng, bytes);
                    messages.iter().for_each(|message| self.take_fetched(now, message));
                }
            }
            // A fetch that was given up ends when its questions have no answer.
            Input::Http(number, step) if number == self.http_fetch => self.take_http(now, step),
            Input::Http(..) => {}
        }
        Ok(())
    }

    fn take_message(&mut self, now: Instant, slot: ServerSlot, message: &[u8]) -> anyhow::Result<()> {
        let is_fetched =
            |it: &Fetching| matches!(it.over, Over::Server(of) if of == slot) && it.fetch.expects(message);
        if self.fetch.as_ref().is_some_and(is_fetched) {
            self.take_fetched(now, message);
            return Ok(());
        }
        let mut out = [0; MTU];
        let length = with_objects!(self, |client, objects, storage| {
            client.handle_datagram(now, slot, message, objects, &mut out)
        });
        // Nothing is acknowledged before it is safe.
        self.persist()?;
        self.send(now, slot, &out[..length]);
        Ok(())
    }

    fn take_fetched(&mut self, now: Instant, message: &[u8]) {
        let before = self.downloaded();
        let mut out = [0; MTU];
        let mut context = self.client.context(now);
        if let Some(Fetching { fetch, .. }) = &mut self.fetch {
            let length = fetch.handle_datagram(now, message, &mut self.firmware, &mut context, &mut out);
            self.send_fetching(now, &out[..length]);
        }
        self.tell_progress(before);
    }

    fn send_fetching(&mut self, now: Instant, message: &[u8]) {
        match &mut self.fetch {
            Some(Fetching { over: Over::Own(_, link), .. }) if !message.is_empty() => {
                link.send(now, &mut self.rng, message);
            }
            Some(Fetching { over: Over::Server(slot), .. }) => {
                let slot = *slot;
                self.send(now, slot, message);
            }
            _ => {}
        }
    }

    /// The command line says where the server is, unless a bootstrap server does: then its word holds.
    fn follow_flags(&mut self, accounts: Accounts) -> anyhow::Result<()> {
        let (Some(account), None) = (accounts.server, accounts.bootstrap) else { return Ok(()) };
        let mut servers = self.client.servers();
        let known = servers.find(|(_, _, server)| server.short_server_id == SHORT_SERVER_ID);
        let Some((_, security, server)) = known else { return Ok(()) };
        let is_same = Account { instance: 0, short_server_id: 0, ..*security } == account;
        let server = *server;
        drop(servers);
        if is_same { Ok(()) } else { add_server(&mut self.client, account, server) }
    }

    /// Opens the ways that the accounts describe, and closes those that they don't any more.
    fn open_links(&mut self) {
        let servers = self.client.servers().map(|(slot, account, _)| (slot, *account));
        let bootstrap = self.client.bootstrap_server().map(|account| (ServerSlot::BOOTSTRAP, *account));
        let wanted: Vec<(ServerSlot, Account)> = servers.chain(bootstrap).collect();
        let vault = &self.vault;
        self.links.retain_mut(|(_, link)| {
            let stays = wanted.iter().any(|(slot, account)| *slot == link.slot() && link.leads_to(account));
            if !stays {
                link.close(vault);
            }
            stays
        });
        for (slot, account) in wanted {
            if !self.links.iter().any(|(_, link)| link.slot() == slot) {
                say(&format!("CONNECTING {}", account.uri));
                match self.open_link(slot, &account, Keep::Session) {
                    Ok(opened) => self.links.push(opened),
                    Err(error) => say(&format!("UNREACHABLE {}: {error:#}", account.uri)),
                }
            }
        }
    }

    fn open_link(&mut self, slot: ServerSlot, account: &Account, keep: Keep) -> anyhow::Result<(u64, Link)> {
        self.links_opened += 1;
        let number = self.links_opened;
        let inputs = self.inputs.clone();
        let take = move |bytes| inputs.send(Input::Received(number, bytes)).is_ok();
        Ok((number, Link::open(slot, account, keep, (&self.vault, &self.trust_store), take)?))
    }

    /// The account of a server or of the bootstrap server.
    fn account(&self, slot: ServerSlot) -> Option<Account> {
        if slot == ServerSlot::BOOTSTRAP {
            return self.client.bootstrap_server().copied();
        }
        self.client.servers().find(|(of, ..)| *of == slot).map(|(_, account, _)| *account)
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
            Step::Failed(error, why) => {
                say(&format!("DOWNLOAD_FAILED {why}"));
                self.firmware.download_failed(&mut context, error);
            }
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
                self.send(now, transmit.server, &out[..transmit.length]);
                continue;
            }
            self.drive_fetch(now);
            self.settle_links(now);
            if let Some((slot, why)) = self.unreachable.pop() {
                say(&format!("HANDSHAKE_FAILED {why}"));
                with_objects!(self, |client, objects, storage| client.set_unreachable(now, slot, objects));
                continue;
            }
            match self.client.poll_event() {
                Some(event) => self.event(now, event)?,
                None => break,
            }
        }
        self.watch_light();
        self.tell_result();
        Ok(())
    }

    /// Says how an update ended that did not succeed, and why, as far as it is known here.
    fn tell_result(&mut self) {
        let result = self.firmware.result();
        if result == std::mem::replace(&mut self.told, result) {
            return;
        }
        let names = std::mem::take(&mut self.signature_names);
        match result {
            UpdateResult::Initial | UpdateResult::Success => {}
            UpdateResult::IntegrityCheckFailed if names.len() > 1 => say(&format!(
                "UPDATE_FAILED {result:?} ({}): no signature was found at any of {}",
                result as u8,
                names.join(", ")
            )),
            _ => say(&format!("UPDATE_FAILED {result:?} ({})", result as u8)),
        }
    }

    fn settle_links(&mut self, now: Instant) {
        for (_, link) in &mut self.links {
            if let Err(Unreachable(why)) = link.settle(now, &mut self.rng, &self.vault) {
                self.unreachable.push((link.slot(), why));
            }
        }
    }

    fn drive_fetch(&mut self, now: Instant) {
        let mut out = [0; MTU];
        while let Some(Fetching { fetch, .. }) = &mut self.fetch {
            let mut context = self.client.context(now);
            let next = fetch.poll_transmit(now, &mut self.firmware, &mut context, &mut out);
            let Some(length) = next else { break };
            self.send_fetching(now, &out[..length]);
        }
        let Some(Fetching { fetch, over }) = &mut self.fetch else { return };
        let mut outcome = Ok(());
        if let Over::Own(_, link) = over {
            if fetch.is_done() {
                link.close(&self.vault);
            } else {
                outcome = link.settle(now, &mut self.rng, &self.vault);
            }
        }
        if let Err(Unreachable(why)) = outcome {
            say(&format!("HANDSHAKE_FAILED {why}"));
            let mut context = self.client.context(now);
            self.firmware.download_failed(&mut context, DownloadError::ConnectionLost);
            self.fetch = None;
        } else if fetch.is_done() {
            self.fetch = None;
        }
    }

    fn event(&mut self, now: Instant, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Registered(slot) => {
                say(&format!(
                    "REGISTERED {}",
                    self.client.location(slot).map(ToString::to_string).unwrap_or_default()
                ));
                self.prove(now)?;
            }
            Event::RegistrationUpdated(_) => say("UPDATED"),
            Event::BootstrapStarted => say("BOOTSTRAP_STARTED"),
            Event::BootstrapFinished => {
                say("BOOTSTRAPPED");
                self.open_links();
            }
            Event::BootstrapFailed(failure) => say(&format!("BOOTSTRAP_FAILED {failure:?}")),
            Event::BootstrapAccountExpired => self.open_links(),
            Event::RegistrationFailed(_, failure) => say(&format!("REGISTER_FAILED {failure:?}")),
            Event::Deregistered(_) => say("DEREGISTERED"),
            Event::Reboot(_) => {
                self.park_links();
                self.leave(REBOOT)?;
            }
            Event::FactoryReset => {
                self.storage.wipe()?;
                self.leave(FACTORY_RESET)?;
            }
            Event::DownloadRequested => self.begin_download(now)?,
            Event::DownloadCancelled => {
                self.fetch = None;
                self.http_fetch += 1;
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
            self.park_links();
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
        match download.part {
            Part::Package => self.signature_names.clear(),
            Part::Signature(_) => self.signature_names.push(uri.clone()),
        }
        self.http_fetch += 1;
        if Protocol::of(&uri) == Some(Protocol::Http) {
            http::start(uri, self.http_fetch, self.inputs.clone());
            return Ok(());
        }
        let begun = CoapFetch::new(&download, BlockSize::MAX, rng()?).and_then(|fetch| {
            let account = self.account_for(&uri, fetch.host()).ok_or(DownloadError::UnsupportedProtocol)?;
            let mut links = self.links.iter();
            if let Some((_, link)) = links.find(|(_, link)| link.secures(account.uri.as_str())) {
                let fetch = fetch.with_message_ids(self.client.distant_message_ids(link.slot()));
                return Ok(Fetching { fetch, over: Over::Server(link.slot()) });
            }
            let opened = self.open_link(ServerSlot::BOOTSTRAP, &account, Keep::Nothing);
            let (number, link) = opened.map_err(|error| {
                say(&format!("DOWNLOAD_FAILED {uri}: {error:#}"));
                DownloadError::InvalidUri
            })?;
            Ok(Fetching { fetch, over: Over::Own(number, Box::new(link)) })
        });
        match begun {
            Ok(fetching) => self.fetch = Some(fetching),
            Err(error) => {
                let mut context = self.client.context(now);
                self.firmware.download_failed(&mut context, error);
            }
        }
        Ok(())
    }

    /// What a package's host is reached with: the keys are those of the first server that has any.
    fn account_for(&self, uri: &str, (host, port): (&str, u16)) -> Option<Account> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let account = if is_secured(uri) {
            let mut servers = self.client.servers();
            let account = *servers.find(|(_, account, _)| is_secured(account.uri.as_str()))?.1;
            Account { uri: Text::new(&format!("coaps://{host}:{port}")).ok()?, ..account }
        } else {
            Account::none(&format!("coap://{host}:{port}")).ok()?
        };
        Some(account)
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

    /// Saves the sessions for the next run, before an orderly end of this one.
    fn park_links(&mut self) {
        for (_, link) in &mut self.links {
            if let Err(error) = link.park(&mut self.rng, &self.vault) {
                tracing::warn!("a DTLS session cannot be saved, and the next run makes another: {error}");
            }
        }
    }

    fn send(&mut self, now: Instant, slot: ServerSlot, datagram: &[u8]) {
        if datagram.is_empty() {
            return;
        }
        self.statistics.count_sent(datagram.len());
        if !self.links.iter().any(|(_, link)| link.slot() == slot) {
            let Some(account) = self.account(slot) else { return };
            match self.open_link(slot, &account, Keep::Session) {
                Ok(opened) => self.links.push(opened),
                Err(error) => self.unreachable.push((slot, format!("{error:#}"))),
            }
        }
        if let Some((_, link)) = self.links.iter_mut().find(|(_, link)| link.slot() == slot) {
            link.send(now, &mut self.rng, datagram);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(|(_, link)| link.next_timeout());
        let own = |over: &Over| match over {
            Over::Own(_, link) => link.next_timeout(),
            Over::Server(_) => None,
        };
        let fetching = self.fetch.iter();
        let fetch = fetching.flat_map(|it| [it.fetch.poll_timeout(), own(&it.over)]).flatten();
        self.client.poll_timeout().into_iter().chain(links).chain(fetch).min()
    }
}
