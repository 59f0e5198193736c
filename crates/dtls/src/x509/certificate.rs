//! What stands in one certificate (RFC 5280 section 4). Borrowed from the bytes; nothing is copied.

use alloc::boxed::Box;
use alloc::string::String;

use super::der::{self, Der};
use super::signature::SignatureHash;
use super::{AuthorityKey, CertificateError};
use crate::crypto::PublicKey;
use crate::wire::Malformed;

const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_WITH_SHA384: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// `SubjectPublicKeyInfo` of an uncompressed point on secp384r1, up to the point (RFC 5480).
const SPKI_384: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
const ANY_PURPOSE: [u8; 4] = [0x55, 0x1d, 0x25, 0x00];
const SERVER_AUTH: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// More extensions or names are not looked at.
const MAX_ITEMS: usize = 32;

/// A certificate that was read, and not yet believed.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    pub(super) der: &'a [u8],
    pub(super) signed: &'a [u8],
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    public_key: Option<PublicKey>,
    spki: &'a [u8],
    pub(super) algorithm: &'a [u8],
    signature_hash: Option<SignatureHash>,
    pub(super) signature: &'a [u8],
    pub(super) authority: Option<PathLength>,
    usage: Option<KeyUsage>,
    purposes: Option<&'a [u8]>,
    alternative_names: Option<&'a [u8]>,
}

/// How many authorities may stand below this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathLength {
    Any,
    AtMost(usize),
}

#[derive(Clone, Copy, Debug)]
struct KeyUsage {
    digital_signature: bool,
    certificate_sign: bool,
}

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Client,
    Server,
}

