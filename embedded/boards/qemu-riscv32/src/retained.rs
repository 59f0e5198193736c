//! Memory that outlives a reset, and not a power cut.

/// Bytes of it.
pub const LEN: usize = 1024;
const AT: usize = 0x8070_0000;

/// The bytes.
///
/// # Safety
/// Nobody else has them.
#[must_use]
pub unsafe fn bytes() -> &'static mut [u8; LEN] {
    // SAFETY: neither program has anything else there.
    unsafe { &mut *(AT as *mut [u8; LEN]) }
}
