//! Many devices at once, each with a loopback address of its own, as cheap as they can be: messages are made and read, and nothing else.
//!
//! In a closed loop so many exchanges are under way at once, and each answer lets the next request go. At a rate, requests go by the
//! clock whether answers come or not, and times count from when a request should have gone.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_sim::crowd::Crowd;

use crate::measured::Measured;

/// How names of devices start.
const PREFIX: &str = "bench";
/// Seven objects, as in the comparison's conditions.
const OBJECTS: &str = "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542 11543\",</1/0>,</3/0>,</4/0>,</5/0>,</6/0>,</3303/0>,</3311/0>";
/// A request without an answer is sent again after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// So often, and then the measurement fails.
const MOST_REPEATS: u64 = 50_000;
/// At a rate, each device has so many turns.
const ROUNDS_AT_RATE: usize = 4;
/// At a rate, no more than this may be late.
const MOST_OPEN: usize = 20_000;

/// The devices.
pub(crate) struct Devices {
    server: SocketAddrV4,
    crowd: Crowd,
    all: Vec<Device>,
    /// Those that wait for nothing, in the order of their turns.
    idle: VecDeque<usize>,
    prefix: &'static str,
    /// Of how many kinds they are; each kind has an object of its own.
    kinds: u32,
}

/// What a device knows.
#[derive(Clone, Default)]
pub(crate) struct Device {
    message_id: u16,
    /// The last segment of its registration's location.
    location: Vec<u8>,
    /// Of its observation.
    token: Vec<u8>,
    observed: u32,
    /// When the exchange under way began.
    began: Option<Instant>,
}

/// Which exchange is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exchange {
    Echo,
    Register,
    Update,
    Notify,
    /// As [`Exchange::Notify`], but nobody waits for an answer.
    Stream,
}

impl Exchange {
    fn is_notification(self) -> bool {
        matches!(self, Self::Notify | Self::Stream)
    }
}

impl Devices {
    pub(crate) fn new(server: SocketAddrV4, count: u32) -> Result<Self> {
        let all = vec![Device::default(); count as usize];
        Ok(Self {
            server,
            crowd: Crowd::bind()?,
            idle: (0..all.len()).collect(),
            all,
            prefix: PREFIX,
            kinds: 1,
        })
    }

    /// From now on they are of so many kinds.
    pub(crate) fn of_kinds(self, kinds: u32) -> Self {
        Self { kinds, ..self }
    }

    /// Of all their addresses.
    pub(crate) fn port(&self) -> Result<u16> {
        Ok(self.crowd.port()?)
    }

    /// From now on these are other devices, as far as their names go.
    pub(crate) fn rename(&mut self, prefix: &'static str) {
        self.prefix = prefix;
    }

    /// Sends what Register sends to a server that sends it back.
    pub(crate) fn echo(&mut self, window: usize) -> Result<Measured> {
        let count = self.all.len() * 2;
        self.closed_loop(Exchange::Echo, count, window)
    }

    /// Registers every device.
    pub(crate) fn register(&mut self, window: usize) -> Result<Measured> {
        self.closed_loop(Exchange::Register, self.all.len(), window)
    }

    /// Renews every registration, so many times.
    pub(crate) fn update(&mut self, window: usize, rounds: u32) -> Result<Measured> {
        self.closed_loop(Exchange::Update, self.all.len() * rounds as usize, window)
    }

    /// Sends confirmable notifications of the observations that [`Devices::serve`] took up.
    pub(crate) fn notify(&mut self, window: usize, count: u32) -> Result<Measured> {
        ensure!(self.all.iter().all(|device| !device.token.is_empty()), "some devices are not observed");
        self.closed_loop(Exchange::Notify, count as usize, window)
    }

