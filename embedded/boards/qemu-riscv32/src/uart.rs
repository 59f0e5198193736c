//! The console: a 16550A, of which only the transmitter is used.

use core::fmt;

use crate::register::Register;

// SAFETY: the UART's registers.
const DATA: Register<u8> = unsafe { Register::at(0x1000_0000) };
// SAFETY: as above.
const STATUS: Register<u8> = unsafe { Register::at(0x1000_0005) };
const IS_EMPTY: u8 = 1 << 5;

/// The console.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while STATUS.read() & IS_EMPTY == 0 {}
            DATA.write(byte);
        }
        Ok(())
    }
}
