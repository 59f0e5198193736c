//! Tokens and message ids (RFC 7252 sections 4.4 and 5.3.1).

use rand_core::Rng;

/// A token of our own choice, or a peer's that we keep: at most eight bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    bytes: [u8; 8],
    length: u8,
}

impl Token {
    /// Eight bytes that cannot be guessed, as RFC 7252 section 5.3.1 asks for.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self { bytes: rng.next_u64().to_be_bytes(), length: 8 }
    }

    /// A token of these eight bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self { bytes, length: 8 }
    }

    /// Keeps a peer's token; `None` if it is longer than eight bytes.
    #[must_use]
    pub fn from_slice(slice: &[u8]) -> Option<Self> {
        let mut token = Self { length: u8::try_from(slice.len()).ok()?, ..Self::default() };
        token.bytes.get_mut(..slice.len())?.copy_from_slice(slice);
        Some(token)
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// The message ids for one peer; kept by whoever keeps the peer, since ids must not return within EXCHANGE_LIFETIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageIds(pub(super) u16);

impl MessageIds {
    /// Starts anywhere, as RFC 7252 section 4.4 recommends.
    pub fn random(rng: &mut impl Rng) -> Self {
        Self(rng.next_u32() as u16)
    }

    /// Starts with `first`.
    #[must_use]
    pub const fn starting_at(first: u16) -> Self {
        Self(first)
    }

    /// The next id.
    pub fn next_id(&mut self) -> u16 {
        let id = self.0;
        self.0 = id.wrapping_add(1);
        id
    }
}
