//! Reset and power.

use crate::register::Register;

// SAFETY: the register of the test device.
const TEST: Register<u32> = unsafe { Register::at(0x0010_0000) };
const RESET: u32 = 0x7777;
const POWER_OFF: u32 = 0x5555;

/// Ends the machine.
pub fn power_off() -> ! {
    TEST.write(POWER_OFF);
    loop {
        core::hint::spin_loop();
    }
}

/// Resets the machine. Its memory keeps what it has.
pub fn reset() -> ! {
    TEST.write(RESET);
    loop {
        core::hint::spin_loop();
    }
}
