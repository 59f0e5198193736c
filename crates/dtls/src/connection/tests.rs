//! A client and a server without a network between them.

use std::boxed::Box;
use std::vec::Vec;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::config::{Authority, ClientCredentials, Psk, PskKey};
use crate::cookie::{Accept, Acceptor};
use crate::handshake::inbox::put_message_header;

struct Everybody;

impl Authority for Everybody {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(b"hush-hush")
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

struct Pair {
    rng: ChaCha8Rng,
    config: ClientConfig,
    server_config: ServerConfig,
    client: Connection<Client>,
    server: Option<Box<Connection<Server>>>,
    acceptor: Acceptor,
}

const NOW: Instant = Instant::from_millis(5);

impl Pair {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let credentials = ClientCredentials::Psk(Psk::new(b"buoy", b"hush-hush").unwrap());
        let config = ClientConfig::new(credentials);
        let client = Connection::client(&config, &mut Context::new(NOW, &mut rng), None);
        let acceptor = Acceptor::new(&mut rng);
        Self { rng, config, server_config: ServerConfig::default(), client, server: None, acceptor }
    }

    fn connected() -> Self {
        let mut pair = Self::new();
        while pair.exchange() {}
        assert!(matches!(pair.client.poll_event(), Some(Event::Connected(_))));
        assert!(matches!(pair.server().poll_event(), Some(Event::Connected(_))));
        pair
    }

    fn server(&mut self) -> &mut Connection<Server> {
        self.server.as_mut().unwrap()
    }

    /// Whether anything was sent.
    fn exchange(&mut self) -> bool {
        let mut out = [0; 1500];
        let mut sent = false;
        while let Some(length) = self.client.poll_transmit(&mut out) {
            sent = true;
            self.give_server(&mut out[..length]);
        }
        while let Some(length) = self.server.as_mut().and_then(|server| server.poll_transmit(&mut out)) {
            sent = true;
            self.give_client(&mut out[..length]);
        }
        sent
    }

    fn give_server(&mut self, bytes: &mut [u8]) -> Vec<u8> {
        let environment =
            ServerEnvironment { config: &self.server_config, authority: &Everybody, tickets: None };
        let mut context = Context::new(NOW, &mut self.rng);
        let mut datagram = Datagram::new(bytes);
        let Some(server) = &mut self.server else {
            let mut answer = [0; 64];
            let cid = ConnectionId::new(&[1, 2, 3]).unwrap();
            let accept =
                self.acceptor.accept(environment, &mut context, b"home", &mut datagram, cid, &mut answer);
            match accept {
                Accept::Ignored => {}
                Accept::Answer(length) => {
                    self.give_client(&mut answer[..length]);
                }
                Accept::Connection(server) => self.server = Some(server),
            }
            return Vec::new();
        };
        server
            .handle_datagram(environment, &mut context, &mut datagram)
            .map_or(Vec::new(), |data| data.to_vec())
    }

    fn give_client(&mut self, bytes: &mut [u8]) -> Vec<u8> {
        let mut context = Context::new(NOW, &mut self.rng);
        let data = self.client.handle_datagram(&self.config, &mut context, &mut Datagram::new(bytes));
        data.map_or(Vec::new(), |data| data.to_vec())
    }
}

/// A record that only the other end of the session could have made.
fn sealed<R: Role>(connection: &mut Connection<R>, content: ContentType, body: &[u8]) -> Vec<u8> {
    let mut out = [0; 500];
    let length = connection.session_mut().unwrap().seal(content, body, &mut out).unwrap();
    out[..length].to_vec()
}

fn message(message: Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_message_header(&mut bytes, message, 9, 0, 0, 0);
    bytes
}

#[test]
fn a_single_connection_is_accepted_without_an_endpoint() {
    let mut pair = Pair::connected();
    let mut record = sealed(&mut pair.client, ContentType::ApplicationData, b"hello");
    assert_eq!(pair.give_server(&mut record), b"hello");
    let mut record = sealed(pair.server(), ContentType::ApplicationData, b"hi");
    assert_eq!(pair.give_client(&mut record), b"hi");
}

