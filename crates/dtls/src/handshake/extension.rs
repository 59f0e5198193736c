//! The extensions of both hellos.
//!
//! RFC 6066 (names, fragment length), 7250 (certificate types), 8422 (groups), 5246 (signatures), 7627 (extended master
//! secret), 5077 (tickets), 8449 (record size), 9146 (connection IDs), 5746 (renegotiation).

use crate::cid::ConnectionId;
use crate::wire::{Malformed, Put, Reader};

use alloc::vec::Vec;

const SERVER_NAME: u16 = 0;
const MAX_FRAGMENT_LENGTH: u16 = 1;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const CLIENT_CERTIFICATE_TYPE: u16 = 19;
const SERVER_CERTIFICATE_TYPE: u16 = 20;
const EXTENDED_MASTER_SECRET: u16 = 23;
const RECORD_SIZE_LIMIT: u16 = 28;
const SESSION_TICKET: u16 = 35;
const CONNECTION_ID: u16 = 54;
const RENEGOTIATION_INFO: u16 = 0xff01;

/// `ecdsa_secp256r1_sha256`, which in TLS 1.2 is "SHA-256 with ECDSA" on any curve.
#[cfg(feature = "rpk")]
pub(crate) const ECDSA_SHA256: u16 = 0x0403;
/// The group secp256r1.
#[cfg(feature = "ecdhe")]
pub(crate) const SECP256R1: u16 = 23;
/// The group x25519.
#[cfg(feature = "ecdhe")]
pub(crate) const X25519: u16 = 29;
/// No more extensions are looked at: enough for every extension that anybody knows.
const MAX_EXTENSIONS: usize = 48;

/// A limit on the plaintext of records as RFC 6066 section 4 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxFragmentLength {
    /// 512 bytes
    Bytes512,
    /// 1,024 bytes
    Bytes1024,
    /// 2,048 bytes
    Bytes2048,
    /// 4,096 bytes
    Bytes4096,
}

impl MaxFragmentLength {
    /// How many bytes of plaintext.
    #[must_use]
    pub const fn bytes(self) -> u16 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes1024 => 1024,
            Self::Bytes2048 => 2048,
            Self::Bytes4096 => 4096,
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Bytes512 => 1,
            Self::Bytes1024 => 2,
            Self::Bytes2048 => 3,
            Self::Bytes4096 => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Bytes512,
            2 => Self::Bytes1024,
            3 => Self::Bytes2048,
            4 => Self::Bytes4096,
            _ => return None,
        })
    }
}

/// How a certificate message names a key (RFC 7250).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateType {
    X509,
    RawPublicKey,
}

impl CertificateType {
    const fn number(self) -> u8 {
        match self {
            Self::X509 => 0,
            Self::RawPublicKey => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::X509),
            2 => Some(Self::RawPublicKey),
            _ => None,
        }
    }
}

/// What a ClientHello offers beside the suites. `None`, empty or `false` is an extension that isn't there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientExtensions<'a> {
    pub(crate) server_name: Option<&'a [u8]>,
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    pub(crate) record_size_limit: Option<u16>,
    pub(crate) groups: Option<&'a [u8]>,
    pub(crate) signature_algorithms: Option<&'a [u8]>,
    pub(crate) client_certificate_types: Option<&'a [u8]>,
    pub(crate) server_certificate_types: Option<&'a [u8]>,
    pub(crate) extended_master_secret: bool,
    pub(crate) session_ticket: Option<&'a [u8]>,
    pub(crate) connection_id: Option<&'a [u8]>,
    pub(crate) renegotiation_info: bool,
}

