//! A bootstrap server among devices that say anything at any time: nothing panics, sessions are bounded, each that began ends
//! once, nothing is left of it, and a stranger is never answered by more than three times what it sent.
#![no_main]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_server::{
    BootstrapConfig, BootstrapEvent, BootstrapLimits, BootstrapOutbox, BootstrapRequest, BootstrapShard,
    BootstrapVerdict, Peer, SecurityConfig, SecurityMode, ServerConfig,
};
use libfuzzer_sys::fuzz_target;

const SESSIONS: usize = 3;
const STRANGER: u16 = 9999;

#[derive(Arbitrary, Debug)]
enum Step {
    Datagram {
        from: u8,
        bytes: Vec<u8>,
    },
    Ask {
        from: u8,
        name: u8,
        format: Option<u16>,
        pack: bool,
        options: Vec<(u16, Vec<u8>)>,
    },
    /// An answer to the last request that went to a device.
    Answer {
        separate: bool,
        code: u8,
        options: Vec<(u16, Vec<u8>)>,
        payload: Vec<u8>,
    },
    /// The answer that the request hopes for.
    Obey,
    Cancel {
        name: u8,
    },
    Stranger {
        bytes: Vec<u8>,
    },
    Wait {
        millis: u32,
    },
}

struct World {
    shard: BootstrapShard,
    outbox: BootstrapOutbox,
    now: Instant,
    next_id: u16,
    /// Sessions by endpoint that have not ended.
    open: BTreeMap<Arc<str>, u32>,
    request: Option<(u16, Vec<u8>)>,
    echo: Vec<u8>,
    to_stranger: usize,
}

impl World {
    fn new() -> Self {
        let limits = BootstrapLimits {
            max_sessions: SESSIONS,
            max_sessions_per_source: SESSIONS,
            remembered_messages: 16,
            max_body: 4096,
            ..BootstrapLimits::default()
        };
        Self {
            shard: BootstrapShard::new(limits, [1; 32]),
            outbox: BootstrapOutbox::default(),
            now: Instant::from_millis(1_000_000),
            next_id: 0,
            open: BTreeMap::new(),
            request: None,
            echo: Vec::new(),
            to_stranger: 0,
        }
    }

    fn settle(&mut self) {
        self.shard.flush(self.now, &mut self.outbox);
        for (peer, datagram) in self.outbox.datagrams() {
            assert!(datagram.len() <= 1280);
            let message = Message::parse(datagram).expect("the server speaks CoAP");
            if message.code().is_request() {
                self.request = Some((peer.address.port(), datagram.to_vec()));
            }
            if let Some(echo) = message.value(OptionNumber::ECHO) {
                self.echo = echo.to_vec();
            }
            if peer.address.port() == STRANGER {
                self.to_stranger += datagram.len();
            }
        }
        for event in &self.outbox.events {
            match event {
                BootstrapEvent::Started { endpoint, .. } => {
                    *self.open.entry(endpoint.clone()).or_default() += 1;
                }
                BootstrapEvent::Finished { endpoint, .. } | BootstrapEvent::Failed { endpoint, .. } => {
                    let open = self.open.get_mut(endpoint).expect("what ends has begun");
                    *open = open.checked_sub(1).expect("a session ends once");
                }
                _ => {}
            }
        }
        self.outbox.clear();
        assert!(self.shard.len() <= SESSIONS && self.shard.outstanding() <= self.shard.len());
        let open: u32 = self.open.values().sum();
        assert_eq!(open as usize, self.shard.len());
        assert!(self.open.values().all(|open| *open <= 1), "one session for a device");
    }