#[test]
fn renegotiation_is_refused_in_both_directions() {
    let mut pair = Pair::connected();
    let mut hello = sealed(&mut pair.client, ContentType::Handshake, &message(Message::ClientHello));
    pair.give_server(&mut hello);
    assert!(pair.server().wants_transmit());
    let mut request = sealed(pair.server(), ContentType::Handshake, &message(Message::HelloRequest));
    pair.give_client(&mut request);
    assert!(pair.client.wants_transmit());
    pair.exchange();
    assert!(pair.client.is_established() && pair.server().is_established());
    assert!(pair.client.poll_event().is_none());
}

#[test]
fn a_fatal_alert_ends_the_session_and_is_told() {
    let mut pair = Pair::connected();
    let mut alert = sealed(&mut pair.client, ContentType::Alert, &[2, 80]);
    pair.give_server(&mut alert);
    assert!(matches!(pair.server().poll_event(), Some(Event::Failed(Failure::PeerAlerted(Alert(80))))));
    assert!(pair.server().is_closed());
    assert_eq!(pair.server().seal(b"x", &mut [0; 100]), Err(SealError::NotConnected));
}

#[test]
fn a_warning_ends_nothing() {
    let mut pair = Pair::connected();
    let mut alert = sealed(&mut pair.client, ContentType::Alert, &[1, 100]);
    pair.give_server(&mut alert);
    assert!(pair.server().is_established());
}

#[test]
fn encrypted_nonsense_is_dropped() {
    let mut pair = Pair::connected();
    for content in [ContentType::Alert, ContentType::Handshake, ContentType::ChangeCipherSpec] {
        for body in [&[][..], &[1], &[9; 100]] {
            let mut record = sealed(&mut pair.client, content, body);
            pair.give_server(&mut record);
            let mut record = sealed(pair.server(), content, body);
            pair.give_client(&mut record);
        }
    }
    assert!(pair.client.is_established() && pair.server().is_established());
}

#[test]
fn a_lost_last_flight_is_repeated_when_the_peer_repeats_its_own_and_not_forever() {
    let mut pair = Pair::new();
    let mut out = [0; 1500];
    while pair.server.as_ref().is_none_or(|server| !server.is_established()) {
        pair.exchange_but_the_last(&mut out);
    }
    assert!(!pair.client.is_established());
    let mut answers = 0;
    for _ in 0..20 {
        let timeout = pair.client.next_timeout().unwrap();
        let State::Handshaking(handshake) = &mut pair.client.state else { panic!("it is connected") };
        handshake.core.flight.rewind();
        let _ = timeout;
        while let Some(length) = pair.client.poll_transmit(&mut out) {
            pair.give_server(&mut out[..length]);
        }
        while pair.server().poll_transmit(&mut out).is_some() {
            answers += 1;
        }
    }
    assert_eq!(answers, u32::from(MAX_REPETITIONS));
}

/// Each record in a datagram of its own.
fn apart(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = datagram;
    while let Some(outer_type) = rest.first() {
        // The connection IDs of these tests have three bytes.
        let length_at = if *outer_type == crate::record::TLS12_CID { 14 } else { 11 };
        let length = usize::from(rest[length_at]) << 8 | usize::from(rest[length_at + 1]);
        let (record, after) = rest.split_at(length_at + 2 + length);
        records.push(record.to_vec());
        rest = after;
    }
    records
}

#[test]
fn the_rest_of_a_repetition_that_brought_what_was_lost_asks_for_nothing_again() {
    let mut pair = Pair::new();
    let mut out = [0; 1500];
    while pair.server.is_none() {
        let length = pair.client.poll_transmit(&mut out).unwrap();
        pair.give_server(&mut out[..length]);
    }
    let mut sent = Vec::new();
    for lost in [1, 0, 0] {
        let State::Handshaking(handshake) = &mut pair.server().state else { panic!("it is connected") };
        handshake.core.flight.rewind();
        let length = pair.server().poll_transmit(&mut out).unwrap();
        for mut record in apart(&out[..length]).into_iter().skip(lost) {
            pair.give_client(&mut record);
            while pair.client.poll_transmit(&mut out).is_some() {
                sent.push(lost);
            }
        }
    }
    // One flight for the ServerHello that was lost at first, and one because the server has begun again after that.
    assert_eq!(sent, [0, 0]);
}

