//! The handshake messages' bodies (RFC 5246 section 7.4, RFC 6347 section 4.3.2).

use alloc::vec::Vec;

use super::extension::{ClientExtensions, ServerExtensions};
use crate::failure::Message;
use crate::record::VERSION;
use crate::suite::CipherSuite;
use crate::wire::{Malformed, Put, Reader};

/// "I can do secure renegotiation" in the list of cipher suites (RFC 5746 section 3.3).
const EMPTY_RENEGOTIATION_INFO_SCSV: u16 = 0x00ff;

impl Message {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::HelloRequest => 0,
            Self::ClientHello => 1,
            Self::ServerHello => 2,
            Self::HelloVerifyRequest => 3,
            Self::NewSessionTicket => 4,
            Self::Certificate => 11,
            Self::ServerKeyExchange => 12,
            Self::CertificateRequest => 13,
            Self::ServerHelloDone => 14,
            Self::CertificateVerify => 15,
            Self::ClientKeyExchange => 16,
            Self::Finished => 20,
            Self::Unknown(number) => number,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::HelloRequest,
            1 => Self::ClientHello,
            2 => Self::ServerHello,
            3 => Self::HelloVerifyRequest,
            4 => Self::NewSessionTicket,
            11 => Self::Certificate,
            12 => Self::ServerKeyExchange,
            13 => Self::CertificateRequest,
            14 => Self::ServerHelloDone,
            15 => Self::CertificateVerify,
            16 => Self::ClientKeyExchange,
            20 => Self::Finished,
            number => Self::Unknown(number),
        }
    }
}

/// The offer that starts everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientHello<'a> {
    pub(crate) version: u16,
    pub(crate) random: [u8; 32],
    pub(crate) session_id: &'a [u8],
    suites: &'a [u8],
    pub(crate) extensions: ClientExtensions<'a>,
}

impl<'a> ClientHello<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        let session_id = reader.vector8()?;
        // The cookie, which `HelloHead` has.
        reader.vector8()?;
        let suites = reader.vector16()?;
        let compression = reader.vector8()?;
        if session_id.len() > 32 || !suites.len().is_multiple_of(2) || !compression.contains(&0) {
            return Err(Malformed);
        }
        let mut extensions = ClientExtensions::parse(&mut reader)?;
        reader.end()?;
        let signals =
            suites.chunks_exact(2).any(|suite| suite == EMPTY_RENEGOTIATION_INFO_SCSV.to_be_bytes());
        extensions.renegotiation_info |= signals;
        Ok(Self { version, random, session_id, suites, extensions })
    }

    pub(crate) fn offers(&self, suite: CipherSuite) -> bool {
        super::extension::lists(self.suites, suite.number())
    }
}

/// The beginning of a ClientHello, up to the cookie: what the first fragment of one must have so that it can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HelloHead<'a> {
    /// Version, random and session id.
    pub(crate) before_cookie: &'a [u8],
    pub(crate) random: [u8; 32],
    pub(crate) cookie: &'a [u8],
}

impl<'a> HelloHead<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        reader.u16()?;
        let random = reader.array()?;
        reader.vector8()?;
        let mut rest = reader;
        let length = body.len().saturating_sub(rest.rest().len());
        let before_cookie = body.get(..length).ok_or(Malformed)?;
        Ok(Self { before_cookie, random, cookie: reader.vector8()? })
    }
}

/// The body of a ClientHello.
pub(crate) fn client_hello(
    random: &[u8; 32],
    session_id: &[u8],
    cookie: &[u8],
    suites: &[CipherSuite],
    extensions: &ClientExtensions<'_>,
) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u16(VERSION);
    body.put(random);
    body.put_vector8(session_id);
    body.put_vector8(cookie);
    let count = suites.len().saturating_add(1).saturating_mul(2);
    body.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
    suites.iter().for_each(|suite| body.put_u16(suite.number()));
    body.put_u16(EMPTY_RENEGOTIATION_INFO_SCSV);
    body.put_vector8(&[0]);
    extensions.put(&mut body);
    body
}

/// The cookie of a HelloVerifyRequest (RFC 6347 section 4.2.1). Its version says nothing.
pub(crate) fn parse_hello_verify_request(body: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(body);
    reader.u16()?;
    let cookie = reader.vector8()?;
    reader.end()?;
    Ok(cookie)
}

/// What the server chose.
#[derive(Clone, Debug)]
pub(crate) struct ServerHello<'a> {
    pub(crate) version: u16,
    pub(crate) random: [u8; 32],
    pub(crate) session_id: &'a [u8],
    pub(crate) suite: u16,
    pub(crate) extensions: ServerExtensions,
}

impl<'a> ServerHello<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let version = reader.u16()?;
        let random = reader.array()?;
        let session_id = reader.vector8()?;
        let suite = reader.u16()?;
        let compression = reader.u8()?;
        if session_id.len() > 32 || compression != 0 {
            return Err(Malformed);
        }
        let extensions = ServerExtensions::parse(&mut reader)?;
        reader.end()?;
        Ok(Self { version, random, session_id, suite, extensions })
    }

    pub(crate) fn to_body(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u16(self.version);
        body.put(&self.random);
        body.put_vector8(self.session_id);
        body.put_u16(self.suite);
        body.put_u8(0);
        self.extensions.put(&mut body);
        body
    }
}

/// ServerKeyExchange and ClientKeyExchange of plain PSK: a hint or an identity (RFC 4279 section 2).
pub(crate) fn psk_key_exchange(identity: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_vector16(identity);
    body
}

/// A ticket and for how many seconds it is good (RFC 5077 section 3.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSessionTicket<'a> {
    pub(crate) lifetime_hint: u32,
    pub(crate) ticket: &'a [u8],
}

