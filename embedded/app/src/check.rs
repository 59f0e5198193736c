//! The first lines of an application that another boot loader starts: is it the one to run?

use core::fmt::Write;

use buoy_ota::boot::Attempts;
use buoy_ota::device::{Device, Identity};
use buoy_ota::image::ChipId;
use buoy_ota::in_app::{self, Verdict};
use buoy_ota::partition::{PartitionTable, Role, TABLE_LEN, TABLE_OFFSET};
use buoy_ota::signature::{PublicKey, TrustStore};
use buoy_ota::slots::{Layout, Slot};
use embedded_storage::nor_flash::NorFlash;

/// What the chip is and where it runs from.
#[derive(Clone, Copy, Debug)]
pub struct Started<'a> {
    /// Which images it runs.
    pub chip: ChipId,
    /// Bytes of the flash that the partition table may speak of.
    pub flash_len: u32,
    /// Where in the flash the running image lies.
    pub offset: u32,
    /// The release key: a SubjectPublicKeyInfo in DER.
    pub release_key: &'a [u8],
}

/// Counts this start, authenticates the running image, and gives its slot. `None`: reset the chip, another image is to run, or the flash can't
/// be read at the moment.
pub fn check<F: NorFlash>(mut flash: F, started: &Started<'_>, console: &mut impl Write) -> Option<Slot> {
    let said = decide(&mut flash, started);
    // Nobody may listen.
    let _ = match &said {
        Ok((_, Verdict::Run(decision))) => {
            let version = decision.image.info().descriptor.version;
            write!(console, "boot: runs version {} in {}: ", version.as_str(), decision.slot())
                .and_then(|()| decision.reason.write_to(console))
                .and_then(|()| console.write_str("\n"))
        }
        Ok((running, Verdict::Restart { into })) => {
            writeln!(console, "boot: restarts into {into}: the image in {running} is not the one to run")
        }
        Err(why) => writeln!(console, "boot: nothing runs: {why}"),
    };
    match said {
        Ok((running, Verdict::Run(_))) => Some(running),
        _ => None,
    }
}

#[inline(never)]
fn decide<F: NorFlash>(flash: &mut F, started: &Started<'_>) -> Result<(Slot, Verdict), &'static str> {
    let mut bytes = [0; TABLE_LEN];
    flash.read(TABLE_OFFSET, &mut bytes).map_err(|_| "the flash can't be read")?;
    let table =
        PartitionTable::parse(&bytes, started.flash_len).map_err(|_| "the partition table is damaged")?;
    let layout =
        Layout::from_table(&table).map_err(|_| "the partition table has no slots and state for updates")?;
    let here = table.iter().find(|partition| partition.region.offset() == started.offset);
    let running = match here.map(|partition| partition.role) {
        Some(Role::Factory) => Slot::Factory,
        Some(Role::Ota(number)) => Slot::Ota(number),
        _ => return Err("the image runs from a place that is no slot"),
    };
    let mut trust = TrustStore::new();
    let key = PublicKey::from_spki(started.release_key).ok().and_then(|key| trust.trust(key).ok());
    key.ok_or("the release key in the image can't be used")?;
    let identity = Identity::any(started.chip);
    let device = Device { layout: &layout, trust: &trust, identity: &identity };
    let verdict = in_app::decide(flash, &device, Attempts::DEFAULT, running);
    verdict.map(|verdict| (running, verdict)).map_err(|error| match error {
        buoy_ota::boot::BootError::NothingToStart => "no slot holds an authentic image for this device",
        _ => "the flash can't be read or written",
    })
}
