//! The ESP32 partition table (ESP-IDF, "Partition Tables" and `gen_esp32part.py`).
//!
//! At 0x8000, at most 0xC00 bytes of 32-byte entries: `AA 50`, type, subtype, offset u32, size u32, label\[16\], flags u32
//! (bit 0 encrypted, bit 1 read-only), all little-endian. An optional entry `EB EB`, 14 × `FF`, MD5 of all entries before
//! it, and an entry of 32 × `FF` end the table. The MD5 guards against rot, not against people.

use crate::bytes::{le_u32, put, take, text_field};
use crate::flash::{Region, SECTOR};

/// Where the table is by default, in bytes from the start of the flash.
pub const TABLE_OFFSET: u32 = 0x8000;

/// Bytes that the table may take.
pub const TABLE_LEN: usize = 0xC00;

/// Entries that a table may hold, the MD5 and the end not counted.
pub const ENTRIES_MAX: usize = TABLE_LEN / ENTRY - 2;

const ENTRY: usize = 32;
const ENTRY_MAGIC: [u8; 2] = [0xAA, 0x50];
const MD5_MAGIC: [u8; 16] =
    [0xEB, 0xEB, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
const APP_ALIGNMENT: u32 = 0x1_0000;
const OTADATA_LEN: u32 = 0x2000;

/// A partition table that was checked: bounds, alignment, overlaps, digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTable {
    entries: [Option<Partition>; ENTRIES_MAX],
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub region: Region,
    /// Its name.
    pub label: Label,
    /// Encrypted by flash encryption even if it is data.
    pub encrypted: bool,
    /// Not to be written by the application.
    pub read_only: bool,
}

/// Type and subtype of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The image that came with the device (type 0x00, subtype 0x00).
    Factory,
    /// Slot `n` for updates (type 0x00, subtypes 0x10 to 0x1F).
    Ota(u8),
    /// The test image (type 0x00, subtype 0x20).
    TestApp,
    /// Which slot is to start (type 0x01, subtype 0x00).
    OtaData,
    /// Non-volatile settings (type 0x01, subtype 0x02).
    Nvs,
    /// This crate's ledger and journal (type 0x40, subtype 0x4F; application-defined).
    BuoyState,
    /// Anything else: type and subtype as they stand.
    Other(u8, u8),
}

/// A partition's name: at most 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label([u8; 16]);

/// Why a table is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// The table ends without an end entry.
    Truncated,
    /// Entry `0` starts with neither of the known magic numbers.
    UnknownEntry(usize),
    /// The MD5 entry does not match the entries before it.
    DigestMismatch,
    /// Entry `0` is empty, not aligned, or reaches past the flash.
    BadRange(usize),
    /// Entry `0` overlaps an earlier one or the table itself.
    Overlap(usize),
    /// Entry `0` repeats a role that may occur once.
    Duplicate(usize),
    /// Entry `0` has a label that is no text.
    BadLabel(usize),
    /// There are more entries than a table can hold.
    TooMany,
}

impl PartitionTable {
    /// Reads a table as it stands in flash; `flash_len` bounds what partitions may span.
    ///
    /// # Errors
    /// [`TableError`]; nothing of a bad table is used.
    pub fn parse(bytes: &[u8], flash_len: u32) -> Result<Self, TableError> {
        let mut table = Self::new();
        table.read(bytes, flash_len)?;
        Ok(table)
    }

    /// A table without partitions, for [`Self::read`].
    #[expect(clippy::new_without_default, reason = "no device has such a table")]
    pub fn new() -> Self {
        Self { entries: [None; ENTRIES_MAX] }
    }

    /// As [`Self::parse`], into a table that is there: one is 3 kB, which a chip has once on its stack and not twice.
    ///
    /// # Errors
    /// [`TableError`]; the table has no use then.
    #[inline(never)]
    pub fn read(&mut self, bytes: &[u8], flash_len: u32) -> Result<(), TableError> {
        self.entries.fill(None);
        for (index, entry) in bytes.chunks_exact(ENTRY).take(TABLE_LEN / ENTRY).enumerate() {
            if entry.iter().all(|byte| *byte == 0xFF) {
                return Ok(());
            }
            if entry.starts_with(&MD5_MAGIC) {
                let covered = bytes.get(..index.saturating_mul(ENTRY)).unwrap_or_default();
                let digest = take::<16>(entry, 16).ok_or(TableError::Truncated)?;
                (md5(covered) == digest).then_some(()).ok_or(TableError::DigestMismatch)?;
                return Ok(());
            }
            let partition = Partition::parse(entry, index)?;
            self.add(index, partition, flash_len)?;
        }
        Err(TableError::Truncated)
    }

