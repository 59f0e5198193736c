//! What went wrong between devices and the server of late, for whoever asks why a device is not there.
//!
//! Each device has a short list: equal incidents are one entry with a count, and there are few entries of a kind. Incidents of peers that
//! belong to no known device are listed by their IP address, apart from those of devices: a flood of invented identities takes the place of
//! other strangers, and of nothing else. The memory is limited in all lists.

mod recent;
mod witness;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use buoy_coap::number::Code;
use buoy_dtls::x509::CertificateError;

use self::recent::Recent;
pub(crate) use self::witness::{Doorkeeper, Witness};
use crate::notice::NoticeKind;

/// Entries of one device or address,
const MOST_ENTRIES: usize = 16;
/// and of one kind among them.
const MOST_OF_A_KIND: usize = 3;
/// Devices with incidents. Above twice the number, those are forgotten whose last incident is oldest.
const MOST_DEVICES: usize = 10_000;
/// Addresses of strangers.
const MOST_STRANGERS: usize = 500;
/// An equal incident after so long is counted anew; milliseconds.
const ONE_STORY: u64 = 6 * 60 * 60 * 1000;
/// The most bytes of a foreign text that are kept.
const LONGEST_TEXT: usize = 128;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incident {
    /// A handshake failed: the key for this identity is another one.
    BadPsk(Box<str>),
    /// A handshake failed: no key is known for this identity.
    UnknownIdentity(Box<str>),
    /// A handshake failed: this certificate does not convince.
    Certificate {
        /// Its common name.
        name: Option<Box<str>>,
        /// Why.
        error: CertificateError,
    },
    /// A handshake failed: the certificate is valid, and its name is admitted by no credential, or it has none.
    CertificateName(Option<Box<str>>),
    /// A handshake failed for another reason.
    Handshake(Box<str>),
    /// A request was refused.
    Refused {
        /// With which code.
        code: Code,
        /// Why.
        reason: Cow<'static, str>,
        /// As whom the device wanted to register.
        named: Option<Box<str>>,
        /// By whose credentials.
        proved: Option<Arc<str>>,
    },
    /// It registered while it was registered.
    RegisteredAgain,
    /// Its registration ended for want of an Update; the lifetime is in seconds.
    Expired {
        /// The lifetime that it had.
        lifetime: u32,
    },
    /// It went on at another address without a Register.
    Moved,
    /// A part of its reports was not kept.
    NotKept(NotKept),
}

/// Why a part of a device's reports was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotKept {
    /// It reports on too many paths.
    TooManySeries,
    /// It reports too many values in a short time.
    TooManyValues,
    /// It can't be read.
    Unreadable,
}

impl NotKept {
    /// As it is said.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::TooManySeries => "it reports on too many paths",
            Self::TooManyValues => "it reports too many values in a short time",
            Self::Unreadable => "the report can't be read",
        }
    }
}

/// An incident, with when and how often it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What.
    pub(crate) incident: Incident,
    /// When first; milliseconds since the epoch.
    pub(crate) first: u64,
    /// When last.
    pub(crate) last: u64,
    /// How often.
    pub(crate) count: u32,
    /// From where, the last time.
    pub(crate) address: Option<SocketAddr>,
}

impl Entry {
    /// The mean time between two of them in milliseconds, if there were several.
    pub(crate) fn interval(&self) -> Option<u64> {
        (self.last - self.first).checked_div(u64::from(self.count).checked_sub(1)?)
    }
}

/// Of whom an incident is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Culprit {
    /// A device: its credentials, or its session, were used.
    Device(Arc<str>),
    /// Somebody who gives this name and has proved nothing.
    Claims(Box<str>),
    /// Somebody without a name.
    Nobody,
}

/// An incident on its way to the lists.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) of: Culprit,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) incident: Incident,
}

impl Notice {
    /// Of a part of a device's reports that was not kept.
    pub(crate) fn of_report(notice: &crate::notice::Notice) -> Self {
        let what = match &notice.kind {
            NoticeKind::TooManySeries(_) => NotKept::TooManySeries,
            NoticeKind::TooManyValues(_) => NotKept::TooManyValues,
            NoticeKind::Unreadable { .. } => NotKept::Unreadable,
        };
        let of = Culprit::Device(notice.endpoint.clone());
        Self { of, address: None, incident: Incident::NotKept(what) }
    }
}

/// The lists.
#[derive(Debug)]
pub(crate) struct Incidents {
    devices: Recent<Arc<str>>,
    strangers: Recent<IpAddr>,
}

impl Default for Incidents {
    fn default() -> Self {
        Self { devices: Recent::holding(MOST_DEVICES), strangers: Recent::holding(MOST_STRANGERS) }
    }
}

impl Incidents {
    /// Enters an incident of a device.
    pub(crate) fn enter(
        &mut self,
        at: u64,
        device: &Arc<str>,
        address: Option<SocketAddr>,
        incident: Incident,
    ) {
        self.devices.enter(device, |entries| add(entries, at, address, incident));
    }

    /// Enters an incident of a stranger at an address.
    pub(crate) fn enter_stranger(&mut self, at: u64, address: SocketAddr, incident: Incident) {
        let ip = address.ip().to_canonical();
        self.strangers.enter(&ip, |entries| add(entries, at, Some(address), incident));
    }

