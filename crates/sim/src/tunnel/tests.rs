//! A tunnel and its server, with a clock that is a number.

use std::time::Duration;

use buoy_coap::time::Instant;
use buoy_dtls::config::{Authority, ClientConfig, ClientCredentials, Psk, PskKey, Resume, ServerConfig};
use buoy_dtls::endpoint::{CidFormat, Endpoint, Limits};
use buoy_dtls::resumption::TicketKeys;
use buoy_dtls::{Context, Datagram, Failure, Peer, ServerEnvironment};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

/// Confirmable messages of CoAP, and an acknowledgement.
const ASK: &[u8] = b"\x40\x01\x00\x01";
const ASK_LATER: &[u8] = b"\x40\x01\x00\x02";
const ANSWER: &[u8] = b"\x60\x45\x00\x01";

struct Anybody;

impl Authority for Anybody {
    fn psk(&self, _: &[u8]) -> Option<PskKey> {
        PskKey::new(b"secret")
    }

    fn admits(&self, _: &Peer) -> bool {
        true
    }
}

/// A tunnel and its server, with a clock that is a number.
struct World {
    tunnel: Tunnel,
    config: ClientConfig,
    server: Endpoint<std::net::SocketAddr>,
    tickets: TicketKeys,
    rng: ChaCha8Rng,
    now: Instant,
    is_away: bool,
    /// What the server got, and what came back.
    got: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
}

impl World {
    fn new(key: &[u8]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut config = ClientConfig::new(ClientCredentials::Psk(Psk::new(b"buoy-1", key).unwrap()));
        config.resume = Resume::Keep;
        Self {
            tunnel: Tunnel::new(is_confirmable),
            config,
            server: fresh(&mut rng),
            tickets: TicketKeys::new(&mut rng, 3600),
            rng,
            now: Instant::from_millis(1_000),
            is_away: false,
            got: Vec::new(),
            back: Vec::new(),
        }
    }

    fn send(&mut self, message: &[u8]) {
        let mut context = Context::new(self.now, &mut self.rng);
        self.tunnel.send(self.now, &self.config, &mut context, message);
        self.settle();
    }

    fn settle(&mut self) {
        let server = ServerConfig::default();
        let tickets = Some(&self.tickets);
        let environment = ServerEnvironment { config: &server, authority: &Anybody, tickets };
        let address = "192.0.2.1:5684".parse().unwrap();
        let mut buffer = [0; 1500];
        while let Some(length) = self.tunnel.poll_transmit(&mut buffer) {
            if self.is_away {
                continue;
            }
            let mut out = [0; 1500];
            let mut replies = Vec::new();
            let mut context = Context::new(self.now, &mut self.rng);
            let mut datagram = Datagram::new(&mut buffer[..length]);
            while let Some(received) = self.server.receive(environment, &mut context, address, &mut datagram)
            {
                self.got.push(received.data.to_vec());
                let (_, length) = self.server.seal(received.handle, ANSWER, &mut out).unwrap();
                replies.push(out[..length].to_vec());
            }
            while let Some((_, length)) = self.server.poll_transmit(&mut out) {
                replies.push(out[..length].to_vec());
            }
            for mut reply in replies {
                let mut context = Context::new(self.now, &mut self.rng);
                let back = &mut self.back;
                let take = |data: &[u8]| back.push(data.to_vec());
                self.tunnel.receive(&self.config, &mut context, &mut reply, take);
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let next = |world: &Self| {
            let timeouts = [world.tunnel.next_timeout(), world.server.next_timeout()];
            timeouts.into_iter().flatten().min().filter(|at| *at <= end)
        };
        while let Some(at) = next(self) {
            self.now = at;
            self.server.handle_timeout(at);
            self.take_what_the_server_says();
            if self.tunnel.next_timeout().is_some_and(|due| due <= at) {
                self.tunnel.handle_timeout(at);
            }
            self.settle();
        }
        self.now = end;
    }

    /// What it sends by itself.
    fn take_what_the_server_says(&mut self) {
        let mut out = [0; 1500];
        while let Some((_, length)) = self.server.poll_transmit(&mut out) {
            if self.is_away {
                continue;
            }
            let mut context = Context::new(self.now, &mut self.rng);
            let back = &mut self.back;
            let take = |data: &[u8]| back.push(data.to_vec());
            self.tunnel.receive(&self.config, &mut context, &mut out[..length], take);
        }
    }

    fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.tunnel.poll_news()).collect()
    }
}

fn fresh(rng: &mut ChaCha8Rng) -> Endpoint<std::net::SocketAddr> {
    Endpoint::new(Limits::default(), CidFormat::new(&[0], 7).unwrap(), rng)
}

const FULL: News = News::Connected { resumed: false };

#[test]
fn the_first_message_makes_the_session_and_waits_for_it_once() {
    let mut world = World::new(b"secret");
    world.is_away = true;
    world.send(ASK);
    world.send(ASK);
    world.is_away = false;
    world.wait(2);
    assert_eq!(world.news(), [News::Started, FULL]);
    assert_eq!((world.got.len(), world.back.len()), (1, 1));
}

#[test]
fn a_session_that_the_server_has_lost_is_resumed_once_its_silence_tells() {
    let mut world = World::new(b"secret");
    world.send(ASK);
    world.server = fresh(&mut world.rng);
    world.news();
    world.send(ASK_LATER);
    world.wait(2);
    world.send(ASK_LATER);
    world.wait(4);
    assert_eq!(world.news(), []);
    world.send(ASK_LATER);
    assert_eq!(world.news(), [News::Started, News::Connected { resumed: true }]);
    assert_eq!(world.got.last().unwrap(), ASK_LATER);
}

#[test]
fn a_server_that_is_back_in_time_costs_no_handshake() {
    let mut world = World::new(b"secret");
    world.send(ASK);
    world.news();
    world.is_away = true;
    world.send(ASK_LATER);
    world.wait(6);
    world.is_away = false;
    world.send(ASK_LATER);
    assert_eq!(world.news(), [News::Started, News::GivenUp]);
    world.wait(100);
    world.send(ASK);
    assert_eq!((world.news(), world.got), (vec![], [ASK, ASK_LATER, ASK].map(<[u8]>::to_vec).to_vec()));
}

#[test]
fn a_server_that_was_away_finds_the_session_as_it_was() {
    let mut world = World::new(b"secret");
    world.send(ASK);
    world.news();
    world.is_away = true;
    world.send(ASK_LATER);
    world.wait(6);
    world.send(ASK_LATER);
    world.wait(300);
    assert!(matches!(world.news()[..], [News::Started, News::Failed(Failure::PeerSilent { .. })]));
    world.is_away = false;
    world.send(ASK_LATER);
    assert_eq!((world.news(), world.got.len()), (vec![], 2));
}

#[test]
fn a_wrong_key_fails_and_takes_what_waited_with_it() {
    let mut world = World::new(b"wrong");
    world.send(ASK);
    // The server waits for another Finished, since this one may be forged.
    assert_eq!(world.news(), [News::Started]);
    world.wait(10);
    let failure = world.news();
    assert!(matches!(failure[..], [News::Failed(Failure::PeerAlerted(_))]), "{failure:?}");
    world.wait(100);
    assert_eq!((world.news(), world.got.len()), (vec![], 0));
}
