//! What a file is, for people: image, container, signature or manifest.

use super::delta::delta_header;
use crate::container::{Envelope, EnvelopeError, Proof};
use crate::delta::HEADER_LEN;
use crate::image::{self, Digest, ImageError, ImageInfo, Scanner};
use crate::manifest::{Manifest, SignedManifest};
use crate::signature::{Algorithm, DetachedSignature, KeyId};

/// What a file says about itself. Nothing here is proved: see [`super::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What kind of file it is.
    pub kind: PackageKind,
    /// Bytes of the file.
    pub file_len: usize,
    /// SHA-256 of the image (of the whole file, if it is no container).
    pub sha256: Digest,
    /// SHA-256 of the image that a delta is made for.
    pub base: Option<Digest>,
    /// The signature or manifest that it is or carries.
    pub proof: Option<ProofSummary>,
    /// Name in the app descriptor or the manifest.
    pub project: Option<String>,
    /// Version in the app descriptor or the manifest.
    pub version: Option<String>,
    /// Security counter in the app descriptor or the manifest.
    pub counter: Option<u32>,
    /// The chip: its name, or `chip-N`.
    pub chip: Option<String>,
    /// What the image was built with.
    pub toolchain: Option<String>,
    /// Bytes of the image itself, without what follows it.
    pub image_len: Option<u32>,
    /// The image's segments.
    pub segments: Vec<SegmentSummary>,
    /// Whether the image is sound: checksum, and appended hash if there is one.
    pub image_sound: Option<Result<(), ImageError>>,
    /// Whether the image has a hash appended.
    pub hash_appended: Option<bool>,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageKind {
    /// An app image.
    Image,
    /// A container with proof and image.
    Container,
    /// A delta with proof and instructions.
    Delta,
    /// A signature alone.
    Signature,
    /// A signed manifest alone.
    Manifest,
    /// An image for MCUboot, as Zephyr's; only its header is read.
    McubootImage,
    /// None of these.
    Unknown,
}

/// A signature or manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofSummary {
    /// Which kind of key made it.
    pub algorithm: Algorithm,
    /// The key that it names; a detached signature names none.
    pub key_id: Option<KeyId>,
    /// What the manifest says.
    pub manifest: Option<Manifest>,
}

/// One segment of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Where it is loaded or mapped.
    pub load_address: u32,
    /// Bytes of data.
    pub len: u32,
}

/// Says what a file is.
pub fn inspect(bytes: &[u8]) -> Inspection {
    if let Some(header) = delta_header(bytes) {
        let mut inspection = Inspection::empty(PackageKind::Delta, bytes.len(), Digest::of(bytes));
        inspection.base = Some(header.base);
        let envelope = bytes.get(HEADER_LEN..).unwrap_or_default();
        if let Ok((envelope, _)) = Envelope::parse(envelope) {
            inspection.describe_proof(&envelope.proof);
            inspection.image_len = Some(envelope.image_len);
        }
        return inspection;
    }
    match Envelope::parse(bytes) {
        Ok((envelope, head)) => {
            let image = bytes.get(head..).unwrap_or_default();
            let mut inspection = Inspection::empty(PackageKind::Container, bytes.len(), Digest::of(image));
            inspection.describe_proof(&envelope.proof);
            inspection.describe_image(image);
            if image.len() != envelope.image_len as usize {
                inspection.image_sound = Some(Err(ImageError::Truncated));
            }
            inspection
        }
        Err(EnvelopeError::NotAContainer) => inspect_single(bytes),
        Err(_) => Inspection::empty(PackageKind::Unknown, bytes.len(), Digest::of(bytes)),
    }
}

fn inspect_single(bytes: &[u8]) -> Inspection {
    let digest = Digest::of(bytes);
    if bytes.first() == Some(&0xE9) && bytes.len() != 512 {
        let mut inspection = Inspection::empty(PackageKind::Image, bytes.len(), digest);
        inspection.describe_image(bytes);
        return inspection;
    }
    if let Some(header) = McubootHeader::parse(bytes) {
        let mut inspection = Inspection::empty(PackageKind::McubootImage, bytes.len(), digest);
        inspection.version = Some(header.version);
        inspection.image_len = Some(header.image_len);
        return inspection;
    }
    match Proof::recognise(bytes) {
        Ok(proof) => {
            let kind = match proof {
                Proof::Manifest(_) => PackageKind::Manifest,
                Proof::Detached(_) => PackageKind::Signature,
            };
            let mut inspection = Inspection::empty(kind, bytes.len(), digest);
            inspection.describe_proof(&proof);
            inspection
        }
        Err(_) => Inspection::empty(PackageKind::Unknown, bytes.len(), digest),
    }
}

