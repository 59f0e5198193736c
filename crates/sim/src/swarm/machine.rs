//! One device of a swarm: the engine and its objects, as on a chip, and its session.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

use buoy_client::objects::{Device, LightControl, Temperature, Time};
use buoy_client::{
    Client, ClientConfig, ConfigError, Event, Object, Security, Server, ServerSlot, Shape, UpTo,
};
use buoy_dtls::Context;
use buoy_time::Instant;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

use super::firmware::{FACTORY_VERSION, Firmware};
use super::measure::Measure;
use super::pace::Link;
use super::settings::{SwarmError, SwarmSettings};
use crate::random::Rng;
use crate::tunnel::{News as SessionNews, Tunnel, is_confirmable};

/// The largest datagram of a device.
pub(super) const MTU: usize = 720;
const SERVER: ServerSlot = ServerSlot(0);

/// The shape of a device of a swarm: they are many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Small;

impl Shape for Small {
    type Servers = UpTo<1>;
    type Observations = UpTo<8>;
    type Attributes = UpTo<4>;
    type Outgoing = UpTo<MTU>;
    type Body = UpTo<1024>;
    type Kept = UpTo<384>;
    type Key = UpTo<96>;
    type Location = UpTo<544>;
}

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not yet started, or done.
    Idle,
    /// It registers or deregisters.
    Busy,
    /// The server has it.
    Registered,
}

/// How datagrams go to the server and come from it.
enum Way {
    /// As they are; these wait to be sent.
    Plain(VecDeque<Box<[u8]>>),
    Secured(Box<Secured>),
}

struct Secured {
    config: buoy_dtls::config::ClientConfig,
    tunnel: Tunnel,
    handshake_began: Instant,
}

/// An exchange that waits for its answer: its message id, when it began, and of which kind it is.
pub(super) type Open = Option<(u16, Instant, usize)>;

pub(super) struct Machine {
    client: Client<Rng, Small>,
    config: ClientConfig,
    lifetime: u32,
    body: Body,
    measure_every: Duration,
    next_measurement: Instant,
    celsius: f64,
    way: Way,
    link: Link,
    /// It falls silent when it has registered.
    falls_silent: bool,
    pub(super) state: State,
    /// The timer that counts.
    pub(super) scheduled: Instant,
    pub(super) open: Open,
}

/// The objects of a device.
struct Body {
    device: Device,
    light: LightControl<1>,
    temperature: Temperature<1>,
    time: Time,
    /// Of devices that take updates.
    firmware: Option<Box<Firmware>>,
}

impl Body {
    fn with_all<T>(&mut self, act: impl FnOnce(&mut [&mut dyn Object]) -> T) -> T {
        let Self { device, light, temperature, time, firmware } = self;
        match firmware {
            Some(firmware) => act(&mut [device, light, temperature, time, firmware.object()]),
            None => act(&mut [device, light, temperature, time]),
        }
    }
}

impl Machine {
    pub(super) fn new(settings: &SwarmSettings, endpoint: &str, rng: &mut Rng) -> Result<Self, SwarmError> {
        let way = match &settings.keys {
            Some(keys) => {
                let refused = |error| SwarmError::Keys { endpoint: endpoint.to_owned(), error };
                let config = keys.config(endpoint).map_err(refused)?;
                let tunnel = Tunnel::new(is_confirmable);
                Way::Secured(Box::new(Secured { config, tunnel, handshake_began: Instant::ZERO }))
            }
            None => Way::Plain(VecDeque::new()),
        };
        let refused = |error| SwarmError::Config { endpoint: endpoint.to_owned(), error };
        let mut config = ClientConfig::new(endpoint).map_err(refused)?;
        config.queue_mode = settings.queue_mode;
        let client = engine(config, settings.lifetime, rng).map_err(refused)?;
        Ok(Self {
            client,
            config,
            lifetime: settings.lifetime,
            body: Body {
                device: device(&config, FACTORY_VERSION),
                light: LightControl::new(),
                temperature: Temperature::new(20.0, Some((-40.0, 85.0))),
                time: Time::new(),
                firmware: settings.takes_updates.then(|| Box::new(Firmware::new(settings))),
            },
            measure_every: settings.measure_every.max(Duration::from_secs(1)),
            next_measurement: Instant::NEVER,
            celsius: 20.0,
            way,
            link: Link::new(settings.link),
            falls_silent: settings.falls_silent(endpoint),
            state: State::Idle,
            scheduled: Instant::NEVER,
            open: None,
        })
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.state = State::Busy;
        self.next_measurement = now + self.measure_every;
        self.client.set_utc(now, (now.as_millis() / 1000) as i64);
        let client = &mut self.client;
        self.body.with_all(|all| client.start(now, all));
    }