    /// Sends non-confirmable notifications, so many a second, for so long. How many they were.
    pub(crate) fn stream(&mut self, rate: f64, duration: Duration) -> Result<u64> {
        let started = Instant::now();
        let mut sent = 0u64;
        while started.elapsed() < duration {
            let due = (started.elapsed().as_secs_f64() * rate) as u64;
            // The clock is looked at once a batch; a generator that cannot keep up sends less, and says so by the count.
            for _ in 0..due.saturating_sub(sent).min(64) {
                let number = sent as usize % self.all.len();
                self.send(Exchange::Stream, number, started);
                sent += 1;
            }
            self.crowd.flush();
            if due <= sent {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        self.all.iter_mut().for_each(|device| device.began = None);
        Ok(sent)
    }

    /// Registers every device again, so many a second.
    pub(crate) fn register_again_at(&mut self, rate: f64) -> Result<Measured> {
        self.at_rate(Exchange::Register, rate)
    }

    /// Renews every registration, so many a second.
    pub(crate) fn update_at(&mut self, rate: f64) -> Result<Measured> {
        self.at_rate(Exchange::Update, rate)
    }

    /// The same as often as it takes to go on for so long.
    pub(crate) fn update_at_for(&mut self, rate: f64, at_least: Duration) -> Result<Measured> {
        let mut all = self.update_at(rate)?;
        while all.elapsed < at_least {
            all = all.and(&self.update_at(rate)?);
        }
        Ok(all)
    }

    fn closed_loop(&mut self, exchange: Exchange, count: usize, window: usize) -> Result<Measured> {
        let mut measured = Measured::new();
        let started = Instant::now();
        let (mut sent, mut done) = (0, 0);
        let mut last_look = started;
        while done < count {
            while sent < count && sent - done < window {
                let Some(number) = self.idle.pop_front() else { break };
                self.send(exchange, number, Instant::now());
                sent += 1;
            }
            done += self.step(exchange, Duration::from_millis(100), &mut last_look, &mut measured)?;
        }
        measured.elapsed = started.elapsed();
        Ok(measured)
    }

    fn at_rate(&mut self, exchange: Exchange, rate: f64) -> Result<Measured> {
        let mut measured = Measured::new();
        let started = Instant::now();
        // Long enough that a single hiccup of the disk is not all that the 99th percentile sees.
        let count = self.all.len() * ROUNDS_AT_RATE;
        let (mut sent, mut done) = (0, 0);
        let mut last_look = started;
        while done < count {
            let due = ((started.elapsed().as_secs_f64() * rate) as usize).min(count);
            ensure!(due - done < MOST_OPEN, "the server does not keep up with {rate:.0} a second");
            while sent < due {
                let should_go = started + Duration::from_secs_f64(sent as f64 / rate);
                let Some(number) = self.idle.pop_front() else { break };
                self.send(exchange, number, should_go);
                sent += 1;
            }
            done += self.step(exchange, Duration::from_millis(1), &mut last_look, &mut measured)?;
        }
        measured.elapsed = started.elapsed();
        Ok(measured)
    }

    /// Sends what is to go, and takes the answers that come within `wait`; how many they were.
    fn step(
        &mut self,
        exchange: Exchange,
        wait: Duration,
        last_look: &mut Instant,
        measured: &mut Measured,
    ) -> Result<usize> {
        self.crowd.flush();
        self.crowd.wait(wait)?;
        let done = self.take(exchange, measured)?;
        if last_look.elapsed() > PATIENCE {
            *last_look = Instant::now();
            self.repeat_lost(exchange, measured)?;
        }
        Ok(done)
    }

    fn send(&mut self, exchange: Exchange, number: usize, began: Instant) {
        let names = (self.prefix, self.kinds);
        let device = &mut self.all[number];
        device.message_id = device.message_id.wrapping_add(1);
        device.began = Some(began);
        if exchange.is_notification() {
            device.observed += 1;
        }
        let from = Crowd::address(number as u32);
        self.crowd.send(from, self.server, |buffer| write(exchange, names, number, device, buffer));
    }

    fn repeat_lost(&mut self, exchange: Exchange, measured: &mut Measured) -> Result<()> {
        let names = (self.prefix, self.kinds);
        for (number, device) in self.all.iter().enumerate() {
            if device.began.is_some_and(|began| began.elapsed() > PATIENCE) {
                measured.repeated += 1;
                let from = Crowd::address(number as u32);
                self.crowd.send(from, self.server, |buffer| write(exchange, names, number, device, buffer));
            }
        }
        ensure!(measured.repeated < MOST_REPEATS, "the server loses too many requests");
        Ok(())
    }

    /// Takes the answers that are there; how many they were.
    fn take(&mut self, exchange: Exchange, measured: &mut Measured) -> Result<usize> {
        let mut done = 0;
        while self.crowd.receive()? > 0 {
            let now = Instant::now();
            for (to, _, datagram) in self.crowd.datagrams() {
                let number = Crowd::number(to) as usize;
                let Some(device) = self.all.get_mut(number) else { continue };
                let message = Message::parse(datagram).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                if message.message_id() != device.message_id || device.began.is_none() {
                    continue;
                }
                match (exchange, message.code()) {
                    (Exchange::Echo, _) | (Exchange::Update, Code::CHANGED) => {}
                    (Exchange::Notify, Code::EMPTY) if message.kind() == Kind::Acknowledgement => {}
                    (Exchange::Register, Code::CREATED) => {
                        device.location =
                            message.values(OptionNumber::LOCATION_PATH).last().unwrap_or_default().to_vec();
                    }
                    (_, code) => bail!("{to} was answered {code}"),
                }
                measured.record(now - device.began.take().unwrap_or(now));
                self.idle.push_back(number);
                done += 1;
            }
        }
        Ok(done)
    }

    /// Answers reads and observations in a thread until it is stopped.
    pub(crate) fn serve(mut self) -> Serving {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || -> Result<Self> {
            while !stopped.load(Ordering::Relaxed) {
                self.crowd.wait(Duration::from_millis(20))?;
                while self.crowd.receive()? > 0 {
                    self.answer_batch();
                }
            }
            Ok(self)
        });
        Serving { stop, thread }
    }

    fn answer_batch(&mut self) {
        let mut answers: Vec<(Ipv4Addr, SocketAddrV4, [u8; 128], usize)> = Vec::new();
        for (to, asking, datagram) in self.crowd.datagrams() {
            let Some(device) = self.all.get_mut(Crowd::number(to) as usize) else { continue };
            let (SocketAddr::V4(asking), Ok(request)) = (asking, Message::parse(datagram)) else { continue };
            if request.code() != Code::GET {
                continue;
            }
            let mut answer = [0; 128];
            let observe = request.value(OptionNumber::OBSERVE).is_some();
            if observe {
                device.token = request.token().to_vec();
            }
            let header = Header {
                kind: Kind::Acknowledgement,
                code: Code::CONTENT,
                message_id: request.message_id(),
                token: request.token(),
            };
            let mut writer = MessageWriter::new(&mut answer, header);
            if observe {
                writer.uint(OptionNumber::OBSERVE, device.observed);
            }
            writer.content_format(ContentFormat::TEXT);
            let length = writer.payload(b"21.5").finish().unwrap_or(0);
            answers.push((to, asking, answer, length));
        }
        for (from, asking, answer, length) in answers {
            self.crowd.send(from, asking, |buffer| {
                buffer[..length].copy_from_slice(&answer[..length]);
                length
            });
        }
        self.crowd.flush();
    }
}

/// Devices that answer.
pub(crate) struct Serving {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Devices>>,
}

impl Serving {
    pub(crate) fn stop(self) -> Result<Devices> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| bail!("the devices' thread failed"))
    }
}