/// The header of an MCUboot image (`struct image_header` in MCUboot's `image.h`): little-endian numbers.
struct McubootHeader {
    version: String,
    image_len: u32,
}

impl McubootHeader {
    const MAGIC: u32 = 0x96f3_b83d;

    /// `None` if the file does not begin with one.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let half = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        if word(0)? != Self::MAGIC {
            return None;
        }
        let (major, minor, revision, build) = (*bytes.get(20)?, *bytes.get(21)?, half(22)?, word(24)?);
        // As imgtool writes it.
        let build = if build == 0 { String::new() } else { format!("+{build}") };
        let version = format!("{major}.{minor}.{revision}{build}");
        Some(Self { version, image_len: word(12)? })
    }
}

impl Inspection {
    fn empty(kind: PackageKind, file_len: usize, sha256: Digest) -> Self {
        Self {
            kind,
            file_len,
            sha256,
            base: None,
            proof: None,
            project: None,
            version: None,
            counter: None,
            chip: None,
            toolchain: None,
            image_len: None,
            segments: Vec::new(),
            image_sound: None,
            hash_appended: None,
        }
    }

    fn describe_proof(&mut self, proof: &Proof<'_>) {
        let summary = ProofSummary::of(proof);
        if let Some(manifest) = summary.as_ref().and_then(|summary| summary.manifest) {
            self.project = Some(manifest.project.as_str().into());
            self.version = Some(manifest.version.as_str().into());
            self.counter = Some(manifest.counter.0);
            self.chip = Some(chip_name(manifest.chip));
        }
        self.proof = summary;
    }

    /// A damaged image still says what it can.
    fn describe_image(&mut self, bytes: &[u8]) {
        let mut scanner = Scanner::new();
        let pushed = scanner.push(bytes);
        if let Some((chip, descriptor)) = scanner.early() {
            self.chip = Some(chip_name(chip));
            self.project = Some(descriptor.project.as_str().into());
            self.version = Some(descriptor.version.as_str().into());
            self.counter = Some(self.counter.unwrap_or_default().max(descriptor.counter.0));
            self.toolchain = Some(descriptor.toolchain.as_str().into());
        }
        match pushed.and_then(|()| scanner.finish()) {
            Ok(info) => self.describe_sound(&info),
            Err(error) => self.image_sound = Some(Err(error)),
        }
    }

    fn describe_sound(&mut self, info: &ImageInfo) {
        let summary = |segment: &image::Segment| SegmentSummary {
            load_address: segment.load_address,
            len: segment.len,
        };
        self.segments = info.segments.as_slice().iter().map(summary).collect();
        self.image_len = Some(info.image_len);
        self.hash_appended = Some(info.hash_appended);
        self.image_sound = Some(Ok(()));
    }
}

impl ProofSummary {
    fn of(proof: &Proof<'_>) -> Option<Self> {
        match proof {
            Proof::Detached(signature) => Some(Self {
                algorithm: DetachedSignature::algorithm(signature),
                key_id: None,
                manifest: None,
            }),
            Proof::Manifest(bytes) => SignedManifest::decode(bytes).ok().map(|signed| Self {
                algorithm: signed.algorithm(),
                key_id: Some(signed.key_id()),
                manifest: Some(*signed.claimed()),
            }),
        }
    }
}

fn chip_name(chip: image::ChipId) -> String {
    chip.name().map_or_else(|| format!("chip-{}", chip.0), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_an_mcuboot_image_says_its_version() {
        let mut image = vec![0; 64];
        image[..4].copy_from_slice(&0x96f3_b83d_u32.to_le_bytes());
        image[12..16].copy_from_slice(&32_u32.to_le_bytes());
        image[20..28].copy_from_slice(&[1, 2, 44, 1, 5, 0, 0, 0]);
        let inspection = inspect(&image);
        assert_eq!(inspection.kind, PackageKind::McubootImage);
        assert_eq!((inspection.version.as_deref(), inspection.image_len), (Some("1.2.300+5"), Some(32)));
        for length in 0..28 {
            assert_ne!(inspect(&image[..length]).kind, PackageKind::McubootImage, "{length} bytes");
        }
    }
}
