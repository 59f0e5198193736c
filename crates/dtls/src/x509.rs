//! Whether a certificate is to be believed (RFC 5280 section 6), for clients and servers of LwM2M.
//!
//! The owner of a certificate has a key on secp256r1, and authorities sign by ECDSA on secp256r1 with SHA-256: that is what LwM2M asks
//! devices for. A [`Provider`] for servers checks authorities on secp384r1 and SHA-384 too. Paths are short, each certificate
//! is checked for its time, its purpose and, if it is an authority's, for its right to sign. Revocation lists are not read;
//! on a server [`Authority::admits`](crate::config::Authority::admits) is where a certificate is revoked.

mod certificate;
mod der;
mod signature;

use core::fmt;
use core::net::IpAddr;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::alert::Alert;
use crate::crypto::{Provider, PublicKey, RustCrypto, sha256};
use crate::wire::{Malformed, Put, Reader};
use certificate::AlternativeName;
pub(crate) use certificate::Certificate;
use certificate::Purpose;
use signature::EcdsaSignature;
pub use signature::{Curve, SignatureHash};

/// Certificates between the owner's and the trust anchor.
const MAX_INTERMEDIATES: usize = 4;
/// Signatures that are checked for one peer, at most: who sends many that look alike gains nothing.
const MAX_CHECKS: usize = 12;

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// None was shown.
    NoCertificate,
    /// It is no certificate of version 3 in DER.
    Malformed,
    /// It must be understood to be used, and isn't.
    UnknownCriticalExtension,
    /// Its key is not on secp256r1.
    UnsupportedKey,
    /// It is signed by something else than ECDSA with SHA-256, or on a server SHA-384.
    UnsupportedSignature,
    /// No way leads from it to a trust anchor.
    UnknownAuthority,
    /// Who signed it had no right to.
    NotAnAuthority,
    /// It says which authority signed it, but that one did not.
    BadSignature,
    /// Its time has not come. Seconds since 1970.
    NotYetValid(u64),
    /// Its time is over. Seconds since 1970.
    Expired(u64),
    /// The time of the trust anchor that vouches for it is over. Seconds since 1970.
    AnchorExpired(u64),
    /// Nobody knows what time it is.
    TimeUnknown,
    /// It is not for this use: a server's shown by a client, or the other way round.
    WrongPurpose,
    /// It is for another name.
    WrongName,
    /// It, or its authority, is not the one that was expected.
    NotPinned,
    /// The private key is not the certificate's.
    WrongKey,
    /// The chain is too long.
    ChainTooLong,
}

impl CertificateError {
    /// What the peer is told.
    pub(crate) const fn alert(&self) -> Alert {
        match self {
            Self::NoCertificate => Alert::HANDSHAKE_FAILURE,
            Self::UnsupportedKey | Self::UnsupportedSignature | Self::UnknownCriticalExtension => {
                Alert::UNSUPPORTED_CERTIFICATE
            }
            Self::UnknownAuthority => Alert::UNKNOWN_CA,
            Self::NotYetValid(_) | Self::Expired(_) | Self::AnchorExpired(_) => Alert::CERTIFICATE_EXPIRED,
            Self::TimeUnknown | Self::WrongName | Self::NotPinned => Alert::CERTIFICATE_UNKNOWN,
            _ => Alert::BAD_CERTIFICATE,
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("none was shown"),
            Self::Malformed => f.write_str("it is no X.509 certificate of version 3"),
            Self::UnknownCriticalExtension => {
                f.write_str("it has a critical extension that is not understood")
            }
            Self::UnsupportedKey => f.write_str("its key is not on P-256"),
            Self::UnsupportedSignature => {
                f.write_str("it is not signed by ECDSA on P-256 with SHA-256, nor in another way that can be checked here")
            }
            Self::UnknownAuthority => f.write_str("no trust anchor vouches for it"),
            Self::NotAnAuthority => f.write_str("it was signed by a certificate that may not sign others"),
            Self::BadSignature => f.write_str("its signature is wrong"),
            Self::NotYetValid(from) => write!(f, "it is not valid before {}", der::Date(*from)),
            Self::Expired(until) => write!(f, "it was valid until {}", der::Date(*until)),
            Self::AnchorExpired(until) => {
                write!(f, "the authority that vouches for it was valid until {}", der::Date(*until))
            }
            Self::TimeUnknown => f.write_str("the time is not known, so nor is whether it is valid"),
            Self::WrongPurpose => f.write_str("it is for another purpose"),
            Self::WrongName => f.write_str("it is for another name"),
            Self::NotPinned => f.write_str("it is not the one that was expected"),
            Self::WrongKey => f.write_str("the private key is another one's"),
            Self::ChainTooLong => f.write_str("its chain is too long"),
        }
    }
}

