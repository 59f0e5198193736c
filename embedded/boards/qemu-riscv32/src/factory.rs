//! What comes with the machine: QEMU's generic loader puts it into memory at each reset.
//!
//! Settings: `-device loader,file=FILE,addr=0x80701000,force-raw=on`. How many times faster than time the clock runs:
//! `-device loader,addr=0x80702000,data=NUMBER,data-len=4`.

use crate::register::Register;

const SETTINGS: usize = 0x8070_1000;
const SPEED: usize = 0x8070_2000;

/// The settings, which end at the first byte of zero, as far as there is room.
pub fn settings(into: &mut [u8]) -> &[u8] {
    let mut length = 0;
    for (place, at) in into.iter_mut().zip(SETTINGS..SPEED) {
        // SAFETY: memory that no program has.
        *place = unsafe { Register::<u8>::at(at) }.read();
        if *place == 0 {
            break;
        }
        length += 1;
    }
    into.get(..length).unwrap_or_default()
}

/// How many times faster than time the clock runs, to try what takes long; 1 unless QEMU's command line says otherwise.
#[must_use]
pub fn speed() -> u32 {
    // SAFETY: memory that no program has.
    unsafe { Register::<u32>::at(SPEED) }.read().max(1)
}
