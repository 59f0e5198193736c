//! Who the other end proved to be.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::wire::{Malformed, Put, Reader};

/// Who the other end proved to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A client that has the key of this identity. Seen by servers.
    Psk(Box<[u8]>),
    /// The server that has the key of our own identity. Seen by clients.
    PskServer,
    /// The owner of this key.
    #[cfg(feature = "rpk")]
    RawPublicKey(Box<crate::crypto::PublicKey>),
    /// The subject of this certificate.
    #[cfg(feature = "x509")]
    Certificate(Box<crate::x509::CertificateFacts>),
    /// A client that was not asked.
    Anonymous,
}

impl Peer {
    /// As it stands in exports and tickets.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Psk(identity) => {
                out.put_u8(1);
                out.put_vector16(identity);
            }
            Self::PskServer => out.put_u8(2),
            #[cfg(feature = "rpk")]
            Self::RawPublicKey(key) => {
                out.put_u8(3);
                out.put(key.point());
            }
            #[cfg(feature = "x509")]
            // 4 was a form without what binds a peer to its authority.
            Self::Certificate(facts) => {
                out.put_u8(6);
                facts.put(out);
            }
            Self::Anonymous => out.put_u8(5),
        }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match reader.u8()? {
            1 => Self::Psk(reader.vector16()?.into()),
            2 => Self::PskServer,
            #[cfg(feature = "rpk")]
            3 => Self::RawPublicKey(Box::new(crate::crypto::PublicKey::from_point(reader.array()?))),
            #[cfg(feature = "x509")]
            6 => Self::Certificate(Box::new(crate::x509::CertificateFacts::parse(reader)?)),
            5 => Self::Anonymous,
            _ => return Err(Malformed),
        })
    }
}
