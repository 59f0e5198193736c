use super::*;
use crate::buffer::{Inline, Pool};
use crate::wire::{Header, MessageWriter};
use core::time::Duration;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::vec::Vec;

type TestEndpoint = FixedEndpoint<u8, Pool<256>, Inline<32>, 4, 4>;

const PEER: u8 = 1;

struct Fixture {
    endpoint: TestEndpoint,
    rng: ChaCha8Rng,
    ids: MessageIds,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let endpoint = TestEndpoint::fixed(Parameters::default(), &mut rng);
        Self { endpoint, rng, ids: MessageIds::starting_at(100), now: Instant::ZERO }
    }

    fn send(&mut self, tag: u64, delivery: Delivery) -> u16 {
        self.send_as(tag, delivery, Purpose::Request)
    }

    fn send_as(&mut self, tag: u64, delivery: Delivery, purpose: Purpose) -> u16 {
        let message_id = self.ids.next_id();
        let token = Token::from_bytes(tag.to_be_bytes());
        let outgoing = Outgoing { peer: PEER, purpose, delivery, code: Code::GET, token, message_id, tag };
        self.endpoint.send(self.now, &mut self.rng, outgoing, |_| {}).unwrap();
        message_id
    }

    /// The datagrams and time-outs that are due.
    fn drain(&mut self) -> (Vec<Vec<u8>>, Vec<u64>) {
        let (mut sent, mut timed_out) = (Vec::new(), Vec::new());
        while let Some(due) = self.endpoint.poll(self.now) {
            match due {
                Due::Transmit { datagram, .. } => sent.push(datagram.to_vec()),
                Due::TimedOut { tag, .. } => timed_out.push(tag),
            }
        }
        (sent, timed_out)
    }

    fn receive<'d>(&mut self, datagram: &'d [u8]) -> (Received<'d, u8>, Vec<u8>) {
        let mut out = [0; 128];
        let received = self.endpoint.receive(self.now, PEER, datagram, &mut out);
        let length = match received {
            Received::Answered(length) | Received::Response { answer: length, .. } => length,
            _ => 0,
        };
        (received, out[..length].to_vec())
    }
}

fn message(kind: Kind, code: Code, message_id: u16, token: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 64];
    let length = MessageWriter::new(&mut buffer, Header { kind, code, message_id, token }).finish().unwrap();
    buffer[..length].to_vec()
}

#[test]
fn a_ping_is_answered_by_a_reset() {
    let mut fixture = Fixture::new();
    let (_, answer) = fixture.receive(&message(Kind::Confirmable, Code::EMPTY, 9, &[]));
    assert_eq!(answer, reject(9));
}

#[test]
fn a_confirmable_message_is_sent_five_times_with_doubling_waits_and_then_times_out() {
    let mut fixture = Fixture::new();
    fixture.send(1, Delivery::Confirmable);
    let mut waits = Vec::new();
    let timed_out = loop {
        let before = fixture.now;
        let (sent, timed_out) = fixture.drain();
        if !timed_out.is_empty() {
            break timed_out;
        }
        assert_eq!(sent.len(), 1);
        fixture.now = fixture.endpoint.next_deadline().unwrap();
        waits.push(fixture.now.since(before).as_millis());
    };
    assert_eq!(timed_out, [1]);
    assert_eq!(waits.len(), 5);
    assert!((2000..=3000).contains(&waits[0]), "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{waits:?}");
}

#[test]
fn what_a_peer_has_not_acknowledged_is_repeated_at_once_when_it_is_heard() {
    let notification = message(Kind::NonConfirmable, Code::CONTENT, 77, b"other");
    let request = message(Kind::NonConfirmable, Code::POST, 78, b"");
    let stray = message(Kind::Acknowledgement, Code::EMPTY, 7, b"");
    for heard in [notification, request, stray] {
        let mut fixture = Fixture::new();
        fixture.send(1, Delivery::Confirmable);
        let (first, _) = fixture.drain();
        // The device was asleep for the first four transmissions, and wakes in the last wait but one.
        for _ in 0..3 {
            fixture.now = fixture.endpoint.next_deadline().unwrap();
            fixture.drain();
        }
        let due = fixture.endpoint.next_deadline().unwrap();
        fixture.now = fixture.now + Duration::from_secs(5);
        fixture.receive(&heard);
        assert_eq!(fixture.drain(), (first, vec![]));
        assert!(fixture.endpoint.next_deadline().unwrap() > due, "the schedule goes on");
    }
}

