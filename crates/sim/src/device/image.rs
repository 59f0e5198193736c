//! The running image: the client engine, its objects and the way to its servers.
//!
//! What it has of links to servers is in `links`, what it fetches in `download`, how an update ends in `verdict`, and its objects in `body`.

mod body;
mod download;
mod links;
mod verdict;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use buoy_client::firmware::UpdateResult;
use buoy_client::firmware::ota::OtaTarget;
use buoy_client::{Client, Event, Host, RecordError, Server, ServerSlot, Storage};
use buoy_ota::simflash::FileFlash;
use buoy_ota::slots::{self, Slot};
use buoy_time::Instant;
use buoy_time::clock::Clock;

use super::behaviour::Behaviour;
use super::error::ImageError;
use super::event::DeviceEvent;
use super::http::Step;
use super::link::{Link, MTU};
use super::output::Output;
use super::parts::Parts;
use super::power::Signal;
use super::storage::Folder;
use super::vault::Vault;
use crate::account::{Account, Accounts, TrustStore};
use crate::random::{Rng, rng};
use body::{Body, MEASURE_EVERY};
use download::{Fetching, Over};

/// The boot loader hears so often that the image lives.
const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
/// The short id of the server in the settings.
const SHORT_SERVER_ID: u16 = 1;

/// How an image ends that ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Reboot,
    FactoryReset,
    PowerOff,
}

/// What the threads tell the engine's loop.
pub(super) enum Input {
    /// From the link of that number.
    Received(u64, Vec<u8>),
    /// From the HTTP fetch of that number.
    Http(u64, Step),
    PowerOff,
}

struct Image<'d> {
    client: Client<Rng, Host>,
    body: Body<'d>,
    storage: Folder,
    clock: Clock,
    rng: Rng,
    vault: Vault,
    trust_store: TrustStore,
    links: Vec<(u64, Link)>,
    links_opened: u64,
    /// Servers that cannot be reached, until the engine is told.
    unreachable: Vec<(ServerSlot, DeviceEvent)>,
    fetch: Option<Fetching>,
    /// The number of the last fetch by HTTP: what earlier ones say is passed over.
    http_fetch: u64,
    /// Under which names a signature has been looked for.
    signature_names: Vec<String>,
    /// The slot that fills, and the last step that was told of it.
    filled: Option<(Slot, u32)>,
    /// The last result that was told.
    told: UpdateResult,
    inputs: Sender<Input>,
    behaviour: Behaviour,
    output: Arc<dyn Output>,
}

/// Runs the image in `slot` until it ends itself or power is gone.
pub(super) fn run(
    parts: &Parts,
    (slot, reset_reason): (Slot, &str),
    (inputs, received): (Sender<Input>, &Receiver<Input>),
    signals: &Sender<Signal>,
) -> Result<Exit, ImageError> {
    let mut image = Image::load(parts, slot, inputs)?;
    image.body.started_after(reset_reason);
    image.start(parts)?;
    match image.behaviour {
        Behaviour::Crash => return Err(ImageError::Aborted),
        Behaviour::Hang => return Ok(hang(received)),
        Behaviour::Good | Behaviour::FailSelfTest => {}
    }
    let mut next_heartbeat = Instant::ZERO;
    let mut next_measurement = image.clock.now() + MEASURE_EVERY;
    loop {
        let now = image.clock.now();
        if now >= next_heartbeat {
            // Without a boot loader nobody watches.
            let _ = signals.send(Signal::Alive);
            next_heartbeat = now + HEARTBEAT_EVERY;
        }
        if now >= next_measurement {
            image.body.measure(now, &mut image.client.context(now));
            next_measurement = now + MEASURE_EVERY;
        }
        if let ControlFlow::Break(exit) = image.settle(now)? {
            return Ok(exit);
        }
        let wait = image.next_deadline().unwrap_or(Instant::NEVER).min(next_heartbeat).min(next_measurement);
        match received.recv_timeout(wait.since(image.clock.now()) + Duration::from_millis(1)) {
            Ok(Input::PowerOff) => return Ok(Exit::PowerOff),
            Ok(input) => image.take(input)?,
            Err(_) => {}
        }
    }
}

