//! The registration of a device (LwM2M Core 1.1 section 6.2), in memory and as a durable record.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use buoy_coap::endpoint::MessageIds;
use buoy_coap::time::{Calendar, Instant};
use serde::{Deserialize, Serialize};

use crate::objects::ObjectList;
use crate::observation::{Observation, ObservationRecord, Observations, Standing};
use crate::peer::{Peer, SessionId};
use crate::wheel::Slot;

/// The durable key of a registration. It grows with time, and its lowest byte is the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RegistrationKey(pub u64);

impl RegistrationKey {
    pub(crate) const fn new(counter: u64, shard: u8) -> Self {
        Self((counter << 8) | shard as u64)
    }

    pub(crate) const fn counter(self) -> u64 {
        self.0 >> 8
    }

    /// The shard that made it.
    #[must_use]
    pub const fn shard(self) -> u8 {
        self.0 as u8
    }
}

/// The last segment of a registration's location: its key, and a number that cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) key: RegistrationKey,
    pub(crate) nonce: u32,
}

const LOCATION_LENGTH: usize = 20;

impl Location {
    /// Twenty hexadecimal digits.
    pub(crate) fn to_text(self) -> [u8; LOCATION_LENGTH] {
        let number = (u128::from(self.key.0) << 32) | u128::from(self.nonce);
        let mut text = [0; LOCATION_LENGTH];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            let nibble = (number >> (4 * place)) as usize & 15;
            *digit = b"0123456789abcdef"[nibble];
        }
        text
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != LOCATION_LENGTH || text.contains(&b'+') {
            return None;
        }
        let number = u128::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
        Some(Self { key: RegistrationKey((number >> 32) as u64), nonce: number as u32 })
    }
}

/// A registered device.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) endpoint: Arc<str>,
    pub(crate) key: RegistrationKey,
    pub(crate) nonce: u32,
    pub(crate) peer: Peer,
    pub(crate) registered_at: Instant,
    pub(crate) last_contact: Instant,
    /// Seconds; 0 is for ever.
    pub(crate) lifetime: u32,
    pub(crate) message_ids: MessageIds,
    pub(crate) version: (u8, u8),
    pub(crate) queue_mode: bool,
    /// Whether its address is verified.
    pub(crate) proof: Proof,
    /// Whether its peer's address belongs to it. If another device has sent from that address since, it has no address until its device
    /// sends again, because waiting operations must not go to the other device.
    pub(crate) has_address: bool,
    /// The record in the store is older than the last contact.
    pub(crate) is_dirty: bool,
    /// A device in queue mode that has sent nothing for a while.
    pub(crate) asleep: bool,
    /// The slot in which its expiry is checked.
    pub(crate) expiry_slot: Slot,
    /// The slot in which it is checked whether the device sleeps.
    pub(crate) nap_slot: Slot,
    /// The object list as the device sent it; devices of one model share one.
    pub(crate) objects: Arc<ObjectList>,
    /// Binding and further attributes as the device sent them; shared likewise.
    pub(crate) attributes: Arc<Attributes>,
    pub(crate) observations: Observations,
}

/// Whether a device's address is verified. In plain CoAP anybody can send a datagram with a forged source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is verified, by a handshake or by an answer that only a receiver at that address can give.
    Proved,
    /// It is not verified.
    Claimed(Claim),
}

/// What may be sent to an address that is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The number of bytes that may be sent, retransmissions included: three times the received bytes, minus the sent ones (RFC 9175 section 2.3).
    pub(crate) allowance: u32,
    /// The answer to the Register went to this address: a sender that knows its location receives there.
    pub(crate) knows_location: bool,
    /// A ping that verifies it is in progress.
    pub(crate) is_pinged: bool,
}

impl Claim {
    /// For an address from which this many bytes were received.
    pub(crate) fn after(received: usize) -> Self {
        Self { allowance: thrice(received), knows_location: false, is_pinged: false }
    }

    /// Whether a message of this many bytes may be sent.
    pub(crate) const fn covers(self, length: usize) -> bool {
        length <= self.allowance as usize
    }
}