#[test]
fn a_peer_that_is_heard_in_the_last_wait_gets_the_message_once_more() {
    let mut fixture = Fixture::new();
    fixture.send(1, Delivery::Confirmable);
    let (first, _) = fixture.drain();
    for _ in 0..4 {
        fixture.now = fixture.endpoint.next_deadline().unwrap();
        fixture.drain();
    }
    fixture.now = fixture.now + Duration::from_secs(20);
    fixture.receive(&message(Kind::NonConfirmable, Code::POST, 78, b""));
    assert_eq!(fixture.drain(), (first, vec![]));
    fixture.now = fixture.endpoint.next_deadline().unwrap();
    assert_eq!(fixture.drain(), (vec![], vec![1]));
}

#[test]
fn a_talkative_peer_gets_three_repetitions_out_of_turn_and_none_while_the_answer_may_be_under_way() {
    let mut fixture = Fixture::new();
    fixture.send(1, Delivery::Confirmable);
    assert_eq!(fixture.drain().0.len(), 1);
    let (mut sent, mut last) = (0, fixture.now);
    for id in 0..400 {
        fixture.now = fixture.now + Duration::from_millis(250);
        fixture.receive(&message(Kind::NonConfirmable, Code::POST, id, b""));
        for _ in fixture.drain().0 {
            assert!(fixture.now.since(last) >= Duration::from_secs(1));
            (sent, last) = (sent + 1, fixture.now);
        }
    }
    // Four by the schedule, three because it was heard.
    assert_eq!(sent, 7);
    assert!(last.as_millis() < 247_000 - 100_000, "EXCHANGE_LIFETIME less MAX_LATENCY");
}

#[test]
fn another_peer_s_message_repeats_nothing() {
    let mut fixture = Fixture::new();
    fixture.send(1, Delivery::Confirmable);
    fixture.drain();
    fixture.now = fixture.now + Duration::from_millis(1900);
    let stranger = message(Kind::NonConfirmable, Code::POST, 5, b"");
    fixture.endpoint.receive(fixture.now, PEER + 1, &stranger, &mut [0; 128]);
    assert_eq!(fixture.drain(), (vec![], vec![]));
}

#[test]
fn a_peer_is_pinged_while_a_request_to_it_is_under_way_and_its_reset_is_told() {
    let mut fixture = Fixture::new();
    fixture.send(1, Delivery::Confirmable);
    fixture.drain();
    fixture.endpoint.ping(fixture.now, &mut fixture.rng, PEER, 4711, 9).unwrap();
    let (sent, _) = fixture.drain();
    assert_eq!(sent, [vec![0x40, 0, 0x12, 0x67]]);
    assert!(matches!(fixture.receive(&reject(4712)).0, Received::ResetOf(4712)));
    assert!(matches!(fixture.receive(&reject(4711)).0, Received::Reset(9)));
    assert_eq!(fixture.endpoint.outstanding(), 1);
}

#[test]
fn options_that_ask_for_a_protection_that_is_not_there_are_refused() {
    for number in [OptionNumber::OSCORE, OptionNumber::EDHOC] {
        let with_option = |kind, code, id, token: &[u8]| {
            let mut buffer = [0; 64];
            let mut writer = MessageWriter::new(&mut buffer, Header { kind, code, message_id: id, token });
            writer.option(number, b"");
            let length = writer.finish().unwrap();
            buffer[..length].to_vec()
        };
        let mut fixture = Fixture::new();
        let (_, answer) = fixture.receive(&with_option(Kind::Confirmable, Code::POST, 1, b"t"));
        assert_eq!(Message::parse(&answer).unwrap().code(), Code::BAD_OPTION, "{number:?}");
        let request = with_option(Kind::NonConfirmable, Code::POST, 2, b"t");
        assert!(matches!(fixture.receive(&request).0, Received::Nothing));
        let id = fixture.send(7, Delivery::Confirmable);
        fixture.drain();
        let token = 7u64.to_be_bytes();
        let response = with_option(Kind::Acknowledgement, Code::CONTENT, id, &token);
        assert!(matches!(fixture.receive(&response).0, Received::Nothing));
        let (_, answer) = fixture.receive(&with_option(Kind::Confirmable, Code::CONTENT, 3, &token));
        assert_eq!(answer, reject(3));
        assert_eq!(fixture.endpoint.outstanding(), 1);
    }
}