    /// Builds a table from partitions, under the same rules as [`Self::parse`].
    ///
    /// # Errors
    /// [`TableError`] with the index of the partition that breaks a rule.
    pub fn build(partitions: &[Partition], flash_len: u32) -> Result<Self, TableError> {
        let mut table = Self { entries: [None; ENTRIES_MAX] };
        for (index, partition) in partitions.iter().enumerate() {
            table.add(index, *partition, flash_len)?;
        }
        Ok(table)
    }

    /// The layout for a flash of 4 MiB: factory and two slots of 1.25 MiB, settings, and 32 KiB for ledger and journal.
    pub fn standard_4mb() -> Self {
        let rows = [
            (Role::Nvs, 0x9000, 0x6000, "nvs"),
            (Role::OtaData, 0xF000, OTADATA_LEN, "otadata"),
            (Role::BuoyState, 0x1_1000, 0x8000, "buoy_state"),
            (Role::Factory, 0x2_0000, 0x14_0000, "factory"),
            (Role::Ota(0), 0x16_0000, 0x14_0000, "ota_0"),
            (Role::Ota(1), 0x2A_0000, 0x14_0000, "ota_1"),
            (Role::Other(0x01, 0x82), 0x3E_0000, 0x2_0000, "storage"),
        ];
        let mut entries = [None; ENTRIES_MAX];
        for (place, (role, offset, len, label)) in entries.iter_mut().zip(rows) {
            *place = Partition::new(role, offset, len, label);
        }
        Self { entries }
    }

    /// All partitions, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.entries.iter().flatten()
    }

    /// The first partition with this role.
    pub fn find(&self, role: Role) -> Option<&Partition> {
        self.iter().find(|partition| partition.role == role)
    }

    /// The partition with this name.
    pub fn labelled(&self, label: &str) -> Option<&Partition> {
        self.iter().find(|partition| partition.label.as_str() == label)
    }

    /// The table as it stands in flash: entries, MD5 entry, then `FF`.
    pub fn to_bytes(&self) -> [u8; TABLE_LEN] {
        let mut bytes = [0xFF; TABLE_LEN];
        let mut end = 0_usize;
        for partition in self.iter() {
            let _fits = put(&mut bytes, end, &partition.to_bytes());
            end = end.saturating_add(ENTRY);
        }
        let digest = md5(bytes.get(..end).unwrap_or_default());
        let _fits = put(&mut bytes, end, &MD5_MAGIC) && put(&mut bytes, end.saturating_add(16), &digest);
        bytes
    }

    #[inline(never)]
    fn add(&mut self, index: usize, partition: Partition, flash_len: u32) -> Result<(), TableError> {
        let region = partition.region;
        let aligned = !partition.role.is_app() || region.offset().is_multiple_of(APP_ALIGNMENT);
        let right_size = partition.role != Role::OtaData || region.len() == OTADATA_LEN;
        if region.end() > flash_len || !aligned || !right_size {
            return Err(TableError::BadRange(index));
        }
        let after_table = region.offset() >= TABLE_OFFSET.saturating_add(SECTOR);
        let apart = |other: &Partition| {
            region.end() <= other.region.offset() || other.region.end() <= region.offset()
        };
        if !after_table || !self.iter().all(apart) {
            return Err(TableError::Overlap(index));
        }
        if partition.role.is_unique() && self.find(partition.role).is_some() {
            return Err(TableError::Duplicate(index));
        }
        let place = self.entries.iter_mut().find(|place| place.is_none());
        *place.ok_or(TableError::TooMany)? = Some(partition);
        Ok(())
    }
}

impl Partition {
    /// A partition; `None` if the range is not of whole sectors or the label longer than 16 bytes.
    pub fn new(role: Role, offset: u32, len: u32, label: &str) -> Option<Self> {
        Some(Self {
            role,
            region: Region::new(offset, len)?,
            label: Label::new(label)?,
            encrypted: false,
            read_only: false,
        })
    }

    fn parse(entry: &[u8], index: usize) -> Result<Self, TableError> {
        let [magic_0, magic_1, kind, subtype] = take::<4>(entry, 0).ok_or(TableError::Truncated)?;
        if [magic_0, magic_1] != ENTRY_MAGIC {
            return Err(TableError::UnknownEntry(index));
        }
        let field = |at| le_u32(entry, at).ok_or(TableError::Truncated);
        let label = take::<16>(entry, 12).map(Label).ok_or(TableError::Truncated)?;
        text_field(&label.0).ok_or(TableError::BadLabel(index))?;
        let flags = field(28)?;
        Ok(Self {
            role: Role::from_numbers(kind, subtype),
            region: Region::new(field(4)?, field(8)?).ok_or(TableError::BadRange(index))?,
            label,
            encrypted: flags & 1 != 0,
            read_only: flags & 2 != 0,
        })
    }