/// A subject alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlternativeName<'a> {
    Dns(&'a str),
    Uri(&'a str),
    Ip(&'a [u8]),
    Other,
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        Self::read(der).map_err(|Malformed| CertificateError::Malformed)?
    }

    /// The key, if it is one on secp256r1.
    pub(crate) const fn public_key(&self) -> Option<PublicKey> {
        self.public_key
    }

    fn read(der: &'a [u8]) -> Result<Result<Self, CertificateError>, Malformed> {
        let mut outer = Der::new(der);
        let mut parts = outer.inside(der::SEQUENCE)?;
        outer.end()?;
        let signed = parts.expect(der::SEQUENCE)?;
        let algorithm = parts.expect(der::SEQUENCE)?;
        let signature = der::octets_of_bits(parts.expect(der::BIT_STRING)?)?;
        parts.end()?;

        let mut fields = Der::new(signed.content);
        let version = fields.inside(0xa0)?.expect(der::INTEGER)?;
        // Version 3: the only one with extensions, and so with a purpose.
        if version.content != [2] {
            return Err(Malformed);
        }
        let serial = fields.expect(der::INTEGER)?.content;
        // RFC 5280 section 4.1.1.2: said twice, and the same.
        if fields.expect(der::SEQUENCE)?.whole != algorithm.whole {
            return Err(Malformed);
        }
        let issuer = fields.expect(der::SEQUENCE)?.whole;
        let mut validity = fields.inside(der::SEQUENCE)?;
        let (not_before, not_after) = (der::unix_time(validity.next()?)?, der::unix_time(validity.next()?)?);
        validity.end()?;
        let subject = fields.expect(der::SEQUENCE)?.whole;
        let spki = fields.expect(der::SEQUENCE)?.whole;
        // Unique identifiers, which nobody uses.
        fields.optional(0x81)?;
        fields.optional(0x82)?;
        let extensions = fields.optional(0xa3)?;
        fields.end()?;
        let mut certificate = Self {
            der,
            signed: signed.whole,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            public_key: PublicKey::from_spki(spki),
            spki,
            algorithm: algorithm.whole,
            signature_hash: signature_hash(Der::new(algorithm.content))?,
            signature,
            authority: None,
            usage: None,
            purposes: None,
            alternative_names: None,
        };
        match extensions {
            Some(extensions) => {
                let understood = certificate.read_extensions(Der::new(extensions.content))?;
                Ok(if understood { Ok(certificate) } else { Err(CertificateError::UnknownCriticalExtension) })
            }
            None => Ok(Ok(certificate)),
        }
    }

    /// Whether all that is critical was understood.
    fn read_extensions(&mut self, mut explicit: Der<'a>) -> Result<bool, Malformed> {
        let mut list = explicit.inside(der::SEQUENCE)?;
        explicit.end()?;
        let mut understood = true;
        let mut seen = [false; 4];
        for _ in 0..MAX_ITEMS {
            if list.is_empty() {
                return Ok(understood);
            }
            let mut extension = list.inside(der::SEQUENCE)?;
            let id = extension.expect(der::OBJECT_IDENTIFIER)?.content;
            let critical = extension.optional(der::BOOLEAN)?.is_some_and(|value| value.content != [0]);
            let value = extension.expect(der::OCTET_STRING)?.content;
            extension.end()?;
            let known = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, SUBJECT_ALT_NAME];
            let Some(at) = known.iter().position(|known| known == id) else {
                understood &= !critical;
                continue;
            };
            // RFC 5280 section 4.2: each at most once.
            if seen.get_mut(at).is_none_or(|seen| core::mem::replace(seen, true)) {
                return Err(Malformed);
            }
            let mut value = Der::new(value);
            match at {
                0 => self.authority = basic_constraints(&mut value)?,
                1 => self.usage = Some(key_usage(&mut value)?),
                2 => self.purposes = Some(value.expect(der::SEQUENCE)?.content),
                _ => self.alternative_names = Some(value.expect(der::SEQUENCE)?.content),
            }
            value.end()?;
        }
        Err(Malformed)
    }

    /// Whether the key may prove who the subject is.
    pub(super) fn may_prove(&self, purpose: Purpose) -> bool {
        self.usage.is_none_or(|usage| usage.digital_signature) && self.serves(purpose)
    }

    /// Whether the key may sign certificates, with so many authorities below.
    pub(super) fn may_certify(&self, purpose: Purpose, below: usize) -> bool {
        let deep_enough = match self.authority {
            Some(PathLength::Any) => true,
            Some(PathLength::AtMost(length)) => below <= length,
            None => false,
        };
        deep_enough && self.usage.is_none_or(|usage| usage.certificate_sign) && self.serves(purpose)
    }

    fn serves(&self, purpose: Purpose) -> bool {
        let Some(purposes) = self.purposes else { return true };
        let wanted = match purpose {
            Purpose::Client => CLIENT_AUTH,
            Purpose::Server => SERVER_AUTH,
        };
        let mut list = Der::new(purposes);
        (0..MAX_ITEMS)
            .map_while(|_| list.expect(der::OBJECT_IDENTIFIER).ok())
            .any(|found| found.content == wanted || found.content == ANY_PURPOSE)
    }

    /// How its authority signed it; `None` if in a way that nobody here can check.
    pub(super) const fn signature_hash(&self) -> Option<SignatureHash> {
        self.signature_hash
    }

    /// The key, if it is one that an authority may have.
    pub(super) fn authority_key(&self) -> Option<AuthorityKey<'a>> {
        if let Some(key) = self.public_key {
            return Some(AuthorityKey::Secp256r1(key));
        }
        let point = self.spki.strip_prefix(&SPKI_384)?;
        (point.first() == Some(&4)).then(|| point.try_into().ok().map(AuthorityKey::Secp384r1))?
    }

    /// The last common name of the subject, in whichever part of it and whichever kind of string: the most specific one.
    pub(super) fn common_name(&self) -> Option<Box<str>> {
        let mut outer = Der::new(self.subject);
        let mut parts = outer.inside(der::SEQUENCE).ok()?;
        let mut last = None;
        // Parts may have several attributes (RFC 5280 section 4.1.2.4).
        let mut part = Der::new(&[]);
        for _ in 0..MAX_ITEMS {
            if part.is_empty() {
                let Ok(next) = parts.inside(der::SET) else { break };
                part = next;
            }
            let mut pair = part.inside(der::SEQUENCE).ok()?;
            let id = pair.expect(der::OBJECT_IDENTIFIER).ok()?.content;
            let value = pair.next().ok()?;
            if id == COMMON_NAME {
                last = text_of(value).filter(|name| is_printable(name));
            }
        }
        last.map(String::into_boxed_str)
    }

    pub(super) fn alternative_names(&self) -> impl Iterator<Item = AlternativeName<'a>> {
        let mut list = Der::new(self.alternative_names.unwrap_or(&[]));
        (0..MAX_ITEMS).map_while(move |_| list.next().ok()).map(|name| {
            let text = || core::str::from_utf8(name.content).ok().filter(|name| is_printable(name));
            match (name.tag, text()) {
                (0x82, Some(name)) => AlternativeName::Dns(name),
                (0x86, Some(uri)) => AlternativeName::Uri(uri),
                (0x87, _) => AlternativeName::Ip(name.content),
                _ => AlternativeName::Other,
            }
        })
    }
}

