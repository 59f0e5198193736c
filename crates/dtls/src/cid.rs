//! Connection IDs (RFC 9146): names for an association that outlive an address.

use core::fmt;

use rand_core::CryptoRng;

/// The longest connection ID that is kept, in either direction. The standard allows 255 bytes; a peer that wants more than
/// this gets none.
pub const MAX_CID_LENGTH: usize = 32;

/// A connection ID, which may be empty: then records to its receiver are written without.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    bytes: [u8; MAX_CID_LENGTH],
    length: u8,
}

impl ConnectionId {
    /// No bytes.
    pub const EMPTY: Self = Self { bytes: [0; MAX_CID_LENGTH], length: 0 };

    /// `None` if there are more than [`MAX_CID_LENGTH`] bytes.
    #[must_use]
    pub fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_CID_LENGTH];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self { bytes, length: u8::try_from(from.len()).ok()? })
    }

    /// Random bytes, at most [`MAX_CID_LENGTH`].
    pub fn random(length: u8, rng: &mut dyn CryptoRng) -> Self {
        Self::random_behind(&[], length, rng)
    }

    /// A prefix that the caller wants to recognise, and random bytes up to `length` in all.
    pub(crate) fn random_behind(prefix: &[u8], length: u8, rng: &mut dyn CryptoRng) -> Self {
        let mut cid = Self { length: length.min(MAX_CID_LENGTH as u8), ..Self::EMPTY };
        if let Some(used) = cid.bytes.get_mut(..cid.length.into()) {
            rng.fill_bytes(used);
            used.iter_mut().zip(prefix).for_each(|(to, from)| *to = *from);
        }
        cid
    }

    /// The bytes as they stand in a record.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or(&[])
    }

    /// How many bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether records go without it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Default for ConnectionId {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionId(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
