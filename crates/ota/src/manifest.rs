//! The signed manifest: what a release is, in CBOR, signed as COSE_Sign1 (RFC 9052, section 4.2).
//!
//! ```text
//! 18([ protected: bstr .cbor { 1: alg, 4: key id bstr32 },      alg -7 ES256, -8 EdDSA, -257 RS256 (RFC 8812)
//!      unprotected: {},
//!      payload: bstr .cbor {
//!        1: 1                     format of this map
//!        2: uint                  sequence: grows with every release
//!      ? 3: tstr                  vendor
//!      ? 4: tstr                  class: the kind of device
//!        5: tstr                  project, as in the app descriptor
//!        6: tstr                  version, as in the app descriptor
//!        7: uint32                security counter
//!        8: uint16                chip id, as in the image header
//!        9: uint32                size of the image file in bytes
//!       10: bstr32                SHA-256 of the image file
//!     ? 11: tstr                  component: which program of the device, as in `modem`
//!     ? 12: uint16                lowest hardware revision
//!     ? 13: uint16                highest hardware revision
//!     ? 14: uint8                 slot `n` of `ota_n`, if the image runs from nowhere else
//!      },
//!      signature: bstr ])         64 bytes (r‖s, or Ed25519) or 512 (RSA-4096 PKCS#1 v1.5)
//! ```
//!
//! Deterministic encoding (RFC 8949, section 4.2.1) is required: one manifest, one byte string. Texts have at most 32
//! bytes. The key id in the protected header is SHA-256 of the signer's SubjectPublicKeyInfo.

use crate::cbor::{Reader, Unexpected, Writer};
use crate::image::{ChipId, Digest, ImageInfo};
use crate::safeguard::{Safeguard, off};
use crate::signature::{Algorithm, KeyId, SignatureError, TrustStore};
use crate::version::{Name, SecurityCounter, Version};

/// Bytes of the longest payload.
pub const PAYLOAD_MAX: usize = 320;

/// Bytes of the longest signed manifest.
pub const SIGNED_MAX: usize = if cfg!(feature = "rsa4096") { 1024 } else { 448 };

/// Bytes of the longest byte string that a signature covers (RFC 9052, section 4.4).
pub const TO_BE_SIGNED_MAX: usize = PAYLOAD_MAX + PROTECTED_MAX + 32;

const PROTECTED_MAX: usize = 48;
const FORMAT: u64 = 1;
const COSE_SIGN1: u64 = 18;

/// What a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// Grows with every release, whatever its version.
    pub sequence: u64,
    /// Who makes the device; absent if it does not matter.
    pub vendor: Option<Name>,
    /// Which kind of device; absent if it does not matter.
    pub class: Option<Name>,
    /// The app descriptor's project name.
    pub project: Name,
    /// The app descriptor's version.
    pub version: Version,
    /// The counter that a device refuses to go below.
    pub counter: SecurityCounter,
    /// The chip that the image runs on.
    pub chip: ChipId,
    /// Bytes of the image file.
    pub size: u32,
    /// SHA-256 of the image file.
    pub digest: Digest,
    /// Which program of the device it is; absent if it has one only.
    pub component: Option<Name>,
    /// The hardware revisions that it runs on.
    pub hardware: HardwareRange,
    /// The slot that it is linked for; absent if it runs from each.
    pub slot: Option<u8>,
}

/// Hardware revisions, from the lowest to the highest; an absent end is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HardwareRange {
    /// The lowest.
    pub lowest: Option<u16>,
    /// The highest.
    pub highest: Option<u16>,
}

impl HardwareRange {
    /// Whether a revision is in the range.
    pub fn contains(&self, revision: u16) -> bool {
        self.lowest.is_none_or(|lowest| lowest <= revision)
            && self.highest.is_none_or(|highest| revision <= highest)
    }
}

/// A manifest with a signature that nobody has checked yet.
#[derive(Debug, Clone, Copy)]
pub struct SignedManifest<'a> {
    claimed: Manifest,
    algorithm: Algorithm,
    key_id: KeyId,
    protected: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

