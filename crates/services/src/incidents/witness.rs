//! Finds incidents in what shards and ports tell, and forwards them. Runs in their threads.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use buoy_dtls::Failure;
use buoy_net::directory::Endpoints;
use buoy_net::secure::Identities;
use buoy_server::{Directory as _, Event};

use super::{Culprit, Incident, Notice, clipped};
use crate::inventory::Inventory;

/// Incidents of strangers that one shard or port forwards in a second; the rest is not worth the memory.
const STRANGERS_A_SECOND: u32 = 20;

/// Forwards the incidents among the events of one shard.
pub(crate) struct Witness {
    endpoints: Endpoints,
    inventory: Inventory,
    limit: Limit,
}

impl Witness {
    pub(crate) fn new(endpoints: Endpoints, inventory: Inventory) -> Self {
        Self { endpoints, inventory, limit: Limit::default() }
    }

    /// Looks at the events of a batch, most of which are no incidents.
    pub(crate) fn look(&mut self, events: &[Event]) {
        let mut notices = Vec::new();
        for event in events {
            let Some(notice) = self.notice(event) else { continue };
            // The device that has this name may want to know, too.
            if let Incident::Refused { named: Some(named), proved: Some(proved), .. } = &notice.incident
                && **named != **proved
            {
                notices.push(Notice { of: Culprit::Claims(named.clone()), ..notice.clone() });
            }
            notices.push(notice);
        }
        if !notices.is_empty() {
            self.inventory.incidents(notices);
        }
    }

    fn notice(&mut self, event: &Event) -> Option<Notice> {
        match event {
            Event::Registered { registration, replaced: Some(_) } => Some(Notice {
                of: Culprit::Device(registration.endpoint.clone()),
                address: Some(registration.address),
                incident: Incident::RegisteredAgain,
            }),
            Event::Expired(registration) => Some(Notice {
                of: Culprit::Device(registration.endpoint.clone()),
                address: Some(registration.address),
                incident: Incident::Expired { lifetime: registration.lifetime },
            }),
            Event::Moved { endpoint, to, .. } => Some(Notice {
                of: Culprit::Device(endpoint.clone()),
                address: Some(*to),
                incident: Incident::Moved,
            }),
            Event::Refused { peer, code, reason, named } => {
                let proved = peer.session.and_then(|session| self.endpoints.proved(session));
                let of = match (&proved, named) {
                    (Some(proved), _) => Culprit::Device(proved.clone()),
                    _ if !self.limit.may_pass() => return None,
                    (None, Some(named)) => Culprit::Claims(named.clone()),
                    (None, None) => Culprit::Nobody,
                };
                let (code, reason, named) = (*code, reason.clone(), named.clone());
                let incident = Incident::Refused { code, reason, named, proved };
                Some(Notice { of, address: Some(peer.address), incident })
            }
            _ => None,
        }
    }
}

/// The incident of a failed handshake. `None` if the peer only was silent or went away: every lost datagram would be one.
pub(crate) fn of_handshake(
    address: SocketAddr,
    failure: &Failure,
    identities: &dyn Identities,
) -> Option<Notice> {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => clipped(text),
        Err(_) => clipped(&crate::hex::encode(bytes)),
    };
    let named = |name: Option<&str>| match name {
        Some(name) if identities.has(name) => Culprit::Device(name.into()),
        Some(name) => Culprit::Claims(clipped(name)),
        None => Culprit::Nobody,
    };
    let (of, incident) = match failure {
        Failure::PeerSilent { .. } => return None,
        Failure::BadPsk(identity) => {
            let endpoint = identities.endpoint_of(&buoy_dtls::Peer::Psk(identity.clone()));
            let identity = text(identity);
            let of = endpoint.map_or_else(|| named(Some(&identity)), Culprit::Device);
            (of, Incident::BadPsk(identity))
        }
        Failure::UnknownPskIdentity(identity) => {
            let identity = text(identity);
            (named(Some(&identity)), Incident::UnknownIdentity(identity))
        }
        Failure::CertificateRefused { name, error } => {
            let of = named(name.as_deref());
            (of, Incident::Certificate { name: name.as_deref().map(clipped), error: error.clone() })
        }
        Failure::CertificateNotAdmitted { name } => {
            (named(Some(name)), Incident::CertificateName(Some(clipped(name))))
        }
        Failure::CertificateWithoutName => (Culprit::Nobody, Incident::CertificateName(None)),
        other => (Culprit::Nobody, Incident::Handshake(clipped(&other.to_string()))),
    };
    Some(Notice { of, address: Some(address), incident })
}

