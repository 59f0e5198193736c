//! One file for an image with its proof of origin.
//!
//! Pushing a package (Object 5, resource 0) or naming one URI leaves no room for a second file with the signature. A
//! container puts it in front of the image. All numbers are little-endian:
//!
//! | Offset | Bytes | |
//! |---|---|---|
//! | 0 | 8 | `42 55 4F 59 46 57 00 01`: "BUOYFW", 0, format 1 |
//! | 8 | 1 | kind of proof: 1 RSA-4096 PKCS#1 v1.5, 2 ECDSA P-256 in DER, 3 signed manifest |
//! | 9 | 1 | 0 |
//! | 10 | 2 | length `n` of the proof, 1 to 1024 |
//! | 12 | 4 | length of the image file |
//! | 16 | `n` | the proof |
//! | 16+`n` | 4 | CRC-32 of everything before |
//! | 20+`n` | | zeros to the next multiple of 32 |
//! | | | the image file |
//!
//! The same bytes without the image (the *envelope*) are what the device keeps: **the last sector of each app slot holds
//! the envelope of the image in that slot.** It belongs there rather than in a shared partition because it then lives
//! and dies with its image: erasing one slot or all settings takes no other image's proof away, and a factory image
//! with its proof can be flashed as one file. The price is that an image may use 4096 bytes less than its slot has.

use crate::bytes::{crc32, le_u16, le_u32, put, take};
use crate::flash::RECORD;
use crate::image::ImageInfo;
use crate::manifest::{Manifest, ManifestError, SIGNED_MAX, SignedManifest};
use crate::signature::{DetachedSignature, ECDSA_DER_MAX, KeyId, RSA_LEN, SignatureError, TrustStore};
use crate::version::SecurityCounter;

/// The first bytes of a container.
pub const MAGIC: [u8; 8] = *b"BUOYFW\x00\x01";

/// Bytes of the longest envelope: 1056 with RSA-4096, else 480.
pub const ENVELOPE_MAX: usize = (HEADER + SIGNED_MAX + CRC).next_multiple_of(RECORD);

const HEADER: usize = 16;
const CRC: usize = 4;

/// What stands before the image in a container: its length and the proof of its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Bytes of the image file.
    pub image_len: u32,
    /// Who says that the image is good.
    pub proof: Proof<'a>,
}

/// What proves the origin of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof<'a> {
    /// A signature over the image's bytes.
    Detached(DetachedSignature<'a>),
    /// A signed manifest ([`SignedManifest`]), not decoded yet.
    Manifest(&'a [u8]),
}

/// What a proof proved. Made only by [`Proof::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    key_id: KeyId,
    manifest: Option<Manifest>,
    counter: SecurityCounter,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// The signature does not hold.
    Signature(SignatureError),
    /// The manifest cannot be read, or speaks of another image.
    Manifest(ManifestError),
}

/// Why bytes are no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// So many bytes from the start are needed to go on.
    Incomplete {
        /// Bytes, counted from the start of the container.
        needed: usize,
    },
    /// The first bytes are not [`MAGIC`].
    NotAContainer,
    /// A field has a value that this format does not know.
    Malformed,
    /// The CRC is wrong.
    Damaged,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope at the start of `bytes`; gives also its length, which is where the image starts.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, usize), EnvelopeError> {
        let magic_seen = bytes.len().min(MAGIC.len());
        if bytes.get(..magic_seen) != MAGIC.get(..magic_seen) {
            return Err(EnvelopeError::NotAContainer);
        }
        let incomplete = EnvelopeError::Incomplete { needed: HEADER };
        let [kind, zero] = take(bytes, 8).ok_or(incomplete)?;
        let proof_len = usize::from(le_u16(bytes, 10).ok_or(incomplete)?);
        let image_len = le_u32(bytes, 12).ok_or(incomplete)?;
        if zero != 0 || !(1..=SIGNED_MAX).contains(&proof_len) {
            return Err(EnvelopeError::Malformed);
        }
        let len = envelope_len(proof_len);
        let covered = HEADER.saturating_add(proof_len);
        let envelope = bytes.get(..len).ok_or(EnvelopeError::Incomplete { needed: len })?;
        let (body, rest) = envelope.split_at_checked(covered).ok_or(EnvelopeError::Malformed)?;
        if le_u32(rest, 0) != Some(crc32(body)) {
            return Err(EnvelopeError::Damaged);
        }
        if rest.iter().skip(CRC).any(|byte| *byte != 0) {
            return Err(EnvelopeError::Malformed);
        }
        let proof = Proof::from_parts(kind, body.get(HEADER..).unwrap_or_default())?;
        Ok((Self { image_len, proof }, len))
    }

    /// Writes the envelope; its length is a multiple of 32 and at most [`ENVELOPE_MAX`].
    ///
    /// # Errors
    /// [`EnvelopeError::Incomplete`] if `buffer` is too small, [`EnvelopeError::Malformed`] if the proof is too long.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], EnvelopeError> {
        let (kind, proof) = self.proof.parts();
        let proof_len = u16::try_from(proof.len()).map_err(|_| EnvelopeError::Malformed)?;
        if !(1..=SIGNED_MAX).contains(&proof.len()) {
            return Err(EnvelopeError::Malformed);
        }
        let needed = envelope_len(proof.len());
        let out = buffer.get_mut(..needed).ok_or(EnvelopeError::Incomplete { needed })?;
        out.fill(0);
        let covered = HEADER.saturating_add(proof.len());
        let _fits = put(out, 0, &MAGIC)
            && put(out, 8, &[kind, 0])
            && put(out, 10, &proof_len.to_le_bytes())
            && put(out, 12, &self.image_len.to_le_bytes())
            && put(out, HEADER, proof);
        let crc = crc32(out.get(..covered).unwrap_or_default());
        let _fits = put(out, covered, &crc.to_le_bytes());
        Ok(out)
    }
}

