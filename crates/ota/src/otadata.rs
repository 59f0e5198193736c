//! The otadata partition: which slot the boot loader starts (ESP-IDF, `bootloader_utility.c` and `esp_ota_ops.c`).
//!
//! Two sectors, each with one 32-byte entry at its start: `ota_seq` u32, label\[20\], `ota_state` u32, CRC-32 u32 **of the
//! four sequence bytes only**. The usable entry with the highest sequence names slot `(sequence - 1) % slots`.
//!
//! Because the CRC leaves the state out, a torn write can show any state; and every change of a state erases the entry
//! first, so a cut loses it. This crate therefore takes a state for a hint: what is confirmed, on trial or rejected
//! stands in the [`ledger`](crate::ledger), and [`crate::boot`] writes otadata anew where it disagrees.

use embedded_storage::nor_flash::NorFlash;

use crate::bytes::{crc32, le_u32, put, take};
use crate::flash::{FlashFault, Region};
use crate::safeguard::{Safeguard, off};

/// Both entries, as far as they are intact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtaData {
    entries: [Option<Entry>; 2],
}

/// One entry with a good CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which choice this is.
    pub sequence: Sequence,
    /// A free text, unused by ESP-IDF.
    pub label: [u8; 20],
    /// How far the choice has been tried.
    pub state: EntryState,
}

/// The number of a choice: 1 to 2^32 - 2, higher is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(u32);

/// `ota_state` of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// 0: chosen, not started yet.
    New,
    /// 1: started, not confirmed yet.
    PendingVerify,
    /// 2: confirmed.
    Valid,
    /// 3: refused.
    Invalid,
    /// 4: started and never confirmed.
    Aborted,
    /// 0xFFFFFFFF: written without rollback support.
    Undefined,
    /// Anything else, as it stands: torn or foreign.
    Unknown(u32),
}

/// Which of the two sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The first sector.
    First,
    /// The second sector.
    Second,
}

const ENTRY: usize = 32;

impl OtaData {
    /// Reads both entries; a torn, foreign or erased one is left out and never an error.
    ///
    /// # Errors
    /// Only if the flash cannot be read.
    pub fn read<F: NorFlash>(flash: &mut F, region: Region) -> Result<Self, FlashFault> {
        let mut read_half = |half: Half| {
            let mut bytes = [0; ENTRY];
            region.part(half.sector(), 1).unwrap_or(region).read(flash, 0, &mut bytes)?;
            Ok(Entry::parse(&bytes))
        };
        Ok(Self { entries: [read_half(Half::First)?, read_half(Half::Second)?] })
    }

    /// Takes two entries as they stand in flash, 32 bytes each.
    pub fn parse(first: &[u8], second: &[u8]) -> Self {
        Self { entries: [Entry::parse(first), Entry::parse(second)] }
    }

    /// The entry of a sector.
    pub fn entry(&self, half: Half) -> Option<Entry> {
        let [first, second] = self.entries;
        match half {
            Half::First => first,
            Half::Second => second,
        }
    }

    /// The entry that a boot loader follows: usable, with the highest sequence.
    pub fn selected(&self) -> Option<(Half, Entry)> {
        self.halves().filter(|(_, entry)| entry.is_usable()).max_by_key(|(_, entry)| entry.sequence)
    }

    /// The entry with this sequence.
    pub fn with_sequence(&self, sequence: Sequence) -> Option<(Half, Entry)> {
        self.halves().find(|(_, entry)| entry.sequence == sequence)
    }

    /// The highest sequence of any intact entry, usable or not.
    pub fn highest(&self) -> Option<Sequence> {
        self.halves().map(|(_, entry)| entry.sequence).max()
    }

    /// The sector that may be overwritten: never the one that a boot loader follows now.
    pub fn spare(&self) -> Half {
        match self.selected() {
            Some((Half::First, _)) => Half::Second,
            Some((Half::Second, _)) => Half::First,
            None if self.entry(Half::First).is_some() && self.entry(Half::Second).is_none() => Half::Second,
            None => Half::First,
        }
    }

    /// Writes `entry` into a sector: erase, then one write. A cut in between loses what the sector held.
    ///
    /// # Errors
    /// The driver's fault.
    pub fn write<F: NorFlash>(
        &mut self,
        flash: &mut F,
        region: Region,
        half: Half,
        entry: Entry,
    ) -> Result<(), FlashFault> {
        let sector = region.part(half.sector(), 1).unwrap_or(region);
        sector.erase_sector(flash, 0)?;
        sector.write(flash, 0, &entry.to_bytes())?;
        let [first, second] = &mut self.entries;
        match half {
            Half::First => *first = Some(entry),
            Half::Second => *second = Some(entry),
        }
        Ok(())
    }

    fn halves(&self) -> impl Iterator<Item = (Half, Entry)> {
        [Half::First, Half::Second].into_iter().filter_map(|half| Some((half, self.entry(half)?)))
    }
}

impl Entry {
    /// An entry without a label.
    pub fn new(sequence: Sequence, state: EntryState) -> Self {
        Self { sequence, label: [0xFF; 20], state }
    }