impl<'a> ClientExtensions<'a> {
    /// Of the ClientHello's rest: nothing at all, or a vector of extensions.
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for_each(reader, |number, mut body| {
            match number {
                SERVER_NAME => found.server_name = host_name(&mut body)?,
                MAX_FRAGMENT_LENGTH => found.max_fragment_length = MaxFragmentLength::from_code(body.u8()?),
                RECORD_SIZE_LIMIT => found.record_size_limit = Some(body.u16()?),
                SUPPORTED_GROUPS => found.groups = Some(body.vector16()?),
                SIGNATURE_ALGORITHMS => found.signature_algorithms = Some(body.vector16()?),
                CLIENT_CERTIFICATE_TYPE => found.client_certificate_types = Some(body.vector8()?),
                SERVER_CERTIFICATE_TYPE => found.server_certificate_types = Some(body.vector8()?),
                EXTENDED_MASTER_SECRET => found.extended_master_secret = true,
                SESSION_TICKET => found.session_ticket = Some(body.rest()),
                CONNECTION_ID => found.connection_id = Some(body.vector8()?),
                RENEGOTIATION_INFO => {
                    // A first handshake has nothing to say here (RFC 5746 section 3.6).
                    found.renegotiation_info = body.vector8()?.is_empty();
                    found.renegotiation_info.then_some(()).ok_or(Malformed)?;
                }
                _ => {
                    body.rest();
                }
            }
            body.end()
        })?;
        Ok(found)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut list = Vec::new();
        if let Some(name) = self.server_name {
            extension(&mut list, SERVER_NAME, |body| {
                body.put_u16(u16::try_from(name.len().saturating_add(3)).unwrap_or(u16::MAX));
                body.put_u8(0);
                body.put_vector16(name);
            });
        }
        if let Some(length) = self.max_fragment_length {
            extension(&mut list, MAX_FRAGMENT_LENGTH, |body| body.put_u8(length.code()));
        }
        if let Some(limit) = self.record_size_limit {
            extension(&mut list, RECORD_SIZE_LIMIT, |body| body.put_u16(limit));
        }
        if let Some(groups) = self.groups {
            extension(&mut list, SUPPORTED_GROUPS, |body| body.put_vector16(groups));
            extension(&mut list, EC_POINT_FORMATS, |body| body.put_vector8(&[0]));
        }
        if let Some(algorithms) = self.signature_algorithms {
            extension(&mut list, SIGNATURE_ALGORITHMS, |body| body.put_vector16(algorithms));
        }
        if let Some(types) = self.client_certificate_types {
            extension(&mut list, CLIENT_CERTIFICATE_TYPE, |body| body.put_vector8(types));
        }
        if let Some(types) = self.server_certificate_types {
            extension(&mut list, SERVER_CERTIFICATE_TYPE, |body| body.put_vector8(types));
        }
        if self.extended_master_secret {
            extension(&mut list, EXTENDED_MASTER_SECRET, |_| {});
        }
        if let Some(ticket) = self.session_ticket {
            extension(&mut list, SESSION_TICKET, |body| body.put(ticket));
        }
        if let Some(cid) = self.connection_id {
            extension(&mut list, CONNECTION_ID, |body| body.put_vector8(cid));
        }
        if self.renegotiation_info {
            extension(&mut list, RENEGOTIATION_INFO, |body| body.put_u8(0));
        }
        out.put_vector16(&list);
    }
}

/// What a ServerHello agreed to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerExtensions {
    pub(crate) server_name: bool,
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    pub(crate) record_size_limit: Option<u16>,
    pub(crate) point_formats: bool,
    pub(crate) client_certificate_type: Option<CertificateType>,
    pub(crate) server_certificate_type: Option<CertificateType>,
    pub(crate) extended_master_secret: bool,
    pub(crate) session_ticket: bool,
    pub(crate) connection_id: Option<ConnectionId>,
    pub(crate) renegotiation_info: bool,
}

impl ServerExtensions {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for_each(reader, |number, mut body| {
            match number {
                SERVER_NAME => found.server_name = true,
                MAX_FRAGMENT_LENGTH => {
                    found.max_fragment_length =
                        Some(MaxFragmentLength::from_code(body.u8()?).ok_or(Malformed)?);
                }
                RECORD_SIZE_LIMIT => found.record_size_limit = Some(body.u16()?),
                EC_POINT_FORMATS => {
                    found.point_formats = body.vector8()?.contains(&0);
                    found.point_formats.then_some(()).ok_or(Malformed)?;
                }
                CLIENT_CERTIFICATE_TYPE => {
                    let chosen = CertificateType::from_number(body.u8()?).ok_or(Malformed)?;
                    found.client_certificate_type = Some(chosen);
                }
                SERVER_CERTIFICATE_TYPE => {
                    let chosen = CertificateType::from_number(body.u8()?).ok_or(Malformed)?;
                    found.server_certificate_type = Some(chosen);
                }
                EXTENDED_MASTER_SECRET => found.extended_master_secret = true,
                SESSION_TICKET => found.session_ticket = true,
                CONNECTION_ID => {
                    found.connection_id = Some(ConnectionId::new(body.vector8()?).ok_or(Malformed)?);
                }
                RENEGOTIATION_INFO => {
                    found.renegotiation_info = body.vector8()?.is_empty();
                    found.renegotiation_info.then_some(()).ok_or(Malformed)?;
                }
                // Nothing else was offered (RFC 5246 section 7.4.1.4).
                _ => return Err(Malformed),
            }
            body.end()
        })?;
        Ok(found)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut list = Vec::new();
        if self.renegotiation_info {
            extension(&mut list, RENEGOTIATION_INFO, |body| body.put_u8(0));
        }
        if self.server_name {
            extension(&mut list, SERVER_NAME, |_| {});
        }
        if let Some(length) = self.max_fragment_length {
            extension(&mut list, MAX_FRAGMENT_LENGTH, |body| body.put_u8(length.code()));
        }
        if let Some(limit) = self.record_size_limit {
            extension(&mut list, RECORD_SIZE_LIMIT, |body| body.put_u16(limit));
        }
        if self.point_formats {
            extension(&mut list, EC_POINT_FORMATS, |body| body.put_vector8(&[0]));
        }
        if let Some(chosen) = self.client_certificate_type {
            extension(&mut list, CLIENT_CERTIFICATE_TYPE, |body| body.put_u8(chosen.number()));
        }
        if let Some(chosen) = self.server_certificate_type {
            extension(&mut list, SERVER_CERTIFICATE_TYPE, |body| body.put_u8(chosen.number()));
        }
        if self.extended_master_secret {
            extension(&mut list, EXTENDED_MASTER_SECRET, |_| {});
        }
        if self.session_ticket {
            extension(&mut list, SESSION_TICKET, |_| {});
        }
        if let Some(cid) = &self.connection_id {
            extension(&mut list, CONNECTION_ID, |body| body.put_vector8(cid.as_bytes()));
        }
        if !list.is_empty() {
            out.put_vector16(&list);
        }
    }
}

