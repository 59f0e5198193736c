//! A shard of the server among devices that say anything at any time: nothing panics, what it keeps is bounded, what it saved can be
//! restored, every operation ends at most once, and a stranger is never answered by more than three times what it sent.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_lwm2m::path::Path;
use buoy_server::{
    Body, Change, Downlink, Durability, Event, Intent, ObservationId, OperationId, Outbox, Peer,
    RegistrationKey, Shard, ShardConfig, Submission, Unclaimed,
};
use libfuzzer_sys::fuzz_target;

const DEVICES: usize = 4;
const OPERATIONS: usize = 8;
const STRANGER: u16 = 9999;

#[derive(Arbitrary, Debug)]
enum Step {
    Datagram {
        from: u8,
        bytes: Vec<u8>,
    },
    Message {
        from: u8,
        kind: u8,
        code: u8,
        id: u8,
        token: Vec<u8>,
        options: Vec<(Known, Vec<u8>)>,
        payload: Vec<u8>,
    },
    Register {
        from: u8,
        name: u8,
        lifetime: u16,
        queue: bool,
        links: Vec<u8>,
    },
    Update {
        from: u8,
        queries: Vec<Vec<u8>>,
    },
    /// An answer to the last request that went to a device.
    Answer {
        separate: bool,
        code: u8,
        options: Vec<(Known, Vec<u8>)>,
        payload: Vec<u8>,
    },
    Submit {
        name: u8,
        code: u8,
        wish: Wish,
        durability: u8,
        deadline: u16,
        payload: Vec<u8>,
    },
    CancelOperation {
        id: u8,
    },
    ForgetObservation {
        token: u64,
    },
    Evict {
        name: u8,
    },
    Stranger {
        bytes: Vec<u8>,
    },
    Wait {
        millis: u32,
    },
    Restart,
}

#[derive(Arbitrary, Debug)]
enum Wish {
    Once,
    Observe { composite: bool },
    Cancel { token: u64 },
}

/// The options that mean something to a server.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Etag,
    Observe,
    UriPath,
    ContentFormat,
    UriQuery,
    Accept,
    Block2,
    Block1,
    Size2,
    Size1,
    Echo,
    NoResponse,
    RequestTag,
    Other(u16),
}

impl Known {
    fn number(self) -> OptionNumber {
        match self {
            Self::Etag => OptionNumber::ETAG,
            Self::Observe => OptionNumber::OBSERVE,
            Self::UriPath => OptionNumber::URI_PATH,
            Self::ContentFormat => OptionNumber::CONTENT_FORMAT,
            Self::UriQuery => OptionNumber::URI_QUERY,
            Self::Accept => OptionNumber::ACCEPT,
            Self::Block2 => OptionNumber::BLOCK2,
            Self::Block1 => OptionNumber::BLOCK1,
            Self::Size2 => OptionNumber::SIZE2,
            Self::Size1 => OptionNumber::SIZE1,
            Self::Echo => OptionNumber::ECHO,
            Self::NoResponse => OptionNumber::NO_RESPONSE,
            Self::RequestTag => OptionNumber::REQUEST_TAG,
            Self::Other(number) => OptionNumber(number),
        }
    }
}

struct World {
    shard: Shard<Unclaimed>,
    outbox: Outbox,
    now: Instant,
    next_id: u16,
    next_operation: u64,
    submitted: BTreeSet<u64>,
    registrations: BTreeMap<u64, Vec<u8>>,
    operations: BTreeMap<u64, buoy_server::OperationRecord>,
    /// The last request to a device.
    request: Option<(u16, Vec<u8>)>,
    location: Vec<u8>,
    to_stranger: usize,
}

impl World {
    fn new() -> Self {
        Self {
            shard: shard(1),
            outbox: Outbox::default(),
            now: Instant::from_millis(1_000_000),
            next_id: 0,
            next_operation: 0,
            submitted: BTreeSet::new(),
            registrations: BTreeMap::new(),
            operations: BTreeMap::new(),
            request: None,
            location: b"0".to_vec(),
            to_stranger: 0,
        }
    }