impl Proof {
    pub(crate) const fn is_proved(self) -> bool {
        matches!(self, Self::Proved)
    }

    /// Counts received bytes.
    pub(crate) fn earn(&mut self, received: usize) {
        if let Self::Claimed(claim) = self {
            claim.allowance = claim.allowance.saturating_add(thrice(received)).min(MOST_ALLOWED);
        }
    }

    /// Counts the bytes of an answer, which is sent in any case.
    pub(crate) fn charge(&mut self, bytes: usize) {
        if let Self::Claimed(claim) = self {
            claim.allowance = claim.allowance.saturating_sub(saturated(bytes));
        }
    }

    /// Counts bytes before they are sent; returns `false` if they exceed the allowance.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        match self {
            Self::Proved => true,
            Self::Claimed(claim) => match claim.allowance.checked_sub(saturated(bytes)) {
                Some(left) => {
                    claim.allowance = left;
                    true
                }
                None => false,
            },
        }
    }
}

fn saturated(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn thrice(bytes: usize) -> u32 {
    saturated(bytes).saturating_mul(3).min(MOST_ALLOWED)
}

/// The limit of the allowance.
const MOST_ALLOWED: u32 = 1 << 14;
/// The allowance after a restart, since it is not saved: enough for a ping with its retransmissions.
const ALLOWED_AFTER_RESTART: u32 = 32;

/// Parts of a Register request that are rarely needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attributes {
    /// The binding, as in "U".
    pub binding: Box<str>,
    /// The number for SMS.
    pub sms: Option<Box<str>>,
    /// Attributes that LwM2M doesn't define, in their order.
    pub others: Vec<(Box<str>, Box<str>)>,
}

impl Registration {
    pub(crate) fn location(&self) -> Location {
        Location { key: self.key, nonce: self.nonce }
    }

    /// The observations that have to be requested from the device again.
    pub(crate) fn observations_to_resume(&self) -> impl Iterator<Item = &Observation> {
        self.observations.iter().filter(|observation| observation.standing == Standing::ToResume)
    }

    /// The observations to resume after the device has registered again, since a new registration ends them all (section 6.4).
    pub(crate) fn observations_of_next_life(&self) -> Observations {
        let mut observations = self.observations.clone();
        observations.iter_mut().for_each(|observation| observation.standing = Standing::ToResume);
        observations
    }

    /// When it expires if the device sends nothing; [`Instant::NEVER`] with a lifetime of 0 (Server object 1.2, resource 1). If its address
    /// is not verified, its lifetime is at most `unproved`. It starts again at `restored_at`, when the shard loaded its registrations: their times
    /// of last contact in the store may be too old, since the server may have heard a device until it ended.
    pub(crate) fn expires_at(&self, unproved: Duration, restored_at: Instant) -> Instant {
        let lifetime = if self.proof.is_proved() { self.lifetime() } else { self.lifetime().min(unproved) };
        self.last_contact.max(restored_at) + lifetime
    }

    fn lifetime(&self) -> Duration {
        match self.lifetime {
            0 => Duration::MAX,
            seconds => Duration::from_secs(u64::from(seconds)),
        }
    }

    /// Whether its lifetime is longer than this.
    pub(crate) fn outlives(&self, lifetime: Duration) -> bool {
        self.lifetime() > lifetime
    }

    pub(crate) fn view(&self, calendar: Calendar) -> RegistrationView {
        RegistrationView {
            endpoint: self.endpoint.clone(),
            key: self.key,
            location: self.location().to_text(),
            address: self.peer.address,
            session: self.peer.session,
            registered_at: calendar.date_of(self.registered_at),
            last_contact: calendar.date_of(self.last_contact),
            lifetime: self.lifetime,
            version: self.version,
            queue_mode: self.queue_mode,
            asleep: self.asleep,
            objects: self.objects.clone(),
            attributes: self.attributes.clone(),
        }
    }

