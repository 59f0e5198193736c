//! A device and a scripted server, with a clock that is a number.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::time::Duration;

use buoy_client::object::Object;
use buoy_client::objects::{Device, LightControl, Temperature};
use buoy_client::{Client, ClientConfig, Event, Security, Server, ServerSlot, Storage};
use buoy_coap::endpoint::acknowledge;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message, MessageWriter};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub type TestClient = Client<ChaCha8Rng, 3, 16, 1280, 4096>;

pub struct Objects {
    pub device: Device,
    pub temperature: Temperature<2>,
    pub light: LightControl<1>,
    pub extra: Vec<Box<dyn Object>>,
}

impl Objects {
    pub fn new() -> Self {
        Self {
            device: Device::new("Buoy", "Mark 1", "0001", "1.0.0"),
            temperature: Temperature::new(20.0, Some((-40.0, 85.0))),
            light: LightControl::new(),
            extra: Vec::new(),
        }
    }

    pub fn with<T>(&mut self, act: impl FnOnce(&mut [&mut dyn Object]) -> T) -> T {
        let mut list: Vec<&mut dyn Object> = vec![&mut self.device, &mut self.temperature, &mut self.light];
        list.extend(self.extra.iter_mut().map(|object| &mut **object as &mut dyn Object));
        act(&mut list)
    }
}

#[derive(Default, Clone)]
pub struct Memory(pub BTreeMap<u16, Vec<u8>>);

impl Storage for Memory {
    type Error = core::convert::Infallible;

    fn load(&mut self, object: u16, record: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        Ok(self.0.get(&object).map(|bytes| {
            record[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }))
    }

    fn save(&mut self, object: u16, record: &[u8]) -> Result<(), Self::Error> {
        self.0.insert(object, record.to_vec());
        Ok(())
    }

    fn wipe(&mut self) -> Result<(), Self::Error> {
        self.0.clear();
        Ok(())
    }
}

/// A message of the device, with what the tests look at.
#[derive(Clone, Debug)]
pub struct Sent {
    pub server: ServerSlot,
    pub bytes: Vec<u8>,
}

impl Sent {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.bytes).unwrap()
    }

    pub fn code(&self) -> Code {
        self.message().code()
    }

    pub fn payload(&self) -> &[u8] {
        self.message().payload()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.payload().to_vec()).unwrap()
    }

    pub fn path(&self) -> String {
        self.strings(OptionNumber::URI_PATH, "/")
    }

    pub fn location(&self) -> String {
        self.strings(OptionNumber::LOCATION_PATH, "/")
    }

    pub fn queries(&self) -> String {
        self.strings(OptionNumber::URI_QUERY, "&")
    }

    fn strings(&self, number: OptionNumber, between: &str) -> String {
        let parts: Vec<_> =
            self.message().values(number).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect();
        parts.join(between)
    }

    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        self.message().uint(number)
    }

    pub fn format(&self) -> Option<ContentFormat> {
        self.message().content_format()
    }

    pub fn kind(&self) -> Kind {
        self.message().kind()
    }
}

pub struct World {
    pub client: TestClient,
    pub objects: Objects,
    pub now: Instant,
    pub sent: Vec<Sent>,
    pub events: Vec<Event>,
    pub storage: Memory,
    next_id: u16,
}

pub const FIRST: ServerSlot = ServerSlot(0);
pub const SECOND: ServerSlot = ServerSlot(1);

impl World {
    pub fn new() -> Self {
        Self::with(ClientConfig::new("buoy-1").unwrap(), &[Server::new(101, 300)])
    }

    pub fn with(config: ClientConfig, servers: &[Server]) -> Self {
        let mut client = TestClient::new(config, ChaCha8Rng::seed_from_u64(7));
        for server in servers {
            client.add_server(Security::none("coap://192.0.2.1").unwrap(), *server).unwrap();
        }
        Self {
            client,
            objects: Objects::new(),
            now: Instant::from_millis(1_000_000),
            sent: Vec::new(),
            events: Vec::new(),
            storage: Memory::default(),
            next_id: 1,
        }
    }

