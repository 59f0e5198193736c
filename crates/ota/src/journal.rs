//! How far a download got: an append-only log that lets it go on after a restart.
//!
//! One *start* record says what is fetched, then a *progress* record follows every few sectors of the slot, and a
//! *complete* record ends it; 32 bytes each with a CRC-32, so that a torn one is skipped. Each progress record carries a
//! digest of everything so far: the installer hashes the prefix again and goes on only if it is what it was. Before the
//! progress record of a [delta](crate::delta) a *place* record says where in its instructions it stands.
//!
//! | Offset | Bytes | start | progress, complete | place |
//! |---|---|---|---|---|
//! | 0 | 1 | 0x11 | 0x12, 0x13 | 0x14 |
//! | 1 | 1 | slot `n` of `ota_n` | 0 | what the instruction does |
//! | 2 | 1 | 1 for a delta, else 0 | 0 | 0 |
//! | 3 | 1 | 0 | 0 | 0 |
//! | 4 | 4 | bytes of the package, 0xFFFFFFFF if not known | bytes of the image | bytes of the image |
//! | 8 | 4 | bytes before the image or the instructions | 0 | bytes of the instructions |
//! | 12 | 4 | which source (16 bytes) | digest of the image so far (16 bytes) | place in the old image |
//! | 16 | 4 | | | what is left of the instruction |
//! | 20 | 4 | | | bytes of the old image |
//! | 24 | 4 | | | first bytes of the old image's digest |
//! | 28 | 4 | CRC-32 | CRC-32 | CRC-32 |

use embedded_storage::nor_flash::NorFlash;
use sha2::{Digest as _, Sha256};

use crate::bytes::{le_u32, put, take};
use crate::delta::{Place, Work};
use crate::flash::{FlashFault, RECORD, Region};
use crate::ledger::{Fingerprint, intact, sealed};
use crate::safeguard::{Safeguard, off};

/// A download in progress, as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    region: Region,
    next_record: u32,
    start: Start,
    progress: Progress,
    place: Option<DeltaPlace>,
}

/// Where in a delta the work stands when so many bytes of the image are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeltaPlace {
    pub(crate) image_bytes: u32,
    pub(crate) place: Place,
    pub(crate) base_len: u32,
    pub(crate) base_start: [u8; 4],
}

/// How the image comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Whole,
    /// As a [delta](crate::delta).
    Delta,
}

/// What is fetched, and to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which package.
    pub source: Source,
    /// Slot number.
    pub slot: u8,
    /// Bytes of the whole package, if known.
    pub package_len: Option<u32>,
    /// Bytes of the package before the image: the envelope's length in a container, else 0.
    pub head_len: u32,
    /// How the image comes.
    pub form: Form,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing that can be relied on.
    Nothing,
    /// So many bytes of the image, with this digest; a multiple of a sector.
    Partly {
        /// Bytes of the image.
        image_bytes: u32,
        /// Their digest.
        fingerprint: Fingerprint,
    },
    /// The whole image.
    Whole {
        /// Bytes of the image.
        image_bytes: u32,
        /// Their digest.
        fingerprint: Fingerprint,
    },
}

/// Which package: a digest of its address and its entity tag. A changed package has another source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub [u8; 16]);

impl Source {
    /// Names a package by where it is and what the server calls this revision of it (CoAP or HTTP ETag; may be empty).
    pub fn new(address: &[u8], entity_tag: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hasher.update((address.len() as u64).to_le_bytes());
        hasher.update(address);
        hasher.update(entity_tag);
        let digest: [u8; 32] = hasher.finalize().into();
        Self(take(&digest, 0).unwrap_or_default())
    }
}

impl Journal {
    /// Reads the journal; `None` if no download is in progress.
    ///
    /// # Errors
    /// Only if the flash cannot be read.
    pub fn open<F: NorFlash>(flash: &mut F, region: Region) -> Result<Option<Self>, FlashFault> {
        let Some(start) = Start::parse(&read_record(flash, region, 0)?) else {
            return Ok(None);
        };
        let mut journal = Self { region, next_record: 1, start, progress: Progress::Nothing, place: None };
        let mut place = None;
        for index in 1..capacity(region) {
            let record = read_record(flash, region, index)?;
            if record.iter().any(|byte| *byte != 0xFF) {
                journal.next_record = index.saturating_add(1);
            }
            if let Some(noted) = DeltaPlace::parse(&record) {
                place = Some(noted);
            }
            if let Some(progress) = Progress::parse(&record) {
                journal.progress = progress;
                journal.place = place;
            }
        }
        Ok(Some(journal))
    }