    /// Those of a device.
    pub(crate) fn of(&self, device: &str) -> Vec<Entry> {
        self.devices.get(device).map(<[Entry]>::to_vec).unwrap_or_default()
    }

    /// Those of strangers from an address.
    pub(crate) fn from(&self, ip: IpAddr) -> Vec<Entry> {
        self.strangers.get(&ip.to_canonical()).map(<[Entry]>::to_vec).unwrap_or_default()
    }

    /// Those of strangers who gave a name.
    pub(crate) fn claiming(&self, name: &str) -> Vec<Entry> {
        let all = self.strangers.all();
        all.flatten().filter(|entry| entry.incident.claims() == Some(name)).cloned().collect()
    }

    /// Forgets a device.
    pub(crate) fn forget(&mut self, device: &str) {
        self.devices.remove(device);
    }
}

impl Incident {
    /// The name in it that nothing proves.
    fn claims(&self) -> Option<&str> {
        match self {
            Self::BadPsk(name) | Self::UnknownIdentity(name) => Some(name),
            Self::Certificate { name, .. } | Self::CertificateName(name) => name.as_deref(),
            Self::Refused { named, .. } => named.as_deref(),
            _ => None,
        }
    }
}

/// A foreign text, as much of it as is kept.
pub(crate) fn clipped(text: &str) -> Box<str> {
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].into()
}

fn add(entries: &mut Vec<Entry>, at: u64, address: Option<SocketAddr>, incident: Incident) {
    if let Some(entry) = entries.iter_mut().find(|entry| entry.incident == incident) {
        if at.saturating_sub(entry.last) > ONE_STORY {
            (entry.first, entry.count) = (at, 0);
        }
        entry.last = at.max(entry.last);
        entry.count = entry.count.saturating_add(1);
        entry.address = address.or(entry.address);
        return;
    }
    let kind = std::mem::discriminant(&incident);
    let is_same = |entry: &Entry| std::mem::discriminant(&entry.incident) == kind;
    let is_crowded = entries.iter().filter(|entry| is_same(entry)).count() >= MOST_OF_A_KIND;
    if is_crowded || entries.len() >= MOST_ENTRIES {
        let gives_way = |(_, entry): &(usize, &Entry)| !is_crowded || is_same(entry);
        let oldest = entries.iter().enumerate().filter(gives_way).min_by_key(|(_, entry)| entry.last);
        if let Some(place) = oldest.map(|(place, _)| place) {
            entries.remove(place);
        }
    }
    entries.push(Entry { incident, first: at, last: at, count: 1, address });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5684))
    }

    #[test]
    fn equal_incidents_are_one_entry_with_a_count() {
        let mut incidents = Incidents::default();
        let name = "buoy-1".into();
        for at in [1000, 2000, 5000] {
            incidents.enter(at, &name, Some(address(1)), Incident::Moved);
        }
        let [entry] = &incidents.of("buoy-1")[..] else { panic!() };
        assert_eq!((entry.first, entry.last, entry.count, entry.interval()), (1000, 5000, 3, Some(2000)));
        incidents.enter(5000 + ONE_STORY + 1, &name, None, Incident::Moved);
        let [entry] = &incidents.of("buoy-1")[..] else { panic!() };
        assert_eq!((entry.count, entry.interval(), entry.address), (1, None, Some(address(1))));
    }

    #[test]
    fn many_incidents_of_a_kind_push_out_only_their_own() {
        let mut incidents = Incidents::default();
        let name = "buoy-1".into();
        incidents.enter(1, &name, None, Incident::Moved);
        for number in 0..1000 {
            incidents.enter(2 + number, &name, None, Incident::BadPsk(format!("id-{number}").into()));
        }
        let entries = incidents.of("buoy-1");
        assert_eq!(entries.len(), 1 + MOST_OF_A_KIND);
        assert_eq!(entries[0].incident, Incident::Moved);
    }

    #[test]
    fn a_flood_of_strangers_pushes_out_no_device_and_does_not_fill_the_memory() {
        let mut incidents = Incidents::default();
        incidents.enter(1, &"buoy-1".into(), Some(address(1)), Incident::BadPsk("buoy-1".into()));
        for number in 0..100_000u32 {
            let from = SocketAddr::from((number.to_be_bytes(), 1));
            let identity = clipped(&format!("{number}").repeat(1000));
            incidents.enter_stranger(u64::from(number), from, Incident::UnknownIdentity(identity));
        }
        assert_eq!(incidents.of("buoy-1").len(), 1);
        let kept: Vec<_> = incidents.strangers.all().collect();
        assert!(kept.len() <= 2 * MOST_STRANGERS, "{}", kept.len());
        assert_eq!(incidents.claiming("buoy-1").len(), 0);
        assert_eq!(incidents.from(IpAddr::from(99_999u32.to_be_bytes())).len(), 1);
    }

    #[test]
    fn a_flood_at_devices_keeps_the_latest() {
        let mut incidents = Incidents::default();
        for number in 0..50_000u64 {
            incidents.enter(number, &format!("b-{number}").into(), None, Incident::Moved);
        }
        assert_eq!(incidents.of("b-49999").len(), 1);
        assert!(incidents.of("b-1").is_empty());
        assert!(incidents.devices.all().count() <= 2 * MOST_DEVICES);
    }
}