    fn deliver(&mut self, from: u16, datagram: &[u8]) {
        let mut directory = |request: &BootstrapRequest<'_>| match request.endpoint {
            Some(name) if name.starts_with("buoy-") => BootstrapVerdict::Configure {
                endpoint: name.into(),
                config: Arc::new(config(name.len() % 2 == 0)),
            },
            Some("later") => BootstrapVerdict::Pending,
            _ => BootstrapVerdict::Refused("unknown".into()),
        };
        self.shard.handle_datagram(self.now, peer(from), datagram, &mut directory, &mut self.outbox);
        self.settle();
    }

    fn message(&mut self, from: u16, header: Header<'_>, mut options: Vec<(u16, Vec<u8>)>, payload: &[u8]) {
        options.sort_by_key(|(number, _)| *number);
        let mut buffer = [0; 2048];
        let mut writer = MessageWriter::new(&mut buffer, header);
        for (number, value) in &options {
            writer.option(OptionNumber(*number), value);
        }
        if let Ok(length) = writer.payload(payload).finish() {
            self.deliver(from, &buffer[..length]);
        }
    }

    fn answer(&mut self, separate: bool, code: Code, options: Vec<(u16, Vec<u8>)>, payload: &[u8]) {
        let Some((from, request)) = self.request.clone() else { return };
        let request = Message::parse(&request).expect("the server speaks CoAP");
        let (kind, message_id) = match separate {
            true => (Kind::NonConfirmable, self.next_id | 0x8000),
            false => (Kind::Acknowledgement, request.message_id()),
        };
        self.next_id = self.next_id.wrapping_add(1);
        self.message(from, Header { kind, code, message_id, token: request.token() }, options, payload);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Datagram { from, bytes } => self.deliver(port(from), &bytes),
            Step::Ask { from, name, format, pack, mut options } => {
                self.next_id = self.next_id.wrapping_add(1);
                let name = if name % 8 == 7 { "later".to_owned() } else { format!("buoy-{}", name % 12) };
                let (path, code) = if pack { ("bspack", Code::GET) } else { ("bs", Code::POST) };
                options.push((OptionNumber::URI_PATH.0, path.into()));
                options.push((OptionNumber::URI_QUERY.0, format!("ep={name}").into_bytes()));
                if let Some(format) = format {
                    options.push((OptionNumber::URI_QUERY.0, format!("pct={format}").into_bytes()));
                }
                if pack {
                    options.push((OptionNumber::ECHO.0, self.echo.clone()));
                }
                let message_id = 0x4000 | self.next_id;
                let header = Header { kind: Kind::Confirmable, code, message_id, token: b"t" };
                self.message(port(from), header, options, b"");
            }
            Step::Answer { separate, code, options, payload } => {
                self.answer(separate, Code::from_byte(0x40 | code & 0xbf), options, &payload);
            }
            Step::Obey => self.obey(),
            Step::Cancel { name } => {
                self.shard.cancel(self.now, &format!("buoy-{}", name % 12), &mut self.outbox);
            }
            Step::Stranger { bytes } => {
                let before = self.to_stranger;
                // What names a device has a session, whose requests are repeated until it is proved.
                if !bytes.windows(5).any(|window| window == b"buoy-") {
                    self.deliver(STRANGER, &bytes);
                }
                assert!(self.to_stranger - before <= 3 * bytes.len(), "an unproved address is no amplifier");
            }
            Step::Wait { millis } => self.wait(Duration::from_millis(millis.into())),
        }
        self.settle();
    }

    fn obey(&mut self) {
        let Some((_, request)) = self.request.clone() else { return };
        let request = Message::parse(&request).expect("the server speaks CoAP");
        let block = request.value(OptionNumber::BLOCK1).map(<[u8]>::to_vec);
        let more = block.as_ref().is_some_and(|block| block.last().is_some_and(|last| last & 8 != 0));
        let code = match request.code() {
            Code::GET => Code::CONTENT,
            Code::DELETE => Code::DELETED,
            _ if more => Code::CONTINUE,
            _ => Code::CHANGED,
        };
        let payload: &[u8] = if code == Code::CONTENT { b"</0/3>,</0/1>;ssid=5" } else { b"" };
        let options = block.map(|block| (OptionNumber::BLOCK1.0, block)).into_iter().collect();
        self.answer(false, code, options, payload);
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..10_000 {
            let Some(at) = self.shard.next_deadline().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now, &mut self.outbox);
            self.settle();
        }
        panic!("the server never rests");
    }
}

fn config(is_large: bool) -> BootstrapConfig {
    let security = SecurityConfig {
        uri: "coaps://192.0.2.1".to_owned(),
        bootstrap: false,
        mode: SecurityMode::Rpk,
        identity: vec![1; if is_large { 2000 } else { 91 }],
        server_key: vec![2; 91],
        secret_key: vec![3; 32],
        short_server_id: Some(101),
        hold_off: None,
        account_timeout: None,
    };
    let server = ServerConfig {
        short_server_id: 101,
        lifetime: 300,
        default_pmin: Some(1),
        default_pmax: None,
        disable_timeout: None,
        store_notifications: None,
        binding: "U".to_owned(),
        bootstrap_on_failure: Some(true),
    };
    BootstrapConfig {
        delete: vec!["/".to_owned(), "/19".to_owned()],
        discover: is_large,
        read: vec!["/1".to_owned()],
        auto_security_ids: is_large,
        security: [(1, security)].into(),
        servers: [(0, server)].into(),
        ..BootstrapConfig::default()
    }
}

fn peer(port: u16) -> Peer {
    Peer::plain(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn port(device: u8) -> u16 {
    1000 + u16::from(device) % 6
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new();
    steps.into_iter().take(100).for_each(|step| world.step(step));
    world.wait(Duration::from_secs(2000));
    assert!(
        world.shard.is_empty() && world.shard.outstanding() == 0 && world.shard.next_deadline().is_none()
    );
});
