//! Many devices behind one socket, each with a DTLS session of its own: connection IDs tell them apart.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Header, Kind, MessageWriter};
use buoy_dtls::config::{ClientConfig, ClientCredentials, ConnectionIdUse, Psk};
use buoy_dtls::suite::CipherSuite;
use buoy_dtls::{Client, Connection, Context, Datagram};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const CID_LENGTH: usize = 8;
/// The first byte of a record with a connection ID, and where that begins.
const WITH_CID: u8 = 25;
const CID_AT: usize = 11;

pub(crate) struct Fleet {
    socket: UdpSocket,
    devices: Vec<(ClientConfig, Connection<Client>)>,
    by_cid: HashMap<Vec<u8>, usize>,
    rng: ChaCha20Rng,
    started: Instant,
}

impl Fleet {
    /// No devices yet, for a server at `IP:PORT`.
    pub(crate) fn new(server: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        Self {
            socket,
            devices: Vec::new(),
            by_cid: HashMap::new(),
            rng: ChaCha20Rng::from_seed([1; 32]),
            started: Instant::now(),
        }
    }

    pub(crate) fn psk(identity: &str, key: &[u8]) -> ClientConfig {
        let psk = Psk::new(identity.as_bytes(), key).unwrap();
        let mut config = ClientConfig::new(ClientCredentials::Psk(psk));
        config.suites = [CipherSuite::PskAes128Ccm8].into();
        config
    }

    /// Makes a session. Its number, or why there is none.
    pub(crate) fn connect(&mut self, mut config: ClientConfig) -> Result<usize, String> {
        config.connection_id = ConnectionIdUse::Both(CID_LENGTH as u8);
        let mut context = Context::new(now(self.started), &mut self.rng);
        let mut connection = Connection::client(&config, &mut context, None);
        let mut buffer = [0; 2048];
        self.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !connection.is_established() {
            if Instant::now() > deadline {
                return Err("nothing came".to_owned());
            }
            while let Some(length) = connection.poll_transmit(&mut buffer) {
                // Nobody may listen there at the moment.
                let _ = self.socket.send(&buffer[..length]);
            }
            if let Some(event) = connection.poll_event()
                && !connection.is_established()
            {
                return Err(format!("{event:?}"));
            }
            if let Ok(length) = self.socket.recv(&mut buffer) {
                let mut context = Context::new(now(self.started), &mut self.rng);
                let mut datagram = Datagram::new(&mut buffer[..length]);
                while connection.handle_datagram(&config, &mut context, &mut datagram).is_some() {}
            }
            connection.handle_timeout(now(self.started));
        }
        let (local, _) = connection.connection_ids().unwrap();
        self.by_cid.insert(local.as_bytes().to_vec(), self.devices.len());
        self.devices.push((config, connection));
        Ok(self.devices.len() - 1)
    }

    /// Sends a message from a device.
    pub(crate) fn send(&mut self, device: usize, message: &[u8]) {
        let mut buffer = [0; 2048];
        let length = self.devices[device].1.seal(message, &mut buffer).unwrap();
        // Nobody may listen there at the moment.
        let _ = self.socket.send(&buffer[..length]);
    }

    /// Moves to another address, as behind a NAT that forgot the devices.
    pub(crate) fn move_away(&mut self) {
        let server = self.socket.peer_addr().unwrap();
        self.socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        self.socket.connect(server).unwrap();
    }

    /// The next message for a device, if one comes in time.
    pub(crate) fn receive(&mut self, patience: Duration) -> Option<(usize, Vec<u8>)> {
        let deadline = Instant::now() + patience;
        let mut buffer = [0; 2048];
        loop {
            let left = deadline.checked_duration_since(Instant::now())?;
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let cid = (buffer[0] == WITH_CID).then(|| &buffer[CID_AT..CID_AT + CID_LENGTH]);
            let Some(device) = cid.and_then(|cid| self.by_cid.get(cid)).copied() else { continue };
            let (config, connection) = &mut self.devices[device];
            let mut context = Context::new(now(self.started), &mut self.rng);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            if let Some(data) = connection.handle_datagram(config, &mut context, &mut datagram) {
                return Some((device, data.to_vec()));
            }
        }
    }

