//! The cipher suites, and what each asks for.

use crate::crypto::Aead;

/// A cipher suite. All use SHA-256 for the pseudo-random function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CipherSuite {
    /// `TLS_PSK_WITH_AES_128_CCM_8` (RFC 6655), mandatory for LwM2M.
    PskAes128Ccm8,
    /// `TLS_PSK_WITH_AES_128_CCM` (RFC 6655), with a tag of sixteen bytes.
    PskAes128Ccm,
    /// `TLS_PSK_WITH_AES_128_GCM_SHA256` (RFC 5487).
    #[cfg(feature = "gcm")]
    PskAes128Gcm,
    /// `TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256` (RFC 8442).
    #[cfg(feature = "ecdhe")]
    EcdhePskAes128Ccm8,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8` (RFC 7251).
    #[cfg(feature = "rpk")]
    EcdheEcdsaAes128Ccm8,
    /// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256` (RFC 5289).
    #[cfg(all(feature = "rpk", feature = "gcm"))]
    EcdheEcdsaAes128Gcm,
}

/// How the two ends come to a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyExchange {
    Psk,
    #[cfg(feature = "ecdhe")]
    EcdhePsk,
    #[cfg(feature = "rpk")]
    EcdheEcdsa,
}

impl CipherSuite {
    /// All of them, those with forward secrecy first.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "rpk")]
        Self::EcdheEcdsaAes128Ccm8,
        #[cfg(all(feature = "rpk", feature = "gcm"))]
        Self::EcdheEcdsaAes128Gcm,
        #[cfg(feature = "ecdhe")]
        Self::EcdhePskAes128Ccm8,
        Self::PskAes128Ccm8,
        Self::PskAes128Ccm,
        #[cfg(feature = "gcm")]
        Self::PskAes128Gcm,
    ];

    /// Its number at IANA.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::PskAes128Ccm8 => 0xc0a8,
            Self::PskAes128Ccm => 0xc0a4,
            #[cfg(feature = "gcm")]
            Self::PskAes128Gcm => 0x00a8,
            #[cfg(feature = "ecdhe")]
            Self::EcdhePskAes128Ccm8 => 0xd003,
            #[cfg(feature = "rpk")]
            Self::EcdheEcdsaAes128Ccm8 => 0xc0ae,
            #[cfg(all(feature = "rpk", feature = "gcm"))]
            Self::EcdheEcdsaAes128Gcm => 0xc02b,
        }
    }

    /// The suite of this number, if it is one of these.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|suite| suite.number() == number)
    }

    pub(crate) const fn aead(self) -> Aead {
        match self {
            Self::PskAes128Ccm8 => Aead::Aes128Ccm8,
            Self::PskAes128Ccm => Aead::Aes128Ccm,
            #[cfg(feature = "gcm")]
            Self::PskAes128Gcm => Aead::Aes128Gcm,
            #[cfg(feature = "ecdhe")]
            Self::EcdhePskAes128Ccm8 => Aead::Aes128Ccm8,
            #[cfg(feature = "rpk")]
            Self::EcdheEcdsaAes128Ccm8 => Aead::Aes128Ccm8,
            #[cfg(all(feature = "rpk", feature = "gcm"))]
            Self::EcdheEcdsaAes128Gcm => Aead::Aes128Gcm,
        }
    }

    pub(crate) const fn key_exchange(self) -> KeyExchange {
        match self {
            Self::PskAes128Ccm8 | Self::PskAes128Ccm => KeyExchange::Psk,
            #[cfg(feature = "gcm")]
            Self::PskAes128Gcm => KeyExchange::Psk,
            #[cfg(feature = "ecdhe")]
            Self::EcdhePskAes128Ccm8 => KeyExchange::EcdhePsk,
            #[cfg(feature = "rpk")]
            Self::EcdheEcdsaAes128Ccm8 => KeyExchange::EcdheEcdsa,
            #[cfg(all(feature = "rpk", feature = "gcm"))]
            Self::EcdheEcdsaAes128Gcm => KeyExchange::EcdheEcdsa,
        }
    }
}
