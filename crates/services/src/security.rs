//! The parts of the DTLS ports: the server's identity, the devices' credentials, and the keys of sessions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use buoy_dtls::config::{Authority, PskKey, ServerConfig};
use buoy_dtls::{ExportKey, Failure};
use buoy_net::handshake_failures::HandshakeFailures;
use buoy_net::secure::{Identities, SecureParts};
use buoy_net::udp::UdpSocket;
use buoy_server::SessionId;
use buoy_store::Purpose;
use zeroize::Zeroizing;

use crate::bootstrap::Own;
use crate::credentials::{Credentials, Gate};
use crate::identity::Identity;
use crate::incidents::Doorkeeper;
use crate::inventory::Inventory;
use crate::keyfile::Keys;
use crate::listen::Addresses;

/// The data that all DTLS ports share.
pub(super) struct Security {
    config: Arc<ServerConfig>,
    public_key: Vec<u8>,
    certificate: Vec<u8>,
    export_keys: Vec<ExportKey>,
    ticket_seed: Zeroizing<[u8; 32]>,
    credentials: Credentials,
    failures: Arc<HandshakeFailures>,
    inventory: Inventory,
}

impl Security {
    pub(super) fn new(
        identity: &Identity,
        keys: &Keys,
        credentials: &Credentials,
        inventory: &Inventory,
    ) -> anyhow::Result<Self> {
        let mut config = ServerConfig::default();
        config.own_key = Some(identity.own.clone());
        config.client_anchors = identity.client_anchors.clone();
        Ok(Self {
            config: Arc::new(config),
            public_key: identity.own.public().to_spki().to_vec(),
            certificate: identity.certificate.to_vec(),
            export_keys: keys.session_keys().into_iter().map(ExportKey::new).collect(),
            ticket_seed: keys.ticket_seed()?,
            credentials: credentials.clone(),
            failures: Arc::default(),
            inventory: inventory.clone(),
        })
    }

    /// The identities that are admitted at the ports of a server.
    pub(super) fn identities(&self, purpose: Purpose) -> Arc<dyn Identities> {
        let doorkeeper = Mutex::new(Doorkeeper::new(self.inventory.clone()));
        Arc::new(Port { gate: self.credentials.gate(purpose), doorkeeper })
    }

    /// The parts of a server's port. `sessions` are the saved sessions to restore.
    pub(super) fn parts(
        &self,
        purpose: Purpose,
        socket: UdpSocket,
        sessions: Vec<(SessionId, Vec<u8>)>,
    ) -> SecureParts {
        SecureParts {
            socket,
            config: self.config.clone(),
            identities: self.identities(purpose),
            export_keys: self.export_keys.clone(),
            ticket_seed: *self.ticket_seed,
            sessions,
            failures: self.failures.clone(),
        }
    }

    /// How many handshakes failed, at all ports.
    pub(super) fn failures(&self) -> Arc<HandshakeFailures> {
        self.failures.clone()
    }

    /// This server's data for the accounts of devices.
    pub(super) fn own(&self, addresses: &Addresses) -> Own {
        Own {
            coaps: addresses.coaps_uri(),
            coap: addresses.coap_uri(),
            public_key: self.public_key.clone(),
            certificate: self.certificate.clone(),
        }
    }
}

/// The identities of one port, and what becomes of its failed handshakes.
struct Port {
    gate: Gate,
    /// Only one thread has the port.
    doorkeeper: Mutex<Doorkeeper>,
}

impl Authority for Port {
    fn psk(&self, identity: &[u8]) -> Option<PskKey> {
        self.gate.psk(identity)
    }

    fn admits(&self, peer: &buoy_dtls::Peer) -> bool {
        self.gate.admits(peer)
    }
}

impl Identities for Port {
    fn endpoint_of(&self, peer: &buoy_dtls::Peer) -> Option<Arc<str>> {
        self.gate.endpoint_of(peer)
    }

    fn has(&self, endpoint: &str) -> bool {
        self.gate.has(endpoint)
    }

    fn used(&self, peer: &buoy_dtls::Peer) {
        self.gate.used(peer);
    }

    fn failed(&self, address: SocketAddr, failure: &Failure) {
        let mut doorkeeper = self.doorkeeper.lock().unwrap_or_else(PoisonError::into_inner);
        doorkeeper.look(address, failure, self);
    }
}