impl<'a> Proof<'a> {
    /// Tells by the shape what a signature file is: a signed manifest, 512 bytes of RSA, or ECDSA in DER.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`].
    pub fn recognise(bytes: &'a [u8]) -> Result<Self, SignatureError> {
        // D2 is the CBOR head of tag 18; a DER sequence starts with 30, and 512 bytes are an RSA signature unless they
        // decode as a manifest.
        if bytes.first() == Some(&0xD2) && SignedManifest::decode(bytes).is_ok() {
            return Ok(Self::Manifest(bytes));
        }
        DetachedSignature::recognise(bytes).map(Self::Detached)
    }

    /// Checks the proof against an image that was read and hashed.
    ///
    /// # Errors
    /// [`ProofError`].
    #[inline(never)]
    pub fn verify(&self, trust: &TrustStore, image: &ImageInfo) -> Result<Provenance, ProofError> {
        match self {
            Self::Detached(signature) => Ok(Provenance {
                key_id: trust.verify_detached(&image.digest, *signature)?,
                manifest: None,
                counter: image.descriptor.counter,
            }),
            Self::Manifest(bytes) => {
                let authentic = SignedManifest::decode(bytes)?.verify(trust)?;
                let manifest = authentic.manifest();
                manifest.check_image(image)?;
                let counter = manifest.counter.max(image.descriptor.counter);
                Ok(Provenance { key_id: authentic.key_id(), manifest: Some(*manifest), counter })
            }
        }
    }

    /// Verifies the signature of a file whose form isn't known here, for people: no device starts such a file.
    ///
    /// # Errors
    /// [`ProofError`]; for a manifest always, since it speaks of an image.
    #[cfg(feature = "host")]
    pub(crate) fn verify_file(&self, trust: &TrustStore, file: &[u8]) -> Result<Provenance, ProofError> {
        let Self::Detached(signature) = self else { return Err(SignatureError::Malformed.into()) };
        let key_id = trust.verify_detached(&crate::image::Digest::of(file), *signature)?;
        Ok(Provenance { key_id, manifest: None, counter: SecurityCounter::default() })
    }

    /// The bytes as they stand in a file.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.parts().1
    }

    fn parts(&self) -> (u8, &'a [u8]) {
        match self {
            Self::Detached(DetachedSignature::Rsa4096(bytes)) => (1, bytes.as_slice()),
            Self::Detached(DetachedSignature::EcdsaP256(bytes)) => (2, bytes),
            Self::Manifest(bytes) => (3, bytes),
        }
    }

    fn from_parts(kind: u8, bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        match kind {
            1 if bytes.len() == RSA_LEN => {
                let bytes = bytes.try_into().map_err(|_| EnvelopeError::Malformed)?;
                Ok(Self::Detached(DetachedSignature::Rsa4096(bytes)))
            }
            2 if bytes.len() <= ECDSA_DER_MAX => Ok(Self::Detached(DetachedSignature::EcdsaP256(bytes))),
            3 => Ok(Self::Manifest(bytes)),
            _ => Err(EnvelopeError::Malformed),
        }
    }
}

impl Provenance {
    /// Of an image that nobody has signed: for the proof that such an image is noticed.
    pub(crate) fn unproved(image: &ImageInfo) -> Self {
        Self { key_id: KeyId([0; 32]), manifest: None, counter: image.descriptor.counter }
    }

    /// Of a manifest whose image isn't at hand.
    #[cfg(feature = "host")]
    pub(crate) fn of_manifest(authentic: &crate::manifest::AuthenticManifest) -> Self {
        let manifest = *authentic.manifest();
        Self { key_id: authentic.key_id(), counter: manifest.counter, manifest: Some(manifest) }
    }

    /// The key that signed.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The signed manifest, if there is one.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// The image's security counter: the higher of manifest and app descriptor, both of which are signed.
    pub fn counter(&self) -> SecurityCounter {
        self.counter
    }
}

fn envelope_len(proof_len: usize) -> usize {
    proof_len.saturating_add(HEADER).saturating_add(CRC).next_multiple_of(RECORD)
}

impl From<SignatureError> for ProofError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}

impl From<ManifestError> for ProofError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

impl core::fmt::Display for ProofError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Signature(error) => error.fmt(out),
            Self::Manifest(error) => error.fmt(out),
        }
    }
}

impl core::fmt::Display for EnvelopeError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Incomplete { needed } => write!(out, "the container ends before its first {needed} bytes"),
            Self::NotAContainer => write!(out, "this is no container: it does not start with BUOYFW"),
            Self::Malformed => {
                write!(out, "the container's header has values that this format does not know")
            }
            Self::Damaged => write!(out, "the container's header is damaged: its CRC is wrong"),
        }
    }
}

impl core::error::Error for ProofError {}
impl core::error::Error for EnvelopeError {}
