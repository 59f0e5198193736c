//! The other end of an exchange.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// Tells the hash of an address from that of a session with the same number.
const IS_ADDRESS: u64 = 1 << 63;

/// Where a datagram comes from or goes to.
///
/// Two peers are equal if they have the same session, at any address, or if neither has a session and their addresses are equal.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The address.
    pub address: SocketAddr,
    /// The DTLS session; `None` in plain CoAP.
    pub session: Option<SessionId>,
}

impl Peer {
    /// A peer that uses plain CoAP.
    #[must_use]
    pub const fn plain(address: SocketAddr) -> Self {
        Self { address, session: None }
    }

    /// What identifies a peer: its session, or its address if it has none.
    const fn key(&self) -> Result<SessionId, SocketAddr> {
        match self.session {
            Some(session) => Ok(session),
            None => Err(self.address),
        }
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // One word for most peers: this is done for each datagram.
        match self.key() {
            Ok(session) => state.write_u64(session.number()),
            Err(SocketAddr::V4(address)) => {
                let ip = u64::from(address.ip().to_bits());
                state.write_u64(IS_ADDRESS | ip << 16 | u64::from(address.port()));
            }
            Err(SocketAddr::V6(address)) => {
                let bits = address.ip().to_bits();
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64);
                state.write_u16(address.port());
            }
        }
    }
}

/// The durable id of a DTLS session. It is never reused, and its lowest byte is the shard that made the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(NonZeroU64);

impl SessionId {
    /// The `counter`th session of a shard; counters start with 1. `None` if there are no more.
    #[must_use]
    pub const fn new(counter: u64, shard: u8) -> Option<Self> {
        if counter == 0 || counter >> 56 != 0 {
            return None;
        }
        Self::from_number((counter << 8) | shard as u64)
    }

    /// The session of this number; 0 is none.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }

    /// How many sessions its shard had made when it made this one.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.0.get() >> 8
    }

    /// The shard that made it.
    #[must_use]
    pub const fn shard(self) -> u8 {
        self.0.get() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_the_same_peer_at_each_address_and_an_address_is_none_of_its_sessions() {
        let at = |port: u16, session| Peer { address: ([127, 0, 0, 1], port).into(), session };
        let session = SessionId::new(1, 7);
        assert_eq!(at(1, session), at(2, session));
        assert_ne!(at(1, session), at(1, SessionId::new(2, 7)));
        assert_ne!(at(1, session), at(1, None));
        assert_ne!(at(1, None), at(2, None));
    }

    #[test]
    fn a_session_id_tells_its_shard() {
        let session = SessionId::new(5, 3).unwrap();
        assert_eq!((session.counter(), session.shard()), (5, 3));
        assert_eq!(SessionId::from_number(session.number()), Some(session));
        assert_eq!(SessionId::new(0, 3), None);
        assert_eq!(SessionId::new(1 << 56, 3), None);
    }
}