    /// Whether nothing more is heard of it.
    fn is_silent(&self) -> bool {
        self.falls_silent && self.state == State::Registered
    }

    /// Whether there is something to take back.
    pub(super) fn deregister(&mut self, now: Instant) -> bool {
        let was_registered = self.state == State::Registered && !self.is_silent();
        if was_registered {
            self.state = State::Busy;
            let client = &mut self.client;
            self.body.with_all(|all| client.deregister(now, SERVER, all));
        }
        was_registered
    }

    /// Forgets the session and sends an Update, if there is a registration.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        let was_registered = self.state == State::Registered && !self.is_silent();
        if let (Way::Secured(secured), true) = (&mut self.way, was_registered) {
            secured.tunnel.renew();
            self.state = State::Busy;
            let client = &mut self.client;
            self.body.with_all(|all| client.update_registration(now, SERVER, all));
        }
        was_registered && self.state == State::Busy
    }

    /// Takes a datagram from the server.
    pub(super) fn take(&mut self, now: Instant, rng: &mut Rng, datagram: &mut [u8], measure: &mut Measure) {
        if self.is_silent() {
            return;
        }
        self.link.carry(now, datagram.len());
        match &mut self.way {
            Way::Plain(_) => self.take_message(now, rng, datagram, measure),
            Way::Secured(secured) => {
                let Secured { config, tunnel, .. } = &mut **secured;
                let mut messages = Vec::new();
                let mut context = Context::new(now, rng);
                tunnel.receive(config, &mut context, datagram, |data| messages.push(data.to_vec()));
                messages.iter().for_each(|message| self.take_message(now, rng, message, measure));
            }
        }
    }

    fn take_message(&mut self, now: Instant, rng: &mut Rng, message: &[u8], measure: &mut Measure) {
        measure.received(self, now, message);
        let mut out = [0; MTU];
        let length = match &mut self.body.firmware {
            Some(firmware) if firmware.expects(message) => {
                firmware.take(now, message, &mut self.client.context(now), &mut out)
            }
            _ => {
                let client = &mut self.client;
                self.body.with_all(|all| client.handle_datagram(now, SERVER, message, all, &mut out))
            }
        };
        self.send(now, rng, &out[..length]);
    }

    /// Queues a message for [`Machine::poll_transmit`].
    fn send(&mut self, now: Instant, rng: &mut Rng, message: &[u8]) {
        if message.is_empty() {
            return;
        }
        match &mut self.way {
            Way::Plain(waiting) => waiting.push_back(message.into()),
            Way::Secured(secured) => {
                let Secured { config, tunnel, .. } = &mut **secured;
                tunnel.send(now, config, &mut Context::new(now, rng), message);
            }
        }
    }

    /// Gets ready what the engine has to send, and counts it.
    pub(super) fn prepare(&mut self, now: Instant, rng: &mut Rng, measure: &mut Measure) {
        let mut out = [0; MTU];
        loop {
            let client = &mut self.client;
            let own = self.body.with_all(|all| client.poll_transmit(now, all, &mut out));
            let fetch = self.body.firmware.as_mut().filter(|_| own.is_none());
            let fetched = fetch.and_then(|it| it.poll_transmit(now, &mut client.context(now), &mut out));
            let Some(length) = own.map(|transmit| transmit.length).or(fetched) else { break };
            let message = &out[..length];
            measure.sent(self, now, message);
            self.send(now, rng, message);
        }
        let Way::Secured(secured) = &mut self.way else { return };
        while let Some(news) = secured.tunnel.poll_news() {
            match news {
                SessionNews::Started => {
                    secured.handshake_began = now;
                    measure.handshake_began();
                }
                SessionNews::Connected { resumed } => {
                    measure.handshake_done(resumed, now - secured.handshake_began)
                }
                SessionNews::GivenUp => measure.handshake_given_up(),
                SessionNews::Failed(failure) => {
                    measure.handshake_failed(&failure);
                    let client = &mut self.client;
                    self.body.with_all(|all| client.set_unreachable(now, SERVER, all));
                    return;
                }
                SessionNews::Ended => measure.session_ended(),
            }
        }
    }

    /// Ends the session, unless something is still to be said in it.
    pub(super) fn hang_up(&mut self) {
        if let (Way::Secured(secured), State::Idle) = (&mut self.way, self.state) {
            secured.tunnel.close();
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, settings: &SwarmSettings, rng: &mut Rng) {
        if self.is_silent() {
            return;
        }
        if self.body.firmware.as_ref().is_some_and(|firmware| firmware.reboots_at <= now) {
            return self.reboot(now, settings, rng);
        }
        if let Way::Secured(secured) = &mut self.way
            && secured.tunnel.next_timeout().is_some_and(|at| at <= now)
        {
            secured.tunnel.handle_timeout(now);
        }
        if now >= self.next_measurement {
            self.next_measurement = now + self.measure_every;
            self.celsius += 0.25;
            let mut context = self.client.context(now);
            self.body.temperature.set(&mut context, 0, self.celsius);
        }
        let client = &mut self.client;
        self.body.with_all(|all| client.handle_timeout(now, all));
    }

    /// All is forgotten but the session and what lies in the flash.
    fn reboot(&mut self, now: Instant, settings: &SwarmSettings, rng: &mut Rng) {
        let Ok(client) = engine(self.config, self.lifetime, rng) else { return };
        self.client = client;
        self.body.firmware = self
            .body
            .firmware
            .take()
            .map(|firmware| Box::new(firmware.rebooted(settings, self.config.endpoint.as_str())));
        let version = self.body.firmware.as_ref().map_or(FACTORY_VERSION, |firmware| firmware.version());
        self.body.device = device(&self.config, version);
        self.open = None;
        self.start(now);
    }

    /// Writes the next datagram for the server; 0 if there is none.
    pub(super) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        if !self.link.is_free(now) {
            return 0;
        }
        let length = match &mut self.way {
            Way::Plain(waiting) => waiting.pop_front().map_or(0, |message| {
                out[..message.len()].copy_from_slice(&message);
                message.len()
            }),
            Way::Secured(secured) => secured.tunnel.poll_transmit(out).unwrap_or(0),
        };
        if length > 0 {
            self.link.carry(now, length);
        }
        length
    }

    /// What happened next. What concerns the firmware is done here.
    pub(super) fn poll_event(&mut self, now: Instant, server: SocketAddrV4, rng: &mut Rng) -> Option<News> {
        let event = self.client.poll_event()?;
        let Some(firmware) = &mut self.body.firmware else { return Some(News::Event(event)) };
        let mut context = self.client.context(now);
        match event {
            Event::Registered(_) if firmware.prove(&mut context) => return Some(News::Updated),
            Event::DownloadRequested => firmware.begin_download(&mut context, server, rng),
            Event::DownloadCancelled => firmware.cancel_download(),
            Event::Reboot(_) => firmware.reboot_soon(now),
            _ => {}
        }
        Some(News::Event(event))
    }

    pub(super) fn next_deadline(&self) -> Instant {
        if self.is_silent() {
            return Instant::NEVER;
        }
        let measurement =
            if self.state == State::Registered { self.next_measurement } else { Instant::NEVER };
        let handshake = match &self.way {
            Way::Plain(_) => None,
            Way::Secured(secured) => secured.tunnel.next_timeout(),
        };
        let own = self.client.poll_timeout().into_iter().chain(handshake).min();
        let firmware = self.body.firmware.as_ref().map_or(Instant::NEVER, |it| it.next_deadline());
        own.unwrap_or(Instant::NEVER).min(measurement).min(firmware).min(self.link.next_deadline())
    }
}

/// What a device says of itself to whoever measures.
pub(super) enum News {
    Event(Event),
    /// It has registered, which proved its new firmware.
    Updated,
}

fn engine(config: ClientConfig, lifetime: u32, rng: &mut Rng) -> Result<Client<Rng, Small>, ConfigError> {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let mut client = Client::new(config, Rng::from_seed(seed));
    // Whatever the account says, this shell decides where datagrams go, and how.
    let account = Security { short_server_id: 1, ..Security::default() };
    client.add_server(account, Server::new(1, lifetime))?;
    Ok(client)
}

fn device(config: &ClientConfig, version: &str) -> Device {
    let mut device = Device::new("Buoy", "Swarm", config.endpoint.as_str(), version);
    device.set_queue_mode(config.queue_mode);
    device
}