/// Forwards the failed handshakes of a port. Those of known devices have a limit of their own.
pub(crate) struct Doorkeeper {
    inventory: Inventory,
    devices: Limit,
    strangers: Limit,
}

impl Doorkeeper {
    pub(crate) fn new(inventory: Inventory) -> Self {
        let devices = Limit { most: 50 * STRANGERS_A_SECOND, ..Limit::default() };
        Self { inventory, devices, strangers: Limit::default() }
    }

    pub(crate) fn look(&mut self, address: SocketAddr, failure: &Failure, identities: &dyn Identities) {
        let Some(notice) = of_handshake(address, failure, identities) else { return };
        let limit = match notice.of {
            Culprit::Device(_) => &mut self.devices,
            Culprit::Claims(_) | Culprit::Nobody => &mut self.strangers,
        };
        if limit.may_pass() {
            self.inventory.incidents(vec![notice]);
        }
    }
}

/// So many in a second.
struct Limit {
    most: u32,
    since: Instant,
    passed: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self { most: STRANGERS_A_SECOND, since: Instant::now(), passed: 0 }
    }
}

impl Limit {
    fn may_pass(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.passed) = (now, 0);
        }
        self.passed += 1;
        self.passed <= self.most
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Knows buoy-1, whose PSK identity is id-1.
    struct One;

    impl buoy_dtls::config::Authority for One {
        fn psk(&self, _: &[u8]) -> Option<buoy_dtls::config::PskKey> {
            None
        }

        fn admits(&self, _: &buoy_dtls::Peer) -> bool {
            false
        }
    }

    impl Identities for One {
        fn endpoint_of(&self, peer: &buoy_dtls::Peer) -> Option<Arc<str>> {
            let is_its_own = matches!(peer, buoy_dtls::Peer::Psk(identity) if **identity == *b"id-1");
            is_its_own.then(|| "buoy-1".into())
        }

        fn has(&self, endpoint: &str) -> bool {
            endpoint == "buoy-1"
        }

        fn used(&self, _: &buoy_dtls::Peer) {}
    }

    fn culprit(failure: &Failure) -> Option<Culprit> {
        of_handshake(SocketAddr::from(([192, 0, 2, 1], 1)), failure, &One).map(|notice| notice.of)
    }

    #[test]
    fn a_failed_handshake_belongs_to_the_device_whose_identity_or_name_was_shown() {
        let device = Culprit::Device("buoy-1".into());
        assert_eq!(culprit(&Failure::BadPsk((*b"id-1").into())), Some(device.clone()));
        assert_eq!(culprit(&Failure::UnknownPskIdentity((*b"buoy-1").into())), Some(device.clone()));
        assert_eq!(culprit(&Failure::CertificateNotAdmitted { name: "buoy-1".into() }), Some(device));
        let unknown = culprit(&Failure::UnknownPskIdentity((*b"id-7").into()));
        assert_eq!(unknown, Some(Culprit::Claims("id-7".into())));
        assert_eq!(
            culprit(&Failure::UnknownPskIdentity((*b"\xff").into())),
            Some(Culprit::Claims("ff".into()))
        );
        assert_eq!(culprit(&Failure::NoCommonCipherSuite), Some(Culprit::Nobody));
    }

    #[test]
    fn only_some_incidents_of_strangers_pass_in_a_second() {
        let mut limit = Limit::default();
        assert_eq!((0..1000).filter(|_| limit.may_pass()).count(), STRANGERS_A_SECOND as usize);
    }
}
