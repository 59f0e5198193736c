//! When devices are heard, which are overdue, and what goes wrong with them.

use std::sync::Arc;

use buoy_api::DeviceState;
use buoy_fleet::habit::Habit;

use super::super::cohorts::Kind;
use super::super::names::DeviceId;
use super::super::places::Place;
use super::{Known, Model, REVOKED, UNSAVED, is_away, seconds};
use crate::incidents::{Culprit, Notice};

impl Known {
    /// Since when it is overdue if it is not heard before; seconds since the epoch.
    pub(super) fn overdue_at(&self, started_at: u32) -> Option<u32> {
        let after = self.habit.overdue_after()?;
        Some(self.last_contact.max(started_at).saturating_add(after))
    }
}

impl Model {
    /// Records when a registered device was last heard: it may have answered.
    pub(crate) fn heard(&mut self, name: &str, at: u64) {
        let Some(id) = self.names.find(name) else { return };
        let Some(known) = self.registered(id) else { return };
        known.last_contact = known.last_contact.max(seconds(at));
        self.is_back(id);
    }

    /// The device, if it is registered as far as is known here: the last contact of one that is not is the key of a list.
    fn registered(&mut self, id: DeviceId) -> Option<&mut Known> {
        let known = self.known.get_mut(id.index())?;
        (!is_away(self.cohorts.kind(known.cohort).state)).then_some(known)
    }

    /// Records that a registered device has sent something by itself.
    pub(crate) fn visited(&mut self, name: &str, at: u64) {
        if let Some(id) = self.names.find(name) {
            self.visited_by(id, at);
        }
    }

    /// The same for the device at a place.
    pub(crate) fn visited_from(&mut self, place: Place, at: u64) {
        if let Some(id) = self.places.get(place) {
            self.visited_by(id, at);
            self.touch(id);
        }
    }

    fn visited_by(&mut self, id: DeviceId, at: u64) {
        let Some(known) = self.registered(id) else { return };
        known.last_contact = known.last_contact.max(seconds(at));
        known.habit.visit(seconds(at));
        if known.habit.is_to_be_saved() {
            self.set(id, UNSAVED, true);
        }
        self.is_back(id);
    }

    /// A device is not overdue any more.
    fn is_back(&mut self, id: DeviceId) {
        let Some(known) = self.known.get(id.index()) else { return };
        if self.cohorts.kind(known.cohort).state == DeviceState::Overdue {
            self.change_kind(id, |was| Kind { state: DeviceState::Online, ..was });
        }
    }

    /// What was learned of when a device comes does not hold any more.
    pub(crate) fn has_new_habit(&mut self, name: &str) {
        if let Some((_, known)) = self.find_mut(name) {
            known.habit.begin_anew();
        }
    }

    /// What was learned of when a device comes, for a record.
    pub(crate) fn habit(&self, name: &str) -> Option<u64> {
        let (_, known) = self.find(name)?;
        known.habit.interval().map(|_| known.habit.to_bits())
    }

    /// Continues with what was learned in the run before.
    pub(crate) fn restore_habit(&mut self, name: &str, bits: u64) {
        if let Some((_, known)) = self.find_mut(name) {
            known.habit = Habit::from_bits(bits, known.last_contact);
        }
    }

    /// Looks at up to `steps` devices for registered ones that are overdue. The next call continues there.
    pub(crate) fn find_overdue(&mut self, now: u64, steps: usize) {
        let now = seconds(now);
        let (start, count) = (self.looked_at, self.known.len());
        let end = start.saturating_add(steps).min(count);
        for index in start..end {
            let Some(known) = self.known.get(index) else { continue };
            // Of one that is gone nothing counts.
            if self.names.name(DeviceId::of_index(index)).is_none() {
                continue;
            }
            let is_late = known.overdue_at(self.started_at).is_some_and(|at| at <= now);
            let state = self.cohorts.kind(known.cohort).state;
            if is_late && matches!(state, DeviceState::Online | DeviceState::Asleep) {
                self.change_kind(DeviceId::of_index(index), |was| Kind {
                    state: DeviceState::Overdue,
                    ..was
                });
            }
        }
        self.looked_at = if end >= count { 0 } else { end };
    }

    /// Records whether all credentials of a device are revoked.
    pub(crate) fn set_revoked(&mut self, name: &Arc<str>, is_revoked: bool) {
        let Some(id) = self.names.find(name) else { return };
        self.set(id, REVOKED, is_revoked);
        let Some(state) = self.known.get(id.index()).map(Known::away) else { return };
        self.change_kind(id, |was| if is_away(was.state) { Kind { state, ..was } } else { was });
    }

