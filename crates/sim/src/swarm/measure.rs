//! Measures how long each exchange takes from the first datagram to its answer, and counts what fails.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use buoy_client::Event;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::wire::{Kind, Message};
use buoy_time::Instant;
use hdrhistogram::Histogram;

use super::machine::{Machine, News, State};
use super::report::{Figures, Report};
use crate::random::Rng;

const KINDS: [&str; 5] = ["register", "update", "deregister", "notify", "send"];
/// The longest time that is told apart, in milliseconds.
const LONGEST: u64 = 300_000;

pub(super) struct Measure {
    devices: u32,
    /// How many devices registered, and in which time, before anything else.
    registered: (u64, Duration),
    exchanges: [Exchanges; KINDS.len()],
    handshakes: Handshakes,
    served: u64,
    notified: u64,
    updated: u64,
    failed: BTreeMap<String, u64>,
}

/// DTLS handshakes.
struct Handshakes {
    began: u64,
    resumed: u64,
    failed: u64,
    times: Histogram<u32>,
}

struct Exchanges {
    sent: u64,
    times: Histogram<u32>,
}

impl Measure {
    pub(super) fn new(devices: u32) -> Self {
        let times = || Histogram::new_with_max(LONGEST, 3).expect("these bounds are valid");
        let exchanges = KINDS.map(|_| Exchanges { sent: 0, times: times() });
        Self {
            devices,
            registered: (0, Duration::ZERO),
            exchanges,
            handshakes: Handshakes { began: 0, resumed: 0, failed: 0, times: times() },
            served: 0,
            notified: 0,
            updated: 0,
            failed: BTreeMap::new(),
        }
    }

    pub(super) fn registered_in(&mut self, duration: Duration) {
        self.registered = (self.registrations(), duration);
    }

    /// Register requests that were answered.
    pub(super) fn registrations(&self) -> u64 {
        self.exchanges[0].times.len()
    }

    /// Exchanges that got no answer, by kind.
    fn unanswered(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let all = KINDS.into_iter().zip(&self.exchanges);
        let open = all.map(|(kind, exchanges)| (kind, exchanges.sent - exchanges.times.len()));
        let Handshakes { began, failed, times, .. } = &self.handshakes;
        open.chain([("handshake", began - failed - times.len())])
    }

    /// A device began a handshake.
    pub(super) fn handshake_began(&mut self) {
        self.handshakes.began += 1;
    }

    /// A handshake made a session.
    pub(super) fn handshake_done(&mut self, resumed: bool, took: Duration) {
        self.handshakes.resumed += u64::from(resumed);
        self.handshakes.times.saturating_record(millis(took));
    }

    /// A handshake turned out to be superfluous.
    pub(super) fn handshake_given_up(&mut self) {
        self.handshakes.began = self.handshakes.began.saturating_sub(1);
    }

    pub(super) fn handshake_failed(&mut self, why: &buoy_dtls::Failure) {
        self.handshakes.failed += 1;
        self.fail(&format!("handshake: {why}"));
    }

    /// The server ended a session.
    pub(super) fn session_ended(&mut self) {
        self.fail("session: ended by the server");
    }

    /// A device sent something. A repetition of what is open begins nothing new.
    pub(super) fn sent(&mut self, machine: &mut Machine, now: Instant, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        if message.kind() == Kind::NonConfirmable && message.code() == Code::CONTENT {
            self.notified += 1;
        }
        let is_repeated = machine.open.is_some_and(|(id, ..)| id == message.message_id());
        if message.kind() != Kind::Confirmable || is_repeated {
            return;
        }
        if let Some(kind) = kind(&message) {
            self.exchanges[kind].sent += 1;
            machine.open = Some((message.message_id(), now, kind));
        }
    }

    /// A device got something.
    pub(super) fn received(&mut self, machine: &mut Machine, now: Instant, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else { return };
        match message.kind() {
            Kind::Acknowledgement | Kind::Reset => {}
            Kind::Confirmable | Kind::NonConfirmable => self.served += 1,
        }
        if let Some((id, began, kind)) = machine.open
            && message.kind() == Kind::Acknowledgement
            && id == message.message_id()
        {
            machine.open = None;
            self.exchanges[kind].times.saturating_record(millis(now - began));
        }
    }

    /// Takes the events of a device, and moves its state on.
    pub(super) fn events(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        server: SocketAddrV4,
        rng: &mut Rng,
    ) {
        while let Some(news) = machine.poll_event(now, server, rng) {
            let event = match news {
                News::Event(event) => event,
                News::Updated => {
                    self.updated += 1;
                    machine.state = State::Registered;
                    continue;
                }
            };
            match event {
                Event::Registered(_) => machine.state = State::Registered,
                Event::RegistrationUpdated(_) if machine.state == State::Busy => {
                    machine.state = State::Registered;
                }
                Event::Deregistered(_) => machine.state = State::Idle,
                Event::RegistrationFailed(_, why) => {
                    machine.state = State::Idle;
                    self.fail(&format!("registration: {why:?}"));
                }
                Event::GaveUp(_) => machine.state = State::Idle,
                Event::SendFailed(_) => self.fail("send: no answer"),
                _ => {}
            }
        }
    }

    fn fail(&mut self, why: &str) {
        *self.failed.entry(why.to_owned()).or_default() += 1;
    }

    /// What was measured so far.
    pub(super) fn report(&self) -> Report {
        let Handshakes { began, resumed, failed, times } = &self.handshakes;
        let all = KINDS.into_iter().zip(&self.exchanges);
        Report {
            devices: self.devices,
            registered: self.registered.0,
            time_to_register: self.registered.1,
            handshakes: figures(*began, times),
            handshakes_resumed: *resumed,
            handshakes_failed: *failed,
            exchanges: all
                .map(|(kind, exchanges)| (kind, figures(exchanges.sent, &exchanges.times)))
                .collect(),
            requests_served: self.served,
            updates: self.updated,
            notifications_unconfirmed: self.notified,
            failures: self.failed.clone(),
            unanswered: self.unanswered().collect(),
        }
    }
}

fn figures(sent: u64, times: &Histogram<u32>) -> Figures {
    let at = |quantile| Duration::from_millis(times.value_at_quantile(quantile));
    Figures {
        sent,
        answered: times.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        longest: Duration::from_millis(times.max()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}

/// Which kind of exchange a confirmable message begins; an index of [`KINDS`].
fn kind(message: &Message<'_>) -> Option<usize> {
    let mut path = message.values(OptionNumber::URI_PATH);
    match (message.code(), path.next(), path.next()) {
        (Code::POST, Some(b"rd"), None) => Some(0),
        (Code::POST, Some(b"rd"), Some(_)) => Some(1),
        (Code::DELETE, ..) => Some(2),
        (Code::CONTENT, ..) => Some(3),
        (Code::POST, Some(b"dp"), _) => Some(4),
        _ => None,
    }
}