impl core::error::Error for CertificateError {}

/// The key of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityKey<'a> {
    /// On secp256r1.
    Secp256r1(PublicKey),
    /// On secp384r1: the uncompressed point.
    Secp384r1(&'a [u8; 97]),
}

impl AuthorityKey<'_> {
    const fn curve(&self) -> Curve {
        match self {
            Self::Secp256r1(_) => Curve::Secp256r1,
            Self::Secp384r1(_) => Curve::Secp384r1,
        }
    }
}

/// A certificate that is believed without a reason.
///
/// An authority's vouches for others within its own limits: its right to sign, how many authorities may stand below it, and for which
/// purpose. Another one vouches for itself alone. On a server its time counts too. Not on a device: what that was given to trust it trusts
/// until it is given something else, or nobody could reach it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    subject: Box<[u8]>,
    fingerprint: [u8; 32],
    not_after: u64,
    is_authority: bool,
    der: Box<[u8]>,
}

impl Anchor {
    /// The anchor in a DER certificate.
    ///
    /// # Errors
    /// If it is no certificate, or its key is on another curve than secp256r1 and secp384r1.
    pub fn new(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::parse(der)?;
        certificate.authority_key().ok_or(CertificateError::UnsupportedKey)?;
        Ok(Self {
            subject: certificate.subject.into(),
            fingerprint: sha256::<RustCrypto>(&[der]),
            not_after: certificate.not_after,
            is_authority: certificate.authority.is_some(),
            der: der.into(),
        })
    }

    /// SHA-256 of the whole certificate.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The last second, since 1970, of its validity.
    #[must_use]
    pub const fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Whether it may vouch for others; if not, for itself alone.
    #[must_use]
    pub const fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// The subject's common name, for a person.
    #[must_use]
    pub fn common_name(&self) -> Option<Box<str>> {
        Certificate::parse(&self.der).ok()?.common_name()
    }
}

/// What a certificate says of its subject, once it is believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFacts {
    fingerprint: [u8; 32],
    twin_fingerprint: [u8; 32],
    signed_fingerprint: [u8; 32],
    anchor: Option<[u8; 32]>,
    public_key: PublicKey,
    serial: Box<[u8]>,
    common_name: Option<Box<str>>,
    dns_names: Box<[Box<str>]>,
    uris: Box<[Box<str>]>,
    not_before: u64,
    not_after: u64,
}

impl CertificateFacts {
    fn of<P: Provider>(certificate: &Certificate<'_>, vouched: Vouched) -> Result<Self, CertificateError> {
        let names = |pick: fn(AlternativeName<'_>) -> Option<&str>| -> Box<[Box<str>]> {
            certificate.alternative_names().filter_map(pick).map(Box::from).collect()
        };
        Ok(Self {
            fingerprint: sha256::<P>(&[certificate.der]),
            twin_fingerprint: twin_fingerprint::<P>(certificate, vouched.signer)?,
            signed_fingerprint: sha256::<P>(&[certificate.signed]),
            anchor: vouched.anchor,
            public_key: certificate.public_key().ok_or(CertificateError::UnsupportedKey)?,
            serial: certificate.serial.into(),
            common_name: certificate.common_name(),
            dns_names: names(|name| match name {
                AlternativeName::Dns(name) => Some(name),
                _ => None,
            }),
            uris: names(|name| match name {
                AlternativeName::Uri(uri) => Some(uri),
                _ => None,
            }),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        })
    }

