//! What each role is told beforehand: credentials, trust, and what to agree to.

use core::fmt;

use alloc::boxed::Box;
use alloc::vec::Vec;
use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(feature = "rpk")]
use crate::crypto::{Provider, PublicKey};
pub use crate::handshake::extension::MaxFragmentLength;
pub use crate::handshake::flight::Timing;
use crate::peer::Peer;
use crate::suite::CipherSuite;

/// The longest PSK identity. RFC 4279 section 5.3 asks for 128 bytes.
pub const MAX_PSK_IDENTITY_LENGTH: usize = 256;
/// The longest pre-shared key. RFC 4279 section 5.3 asks for 64 bytes.
pub const MAX_PSK_LENGTH: usize = 256;

/// A pre-shared key. Gone from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PskKey(Vec<u8>);

impl PskKey {
    /// `None` if it is empty or longer than [`MAX_PSK_LENGTH`].
    #[must_use]
    pub fn new(key: &[u8]) -> Option<Self> {
        (1..=MAX_PSK_LENGTH).contains(&key.len()).then(|| Self(key.to_vec()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PskKey(redacted)")
    }
}

/// An identity and its key.
#[derive(Clone, Debug)]
pub struct Psk {
    pub(crate) identity: Box<[u8]>,
    pub(crate) key: PskKey,
}

impl Psk {
    /// `None` if the identity is longer than [`MAX_PSK_IDENTITY_LENGTH`], or the key is none.
    #[must_use]
    pub fn new(identity: &[u8], key: &[u8]) -> Option<Self> {
        let key = PskKey::new(key)?;
        (identity.len() <= MAX_PSK_IDENTITY_LENGTH).then(|| Self { identity: identity.into(), key })
    }
}

/// A private key on secp256r1, and what is shown of it.
#[cfg(feature = "rpk")]
#[derive(Clone)]
pub struct OwnKey {
    pub(crate) private: PrivateKey,
    pub(crate) public: PublicKey,
    /// The certificate of the key and those above it; empty for a raw public key.
    pub(crate) chain: Box<[Box<[u8]>]>,
}

/// The number of a private key.
#[cfg(feature = "rpk")]
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct PrivateKey(pub(crate) [u8; 32]);

#[cfg(feature = "rpk")]
impl OwnKey {
    /// A key that is shown as a raw public key. `None` if the number is no private key.
    #[must_use]
    pub fn raw_public_key<P: Provider>(private: &[u8; 32]) -> Option<Self> {
        let public = P::public_key(private)?;
        Some(Self { private: PrivateKey(*private), public, chain: Box::default() })
    }

    /// A key that is shown by a certificate: the chain in DER, the key's own certificate first, the trust anchor left out.
    ///
    /// # Errors
    /// What is wrong with the first certificate, or that it is for another key.
    #[cfg(feature = "x509")]
    pub fn certificate<P: Provider>(
        private: &[u8; 32],
        chain: &[&[u8]],
    ) -> Result<Self, crate::x509::CertificateError> {
        use crate::x509::{Certificate, CertificateError};
        let key = Self::raw_public_key::<P>(private).ok_or(CertificateError::WrongKey)?;
        let first = Certificate::parse(chain.first().ok_or(CertificateError::NoCertificate)?)?;
        if first.public_key() != Some(key.public) {
            return Err(CertificateError::WrongKey);
        }
        if chain.len() > crate::handshake::message::certificate::MAX_CHAIN {
            return Err(CertificateError::ChainTooLong);
        }
        Ok(Self { chain: chain.iter().map(|certificate| Box::from(*certificate)).collect(), ..key })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }
}

#[cfg(feature = "rpk")]
impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// What a client shows, and whom it trusts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientCredentials {
    /// A key that the server shares.
    Psk(Psk),
    /// A key of our own, and what the server must show.
    #[cfg(feature = "rpk")]
    Certificate {
        /// What is shown if the server asks.
        own: OwnKey,
        /// What the server must show.
        server: ServerTrust,
    },
}

/// How a server proves itself to a client without a shared key.
#[cfg(feature = "rpk")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServerTrust {
    /// It has exactly this key.
    RawPublicKey(PublicKey),
    /// It has a certificate that fits.
    #[cfg(feature = "x509")]
    Certificate(Box<crate::x509::ServerCertificateTrust>),
}

/// Whether a peer without extended master secret (RFC 7627) is talked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtendedMasterSecret {
    /// It is always offered; old peers are talked to without, but their sessions never resumed.
    #[default]
    Preferred,
    /// A handshake without fails.
    Required,
}

