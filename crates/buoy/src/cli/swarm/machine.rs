//! One device of a swarm: the engine and its objects, as on a chip.

use std::time::Duration;

use buoy_client::objects::{Device, LightControl, Temperature, Time};
use buoy_client::{Client, ClientConfig, Event, Object, Security, Server, ServerSlot};
use buoy_coap::time::Instant;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Args;

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
    pub(super) fn new(args: &Args, endpoint: &str, rng: &mut ChaCha12Rng) -> anyhow::Result<Self> {
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

    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: &[u8], out: &mut [u8]) -> usize {
        with_objects!(self, |client, objects| client.handle_datagram(now, SERVER, datagram, objects, out))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if now >= self.next_measurement {
            self.next_measurement = now + self.measure_every;
            self.celsius += 0.25;
            let mut context = self.client.context(now);
            self.temperature.set(&mut context, 0, self.celsius);
        }
        with_objects!(self, |client, objects| client.handle_timeout(now, objects));
    }

    pub(super) fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let out = out.get_mut(..MTU).unwrap_or_default();
        with_objects!(self, |client, objects| client.poll_transmit(now, objects, out))
            .map_or(0, |transmit| transmit.length)
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.client.poll_event()
    }

    pub(super) fn next_deadline(&self) -> Instant {
        let measurement =
            if self.state == State::Registered { self.next_measurement } else { Instant::NEVER };
        self.client.poll_timeout().unwrap_or(Instant::NEVER).min(measurement)
    }
}
