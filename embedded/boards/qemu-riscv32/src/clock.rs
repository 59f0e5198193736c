//! The time since the last reset.

use crate::register::Register;

// SAFETY: the CLINT's registers.
const TIME_LOW: Register<u32> = unsafe { Register::at(0x0200_BFF8) };
// SAFETY: as above.
const TIME_HIGH: Register<u32> = unsafe { Register::at(0x0200_BFFC) };
// SAFETY: as above.
const COMPARE_LOW: Register<u32> = unsafe { Register::at(0x0200_4000) };
// SAFETY: as above.
const COMPARE_HIGH: Register<u32> = unsafe { Register::at(0x0200_4004) };

const TICKS_PER_MILLISECOND: u64 = 10_000;

/// Milliseconds since the last reset.
#[must_use]
pub fn milliseconds() -> u64 {
    ticks() / TICKS_PER_MILLISECOND
}

/// Waits for so many milliseconds, and not longer than until an interrupt is pending.
pub fn wait(milliseconds: u64) {
    let at = ticks() + milliseconds * TICKS_PER_MILLISECOND;
    COMPARE_HIGH.write(u32::MAX);
    COMPARE_LOW.write(at as u32);
    COMPARE_HIGH.write((at >> 32) as u32);
    // SAFETY: enables the timer's interrupt as a reason to wake up; with MIE of mstatus off none is taken.
    unsafe { core::arch::asm!("csrs mie, {0}", "wfi", in(reg) 1 << 7) };
}

/// Passes so many milliseconds, whatever happens meanwhile.
pub fn pause(milliseconds: u64) {
    // No division: that of 64 bits takes 400 bytes, and the boot loader has no other.
    let end = ticks() + milliseconds * TICKS_PER_MILLISECOND;
    while ticks() < end {}
}

fn ticks() -> u64 {
    loop {
        let high = TIME_HIGH.read();
        let low = TIME_LOW.read();
        if TIME_HIGH.read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}