#[test]
fn a_piggybacked_response_ends_the_exchange() {
    let mut fixture = Fixture::new();
    let id = fixture.send(7, Delivery::Confirmable);
    fixture.drain();
    let response = message(Kind::Acknowledgement, Code::CONTENT, id, &7u64.to_be_bytes());
    assert!(matches!(fixture.receive(&response).0, Received::Response { tag: 7, .. }));
    assert!(matches!(fixture.receive(&response).0, Received::Nothing), "a duplicate");
    assert_eq!(fixture.endpoint.outstanding(), 0);
}

#[test]
fn a_piggybacked_response_with_another_token_is_not_taken() {
    let mut fixture = Fixture::new();
    let id = fixture.send(7, Delivery::Confirmable);
    fixture.drain();
    let forged = message(Kind::Acknowledgement, Code::CONTENT, id, b"guess");
    assert!(matches!(fixture.receive(&forged).0, Received::Nothing));
    assert_eq!(fixture.endpoint.outstanding(), 1);
}

#[test]
fn a_separate_response_is_acknowledged_each_time_it_comes() {
    let mut fixture = Fixture::new();
    let id = fixture.send(7, Delivery::Confirmable);
    fixture.drain();
    fixture.receive(&message(Kind::Acknowledgement, Code::EMPTY, id, &[]));
    let response = message(Kind::Confirmable, Code::CONTENT, 55, &7u64.to_be_bytes());
    let (received, answer) = fixture.receive(&response);
    assert!(matches!(received, Received::Response { tag: 7, .. }));
    assert_eq!(answer, acknowledge(55));
    let (received, answer) = fixture.receive(&response);
    assert!(matches!(received, Received::Answered(4)));
    assert_eq!(answer, acknowledge(55));
}

#[test]
fn a_response_that_never_follows_its_acknowledgement_times_out() {
    let mut fixture = Fixture::new();
    let id = fixture.send(7, Delivery::Confirmable);
    fixture.drain();
    fixture.receive(&message(Kind::Acknowledgement, Code::EMPTY, id, &[]));
    fixture.now = fixture.endpoint.next_deadline().unwrap();
    assert_eq!(fixture.drain(), (vec![], vec![7]));
}

