//! One device of a swarm: the engine and its objects, as on a chip, and its session.

use std::collections::VecDeque;
use std::time::Duration;

use buoy_client::objects::{Device, LightControl, Temperature, Time};
use buoy_client::{Client, ClientConfig, Event, Object, Security, Server, ServerSlot};
use buoy_coap::time::Instant;
use buoy_dtls::Context;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::args::Args;
use super::keys::Keys;
use super::report::Report;
use crate::cli::tunnel::{News, Tunnel};

/// The largest datagram of a device.
pub(super) const MTU: usize = 720;
const SERVER: ServerSlot = ServerSlot(0);

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
    client: Client<ChaCha12Rng, 1, 8, MTU, 1024>,
    device: Device,
    light: LightControl<1>,
    temperature: Temperature<1>,
    time: Time,
    measure_every: Duration,
    next_measurement: Instant,
    celsius: f64,
    way: Way,
    pub(super) state: State,
    /// The timer that counts.
    pub(super) scheduled: Instant,
    pub(super) open: Open,
}

/// Runs `$act` with the client and the list of all objects.
macro_rules! with_objects {
    ($machine:expr, |$client:ident, $objects:ident| $act:expr) => {{
        let Machine { client: $client, device, light, temperature, time, .. } = $machine;
        let $objects: &mut [&mut dyn Object] = &mut [device, light, temperature, time];
        $act
    }};
}

impl Machine {
    pub(super) fn new(
        args: &Args,
        endpoint: &str,
        keys: Option<&Keys>,
        rng: &mut ChaCha12Rng,
    ) -> anyhow::Result<Self> {
        let secured = |config| Secured { config, tunnel: Tunnel::default(), handshake_began: Instant::ZERO };
        let way = match keys {
            Some(keys) => Way::Secured(Box::new(secured(keys.config(endpoint)?))),
            None => Way::Plain(VecDeque::new()),
        };
        let mut config = ClientConfig::new(endpoint)
            .map_err(|_| anyhow::anyhow!("{endpoint} is no endpoint name: it must have 1 to 64 bytes"))?;
        config.queue_mode = args.queue;
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let mut client = Client::new(config, ChaCha12Rng::from_seed(seed));
        let security = Security::none(&args.server).map_err(|_| anyhow::anyhow!("--server is too long"))?;
        client
            .add_server(Security { short_server_id: 1, ..security }, Server::new(1, args.lifetime))
            .map_err(|_| anyhow::anyhow!("there is no room for a server account"))?;
        let mut device = Device::new("Buoy", "Swarm", endpoint, "1.0.0");
        device.set_queue_mode(args.queue);
        Ok(Self {
            client,
            device,
            light: LightControl::new(),
            temperature: Temperature::new(20.0, Some((-40.0, 85.0))),
            time: Time::new(),
            measure_every: Duration::from_secs(args.measure.max(1)),
            next_measurement: Instant::NEVER,
            celsius: 20.0,
            way,
            state: State::Idle,
            scheduled: Instant::NEVER,
            open: None,
        })
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.state = State::Busy;
        self.next_measurement = now + self.measure_every;
        self.client.set_utc(now, (now.as_millis() / 1000) as i64);
        with_objects!(self, |client, objects| client.start(now, objects));
    }

    /// Whether there is something to take back.
    pub(super) fn deregister(&mut self, now: Instant) -> bool {
        let was_registered = self.state == State::Registered;
        if was_registered {
            self.state = State::Busy;
            with_objects!(self, |client, objects| client.deregister(now, SERVER, objects));
        }
        was_registered
    }

    /// Forgets the session and sends an Update, if there is a registration.
    pub(super) fn resume(&mut self, now: Instant) -> bool {
        let was_registered = self.state == State::Registered;
        if let (Way::Secured(secured), true) = (&mut self.way, was_registered) {
            secured.tunnel.renew();
            self.state = State::Busy;
            with_objects!(self, |client, objects| client.update_registration(now, SERVER, objects));
        }
        was_registered && self.state == State::Busy
    }