/// The hash of an ECDSA signature. Its parameters are absent (RFC 5758 section 3.2).
fn signature_hash(mut algorithm: Der<'_>) -> Result<Option<SignatureHash>, Malformed> {
    let id = algorithm.expect(der::OBJECT_IDENTIFIER)?.content;
    let hash = [(ECDSA_WITH_SHA256, SignatureHash::Sha256), (ECDSA_WITH_SHA384, SignatureHash::Sha384)];
    let hash = hash.into_iter().find(|(known, _)| known == id).map(|(_, hash)| hash);
    Ok(hash.filter(|_| algorithm.is_empty()))
}

/// A `DirectoryString` (RFC 5280 section 4.1.2.4). Of a `TeletexString` only what everybody reads in the same way.
fn text_of(value: der::Value<'_>) -> Option<String> {
    let utf16 = || value.content.chunks(2).map(|unit| unit.try_into().ok().map(u16::from_be_bytes));
    let utf32 = || value.content.chunks(4).map(|unit| unit.try_into().ok().map(u32::from_be_bytes));
    match value.tag {
        der::UTF8_STRING | der::PRINTABLE_STRING | der::IA5_STRING => {
            core::str::from_utf8(value.content).ok().map(String::from)
        }
        der::TELETEX_STRING if value.content.is_ascii() => {
            core::str::from_utf8(value.content).ok().map(String::from)
        }
        der::BMP_STRING => {
            let units = utf16().collect::<Option<alloc::vec::Vec<u16>>>()?;
            String::from_utf16(&units).ok()
        }
        der::UNIVERSAL_STRING => utf32().map(|unit| unit.and_then(char::from_u32)).collect(),
        _ => None,
    }
}

/// A name with a zero byte or the like in it is read differently by different people.
fn is_printable(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.chars().any(char::is_control)
}

fn basic_constraints(value: &mut Der<'_>) -> Result<Option<PathLength>, Malformed> {
    let mut fields = value.inside(der::SEQUENCE)?;
    let is_authority = fields.optional(der::BOOLEAN)?.is_some_and(|value| value.content != [0]);
    let length = fields.optional(der::INTEGER)?;
    fields.end()?;
    let length = match length.map(|value| value.content) {
        None => PathLength::Any,
        Some([length @ 0..=0x7f]) => PathLength::AtMost((*length).into()),
        Some(_) => return Err(Malformed),
    };
    Ok(is_authority.then_some(length))
}

fn key_usage(value: &mut Der<'_>) -> Result<KeyUsage, Malformed> {
    let bits = value.expect(der::BIT_STRING)?;
    let first = bits.content.get(1).copied().unwrap_or(0);
    Ok(KeyUsage { digital_signature: first & 0x80 != 0, certificate_sign: first & 0x04 != 0 })
}
