//! The way to one server through DTLS: plaintext in, records out, and back. Knows no socket, no file and no clock.
//!
//! 1. What is to be sent waits until there is a session; the first of it starts the handshake.
//! 2. A session that stays silent to confirmable messages is set aside, and a handshake looks for a new one. What is sent meanwhile
//!    goes out in the old session too: a server that was away for a moment answers that, and the handshake is given up. If the
//!    server is silent to both, it is away, and the session is taken up again: it may outlive the server's absence.
//! 3. A session that was exported sends nothing until the export is safe; the caller looks at [`Tunnel::save_is_due`] first.

use std::time::Duration;

use buoy_coap::time::Instant;
use buoy_dtls::config::ClientConfig;
use buoy_dtls::resumption::Resumption;
use buoy_dtls::{Client, Connection, Context, Datagram, Event, Failure, SealError};

/// Plaintexts that may wait for a session.
const MOST_WAITING: usize = 8;
/// A confirmable message that is unanswered for so long, and sent again, says that the session is lost: by then it was repeated
/// once (RFC 7252 section 4.2).
const PATIENCE: Duration = Duration::from_secs(5);
/// With fewer reserved records left, the session is saved anew.
const LOW: u64 = 16;

/// An association with a server, or the wish for one.
#[derive(Default)]
pub(crate) struct Tunnel {
    connection: Option<Connection<Client>>,
    /// A session that answers no more, while a handshake looks for a new one.
    set_aside: Option<Box<Connection<Client>>>,
    /// What is sent in the session that is set aside.
    probe: Option<Box<[u8]>>,
    /// Whether `connection` has been a session.
    was_established: bool,
    waiting: Vec<Box<[u8]>>,
    resumption: Option<Box<Resumption>>,
    /// When the first confirmable message left since something was heard.
    unheard_since: Option<Instant>,
    news: Vec<News>,
}

/// What happened to a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A handshake began.
    Started,
    /// There is a session.
    Connected { resumed: bool },
    /// The handshake is superfluous: the session before it goes on.
    GivenUp,
    /// A session is over; the next message starts a handshake.
    Ended,
    /// The handshake failed, and what waited for it is dropped.
    Failed(Failure),
}

impl Tunnel {
    /// Goes on with a session that was imported.
    pub(crate) fn with_session(connection: Connection<Client>) -> Self {
        Self { connection: Some(connection), was_established: true, ..Self::default() }
    }

