//! Pauses that differ from device to device.

use core::time::Duration;

/// A pause of so many seconds and up to a quarter more, by chance: devices that lost their server together don't come back together.
pub(super) fn spread(seconds: u64, chance: u32) -> Duration {
    let more = u64::from(chance).checked_rem(seconds.saturating_mul(250)).unwrap_or(0);
    Duration::from_millis(seconds.saturating_mul(1000).saturating_add(more))
}
