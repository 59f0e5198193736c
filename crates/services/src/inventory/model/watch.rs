//! Looks which devices match some filters, for alerts: at once those that changed, and all of them slowly, since some filters depend on the time.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use buoy_api::DeviceState;
use buoy_fleet::filter::{Field, Filter};

use super::super::names::DeviceId;
use super::search::Candidate;
use super::{DeviceFilter, Model, TOUCHED};

/// Filters that are tested in one look, at most so many for all devices together.
const MOST_TESTS: usize = 200_000;
/// Devices of one look that have not changed.
const MOST_DEVICES: usize = 10_000;

/// Which of the filters match a device, a bit for each.
pub(crate) type Bits = u128;

/// What was seen and is to be fetched. It holds the last state of each device once, so it does not grow while nobody fetches it.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Mutex<Seen>);

/// What was seen since the last time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Of which filters.
    pub(crate) generation: u64,
    /// The devices of which something has changed: what matches now, and what has changed.
    pub(crate) devices: HashMap<Arc<str>, (Bits, Bits)>,
    /// Whether all devices were looked at since the filters are these.
    pub(crate) is_complete: bool,
    /// When devices have registered, if that is wanted.
    pub(crate) boots: HashMap<Arc<str>, Vec<u64>>,
}

/// Registrations of a device that are remembered until they are fetched.
const MOST_BOOTS: usize = 32;