    /// Sends a request until it is answered; the answer's code and Location-Path.
    pub(crate) fn ask(&mut self, device: usize, request: &[u8]) -> Option<(Code, Vec<String>)> {
        for _ in 0..5 {
            self.send(device, request);
            while let Some((from, answer)) = self.receive(Duration::from_secs(1)) {
                let answer = buoy_coap::wire::Message::parse(&answer).unwrap();
                let asked = buoy_coap::wire::Message::parse(request).unwrap();
                if from == device && answer.token() == asked.token() && answer.code().is_response() {
                    let location = answer.values(OptionNumber::LOCATION_PATH);
                    let location = location.map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
                    return Some((answer.code(), location));
                }
            }
        }
        None
    }

    /// Ends a device's session.
    pub(crate) fn close(&mut self, device: usize) {
        let mut buffer = [0; 2048];
        self.devices[device].1.close();
        while let Some(length) = self.devices[device].1.poll_transmit(&mut buffer) {
            self.socket.send(&buffer[..length]).unwrap();
        }
    }

    /// Answers the next request that comes for a device, with a text.
    pub(crate) fn answer(&mut self, device: usize, text: &str) {
        let (asked, request) = self.receive(Duration::from_secs(20)).expect("a request");
        assert_eq!(asked, device, "it came over another session");
        let request = buoy_coap::wire::Message::parse(&request).unwrap();
        let mut buffer = [0; 512];
        let header = Header {
            kind: Kind::Acknowledgement,
            code: Code::CONTENT,
            message_id: request.message_id(),
            token: request.token(),
        };
        let mut writer = MessageWriter::new(&mut buffer, header);
        writer.option(OptionNumber::CONTENT_FORMAT, &[]);
        let length = writer.payload(text.as_bytes()).finish().unwrap();
        self.send(device, &buffer[..length]);
    }

    /// Whether the server has closed a device's session.
    pub(crate) fn is_closed(&mut self, device: usize) -> bool {
        while self.receive(Duration::from_millis(100)).is_some() {}
        !self.devices[device].1.is_established()
    }
}

/// A ClientHello without a cookie.
pub(crate) fn client_hello() -> Vec<u8> {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let mut context = Context::new(buoy_dtls::time::Instant::ZERO, &mut rng);
    let mut connection: Connection<Client> =
        Connection::client(&Fleet::psk("nobody", b"no key"), &mut context, None);
    let mut buffer = [0; 2048];
    let length = connection.poll_transmit(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

fn now(started: Instant) -> buoy_dtls::time::Instant {
    buoy_dtls::time::Instant::from_millis(started.elapsed().as_millis() as u64)
}

/// A confirmable POST.
pub(crate) fn post(message_id: u16, path: &[&str], queries: &[&str], format: u8, payload: &[u8]) -> Vec<u8> {
    request(Code::POST, message_id, path, queries, format, payload)
}

/// A confirmable request; its token is its message id.
pub(crate) fn request(
    code: Code,
    message_id: u16,
    path: &[&str],
    queries: &[&str],
    format: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut buffer = [0; 512];
    let token = message_id.to_be_bytes();
    let header = Header { kind: Kind::Confirmable, code, message_id, token: &token };
    let mut writer = MessageWriter::new(&mut buffer, header);
    for segment in path {
        writer.option(OptionNumber::URI_PATH, segment.as_bytes());
    }
    if !payload.is_empty() {
        writer.option(OptionNumber::CONTENT_FORMAT, &[format]);
    }
    for query in queries {
        writer.option(OptionNumber::URI_QUERY, query.as_bytes());
    }
    let length = writer.payload(payload).finish().unwrap();
    buffer[..length].to_vec()
}