#[test]
fn a_second_request_to_a_peer_waits_for_the_first() {
    let mut fixture = Fixture::new();
    let first = fixture.send(1, Delivery::Confirmable);
    fixture.send(2, Delivery::Confirmable);
    fixture.send(3, Delivery::Confirmable);
    assert_eq!(fixture.drain().0.len(), 1);
    fixture.receive(&message(Kind::Acknowledgement, Code::CONTENT, first, &1u64.to_be_bytes()));
    let (sent, _) = fixture.drain();
    assert_eq!(Message::parse(&sent[0]).unwrap().token(), 2u64.to_be_bytes());
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_request_to_a_peer_that_has_moved_goes_on_at_its_new_address() {
    let mut fixture = Fixture::new();
    let id = fixture.send(7, Delivery::Confirmable);
    let first = fixture.drain().0;
    fixture.now = Instant::from_millis(40_000);
    fixture.drain();
    assert!(fixture.endpoint.redirect(fixture.now, PEER, 7, PEER + 1));
    let Some(Due::Transmit { peer, datagram }) = fixture.endpoint.poll(fixture.now) else { panic!() };
    assert_eq!((peer, datagram), (PEER + 1, &first[0][..]), "a repetition of the same message");
    let answer = message(Kind::Acknowledgement, Code::CONTENT, id, &7u64.to_be_bytes());
    assert!(matches!(fixture.receive(&answer).0, Received::Nothing), "it comes from the old address");
    let received = fixture.endpoint.receive(fixture.now, PEER + 1, &answer, &mut []);
    assert!(matches!(received, Received::Response { tag: 7, .. }));
    assert!(!fixture.endpoint.redirect(fixture.now, PEER, 7, PEER + 1));
}

#[test]
fn a_reset_ends_a_request_and_an_acknowledgement_delivers_a_notification() {
    let mut fixture = Fixture::new();
    let request = fixture.send(1, Delivery::Confirmable);
    fixture.drain();
    assert!(matches!(fixture.receive(&reject(request)).0, Received::Reset(1)));
    let notification = fixture.send_as(2, Delivery::Confirmable, Purpose::Response);
    fixture.drain();
    assert!(matches!(fixture.receive(&acknowledge(notification)).0, Received::Delivered(2)));
    assert!(matches!(fixture.receive(&reject(77)).0, Received::ResetOf(77)));
}

#[test]
fn a_request_with_an_id_that_was_used_shortly_before_is_no_duplicate_if_its_token_is_another() {
    let mut fixture = Fixture::new();
    let reply = |fixture: &mut Fixture, request: &Request<'_, u8>| {
        let mut out = [0; 64];
        fixture.endpoint.reply(request, &mut fixture.ids, &mut out, |writer| {
            writer.code(Code::CHANGED);
        })
    };
    // Before a reboot: an Update, and a confirmable notification.
    let update = message(Kind::Confirmable, Code::POST, 5, b"old");
    let Received::Request(request) = fixture.receive(&update).0 else { panic!() };
    assert_eq!(reply(&mut fixture, &request), 7);
    let notification = message(Kind::Confirmable, Code::CONTENT, 6, b"seen");
    let token = fixture.send(1, Delivery::Confirmable);
    fixture.drain();
    let separate = message(Kind::Confirmable, Code::CONTENT, 6, &1u64.to_be_bytes());
    assert!(matches!(fixture.receive(&separate).0, Received::Response { tag: 1, .. }), "{token}");

    // After it: other requests under the same ids.
    for id in [5, 6] {
        let fetch = message(Kind::Confirmable, Code::GET, id, b"new");
        assert!(matches!(fixture.receive(&fetch).0, Received::Request(_)), "{id}");
        assert!(matches!(fixture.receive(&fetch).0, Received::Nothing), "its own duplicate is known: {id}");
    }
    assert_eq!(fixture.receive(&update).1.len(), 7, "what was seen before is still known");
    assert_eq!(fixture.receive(&separate).1, acknowledge(6));
    assert!(matches!(fixture.receive(&notification).0, Received::Unmatched(_)));
}

#[test]
fn a_duplicate_request_gets_the_first_reply_again() {
    let mut fixture = Fixture::new();
    let datagram = message(Kind::Confirmable, Code::POST, 5, b"t");
    let Received::Request(request) = fixture.receive(&datagram).0 else { panic!() };
    assert!(matches!(fixture.receive(&datagram).0, Received::Nothing), "the owner is at it");
    let mut out = [0; 64];
    let length = fixture.endpoint.reply(&request, &mut fixture.ids, &mut out, |writer| {
        writer.code(Code::CHANGED);
    });
    assert_eq!(fixture.receive(&datagram).1, &out[..length]);
}

#[test]
fn a_reply_too_long_to_keep_is_repeated_without_payload_unless_the_request_may_be_repeated() {
    let mut fixture = Fixture::new();
    let mut out = [0; 128];
    let fill = |writer: &mut MessageWriter<'_>| {
        writer.code(Code::CONTENT).payload(&[7; 60]);
    };
    let post = message(Kind::Confirmable, Code::POST, 5, b"t");
    let Received::Request(request) = fixture.receive(&post).0 else { panic!() };
    fixture.endpoint.reply(&request, &mut fixture.ids, &mut out, fill);
    assert_eq!(fixture.receive(&post).1, message(Kind::Acknowledgement, Code::CONTENT, 5, b"t"));
    let get = message(Kind::Confirmable, Code::GET, 6, b"t");
    let Received::Request(request) = fixture.receive(&get).0 else { panic!() };
    fixture.endpoint.reply(&request, &mut fixture.ids, &mut out, fill);
    assert!(matches!(fixture.receive(&get).0, Received::Request(_)));
}

