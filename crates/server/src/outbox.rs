//! What the engine wants done: records to save, datagrams to send, events to tell.
//!
//! The memory is kept from batch to batch, so a steady stream of messages allocates nothing here.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::format::{FormatError, Item, Moment, decode, moments};
use buoy_lwm2m::path::Path;

use crate::observation::ObservationId;
use crate::operation::{Failure, OperationId, OperationRecord, Outcome};
use crate::peer::{Peer, SessionId};
use crate::registration::{RegistrationKey, RegistrationNotice};

/// The largest datagram that the engine writes.
pub(crate) const MTU: usize = 1280;
/// Room before and behind each datagram, so that a shell can put a DTLS record around it where it stands.
const HEADROOM: usize = 64;
const TAILROOM: usize = 32;

/// The effects of a batch of inputs.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    used: usize,
    datagrams: Vec<(Peer, Range<usize>)>,
    records: Vec<u8>,
    /// Records of DTLS handshakes, ready to be sent before all datagrams; made by the shell.
    pub flights: Vec<(SocketAddr, Box<[u8]>)>,
    /// To be made durable before anything else here leaves.
    pub changes: Vec<Change>,
    /// What the shell wants made durable together with the changes. The engine neither makes nor reads it.
    pub companions: Vec<Companion>,
    /// To be told once the changes are durable.
    pub events: Vec<Event>,
}

/// Something of the shell's that goes with an outbox.
pub type Companion = Box<dyn std::any::Any + Send>;

/// A change of durable state.
#[derive(Debug)]
pub enum Change {
    /// Save a registration; the bytes are [`Outbox::record`] of the range.
    PutRegistration {
        /// Its key; keys grow.
        key: RegistrationKey,
        /// Where the record lies.
        record: Range<usize>,
    },
    /// Forget a registration.
    RemoveRegistration {
        /// Its key.
        key: RegistrationKey,
    },
    /// Save an operation.
    PutOperation(Box<OperationRecord>),
    /// Save the values that a device reported.
    PutReport(Box<Report>),
    /// Save a session, sealed; made by the shell, which has them.
    PutSession {
        /// Its name.
        session: SessionId,
        /// The record.
        record: Box<[u8]>,
    },
    /// Forget a session.
    RemoveSession {
        /// Its name.
        session: SessionId,
    },
}

/// Values that a device reported by itself.
#[derive(Clone, Debug)]
pub struct Report {
    /// The device.
    pub endpoint: Arc<str>,
    /// How the values came.
    pub source: ReportSource,
    /// When they came, in milliseconds since the epoch.
    pub received_at: u64,
    /// How the payload is encoded.
    pub format: ContentFormat,
    /// The values.
    pub payload: Arc<[u8]>,
}

impl Report {
    /// The path that its payload is read below: that of an observation, or the root.
    #[must_use]
    pub fn base(&self) -> Path {
        match &self.source {
            ReportSource::Notification { paths, composite: false, .. } => {
                paths.first().copied().unwrap_or(Path::ROOT)
            }
            ReportSource::Notification { .. } | ReportSource::Send => Path::ROOT,
        }
    }

    /// What can be read of it, with the time at which each value held and whether it is the present one: the latest of its path,
    /// wherever it stands. Nothing follows what can't be read.
    #[must_use]
    pub fn items(&self) -> Vec<(Item<'_>, Moment)> {
        let Ok(items) = decode(self.format, self.base(), &self.payload) else { return Vec::new() };
        let items: Vec<_> = items.map_while(Result::ok).collect();
        let moments = moments(items.iter().map(|item| (item.path, item.time)), self.received_at);
        items.into_iter().zip(moments).collect()
    }
}

