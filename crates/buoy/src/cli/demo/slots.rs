//! The flash of a device as a picture: its three slots, which one runs, and how one fills.

use std::sync::{Mutex, PoisonError};

use buoy_ota::boot::BootReason;
use buoy_ota::slots::Slot;
use buoy_sim::device::DeviceEvent;

use super::screen::Paint;

/// Cells of a bar.
const BAR: u32 = 16;
const NAMES: [&str; 3] = ["factory", "ota_0", "ota_1"];

/// What is known of the slots, from what the device tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    contents: [Contents; 3],
    running: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Contents {
    #[default]
    Empty,
    /// So many of so many sixteenths of an image, or some bytes of an unknown number.
    Filling(Option<u32>),
    /// Whole, and verified.
    Verified,
    /// It was started, and calls itself so.
    Image(String),
    /// It was started, and given up.
    GivenUp(String),
}

impl Slots {
    fn take(&mut self, event: &DeviceEvent) {
        match event {
            DeviceEvent::Progress { bytes, total, slot } => {
                let contents = match total {
                    Some(total) if bytes >= total => Contents::Verified,
                    Some(total) => Contents::Filling(Some(scaled(*bytes, *total))),
                    None => Contents::Filling(None),
                };
                self.set(*slot, contents);
            }
            DeviceEvent::Boot { version, slot, reason } => {
                if let BootReason::RolledBack(given_up) = reason {
                    let version = given_up.version.as_ref().map_or("?", |version| version.as_str());
                    self.set(given_up.slot, Contents::GivenUp(version.to_owned()));
                }
                self.set(*slot, Contents::Image(version.clone()));
                self.running = Some(index(*slot));
            }
            // What was received is of no use.
            DeviceEvent::UpdateFailed { .. } => {
                for contents in &mut self.contents {
                    if matches!(contents, Contents::Filling(_) | Contents::Verified) {
                        *contents = Contents::Empty;
                    }
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, slot: Slot, contents: Contents) {
        if let Some(place) = self.contents.get_mut(index(slot)) {
            *place = contents;
        }
    }

    /// One line.
    pub(super) fn drawn(&self, paint: Paint) -> String {
        let slots = NAMES.iter().zip(&self.contents).enumerate().map(|(number, (name, contents))| {
            let is_running = self.running == Some(number);
            let picture = match contents {
                Contents::Empty => paint.dim("empty"),
                Contents::Filling(None) => paint.yellow("filling"),
                Contents::Filling(Some(filled)) => {
                    let (full, rest) = (*filled as usize, (BAR - filled) as usize);
                    paint.yellow(&format!("{}{}", "█".repeat(full), "░".repeat(rest)))
                }
                Contents::Verified => paint.yellow("whole, verified"),
                Contents::Image(version) if is_running => paint.green(&format!("▶ {version}")),
                Contents::Image(version) => version.clone(),
                Contents::GivenUp(version) => paint.red(&format!("✗ {version}")),
            };
            format!("{name} [{picture}]")
        });
        slots.collect::<Vec<_>>().join("  ")
    }
}

fn index(slot: Slot) -> usize {
    match slot {
        Slot::Factory => 0,
        Slot::Ota(number) => 1 + usize::from(number),
    }
}

fn scaled(bytes: u32, total: u32) -> u32 {
    let cells = u64::from(bytes) * u64::from(BAR) / u64::from(total.max(1));
    u32::try_from(cells).unwrap_or(BAR).min(BAR)
}

/// The slots of a device that runs meanwhile.
#[derive(Debug, Default)]
pub(super) struct Flash(Mutex<Slots>);

impl Flash {
    pub(super) fn take(&self, event: &DeviceEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(event);
    }

    pub(super) fn slots(&self) -> Slots {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(version: &str, slot: Slot) -> DeviceEvent {
        DeviceEvent::Boot { version: version.into(), slot, reason: BootReason::Confirmed }
    }

    #[test]
    fn a_slot_is_drawn_as_it_fills_until_its_image_runs() {
        let mut slots = Slots::default();
        slots.take(&boot("1.0.0", Slot::Factory));
        assert_eq!(slots.drawn(Paint::Plain), "factory [▶ 1.0.0]  ota_0 [empty]  ota_1 [empty]");
        let progress = |bytes| DeviceEvent::Progress { bytes, total: Some(64), slot: Slot::Ota(0) };
        slots.take(&progress(16));
        assert!(slots.drawn(Paint::Plain).contains("ota_0 [████░░░░░░░░░░░░]"));
        slots.take(&progress(64));
        assert!(slots.drawn(Paint::Plain).contains("ota_0 [whole, verified]"));
        slots.take(&boot("1.1.0", Slot::Ota(0)));
        assert_eq!(slots.drawn(Paint::Plain), "factory [1.0.0]  ota_0 [▶ 1.1.0]  ota_1 [empty]");
    }

    #[test]
    fn a_refused_image_leaves_its_slot_empty() {
        let mut slots = Slots::default();
        slots.take(&DeviceEvent::Progress { bytes: 5, total: None, slot: Slot::Ota(1) });
        assert!(slots.drawn(Paint::Plain).contains("ota_1 [filling]"));
        let result = buoy_client::firmware::UpdateResult::IntegrityCheckFailed;
        slots.take(&DeviceEvent::UpdateFailed { result, signatures: Vec::new() });
        assert!(slots.drawn(Paint::Plain).contains("ota_1 [empty]"));
    }
}
