//! What the application needs of a chip.

use core::fmt::Write;

use buoy_ota::image::ChipId;
use buoy_ota::slots::Slot;
use embedded_storage::nor_flash::NorFlash;
use smoltcp::phy::Device;

/// A chip with what is around it.
pub trait Board {
    /// Its flash. Values share the one flash: firmware and settings have one each, and use it in the same thread.
    type Flash: NorFlash + 'static;
    /// Its network: Ethernet frames.
    type Network: Device;
    /// Where lines for a person go.
    type Console: Write;
    /// Which images it runs.
    const CHIP: ChipId;
    /// Bytes of the flash that the partition table may speak of.
    const FLASH_LEN: u32;
    /// What it is, for object 3.
    const MODEL: &'static str;
    /// Seconds without [`Board::feed_watchdog`] after which the watchdog that the boot loader armed resets the chip.
    const PATIENCE: u32;
    /// The network bearer of object 4: 41 is Ethernet, 21 a wireless LAN.
    const BEARER: u8 = 41;
    /// Whether [`Board::sleep`] switches it off.
    const SLEEPS: bool = false;

    /// The flash.
    fn flash(&self) -> Self::Flash;

    /// The network.
    fn network(&mut self) -> &mut Self::Network;

    /// The address of the network's interface.
    fn hardware_address(&self) -> [u8; 6];

    /// The console.
    fn console(&mut self) -> &mut Self::Console;

    /// Milliseconds since the last reset.
    fn milliseconds(&self) -> u64;

    /// Random bytes that nobody can guess.
    fn seed(&mut self) -> [u8; 32];

    /// What the device has from its factory, as lines `name=value`; see the guide.
    fn factory_settings<'a>(&mut self, into: &'a mut [u8]) -> &'a [u8];

    /// Memory that outlives a reset: at least [`retained::LEN`](crate::retained::LEN) bytes.
    fn retained(&mut self) -> &mut [u8];

    /// Whether the watchdog has caused the last reset. Asked once.
    fn has_watchdog_bitten(&mut self) -> bool;

    /// Why the chip was reset, if it was neither the program's wish nor the watchdog; for an operator. Asked once.
    fn reset_cause(&mut self) -> Option<&'static str> {
        None
    }

    /// Gives the watchdog its sign of life.
    fn feed_watchdog(&mut self);

    /// Waits so long, or until there is something to do.
    fn wait(&mut self, milliseconds: u64);

    /// Switches all off but what outlives a reset, and starts again after so long. Asked only if [`Board::SLEEPS`].
    fn sleep(&mut self, milliseconds: u64) -> ! {
        self.wait(milliseconds);
        self.reset()
    }

    /// Whether somebody at the device asks it to forget everything, as by a button that is held.
    fn wants_factory_reset(&mut self) -> bool {
        false
    }

    /// The strength of the network's signal in dBm.
    fn signal_strength(&mut self) -> Option<i16> {
        None
    }

    /// The voltage of the battery in millivolts, and its level in per cent.
    fn battery(&mut self) -> Option<(i32, u8)> {
        None
    }

    /// Sets the light, in per cent.
    fn set_light(&mut self, level: u8);

    /// Degrees Celsius.
    fn temperature(&mut self) -> f64;

    /// Resets the chip.
    fn reset(&mut self) -> !;
}

/// The image that runs.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Where it lies, as the boot loader said.
    pub slot: Slot,
    /// Its app descriptor, which has its version.
    pub descriptor: &'a [u8; 256],
    /// The release key: a SubjectPublicKeyInfo in DER.
    pub release_key: &'a [u8],
}

impl<'a> Image<'a> {
    /// The version in the app descriptor.
    #[must_use]
    pub fn version(&self) -> &'a str {
        let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, rest @ ..] = self.descriptor;
        let field = rest.get(..32).unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        core::str::from_utf8(field.get(..end).unwrap_or_default()).unwrap_or("?")
    }
}