impl Pair {
    /// As [`Pair::exchange`], but what an established server says is lost.
    fn exchange_but_the_last(&mut self, out: &mut [u8]) {
        while let Some(length) = self.client.poll_transmit(out) {
            self.give_server(&mut out[..length]);
        }
        while let Some(length) = self.server.as_mut().and_then(|server| server.poll_transmit(out)) {
            if !self.server().is_established() {
                self.give_client(&mut out[..length]);
            }
        }
    }
}

#[test]
fn an_established_connection_is_small() {
    println!(
        "client {} bytes, server {} bytes",
        size_of::<Connection<Client>>(),
        size_of::<Connection<Server>>()
    );
    assert!(size_of::<Connection<Client>>() <= 256);
    assert!(size_of::<Connection<Server>>() <= 256);
}

#[test]
fn what_is_printed_has_no_keys_in_it() {
    let pair = Pair::connected();
    let key = PskKey::new(b"hush-hush").unwrap();
    let text = std::format!("{:?} {:?} {key:?} {:?}", pair.client, pair.config, pair.acceptor);
    assert!(!text.contains("hush") && !text.contains("104, 117, 115, 104"), "{text}");
}

/// The handshake messages of a flight, all in the record of the first.
fn in_one_record(datagram: &[u8]) -> Vec<u8> {
    let mut copy = datagram.to_vec();
    let mut rest = Datagram::new(&mut copy);
    let mut bodies = Vec::new();
    while let Some(record) = rest.next_record(0) {
        bodies.extend_from_slice(record.body);
    }
    let mut out = [0; 1500];
    let length = put_plain(ContentType::Handshake, &mut 50, &mut out, &[&bodies]).unwrap();
    out[..length].to_vec()
}

#[test]
fn a_flight_in_a_single_record_is_taken_whole() {
    let mut pair = Pair::new();
    let mut out = [0; 1500];
    while pair.server.is_none() {
        let length = pair.client.poll_transmit(&mut out).unwrap();
        pair.give_server(&mut out[..length]);
    }
    let length = pair.server().poll_transmit(&mut out).unwrap();
    let mut flight = in_one_record(&out[..length]);
    pair.give_client(&mut flight);
    while pair.exchange() {}
    assert!(pair.client.is_established());
}

#[test]
fn a_server_that_asks_for_no_cookie_is_talked_to() {
    let mut pair = Pair::new();
    let mut out = [0; 1500];
    let length = pair.client.poll_transmit(&mut out).unwrap();
    let record = Datagram::new(&mut out[..length]).next_record(0).unwrap();
    let arrived = Arrived::whole(&crate::cookie::client_hello(&record).unwrap());
    let environment = ServerEnvironment { config: &pair.server_config, authority: &Everybody, tickets: None };
    let accepted = server::Accepted {
        arrived: &arrived,
        message_sequence: 0,
        record_sequence: 0,
        local_cid: ConnectionId::EMPTY,
        remembered: None,
    };
    let mut context = Context::new(NOW, &mut pair.rng);
    pair.server = Some(Box::new(Connection::server(environment, &mut context, accepted)));
    let length = pair.server().poll_transmit(&mut out).unwrap();
    let mut flight = in_one_record(&out[..length]);
    pair.give_client(&mut flight);
    while pair.exchange() {}
    assert!(pair.client.is_established() && pair.server().is_established());
}

#[test]
fn a_record_of_an_older_session_or_one_that_comes_twice_does_not_look_like_a_bad_key() {
    let mut pair = Pair::new();
    let mut out = [0; 1500];
    while pair.server.is_none() {
        let length = pair.client.poll_transmit(&mut out).unwrap();
        pair.give_server(&mut out[..length]);
    }
    let length = pair.server().poll_transmit(&mut out).unwrap();
    pair.give_client(&mut out[..length]);
    let length = pair.client.poll_transmit(&mut out).unwrap();
    let mut flight = out[..length].to_vec();
    let finished = flight.len() - 13 - 3 - 8 - 24 - 1 - 8;
    // All but Finished, and then what the client had still sent under its old keys.
    pair.give_server(&mut flight[..finished].to_vec());
    for record in [
        [&[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 30][..], &[7; 30]].concat(),
        [&[25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 9, 9, 9, 0, 30][..], &[7; 30]].concat(),
    ] {
        pair.give_server(&mut record.clone());
    }
    pair.give_server(&mut flight[finished..]);
    assert!(pair.server().is_established());
}

