//! A device and a scripted server, with a clock that is a number.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::time::Duration;

use buoy_client::{ClientConfig, Event, Server, ServerSlot};
use buoy_coap::endpoint::acknowledge;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind};
pub use buoy_testkit::Sent;
use buoy_testkit::{Device, message};

pub struct World {
    pub device: Device,
    pub now: Instant,
    pub sent: Vec<Sent>,
    next_id: u16,
}

pub const FIRST: ServerSlot = ServerSlot(0);
pub const SECOND: ServerSlot = ServerSlot(1);

impl World {
    pub fn new() -> Self {
        Self::with(ClientConfig::new("buoy-1").unwrap(), &[Server::new(101, 300)])
    }

    pub fn with(config: ClientConfig, servers: &[Server]) -> Self {
        Self {
            device: Device::new(config, servers, 7),
            now: Instant::from_millis(1_000_000),
            sent: Vec::new(),
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
        self.device.start(self.now);
        self.settle();
    }

    pub fn settle(&mut self) {
        self.sent.extend(self.device.settle(self.now));
    }

    /// Lets time pass, with everything that happens in it.
    pub fn wait(&mut self, seconds: u64) {
        self.wait_millis(seconds * 1000);
    }

    pub fn wait_millis(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        let mut rounds = 0;
        while let Some(at) = self.device.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.device.handle_timeout(self.now);
            self.settle();
            rounds += 1;
            assert!(rounds < 100_000, "the engine spins at {at:?}");
        }
        self.now = end;
    }

    pub fn deliver(&mut self, from: ServerSlot, datagram: &[u8]) -> Option<Sent> {
        let answer = self.device.handle_datagram(self.now, from, datagram);
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
        let asked = request.message();
        let header = Header {
            kind: Kind::Acknowledgement,
            code,
            message_id: asked.message_id(),
            token: asked.token(),
        };
        let answer = message(header, options, b"");
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
        assert!(self.device.client.is_registered(server));
        self.sent.retain(|sent| sent.server != server);
    }

    pub fn accept_update(&mut self) {
        let request = self.request().clone();
        assert!(request.path().starts_with("rd/"), "{}", request.path());
        self.sent.clear();
        self.answer(&request, Code::CHANGED, &[]);
    }

    pub fn accept_update_at_any_path(&mut self) {
        let request = self.request().clone();
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
        let request = message(header, &all, payload);
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
        self.device.set_temperature(self.now, celsius);
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
        self.notifications().iter().map(|sent| sent.text()).collect()
    }

    pub fn saw(&self, event: Event) -> bool {
        self.device.saw(event)
    }
}