#[test]
fn a_reply_that_does_not_fit_becomes_5_00() {
    let mut fixture = Fixture::new();
    let datagram = message(Kind::Confirmable, Code::GET, 5, b"t");
    let Received::Request(request) = fixture.receive(&datagram).0 else { panic!() };
    let mut out = [0; 16];
    let length = fixture.endpoint.reply(&request, &mut fixture.ids, &mut out, |writer| {
        writer.code(Code::CONTENT).payload(&[1; 40]);
    });
    assert_eq!(out[..length], message(Kind::Acknowledgement, Code::INTERNAL_SERVER_ERROR, 5, b"t"));
}

#[test]
fn the_oldest_message_id_gives_way_when_the_memory_is_full() {
    let mut fixture = Fixture::new();
    for id in 0..5 {
        fixture.now = Instant::from_millis(u64::from(id));
        assert!(matches!(
            fixture.receive(&message(Kind::Confirmable, Code::GET, id, b"t")).0,
            Received::Request(_)
        ));
    }
    assert!(matches!(fixture.receive(&message(Kind::Confirmable, Code::GET, 4, b"t")).0, Received::Nothing));
    assert!(matches!(
        fixture.receive(&message(Kind::Confirmable, Code::GET, 0, b"t")).0,
        Received::Request(_)
    ));
}

#[test]
fn an_unknown_critical_option_is_refused_with_4_02_or_in_silence() {
    let mut fixture = Fixture::new();
    let confirmable = [0x40, 1, 0, 5, 0xd0, 12];
    let (_, answer) = fixture.receive(&confirmable);
    assert_eq!(Message::parse(&answer).unwrap().code(), Code::BAD_OPTION);
    assert!(answer.len() <= 3 * confirmable.len(), "an address that is not proved gets little");
    let large = [&confirmable[..], &[0; 12], &[0xff], &[b'x'; 40]].concat();
    let large = [&large[..2], &[0, 7], &large[4..]].concat();
    let (_, answer) = fixture.receive(&large);
    assert!(Message::parse(&answer).unwrap().payload().starts_with(b"a critical option"));
    let non_confirmable = [0x50, 1, 0, 6, 0xd0, 12];
    assert!(matches!(fixture.receive(&non_confirmable).0, Received::Nothing));
}

#[test]
fn no_response_of_rfc_7967_silences_the_classes_that_it_names() {
    let mut fixture = Fixture::new();
    let mut buffer = [0; 32];
    for (kind, id, expected) in [(Kind::Confirmable, 1, 4), (Kind::NonConfirmable, 2, 0)] {
        let header = Header { kind, code: Code::POST, message_id: id, token: b"t" };
        let mut writer = MessageWriter::new(&mut buffer, header);
        let length = writer.uint(OptionNumber::NO_RESPONSE, 2).finish().unwrap();
        let Received::Request(request) =
            fixture.endpoint.receive(fixture.now, PEER, &buffer[..length], &mut [])
        else {
            panic!()
        };
        let mut out = [0; 32];
        let length = fixture.endpoint.reply(&request, &mut fixture.ids, &mut out, |writer| {
            writer.code(Code::CHANGED);
        });
        assert_eq!(length, expected);
    }
}

#[test]
fn a_malformed_confirmable_is_reset_and_any_other_ignored() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.receive(&[0x40, 1, 0, 3, 0xff]).1, reject(3));
    assert!(matches!(fixture.receive(&[0x50, 1, 0, 3, 0xff]).0, Received::Nothing));
    assert_eq!(fixture.receive(&[0x40, 0x20, 0, 4]).1, reject(4), "a reserved code class");
}
