//! The secrets of TLS 1.2 and how each comes from the one before (RFC 5246 sections 5, 6.3, 7.4.9 and 8.1; RFC 4279
//! section 2; RFC 5489 section 2; RFC 7627 section 4). Every suite here uses SHA-256.

use core::fmt;

use alloc::vec::Vec;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{DirectionKey, Hmac as _, KEY_LENGTH, Provider};
use crate::wire::Put;

/// What both ends know after the key exchange.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct PreMasterSecret(Vec<u8>);

impl PreMasterSecret {
    /// RFC 4279: as many zeros as the key is long, then the key.
    pub(crate) fn psk(psk: &[u8]) -> Self {
        // One allocation, so that no copy of the key is left behind by growing.
        let mut secret = Vec::with_capacity(psk.len().saturating_mul(2).saturating_add(4));
        secret.put_u16(u16::try_from(psk.len()).unwrap_or(u16::MAX));
        secret.extend(psk.iter().map(|_| 0));
        secret.put_vector16(psk);
        Self(secret)
    }

    /// RFC 5489: the shared point instead of the zeros.
    #[cfg(feature = "ecdhe")]
    pub(crate) fn ecdhe_psk(shared: &super::SharedSecret, psk: &[u8]) -> Self {
        let mut secret = Vec::with_capacity(psk.len().saturating_add(36));
        secret.put_vector16(&shared.0);
        secret.put_vector16(psk);
        Self(secret)
    }

    #[cfg(feature = "rpk")]
    pub(crate) fn ecdhe(shared: &super::SharedSecret) -> Self {
        Self(shared.0.to_vec())
    }
}

/// What all keys of a session, and of those resumed from it, come from.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct MasterSecret(pub(crate) [u8; 48]);

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(redacted)")
    }
}

/// Whose Finished, or whose keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl MasterSecret {
    pub(crate) fn new<P: Provider>(secret: &PreMasterSecret, client: &[u8; 32], server: &[u8; 32]) -> Self {
        let mut master = Self([0; 48]);
        prf::<P>(&secret.0, b"master secret", &[client, server], &mut master.0);
        master
    }

    /// RFC 7627: bound to everything that was said up to and including ClientKeyExchange.
    pub(crate) fn extended<P: Provider>(secret: &PreMasterSecret, session_hash: &[u8; 32]) -> Self {
        let mut master = Self([0; 48]);
        prf::<P>(&secret.0, b"extended master secret", &[session_hash], &mut master.0);
        master
    }

    pub(crate) fn verify_data<P: Provider>(&self, side: Side, transcript_hash: &[u8; 32]) -> [u8; 12] {
        let label: &[u8] = match side {
            Side::Client => b"client finished",
            Side::Server => b"server finished",
        };
        let mut data = [0; 12];
        prf::<P>(&self.0, label, &[transcript_hash], &mut data);
        data
    }
}

/// The keys of both directions.
pub(crate) struct KeyBlock {
    pub(crate) client: DirectionKey,
    pub(crate) server: DirectionKey,
}

impl KeyBlock {
    pub(crate) fn new<P: Provider>(master: &MasterSecret, client: &[u8; 32], server: &[u8; 32]) -> Self {
        let mut block = [0; 40];
        prf::<P>(&master.0, b"key expansion", &[server, client], &mut block);
        let mut reader = crate::wire::Reader::new(&block);
        let mut keys = [[0; KEY_LENGTH]; 2];
        let mut salts = [[0; 4]; 2];
        // The block is exactly as long as what is taken.
        keys.iter_mut().for_each(|key| *key = reader.array().unwrap_or_default());
        salts.iter_mut().for_each(|salt| *salt = reader.array().unwrap_or_default());
        let ([client, server], [client_salt, server_salt]) = (keys, salts);
        let both = Self {
            client: DirectionKey { key: client, salt: client_salt },
            server: DirectionKey { key: server, salt: server_salt },
        };
        block.zeroize();
        keys.zeroize();
        both
    }
}

/// `PRF` of RFC 5246 section 5 with SHA-256.
fn prf<P: Provider>(secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let [first, second] = match seed {
        [only] => [*only, &[]],
        [first, second, ..] => [*first, *second],
        [] => [&[][..], &[]],
    };
    let hmac = P::Hmac::new(secret);
    let mut a = hmac.sign(&[label, first, second]);
    let mut rest = out;
    loop {
        let mut block = hmac.sign(&[&a, label, first, second]);
        let (chunk, after) = rest.split_at_mut(rest.len().min(block.len()));
        chunk.iter_mut().zip(&block).for_each(|(to, from)| *to = *from);
        block.zeroize();
        rest = after;
        if rest.is_empty() {
            break;
        }
        a = hmac.sign(&[&a]);
    }
    a.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RustCrypto;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// The vector for P_SHA256 that was published on the TLS working group's list.
    #[test]
    fn the_prf_makes_what_the_published_vector_says() {
        let secret = bytes("9bbe436ba940f017b17652849a71db35");
        let seed = bytes("a0ba9f936cda311827a6f796ffd5198c");
        let mut out = [0; 100];
        prf::<RustCrypto>(&secret, b"test label", &[&seed], &mut out);
        let expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0f\
                        a022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66";
        assert_eq!(out[..], bytes(&expected.replace(char::is_whitespace, "")));
    }

    #[test]
    fn the_secret_of_a_psk_has_as_many_zeros_as_the_key_has_bytes() {
        assert_eq!(PreMasterSecret::psk(&[7, 8, 9]).0, [0, 3, 0, 0, 0, 0, 3, 7, 8, 9]);
    }
}
