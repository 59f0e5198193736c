//! A boot loader: at each reset it starts one authentic image, and prints one line that says which and why.
//!
//! [`run`] reads the partition table, has [`buoy_ota::boot`] decide, arms the watchdog, copies the image's segments to where they
//! belong, and jumps. It verifies the hash and the signature of what it starts at every reset, counts the starts of an image that is not
//! confirmed, and goes back to a confirmed one. It allocates nothing. What depends on the chip is a [`Board`].
#![no_std]
#![forbid(unsafe_code)]

use core::fmt::{self, Write};

use buoy_ota::boot::{self, Attempts, BootDecision, BootError};
use buoy_ota::device::{Device, Identity};
use buoy_ota::image::ChipId;
use buoy_ota::partition::{PartitionTable, TABLE_LEN, TABLE_OFFSET};
use buoy_ota::signature::{PublicKey, TrustStore};
use buoy_ota::slots::Layout;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash as _};

pub use buoy_ota::slots::Slot;

/// Bytes of an image's header, and of each segment's.
const HEADER: u32 = 24;
const SEGMENT_HEADER: u32 = 8;

/// What the boot loader needs of a chip.
pub trait Board {
    /// Its flash.
    type Flash: NorFlash;
    /// Where the line goes.
    type Console: Write;
    /// Which images it runs.
    const CHIP: ChipId;
    /// Bytes of the flash that the partition table may speak of.
    const FLASH_LEN: u32;

    /// The flash.
    fn flash(&mut self) -> &mut Self::Flash;

    /// The console.
    fn console(&mut self) -> &mut Self::Console;

    /// Starts the watchdog: without a sign of life from the image there is a reset.
    fn arm_watchdog(&mut self);

    /// Copies `len` bytes of the flash from `from` to the memory at `address`, or leaves them where they are if they can run there. The
    /// image is authentic; `false` if its segment may not lie there all the same.
    fn load(&mut self, from: u32, address: u32, len: u32) -> bool;

    /// Starts what was loaded. The image is told its slot.
    fn start(&mut self, entry: u32, slot: Slot) -> !;

    /// Waits for a moment, and resets: a flash that failed once may work the next time.
    fn reset_later(&mut self) -> !;
}

/// Why nothing is started.
enum Obstacle {
    /// A key in the boot loader can't be used.
    Key,
    /// The flash can't be read.
    Flash,
    /// The partition table is damaged.
    Table,
    /// The partition table has no slots, or no state.
    Layout,
    Boot(BootError),
    /// A segment of the image belongs where no segment may lie.
    Segment(u32),
}

/// Starts an image. `trusted` are the release keys, each a SubjectPublicKeyInfo in DER.
pub fn run<B: Board>(board: &mut B, trusted: &[&[u8]]) -> ! {
    match prepare(board, trusted) {
        Ok((entry, slot)) => board.start(entry, slot),
        Err(obstacle) => {
            // Nobody may listen.
            let _ = obstacle.write_to(board.console());
            board.reset_later()
        }
    }
}

fn prepare<B: Board>(board: &mut B, trusted: &[&[u8]]) -> Result<(u32, Slot), Obstacle> {
    let mut trust = TrustStore::new();
    for spki in trusted {
        trust.trust(PublicKey::from_spki(spki).map_err(|_| Obstacle::Key)?).map_err(|_| Obstacle::Key)?;
    }
    let layout = layout(board)?;
    let identity = Identity::any(B::CHIP);
    let device = Device { layout: &layout, trust: &trust, identity: &identity };
    let decision = boot::decide(board.flash(), &device, Attempts::DEFAULT).map_err(Obstacle::Boot)?;
    let info = decision.image.info();
    // Nobody may listen.
    let _ = say(board.console(), &decision);
    board.arm_watchdog();
    let mut at = decision.image.region().offset().saturating_add(HEADER);
    for segment in info.segments.as_slice() {
        at = at.saturating_add(SEGMENT_HEADER);
        if !board.load(at, segment.load_address, segment.len) {
            return Err(Obstacle::Segment(segment.load_address));
        }
        at = at.saturating_add(segment.len);
    }
    Ok((info.entry, decision.slot()))
}

#[inline(never)]
fn layout<B: Board>(board: &mut B) -> Result<Layout, Obstacle> {
    let mut bytes = [0; TABLE_LEN];
    board.flash().read(TABLE_OFFSET, &mut bytes).map_err(|_| Obstacle::Flash)?;
    let mut table = PartitionTable::new();
    table.read(&bytes, B::FLASH_LEN).map_err(|_| Obstacle::Table)?;
    Layout::from_table(&table).map_err(|_| Obstacle::Layout)
}

fn say(console: &mut impl Write, decision: &BootDecision) -> fmt::Result {
    console.write_str("boot: starts version ")?;
    console.write_str(decision.image.info().descriptor.version.as_str())?;
    console.write_str(" in ")?;
    decision.slot().write_to(console)?;
    console.write_str(": ")?;
    decision.reason.write_to(console)?;
    console.write_str("\n")
}

/// Numbers and texts are written without the formatting of `core`, which takes a tenth of the memory for a boot loader.
impl Obstacle {
    fn write_to(&self, console: &mut impl Write) -> fmt::Result {
        console.write_str("boot: nothing starts: ")?;
        console.write_str(match self {
            Self::Key => "a release key in the boot loader can't be used",
            Self::Flash => "the flash can't be read",
            Self::Table => "the partition table is damaged",
            Self::Layout => "the partition table has no slots and state for updates",
            Self::Boot(BootError::NothingToStart) => "no slot holds an authentic image for this device",
            Self::Boot(_) => "the flash can't be read or written",
            Self::Segment(_) => "the image has a segment where none may lie: 0x",
        })?;
        if let Self::Segment(address) = self {
            write_hexadecimal(console, *address)?;
        }
        console.write_str("\n")
    }
}

fn write_hexadecimal(console: &mut impl Write, number: u32) -> fmt::Result {
    (0..8).rev().try_for_each(|place| {
        let digit = (number >> (4 * place)) as u8 & 0xF;
        console.write_char(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }))
    })
}