/// A manifest that a trusted key signed. Made only by [`SignedManifest::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticManifest {
    manifest: Manifest,
    key_id: KeyId,
}

/// Why bytes are no signed manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// Longer than [`SIGNED_MAX`] or [`PAYLOAD_MAX`].
    TooLong,
    /// Not the structure of this format, or not in deterministic encoding.
    Malformed,
    /// A signature algorithm that is not supported here.
    UnknownAlgorithm(i64),
    /// A later format than this code knows.
    UnknownFormat(u64),
    /// The manifest speaks of another image than the one at hand.
    OtherImage,
}

impl Manifest {
    /// Writes the payload, at most [`PAYLOAD_MAX`] bytes.
    ///
    /// # Errors
    /// [`ManifestError::TooLong`] if `buffer` is too small.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ManifestError> {
        let HardwareRange { lowest, highest } = self.hardware;
        let numbers = [(12, lowest), (13, highest), (14, self.slot.map(u16::from))];
        let texts = [self.vendor, self.class, self.component];
        let optional =
            texts.iter().flatten().count().saturating_add(numbers.iter().flat_map(|(_, it)| it).count());
        let mut out = Writer::new(buffer);
        out.map((optional as u64).saturating_add(8));
        out.unsigned(1);
        out.unsigned(FORMAT);
        out.unsigned(2);
        out.unsigned(self.sequence);
        for (key, name) in [(3, self.vendor), (4, self.class), (5, Some(self.project))] {
            if let Some(name) = name {
                out.unsigned(key);
                out.text(name.as_str());
            }
        }
        out.unsigned(6);
        out.text(self.version.as_str());
        for (key, number) in [(7, self.counter.0), (8, u32::from(self.chip.0)), (9, self.size)] {
            out.unsigned(key);
            out.unsigned(u64::from(number));
        }
        out.unsigned(10);
        out.bytes(&self.digest.0);
        if let Some(name) = self.component {
            out.unsigned(11);
            out.text(name.as_str());
        }
        for (key, number) in numbers {
            if let Some(number) = number {
                out.unsigned(key);
                out.unsigned(u64::from(number));
            }
        }
        out.finish().ok_or(ManifestError::TooLong)
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn decode(payload: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::EMPTY;
        manifest.read(payload)?;
        Ok(manifest)
    }

    /// What is filled in when a manifest is read.
    const EMPTY: Self = Self {
        sequence: 0,
        vendor: None,
        class: None,
        project: Name::EMPTY,
        version: Version::from_name(Name::EMPTY),
        counter: SecurityCounter(0),
        chip: ChipId(0),
        size: 0,
        digest: Digest([0; 32]),
        component: None,
        hardware: HardwareRange { lowest: None, highest: None },
        slot: None,
    };

    /// Fills this in. A value of 280 bytes that is made in one place takes less code than one that moves.
    #[inline(never)]
    fn read(&mut self, payload: &[u8]) -> Result<(), ManifestError> {
        if payload.len() > PAYLOAD_MAX {
            return Err(ManifestError::TooLong);
        }
        let mut fields = Fields::open(payload)?;
        match fields.number(1)? {
            FORMAT => {}
            later => return Err(ManifestError::UnknownFormat(later)),
        }
        self.sequence = fields.number(2)?;
        fields.optional_name(3, &mut self.vendor)?;
        fields.optional_name(4, &mut self.class)?;
        fields.name(5, &mut self.project)?;
        let mut version = Name::EMPTY;
        fields.name(6, &mut version)?;
        self.version = Version::from_name(version);
        self.counter = SecurityCounter(fields.number(7)?);
        self.chip = ChipId(fields.number(8)?);
        self.size = fields.number(9)?;
        fields.digest(10, &mut self.digest.0)?;
        fields.optional_name(11, &mut self.component)?;
        self.hardware.lowest = fields.optional_number(12)?;
        self.hardware.highest = fields.optional_number(13)?;
        self.slot = fields.optional_number(14)?;
        fields.close()?;
        Ok(())
    }

