//! Making deltas, and trying them as a device would.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

use super::sign::SignError;
use crate::container::{ENVELOPE_MAX, Envelope, EnvelopeError, Proof};
use crate::delta::{Applier, DeltaError, DeltaHeader, HEADER_LEN, STEP};
use crate::flash::{Region, SECTOR};
use crate::image::{self, Digest};

/// Makes a delta package from the old image to the new one, with the signature or manifest of the new one.
///
/// The result was applied once, and made the new image.
///
/// # Errors
/// [`SignError`].
pub fn delta(old: &[u8], new: &[u8], proof: &[u8]) -> Result<Vec<u8>, SignError> {
    image::check(old)?;
    image::check(new)?;
    let length =
        |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| SignError::Container(EnvelopeError::Malformed));
    let stream = instructions(old, new)?;
    let header = DeltaHeader { base_len: length(old)?, base: Digest::of(old), stream_len: length(&stream)? };
    let proof = Proof::recognise(proof).map_err(|_| SignError::Container(EnvelopeError::Malformed))?;
    let mut buffer = [0; ENVELOPE_MAX];
    let envelope = Envelope { image_len: length(new)?, proof };
    let envelope = envelope.encode(&mut buffer).map_err(SignError::Container)?;
    let package = [&header.to_bytes()[..], envelope, &stream].concat();
    let made = apply_delta(old, &package);
    (made.as_deref() == Ok(new)).then_some(package).ok_or(SignError::Failed)
}

/// The header of a delta package; `None` if the file is none.
pub fn delta_header(package: &[u8]) -> Option<DeltaHeader> {
    DeltaHeader::parse(package.first_chunk::<HEADER_LEN>()?).ok()
}

/// Makes the new image of a delta package from the old one.
///
/// # Errors
/// [`DeltaError`].
pub fn apply_delta(old: &[u8], package: &[u8]) -> Result<Vec<u8>, DeltaError> {
    let header = delta_header(package).ok_or(DeltaError::BadHeader)?;
    if header.base != Digest::of(old) || header.base_len as usize != old.len() {
        return Err(DeltaError::OtherBase);
    }
    let rest = package.get(HEADER_LEN..).unwrap_or_default();
    let (envelope, head) = Envelope::parse(rest).map_err(|_| DeltaError::BadHeader)?;
    let mut stream = rest.get(head..).unwrap_or_default();
    let mut flash = Memory(old.to_vec());
    flash.0.resize(old.len().next_multiple_of(SECTOR as usize), 0xFF);
    let base = u32::try_from(flash.0.len()).ok().and_then(|len| Region::new(0, len));
    let base = base.ok_or(DeltaError::OtherBase)?;
    let mut applier = Applier::new(header.base_len);
    let mut new = Vec::new();
    while new.len() <= envelope.image_len as usize && !(stream.is_empty() && applier.needs_input()) {
        let mut made = [0; STEP];
        let step =
            applier.step(&mut flash, base, stream, &mut made).map_err(|_| DeltaError::BadInstruction)?;
        stream = stream.get(step.used..).unwrap_or_default();
        new.extend(made.iter().take(step.made));
    }
    (new.len() == envelope.image_len as usize).then_some(new).ok_or(DeltaError::BadInstruction)
}

/// The differences that bsdiff finds, as instructions.
fn instructions(old: &[u8], new: &[u8]) -> Result<Vec<u8>, SignError> {
    let mut patch = Vec::new();
    bsdiff::diff(old, new, &mut patch).map_err(|_| SignError::Failed)?;
    let mut rest = &patch[..];
    let mut out = Vec::new();
    while let Some((control, behind)) = rest.split_first_chunk::<24>() {
        let (added, extra, seek) = (signed(control, 0), signed(control, 8), signed(control, 16));
        let (added, behind) = usize::try_from(added)
            .ok()
            .and_then(|at| behind.split_at_checked(at))
            .ok_or(SignError::Failed)?;
        let (extra, behind) = usize::try_from(extra)
            .ok()
            .and_then(|at| behind.split_at_checked(at))
            .ok_or(SignError::Failed)?;
        rest = behind;
        push_sum(&mut out, added);
        push(&mut out, 2, extra.len());
        out.extend(extra);
        // Forward is even, back is odd.
        let distance = seek.unsigned_abs().saturating_mul(2).saturating_sub(u64::from(seek < 0));
        if rest.is_empty() {
            break;
        }
        push(&mut out, 3, usize::try_from(distance).map_err(|_| SignError::Failed)?);
    }
    Ok(out)
}

/// Differences of bytes: most are zero, and a run of those is a copy.
fn push_sum(out: &mut Vec<u8>, mut differences: &[u8]) {
    /// So many zeros take less as a copy between two sums.
    const WORTH_IT: usize = 4;
    while !differences.is_empty() {
        let zeros = differences.iter().take_while(|byte| **byte == 0).count();
        let (copied, rest) = differences.split_at(zeros);
        push(out, 0, copied.len());
        let is_long = |window: &[u8]| window.iter().all(|byte| *byte == 0);
        let sums = rest.windows(WORTH_IT).position(is_long).unwrap_or(rest.len());
        let (sums, rest) = rest.split_at(sums);
        push(out, 1, sums.len());
        out.extend(sums);
        differences = rest;
    }
}

fn push(out: &mut Vec<u8>, kind: u8, count: usize) {
    let mut number = (count << 2) | usize::from(kind);
    if count == 0 {
        return;
    }
    while number > 0x7F {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number of bsdiff: little-endian, the highest bit is the sign.
fn signed(control: &[u8; 24], at: usize) -> i64 {
    let bytes = control.get(at..).and_then(<[u8]>::first_chunk::<8>).copied().unwrap_or_default();
    let number = u64::from_le_bytes(bytes);
    let magnitude = (number & !(1 << 63)).cast_signed();
    if number >> 63 == 1 { magnitude.saturating_neg() } else { magnitude }
}

/// The old image, as if it were in flash.
struct Memory(Vec<u8>);

impl ErrorType for Memory {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Memory {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let start = offset as usize;
        let found =
            self.0.get(start..start.saturating_add(bytes.len())).ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(found);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Memory {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
        Err(NorFlashErrorKind::Other)
    }

    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Self::Error> {
        Err(NorFlashErrorKind::Other)
    }
}
