//! The effects of an engine: records to save, datagrams to send, events to publish.
//!
//! The memory is reused from batch to batch, so a steady stream of messages allocates nothing here.

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
/// Room before and behind each datagram, so that a shell can encrypt it in place as a DTLS record.
const HEADROOM: usize = 64;
const TAILROOM: usize = 32;

/// The effects of a batch of inputs.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    used: usize,
    datagrams: Vec<(Peer, Range<usize>)>,
    records: Vec<u8>,
    /// Records of DTLS handshakes, to be sent before all datagrams; written by the shell.
    pub flights: Vec<(SocketAddr, Box<[u8]>)>,
    /// To be made durable before anything else in this outbox is sent or published.
    pub changes: Vec<Change>,
    /// Values of the shell that are made durable together with the changes. The engine neither writes nor reads them.
    pub companions: Vec<Companion>,
    /// To be published once the changes are durable.
    pub events: Vec<Event>,
}

/// A value of the shell that accompanies an outbox.
pub type Companion = Box<dyn std::any::Any + Send>;

/// A change of durable state.
#[derive(Debug)]
pub enum Change {
    /// Save a registration; the bytes are [`Outbox::record`] of the range.
    PutRegistration {
        /// Its key; keys grow.
        key: RegistrationKey,
        /// The place of the record.
        record: Range<usize>,
    },
    /// Remove a registration.
    RemoveRegistration {
        /// Its key.
        key: RegistrationKey,
    },
    /// Save an operation.
    PutOperation(Box<OperationRecord>),
    /// Save the values that a device reported.
    PutReport(Box<Report>),
    /// Save a session, encrypted; added by the shell, which owns the sessions.
    PutSession {
        /// Its id.
        session: SessionId,
        /// The record.
        record: Box<[u8]>,
    },
    /// Remove a session.
    RemoveSession {
        /// Its id.
        session: SessionId,
    },
}

/// Values that a device reported by a notification or a Send.
#[derive(Clone, Debug)]
pub struct Report {
    /// The device.
    pub endpoint: Arc<str>,
    /// How the values were reported.
    pub source: ReportSource,
    /// When they arrived, in milliseconds since the epoch.
    pub received_at: u64,
    /// How the payload is encoded.
    pub format: ContentFormat,
    /// The values.
    pub payload: Arc<[u8]>,
}

impl Report {
    /// The base path of its payload: that of the observation, or the root.
    #[must_use]
    pub fn base(&self) -> Path {
        match &self.source {
            ReportSource::Notification { paths, composite: false, .. } => {
                paths.first().copied().unwrap_or(Path::ROOT)
            }
            ReportSource::Notification { .. } | ReportSource::Send => Path::ROOT,
        }
    }

    /// The values that can be decoded, each with its time and whether it is the present value, which is the latest of its path
    /// wherever it is in the payload. Decoding stops at the first error.
    #[must_use]
    pub fn items(&self) -> Vec<(Item<'_>, Moment)> {
        let Ok(items) = decode(self.format, self.base(), &self.payload) else { return Vec::new() };
        let items: Vec<_> = items.map_while(Result::ok).collect();
        let moments = moments(items.iter().map(|item| (item.path, item.time)), self.received_at);
        items.into_iter().zip(moments).collect()
    }
}

/// How values were reported.
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
    /// A device registered.
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
    /// A registration expired.
    Expired(RegistrationNotice),
    /// A device was heard; told now and then, as its last contact is saved.
    Heard {
        /// The device.
        endpoint: Arc<str>,
        /// When it was last heard; milliseconds since the epoch.
        at: u64,
    },
    /// A device in queue mode is assumed to be awake.
    Awake(Arc<str>),
    /// A device in queue mode is assumed to sleep.
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
        /// Its path, for example "/3/0/9".
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
    /// A device reported a payload of which a part, or all, can't be decoded. The values before the error are saved and published as
    /// [`Event::Reported`].
    Unreadable {
        /// The device.
        endpoint: Arc<str>,
        /// How it was reported.
        source: ReportSource,
        /// The Content-Format of the payload.
        format: ContentFormat,
        /// What is wrong.
        reason: FormatError,
    },
    /// A CoAP message from or to a device that is traced.
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
        /// Its number; `None` if every shard has to be asked.
        shard: Option<u8>,
        /// Who sent it.
        peer: Peer,
        /// The datagram.
        datagram: Box<[u8]>,
    },
    /// A device now uses an address that a device of another shard used. The shell has to call
    /// [`Shard::release_address`](crate::Shard::release_address) of that shard.
    AddressTaken {
        /// Which one.
        shard: u8,
        /// The address.
        peer: Peer,
    },
    /// A registration has moved to another session. The shell has to end the session that it left.
    SessionLeft {
        /// Which one.
        session: SessionId,
    },
    /// A DTLS session began or ended, or a handshake failed.
    Dtls {
        /// The endpoint that was proved, or whose credentials were shown; empty if that is not known.
        endpoint: Arc<str>,
        /// The address of the other end.
        address: SocketAddr,
        /// What happened.
        what: DtlsEvent,
    },
    /// A request was refused.
    Refused {
        /// Whose.
        peer: Peer,
        /// With which code.
        code: Code,
        /// Why.
        reason: Cow<'static, str>,
        /// The endpoint name in it, if it was a Register.
        named: Option<Box<str>>,
    },
    /// A registered device goes on at another address, as behind a NAT that has forgotten it.
    Moved {
        /// The device.
        endpoint: Arc<str>,
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
}

/// What happened to DTLS with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtlsEvent {
    /// A handshake succeeded.
    Established,
    /// A session ended.
    Ended,
    /// A handshake failed, with the reason in words.
    Failed(Box<str>),
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

    /// Whether changes have to be made durable before the rest is sent and published.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || !self.companions.is_empty()
    }

    /// Removes everything, but keeps the allocated memory.
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

    /// The datagrams, each with its range in the bytes. A shell may change them; around each there is room of [`Outbox::margins`].
    pub fn datagrams_mut(&mut self) -> (&mut [(Peer, Range<usize>)], &mut [u8]) {
        (&mut self.datagrams, &mut self.bytes)
    }

    /// The unused bytes before and behind each datagram.
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