    /// `place` is where it is, or was.
    pub(crate) fn notice(&self, place: u32, calendar: Calendar) -> RegistrationNotice {
        let Self { endpoint, key, .. } = self;
        RegistrationNotice {
            endpoint: endpoint.clone(),
            key: *key,
            place,
            location: self.location().to_text(),
            address: self.peer.address,
            session: self.peer.session,
            registered_at: calendar.date_of(self.registered_at),
            last_contact: calendar.date_of(self.last_contact),
            lifetime: self.lifetime,
            version: self.version,
            queue_mode: self.queue_mode,
            asleep: self.asleep,
            objects: Arc::downgrade(&self.objects),
            attributes: Arc::downgrade(&self.attributes),
        }
    }

    pub(crate) fn write_record(&self, calendar: Calendar, out: &mut Vec<u8>) {
        let record = RegistrationRecord {
            endpoint: &self.endpoint,
            nonce: self.nonce,
            address: self.peer.address,
            registered_at: calendar.date_of(self.registered_at),
            last_contact: calendar.date_of(self.last_contact),
            lifetime: self.lifetime,
            version: self.version,
            queue_mode: self.queue_mode,
            objects: self.objects.text(),
            binding: &self.attributes.binding,
            sms: self.attributes.sms.as_deref(),
            others: self.attributes.others.iter().map(|(name, value)| (&**name, &**value)).collect(),
            observations: self.observations.iter().map(Observation::record).collect(),
        };
        out.push(RECORD_VERSION);
        out.extend_from_slice(&self.peer.session.map_or(0, SessionId::number).to_le_bytes());
        let lost = if self.has_address { 0 } else { FLAG_ADDRESS_LOST };
        out.push(lost | if self.proof.is_proved() { FLAG_PROVED } else { 0 });
        // Writing to a vector fails only where a length cannot be told beforehand, and here all can.
        postcard::to_io(&record, out).expect("a record of known lengths can be written");
    }
}

/// The first byte of a record. The session follows, then the flags, then the rest.
const RECORD_VERSION: u8 = 4;
/// Records of this version have no flags: they are from a version of the server that did not verify addresses.
const RECORD_VERSION_BELIEVED: u8 = 3;
/// Records of this version have no session either.
const RECORD_VERSION_PLAIN: u8 = 2;

const FLAG_PROVED: u8 = 1;
const FLAG_ADDRESS_LOST: u8 = 2;

/// How the device of a record is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) session: Option<SessionId>,
    pub(crate) proof: Proof,
    pub(crate) has_address: bool,
}

/// A registration in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RegistrationRecord<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) nonce: u32,
    pub(crate) address: SocketAddr,
    pub(crate) registered_at: u64,
    pub(crate) last_contact: u64,
    pub(crate) lifetime: u32,
    pub(crate) version: (u8, u8),
    pub(crate) queue_mode: bool,
    pub(crate) objects: &'a str,
    pub(crate) binding: &'a str,
    pub(crate) sms: Option<&'a str>,
    #[serde(borrow)]
    pub(crate) others: Vec<(&'a str, &'a str)>,
    pub(crate) observations: Vec<ObservationRecord>,
}

impl<'a> RegistrationRecord<'a> {
    /// Parses a record; `None` if it is damaged or of another version.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<(Reach, Self)> {
        let (version, body) = bytes.split_first()?;
        let (session, body) = match *version {
            RECORD_VERSION | RECORD_VERSION_BELIEVED => {
                let (session, body) = body.split_first_chunk()?;
                (SessionId::from_number(u64::from_le_bytes(*session)), body)
            }
            RECORD_VERSION_PLAIN => (None, body),
            _ => return None,
        };
        let (flags, body) = match *version {
            RECORD_VERSION => body.split_first().map(|(flags, body)| (*flags, body))?,
            _ => (FLAG_PROVED, body),
        };
        let claim = Claim { knows_location: true, ..Claim::after(0) };
        let claim = Claim { allowance: ALLOWED_AFTER_RESTART, ..claim };
        let is_proved = flags & FLAG_PROVED != 0 || session.is_some();
        let proof = if is_proved { Proof::Proved } else { Proof::Claimed(claim) };
        let reach = Reach { session, proof, has_address: flags & FLAG_ADDRESS_LOST == 0 };
        Some((reach, postcard::from_bytes(body).ok()?))
    }
}