    fn settle(&mut self) {
        self.shard.flush(self.now, &mut self.outbox);
        for change in &self.outbox.changes {
            match change {
                Change::PutRegistration { key, record } => {
                    self.registrations.insert(key.0, self.outbox.record(record).to_vec());
                }
                Change::RemoveRegistration { key } => drop(self.registrations.remove(&key.0)),
                Change::PutOperation(record) => drop(self.operations.insert(record.id.0, (**record).clone())),
                Change::PutReport(_) | Change::PutSession { .. } | Change::RemoveSession { .. } => {}
            }
        }
        for (peer, datagram) in self.outbox.datagrams() {
            assert!(datagram.len() <= 1280);
            let message = Message::parse(datagram).expect("the server speaks CoAP");
            if let Some(location) = message.values(OptionNumber::LOCATION_PATH).nth(1) {
                self.location = location.to_vec();
            }
            if message.code().is_request() {
                self.request = Some((peer.address.port(), datagram.to_vec()));
            }
            if peer.address.port() == STRANGER {
                self.to_stranger += datagram.len();
            }
        }
        for event in &self.outbox.events {
            if let Event::OperationEnded { id, .. } = event {
                assert!(self.submitted.remove(&id.0), "an operation ends once");
            }
        }
        self.outbox.clear();
        assert!(self.shard.len() <= DEVICES);
        assert_eq!(self.shard.len(), self.registrations.len(), "what is in memory is saved");
    }

    fn deliver(&mut self, from: u16, datagram: &[u8]) {
        self.shard.handle_datagram(self.now, peer(from), datagram, &mut self.outbox);
        self.settle();
    }

    fn message(&mut self, from: u16, header: Header<'_>, options: Vec<(Known, Vec<u8>)>, payload: &[u8]) {
        let mut options: Vec<_> = options.into_iter().map(|(known, value)| (known.number(), value)).collect();
        options.sort_by_key(|(number, _)| *number);
        let mut buffer = [0; 2048];
        let mut writer = MessageWriter::new(&mut buffer, header);
        for (number, value) in &options {
            writer.option(*number, value);
        }
        if let Ok(length) = writer.payload(payload).finish() {
            self.deliver(from, &buffer[..length]);
        }
    }