impl Sightings {
    /// What was seen since the last call.
    pub(crate) fn take(&self) -> Seen {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = seen.generation;
        std::mem::replace(&mut *seen, Seen { generation, ..Seen::default() })
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Watch {
    filters: Vec<Filter>,
    counts_boots: bool,
    /// Devices that match something.
    matching: HashMap<Arc<str>, Bits>,
    /// Devices that have changed, once each.
    touched: Vec<DeviceId>,
    /// Where the look at all devices goes on.
    cursor: Option<Arc<str>>,
    sightings: Arc<Sightings>,
}

impl Model {
    /// Looks for these filters from now on, and for registrations.
    pub(crate) fn watch(
        &mut self,
        generation: u64,
        filters: Vec<Filter>,
        counts_boots: bool,
        sightings: &Arc<Sightings>,
    ) {
        sightings.change(|seen| *seen = Seen { generation, ..Seen::default() });
        self.take_touched(usize::MAX);
        self.watch = Watch { filters, counts_boots, sightings: sightings.clone(), ..Watch::default() };
    }

    /// Which of the filters match some devices now.
    pub(crate) fn watched(&self, names: &[Arc<str>], now: u64) -> Vec<Bits> {
        names.iter().map(|name| self.bits(name, now)).collect()
    }

    /// Whether each of some devices matches.
    pub(crate) fn are_matches(&self, filter: &DeviceFilter, names: &[Arc<str>]) -> Vec<bool> {
        names.iter().map(|name| self.is_match(filter, name)).collect()
    }

    /// Whether anybody wants to know what changes.
    pub(crate) fn is_watched(&self) -> bool {
        !self.watch.filters.is_empty()
    }

    /// A device has changed.
    pub(crate) fn touch_named(&mut self, name: &str) {
        if let Some(id) = self.names.find(name) {
            self.touch(id);
        }
    }

    /// The same for a device by its number.
    pub(super) fn touch(&mut self, id: DeviceId) {
        let is_watched = self.is_watched();
        let Some(known) = self.known.get_mut(id.index()) else { return };
        if is_watched && !known.is(TOUCHED) {
            known.flags |= TOUCHED;
            self.watch.touched.push(id);
        }
    }

    /// Up to so many of the devices that have changed. One that was removed meanwhile has no name, or its number is another one's.
    fn take_touched(&mut self, most: usize) -> Vec<Arc<str>> {
        let ids = self.watch.touched.drain(..most.min(self.watch.touched.len()));
        let (known, names) = (&mut self.known, &self.names);
        let taken = ids.filter_map(|id| {
            known.get_mut(id.index())?.flags &= !TOUCHED;
            names.name(id).cloned()
        });
        taken.collect()
    }

    /// A device has registered.
    pub(crate) fn booted(&mut self, name: &Arc<str>, now: u64) {
        if !self.watch.counts_boots {
            return;
        }
        self.watch.sightings.change(|seen| {
            let boots = seen.boots.entry(name.clone()).or_default();
            if boots.len() < MOST_BOOTS {
                boots.push(now);
            }
        });
    }

    /// Looks at devices that have changed, and at as many others: neither waits for the other for ever.
    pub(crate) fn look(&mut self, now: u64) {
        if self.watch.filters.is_empty() {
            return;
        }
        let steps = (MOST_TESTS / self.watch.filters.len()).clamp(1, MOST_DEVICES);
        let mut names = self.take_touched(steps);
        let cursor = self.watch.cursor.take();
        let start = cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let touched = names.len();
        let others = self.names.starting_at(start).take(steps);
        names.extend(others.filter_map(|id| self.names.name(id).cloned()));
        let is_end = names.len() - touched < steps;
        if !is_end {
            self.watch.cursor = names.last().cloned();
        }
        if is_end {
            // Devices that are gone are in no walk.
            let gone = self.watch.matching.keys().filter(|name| self.names.find(name).is_none());
            names.extend(gone.cloned());
        }
        let mut changed = Vec::new();
        for name in names {
            let bits = self.bits(&name, now);
            let before = match bits {
                0 => self.watch.matching.remove(&name),
                bits => self.watch.matching.insert(name.clone(), bits),
            };
            if before.unwrap_or(0) != bits {
                changed.push((name, bits, before.unwrap_or(0) ^ bits));
            }
        }
        self.watch.sightings.change(|seen| {
            seen.is_complete |= is_end;
            for (name, bits, change) in changed {
                let place = seen.devices.entry(name).or_default();
                *place = (bits, place.1 | change);
            }
        });
    }

    fn bits(&self, name: &str, now: u64) -> Bits {
        let Some(id) = self.names.find(name) else { return 0 };
        let Some(candidate) = self.candidate(id) else { return 0 };
        let mut bits = 0;
        let is_retired = candidate.kind.state == DeviceState::Retired;
        for (place, filter) in self.watch.filters.iter().enumerate() {
            // What is out of service counts only for who asks for it.
            if is_retired && !filter.uses(|field| *field == Field::State) {
                continue;
            }
            if filter.holds(&candidate, now) == Some(true) {
                bits |= 1 << place;
            }
        }
        bits
    }

    fn candidate(&self, id: DeviceId) -> Option<Candidate<'_>> {
        let (name, known) = (self.names.name(id)?, self.known.get(id.index())?);
        Some(Candidate { name, known, kind: self.cohorts.kind(known.cohort), started_at: self.started_at })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Seed;
    use super::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| Filter::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_device_that_changes_is_seen_at_the_next_look_and_all_others_slowly() {
        let mut model = Model::default();
        let sightings = Arc::new(Sightings::default());
        for number in 0..25_000 {
            model.present(Seed::registered(&format!("d-{number:05}"), &[3]));
        }
        let looked_for = filters(&["name = \"d-24999\"", "state = asleep", "not seen for 1h"]);
        model.watch(7, looked_for, true, &sightings);
        let last: Arc<str> = "d-24998".into();
        model.sleeps(&last, true);
        model.touch_named(&last);
        model.look(2_000_000);
        let seen = sightings.take();
        assert_eq!((seen.generation, seen.is_complete), (7, false));
        assert_eq!(seen.devices.into_iter().collect::<Vec<_>>(), [(last.clone(), (2, 2))]);
        (0..2).for_each(|_| model.look(2_000_000));
        let seen = sightings.take();
        assert!(seen.is_complete);
        assert_eq!(seen.devices.into_iter().collect::<Vec<_>>(), [("d-24999".into(), (1, 1))]);

        // What depends on the time alone.
        (0..3).for_each(|_| model.look(1_000_000 + 3_700_000));
        let seen = sightings.take();
        assert_eq!((seen.devices.len(), seen.devices[&last]), (25_000, (6, 4)));
        assert_eq!(model.watched(&[last.clone(), "nobody".into()], 2_000_000), [2, 0]);

        // What changes back before it is fetched has changed all the same, and what is gone matches nothing.
        model.heard("d-00001", 4_000_000);
        model.forget("d-24999");
        (0..3).for_each(|_| model.look(1_000_000 + 3_700_000));
        let seen = sightings.take();
        assert_eq!(
            (seen.devices[&Arc::from("d-00001")], seen.devices[&Arc::from("d-24999")]),
            ((0, 4), (0, 5))
        );
        model.booted(&last, 5);
        assert_eq!(sightings.take().boots[&last], [5]);
    }
}