/// Does nothing any more, as a program in an endless loop.
fn hang(received: &Receiver<Input>) -> Exit {
    while !matches!(received.recv(), Ok(Input::PowerOff) | Err(_)) {}
    Exit::PowerOff
}

/// The behaviour that the running image says, not one that lies in another slot.
fn behaviour_in(flash: &mut FileFlash, image: &slots::AuthenticImage) -> Behaviour {
    let region = image.region();
    let start = region.offset() as usize;
    Behaviour::of(flash.sim().bytes().get(start..start + region.len() as usize).unwrap_or_default())
}

impl<'d> Image<'d> {
    fn load(parts: &'d Parts, slot: Slot, inputs: Sender<Input>) -> Result<Self, ImageError> {
        let settings = &parts.settings;
        let mut flash = parts.open_flash().map_err(ImageError::Flash)?;
        let image = slots::authenticate(&mut flash, &parts.layout, &settings.trust, slot)?;
        let behaviour = behaviour_in(&mut flash, &image);
        let version = image.info().descriptor.version;
        let mut client = Client::new(settings.client, rng()?);
        let Accounts { server, bootstrap, trust_store } = settings.accounts.clone();
        if let Some(account) = server {
            let server = Server::new(SHORT_SERVER_ID, settings.lifetime());
            client.add_server(named(account), server)?;
        }
        if let Some(account) = bootstrap {
            client.set_bootstrap_server(account)?;
        }
        let storage = Folder::beside(&settings.flash).map_err(ImageError::State)?;
        let mut rng = rng()?;
        let vault = Vault::open(storage.path(), &mut rng, trust_store.digest()).map_err(ImageError::State)?;
        let target = OtaTarget::new(flash, parts.device(), slot);
        let endpoint = settings.client.endpoint.as_str();
        Ok(Self {
            client,
            body: Body::new(endpoint, version.as_str(), settings.client.queue_mode, target),
            storage,
            clock: Clock::start(),
            rng,
            vault,
            trust_store,
            links: Vec::new(),
            links_opened: 0,
            unreachable: Vec::new(),
            fetch: None,
            http_fetch: 0,
            signature_names: Vec::new(),
            filled: None,
            told: UpdateResult::Initial,
            inputs,
            behaviour,
            output: parts.output.clone(),
        })
    }

    fn start(&mut self, parts: &Parts) -> Result<(), ImageError> {
        match self.client.restore(&mut self.body.all(), &mut self.storage) {
            Err(RecordError::Damaged(object)) => tracing::error!(
                object,
                "the stored record of this object is damaged; what the settings say holds in its place"
            ),
            other => other?,
        }
        self.follow_settings(parts)?;
        self.persist()?;
        self.open_links();
        let now = self.clock.now();
        self.client.set_utc(now, (now.as_millis() / 1000) as i64);
        self.client.start(now, &mut self.body.all());
        if matches!(self.behaviour, Behaviour::Good | Behaviour::FailSelfTest) {
            // A download that a power cut broke off goes on.
            self.begin_download(now)?;
        }
        Ok(())
    }

