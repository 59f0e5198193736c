//! Pauses that differ from device to device.

/// The milliseconds of a pause of so many seconds and up to a quarter more, by chance: devices that lost their server together don't come back together.
pub(super) fn spread(seconds: u64, chance: u32) -> u64 {
    let more = u64::from(chance).checked_rem(seconds.saturating_mul(250)).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(more)
}