    /// A device that has registered.
    pub fn registered() -> Self {
        let mut world = Self::new();
        world.start();
        world.accept_registration(FIRST, "5a3f");
        world
    }

    pub fn start(&mut self) {
        let now = self.now;
        let client = &mut self.client;
        self.objects.with(|objects| client.start(now, objects));
        self.settle();
    }

    pub fn settle(&mut self) {
        let (client, now) = (&mut self.client, self.now);
        let storage = &mut self.storage;
        let (sent, events) = (&mut self.sent, &mut self.events);
        self.objects.with(|objects| {
            client.persist(objects, storage).unwrap();
            let mut out = [0; 1280];
            while let Some(transmit) = client.poll_transmit(now, objects, &mut out) {
                let bytes = out[..transmit.length].to_vec();
                sent.push(Sent { server: transmit.server, bytes });
            }
            while let Some(event) = client.poll_event() {
                events.push(event);
            }
        });
    }

    /// Lets time pass, with everything that happens in it.
    pub fn wait(&mut self, seconds: u64) {
        self.wait_millis(seconds * 1000);
    }

    pub fn wait_millis(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        let mut rounds = 0;
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let (client, now) = (&mut self.client, self.now);
            self.objects.with(|objects| client.handle_timeout(now, objects));
            self.settle();
            rounds += 1;
            assert!(rounds < 100_000, "the engine spins at {at:?}");
        }
        self.now = end;
    }

    pub fn deliver(&mut self, from: ServerSlot, datagram: &[u8]) -> Option<Sent> {
        let (client, now) = (&mut self.client, self.now);
        let mut out = [0; 1280];
        let length =
            self.objects.with(|objects| client.handle_datagram(now, from, datagram, objects, &mut out));
        let answer = (length > 0).then(|| Sent { server: from, bytes: out[..length].to_vec() });
        self.settle();
        answer
    }

    /// The last message that was sent, which is forgotten.
    pub fn pop(&mut self) -> Sent {
        self.sent.pop().expect("a message")
    }

    /// The last request of the device's.
    pub fn request(&self) -> &Sent {
        self.sent.iter().rev().find(|sent| sent.code().is_request()).expect("a request")
    }

    /// Answers a request of the device's.
    pub fn answer(&mut self, request: &Sent, code: Code, options: &[(OptionNumber, &[u8])]) {
        let message = request.message();
        let header = Header {
            kind: Kind::Acknowledgement,
            code,
            message_id: message.message_id(),
            token: message.token(),
        };
        let answer = build(header, options, b"");
        self.deliver(request.server, &answer);
    }

    pub fn accept_registration(&mut self, server: ServerSlot, location: &str) {
        let request = self
            .sent
            .iter()
            .rev()
            .find(|sent| sent.server == server && sent.path() == "rd")
            .expect("a Register")
            .clone();
        let options =
            [(OptionNumber::LOCATION_PATH, &b"rd"[..]), (OptionNumber::LOCATION_PATH, location.as_bytes())];
        self.answer(&request, Code::CREATED, &options);
        assert!(self.client.is_registered(server));
        self.sent.retain(|sent| sent.server != server);
    }

    pub fn accept_update(&mut self) {
        let request = self.request().clone();
        assert!(request.path().starts_with("rd/"), "{}", request.path());
        self.sent.clear();
        self.answer(&request, Code::CHANGED, &[]);
    }

    pub fn accept_update_at(&mut self, path: &str) {
        let request = self.request().clone();
        assert_eq!(request.path(), path);
        self.sent.clear();
        self.answer(&request, Code::CHANGED, &[]);
    }

    pub fn acknowledge(&mut self, message: &Sent) {
        let ack = acknowledge(message.message().message_id());
        self.deliver(message.server, &ack);
    }

    pub fn ask_from(
        &mut self,
        server: ServerSlot,
        code: Code,
        path: &str,
        options: &[(OptionNumber, &[u8])],
        payload: &[u8],
    ) -> Sent {
        let token = self.next_id.to_be_bytes();
        self.ask_with(server, &token, code, path, options, payload)
    }

    pub fn ask_with(
        &mut self,
        server: ServerSlot,
        token: &[u8],
        code: Code,
        path: &str,
        options: &[(OptionNumber, &[u8])],
        payload: &[u8],
    ) -> Sent {
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token };
        self.next_id += 1;
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut all: Vec<(OptionNumber, &[u8])> =
            segments.map(|segment| (OptionNumber::URI_PATH, segment.as_bytes())).collect();
        all.extend_from_slice(options);
        all.sort_by_key(|(number, _)| *number);
        let request = build(header, &all, payload);
        self.deliver(server, &request).expect("an answer")
    }

    pub fn ask(&mut self, code: Code, path: &str, options: &[(OptionNumber, &[u8])], payload: &[u8]) -> Sent {
        self.ask_from(FIRST, code, path, options, payload)
    }

    pub fn read(&mut self, path: &str, accept: ContentFormat) -> Sent {
        let accept = accept.0.to_be_bytes();
        self.ask(Code::GET, path, &[(OptionNumber::ACCEPT, &accept)], b"")
    }

    pub fn read_text(&mut self, path: &str) -> String {
        let answer = self.read(path, ContentFormat::TEXT);
        assert_eq!(answer.code(), Code::CONTENT, "{}", answer.text());
        answer.text()
    }

    pub fn write(&mut self, code: Code, path: &str, format: ContentFormat, payload: &[u8]) -> Sent {
        let format = format.0.to_be_bytes();
        self.ask(code, path, &[(OptionNumber::CONTENT_FORMAT, &format)], payload)
    }

    pub fn write_text(&mut self, path: &str, text: &str) -> Code {
        self.write(Code::PUT, path, ContentFormat::TEXT, text.as_bytes()).code()
    }

    pub fn execute(&mut self, path: &str) -> Code {
        self.ask(Code::POST, path, &[], b"").code()
    }

    /// Observes a path with the token `token`.
    pub fn observe(&mut self, path: &str, token: &[u8], accept: ContentFormat) -> Sent {
        let accept = accept.0.to_be_bytes();
        let options = [(OptionNumber::OBSERVE, &b""[..]), (OptionNumber::ACCEPT, &accept)];
        self.ask_with(FIRST, token, Code::GET, path, &options, b"")
    }

    pub fn write_attributes(&mut self, path: &str, queries: &[&str]) -> Code {
        let options: Vec<_> =
            queries.iter().map(|query| (OptionNumber::URI_QUERY, query.as_bytes())).collect();
        self.ask(Code::PUT, path, &options, b"").code()
    }

    pub fn set_temperature(&mut self, celsius: f64) {
        let mut context = self.client.context(self.now);
        self.objects.temperature.set(&mut context, 0, celsius);
        self.settle();
    }

    /// Notifications that were sent, which are forgotten; confirmable ones are acknowledged.
    pub fn notifications(&mut self) -> Vec<Sent> {
        let (notifications, rest) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|sent| sent.uint(OptionNumber::OBSERVE).is_some());
        self.sent = rest;
        let notifications: Vec<Sent> = notifications;
        for notification in notifications.iter().filter(|sent| sent.kind() == Kind::Confirmable) {
            self.acknowledge(notification);
        }
        notifications
    }

    pub fn notified(&mut self) -> Vec<String> {
        self.notifications().iter().map(Sent::text).collect()
    }

    pub fn saw(&self, event: Event) -> bool {
        self.events.contains(&event)
    }
}

pub fn build(header: Header<'_>, options: &[(OptionNumber, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 4096];
    let mut writer = MessageWriter::new(&mut buffer, header);
    for (number, value) in options {
        writer.option(*number, value);
    }
    let length = writer.payload(payload).finish().unwrap();
    buffer.truncate(length);
    buffer
}