    /// Records what went wrong with a device, or with a stranger.
    pub(crate) fn enter(&mut self, now: u64, notice: Notice) {
        let Notice { of, address, incident } = notice;
        let known = match &of {
            Culprit::Device(name) => Some(name.clone()),
            Culprit::Claims(name) => self.names.find(name).and_then(|id| self.names.name(id)).cloned(),
            Culprit::Nobody => None,
        };
        match (known, address) {
            (Some(name), _) => self.incidents.enter(now, &name, address, incident),
            (None, Some(address)) => self.incidents.enter_stranger(now, address, incident),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DeviceFilter, Seed};
    use super::*;

    const START: u64 = 1_000_000_000;

    /// A model with a device that has come each minute.
    fn each_minute(asleep: bool) -> (Model, u64) {
        let mut model = Model::default();
        let seed = Seed { asleep, registered_at: START, last_contact: START, ..Seed::registered("a", &[3]) };
        model.present(seed);
        (1..6).for_each(|turn| model.visited("a", START + turn * 60_000));
        (model, START + 5 * 60_000)
    }

    fn state(model: &Model) -> DeviceState {
        model.record("a").unwrap().state
    }

    #[test]
    fn a_device_that_does_not_come_as_usual_is_overdue_until_it_is_heard() {
        for asleep in [false, true] {
            let (mut model, last) = each_minute(asleep);
            let record = model.record("a").unwrap();
            assert_eq!(record.next_contact, Some(last + 60_000));
            let before = record.state;
            let overdue_after = record.overdue_after.unwrap();
            model.find_overdue(last + overdue_after - 1000, 10);
            assert_eq!(state(&model), before);
            model.find_overdue(last + overdue_after, 10);
            assert_eq!(state(&model), DeviceState::Overdue);
            let filter = DeviceFilter { states: vec![DeviceState::Overdue], ..DeviceFilter::default() };
            assert_eq!(model.count(&filter), 1);
            model.sleeps("a", true);
            assert_eq!(state(&model), DeviceState::Overdue);
            model.heard("a", last + overdue_after + 1000);
            assert_eq!(state(&model), DeviceState::Online);
        }
    }

    #[test]
    fn nobody_is_overdue_because_the_server_was_down() {
        let (mut model, last) = each_minute(false);
        model.started_at = seconds(last + 3_600_000);
        model.find_overdue(last + 3_610_000, 10);
        assert_eq!(state(&model), DeviceState::Online);
        model.find_overdue(last + 4_000_000, 10);
        assert_eq!(state(&model), DeviceState::Overdue);
    }

    #[test]
    fn an_answer_keeps_a_device_from_being_overdue_and_teaches_no_habit() {
        let (mut model, last) = each_minute(false);
        let next = model.record("a").unwrap().next_contact;
        for turn in 1..100 {
            model.heard("a", last + turn * 1000);
        }
        assert_eq!(model.record("a").unwrap().next_contact, next);
        model.find_overdue(last + 130_000, 10);
        assert_eq!(state(&model), DeviceState::Online);
    }

    #[test]
    fn a_device_that_has_left_is_revoked_if_its_credentials_are() {
        let (mut model, last) = each_minute(false);
        let name: Arc<str> = "a".into();
        model.set_revoked(&name, true);
        assert_eq!(state(&model), DeviceState::Online);
        model.left(&name, buoy_server::RegistrationKey(1), last);
        assert_eq!(state(&model), DeviceState::Revoked);
        model.set_revoked(&name, false);
        assert_eq!(state(&model), DeviceState::Offline);
    }

    #[test]
    fn a_habit_outlasts_a_restart() {
        let (model, last) = each_minute(false);
        let saved = model.habit("a").unwrap();
        let mut next = Model::default();
        next.present(Seed { registered_at: START, last_contact: last, ..Seed::registered("a", &[3]) });
        assert_eq!(next.record("a").unwrap().next_contact, None);
        next.restore_habit("a", saved);
        assert_eq!(next.record("a").unwrap().next_contact, model.record("a").unwrap().next_contact);
    }

    #[test]
    fn what_the_inventory_holds_of_a_device_takes_forty_bytes() {
        assert_eq!(size_of::<Known>(), 40);
    }
}