    /// SHA-256 of the whole certificate as it was shown.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Whether this is the SHA-256 of the certificate, or of what its authority signed.
    ///
    /// Anybody can turn the signature (r, s) of a certificate into (r, n - s), which is as good, and so give it a second fingerprint. Both are
    /// the certificate's: who is refused by the one is refused by the other.
    #[must_use]
    pub fn has_fingerprint(&self, fingerprint: &[u8; 32]) -> bool {
        [&self.fingerprint, &self.twin_fingerprint, &self.signed_fingerprint].contains(&fingerprint)
    }

    /// SHA-256 of what the authority signed (`tbsCertificate`), by which two forms of one certificate are the same.
    #[must_use]
    pub const fn signed_fingerprint(&self) -> &[u8; 32] {
        &self.signed_fingerprint
    }

    /// Whether one of these vouched for it. What is remembered of a peer holds as long as they do.
    #[must_use]
    pub fn is_by_one_of(&self, anchors: &[Anchor]) -> bool {
        anchors.iter().any(|anchor| self.anchor == Some(anchor.fingerprint))
    }

    /// The subject's key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The serial number, big-endian.
    #[must_use]
    pub const fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The subject's most specific common name.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The DNS names among the alternative names.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.dns_names.iter().map(|name| &**name)
    }

    /// The URIs among the alternative names.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.uris.iter().map(|uri| &**uri)
    }

    /// The last second, since 1970, of its validity.
    #[must_use]
    pub const fn not_after(&self) -> u64 {
        self.not_after
    }

    pub(crate) fn is_valid_at(&self, unix_time: Option<u64>) -> bool {
        unix_time.is_some_and(|now| (self.not_before..=self.not_after).contains(&now))
    }

    /// As it stands in exports and tickets.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.fingerprint);
        out.put(&self.twin_fingerprint);
        out.put(&self.signed_fingerprint);
        out.put(&self.anchor.unwrap_or_default());
        out.put(self.public_key.point());
        out.put_u64(self.not_before);
        out.put_u64(self.not_after);
        out.put_vector16(&self.serial);
        out.put_vector16(self.common_name.as_deref().unwrap_or("").as_bytes());
        for names in [&self.dns_names, &self.uris] {
            out.put_u8(u8::try_from(names.len()).unwrap_or(u8::MAX));
            names.iter().for_each(|name| out.put_vector16(name.as_bytes()));
        }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [fingerprint, twin_fingerprint, signed_fingerprint, anchor] =
            [reader.array()?, reader.array()?, reader.array()?, reader.array()?];
        let public_key = PublicKey::from_point(reader.array()?);
        let (not_before, not_after) = (reader.u64()?, reader.u64()?);
        let serial = reader.vector16()?.into();
        let common_name = text(reader)?;
        let mut lists = [const { Vec::new() }; 2];
        for list in &mut lists {
            for _ in 0..reader.u8()? {
                list.push(text(reader)?);
            }
        }
        let [dns_names, uris] = lists;
        Ok(Self {
            fingerprint,
            twin_fingerprint,
            signed_fingerprint,
            anchor: (anchor != [0; 32]).then_some(anchor),
            public_key,
            serial,
            common_name: (!common_name.is_empty()).then_some(common_name),
            dns_names: dns_names.into(),
            uris: uris.into(),
            not_before,
            not_after,
        })
    }
}

fn text(reader: &mut Reader<'_>) -> Result<Box<str>, Malformed> {
    String::from_utf8(reader.vector16()?.to_vec()).map(String::into_boxed_str).map_err(|_| Malformed)
}