    fn ask(&mut self, from: u16, options: Vec<(Known, Vec<u8>)>, payload: &[u8]) {
        self.next_id = self.next_id.wrapping_add(1);
        let (kind, code, message_id) = (Kind::Confirmable, Code::POST, 0x4000 | self.next_id);
        self.message(from, Header { kind, code, message_id, token: b"t" }, options, payload);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Datagram { from, bytes } => self.deliver(port(from), &bytes),
            Step::Message { from, kind, code, id, token, options, payload } => {
                let kinds = [Kind::Confirmable, Kind::NonConfirmable, Kind::Acknowledgement, Kind::Reset];
                let kind = kinds[usize::from(kind) % 4];
                let header =
                    Header { kind, code: Code::from_byte(code), message_id: id.into(), token: &token };
                self.message(port(from), header, options, &payload);
            }
            Step::Register { from, name, lifetime, queue, links } => {
                let mut options = vec![
                    (Known::UriPath, b"rd".to_vec()),
                    (Known::ContentFormat, vec![40]),
                    (Known::UriQuery, format!("ep={}", endpoint(name)).into_bytes()),
                    (Known::UriQuery, format!("lt={lifetime}").into_bytes()),
                    (Known::UriQuery, b"lwm2m=1.1".to_vec()),
                ];
                if queue {
                    options.push((Known::UriQuery, b"Q".to_vec()));
                }
                let links = if links.is_empty() { b"</1/0>,</3/0>".to_vec() } else { links };
                self.ask(port(from), options, &links);
            }
            Step::Update { from, queries } => {
                let path = vec![(Known::UriPath, b"rd".to_vec()), (Known::UriPath, self.location.clone())];
                let queries = queries.into_iter().map(|query| (Known::UriQuery, query));
                self.ask(port(from), path.into_iter().chain(queries).collect(), b"");
            }
            Step::Answer { separate, code, options, payload } => {
                let Some((from, request)) = self.request.clone() else { return };
                let request = Message::parse(&request).expect("the server speaks CoAP");
                let (kind, message_id) = match separate {
                    true => (Kind::NonConfirmable, self.next_id | 0x8000),
                    false => (Kind::Acknowledgement, request.message_id()),
                };
                self.next_id = self.next_id.wrapping_add(1);
                let code = Code::from_byte(0x40 | code & 0xbf);
                self.message(
                    from,
                    Header { kind, code, message_id, token: request.token() },
                    options,
                    &payload,
                );
            }
            Step::Submit { name, code, wish, durability, deadline, payload } => {
                self.submit(name, code, wish, durability, deadline, payload);
            }
            Step::CancelOperation { id } => {
                self.shard.cancel(self.now, OperationId(id.into()), &mut self.outbox);
            }
            Step::ForgetObservation { token } => {
                self.shard.forget_observation(ObservationId(token), &mut self.outbox);
            }
            Step::Evict { name } => drop(self.shard.evict(self.now, &endpoint(name), &mut self.outbox)),
            Step::Stranger { bytes } => {
                let before = self.to_stranger;
                self.deliver(STRANGER, &bytes);
                assert!(self.to_stranger - before <= 3 * bytes.len(), "an unproved address is no amplifier");
            }
            Step::Wait { millis } => self.wait(Duration::from_millis(millis.into())),
            Step::Restart => self.restart(),
        }
        self.settle();
    }

    fn submit(&mut self, name: u8, code: u8, wish: Wish, durability: u8, deadline: u16, payload: Vec<u8>) {
        let paths = Arc::from([Path::resource(3303, 0, 5700)]);
        let intent = match wish {
            Wish::Once => Intent::Once,
            Wish::Observe { composite } => Intent::Observe { paths, composite },
            Wish::Cancel { token } => Intent::Cancel(ObservationId(token)),
        };
        let mut options: Vec<(OptionNumber, Box<[u8]>)> = Vec::new();
        if matches!(intent, Intent::Observe { .. }) {
            options.push((OptionNumber::OBSERVE, Box::default()));
        }
        options.push((OptionNumber::URI_PATH, Box::from(&b"3303"[..])));
        let request = Downlink { code: Code::new(0, code % 7 + 1), options, payload: Body::new(payload) };
        let durabilities = [Durability::Transient, Durability::Patient, Durability::Durable];
        let durability = durabilities[usize::from(durability) % 3];
        let deadline = self.now + Duration::from_secs(deadline.into());
        let (id, endpoint) = (OperationId(self.next_operation), endpoint(name).into());
        self.next_operation += 1;
        self.submitted.insert(id.0);
        let submission = Submission { id, endpoint, request, intent, deadline, durability };
        self.shard.submit(self.now, submission, &mut self.outbox);
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        // Each turn of the loop brings the time forward, or does something that is bounded.
        for _ in 0..10_000 {
            let Some(at) = self.shard.next_deadline().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.shard.handle_timeout(self.now, &mut self.outbox);
            self.settle();
        }
        panic!("the shard never rests");
    }

    /// The server was killed and started again.
    fn restart(&mut self) {
        self.shard = shard(2);
        for (key, record) in &self.registrations {
            let restored = self.shard.restore(self.now, RegistrationKey(*key), record, &mut self.outbox);
            assert!(restored.is_some(), "what was saved can be restored");
        }
        let is_open = |record: &&buoy_server::OperationRecord| {
            matches!(record.state, buoy_server::OperationState::Queued | buoy_server::OperationState::Sent)
        };
        let open: Vec<_> = self.operations.values().filter(is_open).cloned().collect();
        // Operations that were not durable are gone with the process.
        self.submitted = open.iter().map(|record| record.id.0).collect();
        for record in open {
            self.shard.restore_operation(self.now, record, &mut self.outbox);
        }
    }
}

fn shard(seed: u8) -> Shard<Unclaimed> {
    let config = ShardConfig {
        max_exchanges: 16,
        remembered_messages: 16,
        max_body: 8192,
        max_uploads: 4,
        max_operations_per_device: OPERATIONS / 2,
        max_operations: OPERATIONS,
        max_registrations: DEVICES,
        ..ShardConfig::default()
    };
    let mut shard = Shard::new(0, config, Unclaimed, [seed; 32]);
    shard.set_file("fw/a", Some(Body::new(vec![7; 3000])));
    shard
}

fn peer(port: u16) -> Peer {
    Peer::plain(SocketAddr::from(([127, 0, 0, 1], port)))
}

fn port(device: u8) -> u16 {
    1000 + u16::from(device) % 6
}

fn endpoint(name: u8) -> String {
    format!("buoy-{}", name % 6)
}

fuzz_target!(|steps: Vec<Step>| {
    let mut world = World::new();
    steps.into_iter().take(100).for_each(|step| world.step(step));
});