/// What a client wants of connection IDs (RFC 9146).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionIdUse {
    /// Nothing.
    Off,
    /// The server may have its ID in our records, so that our address may change; its records to us go without.
    #[default]
    SendOnly,
    /// The server's records to us carry so many random bytes too, at most [`MAX_CID_LENGTH`](crate::cid::MAX_CID_LENGTH).
    Both(u8),
}

/// Whether sessions can be resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// Each handshake is a full one.
    #[default]
    Never,
    /// What is needed to resume is handed out when connected.
    Keep,
}

/// A client's configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Who we are, and who the server is.
    pub credentials: ClientCredentials,
    /// The suites to offer, the best first. Those that the credentials don't fit are left out.
    pub suites: Box<[CipherSuite]>,
    /// Whether old servers are talked to.
    pub extended_master_secret: ExtendedMasterSecret,
    /// Whether addresses may change.
    pub connection_id: ConnectionIdUse,
    /// The longest plaintext that the server may send, as old peers understand it. It limits ours too.
    pub max_fragment_length: Option<MaxFragmentLength>,
    /// The longest plaintext that the server may send (RFC 8449): 64 to 16,384.
    pub record_size_limit: Option<u16>,
    /// The server's DNS name, sent in the clear (RFC 6066 section 3).
    pub server_name: Option<Box<str>>,
    /// Whether the session can be resumed.
    pub resume: Resume,
    /// When messages are sent again.
    pub timing: Timing,
    /// The most memory, in bytes, for the server's handshake messages that wait to be put together.
    pub inbox_limit: usize,
}

impl ClientConfig {
    /// A configuration for these credentials with the usual choices.
    #[must_use]
    pub fn new(credentials: ClientCredentials) -> Self {
        Self {
            credentials,
            suites: CipherSuite::ALL.into(),
            extended_master_secret: ExtendedMasterSecret::default(),
            connection_id: ConnectionIdUse::default(),
            max_fragment_length: None,
            record_size_limit: None,
            server_name: None,
            resume: Resume::default(),
            timing: Timing::default(),
            inbox_limit: 8192,
        }
    }
}

/// What a server asks of its clients when no pre-shared key proves them.
#[cfg(feature = "rpk")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Every client shows a key or a certificate.
    #[default]
    Required,
    /// Clients stay anonymous.
    None,
}

/// A server's configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The suites to choose from, the best first. Those without credentials are passed over.
    pub suites: Box<[CipherSuite]>,
    /// The server's key, if it has one.
    #[cfg(feature = "rpk")]
    pub own_key: Option<OwnKey>,
    /// Whether clients without a pre-shared key must prove who they are.
    #[cfg(feature = "rpk")]
    pub client_authentication: ClientAuthentication,
    /// Whose certificates are good for clients: the authorities.
    #[cfg(feature = "x509")]
    pub client_anchors: Box<[crate::x509::Anchor]>,
    /// Whether old clients are talked to.
    pub extended_master_secret: ExtendedMasterSecret,
    /// The longest plaintext that clients may send (RFC 8449), if they ask: 64 to 16,384.
    pub record_size_limit: u16,
    /// Whether sessions of clients that take no ticket get an id by which the caller remembers them.
    pub resume: Resume,
    /// When messages are sent again.
    pub timing: Timing,
    /// The most memory, in bytes, for a client's handshake messages that wait to be put together.
    pub inbox_limit: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            suites: CipherSuite::ALL.into(),
            #[cfg(feature = "rpk")]
            own_key: None,
            #[cfg(feature = "rpk")]
            client_authentication: ClientAuthentication::default(),
            #[cfg(feature = "x509")]
            client_anchors: Box::default(),
            extended_master_secret: ExtendedMasterSecret::default(),
            record_size_limit: 16_384,
            resume: Resume::default(),
            timing: Timing::default(),
            inbox_limit: 8192,
        }
    }
}

/// Who may come in: asked by a server during the handshake.
pub trait Authority {
    /// The key of this identity. `None` is not told to the client: the handshake goes on with a random key and fails where a
    /// wrong key fails. For the same reason the time this takes should not depend on the answer.
    fn psk(&self, identity: &[u8]) -> Option<PskKey>;

    /// Whether a client that proved to be this one may come in: a key that is known, a certificate that is not revoked. The
    /// certificate's path, time and purpose were checked before. Asked too when a session is resumed.
    fn admits(&self, peer: &Peer) -> bool;
}
