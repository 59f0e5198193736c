//! The watchdog: an Intel 6300ESB on the PCI bus (`-device i6300esb`), which resets the machine.

use crate::register::Register;

const CONFIGURATION: usize = 0x3000_0000;
/// Where its registers are put.
const REGISTERS: usize = 0x4000_0000;
const ID: u32 = 0x25AB_8086;
/// Devices on the bus.
const DEVICES: usize = 32;

const COMMAND: usize = 0x04;
const BASE_ADDRESS: usize = 0x10;
const SETTINGS: usize = 0x60;
const LOCK: usize = 0x68;
const MEMORY: u16 = 1 << 1;
const ENABLE: u8 = 1 << 1;
const BITTEN: u16 = 1 << 9;
/// A tick of the timers is 2^15 cycles of 33 MHz.
const TICKS_PER_SECOND: u32 = 1000;

/// The watchdog of a machine that has one.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    configuration: usize,
}

impl Watchdog {
    /// Looks for it.
    #[must_use]
    pub fn find() -> Option<Self> {
        let places = (0..DEVICES).map(|device| CONFIGURATION + (device << 15));
        // SAFETY: the configuration space of the bus.
        let configuration = places.into_iter().find(|at| unsafe { Register::<u32>::at(*at) }.read() == ID)?;
        Some(Self { configuration })
    }

    /// Whether it has caused a reset since this was last asked.
    #[must_use]
    pub fn has_bitten(&self) -> bool {
        self.map();
        // SAFETY: the register that says so, and forgets it when the bit is written.
        let reload = unsafe { Register::<u16>::at(REGISTERS + 0xC) };
        let has_bitten = reload.read() & BITTEN != 0;
        unlock();
        reload.write(BITTEN);
        has_bitten
    }

    /// Starts it: without a sign of life for so many seconds the machine is reset.
    pub fn arm(&self, seconds: u32) {
        self.map();
        // SAFETY: registers of the device.
        unsafe {
            // Two timers run one after the other, and no interrupt is wanted from the first.
            Register::<u16>::at(self.configuration + SETTINGS).write(0b11);
            for timer in [0, 4] {
                unlock();
                Register::<u32>::at(REGISTERS + timer).write(seconds * TICKS_PER_SECOND / 2);
            }
            Register::<u8>::at(self.configuration + LOCK).write(ENABLE);
        }
        feed();
    }

    fn map(&self) {
        // SAFETY: registers of the device.
        unsafe {
            Register::<u32>::at(self.configuration + BASE_ADDRESS).write(REGISTERS as u32);
            Register::<u16>::at(self.configuration + COMMAND).write(MEMORY);
        }
    }
}

/// Gives the watchdog the sign of life, after [`Watchdog::arm`].
pub fn feed() {
    unlock();
    // SAFETY: the register that starts its timers again.
    unsafe { Register::<u16>::at(REGISTERS + 0xC) }.write(1 << 8);
}

fn unlock() {
    // SAFETY: the register that takes the sequence.
    let reload = unsafe { Register::<u16>::at(REGISTERS + 0xC) };
    reload.write(0x80);
    reload.write(0x86);
}