impl<'a> NewSessionTicket<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body);
        let parsed = Self { lifetime_hint: reader.u32()?, ticket: reader.vector16()? };
        reader.end()?;
        Ok(parsed)
    }

    pub(crate) fn to_body(self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put(&self.lifetime_hint.to_be_bytes());
        body.put_vector16(self.ticket);
        body
    }
}

/// A key share in a message: the named curve 3 and the group (server), and the point.
#[cfg(feature = "ecdhe")]
pub(crate) mod ecdhe {
    use super::super::extension::{SECP256R1, X25519};
    use super::{Malformed, Put, Reader, Vec};
    use crate::crypto::Group;

    const NAMED_CURVE: u8 = 3;

    impl Group {
        pub(crate) const fn number(self) -> u16 {
            match self {
                Self::Secp256r1 => SECP256R1,
                Self::X25519 => X25519,
            }
        }
    }

    /// The server's share as it is signed.
    pub(crate) fn server_share(group: Group, point: &[u8]) -> Vec<u8> {
        let mut share = Vec::new();
        share.put_u8(NAMED_CURVE);
        share.put_u16(group.number());
        share.put_vector8(point);
        share
    }

    /// The group, `None` if it is neither of ours, and the point.
    pub(crate) fn parse_server_share<'a>(
        reader: &mut Reader<'a>,
    ) -> Result<(Option<Group>, &'a [u8]), Malformed> {
        if reader.u8()? != NAMED_CURVE {
            return Err(Malformed);
        }
        let group = match reader.u16()? {
            SECP256R1 => Some(Group::Secp256r1),
            X25519 => Some(Group::X25519),
            _ => None,
        };
        Ok((group, reader.vector8()?))
    }
}

#[cfg(feature = "rpk")]
pub(crate) mod certificate {
    use super::super::extension::{ECDSA_SHA256, lists};
    use super::{Malformed, Put, Reader, Vec};

    /// `ecdsa_sign`
    const ECDSA_SIGN: u8 = 64;

    /// No longer chains are read.
    #[cfg(feature = "x509")]
    pub(crate) const MAX_CHAIN: usize = 5;

    /// The certificates of a chain, the owner's first; empty if there is none.
    #[cfg(feature = "x509")]
    pub(crate) fn parse_chain(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
        let mut reader = Reader::new(body);
        let mut list = Reader::new(reader.vector24()?);
        reader.end()?;
        let mut chain = Vec::new();
        while !list.is_empty() {
            if chain.len() >= MAX_CHAIN {
                return Err(Malformed);
            }
            chain.push(list.vector24()?);
        }
        Ok(chain)
    }

    pub(crate) fn chain<'a>(certificates: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut list = Vec::new();
        certificates.for_each(|certificate| list.put_vector24(certificate));
        let mut body = Vec::new();
        body.put_vector24(&list);
        body
    }

    /// A raw public key stands alone, without the list around it (RFC 7250 section 3).
    pub(crate) fn parse_raw_public_key(body: &[u8]) -> Result<&[u8], Malformed> {
        let mut reader = Reader::new(body);
        let key = reader.vector24()?;
        reader.end()?;
        Ok(key)
    }

    pub(crate) fn raw_public_key(spki: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_vector24(spki);
        body
    }

    /// Whether the request can be answered with ECDSA and SHA-256.
    pub(crate) fn parse_request(body: &[u8]) -> Result<bool, Malformed> {
        let mut reader = Reader::new(body);
        let types = reader.vector8()?;
        let algorithms = reader.vector16()?;
        reader.vector16()?;
        reader.end()?;
        Ok(types.contains(&ECDSA_SIGN) && lists(algorithms, ECDSA_SHA256))
    }

    /// Names no authorities: a device has one certificate and needs no help to choose.
    pub(crate) fn request() -> Vec<u8> {
        let mut body = Vec::new();
        body.put_vector8(&[ECDSA_SIGN]);
        body.put_vector16(&ECDSA_SHA256.to_be_bytes());
        body.put_u16(0);
        body
    }

    /// A signature with its algorithm, which must be ECDSA with SHA-256.
    pub(crate) fn parse_signature<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
        if reader.u16()? != ECDSA_SHA256 {
            return Err(Malformed);
        }
        reader.vector16()
    }

    pub(crate) fn put_signature(out: &mut Vec<u8>, der: &[u8]) {
        out.put_u16(ECDSA_SHA256);
        out.put_vector16(der);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hello_is_read_as_it_was_written() {
        let extensions = ClientExtensions { extended_master_secret: true, ..ClientExtensions::default() };
        let suites = [CipherSuite::PskAes128Ccm8];
        let body = client_hello(&[7; 32], b"id", b"cookie", &suites, &extensions);
        let hello = ClientHello::parse(&body).unwrap();
        assert_eq!(hello.session_id, b"id");
        assert!(hello.offers(CipherSuite::PskAes128Ccm8));
        assert!(hello.extensions.renegotiation_info && hello.extensions.extended_master_secret);
        let other = client_hello(&[7; 32], b"id", b"", &suites, &extensions);
        let (with, without) = (HelloHead::parse(&body).unwrap(), HelloHead::parse(&other).unwrap());
        assert_eq!((with.cookie, without.cookie), (&b"cookie"[..], &b""[..]));
        assert_eq!((with.before_cookie, with.random), (without.before_cookie, [7; 32]));
        // The cookie's end is enough, and nothing less is.
        let end = with.before_cookie.len() + 1 + 6;
        assert_eq!(HelloHead::parse(&body[..end]), Ok(with));
        assert!((0..end).all(|cut| HelloHead::parse(&body[..cut]).is_err()));
    }
}