/// How reported values came.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportSource {
    /// A notification of an observation of these paths.
    Notification {
        /// The observation.
        observation: ObservationId,
        /// One path, or several for a composite observation.
        paths: Arc<[Path]>,
        /// Whether it is a composite observation.
        composite: bool,
    },
    /// LwM2M Send.
    Send,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A device registered. A registration that it replaced comes along.
    Registered {
        /// The registration.
        registration: RegistrationNotice,
        /// The key of the registration that it replaced.
        replaced: Option<RegistrationKey>,
    },
    /// A device updated its registration.
    Updated {
        /// The registration as it is now.
        registration: RegistrationNotice,
        /// What the update changed.
        changed: UpdatedFields,
    },
    /// A device deregistered.
    Deregistered(RegistrationNotice),
    /// A registration ran out.
    Expired(RegistrationNotice),
    /// A device in queue mode is taken to be awake.
    Awake(Arc<str>),
    /// A device in queue mode is taken to sleep.
    Sleeping(Arc<str>),
    /// An operation waits: for its device to wake, or behind others.
    OperationQueued {
        /// Which.
        id: OperationId,
        /// The device.
        endpoint: Arc<str>,
        /// Whether it waits for the device to wake.
        asleep: bool,
    },
    /// An operation was sent to its device.
    OperationSent {
        /// Which.
        id: OperationId,
        /// The device.
        endpoint: Arc<str>,
    },
    /// An operation ended.
    OperationEnded {
        /// Which.
        id: OperationId,
        /// The device.
        endpoint: Arc<str>,
        /// On which path, as in "/3/0/9".
        path: Box<str>,
        /// How.
        outcome: Result<Outcome, Failure>,
    },
    /// A device no longer reports what it was observed for.
    ObservationEnded {
        /// The device.
        endpoint: Arc<str>,
        /// The observation.
        observation: ObservationId,
    },
    /// A device reported values.
    Reported(Report),
    /// A device reported something that can't be read, from some place on or from the beginning. What can be read before it is told and
    /// saved as [`Event::Reported`].
    Unreadable {
        /// The device.
        endpoint: Arc<str>,
        /// How it came.
        source: ReportSource,
        /// How it is encoded, as the device says.
        format: ContentFormat,
        /// What is wrong.
        reason: FormatError,
    },
    /// A CoAP message went by, of a device that is traced.
    Traced {
        /// The device.
        endpoint: Arc<str>,
        /// When, in milliseconds since the epoch.
        at: u64,
        /// From the device, or to it.
        incoming: bool,
        /// The whole message.
        datagram: Arc<[u8]>,
    },
    /// A datagram belongs to another shard.
    Misdirected {
        /// Which one; `None` if only asking all can tell.
        shard: Option<u8>,
        /// Who sent it.
        peer: Peer,
        /// The datagram.
        datagram: Box<[u8]>,
    },
    /// A device speaks from an address now from which another one spoke, whose datagrams were passed to that shard: it is to be told, by
    /// [`Shard::release_address`](crate::Shard::release_address).
    AddressTaken {
        /// Which one.
        shard: u8,
        /// The address.
        peer: Peer,
    },
    /// A registration has gone over to another session: its device is not at this one any more, which the shell is to end.
    SessionLeft {
        /// Which one.
        session: SessionId,
    },
    /// A request was refused.
    Refused {
        /// Whose.
        peer: Peer,
        /// With which code.
        code: Code,
        /// Why.
        reason: Cow<'static, str>,
    },
}

/// Which fields a registration update carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdatedFields {
    /// `lt`
    pub lifetime: bool,
    /// The object list.
    pub objects: bool,
    /// `b` or `Q`
    pub binding: bool,
}

impl Outbox {
    /// No datagram is longer.
    pub const LONGEST: usize = MTU;

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty() && self.flights.is_empty() && !self.has_changes() && self.events.is_empty()
    }

    /// Whether something is to be made durable before the rest leaves.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || !self.companions.is_empty()
    }

    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.used = 0;
        self.datagrams.clear();
        self.flights.clear();
        self.records.clear();
        self.changes.clear();
        self.companions.clear();
        self.events.clear();
    }

    /// The datagrams to send, in their order.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = (Peer, &[u8])> {
        self.datagrams.iter().map(|(peer, range)| (*peer, &self.bytes[range.clone()]))
    }

    /// The datagrams again, each with its place among the bytes, which a shell may change: around each are [`Outbox::margins`].
    pub fn datagrams_mut(&mut self) -> (&mut [(Peer, Range<usize>)], &mut [u8]) {
        (&mut self.datagrams, &mut self.bytes)
    }

    /// The bytes before and behind each datagram that nobody else uses.
    #[must_use]
    pub const fn margins() -> (usize, usize) {
        (HEADROOM, TAILROOM)
    }

    /// Sends a datagram that another shard's engine wrote.
    pub fn pass_on(&mut self, peer: Peer, datagram: &[u8]) {
        if datagram.len() <= MTU {
            let length = self.write(datagram);
            self.send(peer, length);
        }
    }

    /// The bytes of a record that a change names.
    #[must_use]
    pub fn record(&self, range: &Range<usize>) -> &[u8] {
        &self.records[range.clone()]
    }

    /// Room for one datagram; [`Outbox::send`] sends what was written there.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let start = self.used + HEADROOM;
        let end = start + MTU + TAILROOM;
        if self.bytes.len() < end {
            self.bytes.resize(end.next_power_of_two(), 0);
        }
        &mut self.bytes[start..start + MTU]
    }

    /// Sends the first `length` bytes of [`Outbox::room`]; nothing if there are none.
    pub(crate) fn send(&mut self, peer: Peer, length: usize) {
        if length > 0 {
            let start = self.used + HEADROOM;
            self.datagrams.push((peer, start..start + length));
            self.used = start + length + TAILROOM;
        }
    }

    /// Copies a datagram into [`Outbox::room`].
    pub(crate) fn write(&mut self, datagram: &[u8]) -> usize {
        self.room()[..datagram.len()].copy_from_slice(datagram);
        datagram.len()
    }

    /// The bytes that [`Outbox::send`] of this length would send.
    pub(crate) fn written(&self, length: usize) -> &[u8] {
        let start = self.used + HEADROOM;
        &self.bytes[start..start + length]
    }

    /// Lets `write` append a registration's record and lists the change.
    pub(crate) fn put_registration(&mut self, key: RegistrationKey, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.records.len();
        write(&mut self.records);
        self.changes.push(Change::PutRegistration { key, record: start..self.records.len() });
    }
}
