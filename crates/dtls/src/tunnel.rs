//! The way of a client to one server: plaintext in, records out, and back, over as many handshakes as it takes. Knows no socket, no storage
//! and no clock.
//!
//! 1. What is to be sent waits until there is a session; the first of it starts the handshake.
//! 2. A session that stays silent to messages that want an answer is set aside, and a handshake looks for a new one. What is sent meanwhile
//!    goes out in the old session too: a server that was away for a moment answers that, and the handshake is given up. If the
//!    server is silent to both, it is away, and the session is taken up again: it may outlive the server's absence.
//! 3. A session that was exported sends nothing until the export is safe; the caller looks at [`Tunnel::save_is_due`] first.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::ClientConfig;
use crate::resumption::Resumption;
use crate::time::Instant;
use crate::{Client, Connection, Context, Datagram, Event, Failure, SealError};

/// Plaintexts that may wait for a session.
const MOST_WAITING: usize = 8;
/// A message that is unanswered for so long, and sent again, says that the session is lost: by then a confirmable message of CoAP was
/// repeated once (RFC 7252 section 4.2).
const PATIENCE: Duration = Duration::from_secs(5);
/// With fewer reserved records left, the session is saved anew.
const LOW: u64 = 16;

/// An association with a server, or the wish for one.
#[derive(Debug)]
pub struct Tunnel {
    /// Whether a plaintext wants an answer.
    is_awaited: fn(&[u8]) -> bool,
    connection: Option<Connection<Client>>,
    /// A session that answers no more, while a handshake looks for a new one.
    set_aside: Option<Box<Connection<Client>>>,
    /// What is sent in the session that is set aside.
    probe: Option<Box<[u8]>>,
    /// Whether `connection` has been a session.
    was_established: bool,
    waiting: Vec<Box<[u8]>>,
    resumption: Option<Box<Resumption>>,
    /// When the first message that wants an answer left since something was heard.
    unheard_since: Option<Instant>,
    news: Vec<News>,
}

/// What happened to a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A handshake began.
    Started,
    /// There is a session.
    Connected {
        /// Whether it goes on from an earlier one, without the peers' keys.
        resumed: bool,
    },
    /// The handshake is superfluous: the session before it goes on.
    GivenUp,
    /// A session is over; the next message starts a handshake.
    Ended,
    /// The handshake failed, and what waited for it is dropped.
    Failed(Failure),
}

impl Tunnel {
    /// A tunnel without a session. `is_awaited` says whether a plaintext wants an answer, as a confirmable message of CoAP does.
    #[must_use]
    pub const fn new(is_awaited: fn(&[u8]) -> bool) -> Self {
        Self {
            is_awaited,
            connection: None,
            set_aside: None,
            probe: None,
            was_established: false,
            waiting: Vec::new(),
            resumption: None,
            unheard_since: None,
            news: Vec::new(),
        }
    }

    /// Goes on with a session that was imported.
    #[must_use]
    pub fn with_session(connection: Connection<Client>, is_awaited: fn(&[u8]) -> bool) -> Self {
        Self { connection: Some(connection), was_established: true, ..Self::new(is_awaited) }
    }

    /// Takes a plaintext to send.
    pub fn send(&mut self, now: Instant, config: &ClientConfig, context: &mut Context<'_>, plaintext: &[u8]) {
        if (self.is_awaited)(plaintext) {
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
    pub fn receive(
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
                let is_awaited = self.is_awaited;
                self.waiting.retain(|message| !is_awaited(message));
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
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.handle_timeout(now);
        }
        self.take_events();
    }

    /// When [`Tunnel::handle_timeout`] wants to be called.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.connection.as_ref()?.next_timeout()
    }

    /// Writes the next datagram for the server; how long it is.
    pub fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize> {
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

    /// The next thing that happened.
    pub fn poll_news(&mut self) -> Option<News> {
        (!self.news.is_empty()).then(|| self.news.remove(0))
    }

    /// Whether the session must be saved before more is sent.
    #[must_use]
    pub fn save_is_due(&self) -> bool {
        let is_due = |connection: &Connection<Client>| connection.save_is_due(LOW);
        !self.waiting.is_empty() && self.connection.as_ref().is_some_and(is_due)
    }

    /// Gives up what waits to be sent, as if it had been lost on the way.
    pub fn drop_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The session, to export it.
    pub fn session(&mut self) -> Option<&mut Connection<Client>> {
        self.connection.as_mut().filter(|connection| connection.is_established())
    }

    /// Forgets the session, so that the next message resumes it by another handshake.
    pub fn renew(&mut self) {
        self.connection = None;
    }

    /// Ends the session in an orderly way; [`Tunnel::poll_transmit`] has the farewell.
    pub fn close(&mut self) {
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
