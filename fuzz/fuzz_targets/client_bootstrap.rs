//! A device in the hands of a bootstrap server that says anything: nothing panics or spins, the accounts that hold go together at
//! any time, they change at a Bootstrap-Finish alone, and a power cut brings back what held.
#![no_main]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use arbitrary::Arbitrary;
use buoy_client::objects::{Device, Temperature};
use buoy_client::{Client, ClientConfig, Event, Object, Security, Server, ServerSlot, Shape, Storage, UpTo};
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use buoy_lwm2m::format::Encoder;
use buoy_lwm2m::operation::LwM2mVersion;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::Value;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

type Engine = Client<ChaCha8Rng, Fuzzed>;
/// What holds: short id, instances, URI, by place.
type Accounts = Vec<(u16, u16, u16, String)>;

/// The shape of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fuzzed;

impl Shape for Fuzzed {
    type Servers = UpTo<2>;
    type Observations = UpTo<4>;
    type Attributes = UpTo<4>;
    type Outgoing = UpTo<1536>;
    type Body = UpTo<2048>;
    type Kept = UpTo<384>;
    type Key = UpTo<96>;
    type Location = UpTo<544>;
}

const FORMATS: [ContentFormat; 5] = [
    ContentFormat::TLV,
    ContentFormat::SENML_JSON,
    ContentFormat::SENML_CBOR,
    ContentFormat::LWM2M_CBOR,
    ContentFormat::LWM2M_JSON,
];

#[derive(Arbitrary, Debug)]
enum Step {
    Begin,
    Datagram {
        from: u8,
        bytes: Vec<u8>,
    },
    Message {
        from: u8,
        code: u8,
        path: Vec<u8>,
        options: Vec<(u16, Vec<u8>)>,
        payload: Vec<u8>,
    },
    /// The answer to the last request of the device's.
    Answer {
        code: u8,
        options: Vec<(u16, Vec<u8>)>,
        payload: Vec<u8>,
    },
    Agree,
    Security {
        instance: u8,
        id: u8,
        bootstrap: bool,
        mode: u8,
        uri: u8,
        format: u8,
    },
    Server {
        instance: u8,
        id: u8,
        lifetime: u16,
        format: u8,
    },
    Access {
        instance: u8,
        object: u8,
        owner: u8,
        format: u8,
    },
    Delete {
        path: Vec<u8>,
    },
    Finish,
    Pack {
        server: u8,
        security: u8,
    },
    Wait {
        millis: u32,
    },
    Cut,
}

#[derive(Clone, Default)]
struct Memory(BTreeMap<u16, Vec<u8>>);

impl Storage for Memory {
    type Error = Infallible;

    fn load(&mut self, object: u16, record: &mut [u8]) -> Result<Option<usize>, Infallible> {
        Ok(self.0.get(&object).map(|bytes| {
            record[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }))
    }

    fn save(&mut self, object: u16, record: &[u8]) -> Result<(), Infallible> {
        self.0.insert(object, record.to_vec());
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), Infallible> {
        self.0.clear();
        Ok(())
    }
}

struct World {
    client: Engine,
    device: Device,
    temperature: Temperature<1>,
    storage: Memory,
    now: Instant,
    next_id: u16,
    holds: Accounts,
    request: Option<(ServerSlot, Vec<u8>)>,
    version: LwM2mVersion,
}

impl World {
    fn new(version: LwM2mVersion) -> Self {
        let mut client = engine(version);
        client.add_server(Security::none("coap://192.0.2.1").unwrap(), Server::new(101, 300)).unwrap();
        client.set_bootstrap_server(Security::none("coap://192.0.2.2").unwrap()).unwrap();
        let mut world = Self {
            client,
            device: Device::new("Buoy", "Mark 1", "0001", "1.0.0"),
            temperature: Temperature::new(20.0, None),
            storage: Memory::default(),
            now: Instant::from_millis(1_000_000),
            next_id: 0,
            holds: Vec::new(),
            request: None,
            version,
        };
        world.holds = world.accounts();
        world.with(|client, objects, now| client.start(now, objects));
        world.settle();
        world
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Engine, &mut [&mut dyn Object], Instant) -> T) -> T {
        act(&mut self.client, &mut [&mut self.device, &mut self.temperature], self.now)
    }