    fn to_bytes(self) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        let (kind, subtype) = self.role.numbers();
        let flags = u32::from(self.encrypted) | (u32::from(self.read_only) << 1);
        let _fits = put(&mut entry, 0, &ENTRY_MAGIC)
            && put(&mut entry, 2, &[kind, subtype])
            && put(&mut entry, 4, &self.region.offset().to_le_bytes())
            && put(&mut entry, 8, &self.region.len().to_le_bytes())
            && put(&mut entry, 12, &self.label.0)
            && put(&mut entry, 28, &flags.to_le_bytes());
        entry
    }
}

impl Role {
    fn from_numbers(kind: u8, subtype: u8) -> Self {
        match (kind, subtype) {
            (0x00, 0x00) => Self::Factory,
            (0x00, 0x10..=0x1F) => Self::Ota(subtype & 0x0F),
            (0x00, 0x20) => Self::TestApp,
            (0x01, 0x00) => Self::OtaData,
            (0x01, 0x02) => Self::Nvs,
            (0x40, 0x4F) => Self::BuoyState,
            _ => Self::Other(kind, subtype),
        }
    }

    fn numbers(self) -> (u8, u8) {
        match self {
            Self::Factory => (0x00, 0x00),
            Self::Ota(number) => (0x00, 0x10 | (number & 0x0F)),
            Self::TestApp => (0x00, 0x20),
            Self::OtaData => (0x01, 0x00),
            Self::Nvs => (0x01, 0x02),
            Self::BuoyState => (0x40, 0x4F),
            Self::Other(kind, subtype) => (kind, subtype),
        }
    }

    fn is_app(self) -> bool {
        self.numbers().0 == 0x00
    }

    fn is_unique(self) -> bool {
        self.is_app() || matches!(self, Self::OtaData | Self::BuoyState)
    }
}

impl Label {
    /// Takes a name; `None` if it is longer than 16 bytes or holds a control character.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.chars().any(char::is_control)).then_some(Self(bytes))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        text_field(&self.0).unwrap_or_default()
    }
}

impl core::fmt::Debug for Label {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(out)
    }
}

impl core::fmt::Display for TableError {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => write!(out, "the partition table ends without an end entry"),
            Self::UnknownEntry(index) => {
                write!(out, "entry {index} of the partition table has an unknown magic number")
            }
            Self::DigestMismatch => write!(out, "the partition table does not match its MD5"),
            Self::BadRange(index) => {
                write!(out, "partition {index} is empty, misaligned or outside the flash")
            }
            Self::Overlap(index) => write!(out, "partition {index} overlaps another one or the table"),
            Self::Duplicate(index) => write!(out, "partition {index} repeats a type that may occur once"),
            Self::BadLabel(index) => write!(out, "partition {index} has a label that is no text"),
            Self::TooMany => write!(out, "the partition table has more than {ENTRIES_MAX} entries"),
        }
    }
}

impl core::error::Error for TableError {}

/// MD5 (RFC 1321), which the table's format asks for; a dependency for 3 KiB of input once per boot isn't worth it.
#[inline(never)]
fn md5(message: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
    let mut blocks = message.chunks_exact(64);
    for block in &mut blocks {
        md5_block(&mut state, block);
    }
    let rest = blocks.remainder();
    let mut tail = [0_u8; 128];
    let _fits = put(&mut tail, 0, rest) && put(&mut tail, rest.len(), &[0x80]);
    let tail_len: usize = if rest.len() < 56 { 64 } else { 128 };
    let bits = (message.len() as u64).wrapping_mul(8);
    let _fits = put(&mut tail, tail_len.saturating_sub(8), &bits.to_le_bytes());
    for block in tail.get(..tail_len).unwrap_or_default().chunks_exact(64) {
        md5_block(&mut state, block);
    }
    let mut digest = [0; 16];
    for (place, word) in digest.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

fn md5_block(state: &mut [u32; 4], block: &[u8]) {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let [mut a, mut b, mut c, mut d] = *state;
    for (step, sine) in MD5_SINES.iter().enumerate() {
        let (mixed, word) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), step.wrapping_mul(5).wrapping_add(1) % 16),
            2 => (b ^ c ^ d, step.wrapping_mul(3).wrapping_add(5) % 16),
            _ => (c ^ (b | !d), step.wrapping_mul(7) % 16),
        };
        let input = le_u32(block, word.wrapping_mul(4)).unwrap_or_default();
        let shift = SHIFTS.get(step / 16).and_then(|row| row.get(step % 4)).copied().unwrap_or_default();
        let sum = a.wrapping_add(mixed).wrapping_add(*sine).wrapping_add(input);
        (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(shift)));
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

