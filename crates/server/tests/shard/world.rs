//! A shard, a scripted device, and a clock that is a number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use buoy_coap::endpoint::reject;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Header, Kind, Message};
use buoy_lwm2m::path::Path;
use buoy_server::{Body, Downlink, Durability, Failure, Intent, Peer, ShardConfig};
use buoy_testkit::{Server, message};

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) next_id: u16,
    pub(crate) sent: Vec<(Peer, Vec<u8>)>,
    /// Whether devices are at the addresses that they claim, so that they answer pings.
    pub(crate) answers_pings: bool,
}

pub(crate) fn peer(port: u16) -> Peer {
    Peer::plain(SocketAddr::from(([127, 0, 0, 1], port)))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(ShardConfig::default())
    }

    pub(crate) fn with(config: ShardConfig) -> Self {
        Self {
            server: Server::new(config),
            now: Instant::from_millis(1_000_000),
            next_id: 1,
            sent: Vec::new(),
            answers_pings: true,
        }
    }

    /// The same world after the server was killed and started again.
    pub(crate) fn restarted(mut self) -> Self {
        self.sent = self.server.restart(self.now);
        self
    }

    pub(crate) fn settle(&mut self) {
        let sent = self.server.settle(self.now);
        let is_answered = |datagram: &[u8]| self.answers_pings && is_ping(datagram);
        let (pings, others): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|(_, datagram)| is_answered(datagram));
        self.sent.extend(others);
        for (peer, ping) in pings {
            let reset = reject(Message::parse(&ping).unwrap().message_id());
            self.deliver(peer.address.port(), &reset);
        }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.server.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn deliver(&mut self, from: u16, datagram: &[u8]) {
        let Server { shard, outbox, .. } = &mut self.server;
        shard.handle_datagram(self.now, peer(from), datagram, outbox);
        self.settle();
    }

    /// Sends a confirmable request and returns the answer.
    pub(crate) fn ask(
        &mut self,
        from: u16,
        code: Code,
        options: &[(OptionNumber, &[u8])],
        payload: &[u8],
    ) -> Vec<u8> {
        let header = Header { kind: Kind::Confirmable, code, message_id: self.next_id, token: b"t" };
        self.next_id += 1;
        let request = message(header, options, payload);
        self.sent.clear();
        self.deliver(from, &request);
        self.sent.first().expect("an answer").1.clone()
    }

    pub(crate) fn register(&mut self, from: u16, endpoint: &str, queries: &[&str]) -> String {
        let endpoint = format!("ep={endpoint}");
        let mut options: Vec<(OptionNumber, &[u8])> = vec![
            (OptionNumber::URI_PATH, b"rd"),
            (OptionNumber::CONTENT_FORMAT, &[40]),
            (OptionNumber::URI_QUERY, endpoint.as_bytes()),
            (OptionNumber::URI_QUERY, b"lwm2m=1.1"),
        ];
        options.extend(queries.iter().map(|query| (OptionNumber::URI_QUERY, query.as_bytes())));
        let answer = self.ask(from, Code::POST, &options, b"</1/0>,</3/0>,</3303/0>");
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.code(), Code::CREATED, "{:?}", String::from_utf8_lossy(answer.payload()));
        let location: Vec<_> = answer.values(OptionNumber::LOCATION_PATH).collect();
        assert_eq!(location[0], b"rd");
        String::from_utf8(location[1].to_vec()).unwrap()
    }

    pub(crate) fn update(&mut self, from: u16, location: &str) -> Code {
        let options = [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, location.as_bytes())];
        let answer = self.ask(from, Code::POST, &options, b"");
        Message::parse(&answer).unwrap().code()
    }

    pub(crate) fn deregister(&mut self, from: u16, location: &str) -> Code {
        let options = [(OptionNumber::URI_PATH, &b"rd"[..]), (OptionNumber::URI_PATH, location.as_bytes())];
        let answer = self.ask(from, Code::DELETE, &options, b"");
        Message::parse(&answer).unwrap().code()
    }

    pub(crate) fn submit(
        &mut self,
        id: u64,
        endpoint: &str,
        request: Downlink,
        intent: Intent,
        durability: Durability,
    ) {
        self.server.submit(self.now, (id, endpoint), request, intent, durability);
        self.settle();
    }

    /// Answers the request that was sent last.
    pub(crate) fn answer(
        &mut self,
        from: u16,
        code: Code,
        options: &[(OptionNumber, &[u8])],
        payload: &[u8],
    ) {
        let request = self.sent.last().expect("a request").1.clone();
        let request = Message::parse(&request).unwrap();
        let header = Header {
            kind: Kind::Acknowledgement,
            code,
            message_id: request.message_id(),
            token: request.token(),
        };
        let answer = message(header, options, payload);
        self.deliver(from, &answer);
    }

    pub(crate) fn last_request(&self) -> Message<'_> {
        Message::parse(&self.sent.last().expect("a request").1).unwrap()
    }

    /// The message id of the last ping.
    pub(crate) fn ping(&self) -> u16 {
        let ping = self.sent.iter().rev().find(|(_, datagram)| is_ping(datagram));
        Message::parse(&ping.expect("a ping").1).unwrap().message_id()
    }

    pub(crate) fn outcome(&self, id: u64) -> Option<Result<Code, Failure>> {
        self.server.outcome_code(id)
    }
}

pub(crate) fn is_ping(datagram: &[u8]) -> bool {
    matches!(datagram, [0x40, 0, _, _])
}

pub(crate) fn read() -> Downlink {
    request(Code::GET, &[], b"")
}

pub(crate) fn request(code: Code, extra: &[(OptionNumber, &[u8])], payload: &[u8]) -> Downlink {
    let mut options: Vec<(OptionNumber, Box<[u8]>)> =
        ["3303", "0", "5700"].map(|segment| (OptionNumber::URI_PATH, segment.as_bytes().into())).into();
    options.extend(extra.iter().map(|(number, value)| (*number, (*value).into())));
    options.sort_by_key(|(number, _)| *number);
    Downlink { code, options, payload: Body::new(payload.to_vec()) }
}

pub(crate) fn observe() -> (Downlink, Intent) {
    let paths = Arc::from([Path::resource(3303, 0, 5700)]);
    (request(Code::GET, &[(OptionNumber::OBSERVE, b"")], b""), Intent::Observe { paths, composite: false })
}