    /// The settings say where the server is, unless a bootstrap server does: then its word holds. What servers wrote holds in any case.
    fn follow_settings(&mut self, parts: &Parts) -> Result<(), ImageError> {
        let settings = &parts.settings;
        let mut servers = self.client.servers();
        let known = servers.find(|(_, _, server)| server.short_server_id == SHORT_SERVER_ID);
        let Some((_, security, server)) = known else { return Ok(()) };
        let (security, server) = (*security, *server);
        drop(servers);
        if let Some(given) = settings.lifetime
            && given != server.lifetime
        {
            self.show(kept("--lifetime", &format!("{given} s"), &format!("{} s", server.lifetime)));
        }
        let Accounts { server: Some(account), bootstrap, .. } = &settings.accounts else { return Ok(()) };
        let is_same = Account { instance: 0, short_server_id: 0, ..security } == *account;
        if is_same {
            return Ok(());
        }
        if bootstrap.is_some() {
            self.show(kept("--server", account.uri.as_str(), security.uri.as_str()));
            return Ok(());
        }
        self.client.add_server(named(*account), server)?;
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), ImageError> {
        let now = self.clock.now();
        match input {
            Input::Received(number, bytes) => {
                self.body.statistics.count_received(bytes.len());
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
            Input::Http(..) | Input::PowerOff => {}
        }
        Ok(())
    }

    fn take_message(&mut self, now: Instant, slot: ServerSlot, message: &[u8]) -> Result<(), ImageError> {
        let is_fetched =
            |it: &Fetching| matches!(it.over, Over::Server(of) if of == slot) && it.fetch.expects(message);
        if self.fetch.as_ref().is_some_and(is_fetched) {
            self.take_fetched(now, message);
            return Ok(());
        }
        let mut out = [0; MTU];
        let length = self.client.handle_datagram(now, slot, message, &mut self.body.all(), &mut out);
        // Nothing is acknowledged before it is safe.
        self.persist()?;
        self.send(now, slot, &out[..length]);
        Ok(())
    }

    /// Sends what is due and does what the engine asks for, until neither is left or the image ends.
    fn settle(&mut self, now: Instant) -> Result<ControlFlow<Exit>, ImageError> {
        self.client.handle_timeout(now, &mut self.body.all());
        let mut out = [0; MTU];
        loop {
            let transmit = self.client.poll_transmit(now, &mut self.body.all(), &mut out);
            self.persist()?;
            if let Some(transmit) = transmit {
                self.send(now, transmit.server, &out[..transmit.length]);
                continue;
            }
            self.drive_fetch(now);
            self.settle_links(now);
            if let Some((slot, event)) = self.unreachable.pop() {
                self.show(event);
                self.client.set_unreachable(now, slot, &mut self.body.all());
                continue;
            }
            let Some(event) = self.client.poll_event() else { break };
            if let ControlFlow::Break(exit) = self.event(now, event)? {
                // After a reset nothing of before may be there.
                if exit != Exit::FactoryReset {
                    self.persist()?;
                }
                return Ok(ControlFlow::Break(exit));
            }
        }
        if let Some(on) = self.body.switched() {
            self.show(DeviceEvent::Light { on });
        }
        self.tell_progress();
        self.tell_result();
        Ok(ControlFlow::Continue(()))
    }

    fn event(&mut self, now: Instant, event: Event) -> Result<ControlFlow<Exit>, ImageError> {
        match event {
            Event::Registered(slot) => {
                let location =
                    self.client.location(slot).map(|location| location.to_string()).unwrap_or_default();
                self.show(DeviceEvent::Registered { location });
                return self.prove(now);
            }
            Event::RegistrationUpdated(_) => self.show(DeviceEvent::Updated),
            Event::BootstrapStarted => self.show(DeviceEvent::BootstrapStarted),
            Event::BootstrapFinished => {
                self.show(DeviceEvent::Bootstrapped);
                self.open_links();
            }
            Event::BootstrapFailed(failure) => self.show(DeviceEvent::BootstrapFailed(failure)),
            Event::BootstrapAccountExpired => self.open_links(),
            Event::RegistrationFailed(_, failure) => self.show(DeviceEvent::RegisterFailed(failure)),
            Event::Deregistered(_) => self.show(DeviceEvent::Deregistered),
            Event::Reboot(_) => {
                self.park_links();
                return Ok(ControlFlow::Break(Exit::Reboot));
            }
            Event::FactoryReset => {
                self.storage.wipe().map_err(ImageError::State)?;
                return Ok(ControlFlow::Break(Exit::FactoryReset));
            }
            Event::DownloadRequested => self.begin_download(now)?,
            Event::DownloadCancelled => {
                self.fetch = None;
                self.http_fetch += 1;
                self.show(DeviceEvent::DownloadCancelled);
            }
            other => tracing::debug!(?other, "event"),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn persist(&mut self) -> Result<(), ImageError> {
        Ok(self.client.persist(&mut self.body.all(), &mut self.storage)?)
    }

    fn show(&self, event: DeviceEvent) {
        self.output.show(&event);
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

/// An account of the settings has the short id of their server.
fn named(account: Account) -> Account {
    Account { short_server_id: SHORT_SERVER_ID, ..account }
}

fn kept(setting: &'static str, given: &str, kept: &str) -> DeviceEvent {
    DeviceEvent::Kept { setting, given: given.to_owned(), kept: kept.to_owned() }
}