#[test]
fn what_somebody_else_puts_in_the_way_of_a_finished_stops_no_handshake() {
    let mut pair = Pair::new();
    let mut out = [0; 1500];
    while pair.server.is_none() {
        let length = pair.client.poll_transmit(&mut out).unwrap();
        pair.give_server(&mut out[..length]);
    }
    // In the clear, with the numbers that the client's next messages will have: a Finished, and a piece of something long.
    for (sequence, message, total) in
        [(2, Message::Finished, 0), (3, Message::Finished, 0), (3, Message::Certificate, 900)]
    {
        let mut body = Vec::new();
        put_message_header(&mut body, message, sequence, total, 0, 0);
        let length = put_plain(ContentType::Handshake, &mut 70, &mut out, &[&body]).unwrap();
        pair.give_server(&mut out[..length]);
    }
    while pair.exchange() {}
    assert!(pair.client.is_established() && pair.server().is_established());
}

/// The client's last flight in one datagram, with data behind it that it sends before it has the server's Finished.
fn last_flight_with_data(pair: &mut Pair) -> Vec<u8> {
    let mut out = [0; 1500];
    while pair.client.session_in_handshake().is_none() {
        while let Some(length) = pair.client.poll_transmit(&mut out) {
            pair.give_server(&mut out[..length]);
        }
        while let Some(length) = pair.server.as_mut().and_then(|server| server.poll_transmit(&mut out)) {
            pair.give_client(&mut out[..length]);
        }
    }
    let mut datagram = Vec::new();
    while let Some(length) = pair.client.poll_transmit(&mut out) {
        datagram.extend_from_slice(&out[..length]);
    }
    let session = pair.client.session_in_handshake().unwrap();
    let length = session.seal(ContentType::ApplicationData, b"early", &mut out).unwrap();
    datagram.extend_from_slice(&out[..length]);
    datagram
}

#[test]
fn data_behind_the_last_flight_is_taken_and_the_answer_leaves_and_is_repeated_on_demand() {
    let mut pair = Pair::new();
    let mut datagram = last_flight_with_data(&mut pair);
    assert_eq!(pair.give_server(&mut datagram), b"early");
    let mut out = [0; 1500];
    // The answer leaves, and is lost.
    assert!(pair.server().poll_transmit(&mut out).is_some());
    while pair.server().poll_transmit(&mut out).is_some() {}
    // More data doesn't show that the client has it; its flight once more, with a new record, asks for it.
    let session = pair.client.session_in_handshake().unwrap();
    let length = session.seal(ContentType::ApplicationData, b"more", &mut out).unwrap();
    assert_eq!(pair.give_server(&mut out[..length]), b"more");
    let State::Handshaking(handshake) = &mut pair.client.state else { panic!("it is connected") };
    handshake.core.flight.rewind();
    pair.exchange();
    assert!(pair.client.is_established() && pair.server().is_established());
}

#[test]
fn a_forged_finished_is_dropped_and_the_true_one_behind_it_completes_the_handshake() {
    let mut pair = Pair::new();
    let datagram = last_flight_with_data(&mut pair);
    let records = apart(&datagram);
    let [.., finished, _] = &records[..] else { panic!("{records:?}") };
    for record in &records[..records.len() - 2] {
        pair.give_server(&mut record.clone());
    }
    for bit in 0..8 {
        let mut forged = finished.clone();
        *forged.last_mut().unwrap() ^= 1 << bit;
        pair.give_server(&mut forged);
    }
    assert!(pair.server().poll_event().is_none() && !pair.server().wants_transmit());
    pair.give_server(&mut finished.clone());
    assert!(pair.server().is_established());
}