/// floor(2^32 × abs(sin(i + 1))), RFC 1321 section 3.4.
#[rustfmt::skip]
const MD5_SINES: [u32; 64] = [
    0xD76A_A478, 0xE8C7_B756, 0x2420_70DB, 0xC1BD_CEEE, 0xF57C_0FAF, 0x4787_C62A, 0xA830_4613, 0xFD46_9501,
    0x6980_98D8, 0x8B44_F7AF, 0xFFFF_5BB1, 0x895C_D7BE, 0x6B90_1122, 0xFD98_7193, 0xA679_438E, 0x49B4_0821,
    0xF61E_2562, 0xC040_B340, 0x265E_5A51, 0xE9B6_C7AA, 0xD62F_105D, 0x0244_1453, 0xD8A1_E681, 0xE7D3_FBC8,
    0x21E1_CDE6, 0xC337_07D6, 0xF4D5_0D87, 0x455A_14ED, 0xA9E3_E905, 0xFCEF_A3F8, 0x676F_02D9, 0x8D2A_4C8A,
    0xFFFA_3942, 0x8771_F681, 0x6D9D_6122, 0xFDE5_380C, 0xA4BE_EA44, 0x4BDE_CFA9, 0xF6BB_4B60, 0xBEBF_BC70,
    0x289B_7EC6, 0xEAA1_27FA, 0xD4EF_3085, 0x0488_1D05, 0xD9D4_D039, 0xE6DB_99E5, 0x1FA2_7CF8, 0xC4AC_5665,
    0xF429_2244, 0x432A_FF97, 0xAB94_23A7, 0xFC93_A039, 0x655B_59C3, 0x8F0C_CC92, 0xFFEF_F47D, 0x8584_5DD1,
    0x6FA8_7E4F, 0xFE2C_E6E0, 0xA301_4314, 0x4E08_11A1, 0xF753_7E82, 0xBD3A_F235, 0x2AD7_D2BB, 0xEB86_D391,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FLASH: u32 = 0x40_0000;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn md5_agrees_with_rfc_1321() {
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(&md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
        let long = b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(hex(&md5(long)), "57edf4a22be3c955ac49da2e2107b67a");
    }

    #[test]
    fn the_standard_layout_keeps_its_own_rules() {
        let table = PartitionTable::standard_4mb();

        let read_back = PartitionTable::parse(&table.to_bytes(), FLASH).unwrap();

        assert_eq!(read_back, table);
        assert_eq!(read_back.iter().count(), 7);
        assert_eq!(read_back.labelled("ota_1").unwrap().role, Role::Ota(1));
    }

    #[test]
    fn one_flipped_bit_in_a_table_is_noticed() {
        let bytes = PartitionTable::standard_4mb().to_bytes();
        for bit in 0..(7 * ENTRY + 32) * 8 {
            let mut torn = bytes;
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(PartitionTable::parse(&torn, FLASH).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn partitions_that_overlap_or_leave_the_flash_are_refused() {
        let app = |offset, len| Partition::new(Role::Ota(0), offset, len, "app").unwrap();
        let other = Partition::new(Role::Factory, 0x2_0000, 0x1_0000, "factory").unwrap();

        assert_eq!(PartitionTable::build(&[app(0x1_8000, 0x1000)], FLASH), Err(TableError::BadRange(0)));
        assert_eq!(PartitionTable::build(&[app(0x3F_0000, 0x2_0000)], FLASH), Err(TableError::BadRange(0)));
        assert_eq!(
            PartitionTable::build(&[other, app(0x2_0000, 0x1000)], FLASH),
            Err(TableError::Overlap(1))
        );
        assert_eq!(PartitionTable::build(&[app(0, 0x1000)], FLASH), Err(TableError::Overlap(0)));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = PartitionTable::parse(&bytes, FLASH);
        }

        #[test]
        fn a_table_that_parses_is_sound(rows in proptest::collection::vec((0_u8..2, 0_u8..0x22, 0_u32..0x60, 0_u32..0x20), 0..8)) {
            let mut bytes = Vec::new();
            for (kind, subtype, offset, len) in rows {
                bytes.extend([0xAA, 0x50, kind, subtype]);
                bytes.extend((offset * 0x1_0000).to_le_bytes());
                bytes.extend((len * 0x1000).to_le_bytes());
                bytes.extend([0; 20]);
            }
            bytes.extend([0xFF; 32]);
            if let Ok(table) = PartitionTable::parse(&bytes, FLASH) {
                for partition in table.iter() {
                    prop_assert!(partition.region.end() <= FLASH);
                }
            }
        }
    }
}
