//! The parts of the DTLS ports: the server's identity, the devices' credentials, and the keys of sessions.

use std::sync::Arc;

use buoy_dtls::ExportKey;
use buoy_dtls::config::ServerConfig;
use buoy_net::handshake_failures::HandshakeFailures;
use buoy_net::secure::{Identities, SecureParts};
use buoy_net::udp::UdpSocket;
use buoy_server::SessionId;
use buoy_store::Purpose;
use zeroize::Zeroizing;

use crate::bootstrap::Own;
use crate::credentials::{Credentials, Gate};
use crate::identity::Identity;
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
}

impl Security {
    pub(super) fn new(identity: &Identity, keys: &Keys, credentials: &Credentials) -> anyhow::Result<Self> {
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
        })
    }

    /// The identities that are admitted at the ports of a server.
    pub(super) fn identities(&self, purpose: Purpose) -> Arc<dyn Identities> {
        Arc::new(self.credentials.gate(purpose))
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

impl Identities for Gate {
    fn endpoint_of(&self, peer: &buoy_dtls::Peer) -> Option<Arc<str>> {
        Self::endpoint_of(self, peer)
    }

    fn has(&self, endpoint: &str) -> bool {
        Self::has(self, endpoint)
    }

    fn used(&self, peer: &buoy_dtls::Peer) {
        Self::used(self, peer);
    }
}