    /// What holds; it goes together.
    fn accounts(&self) -> Accounts {
        let accounts = self.client.servers().map(|(_, security, server)| {
            assert_eq!(security.short_server_id, server.short_server_id);
            (server.short_server_id, security.instance, server.instance, security.uri.as_str().to_owned())
        });
        accounts.collect()
    }

    fn persist(&mut self) {
        let (client, storage) = (&mut self.client, &mut self.storage);
        let objects: &mut [&mut dyn Object] = &mut [&mut self.device, &mut self.temperature];
        client.persist(objects, storage).expect("what was acknowledged can be stored");
    }

    fn settle(&mut self) {
        self.persist();
        let mut out = [0; 1280];
        for _ in 0..1000 {
            let Some(sent) = self.with(|client, objects, now| client.poll_transmit(now, objects, &mut out))
            else {
                break;
            };
            let message = Message::parse(&out[..sent.length]).expect("the device speaks CoAP");
            if message.code().is_request() {
                self.request = Some((sent.server, out[..sent.length].to_vec()));
            }
        }
        let mut finished = false;
        while let Some(event) = self.client.poll_event() {
            finished |= event == Event::BootstrapFinished;
        }
        let accounts = self.accounts();
        if finished {
            assert!(!accounts.is_empty());
            self.holds = accounts;
        } else {
            assert_eq!(accounts, self.holds, "nothing changes but at a Finish");
        }
    }

    fn deliver(&mut self, from: ServerSlot, datagram: &[u8]) {
        let mut out = [0; 1280];
        let length =
            self.with(|client, objects, now| client.handle_datagram(now, from, datagram, objects, &mut out));
        if length > 0 {
            Message::parse(&out[..length]).expect("the device speaks CoAP");
        }
        self.settle();
    }

