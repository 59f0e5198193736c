//! Synthetic images and the contents of a freshly made device's slot.

use sha2::{Digest as _, Sha256};

use crate::container::{ENVELOPE_MAX, Envelope, EnvelopeError, Proof};
use crate::flash::SECTOR;
use crate::host::arrange::arrange;
use crate::image::{ChipId, Segment};
use crate::slots::SlotRegion;
use crate::version::SecurityCounter;

/// Where the app descriptor says how large the pages of the flash cache are.
const MMU_PAGE: usize = 180;

/// Builds app images that every check of the real ones passes; the code of those without a [`Program`] does nothing.
#[derive(Debug, Clone)]
pub struct ImageBuilder {
    project: String,
    version: String,
    counter: SecurityCounter,
    chip: ChipId,
    payload: Vec<u8>,
    program: Option<Program>,
}

/// What an image carries that runs: its memory, as a linker laid it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where the processor starts.
    pub entry: u32,
    /// Where the app descriptor belongs: 256 bytes.
    pub descriptor_at: u32,
    /// What belongs where, besides.
    pub segments: Vec<(u32, Vec<u8>)>,
}

impl ImageBuilder {
    /// An image for the ESP32-C3 with counter 0 and a payload of 1 kB. Texts longer than 32 bytes are cut.
    pub fn new(project: &str, version: &str) -> Self {
        let builder = Self {
            project: project.into(),
            version: version.into(),
            counter: SecurityCounter(0),
            chip: ChipId::ESP32_C3,
            payload: Vec::new(),
            program: None,
        };
        builder.payload_len(1024)
    }

    /// Sets `secure_version`.
    #[must_use]
    pub fn counter(mut self, counter: u32) -> Self {
        self.counter = SecurityCounter(counter);
        self
    }

    /// Sets the chip.
    #[must_use]
    pub fn chip(mut self, chip: ChipId) -> Self {
        self.chip = chip;
        self
    }

    /// Sets what the second segment carries; padded to a multiple of four.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Fills the second segment with so many bytes, different in every image.
    #[must_use]
    pub fn payload_len(mut self, len: usize) -> Self {
        let seed = [self.project.as_bytes(), b"/", self.version.as_bytes()].concat();
        let mut block: [u8; 32] = Sha256::digest(&seed).into();
        self.payload.clear();
        while self.payload.len() < len {
            self.payload.extend(block);
            block = Sha256::digest(block).into();
        }
        self.payload.truncate(len);
        self
    }

    /// Carries a program in place of the payload.
    #[must_use]
    pub fn program(mut self, program: Program) -> Self {
        self.program = Some(program);
        self
    }

    /// The image file.
    pub fn build(&self) -> Vec<u8> {
        let (rom, ram) = load_addresses(self.chip);
        let segments = match &self.program {
            Some(program) => {
                let own = program.segments.iter().map(|(address, bytes)| (*address, padded(bytes)));
                let all = [(program.descriptor_at, self.descriptor())].into_iter().chain(own).collect();
                arrange(self.chip, all)
            }
            None => vec![(rom, self.descriptor()), (ram, padded(&self.payload))],
        };
        let mut image = self.header(segments.len());
        let mut checksum = 0xEF_u8;
        for (load_address, data) in &segments {
            let segment =
                Segment { load_address: *load_address, len: data.len().try_into().unwrap_or(u32::MAX) };
            image.extend(segment.load_address.to_le_bytes());
            image.extend(segment.len.to_le_bytes());
            image.extend(data);
            checksum = data.iter().fold(checksum, |sum, byte| sum ^ byte);
        }
        // Zeros up to the last byte of a block of 16, which is the checksum.
        image.resize(image.len() | 15, 0);
        image.push(checksum);
        let digest: [u8; 32] = Sha256::digest(&image).into();
        image.extend(digest);
        image
    }

    fn header(&self, segments: usize) -> Vec<u8> {
        let mut header = vec![0; 24];
        let [chip_low, chip_high] = self.chip.0.to_le_bytes();
        let entry = self.program.as_ref().map_or(load_addresses(self.chip).1, |program| program.entry);
        let entry = entry.to_le_bytes();
        // SPI mode DIO, 40 MHz, 4 MB; write-protect pin off.
        let fields = [0xE9, segments.try_into().unwrap_or(u8::MAX), 0x02, 0x20];
        let front = fields.into_iter().chain(entry).chain([0xEE, 0, 0, 0, chip_low, chip_high]);
        header.iter_mut().zip(front).for_each(|(place, byte)| *place = byte);
        // "hash appended"; the highest chip revision that is allowed is "any".
        for (at, byte) in [(17, 0xFF), (18, 0xFF), (23, 1)] {
            if let Some(place) = header.get_mut(at) {
                *place = byte;
            }
        }
        header
    }

    fn descriptor(&self) -> Vec<u8> {
        let fixed = |text: &str, len: usize| {
            let mut field: Vec<u8> = text.bytes().take(len).collect();
            field.resize(len, 0);
            field
        };
        let mut descriptor = 0xABCD_5432_u32.to_le_bytes().to_vec();
        descriptor.extend(self.counter.0.to_le_bytes());
        descriptor.extend([0; 8]);
        descriptor.extend(fixed(&self.version, 32));
        descriptor.extend(fixed(&self.project, 32));
        descriptor.extend(fixed("00:00:00", 16));
        descriptor.extend(fixed("Jan 1 2026", 16));
        descriptor.extend(fixed("buoy", 32));
        descriptor.resize(256, 0);
        if let (Some(_), Some(page)) = (&self.program, descriptor.get_mut(MMU_PAGE)) {
            // As a power of two.
            *page = 16;
        }
        descriptor
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Where a chip maps read-only data, and its instruction RAM (ESP-IDF's linker scripts).
fn load_addresses(chip: ChipId) -> (u32, u32) {
    match chip {
        ChipId::ESP32 => (0x3F40_0020, 0x4008_0000),
        ChipId::ESP32_S2 => (0x3F00_0020, 0x4002_8000),
        ChipId::ESP32_C6 => (0x4200_0020, 0x4080_0000),
        _ => (0x3C00_0020, 0x4038_0000),
    }
}

/// What a programmer in the factory writes into a slot: the image, `FF`, and the envelope in the last sector.
///
/// # Errors
/// [`EnvelopeError::Malformed`] if image or proof do not fit.
pub fn slot_contents(place: &SlotRegion, image: &[u8], proof: Proof<'_>) -> Result<Vec<u8>, EnvelopeError> {
    let image_len = u32::try_from(image.len()).ok().filter(|len| *len <= place.image.len());
    let image_len = image_len.ok_or(EnvelopeError::Malformed)?;
    let mut buffer = [0; ENVELOPE_MAX];
    let envelope = Envelope { image_len, proof }.encode(&mut buffer)?;
    let mut contents = image.to_vec();
    contents.resize(place.image.len() as usize, 0xFF);
    contents.extend(envelope);
    contents.resize(place.image.len().saturating_add(SECTOR) as usize, 0xFF);
    Ok(contents)
}
