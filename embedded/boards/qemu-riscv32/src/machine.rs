//! Reset and power.

use crate::register::Register;

// SAFETY: the register of the test device.
const TEST: Register<u32> = unsafe { Register::at(0x0010_0000) };
const RESET: u32 = 0x7777;

/// Resets the machine. Its memory keeps what it has.
pub fn reset() -> ! {
    TEST.write(RESET);
    loop {
        core::hint::spin_loop();
    }
}
