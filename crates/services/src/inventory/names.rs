//! The names of all devices: each has a number, and the numbers are found by name and walked in the order of the names.
//!
//! The indexes hold four bytes for a device and compare the names themselves. A tree of names would hold 16 bytes, and would be searched
//! along some twenty names that lie anywhere in memory; most questions are of a device that is known, and are answered by its hash.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::sync::Arc;

use buoy_server::Slab;
use hashbrown::{DefaultHashBuilder, HashTable};

/// The most entries of a part of an [`Order`].
const PART: usize = 512;

/// The number of a device, valid until the device is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeviceId(NonZeroU32);

impl DeviceId {
    pub(super) const fn of_index(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Debug, Default)]
pub(super) struct Names {
    slots: Slab<Option<Arc<str>>>,
    free: Vec<DeviceId>,
    hasher: DefaultHashBuilder,
    by_hash: HashTable<DeviceId>,
    order: Order,
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<DeviceId> {
        self.by_hash.find(self.hasher.hash_one(name), |id| self.get(*id) == Some(name)).copied()
    }

    /// The name of a device that is there.
    pub(super) fn name(&self, id: DeviceId) -> Option<&Arc<str>> {
        self.slots.get(id.index())?.as_ref()
    }

    /// Adds a name that is not there.
    pub(super) fn add(&mut self, name: Arc<str>) -> DeviceId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            DeviceId::of_index(self.slots.len() - 1)
        });
        let hash = self.hasher.hash_one(&*name);
        if let Some(slot) = self.slots.get_mut(id.index()) {
            *slot = Some(name);
        }
        let Self { slots, hasher, by_hash, order, .. } = self;
        let name_of = |id: DeviceId| text(slots, id);
        by_hash.insert_unique(hash, id, |other| hasher.hash_one(name_of(*other)));
        order.insert(id, name_of);
        id
    }

    pub(super) fn remove(&mut self, id: DeviceId) {
        let Some(name) = self.name(id) else { return };
        let hash = self.hasher.hash_one(&**name);
        if let Ok(entry) = self.by_hash.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let Self { slots, order, .. } = self;
        order.remove(id, |id| text(slots, id));
        if let Some(slot) = self.slots.get_mut(id.index()) {
            *slot = None;
        }
        self.free.push(id);
    }

    /// The devices whose names lie behind a bound, in the order of the names.
    pub(super) fn starting_at(&self, start: Bound<&str>) -> impl Iterator<Item = DeviceId> + use<'_> {
        self.order.starting_at(start, |id| text(&self.slots, id))
    }

    /// Those of a list that was made with these names.
    pub(super) fn in_list<'a>(
        &'a self,
        list: &'a Order,
        start: Bound<&str>,
    ) -> impl Iterator<Item = DeviceId> + use<'a> {
        list.starting_at(start, |id| text(&self.slots, id))
    }

    /// Puts a device into a list.
    pub(super) fn insert_into(&self, list: &mut Order, id: DeviceId) {
        list.insert(id, |id| text(&self.slots, id));
    }

    /// Takes a device that is still there out of a list.
    pub(super) fn remove_from(&self, list: &mut Order, id: DeviceId) {
        list.remove(id, |id| text(&self.slots, id));
    }

    fn get(&self, id: DeviceId) -> Option<&str> {
        self.name(id).map(|name| &**name)
    }
}

/// The name of a device; one that is gone has none, and is in no index.
fn text(slots: &Slab<Option<Arc<str>>>, id: DeviceId) -> &str {
    slots.get(id.index()).and_then(Option::as_deref).unwrap_or_default()
}

/// Devices in the order of their names, in parts of bounded length: to insert one moves one part.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// None is empty.
    parts: Vec<Vec<DeviceId>>,
}

impl Order {
    /// Of devices that are in order.
    pub(super) fn of_sorted(sorted: impl Iterator<Item = DeviceId>) -> Self {
        let mut order = Self::default();
        sorted.for_each(|id| order.push(id));
        order
    }

    fn push(&mut self, id: DeviceId) {
        match self.parts.last_mut() {
            Some(last) if last.len() < PART => last.push(id),
            _ => self.parts.push(vec![id]),
        }
    }

