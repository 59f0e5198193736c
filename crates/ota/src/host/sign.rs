//! Signing a release, and checking one as a device would.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use sha2::Sha256;

use super::delta::delta_header;
use super::keys::{KeyFileError, PrivateKey, public_key_from_pem};
use crate::container::{ENVELOPE_MAX, Envelope, EnvelopeError, Proof, ProofError, Provenance};
use crate::delta::HEADER_LEN;
use crate::image::{self, Digest, ImageError, ImageInfo};
use crate::manifest::{
    self, HardwareRange, Manifest, ManifestError, PAYLOAD_MAX, SIGNED_MAX, SignedManifest, TO_BE_SIGNED_MAX,
    encode_protected, encode_signed, encode_to_be_signed,
};
use crate::signature::{Algorithm, KeyError, PublicKey, SignatureError, TrustStore};
use crate::version::{Name, SecurityCounter};

/// What a manifest says beyond what the image says about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Grows with every release.
    pub sequence: u64,
    /// Who makes the device.
    pub vendor: Option<Name>,
    /// Which kind of device.
    pub class: Option<Name>,
    /// A security counter above the image's own.
    pub counter: Option<SecurityCounter>,
    /// Which program of the device it is.
    pub component: Option<Name>,
    /// The hardware revisions that it runs on.
    pub hardware: HardwareRange,
    /// The slot that it is linked for.
    pub slot: Option<u8>,
}

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// The image is none, or damaged: signing it would only move the error to the devices.
    Image(ImageError),
    /// The key cannot be used.
    Key(KeyFileError),
    /// Ed25519 signs manifests only: a device would have to hold the whole image to check it.
    NotDetached(Algorithm),
    /// The manifest cannot be written.
    Manifest(ManifestError),
    /// The container cannot be written.
    Container(EnvelopeError),
    /// The signature could not be computed.
    Failed,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// The key or certificate cannot be used.
    Key(KeyFileError),
    /// The image is none, or damaged.
    Image(ImageError),
    /// The container's header is damaged, or its image is of another length.
    Container(EnvelopeError),
    /// A delta carries a signature over its image, and the image isn't there.
    DetachedInDelta,
    /// No signature was given, and the file carries none.
    NoSignature,
    /// The signature or the manifest does not hold.
    Proof(ProofError),
}

/// Signs the bytes of an image, or of any other file: 512 bytes for RSA-4096, DER for P-256, as `openssl dgst -sha256 -sign` writes them.
///
/// # Errors
/// [`SignError`].
pub fn sign_detached(image: &[u8], key: &PrivateKey) -> Result<Vec<u8>, SignError> {
    check_if_known(image)?;
    let digest = Digest::of(image);
    match key {
        PrivateKey::Rsa4096(key) => rsa_signature(key, &digest),
        PrivateKey::P256(key) => Ok(p256_signature(key, &digest)?.to_der().as_bytes().to_vec()),
        PrivateKey::Ed25519(_) => Err(SignError::NotDetached(Algorithm::Ed25519)),
    }
}

/// What a file of this crate's image format says. A file of another format, as an MCUboot image, is carried as it is: only its own
/// device can tell whether it is sound.
fn check_if_known(file: &[u8]) -> Result<Option<ImageInfo>, ImageError> {
    if file.first() == Some(&image::MAGIC) { image::check(file).map(Some) } else { Ok(None) }
}

/// Writes and signs a manifest for an image, which has to be of this crate's format: the manifest says what the image says.
///
/// # Errors
/// [`SignError`].
pub fn sign_manifest(image: &[u8], key: &PrivateKey, facts: &ReleaseFacts) -> Result<Vec<u8>, SignError> {
    let info = image::check(image)?;
    let manifest = Manifest {
        sequence: facts.sequence,
        vendor: facts.vendor,
        class: facts.class,
        project: info.descriptor.project,
        version: info.descriptor.version,
        counter: facts.counter.unwrap_or_default().max(info.descriptor.counter),
        chip: info.chip,
        size: info.file_len,
        digest: info.digest,
        component: facts.component,
        hardware: facts.hardware,
        slot: facts.slot,
    };
    let mut payload = [0; PAYLOAD_MAX];
    let mut protected = [0; PAYLOAD_MAX];
    let mut message = [0; TO_BE_SIGNED_MAX];
    let mut signed = [0; SIGNED_MAX];
    let payload = manifest.encode(&mut payload)?;
    let protected = encode_protected(key.algorithm(), key.public_key()?.id(), &mut protected)?;
    let message = encode_to_be_signed(protected, payload, &mut message)?;
    let signature = message_signature(key, message)?;
    Ok(encode_signed(protected, payload, &signature, &mut signed)?.to_vec())
}

/// Puts a signature or signed manifest in front of its image.
///
/// # Errors
/// [`SignError`].
pub fn container(image: &[u8], proof: &[u8]) -> Result<Vec<u8>, SignError> {
    check_if_known(image)?;
    let image_len = u32::try_from(image.len()).map_err(|_| SignError::Container(EnvelopeError::Malformed))?;
    let proof = Proof::recognise(proof).map_err(|_| SignError::Container(EnvelopeError::Malformed))?;
    let mut buffer = [0; ENVELOPE_MAX];
    let envelope = Envelope { image_len, proof };
    let mut container = envelope.encode(&mut buffer).map_err(SignError::Container)?.to_vec();
    container.extend(image);
    Ok(container)
}