    /// Refuses another image than the one that this manifest speaks of.
    ///
    /// # Errors
    /// [`ManifestError::OtherImage`].
    pub fn check_image(&self, image: &ImageInfo) -> Result<(), ManifestError> {
        let same = self.size == image.file_len
            && self.digest == image.digest
            && self.chip == image.chip
            && self.project == image.descriptor.project
            && self.version == image.descriptor.version;
        (same || off(Safeguard::ManifestBindsImage)).then_some(()).ok_or(ManifestError::OtherImage)
    }
}

impl<'a> SignedManifest<'a> {
    /// Reads a COSE_Sign1 structure; checks its shape, not its signature.
    ///
    /// # Errors
    /// [`ManifestError`].
    #[inline(never)]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ManifestError> {
        if bytes.len() > SIGNED_MAX {
            return Err(ManifestError::TooLong);
        }
        let mut reader = Reader::new(bytes);
        if reader.tag()? != COSE_SIGN1 || reader.array()? != 4 {
            return Err(ManifestError::Malformed);
        }
        let protected = reader.bytes()?;
        if reader.map()? != 0 {
            return Err(ManifestError::Malformed);
        }
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        reader.end()?;
        let mut key_id = KeyId([0; 32]);
        let algorithm = decode_protected(protected, &mut key_id)?;
        let mut signed = Self { claimed: Manifest::EMPTY, algorithm, key_id, protected, payload, signature };
        signed.claimed.read(payload)?;
        Ok(signed)
    }

    /// What the manifest claims, before anybody checked who says so.
    pub fn claimed(&self) -> &Manifest {
        &self.claimed
    }

    /// The key that is said to have signed.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The kind of the signature.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`SignatureError`].
    #[inline(never)]
    pub fn verify(&self, trust: &TrustStore) -> Result<AuthenticManifest, SignatureError> {
        let key = trust.key(&self.key_id)?;
        if key.algorithm() != self.algorithm {
            return Err(SignatureError::UnknownKey);
        }
        let mut buffer = [0; TO_BE_SIGNED_MAX];
        let message = encode_to_be_signed(self.protected, self.payload, &mut buffer)
            .map_err(|_| SignatureError::Malformed)?;
        key.verify_message(message, self.signature)?;
        Ok(AuthenticManifest { manifest: self.claimed, key_id: self.key_id })
    }
}

impl AuthenticManifest {
    /// What the release is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Who signed it.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }
}

/// Writes the protected header.
///
/// # Errors
/// [`ManifestError::TooLong`] if `buffer` is too small.
pub fn encode_protected(
    algorithm: Algorithm,
    key_id: KeyId,
    buffer: &mut [u8],
) -> Result<&[u8], ManifestError> {
    let mut out = Writer::new(buffer);
    out.map(2);
    out.unsigned(1);
    out.integer(cose_algorithm(algorithm));
    out.unsigned(4);
    out.bytes(&key_id.0);
    out.finish().ok_or(ManifestError::TooLong)
}

/// Writes what the signature covers: `["Signature1", protected, external data: empty, payload]` (RFC 9052, section 4.4).
///
/// # Errors
/// [`ManifestError::TooLong`] if `buffer` is too small.
pub fn encode_to_be_signed<'b>(
    protected: &[u8],
    payload: &[u8],
    buffer: &'b mut [u8],
) -> Result<&'b [u8], ManifestError> {
    let mut out = Writer::new(buffer);
    out.array(4);
    out.text("Signature1");
    out.bytes(protected);
    out.bytes(&[]);
    out.bytes(payload);
    out.finish().ok_or(ManifestError::TooLong)
}

/// Writes the whole COSE_Sign1 structure.
///
/// # Errors
/// [`ManifestError::TooLong`] if `buffer` is too small.
pub fn encode_signed<'b>(
    protected: &[u8],
    payload: &[u8],
    signature: &[u8],
    buffer: &'b mut [u8],
) -> Result<&'b [u8], ManifestError> {
    let mut out = Writer::new(buffer);
    out.tag(COSE_SIGN1);
    out.array(4);
    out.bytes(protected);
    out.map(0);
    out.bytes(payload);
    out.bytes(signature);
    out.finish().ok_or(ManifestError::TooLong)
}