    /// Forgets any earlier download and begins a new one.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn begin<F: NorFlash>(flash: &mut F, region: Region, start: Start) -> Result<Self, FlashFault> {
        region.erase_all(flash)?;
        region.write(flash, 0, &start.to_bytes())?;
        Ok(Self { region, next_record: 1, start, progress: Progress::Nothing, place: None })
    }

    /// What is fetched.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// How far it got.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Where the delta stands, for what [`Journal::progress`] says.
    pub(crate) fn place(&self) -> Option<DeltaPlace> {
        let Progress::Partly { image_bytes, .. } = self.progress else { return None };
        self.place.filter(|place| place.image_bytes == image_bytes)
    }

    /// How many sectors of the slot go by between two progress records, so that they all fit.
    pub fn stride(&self, slot_sectors: u32) -> u32 {
        // One place each for start and complete, and a few for records that power cuts tore.
        let places = capacity(self.region).saturating_sub(SPARE_RECORDS);
        let places = if self.start.form == Form::Delta { places / 2 } else { places };
        slot_sectors.div_ceil(places.max(1)).max(1)
    }

    /// Notes progress. A full journal notes nothing more, which costs only a longer resumption.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn record<F: NorFlash>(&mut self, flash: &mut F, progress: Progress) -> Result<(), FlashFault> {
        let Some(record) = progress.to_bytes() else {
            return Ok(());
        };
        if self.append(flash, &record)? {
            self.progress = progress;
        }
        Ok(())
    }

    /// Notes where a delta stands; the progress that it belongs to follows.
    pub(crate) fn record_place<F: NorFlash>(
        &mut self,
        flash: &mut F,
        place: DeltaPlace,
    ) -> Result<(), FlashFault> {
        self.append(flash, &place.to_bytes()).map(drop)
    }

    /// Writes a record, if there is room.
    fn append<F: NorFlash>(&mut self, flash: &mut F, record: &[u8; RECORD]) -> Result<bool, FlashFault> {
        if self.next_record >= capacity(self.region) {
            return Ok(false);
        }
        let at = record_at(self.next_record);
        self.next_record = self.next_record.saturating_add(1);
        self.region.write(flash, at, record)?;
        Ok(true)
    }

    /// Forgets the download in progress, if any.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn clear<F: NorFlash>(flash: &mut F, region: Region) -> Result<(), FlashFault> {
        region.erase_sector(flash, 0)
    }
}

const SPARE_RECORDS: u32 = 10;
const RECORD_LEN: u32 = RECORD as u32;

impl Start {
    /// Reads a record; `None` if it is no intact start.
    pub fn parse(record: &[u8; RECORD]) -> Option<Self> {
        let [kind, slot, form] = take(trusted(record)?, 0)?;
        (kind == 0x11).then_some(())?;
        let package_len = le_u32(record, 4)?;
        Some(Self {
            source: Source(take(record, 12)?),
            slot,
            package_len: (package_len != u32::MAX).then_some(package_len),
            head_len: le_u32(record, 8)?,
            form: if form == 1 { Form::Delta } else { Form::Whole },
        })
    }

    fn to_bytes(self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        let _fits = put(&mut record, 0, &[0x11, self.slot, u8::from(self.form == Form::Delta)])
            && put(&mut record, 4, &self.package_len.unwrap_or(u32::MAX).to_le_bytes())
            && put(&mut record, 8, &self.head_len.to_le_bytes())
            && put(&mut record, 12, &self.source.0);
        sealed(record)
    }
}

impl DeltaPlace {
    fn parse(record: &[u8; RECORD]) -> Option<Self> {
        let [kind, work] = take(trusted(record)?, 0)?;
        (kind == 0x14).then_some(())?;
        Some(Self {
            image_bytes: le_u32(record, 4)?,
            place: Place {
                consumed: le_u32(record, 8)?,
                old_at: le_u32(record, 12)?,
                work: Work::from_number(work)?,
                remaining: le_u32(record, 16)?,
            },
            base_len: le_u32(record, 20)?,
            base_start: take(record, 24)?,
        })
    }

    fn to_bytes(self) -> [u8; RECORD] {
        let Place { consumed, old_at, work, remaining } = self.place;
        let mut record = [0; RECORD];
        let _fits = put(&mut record, 0, &[0x14, work as u8])
            && put(&mut record, 4, &self.image_bytes.to_le_bytes())
            && put(&mut record, 8, &consumed.to_le_bytes())
            && put(&mut record, 12, &old_at.to_le_bytes())
            && put(&mut record, 16, &remaining.to_le_bytes())
            && put(&mut record, 20, &self.base_len.to_le_bytes())
            && put(&mut record, 24, &self.base_start);
        sealed(record)
    }
}

impl Progress {
    /// Reads a record; `None` if it is no intact progress.
    pub fn parse(record: &[u8; RECORD]) -> Option<Self> {
        let image_bytes = le_u32(trusted(record)?, 4)?;
        let fingerprint = Fingerprint(take(record, 12)?);
        match record.first()? {
            0x12 => Some(Self::Partly { image_bytes, fingerprint }),
            0x13 => Some(Self::Whole { image_bytes, fingerprint }),
            _ => None,
        }
    }

    fn to_bytes(self) -> Option<[u8; RECORD]> {
        let (kind, image_bytes, fingerprint) = match self {
            Self::Nothing => return None,
            Self::Partly { image_bytes, fingerprint } => (0x12, image_bytes, fingerprint),
            Self::Whole { image_bytes, fingerprint } => (0x13, image_bytes, fingerprint),
        };
        let mut record = [0; RECORD];
        let _fits = put(&mut record, 0, &[kind])
            && put(&mut record, 4, &image_bytes.to_le_bytes())
            && put(&mut record, 12, &fingerprint.0);
        Some(sealed(record))
    }
}

fn trusted(record: &[u8; RECORD]) -> Option<&[u8; RECORD]> {
    if off(Safeguard::JournalChecksCrc) { Some(record) } else { intact(record) }
}

fn capacity(region: Region) -> u32 {
    region.len() / RECORD_LEN
}

fn record_at(index: u32) -> u32 {
    index.saturating_mul(RECORD_LEN)
}

fn read_record<F: NorFlash>(flash: &mut F, region: Region, index: u32) -> Result<[u8; RECORD], FlashFault> {
    let mut record = [0; RECORD];
    region.read(flash, record_at(index), &mut record)?;
    Ok(record)
}
