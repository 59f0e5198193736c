//! Two endpoints over a network that loses, repeats, reorders and forges: nothing panics, memory stays within its bounds, every
//! request ends once.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use buoy_coap::endpoint::{
    Delivery, Due, HeapEndpoint, MessageIds, Outgoing, Parameters, Purpose, Received, Token, acknowledge,
    reject,
};
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const EXCHANGES: usize = 4;
const SEEN: usize = 4;

#[derive(Arbitrary, Debug)]
enum Step {
    /// One side asks the other.
    Ask { right: bool, confirmable: bool, method: u8, options: Vec<(u16, Vec<u8>)>, payload: Vec<u8> },
    /// A datagram on its way arrives, and stays on its way if it is to come again.
    Deliver { index: u8, again: bool },
    /// A datagram is lost.
    Lose { index: u8 },
    /// Somebody forges a datagram.
    Forge { right: bool, bytes: Vec<u8> },
    /// Time passes.
    Wait { millis: u32 },
    /// One side no longer wants to know.
    Cancel { right: bool, tag: u8 },
    /// One side answers only by a separate response from now on, or piggybacked again.
    AnswerLater { right: bool, on: bool },
}

struct Side {
    endpoint: HeapEndpoint<u8>,
    ids: MessageIds,
    rng: ChaCha8Rng,
    answers_later: bool,
    next_tag: u64,
    open: Vec<u64>,
}

impl Side {
    fn new(seed: u8) -> Self {
        let mut rng = ChaCha8Rng::from_seed([seed; 32]);
        let endpoint = HeapEndpoint::on_heap(Parameters::default(), EXCHANGES, SEEN, &mut rng);
        let ids = MessageIds::random(&mut rng);
        Self { endpoint, ids, rng, answers_later: false, next_tag: 0, open: Vec::new() }
    }

    fn end(&mut self, tag: u64) {
        let index = self.open.iter().position(|open| *open == tag).expect("an exchange ends once");
        self.open.swap_remove(index);
    }

    fn send(&mut self, now: Instant, outgoing: Outgoing<u8>, options: &[(u16, Vec<u8>)], payload: &[u8]) {
        let tag = outgoing.tag;
        let sent = self.endpoint.send(now, &mut self.rng, outgoing, |writer| {
            for (number, value) in options {
                writer.option(OptionNumber(*number), value);
            }
            writer.payload(payload);
        });
        if sent.is_ok() {
            self.open.push(tag);
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        confirmable: bool,
        method: u8,
        options: &[(u16, Vec<u8>)],
        payload: &[u8],
    ) {
        let outgoing = Outgoing {
            peer: 0,
            purpose: Purpose::Request,
            delivery: if confirmable { Delivery::Confirmable } else { Delivery::NonConfirmable },
            code: Code::new(0, method % 7 + 1),
            token: Token::random(&mut self.rng),
            message_id: self.ids.next_id(),
            tag: self.tag(),
        };
        self.send(now, outgoing, options, payload);
    }

    fn tag(&mut self) -> u64 {
        self.next_tag += 1;
        self.next_tag
    }

    fn receive(&mut self, now: Instant, datagram: &[u8]) -> Vec<u8> {
        let mut out = [0; 1280];
        let length = match self.endpoint.receive(now, 0, datagram, &mut out) {
            Received::Answered(length) => length,
            Received::Response { tag, answer, .. } => {
                self.end(tag);
                answer
            }
            Received::Delivered(tag) | Received::Reset(tag) => {
                self.end(tag);
                0
            }
            Received::Unmatched(message) => {
                let id = message.message_id();
                let bytes = if message.payload().is_empty() { reject(id) } else { acknowledge(id) };
                out[..4].copy_from_slice(&bytes);
                4
            }
            Received::Request(request) if self.answers_later => {
                let length = self.endpoint.accept(&request, &mut out);
                if let Some(token) = Token::from_slice(request.message.token()) {
                    let outgoing = Outgoing {
                        peer: 0,
                        purpose: Purpose::Response,
                        delivery: Delivery::Confirmable,
                        code: Code::CONTENT,
                        token,
                        message_id: self.ids.next_id(),
                        tag: self.tag(),
                    };
                    self.send(now, outgoing, &[], request.message.payload());
                }
                length
            }
            Received::Request(request) => {
                let payload = request.message.payload();
                self.endpoint.reply(&request, &mut self.ids, &mut out, |writer| {
                    writer.code(Code::CONTENT).payload(payload);
                })
            }
            Received::Nothing | Received::ResetOf(_) => 0,
        };
        out[..length].to_vec()
    }

    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        loop {
            let ended = match self.endpoint.poll(now) {
                None => return datagrams,
                Some(Due::Transmit { datagram, .. }) => {
                    datagrams.push(datagram.to_vec());
                    continue;
                }
                Some(Due::TimedOut { tag, .. }) => tag,
            };
            self.end(ended);
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut sides = [Side::new(1), Side::new(2)];
    let mut now = Instant::from_millis(1000);
    // To whom, and what.
    let mut way: Vec<(usize, Vec<u8>)> = Vec::new();
    for step in steps.into_iter().take(200) {
        match step {
            Step::Ask { right, confirmable, method, options, payload } => {
                sides[usize::from(right)].ask(now, confirmable, method, &options, &payload);
            }
            Step::Deliver { index, again } if !way.is_empty() => {
                let index = usize::from(index) % way.len();
                let (to, datagram) = if again { way[index].clone() } else { way.swap_remove(index) };
                let answer = sides[to].receive(now, &datagram);
                if !answer.is_empty() {
                    way.push((1 - to, answer));
                }
            }
            Step::Lose { index } if !way.is_empty() => drop(way.swap_remove(usize::from(index) % way.len())),
            Step::Deliver { .. } | Step::Lose { .. } => {}
            Step::Forge { right, bytes } => way.push((usize::from(right), bytes)),
            Step::Wait { millis } => now = now + Duration::from_millis(millis.into()),
            Step::Cancel { right, tag } => {
                let side = &mut sides[usize::from(right)];
                if side.endpoint.cancel(now, 0, tag.into()) {
                    side.end(tag.into());
                }
            }
            Step::AnswerLater { right, on } => sides[usize::from(right)].answers_later = on,
        }
        for (number, side) in sides.iter_mut().enumerate() {
            way.extend(side.drain(now).into_iter().map(|datagram| (1 - number, datagram)));
            assert!(side.endpoint.outstanding() <= EXCHANGES);
            assert_eq!(side.endpoint.outstanding(), side.open.len());
        }
        way.truncate(64);
    }
    // With nobody answering any more, everything ends.
    for side in &mut sides {
        while let Some(at) = side.endpoint.next_deadline() {
            now = now.max(at);
            side.drain(now);
        }
        assert!(side.open.is_empty());
    }
});