    /// Takes a datagram from the server.
    pub(super) fn take(
        &mut self,
        now: Instant,
        rng: &mut ChaCha12Rng,
        datagram: &mut [u8],
        report: &mut Report,
    ) {
        match &mut self.way {
            Way::Plain(_) => self.take_message(now, rng, datagram, report),
            Way::Secured(secured) => {
                let Secured { config, tunnel, .. } = &mut **secured;
                let mut messages = Vec::new();
                let mut context = Context::new(now, rng);
                tunnel.receive(config, &mut context, datagram, |data| messages.push(data.to_vec()));
                messages.iter().for_each(|message| self.take_message(now, rng, message, report));
            }
        }
    }

    fn take_message(&mut self, now: Instant, rng: &mut ChaCha12Rng, message: &[u8], report: &mut Report) {
        report.received(self, now, message);
        let mut out = [0; MTU];
        let length = with_objects!(self, |client, objects| {
            client.handle_datagram(now, SERVER, message, objects, &mut out)
        });
        self.send(now, rng, &out[..length]);
    }

    /// Queues a message for [`Machine::poll_transmit`].
    fn send(&mut self, now: Instant, rng: &mut ChaCha12Rng, message: &[u8]) {
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
    pub(super) fn prepare(&mut self, now: Instant, rng: &mut ChaCha12Rng, report: &mut Report) {
        let mut out = [0; MTU];
        while let Some(transmit) =
            with_objects!(self, |client, objects| client.poll_transmit(now, objects, &mut out))
        {
            let message = &out[..transmit.length];
            report.sent(self, now, message);
            self.send(now, rng, message);
        }
        let Way::Secured(secured) = &mut self.way else { return };
        while let Some(news) = secured.tunnel.poll_news() {
            match news {
                News::Started => {
                    secured.handshake_began = now;
                    report.handshake_began();
                }
                News::Connected { resumed } => report.handshake_done(resumed, now - secured.handshake_began),
                News::GivenUp => report.handshake_given_up(),
                News::Failed(failure) => {
                    report.handshake_failed(&failure);
                    with_objects!(self, |client, objects| client.set_unreachable(now, SERVER, objects));
                    return;
                }
                News::Ended => report.session_ended(),
            }
        }
    }

    /// Ends the session, unless something is still to be said in it.
    pub(super) fn hang_up(&mut self) {
        if let (Way::Secured(secured), State::Idle) = (&mut self.way, self.state) {
            secured.tunnel.close();
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Way::Secured(secured) = &mut self.way
            && secured.tunnel.next_timeout().is_some_and(|at| at <= now)
        {
            secured.tunnel.handle_timeout(now);
        }
        if now >= self.next_measurement {
            self.next_measurement = now + self.measure_every;
            self.celsius += 0.25;
            let mut context = self.client.context(now);
            self.temperature.set(&mut context, 0, self.celsius);
        }
        with_objects!(self, |client, objects| client.handle_timeout(now, objects));
    }

    /// Writes the next datagram for the server; 0 if there is none.
    pub(super) fn poll_transmit(&mut self, out: &mut [u8]) -> usize {
        match &mut self.way {
            Way::Plain(waiting) => waiting.pop_front().map_or(0, |message| {
                out[..message.len()].copy_from_slice(&message);
                message.len()
            }),
            Way::Secured(secured) => secured.tunnel.poll_transmit(out).unwrap_or(0),
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.client.poll_event()
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let measurement =
            if self.state == State::Registered { self.next_measurement } else { Instant::NEVER };
        let handshake = match &self.way {
            Way::Plain(_) => None,
            Way::Secured(secured) => secured.tunnel.next_timeout(),
        };
        let own = self.client.poll_timeout().into_iter().chain(handshake).min();
        own.unwrap_or(Instant::NEVER).min(measurement)
    }
}
