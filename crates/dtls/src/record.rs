//! Records (RFC 6347 section 4.1, RFC 9146 section 4): where one ends and the next begins in a datagram.
//!
//! Knows no keys. A datagram is cut into records in place, so that what is decrypted never needs a copy.

use crate::wire::{Malformed, Put, Reader};

/// Bytes in front of a record's body, without a connection ID.
pub(crate) const HEADER_LENGTH: usize = 13;
/// DTLS 1.2
pub(crate) const VERSION: u16 = 0xfefd;
/// DTLS 1.0, which a ClientHello or a HelloVerifyRequest may say in its record's header (RFC 6347 section 4.2.1).
pub(crate) const OLD_VERSION: u16 = 0xfeff;
/// The highest sequence number: they have six bytes.
pub(crate) const MAX_SEQUENCE: u64 = (1 << 48) - 1;
/// The longest plaintext of a record (RFC 5246 section 6.2.1).
pub(crate) const MAX_PLAINTEXT: usize = 1 << 14;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

impl ContentType {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            _ => return None,
        })
    }
}

/// The type of a record with a connection ID, whose true type is encrypted (RFC 9146 section 4).
pub(crate) const TLS12_CID: u8 = 25;

/// The first byte of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OuterType {
    Plain(ContentType),
    /// `tls12_cid`
    WithConnectionId,
}

/// A received datagram, and how much of it was already taken.
///
/// Make one for each datagram, and call the connection or the endpoint with it until that returns `None`.
#[derive(Debug)]
pub struct Datagram<'d> {
    rest: &'d mut [u8],
}

impl<'d> Datagram<'d> {
    /// The datagram in this buffer, which will be decrypted in place.
    pub const fn new(bytes: &'d mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next record. What can't be a record ends the datagram: nobody can say where the next one would begin.
    pub(crate) fn next_record(&mut self, cid_length: usize) -> Option<Record<'d>> {
        let rest = core::mem::take(&mut self.rest);
        let header = Header::parse(rest, cid_length).ok()?;
        let (head, rest) = rest.split_at_mut_checked(header.length)?;
        let (body, rest) = rest.split_at_mut_checked(header.body_length)?;
        self.rest = rest;
        let Header { outer_type, epoch, sequence, .. } = header;
        Some(Record {
            outer_type,
            epoch,
            sequence,
            cid: head.get(11..header.length.saturating_sub(2))?,
            body,
        })
    }
}

/// A record's header, checked against what is there.
#[derive(Clone, Copy, Debug)]
struct Header {
    outer_type: OuterType,
    epoch: u16,
    sequence: u64,
    length: usize,
    body_length: usize,
}

impl Header {
    fn parse(bytes: &[u8], cid_length: usize) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let outer_type = match reader.u8()? {
            TLS12_CID => OuterType::WithConnectionId,
            number => OuterType::Plain(ContentType::from_number(number).ok_or(Malformed)?),
        };
        if !matches!(reader.u16()?, VERSION | OLD_VERSION) {
            return Err(Malformed);
        }
        let epoch = reader.u16()?;
        let sequence = reader.u48()?;
        let cid_length = if outer_type == OuterType::WithConnectionId { cid_length } else { 0 };
        reader.take(cid_length)?;
        let body_length = usize::from(reader.u16()?);
        reader.take(body_length)?;
        Ok(Self {
            outer_type,
            epoch,
            sequence,
            length: HEADER_LENGTH.saturating_add(cid_length),
            body_length,
        })
    }
}

/// A record cut out of a datagram.
#[derive(Debug)]
pub(crate) struct Record<'d> {
    pub(crate) outer_type: OuterType,
    pub(crate) epoch: u16,
    pub(crate) sequence: u64,
    pub(crate) cid: &'d [u8],
    pub(crate) body: &'d mut [u8],
}

/// Writes the header of a record whose body will have `body_length` bytes.
pub(crate) fn put_header(
    out: &mut impl Put,
    outer_type: OuterType,
    epoch: u16,
    sequence: u64,
    cid: &[u8],
    body_length: usize,
) {
    out.put_u8(match outer_type {
        OuterType::Plain(content) => content.number(),
        OuterType::WithConnectionId => TLS12_CID,
    });
    out.put_u16(VERSION);
    out.put_u16(epoch);
    out.put_u48(sequence);
    out.put(cid);
    out.put_u16(u16::try_from(body_length).unwrap_or(u16::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_cut_into_its_records() {
        let mut bytes = std::vec::Vec::new();
        put_header(&mut bytes, OuterType::Plain(ContentType::Alert), 0, 7, &[], 2);
        bytes.put(&[1, 2]);
        put_header(&mut bytes, OuterType::WithConnectionId, 1, 8, &[0xc1, 0xd1], 1);
        bytes.put(&[3]);
        let mut datagram = Datagram::new(&mut bytes);
        let first = datagram.next_record(2).unwrap();
        assert_eq!((first.epoch, first.sequence, first.cid, &*first.body), (0, 7, &[][..], &[1, 2][..]));
        let second = datagram.next_record(2).unwrap();
        assert_eq!(
            (second.epoch, second.sequence, second.cid, &*second.body),
            (1, 8, &[0xc1, 0xd1][..], &[3][..])
        );
        assert!(datagram.next_record(2).is_none());
    }

    #[test]
    fn what_is_no_record_ends_the_datagram() {
        for bytes in [&[][..], &[22], &[99; 40], &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1]] {
            assert!(Datagram::new(&mut bytes.to_vec()).next_record(0).is_none());
        }
    }
}