    /// Takes a plaintext to send.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        config: &ClientConfig,
        context: &mut Context<'_>,
        plaintext: &[u8],
    ) {
        if is_confirmable(plaintext) {
            let since = *self.unheard_since.get_or_insert(now);
            if self.is_established() && now.since(since) >= PATIENCE {
                self.set_aside = self.connection.take().map(Box::new);
            }
            self.probe = self.set_aside.is_some().then(|| plaintext.into());
        }
        let is_live = |connection: &Connection<Client>| {
            connection.is_established() || connection.next_timeout().is_some()
        };
        if !self.connection.as_ref().is_some_and(is_live) {
            let resumption = self.resumption.as_deref().cloned();
            self.connection = Some(Connection::client(config, context, resumption));
            self.was_established = false;
            self.news.push(News::Started);
        }
        let is_known = self.waiting.iter().any(|waiting| **waiting == *plaintext);
        if !is_known && self.waiting.len() < MOST_WAITING {
            self.waiting.push(plaintext.into());
        }
    }

    /// Takes a datagram from the server, and hands out what it says.
    pub(crate) fn receive(
        &mut self,
        config: &ClientConfig,
        context: &mut Context<'_>,
        datagram: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) {
        if let Some(old) = &mut self.set_aside {
            let mut copy = datagram.to_vec();
            let mut records = Datagram::new(&mut copy);
            let mut is_heard = false;
            while let Some(data) = old.handle_datagram(config, context, &mut records) {
                is_heard = true;
                take(data);
            }
            if is_heard {
                self.take_up_again();
                // They are repeated until they are answered, and went out in the old session.
                self.waiting.retain(|message| !is_confirmable(message));
                self.news.push(News::GivenUp);
                return;
            }
        }
        if let Some(connection) = &mut self.connection {
            let mut records = Datagram::new(datagram);
            while let Some(data) = connection.handle_datagram(config, context, &mut records) {
                self.unheard_since = None;
                take(data);
            }
        }
        self.take_events();
    }

    /// The time of [`Tunnel::next_timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.handle_timeout(now);
        }
        self.take_events();
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let at = self.connection.as_ref()?.next_timeout()?;
        Some(Instant::from_millis(at.as_millis()))
    }

    /// Writes the next datagram for the server; how long it is.
    pub(crate) fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
        if let (Some(old), Some(probe)) = (&mut self.set_aside, self.probe.take())
            && let Ok(length) = old.seal(&probe, out)
        {
            return Some(length);
        }
        let connection = self.connection.as_mut()?;
        if let Some(length) = connection.poll_transmit(out) {
            return Some(length);
        }
        if connection.is_closed() {
            self.connection = None;
            return None;
        }
        while let (true, Some(next)) = (connection.is_established(), self.waiting.first()) {
            match connection.seal(next, out) {
                Ok(length) => {
                    self.waiting.remove(0);
                    return Some(length);
                }
                Err(SealError::SaveFirst) => return None,
                Err(SealError::Exhausted) => {
                    self.connection = None;
                    return None;
                }
                // No record can hold it: lost, as it might be on the way.
                Err(_) => drop(self.waiting.remove(0)),
            }
        }
        None
    }

    pub(crate) fn poll_news(&mut self) -> Option<News> {
        (!self.news.is_empty()).then(|| self.news.remove(0))
    }

    /// Whether the session must be saved before more is sent.
    pub(crate) fn save_is_due(&self) -> bool {
        let is_due = |connection: &Connection<Client>| connection.save_is_due(LOW);
        !self.waiting.is_empty() && self.connection.as_ref().is_some_and(is_due)
    }

    /// Gives up what waits to be sent, as if it had been lost on the way.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The session, to export it.
    pub(crate) fn session(&mut self) -> Option<&mut Connection<Client>> {
        self.connection.as_mut().filter(|connection| connection.is_established())
    }

    /// Forgets the session, so that the next message resumes it by another handshake.
    #[cfg(target_os = "linux")]
    pub(crate) fn renew(&mut self) {
        self.connection = None;
    }

    /// Ends the session in an orderly way; [`Tunnel::poll_transmit`] has the farewell.
    pub(crate) fn close(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close();
        }
    }

    fn is_established(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_established)
    }

    fn take_events(&mut self) {
        while let Some(event) = self.connection.as_mut().and_then(Connection::poll_event) {
            match event {
                Event::Connected(connected) => {
                    self.was_established = true;
                    self.set_aside = None;
                    self.unheard_since = None;
                    self.news.push(News::Connected { resumed: connected.resumed });
                    if let Some(resumption) = connected.resumption {
                        self.resumption = Some(Box::new(resumption));
                    }
                }
                Event::Failed(failure) if !self.was_established => self.fail(failure),
                _ => self.news.push(News::Ended),
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.drop_waiting();
        self.resumption = None;
        if matches!(failure, Failure::PeerSilent { .. }) && self.set_aside.is_some() {
            self.take_up_again();
        }
        self.news.push(News::Failed(failure));
    }

    fn take_up_again(&mut self) {
        self.connection = self.set_aside.take().map(|connection| *connection);
        self.was_established = true;
        self.unheard_since = None;
    }
}

/// Whether a CoAP message waits for an acknowledgement.
fn is_confirmable(message: &[u8]) -> bool {
    message.first().is_some_and(|first| first & 0x30 == 0)
}

#[cfg(test)]
mod tests {
    use buoy_dtls::config::{Authority, ClientCredentials, Psk, PskKey, Resume, ServerConfig};
    use buoy_dtls::endpoint::{CidFormat, Endpoint, Limits};
    use buoy_dtls::resumption::TicketKeys;
    use buoy_dtls::{Peer, ServerEnvironment};
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
                tunnel: Tunnel::default(),
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
                while let Some(received) =
                    self.server.receive(environment, &mut context, address, &mut datagram)
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
}