/// The image in a container, and its signature or manifest; of another file the file itself.
pub fn unpacked(package: &[u8]) -> (&[u8], Option<&[u8]>) {
    match Envelope::parse(package) {
        Ok((envelope, head)) => (package.get(head..).unwrap_or_default(), Some(envelope.proof.as_bytes())),
        Err(_) => (package, None),
    }
}

/// Checks a package as a device with this one key would: an image with a signature or manifest beside it, or a container.
///
/// # Errors
/// [`VerifyError`], the precise reason.
pub fn verify(package: &[u8], signature: Option<&[u8]>, key_pem: &str) -> Result<Provenance, VerifyError> {
    let key = public_key_from_pem(key_pem).map_err(VerifyError::Key)?;
    verify_with_key(package, signature, key)
}

fn verify_with_key(
    package: &[u8],
    signature: Option<&[u8]>,
    key: PublicKey,
) -> Result<Provenance, VerifyError> {
    let mut trust = TrustStore::new();
    trust.trust(key).map_err(|error: KeyError| VerifyError::Key(KeyFileError::Key(error)))?;
    if delta_header(package).is_some() {
        return verify_delta(package, &trust);
    }
    let (proof, image) = match (Envelope::parse(package), signature) {
        (Ok((envelope, head)), _) => {
            let image = package.get(head..).unwrap_or_default();
            if image.len() != envelope.image_len as usize {
                return Err(VerifyError::Container(EnvelopeError::Malformed));
            }
            (envelope.proof, image)
        }
        (Err(EnvelopeError::NotAContainer), Some(signature)) => {
            let proof = Proof::recognise(signature).map_err(ProofError::Signature);
            (proof.map_err(VerifyError::Proof)?, package)
        }
        (Err(EnvelopeError::NotAContainer), None) => return Err(VerifyError::NoSignature),
        (Err(error), _) => return Err(VerifyError::Container(error)),
    };
    let provenance = match check_if_known(image).map_err(VerifyError::Image)? {
        Some(info) => proof.verify(&trust, &info),
        None => proof.verify_file(&trust, image),
    };
    provenance.map_err(VerifyError::Proof)
}

/// The image of a delta isn't there; what its manifest says can be verified all the same.
fn verify_delta(package: &[u8], trust: &TrustStore) -> Result<Provenance, VerifyError> {
    let rest = package.get(HEADER_LEN..).unwrap_or_default();
    let (envelope, _) = Envelope::parse(rest).map_err(VerifyError::Container)?;
    let Proof::Manifest(bytes) = envelope.proof else { return Err(VerifyError::DetachedInDelta) };
    let signed = SignedManifest::decode(bytes).map_err(|error| VerifyError::Proof(error.into()))?;
    Ok(Provenance::of_manifest(&signed.verify(trust)?))
}

fn message_signature(key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, SignError> {
    match key {
        PrivateKey::Rsa4096(key) => rsa_signature(key, &Digest::of(message)),
        PrivateKey::P256(key) => Ok(p256_signature(key, &Digest::of(message))?.to_bytes().to_vec()),
        PrivateKey::Ed25519(key) => {
            use ed25519_dalek::Signer as _;
            Ok(key.sign(message).to_bytes().to_vec())
        }
    }
}

/// With blinding: the crate's random numbers keep the key out of the timing.
fn rsa_signature(key: &rsa::PrivateKey, digest: &Digest) -> Result<Vec<u8>, SignError> {
    let padding = rsa::Pkcs1v15Sign::new::<Sha256>();
    key.sign_with_rng(&mut getrandom::SysRng, padding, &digest.0).map_err(|_| SignError::Failed)
}

fn p256_signature(key: &p256::SecretKey, digest: &Digest) -> Result<p256::ecdsa::Signature, SignError> {
    let signer = p256::ecdsa::SigningKey::from(key);
    signer.sign_prehash(&digest.0).map_err(|_| SignError::Failed)
}

impl From<ImageError> for SignError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<KeyFileError> for SignError {
    fn from(error: KeyFileError) -> Self {
        Self::Key(error)
    }
}

impl From<manifest::ManifestError> for SignError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        Self::Proof(ProofError::Signature(error))
    }
}

impl core::fmt::Display for SignError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Image(error) => error.fmt(out),
            Self::Key(error) => error.fmt(out),
            Self::NotDetached(algorithm) => {
                write!(
                    out,
                    "a key of kind {algorithm} signs manifests, not images; sign a manifest or a container"
                )
            }
            Self::Manifest(error) => error.fmt(out),
            Self::Container(error) => error.fmt(out),
            Self::Failed => write!(out, "the signature could not be computed"),
        }
    }
}

impl core::fmt::Display for VerifyError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Key(error) => error.fmt(out),
            Self::Image(error) => error.fmt(out),
            Self::Container(error) => error.fmt(out),
            Self::DetachedInDelta => write!(
                out,
                "the delta's signature is over its image, which isn't here; sign the image with a manifest (`buoy fw sign --manifest`)"
            ),
            Self::NoSignature => write!(out, "the image carries no signature, and none was given"),
            Self::Proof(error) => error.fmt(out),
        }
    }
}

impl core::error::Error for SignError {}
impl core::error::Error for VerifyError {}