    /// Reads an entry; `None` if it is erased or its CRC is wrong.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let sequence = Sequence::new(le_u32(bytes, 0)?)?;
        let intact = crc32(&sequence.0.to_le_bytes()) == le_u32(bytes, 28)?;
        (intact || off(Safeguard::OtadataChecksCrc)).then_some(())?;
        Some(Self { sequence, label: take(bytes, 4)?, state: EntryState::from_number(le_u32(bytes, 24)?) })
    }

    /// The entry as ESP-IDF writes it.
    pub fn to_bytes(&self) -> [u8; ENTRY] {
        let mut bytes = [0xFF; ENTRY];
        let sequence = self.sequence.0.to_le_bytes();
        let _fits = put(&mut bytes, 0, &sequence)
            && put(&mut bytes, 4, &self.label)
            && put(&mut bytes, 24, &self.state.number().to_le_bytes())
            && put(&mut bytes, 28, &crc32(&sequence).to_le_bytes());
        bytes
    }

    /// Whether a boot loader may follow it.
    pub fn is_usable(&self) -> bool {
        !matches!(self.state, EntryState::Invalid | EntryState::Aborted)
    }
}

impl Sequence {
    /// A sequence; `None` for 0 and for the erased value.
    pub const fn new(number: u32) -> Option<Self> {
        match number {
            0 | u32::MAX => None,
            _ => Some(Self(number)),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The slot that it names among `slots`; `None` if there are none.
    pub fn slot(self, slots: u8) -> Option<u8> {
        let index = self.0.wrapping_sub(1).checked_rem(u32::from(slots))?;
        u8::try_from(index).ok()
    }

    /// The smallest sequence above `floor` that names `slot` among `slots`; `None` if the numbers are used up.
    pub fn next(floor: Option<Self>, slot: u8, slots: u8) -> Option<Self> {
        let first = floor.map_or(1, |floor| floor.0.saturating_add(1));
        (first..=first.saturating_add(u32::from(slots)))
            .filter_map(Self::new)
            .find(|sequence| sequence.slot(slots) == Some(slot))
    }
}

impl EntryState {
    fn from_number(number: u32) -> Self {
        match number {
            0 => Self::New,
            1 => Self::PendingVerify,
            2 => Self::Valid,
            3 => Self::Invalid,
            4 => Self::Aborted,
            u32::MAX => Self::Undefined,
            other => Self::Unknown(other),
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::New => 0,
            Self::PendingVerify => 1,
            Self::Valid => 2,
            Self::Invalid => 3,
            Self::Aborted => 4,
            Self::Undefined => u32::MAX,
            Self::Unknown(other) => other,
        }
    }
}

impl Half {
    fn sector(self) -> u32 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(sequence: u32, state: EntryState) -> [u8; 32] {
        Entry::new(Sequence::new(sequence).unwrap(), state).to_bytes()
    }

    #[test]
    fn an_entry_has_the_bytes_of_esp_idf() {
        let bytes = entry(1, EntryState::Valid);

        assert_eq!(bytes[..4], [1, 0, 0, 0]);
        assert_eq!(bytes[24..], [2, 0, 0, 0, 0x9A, 0x98, 0x43, 0x47]);
    }

    #[test]
    fn the_highest_usable_sequence_is_followed() {
        let data = OtaData::parse(&entry(4, EntryState::Valid), &entry(5, EntryState::New));
        assert_eq!(data.selected().unwrap().1.sequence.get(), 5);

        let data = OtaData::parse(&entry(4, EntryState::Valid), &entry(5, EntryState::Aborted));
        assert_eq!(data.selected().unwrap().1.sequence.get(), 4);
        assert_eq!(data.spare(), Half::Second);
    }

    #[test]
    fn one_corrupt_entry_does_not_take_the_other_with_it() {
        let mut torn = entry(6, EntryState::New);
        torn[1] ^= 1;

        let data = OtaData::parse(&torn, &entry(5, EntryState::Valid));

        assert_eq!(
            data.selected(),
            Some((Half::Second, Entry::parse(&entry(5, EntryState::Valid)).unwrap()))
        );
        assert_eq!(data.spare(), Half::First);
    }

    #[test]
    fn switching_takes_the_smallest_later_sequence_of_the_slot() {
        let next = |floor: u32, slot, slots| Sequence::next(Sequence::new(floor), slot, slots).unwrap().get();

        assert_eq!(next(0, 0, 2), 1);
        assert_eq!(next(0, 1, 2), 2);
        assert_eq!(next(1, 0, 2), 3);
        assert_eq!(next(7, 0, 3), 10);
        assert_eq!(Sequence::next(Sequence::new(u32::MAX - 1), 0, 2), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_what_is_intact_survives_writing(
            first in proptest::collection::vec(any::<u8>(), 0..40),
            second in any::<[u8; 32]>(),
        ) {
            let data = OtaData::parse(&first, &second);
            if let Some((_, entry)) = data.selected() {
                prop_assert_eq!(Entry::parse(&entry.to_bytes()), Some(entry));
            }
        }
    }
}
