//! What a swarm measured: how long each exchange took from the first datagram to its answer, and what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use buoy_client::Event;
use buoy_coap::number::{Code, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::{Kind, Message};
use buoy_lwm2m::text::harmless;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::machine::{Machine, State};

const KINDS: [&str; 5] = ["register", "update", "deregister", "notify", "send"];
/// The longest time that is told apart, in milliseconds.
const LONGEST: u64 = 300_000;

pub(super) struct Report {
    devices: u32,
    registered: Duration,
    exchanges: [Exchanges; KINDS.len()],
    handshakes: Handshakes,
    served: u64,
    notified: u64,
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

impl Report {
    pub(super) fn new(devices: u32) -> Self {
        let times = || Histogram::new_with_max(LONGEST, 3).expect("these bounds are valid");
        let exchanges = KINDS.map(|_| Exchanges { sent: 0, times: times() });
        Self {
            devices,
            registered: Duration::ZERO,
            exchanges,
            handshakes: Handshakes { began: 0, resumed: 0, failed: 0, times: times() },
            served: 0,
            notified: 0,
            failed: BTreeMap::new(),
        }
    }

    pub(super) fn registered_in(&mut self, duration: Duration) {
        self.registered = duration;
    }

    /// Register requests that were answered.
    pub(super) fn registrations(&self) -> u64 {
        self.exchanges[0].times.len()
    }

    pub(super) fn failures(&self) -> u64 {
        self.failed.values().sum::<u64>() + self.unanswered().map(|(_, count)| count).sum::<u64>()
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
    pub(super) fn events(&mut self, machine: &mut Machine) {
        while let Some(event) = machine.poll_event() {
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

    pub(super) fn print(&self) {
        let seconds = self.registered.as_secs_f64();
        let count = self.registrations();
        println!(
            "{count} of {} devices registered in {seconds:.2} s: {:.0}/s",
            self.devices,
            count as f64 / seconds.max(0.001)
        );
        println!(
            "{:<12}{:>10}{:>10}{:>9}{:>9}{:>9}{:>9}",
            "EXCHANGE", "SENT", "ANSWERED", "p50 ms", "p90 ms", "p99 ms", "MAX ms"
        );
        let Handshakes { began, resumed, failed, times } = &self.handshakes;
        let exchanges = KINDS.iter().zip(&self.exchanges).map(|(name, it)| (*name, it.sent, &it.times));
        let rows = [("handshake", *began, times)].into_iter().chain(exchanges);
        for (name, sent, times) in rows.filter(|(_, sent, _)| *sent > 0) {
            let at = |quantile| times.value_at_quantile(quantile);
            println!(
                "{name:<12}{sent:>10}{:>10}{:>9}{:>9}{:>9}{:>9}",
                times.len(),
                at(0.5),
                at(0.9),
                at(0.99),
                times.max()
            );
        }
        if *began > 0 {
            println!("{} sessions, {resumed} of them resumed, {failed} handshakes failed", times.len());
        }
        println!("{} requests served, {} notifications sent unconfirmed", self.served, self.notified);
        // Why may be in the server's words.
        self.failed.iter().for_each(|(why, count)| println!("failed: {}: {count}", harmless(why)));
        for (kind, count) in self.unanswered().filter(|(_, count)| *count > 0) {
            println!("failed: {kind}: {count} without an answer");
        }
        if self.failures() == 0 {
            println!("no failures");
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let exchanges: serde_json::Map<_, _> = KINDS
            .iter()
            .zip(&self.exchanges)
            .map(|(name, exchanges)| {
                let times = &exchanges.times;
                let at = |quantile| times.value_at_quantile(quantile);
                let body = json!({
                    "sent": exchanges.sent, "answered": times.len(), "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99),
                    "max_ms": times.max(),
                });
                ((*name).to_owned(), body)
            })
            .collect();
        let Handshakes { began, resumed, failed, times } = &self.handshakes;
        let at = |quantile| times.value_at_quantile(quantile);
        let handshakes = json!({
            "sent": began, "answered": times.len(), "resumed": resumed, "failed": failed,
            "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": times.max(),
        });
        json!({
            "devices": self.devices,
            "registered": self.exchanges[0].times.len(),
            "seconds_to_register": self.registered.as_secs_f64(),
            "handshakes": handshakes,
            "exchanges": exchanges,
            "requests_served": self.served,
            "notifications_unconfirmed": self.notified,
            "failures": self.failed,
            "unanswered": self.unanswered().collect::<BTreeMap<_, _>>(),
        })
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