/// Certificate Usage: resource 15 of LwM2M's Security object, with the meaning of RFC 6698 section 2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUsage {
    /// 0: a path to the trust store, through this authority.
    CaConstraint,
    /// 1: a path to the trust store, and exactly this certificate.
    ServiceConstraint,
    /// 2: a path to this authority, whatever the trust store has.
    TrustAnchorAssertion,
    /// 3: exactly this certificate, whoever signed it; neither name nor time matter (RFC 7671 section 5.1).
    DomainIssued,
}

impl CertificateUsage {
    /// Of the resource's number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::CaConstraint,
            1 => Self::ServiceConstraint,
            2 => Self::TrustAnchorAssertion,
            3 => Self::DomainIssued,
            _ => return None,
        })
    }
}

/// The certificate that a usage speaks of: resource 4 of the Security object, with the Matching Type of resource 13.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinned {
    /// The whole of it, in DER (Matching Type 0).
    Certificate(Box<[u8]>),
    /// Its SHA-256 (Matching Type 1).
    Sha256([u8; 32]),
}

impl Pinned {
    fn is<P: Provider>(&self, der: &[u8]) -> bool {
        match self {
            Self::Certificate(pinned) => **pinned == *der,
            Self::Sha256(pinned) => *pinned == sha256::<P>(&[der]),
        }
    }
}

/// What a client does about validity when it doesn't know the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutClock {
    /// Nothing is valid.
    #[default]
    Refuse,
    /// Validity is not looked at. For devices that get the time from the server.
    Accept,
}

/// Which certificates of a server are believed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerCertificateTrust {
    /// How the pinned certificate is meant.
    pub usage: CertificateUsage,
    /// The pinned certificate.
    pub pinned: Pinned,
    /// The trust store, for usages 0 and 1.
    pub anchors: Box<[Anchor]>,
    /// The server's DNS name or IP address, which its certificate must have, but for usage 3. `None`: any name.
    pub name: Option<Box<str>>,
    /// What happens when the time is not known.
    pub without_clock: WithoutClock,
}

impl ServerCertificateTrust {
    /// Trust in a certificate or an authority, with an empty trust store.
    #[must_use]
    pub fn new(usage: CertificateUsage, pinned: Pinned) -> Self {
        let (anchors, name, without_clock) = (Box::default(), None, WithoutClock::default());
        Self { usage, pinned, anchors, name, without_clock }
    }

    /// Judges the chain, in DER, that a server showed, its own certificate first.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check<P: Provider>(
        &self,
        chain: &[&[u8]],
        unix_time: Option<u64>,
    ) -> Result<CertificateFacts, CertificateError> {
        let (leaf, intermediates) = parse_chain(chain)?;
        let is_pinned = self.pinned.is::<P>(leaf.der);
        let pins_leaf =
            matches!(self.usage, CertificateUsage::ServiceConstraint | CertificateUsage::DomainIssued);
        if pins_leaf && !is_pinned {
            return Err(CertificateError::NotPinned);
        }
        if self.usage == CertificateUsage::DomainIssued {
            return CertificateFacts::of::<P>(&leaf, Vouched::by_itself(None));
        }
        let asserted = self.asserted_anchor::<P>(chain)?;
        let anchors = asserted.as_ref().map_or(&*self.anchors, core::slice::from_ref);
        let clock = match (unix_time, self.without_clock) {
            (Some(now), _) => Clock::At(now),
            (None, WithoutClock::Accept) => Clock::Ignored,
            (None, WithoutClock::Refuse) => Clock::Unknown,
        };
        let pinned = (self.usage == CertificateUsage::CaConstraint).then_some(&self.pinned);
        let mut path = PathSearch::<P>::new(&intermediates, anchors, clock, Purpose::Server, pinned);
        let vouched = path.check(&leaf)?;
        if self.name.as_ref().is_some_and(|name| !has_name(&leaf, name)) {
            return Err(CertificateError::WrongName);
        }
        CertificateFacts::of::<P>(&leaf, vouched)
    }

    /// The anchor that usage 2 names: given whole, or by its hash and then shown by the server.
    fn asserted_anchor<P: Provider>(&self, chain: &[&[u8]]) -> Result<Option<Anchor>, CertificateError> {
        if self.usage != CertificateUsage::TrustAnchorAssertion {
            return Ok(None);
        }
        match &self.pinned {
            Pinned::Certificate(der) => Anchor::new(der).map(Some),
            Pinned::Sha256(_) => {
                let mut shown = chain.iter().skip(1);
                let found = shown.find(|der| self.pinned.is::<P>(der)).ok_or(CertificateError::NotPinned)?;
                Anchor::new(found).map(Some)
            }
        }
    }
}

