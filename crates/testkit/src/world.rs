//! A server and its devices on one network.

use std::net::SocketAddr;
use std::time::Duration;

use buoy_client::{ClientConfig, Event, ServerSlot};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_lwm2m::attributes::{AttributeUpdate, Attributes};
use buoy_lwm2m::operation::{Content, Downlink as Typed, WriteMode};
use buoy_lwm2m::path::Path;
use buoy_server::{
    BootstrapLimits, Downlink, Durability, Failure, Intent, ObservationId, Peer, Reply, ShardConfig,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::bootstrap::BootstrapServer;
use crate::device::Device;
use crate::message::Datagram;
use crate::network::{Faults, Network, Packet};
use crate::server::Server;

/// The name of the first device.
pub const DEVICE: &str = "buoy-1";
/// The server as devices know it.
pub const ONLY_SERVER: ServerSlot = ServerSlot(0);
/// Where the server listens.
pub const SERVER_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5683);
/// Where the bootstrap server listens.
pub const BOOTSTRAP_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 5683);
/// How far the port of a device's downloads is from that of its registration.
const DOWNLOAD_PORT: u16 = 10_000;
/// How long a device takes to start again.
const BOOT_TIME: Duration = Duration::from_secs(3);
/// Steps after which a world that was to wait is taken to spin.
const MOST_STEPS: u32 = 1_000_000;

/// Everything there is.
pub struct World {
    /// What all of it comes from.
    pub seed: u64,
    /// The time.
    pub now: Instant,
    /// What lies between.
    pub network: Network,
    /// The server.
    pub server: Server,
    /// The bootstrap server, which knows no device at first.
    pub bootstrap: BootstrapServer,
    devices: Vec<Place>,
    rng: ChaCha8Rng,
    next_operation: u64,
}

/// A device and where it is.
struct Place {
    address: SocketAddr,
    device: Device,
    /// While it boots it neither hears nor says anything.
    boots_until: Option<Instant>,
}

/// An operation that ended: its first request and its last answer on the wire, and what the server made of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The first message of the server's.
    pub request: Datagram,
    /// The last message of the device's.
    pub answer: Datagram,
    /// What whoever asked is told.
    pub outcome: Result<Reply, Failure>,
}

