//! Which device is at which place among the registrations of a shard.

use super::names::DeviceId;

/// The place of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its shard.
    pub(crate) shard: u8,
    /// The place among the registrations of the shard.
    pub(crate) index: u32,
}

/// Four bytes a place: the places of a shard are used again.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Vec<Option<DeviceId>>>);

impl Places {
    /// The device that was last said to be there. If its registration has ended, nothing is told of the place before another one is there.
    pub(super) fn get(&self, place: Place) -> Option<DeviceId> {
        *self.0.get(usize::from(place.shard))?.get(place.index as usize)?
    }

    /// A device is there from now on, or none.
    pub(super) fn set(&mut self, place: Place, id: Option<DeviceId>) {
        let (shard, index) = (usize::from(place.shard), place.index as usize);
        if shard >= self.0.len() {
            self.0.resize_with(shard + 1, Vec::new);
        }
        let Some(places) = self.0.get_mut(shard) else { return };
        if index >= places.len() {
            places.resize(index + 1, None);
        }
        if let Some(entry) = places.get_mut(index) {
            *entry = id;
        }
    }
}