/// Judges the chain, in DER, that a client showed, its own certificate first.
///
/// # Errors
/// Why it is not believed.
pub fn check_client<P: Provider>(
    chain: &[&[u8]],
    anchors: &[Anchor],
    unix_time: Option<u64>,
) -> Result<CertificateFacts, CertificateError> {
    let (leaf, intermediates) = parse_chain(chain)?;
    let clock = unix_time.map_or(Clock::Unknown, Clock::At);
    let vouched = PathSearch::<P>::new(&intermediates, anchors, clock, Purpose::Client, None).check(&leaf)?;
    CertificateFacts::of::<P>(&leaf, vouched)
}

/// What makes a certificate believed.
#[derive(Clone, Copy)]
struct Vouched {
    /// The SHA-256 of the anchor.
    anchor: Option<[u8; 32]>,
    /// The curve of the key that signed the certificate; `None` if its signature was not looked at.
    signer: Option<Curve>,
}

impl Vouched {
    const fn by_itself(anchor: Option<[u8; 32]>) -> Self {
        Self { anchor, signer: None }
    }
}

/// The SHA-256 of the certificate with the other signature of the same key. Where the signature was not looked at, the certificate is
/// known by all of its bytes, and there is no other form of it.
fn twin_fingerprint<P: Provider>(
    certificate: &Certificate<'_>,
    signer: Option<Curve>,
) -> Result<[u8; 32], CertificateError> {
    let Some(curve) = signer else { return Ok(sha256::<P>(&[certificate.der])) };
    let twin = EcdsaSignature::parse(certificate.signature).ok().and_then(|signature| signature.twin(curve));
    let twin = twin.ok_or(CertificateError::BadSignature)?;
    let (mut outer, mut bits) = (Vec::new(), Vec::new());
    // No bit of the last byte is unused.
    signature::put_head(&mut bits, der::BIT_STRING, twin.len().saturating_add(1));
    bits.push(0);
    let parts = [certificate.signed, certificate.algorithm, &bits, &twin];
    let length = parts.iter().fold(0_usize, |length, part| length.saturating_add(part.len()));
    signature::put_head(&mut outer, der::SEQUENCE, length);
    Ok(sha256::<P>(&[&outer, certificate.signed, certificate.algorithm, &bits, &twin]))
}

/// Whose certificate was shown first, for a person who reads why it was refused.
pub(crate) fn shown_name(chain: &[&[u8]]) -> Option<Box<str>> {
    Certificate::parse(chain.first()?).ok()?.common_name()
}

fn parse_chain<'a>(chain: &[&'a [u8]]) -> Result<(Certificate<'a>, Vec<Certificate<'a>>), CertificateError> {
    let (leaf, rest) = chain.split_first().ok_or(CertificateError::NoCertificate)?;
    if rest.len() > MAX_INTERMEDIATES {
        return Err(CertificateError::ChainTooLong);
    }
    let rest = rest.iter().map(|der| Certificate::parse(der)).collect::<Result<_, _>>()?;
    Ok((Certificate::parse(leaf)?, rest))
}

/// What time it is.
#[derive(Clone, Copy, Debug)]
enum Clock {
    At(u64),
    Unknown,
    Ignored,
}