    fn message(
        &mut self,
        from: ServerSlot,
        header: Header<'_>,
        mut options: Vec<(u16, Vec<u8>)>,
        payload: &[u8],
    ) {
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

    fn ask(
        &mut self,
        from: ServerSlot,
        code: Code,
        path: &[String],
        mut options: Vec<(u16, Vec<u8>)>,
        payload: &[u8],
    ) {
        self.next_id = self.next_id.wrapping_add(1);
        options.extend(path.iter().map(|id| (OptionNumber::URI_PATH.0, id.clone().into_bytes())));
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.message(from, header, options, payload);
    }

    fn write(&mut self, path: Path, format: u8, values: &[(Path, Value<'_>)]) {
        let format = FORMATS[usize::from(format) % FORMATS.len()];
        let payload = encoded(format, path, values);
        let options = vec![(OptionNumber::CONTENT_FORMAT.0, format.0.to_be_bytes().to_vec())];
        let ids: Vec<_> = path.ids().iter().map(u16::to_string).collect();
        self.ask(ServerSlot::BOOTSTRAP, Code::PUT, &ids, options, &payload);
    }

    fn answer(&mut self, code: Code, options: Vec<(u16, Vec<u8>)>, payload: &[u8]) {
        let Some((server, request)) = self.request.clone() else { return };
        let request = Message::parse(&request).expect("the device speaks CoAP");
        let kind = Kind::Acknowledgement;
        let header = Header { kind, code, message_id: request.message_id(), token: request.token() };
        self.message(server, header, options, payload);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Begin => self.with(|client, objects, now| client.request_bootstrap(now, objects)),
            Step::Datagram { from, bytes } => self.deliver(slot(from), &bytes),
            Step::Message { from, code, path, options, payload } => {
                let ids: Vec<_> = path.iter().take(5).map(u8::to_string).collect();
                self.ask(slot(from), Code::from_byte(code % 8), &ids, options, &payload);
            }
            Step::Answer { code, options, payload } => {
                self.answer(Code::from_byte(0x40 | code & 0xbf), options, &payload);
            }
            Step::Agree => self.answer(Code::CHANGED, Vec::new(), b""),
            Step::Security { instance, id, bootstrap, mode, uri, format } => {
                let instance = u16::from(instance % 5);
                self.write(
                    Path::instance(0, instance),
                    format,
                    &security(instance, id, bootstrap, mode, uri),
                );
            }
            Step::Server { instance, id, lifetime, format } => {
                let instance = u16::from(instance % 5);
                self.write(Path::instance(1, instance), format, &server(instance, id, lifetime));
            }
            Step::Access { instance, object, owner, format } => {
                let instance = u16::from(instance % 10);
                let values = [
                    (Path::resource(2, instance, 0), Value::Integer(i64::from(object % 5))),
                    (Path::resource(2, instance, 1), Value::Integer(0)),
                    (Path::resource_instance(2, instance, 2, 101 + u16::from(owner % 3)), Value::Integer(1)),
                    (Path::resource(2, instance, 3), Value::Integer(i64::from(101 + owner % 3))),
                ];
                self.write(Path::instance(2, instance), format, &values);
            }
            Step::Delete { path } => {
                let ids: Vec<_> = path.iter().take(2).map(|id| (id % 6).to_string()).collect();
                self.ask(ServerSlot::BOOTSTRAP, Code::DELETE, &ids, Vec::new(), b"");
            }
            Step::Finish => {
                self.ask(ServerSlot::BOOTSTRAP, Code::POST, &["bs".to_owned()], Vec::new(), b"");
            }
            Step::Pack { server: id, security: other } => {
                let mut values = security(1, other, false, 3, 0);
                values.extend(server(1, id, 300));
                let payload = encoded(ContentFormat::SENML_CBOR, Path::ROOT, &values);
                let format = ContentFormat::SENML_CBOR.0.to_be_bytes().to_vec();
                self.answer(Code::CONTENT, vec![(OptionNumber::CONTENT_FORMAT.0, format)], &payload);
            }
            Step::Wait { millis } => self.wait(Duration::from_millis(millis.into())),
            Step::Cut => self.cut(),
        }
        self.settle();
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..10_000 {
            let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.with(|client, objects, now| client.handle_timeout(now, objects));
            self.settle();
        }
        panic!("the device never rests");
    }

    fn cut(&mut self) {
        self.client = engine(self.version);
        self.request = None;
        let (client, storage) = (&mut self.client, &mut self.storage);
        let objects: &mut [&mut dyn Object] = &mut [&mut self.device, &mut self.temperature];
        client.restore(objects, storage).expect("what was stored is read again");
        assert_eq!(self.accounts(), self.holds, "what held is back");
        self.with(|client, objects, now| client.start(now, objects));
    }
}

fn security(instance: u16, id: u8, bootstrap: bool, mode: u8, uri: u8) -> Vec<(Path, Value<'static>)> {
    let uris = ["coap://192.0.2.7", "coaps://[2001:db8::1]:5684", "coap://", "http://x"];
    let at = |resource| Path::resource(0, instance, resource);
    vec![
        (at(0), Value::String(uris[usize::from(uri) % 4])),
        (at(1), Value::Boolean(bootstrap)),
        (at(2), Value::Integer(i64::from(mode % 6))),
        (at(3), Value::Opaque(b"identity")),
        (at(5), Value::Opaque(b"key")),
        (at(10), Value::Integer(i64::from(101 + id % 3))),
        (at(12), Value::Integer(i64::from(id))),
    ]
}

fn server(instance: u16, id: u8, lifetime: u16) -> Vec<(Path, Value<'static>)> {
    let at = |resource| Path::resource(1, instance, resource);
    vec![
        (at(0), Value::Integer(i64::from(101 + id % 3))),
        (at(1), Value::Integer(i64::from(lifetime) + 60)),
        (at(7), Value::String("U")),
    ]
}

fn encoded(format: ContentFormat, base: Path, values: &[(Path, Value<'_>)]) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let mut encoder = Encoder::new(format, base, &mut buffer).expect("formats that reach the base");
    for (path, value) in values {
        encoder.push(*path, value, None).expect("values in order");
    }
    let length = encoder.finish().expect("values that fit");
    buffer.truncate(length);
    buffer
}

fn engine(version: LwM2mVersion) -> Engine {
    let config = ClientConfig { version, ..ClientConfig::new("buoy-1").expect("a short name") };
    Engine::new(config, ChaCha8Rng::seed_from_u64(7))
}

fn slot(from: u8) -> ServerSlot {
    match from % 4 {
        0 => ServerSlot(0),
        1 => ServerSlot(1),
        _ => ServerSlot::BOOTSTRAP,
    }
}

fuzz_target!(|input: (u8, Vec<Step>)| {
    let (version, steps) = input;
    let versions = [LwM2mVersion::V1_0, LwM2mVersion::V1_1, LwM2mVersion::V1_2];
    let mut world = World::new(versions[usize::from(version) % 3]);
    steps.into_iter().take(100).for_each(|step| world.step(step));
});
