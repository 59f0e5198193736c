//! The order of segments in an image whose chip runs code from flash.
//!
//! The chip's cache maps the flash by pages of 64 KiB, so code and constants lie in the flash at the same place within a page as in memory
//! (ESP-IDF, "App Image Format"). What goes to RAM fills the gaps that this leaves, as far as there is any.

use crate::image::ChipId;

const PAGE: usize = 0x1_0000;
/// Bytes of an image's header, and of each segment's.
const HEADER: usize = 24;
const SEGMENT_HEADER: usize = 8;
/// What a boot loader passes over.
const NOWHERE: u32 = 0;

type Part = (u32, Vec<u8>);

/// Brings the segments of a program into the order of its image. The first one, which has the app descriptor, stays first.
pub(super) fn arrange(chip: ChipId, parts: Vec<Part>) -> Vec<Part> {
    let ranges = mapped_ranges(chip);
    let is_mapped = |address: u32| ranges.iter().any(|range| range.contains(&address));
    let (mapped, mut loaded): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|(address, _)| is_mapped(*address));
    if mapped.is_empty() {
        return loaded;
    }
    loaded.reverse();
    let mut arranged = Vec::new();
    let mut at = HEADER;
    for part in joined(mapped) {
        let mut gap = gap(at, part.0);
        while gap > 0 {
            let filler = filler(gap, &mut loaded);
            at = at.saturating_add(SEGMENT_HEADER).saturating_add(filler.1.len());
            arranged.push(filler);
            gap = self::gap(at, part.0);
        }
        at = at.saturating_add(SEGMENT_HEADER).saturating_add(part.1.len());
        arranged.push(part);
    }
    loaded.reverse();
    arranged.extend(loaded);
    arranged
}

/// Bytes to pass, headers and all, until a segment at `address` may begin with its header.
fn gap(at: usize, address: u32) -> usize {
    let wanted = address as usize % PAGE;
    let is = at.saturating_add(SEGMENT_HEADER) % PAGE;
    (wanted.saturating_add(PAGE).saturating_sub(is)) % PAGE
}

/// A segment that takes a gap, or its first part: of what goes to RAM, or of nothing.
fn filler(gap: usize, loaded: &mut Vec<Part>) -> Part {
    let Some(room) = gap.checked_sub(SEGMENT_HEADER) else {
        // Too narrow for a header: it is as well a page wider.
        return (NOWHERE, vec![0; gap.saturating_add(PAGE).saturating_sub(SEGMENT_HEADER)]);
    };
    if room == 0 {
        return (NOWHERE, Vec::new());
    }
    let Some((address, bytes)) = loaded.pop() else { return (NOWHERE, vec![0; room]) };
    // A rest that is too narrow for another header must not be left.
    let most = if bytes.len() > room {
        room
    } else if room.saturating_sub(bytes.len()) < SEGMENT_HEADER && bytes.len() != room {
        bytes.len().saturating_sub(SEGMENT_HEADER)
    } else {
        bytes.len()
    };
    let (now, later) = bytes.split_at(most);
    if !later.is_empty() {
        loaded.push((address.saturating_add(u32::try_from(most).unwrap_or(u32::MAX)), later.to_vec()));
    }
    if now.is_empty() { (NOWHERE, vec![0; room]) } else { (address, now.to_vec()) }
}

/// Parts that lie one behind the other in memory are one: a boot loader maps one of constants and one of code.
fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    for (address, bytes) in parts {
        match joined.last_mut() {
            Some((start, before)) if start.wrapping_add(before.len() as u32) == address => {
                before.extend(bytes)
            }
            _ => joined.push((address, bytes)),
        }
    }
    joined
}

/// Where a chip sees its flash: constants, and code.
fn mapped_ranges(chip: ChipId) -> Vec<core::ops::Range<u32>> {
    match chip {
        ChipId::ESP32 => vec![0x3F40_0000..0x3F80_0000, 0x400D_0000..0x4040_0000],
        ChipId::ESP32_C3 => vec![0x3C00_0000..0x3C80_0000, 0x4200_0000..0x4280_0000],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTOR: u32 = 0x3C00_0020;

    fn check(parts: &[(u32, usize)]) -> Vec<(u32, usize)> {
        let bytes = |(index, (address, len)): (usize, &(u32, usize))| (*address, vec![index as u8 + 1; *len]);
        let arranged = arrange(ChipId::ESP32_C3, parts.iter().enumerate().map(bytes).collect());
        let mut at = HEADER;
        for (address, bytes) in &arranged {
            at += SEGMENT_HEADER;
            if (0x3C00_0000..0x3C80_0000).contains(address) || (0x4200_0000..0x4280_0000).contains(address) {
                assert_eq!(at % PAGE, *address as usize % PAGE, "{address:#x} at {at:#x}");
            }
            at += bytes.len();
        }
        // Nothing is lost, and nothing comes twice.
        for (index, (_, len)) in parts.iter().enumerate() {
            let found = arranged.iter().flat_map(|(_, bytes)| bytes).filter(|byte| **byte == index as u8 + 1);
            assert_eq!(found.count(), *len);
        }
        arranged.iter().map(|(address, bytes)| (*address, bytes.len())).collect()
    }

    #[test]
    fn code_and_constants_lie_in_the_flash_as_in_memory_and_ram_fills_the_gap() {
        let arranged = check(&[
            (DESCRIPTOR, 256),
            (0x3C00_0120, 0x1_0000),
            (0x4038_0000, 0x8000),
            (0x4202_0020, 0x3_0000),
            (0x3FC8_9000, 0x2000),
        ]);
        assert_eq!(arranged[0], (DESCRIPTOR, 0x1_0100), "the descriptor and the constants behind it are one");
        assert!(arranged.len() <= 6, "{arranged:x?}");
    }

    #[test]
    fn a_gap_of_any_width_is_filled() {
        for constants in (0..0x1_0100).step_by(0x1FFC) {
            for ram in [0, 4, 8, 12, 0x3FF8, 0x4_0000] {
                check(&[
                    (DESCRIPTOR, 256),
                    (0x3C00_0120, constants),
                    (0x4038_0000, ram),
                    (0x4202_0020, 64),
                    (0x3FC8_0000, 12),
                ]);
            }
        }
        for rest in 0..40 {
            // The constants end so that the gap has just about the bytes of what goes to RAM.
            check(&[
                (DESCRIPTOR, 256),
                (0x3C00_0120, 0x1_0000 - 0x100 - 0x1000 + 4 * rest),
                (0x4038_0000, 0x1000 - 32),
                (0x4202_0020, 64),
            ]);
        }
    }

    #[test]
    fn a_chip_that_runs_from_ram_keeps_the_order() {
        let parts = vec![(0x8000_0000, vec![1; 256]), (0x8000_0100, vec![2; 64])];
        assert_eq!(arrange(ChipId(0xB0E0), parts.clone()), parts);
    }
}