impl World {
    /// A server, and a device that has not started, on a network without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(seed, ClientConfig::new(DEVICE).expect("a short name"))
    }

    /// The same with another configuration of the device.
    #[must_use]
    pub fn with(seed: u64, config: ClientConfig) -> Self {
        let mut world = Self::empty(seed);
        world.add_device(Device::new(config, &[buoy_client::Server::new(101, 300)], seed));
        world
    }

    /// Both servers, and a device that has not started and knows the bootstrap server alone.
    #[must_use]
    pub fn blank(seed: u64) -> Self {
        Self::blank_with(seed, ClientConfig::new(DEVICE).expect("a short name"))
    }

    /// The same with another configuration of the device.
    #[must_use]
    pub fn blank_with(seed: u64, config: ClientConfig) -> Self {
        let mut world = Self::empty(seed);
        world.add_device(Device::blank(config, seed));
        world
    }

    fn empty(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::from_millis(1_000_000),
            network: Network::new(Faults::none()),
            server: Server::new(ShardConfig::default()),
            bootstrap: BootstrapServer::new(BootstrapLimits::default()),
            devices: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            next_operation: 1,
        }
    }

    /// A world whose device has registered.
    #[must_use]
    pub fn registered() -> Self {
        let mut world = Self::new(7);
        world.start();
        world
    }

    /// The same with another configuration of the device.
    #[must_use]
    pub fn registered_with(config: ClientConfig) -> Self {
        let mut world = Self::with(7, config);
        world.start();
        world
    }

    /// Adds a device that has not started, at an address of its own.
    pub fn add_device(&mut self, device: Device) {
        let last = u8::try_from(self.devices.len() + 1).expect("fewer than 255 devices");
        let address = SocketAddr::from(([198, 51, 100, last], 5683));
        self.devices.push(Place { address, device, boots_until: None });
    }

    /// The first device.
    pub fn device(&mut self) -> &mut Device {
        &mut self.devices[0].device
    }

    /// The same to look at.
    #[must_use]
    pub fn first_device(&self) -> &Device {
        &self.devices[0].device
    }

    /// Where the first device is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.devices[0].address
    }

    /// Starts the first device, and waits until the server has it.
    pub fn start(&mut self) {
        let now = self.now;
        self.device().start(now);
        let registered = self.run_until(3600, |world| world.is_registered());
        assert!(registered, "seed {}: the device did not register", self.seed);
        self.wait(1);
    }

    /// Starts every device.
    pub fn start_all(&mut self) {
        let now = self.now;
        self.devices.iter_mut().for_each(|place| place.device.start(now));
        self.settle();
    }

    /// Whether server and device agree that the first device is registered.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        let device = &self.devices[0].device;
        let view = self.server.shard.registration(device.client.config().endpoint.as_str());
        view.is_some_and(|view| {
            device
                .client
                .location(ONLY_SERVER)
                .is_some_and(|location| location.to_string().ends_with(view.id()))
        })
    }

    /// Cuts the first device's power for a moment; it takes three seconds to start again.
    pub fn reboot_device(&mut self) {
        self.devices[0].boots_until = Some(self.now + BOOT_TIME);
    }

    /// Kills the server and starts it again.
    pub fn restart_server(&mut self) {
        let sent = self.server.restart(self.now);
        self.send_from_server(sent);
        self.settle();
    }

    /// Gives the first device another address, as a NAT does that forgets; what is under way to the old one is lost.
    pub fn move_device(&mut self) {
        let port = self.devices[0].address.port() + 1;
        self.devices[0].address.set_port(port);
    }

    /// Lets time pass, with everything that happens in it.
    pub fn wait(&mut self, seconds: u64) {
        self.run_until(seconds, |_| false);
    }

    /// Lets time pass until something is so, and says whether it became so within that many seconds.
    pub fn run_until(&mut self, seconds: u64, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + Duration::from_secs(seconds);
        self.settle();
        for _ in 0..MOST_STEPS {
            if is_so(self) {
                return true;
            }
            match self.next_deadline().filter(|at| *at <= end) {
                Some(at) => self.step(at),
                None => {
                    self.now = end;
                    return false;
                }
            }
        }
        panic!("seed {}: an engine spins at {:?}", self.seed, self.now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let devices = self.devices.iter().filter_map(Place::next_deadline);
        let bootstrap = self.bootstrap.shard.next_deadline();
        let others =
            [self.network.next_arrival(), self.server.next_deadline(), bootstrap].into_iter().flatten();
        devices.chain(others).min()
    }

    fn step(&mut self, at: Instant) {
        self.now = self.now.max(at);
        let now = self.now;
        if let Some(packet) = self.network.arrive(now) {
            self.deliver(&packet);
        }
        self.server.handle_timeout(now);
        self.bootstrap.handle_timeout(now);
        self.devices.iter_mut().for_each(|place| place.handle_timeout(now));
        self.settle();
    }

    fn deliver(&mut self, packet: &Packet) {
        let (now, bytes) = (self.now, &packet.datagram.bytes);
        if packet.to == SERVER_ADDRESS && self.server.unreachable {
            return;
        }
        if packet.to == SERVER_ADDRESS {
            let peer = Peer::plain(packet.from);
            self.server.shard.handle_datagram(now, peer, bytes, &mut self.server.outbox);
            return;
        }
        if packet.to == BOOTSTRAP_ADDRESS {
            self.bootstrap.handle_datagram(now, Peer::plain(packet.from), bytes);
            return;
        }
        let from = if packet.from == BOOTSTRAP_ADDRESS { ServerSlot::BOOTSTRAP } else { ONLY_SERVER };
        let mut answer = None;
        for Place { address, device, .. } in self.devices.iter_mut().filter(|place| place.is_on()) {
            if packet.to == *address {
                answer = device.handle_datagram(now, from, bytes).map(|sent| sent.datagram);
            } else if packet.to == download_address(*address) {
                answer = device.handle_download(now, bytes);
            }
        }
        if let Some(datagram) = answer {
            self.send(packet.to, packet.from, datagram);
        }
    }

    /// Sends and tells what the engines want sent and told.
    pub fn settle(&mut self) {
        let now = self.now;
        let sent = self.server.settle(now);
        self.send_from_server(sent);
        for (peer, bytes) in self.bootstrap.settle(now) {
            self.send(BOOTSTRAP_ADDRESS, peer.address, Datagram { bytes });
        }
        for index in 0..self.devices.len() {
            let Place { address, device, boots_until: None } = &mut self.devices[index] else { continue };
            let address = *address;
            let told = device.events.len();
            let sent = device.settle(now);
            let downloads = device.settle_download(now);
            let reboots = device.events[told..].iter().any(|event| matches!(event, Event::Reboot(_)));
            for message in sent {
                match message.server {
                    ONLY_SERVER => self.send(address, SERVER_ADDRESS, message.datagram),
                    ServerSlot::BOOTSTRAP => self.send(address, BOOTSTRAP_ADDRESS, message.datagram),
                    // A server that this world doesn't have.
                    _ => {}
                }
            }
            for datagram in downloads {
                self.send(download_address(address), SERVER_ADDRESS, datagram);
            }
            if reboots {
                self.devices[index].boots_until = Some(now + BOOT_TIME);
            }
        }
    }

    fn send_from_server(&mut self, sent: Vec<(Peer, Vec<u8>)>) {
        for (peer, bytes) in sent {
            self.send(SERVER_ADDRESS, peer.address, Datagram { bytes });
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: Datagram) {
        self.network.send(&mut self.rng, Packet { sent_at: self.now, from, to, datagram });
    }

    /// Everything that the first device has sent since the log was cleared.
    pub fn from_device(&self) -> impl Iterator<Item = &Datagram> {
        self.network.log.iter().filter(|packet| packet.from == self.address()).map(|packet| &packet.datagram)
    }

    /// Everything that the server has sent since the log was cleared.
    pub fn from_server(&self) -> impl Iterator<Item = &Datagram> {
        self.network.log.iter().filter(|packet| packet.from == SERVER_ADDRESS).map(|packet| &packet.datagram)
    }

    /// The messages between the first device and the bootstrap server, one on each line.
    pub fn bootstrap_lines(&self) -> Vec<String> {
        let with = |packet: &&Packet| packet.from == BOOTSTRAP_ADDRESS || packet.to == BOOTSTRAP_ADDRESS;
        self.network.log.iter().filter(with).map(|packet| packet.datagram.line()).collect()
    }

    /// Hands an operation on the first device to the server.
    pub fn submit(&mut self, request: &Typed<'_>, intent: Intent, durability: Durability) -> u64 {
        let id = self.next_operation;
        self.next_operation += 1;
        let endpoint = self.devices[0].device.client.config().endpoint;
        self.server.submit(self.now, (id, endpoint.as_str()), Downlink::of(request, "/"), intent, durability);
        self.settle();
        id
    }

    /// Carries an operation out that somebody waits for, and returns what was said.
    pub fn perform(&mut self, request: &Typed<'_>) -> Exchange {
        self.perform_as(request, Intent::Once)
    }

    fn perform_as(&mut self, request: &Typed<'_>, intent: Intent) -> Exchange {
        self.network.log.clear();
        let id = self.submit(request, intent, Durability::Transient);
        let ended = self.run_until(3600, |world| world.server.outcome(id).is_some());
        assert!(ended, "seed {}: the operation hangs", self.seed);
        let request = self.from_server().find(|datagram| datagram.code().is_request());
        let request = request.expect("a request on the wire").clone();
        let answers = self.from_device().filter(|datagram| datagram.code().is_response());
        let is_answer = |answer: &&Datagram| {
            answer.message().token() == request.message().token()
                || answer.uint(OptionNumber::BLOCK2).is_some()
        };
        let answer = answers.filter(is_answer).last().expect("an answer on the wire").clone();
        let outcome = self.server.outcome(id).expect("it has ended").clone();
        Exchange { request, answer, outcome }
    }

    /// Read
    pub fn read(&mut self, path: &str, accept: ContentFormat) -> Exchange {
        self.perform(&Typed::Read { path: at(path), accept: Some(accept) })
    }

    /// Read-Composite of these paths, asked and answered in `format`.
    pub fn read_composite(&mut self, paths: &[&str], format: ContentFormat) -> Exchange {
        let payload = paths_in(format, paths);
        let paths = Content { format, payload: &payload };
        self.perform(&Typed::ReadComposite { paths, accept: Some(format) })
    }

    /// Write
    pub fn write(&mut self, path: &str, mode: WriteMode, format: ContentFormat, payload: &[u8]) -> Exchange {
        self.perform(&Typed::Write { path: at(path), mode, content: Content { format, payload } })
    }

    /// Write of a text over a resource.
    pub fn write_text(&mut self, path: &str, text: &str) -> Exchange {
        self.write(path, WriteMode::Replace, ContentFormat::TEXT, text.as_bytes())
    }

    /// Execute without arguments.
    pub fn execute(&mut self, path: &str) -> Exchange {
        self.perform(&Typed::Execute { path: at(path), arguments: "" })
    }

    /// Write-Attributes; the queries are as in `pmin=10`.
    pub fn write_attributes(&mut self, path: &str, queries: &[&str]) -> Exchange {
        let update = AttributeUpdate::parse(queries.iter().copied()).expect("attributes");
        self.perform(&Typed::WriteAttributes { path: at(path), update })
    }

    /// Observe
    pub fn observe(&mut self, path: &str, accept: ContentFormat) -> Exchange {
        let path = at(path);
        let request = Typed::Observe { path, accept: Some(accept), attributes: Attributes::default() };
        self.perform_as(&request, Intent::Observe { paths: [path].into(), composite: false })
    }

    /// Observe-Composite, asked and answered in `format`.
    pub fn observe_composite(&mut self, paths: &[&str], format: ContentFormat) -> Exchange {
        let payload = paths_in(format, paths);
        let content = Content { format, payload: &payload };
        let request = Typed::ObserveComposite {
            paths: content,
            accept: Some(format),
            attributes: Attributes::default(),
        };
        let paths = paths.iter().map(|path| at(path)).collect();
        self.perform_as(&request, Intent::Observe { paths, composite: true })
    }

    /// Cancels an observation by a request that says so.
    pub fn cancel_observation(&mut self, request: &Typed<'_>, observation: ObservationId) -> Exchange {
        self.perform_as(request, Intent::Cancel(observation))
    }

    /// Lets the device's first sensor measure, and what follows arrive.
    pub fn measure(&mut self, celsius: f64) {
        let now = self.now;
        self.device().set_temperature(now, celsius);
        self.wait(1);
    }

    /// The payloads that the device reported by itself since the last call.
    pub fn reported(&mut self) -> Vec<Vec<u8>> {
        let reports = std::mem::take(&mut self.server.store.reports);
        reports.iter().map(|report| report.payload.to_vec()).collect()
    }

    /// The same as text.
    pub fn reported_text(&mut self) -> Vec<String> {
        self.reported().into_iter().map(|payload| String::from_utf8(payload).expect("text")).collect()
    }
}

impl Place {
    fn is_on(&self) -> bool {
        self.boots_until.is_none()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.boots_until.or_else(|| self.device.next_deadline())
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.boots_until {
            None => self.device.handle_timeout(now),
            Some(until) if until <= now => {
                self.boots_until = None;
                self.device.reboot(now);
            }
            Some(_) => {}
        }
    }
}

impl Exchange {
    /// The answer, which is text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.payload().to_vec()).expect("text")
    }

    /// What whoever asked is given, whole.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.reply().payload
    }

    /// The device's answer, which came.
    #[must_use]
    pub fn reply(&self) -> &Reply {
        self.outcome.as_ref().expect("an answer")
    }

    /// The code of the device's answer.
    #[must_use]
    pub fn code(&self) -> Code {
        self.reply().code
    }

    /// Both messages on one line each, as [`Datagram::line`] writes them.
    #[must_use]
    pub fn lines(&self) -> (String, String) {
        (self.request.line(), self.answer.line())
    }
}

fn at(path: &str) -> Path {
    path.parse().expect("a path")
}

/// A list of paths as composite operations carry it.
fn paths_in(format: ContentFormat, paths: &[&str]) -> Vec<u8> {
    let paths = paths.iter().map(|path| at(path));
    let mut buffer = vec![0; 1024];
    let length = buoy_lwm2m::format::encode_paths(format, paths, &mut buffer).expect("paths that fit");
    buffer.truncate(length);
    buffer
}

fn download_address(mut address: SocketAddr) -> SocketAddr {
    address.set_port(address.port() + DOWNLOAD_PORT);
    address
}