impl Device {
    /// The next request is another one than the last.
    pub(crate) fn next_message(&mut self) {
        self.message_id = self.message_id.wrapping_add(1);
    }

    /// The next request is a Register.
    pub(crate) fn forget_registration(&mut self) {
        self.location.clear();
    }

    /// Writes a Register, or an Update if the device is registered; how long it is.
    pub(crate) fn write_next(&self, number: usize, buffer: &mut [u8]) -> usize {
        let exchange = if self.location.is_empty() { Exchange::Register } else { Exchange::Update };
        write(exchange, (PREFIX, 1), number, self, buffer)
    }

    /// Whether a message answers that.
    pub(crate) fn takes(&mut self, answer: &[u8]) -> Result<bool> {
        let message = Message::parse(answer).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        if message.message_id() != self.message_id {
            return Ok(false);
        }
        match message.code() {
            Code::CREATED => {
                self.location =
                    message.values(OptionNumber::LOCATION_PATH).last().unwrap_or_default().to_vec();
                Ok(true)
            }
            Code::CHANGED => Ok(true),
            code => bail!("a Register or an Update was answered {code}"),
        }
    }
}

/// The name of a device that was not renamed.
pub(crate) fn endpoint(number: usize) -> String {
    format!("{PREFIX}-{number:07}")
}

fn write(
    exchange: Exchange,
    (prefix, kinds): (&str, u32),
    number: usize,
    device: &Device,
    buffer: &mut [u8],
) -> usize {
    let own = (number as u32).to_be_bytes();
    let (code, token) = match exchange.is_notification() {
        true => (Code::CONTENT, &device.token[..]),
        false => (Code::POST, &own[..]),
    };
    let kind = if exchange == Exchange::Stream { Kind::NonConfirmable } else { Kind::Confirmable };
    let header = Header { kind, code, message_id: device.message_id, token };
    let mut writer = MessageWriter::new(buffer, header);
    match exchange {
        Exchange::Echo | Exchange::Register => {
            writer.option(OptionNumber::URI_PATH, b"rd").content_format(ContentFormat::LINK);
            let endpoint = format!("ep={prefix}-{number:07}");
            for query in [&endpoint, "lt=86400", "lwm2m=1.1", "b=U"] {
                writer.option(OptionNumber::URI_QUERY, query.as_bytes());
            }
            match kinds {
                1 => writer.payload(OBJECTS.as_bytes()),
                _ => writer.payload(format!("{OBJECTS},</{}/0>", 3400 + number as u32 % kinds).as_bytes()),
            };
        }
        Exchange::Update => {
            writer.option(OptionNumber::URI_PATH, b"rd").option(OptionNumber::URI_PATH, &device.location);
        }
        Exchange::Notify | Exchange::Stream => {
            writer.uint(OptionNumber::OBSERVE, device.observed).content_format(ContentFormat::TEXT);
            writer.payload(b"21.5");
        }
    }
    writer.finish().unwrap_or(0)
}