    fn insert<'a>(&mut self, id: DeviceId, name_of: impl Fn(DeviceId) -> &'a str) {
        let name = name_of(id);
        // Names that come in order fill their parts.
        let last = self.parts.last().and_then(|last| last.last());
        if last.is_none_or(|last| name_of(*last) < name) {
            return self.push(id);
        }
        let number = self.part_of(name, &name_of);
        let part = &mut self.parts[number];
        let place = part.partition_point(|other| name_of(*other) < name);
        part.insert(place, id);
        if part.len() > PART {
            let rest = part.split_off(PART / 2);
            part.shrink_to(PART / 2);
            self.parts.insert(number + 1, rest);
        }
    }

    fn remove<'a>(&mut self, id: DeviceId, name_of: impl Fn(DeviceId) -> &'a str) {
        if self.parts.is_empty() {
            return;
        }
        let name = name_of(id);
        let number = self.part_of(name, &name_of);
        let part = &mut self.parts[number];
        let place = part.partition_point(|other| name_of(*other) < name);
        if part.get(place) == Some(&id) {
            part.remove(place);
            if part.is_empty() {
                self.parts.remove(number);
            }
        }
    }

    fn starting_at<'a, F: Fn(DeviceId) -> &'a str>(
        &'a self,
        start: Bound<&str>,
        name_of: F,
    ) -> impl Iterator<Item = DeviceId> + use<'a, F> {
        let is_before = |id: DeviceId| match start {
            Bound::Unbounded => false,
            Bound::Included(start) => name_of(id) < start,
            Bound::Excluded(start) => name_of(id) <= start,
        };
        let number = self.parts.partition_point(|part| part.last().is_some_and(|last| is_before(*last)));
        let place = self.parts.get(number).map_or(0, |part| part.partition_point(|id| is_before(*id)));
        let (first, others) = match self.parts.get(number..) {
            Some([first, others @ ..]) => (&first[place..], others),
            _ => (&[][..], &[][..]),
        };
        first.iter().chain(others.iter().flatten()).copied()
    }

    /// The part that holds a name, or into which it belongs. There is one at least.
    fn part_of<'a>(&self, name: &str, name_of: &impl Fn(DeviceId) -> &'a str) -> usize {
        let behind = |part: &Vec<DeviceId>| {
            part.first().is_some_and(|first| name_of(*first).cmp(name) != Ordering::Greater)
        };
        self.parts.partition_point(behind).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng as _, SeedableRng as _};
    use std::collections::BTreeMap;

    /// Names come and go at random; a tree says what is right.
    #[test]
    fn names_are_found_and_walked_in_order_whatever_comes_and_goes() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut names = Names::default();
            let mut tree = BTreeMap::new();
            for _ in 0..6000 {
                let name = format!("b-{}", rng.next_u32() % 3000);
                match tree.get(&name) {
                    None => {
                        tree.insert(name.clone(), names.add(name.into()));
                    }
                    Some(id) if rng.next_u32() % 3 == 0 => {
                        names.remove(*id);
                        tree.remove(&name);
                    }
                    Some(id) => assert_eq!(names.find(&name), Some(*id)),
                }
            }
            assert!(names.starting_at(Bound::Unbounded).eq(tree.values().copied()));
            for start in ["", "b-1", "b-1999", "b-2", "b-9999", "z"] {
                let walked = names.starting_at(Bound::Excluded(start));
                let right = tree.range::<str, _>((Bound::Excluded(start), Bound::Unbounded));
                assert!(walked.eq(right.map(|(_, id)| *id)), "{start}");
                let walked = names.starting_at(Bound::Included(start));
                assert!(walked.eq(tree.range(start.to_owned()..).map(|(_, id)| *id)), "{start}");
            }
            assert_eq!(names.find("c"), None);
            let all: Vec<_> = names.starting_at(Bound::Unbounded).collect();
            all.into_iter().for_each(|id| names.remove(id));
            assert_eq!((names.starting_at(Bound::Unbounded).count(), names.order.parts.len()), (0, 0));
        }
    }

    #[test]
    fn names_that_come_in_order_fill_their_parts() {
        let mut names = Names::default();
        for number in 0..PART * 4 {
            names.add(format!("{number:06}").into());
        }
        assert_eq!(names.order.parts.len(), 4);
    }
}