/// The search for a way from a certificate to an anchor.
struct PathSearch<'a, P> {
    intermediates: &'a [Certificate<'a>],
    anchors: &'a [Anchor],
    clock: Clock,
    purpose: Purpose,
    /// Must be on the way.
    pinned: Option<&'a Pinned>,
    checks_left: usize,
    provider: core::marker::PhantomData<P>,
}

/// Whether the pinned authority is on the way so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    Pinned,
    Others,
}

impl<'a, P: Provider> PathSearch<'a, P> {
    const fn new(
        intermediates: &'a [Certificate<'a>],
        anchors: &'a [Anchor],
        clock: Clock,
        purpose: Purpose,
        pinned: Option<&'a Pinned>,
    ) -> Self {
        let provider = core::marker::PhantomData;
        Self { intermediates, anchors, clock, purpose, pinned, checks_left: MAX_CHECKS, provider }
    }

    fn check(&mut self, leaf: &Certificate<'_>) -> Result<Vouched, CertificateError> {
        if leaf.public_key().is_none() {
            return Err(CertificateError::UnsupportedKey);
        }
        self.is_in_time(leaf)?;
        if !leaf.may_prove(self.purpose) {
            return Err(CertificateError::WrongPurpose);
        }
        // Who puts a device's own certificate among the anchors trusts that device.
        let own = self.anchors.iter().find(|anchor| self.pinned.is_none() && *anchor.der == *leaf.der);
        if let Some(own) = own {
            return Ok(Vouched::by_itself(Some(own.fingerprint)));
        }
        self.climb(leaf, 0, Passed::Others)
    }

    /// From a certificate with so many authorities below it to an anchor.
    fn climb(
        &mut self,
        from: &Certificate<'_>,
        below: usize,
        passed: Passed,
    ) -> Result<Vouched, CertificateError> {
        if from.signature_hash().is_none() {
            return Err(CertificateError::UnsupportedSignature);
        }
        let mut reason = CertificateError::UnknownAuthority;
        for anchor in self.anchors {
            if *anchor.subject == *from.issuer {
                match self.arrive(from, anchor, below, passed) {
                    Ok(vouched) => return Ok(vouched),
                    Err(error) => reason = error,
                }
            }
        }
        if below >= MAX_INTERMEDIATES {
            return Err(CertificateError::ChainTooLong);
        }
        for authority in self.intermediates {
            if authority.subject == from.issuer && authority.der != from.der {
                match self.step(from, authority, below, passed) {
                    Ok(vouched) => return Ok(vouched),
                    Err(error) => reason = error,
                }
            }
        }
        Err(reason)
    }

    fn step(
        &mut self,
        from: &Certificate<'_>,
        authority: &Certificate<'_>,
        below: usize,
        passed: Passed,
    ) -> Result<Vouched, CertificateError> {
        if !authority.may_certify(self.purpose, below) {
            return Err(CertificateError::NotAnAuthority);
        }
        self.is_in_time(authority)?;
        let signer = self.is_signed(from, authority)?;
        let is_pinned = self.pinned.is_some_and(|pinned| pinned.is::<P>(authority.der));
        let passed = if is_pinned { Passed::Pinned } else { passed };
        let Vouched { anchor, .. } = self.climb(authority, below.saturating_add(1), passed)?;
        Ok(Vouched { anchor, signer: Some(signer) })
    }

    /// The last step, to an anchor: it vouches for nothing that its own certificate doesn't allow.
    fn arrive(
        &mut self,
        from: &Certificate<'_>,
        anchor: &Anchor,
        below: usize,
        passed: Passed,
    ) -> Result<Vouched, CertificateError> {
        let certificate = Certificate::parse(&anchor.der)?;
        let signer = self.is_signed(from, &certificate)?;
        if !certificate.may_certify(self.purpose, below) {
            return Err(CertificateError::NotAnAuthority);
        }
        self.anchor_is_in_time(anchor)?;
        match self.pinned {
            Some(pinned) if passed == Passed::Others && !pinned.is::<P>(&anchor.der) => {
                Err(CertificateError::NotPinned)
            }
            _ => Ok(Vouched { anchor: Some(anchor.fingerprint), signer: Some(signer) }),
        }
    }

    /// Checks who signed; on which curve the key is.
    fn is_signed(
        &mut self,
        certificate: &Certificate<'_>,
        by: &Certificate<'_>,
    ) -> Result<Curve, CertificateError> {
        self.checks_left = self.checks_left.checked_sub(1).ok_or(CertificateError::ChainTooLong)?;
        let key = by.authority_key().ok_or(CertificateError::UnsupportedKey)?;
        let hash = certificate.signature_hash().ok_or(CertificateError::UnsupportedSignature)?;
        let signature = certificate.signature;
        EcdsaSignature::parse(signature).map_err(|Malformed| CertificateError::BadSignature)?;
        let verified = match (&key, hash) {
            (AuthorityKey::Secp256r1(key), SignatureHash::Sha256) => {
                P::verify(key, &sha256::<P>(&[certificate.signed]), signature)
            }
            _ => P::verify_wide(&key, hash, certificate.signed, signature)
                .ok_or(CertificateError::UnsupportedSignature)?,
        };
        verified.map(|()| key.curve()).map_err(|_| CertificateError::BadSignature)
    }

    const fn anchor_is_in_time(&self, anchor: &Anchor) -> Result<(), CertificateError> {
        match (self.purpose, self.clock) {
            (Purpose::Client, Clock::At(now)) if now > anchor.not_after => {
                Err(CertificateError::AnchorExpired(anchor.not_after))
            }
            _ => Ok(()),
        }
    }

    const fn is_in_time(&self, certificate: &Certificate<'_>) -> Result<(), CertificateError> {
        match self.clock {
            Clock::Ignored => Ok(()),
            Clock::Unknown => Err(CertificateError::TimeUnknown),
            Clock::At(now) if now < certificate.not_before => {
                Err(CertificateError::NotYetValid(certificate.not_before))
            }
            Clock::At(now) if now > certificate.not_after => {
                Err(CertificateError::Expired(certificate.not_after))
            }
            Clock::At(_) => Ok(()),
        }
    }
}