/// A copy of a registration for users of the engine. Cheap to clone: the texts are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationView {
    /// The endpoint name.
    pub endpoint: Arc<str>,
    /// The durable key.
    pub key: RegistrationKey,
    location: [u8; LOCATION_LENGTH],
    /// The address from which the device last sent.
    pub address: SocketAddr,
    /// Its DTLS session; `None` if it uses plain CoAP.
    pub session: Option<SessionId>,
    /// Milliseconds since the epoch.
    pub registered_at: u64,
    /// Milliseconds since the epoch.
    pub last_contact: u64,
    /// Seconds; 0 is for ever.
    pub lifetime: u32,
    /// The LwM2M version, major and minor.
    pub version: (u8, u8),
    /// Whether the device uses queue mode: it sleeps at times, and nothing may be sent to it then.
    pub queue_mode: bool,
    /// Whether it is assumed to sleep now.
    pub asleep: bool,
    /// Its object list.
    pub objects: Arc<ObjectList>,
    /// Binding and further attributes.
    pub attributes: Arc<Attributes>,
}

impl RegistrationView {
    /// The registration's id: the last segment of its location, behind `/rd/`.
    #[must_use]
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.location).unwrap_or_default()
    }
}

/// A registration in an event. It has weak references to the large parts, so that events in a log, or events that wait for a slow reader,
/// don't keep the object lists of devices in memory.
#[derive(Clone, Debug)]
pub struct RegistrationNotice {
    /// The endpoint name.
    pub endpoint: Arc<str>,
    /// The durable key.
    pub key: RegistrationKey,
    /// Its place among the registrations of its shard: a small number. When it has ended, another registration gets it.
    pub place: u32,
    location: [u8; LOCATION_LENGTH],
    /// The address from which the device last sent.
    pub address: SocketAddr,
    /// Its DTLS session; `None` if it uses plain CoAP.
    pub session: Option<SessionId>,
    /// Milliseconds since the epoch.
    pub registered_at: u64,
    /// Milliseconds since the epoch.
    pub last_contact: u64,
    /// Seconds; 0 is for ever.
    pub lifetime: u32,
    /// The LwM2M version, major and minor.
    pub version: (u8, u8),
    /// Whether the device uses queue mode: it sleeps at times, and nothing may be sent to it then.
    pub queue_mode: bool,
    /// Whether it was assumed to sleep then.
    pub asleep: bool,
    /// Its object list, as long as a registration has it.
    pub objects: Weak<ObjectList>,
    /// Binding and further attributes, as long as a registration has them.
    pub attributes: Weak<Attributes>,
}

impl RegistrationNotice {
    /// The registration's id: the last segment of its location, behind `/rd/`.
    #[must_use]
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.location).unwrap_or_default()
    }

    /// The registration at the time of the event. Object list and attributes are empty if no registration has them any more.
    #[must_use]
    pub fn view(&self) -> RegistrationView {
        RegistrationView {
            endpoint: self.endpoint.clone(),
            key: self.key,
            location: self.location,
            address: self.address,
            session: self.session,
            registered_at: self.registered_at,
            last_contact: self.last_contact,
            lifetime: self.lifetime,
            version: self.version,
            queue_mode: self.queue_mode,
            asleep: self.asleep,
            objects: self.objects.upgrade().unwrap_or_default(),
            attributes: self.attributes.upgrade().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_back_and_nothing_else_is_one() {
        let location = Location { key: RegistrationKey::new(0xabcdef, 3), nonce: 0xdead_beef };
        assert_eq!(Location::parse(&location.to_text()), Some(location));
        for bad in [&b""[..], b"abc", b"zzzzzzzzzzzzzzzzzzzz", b"+0000000000000000000"] {
            assert_eq!(Location::parse(bad), None);
        }
    }
}