/// Whether a list of certificate types names this one.
#[cfg(feature = "rpk")]
pub(crate) fn names(list: &[u8], wanted: CertificateType) -> bool {
    list.contains(&wanted.number())
}

/// The list of these certificate types.
#[cfg(feature = "rpk")]
pub(crate) fn certificate_types(types: &[CertificateType]) -> Vec<u8> {
    types.iter().map(|kind| kind.number()).collect()
}

/// Whether a list of two-byte numbers has this one.
pub(crate) fn lists(list: &[u8], wanted: u16) -> bool {
    list.chunks_exact(2).any(|number| number == wanted.to_be_bytes())
}

/// Visits each extension once; a second of the same number is malformed.
fn for_each<'a>(
    reader: &mut Reader<'a>,
    mut visit: impl FnMut(u16, Reader<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    if reader.is_empty() {
        return Ok(());
    }
    let mut list = Reader::new(reader.vector16()?);
    // An array, because strangers' hellos come this way, and shall cost no allocation.
    let mut seen = [None; MAX_EXTENSIONS];
    for free in 0..MAX_EXTENSIONS {
        if list.is_empty() {
            return Ok(());
        }
        let number = list.u16()?;
        if seen.contains(&Some(number)) {
            return Err(Malformed);
        }
        if let Some(slot) = seen.get_mut(free) {
            *slot = Some(number);
        }
        visit(number, Reader::new(list.vector16()?))?;
    }
    list.end()
}

fn host_name<'a>(body: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    // A client may be asked to say its name without having one: the list is empty then in some implementations.
    if body.is_empty() {
        return Ok(None);
    }
    let mut list = Reader::new(body.vector16()?);
    let mut found = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vector16()?;
        if kind == 0 {
            found = found.or(Some(name));
        }
    }
    Ok(found)
}

fn extension(list: &mut Vec<u8>, number: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    list.put_u16(number);
    list.put_vector16(&body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_offers_is_read_as_it_was_written() {
        let offered = ClientExtensions {
            server_name: Some(b"buoy.example"),
            max_fragment_length: Some(MaxFragmentLength::Bytes512),
            record_size_limit: Some(300),
            groups: Some(&[0, 23, 0, 29]),
            signature_algorithms: Some(&[4, 3]),
            client_certificate_types: Some(&[2, 0]),
            server_certificate_types: Some(&[0]),
            extended_master_secret: true,
            session_ticket: Some(b"ticket"),
            connection_id: Some(&[]),
            renegotiation_info: true,
        };
        let mut bytes = Vec::new();
        offered.put(&mut bytes);
        let read = ClientExtensions::parse(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(std::format!("{read:?}"), std::format!("{offered:?}"));
        assert!(lists(read.groups.unwrap(), 29));
    }

    #[test]
    fn an_extension_that_comes_twice_is_malformed() {
        let twice = [0, 8, 0, 23, 0, 0, 0, 23, 0, 0];
        assert!(ClientExtensions::parse(&mut Reader::new(&twice)).is_err());
    }

    #[test]
    fn a_server_may_not_answer_what_nobody_can_have_asked() {
        let unknown = [0, 4, 0x7a, 0x7a, 0, 0];
        assert!(ServerExtensions::parse(&mut Reader::new(&unknown)).is_err());
        assert!(ClientExtensions::parse(&mut Reader::new(&unknown)).is_ok());
    }
}