fn decode_protected(bytes: &[u8], key_id: &mut KeyId) -> Result<Algorithm, ManifestError> {
    let mut fields = Fields::open(bytes)?;
    fields.key(1)?;
    let algorithm = match fields.reader.integer()? {
        -7 => Algorithm::EcdsaP256,
        -8 => Algorithm::Ed25519,
        -257 => Algorithm::Rsa4096,
        other => return Err(ManifestError::UnknownAlgorithm(other)),
    };
    fields.digest(4, &mut key_id.0)?;
    fields.close()?;
    Ok(algorithm)
}

fn cose_algorithm(algorithm: Algorithm) -> i64 {
    match algorithm {
        Algorithm::EcdsaP256 => -7,
        Algorithm::Ed25519 => -8,
        Algorithm::Rsa4096 => -257,
    }
}

/// The pairs of a map, in ascending order of their keys.
struct Fields<'a> {
    reader: Reader<'a>,
    remaining: u64,
}

impl<'a> Fields<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Unexpected> {
        let mut reader = Reader::new(bytes);
        let remaining = reader.map()?;
        Ok(Self { reader, remaining })
    }

    fn key(&mut self, key: u64) -> Result<(), Unexpected> {
        self.remaining = self.remaining.checked_sub(1).ok_or(Unexpected)?;
        (self.reader.unsigned()? == key).then_some(()).ok_or(Unexpected)
    }

    /// The text under `key`, which has to be there.
    fn name(&mut self, key: u64, to: &mut Name) -> Result<(), Unexpected> {
        self.key(key)?;
        *to = Name::new(self.reader.text()?).ok_or(Unexpected)?;
        Ok(())
    }

    /// The text under `key`; nothing if the next key is another one.
    #[inline(never)]
    fn optional_name(&mut self, key: u64, to: &mut Option<Name>) -> Result<(), Unexpected> {
        if !self.is_next(key) {
            return Ok(());
        }
        self.name(key, to.insert(Name::EMPTY))
    }

    /// The number under `key`, or `None` if the next key is another one.
    fn optional_number<T: TryFrom<u64>>(&mut self, key: u64) -> Result<Option<T>, Unexpected> {
        if self.is_next(key) { self.number(key).map(Some) } else { Ok(None) }
    }

    fn is_next(&self, key: u64) -> bool {
        let mut ahead = self.reader;
        self.remaining > 0 && ahead.unsigned() == Ok(key)
    }

    fn number<T: TryFrom<u64>>(&mut self, key: u64) -> Result<T, Unexpected> {
        self.key(key)?;
        T::try_from(self.reader.unsigned()?).map_err(|_| Unexpected)
    }

    fn digest(&mut self, key: u64, to: &mut [u8; 32]) -> Result<(), Unexpected> {
        self.key(key)?;
        *to = self.reader.bytes()?.try_into().map_err(|_| Unexpected)?;
        Ok(())
    }

    fn close(self) -> Result<(), Unexpected> {
        (self.remaining == 0).then_some(()).ok_or(Unexpected)?;
        self.reader.end()
    }
}

impl From<Unexpected> for ManifestError {
    fn from(_: Unexpected) -> Self {
        Self::Malformed
    }
}

impl core::fmt::Display for ManifestError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong => write!(out, "the manifest is longer than the format allows"),
            Self::Malformed => write!(out, "this is no signed manifest in deterministic CBOR"),
            Self::UnknownAlgorithm(number) => {
                write!(out, "the manifest is signed with the unknown COSE algorithm {number}")
            }
            Self::UnknownFormat(number) => {
                write!(out, "the manifest has format {number}; only format 1 is known here")
            }
            Self::OtherImage => write!(
                out,
                "the manifest speaks of another image: size, digest, chip, project or version differ"
            ),
        }
    }
}

impl core::error::Error for ManifestError {}