/// RFC 6125: the alternative names decide, and only without any of them the common name does.
fn has_name(certificate: &Certificate<'_>, name: &str) -> bool {
    let address = name.parse::<IpAddr>().ok();
    let mut has_alternatives = false;
    for alternative in certificate.alternative_names() {
        let fits = match (alternative, address) {
            (AlternativeName::Ip(bytes), Some(IpAddr::V4(ip))) => bytes == ip.octets(),
            (AlternativeName::Ip(bytes), Some(IpAddr::V6(ip))) => bytes == ip.octets(),
            (AlternativeName::Dns(pattern), None) => is_dns_name(pattern, name),
            _ => false,
        };
        has_alternatives |= matches!(alternative, AlternativeName::Dns(_) | AlternativeName::Ip(_));
        if fits {
            return true;
        }
    }
    !has_alternatives && certificate.common_name().is_some_and(|common| is_dns_name(&common, name))
}

/// The same name, or a star for its first label.
fn is_dns_name(pattern: &str, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            let rest = name.split_once('.').filter(|(label, _)| !label.is_empty());
            parent.contains('.') && rest.is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
        }
        None => pattern.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(is_dns_name("buoy.example", "BUOY.example."));
        assert!(is_dns_name("*.buoy.example", "a.buoy.example"));
        assert!(!is_dns_name("*.buoy.example", "a.b.buoy.example"));
        assert!(!is_dns_name("*.buoy.example", "buoy.example"));
        assert!(!is_dns_name("*.example", "buoy.example"));
        assert!(!is_dns_name("*", "example"));
    }
}
