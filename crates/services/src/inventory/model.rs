//! The data of the inventory: all devices ordered by name, with their cohorts.

mod contacts;
mod search;
mod watch;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use buoy_api::DeviceState;
use buoy_fleet::filter::{Field, Filter};
use buoy_fleet::habit::Habit;
use buoy_lwm2m::path::Path;
use buoy_server::{RegistrationKey, Slab};
use buoy_store::{DeviceDescription, DeviceRow};

use super::cohorts::{CohortId, Cohorts, Kind};
use super::names::{DeviceId, Names, Order};
use super::places::{Place, Places};
use super::profile::{LastValue, Profile};
use crate::incidents::Incidents;
pub(crate) use watch::{Bits, Sightings};

/// The most lists of cohorts that are merged for a page. If more cohorts match, most devices do, and a walk through all devices is short.
const MOST_MERGED: usize = 256;
/// The most bytes that are stored of each resource of a device's description.
const LONGEST_TEXT: usize = 255;
/// The most records of devices that are not registered and have never authenticated, since anybody can register under any name.
const MOST_STRANGERS: usize = 10_000;

/// The most resources of a device of which the last value is kept in memory.
const MOST_VALUES: usize = 64;

/// A registered device.
#[derive(Debug)]
pub(crate) struct Seed {
    pub(crate) name: Arc<str>,
    pub(crate) registration: RegistrationKey,
    /// `None` if nothing is told of it by its place.
    pub(crate) place: Option<Place>,
    pub(crate) registered_at: u64,
    pub(crate) last_contact: u64,
    pub(crate) proved: bool,
    pub(crate) asleep: bool,
    pub(crate) objects: Arc<[u16]>,
}

#[cfg(test)]
impl Seed {
    pub(super) fn registered(name: &str, objects: &[u16]) -> Self {
        Self {
            name: name.into(),
            registration: RegistrationKey(1),
            place: None,
            registered_at: 1_000_000,
            last_contact: 1_000_000,
            proved: true,
            asleep: false,
            objects: objects.into(),
        }
    }
}

/// The data of one device.
#[derive(Debug)]
struct Known {
    details: Option<Box<Details>>,
    cohort: CohortId,
    /// Seconds since the epoch.
    first_contact: u32,
    /// Distinguishes its registrations, while it has one.
    registration: u32,
    /// Seconds since the epoch; 0 if it never was in contact.
    last_contact: u32,
    /// When it comes.
    habit: Habit,
    flags: u8,
}

/// Its row in the store is outdated.
const UNSAVED: u8 = 1;
/// It has a row in the store.
const HAS_ROW: u8 = 2;
/// It has authenticated.
const PROVED: u8 = 4;
/// Its description has to be read.
const WANTED: u8 = 8;
/// All its credentials are revoked.
const REVOKED: u8 = 16;
/// It has changed since it was last looked at for alerts.
const TOUCHED: u8 = 128;
/// It is out of service.
const RETIRED: u8 = 32;
/// It has values that came by reads and are not saved.
const TOLD: u8 = 64;

impl Known {
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Its state while it is not registered.
    fn away(&self) -> DeviceState {
        if self.is(RETIRED) {
            DeviceState::Retired
        } else if self.is(REVOKED) {
            DeviceState::Revoked
        } else {
            DeviceState::Offline
        }
    }
}

/// Fields of a device's description that are not in a filter.
#[derive(Clone, Debug, Default)]
struct Details {
    serial: Option<Box<str>>,
    hardware: Option<Box<str>>,
    software: Option<Box<str>>,
    read_at: Option<u64>,
    /// It is not queried again before this time.
    ask_after: u64,
    /// What operators noted of it.
    profile: Option<Arc<Profile>>,
    /// The last values of its resources, by path.
    values: Vec<(Path, LastValue)>,
}

/// A filter of devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceFilter {
    /// The beginning of the name.
    pub prefix: Option<String>,
    /// One of these states; any state if empty.
    pub states: Vec<DeviceState>,
    /// The manufacturer.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The firmware version.
    pub firmware: Option<String>,
    /// An object of the registration.
    pub object: Option<u16>,
    /// Also devices that are out of service.
    pub with_retired: bool,
    /// What else has to hold.
    pub matching: Option<Matching>,
}

/// A filter in the filter language, at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// The filter; its groups are resolved.
    pub filter: Filter,
    /// Now: milliseconds since the epoch.
    pub now: u64,
}

impl DeviceFilter {
    /// Whether the devices of a kind match; `None` if that depends on the device.
    fn fits(&self, kind: &Kind) -> Option<bool> {
        if !self.fits_plainly(kind) {
            return Some(false);
        }
        self.matching.as_ref().map_or(Some(true), |it| it.filter.holds(kind, it.now))
    }

    fn fits_plainly(&self, kind: &Kind) -> bool {
        let same = |wanted: &Option<String>, has: &Option<Arc<str>>| {
            wanted.as_ref().is_none_or(|wanted| has.as_deref() == Some(wanted.as_str()))
        };
        // What is out of service counts only for who asks for it.
        let is_in_question = self.with_retired
            || kind.state != DeviceState::Retired
            || self.matching.as_ref().is_some_and(|it| it.filter.uses(|field| *field == Field::State));
        (self.states.is_empty() && is_in_question || self.states.contains(&kind.state))
            && same(&self.manufacturer, &kind.manufacturer)
            && same(&self.model, &kind.model)
            && same(&self.firmware, &kind.firmware)
            && self.object.is_none_or(|object| kind.objects.binary_search(&object).is_ok())
    }

    fn is_for_all(&self) -> bool {
        *self == Self { prefix: self.prefix.clone(), ..Self::default() }
    }
}

/// The field by which devices are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountBy {
    /// The state.
    State,
    /// The manufacturer.
    Manufacturer,
    /// The model.
    Model,
    /// The firmware version.
    Firmware,
    /// The objects; a device counts for each of its objects.
    Object,
}

/// The record of a device in the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The endpoint name.
    pub endpoint: Arc<str>,
    /// Its state.
    pub state: DeviceState,
    /// Milliseconds since the epoch; 0 if it never was in contact.
    pub first_contact: u64,
    /// Milliseconds since the epoch, 0 if it never was in contact; while it is registered, the value in its registration may be newer.
    pub last_contact: u64,
    /// When it is expected next, if that is known; milliseconds since the epoch.
    pub next_contact: Option<u64>,
    /// After how long a silence it is overdue, if that is known; milliseconds.
    pub overdue_after: Option<u64>,
    /// Whether it has ever authenticated.
    pub proved: bool,
    /// Its description.
    pub description: DeviceDescription,
    /// What operators noted of it.
    pub profile: Option<Arc<Profile>>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    names: Names,
    /// By the numbers of the names; of one that is gone nothing counts.
    known: Slab<Known>,
    /// By the places of their registrations.
    places: Places,
    cohorts: Cohorts,
    /// The number of devices whose row has to be saved.
    unsaved: usize,
    /// The number of devices whose description has to be read.
    wanted: usize,
    /// The devices that are not registered and have never authenticated, with their last contact in seconds since the epoch.
    strangers: BTreeSet<(u32, Arc<str>)>,
    /// The devices whose row has to be saved soon: those that have left, of which there is no other record, and those that were updated.
    soon: VecDeque<Arc<str>>,
    /// What went wrong with devices of late.
    pub(super) incidents: Incidents,
    /// Before this time nobody could be heard; seconds since the epoch.
    pub(super) started_at: u32,
    /// Where the search for overdue devices continues.
    looked_at: usize,
    /// What alerts look for.
    watch: watch::Watch,
}

impl Model {
    /// The devices in the rows of the store, ordered by name, and the registered ones.
    pub(crate) fn start(rows: Vec<DeviceRow>, mut seeds: Vec<Seed>) -> Self {
        seeds.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut model = Self::default();
        let mut rows = rows.into_iter().peekable();
        for seed in seeds {
            while let Some(row) = rows.next_if(|row| *row.endpoint < *seed.name) {
                model.add_row(row, None);
            }
            match rows.next_if(|row| *row.endpoint == *seed.name) {
                Some(row) => model.add_row(row, Some(seed)),
                None => model.add_seed(seed),
            }
        }
        for row in rows {
            model.add_row(row, None);
        }
        for cohort in model.cohorts.unlisted() {
            model.list(cohort);
        }
        model
    }

    /// A registered device of which nothing was known.
    fn add_seed(&mut self, seed: Seed) {
        let Seed { name, registration, place, registered_at, last_contact, proved, asleep, objects } = seed;
        self.unsaved += 1;
        self.wanted += 1;
        let flags = UNSAVED | WANTED | if proved { PROVED } else { 0 };
        let contacts = Contacts { first: seconds(registered_at), last: seconds(last_contact) };
        let id = self.add(name, present(asleep, objects), contacts, tag(registration), flags);
        self.is_at(place, id);
    }

    fn add_row(&mut self, row: DeviceRow, seed: Option<Seed>) {
        let DeviceDescription { manufacturer, model, serial, firmware, hardware, software, read_at } =
            row.description;
        let is_proved = row.proved || seed.as_ref().is_some_and(|seed| seed.proved);
        let is_wanted = seed.is_some() && read_at.is_none();
        let place = seed.as_ref().and_then(|seed| seed.place);
        let of_registration = seed.as_ref().map_or(0, |seed| seconds(seed.last_contact));
        let last_contact = seconds(row.last_contact).max(of_registration);
        let (name, of_seed, registration) = match seed {
            Some(Seed { name, registration, asleep, objects, .. }) => {
                (name, present(asleep, objects), tag(registration))
            }
            None => (row.endpoint.into(), unregistered(DeviceState::Offline), 0),
        };
        if of_seed.state == DeviceState::Offline && !is_proved {
            self.strangers.insert((last_contact, name.clone()));
        }
        let kind = Kind {
            manufacturer: manufacturer.map(Into::into),
            model: model.map(Into::into),
            firmware: firmware.map(Into::into),
            ..of_seed
        };
        let details = Details {
            serial: serial.map(Into::into),
            hardware: hardware.map(Into::into),
            software: software.map(Into::into),
            read_at,
            ..Details::default()
        };
        let has_details = details.serial.is_some()
            || details.hardware.is_some()
            || details.software.is_some()
            || read_at.is_some();
        self.wanted += usize::from(is_wanted);
        let flags = HAS_ROW | if is_proved { PROVED } else { 0 } | if is_wanted { WANTED } else { 0 };
        let contacts = Contacts { first: seconds(row.first_contact), last: last_contact };
        let id = self.add(name, kind, contacts, registration, flags);
        self.is_at(place, id);
        if has_details && let Some(known) = self.known.get_mut(id.index()) {
            known.details = Some(Box::new(details));
        }
    }

    /// Adds a device without details.
    fn add(
        &mut self,
        name: Arc<str>,
        kind: Kind,
        Contacts { first: first_contact, last: last_contact }: Contacts,
        registration: u32,
        flags: u8,
    ) -> DeviceId {
        let id = self.names.add(name);
        let cohort = self.cohorts.join(&self.names, id, kind);
        let mut habit = Habit::default();
        habit.visit(last_contact);
        let known = Known { details: None, cohort, first_contact, registration, last_contact, habit, flags };
        match self.known.get_mut(id.index()) {
            Some(place) => *place = known,
            None => self.known.push(known),
        }
        id
    }

    /// The device at a place, if it is this one: most devices that register again have the place that they had.
    fn at(&self, place: Option<Place>, name: &str) -> Option<DeviceId> {
        self.places.get(place?).filter(|id| self.names.name(*id).is_some_and(|it| **it == *name))
    }

    fn is_at(&mut self, place: Option<Place>, id: DeviceId) {
        if let Some(place) = place {
            self.places.set(place, Some(id));
        }
    }

    fn find(&self, name: &str) -> Option<(DeviceId, &Known)> {
        let id = self.names.find(name)?;
        Some((id, self.known.get(id.index())?))
    }

    fn find_mut(&mut self, name: &str) -> Option<(DeviceId, &mut Known)> {
        let id = self.names.find(name)?;
        Some((id, self.known.get_mut(id.index())?))
    }

    /// Handles a Register, or an Update with an object list.
    pub(crate) fn present(&mut self, seed: Seed) {
        let Some(id) = self.at(seed.place, &seed.name).or_else(|| self.names.find(&seed.name)) else {
            return self.add_seed(seed);
        };
        self.is_at(seed.place, id);
        let Seed { name, registration, place: _, registered_at, last_contact, proved, asleep, objects } =
            seed;
        let Some(known) = self.known.get_mut(id.index()) else { return };
        let kind = self.cohorts.kind(known.cohort);
        if is_away(kind.state) && !known.is(PROVED) {
            self.strangers.remove(&(known.last_contact, name));
        }
        known.registration = tag(registration);
        known.last_contact = known.last_contact.max(seconds(last_contact));
        known.habit.visit(seconds(last_contact));
        if kind.state == DeviceState::NeverSeen {
            known.first_contact = seconds(registered_at);
            self.set(id, UNSAVED | WANTED, true);
        }
        let Some(known) = self.known.get_mut(id.index()) else { return };
        let kind = self.cohorts.kind(known.cohort);
        // Most devices that register again have not changed.
        let is_same = kind.state == awake_or(asleep) && kind.objects == objects;
        if proved && !known.is(PROVED) {
            self.set(id, PROVED | UNSAVED, true);
        }
        if !is_same {
            self.change_kind(id, |was| Kind { state: awake_or(asleep), objects, ..was });
        }
    }

    /// Handles the end of a registration; the device may have another one already. If there are too many devices that have never authenticated,
    /// the one with the oldest contact is removed. Returns its name if its row has to be removed, too.
    pub(crate) fn left(
        &mut self,
        name: &Arc<str>,
        registration: RegistrationKey,
        last_contact: u64,
    ) -> Option<String> {
        let id = self.names.find(name)?;
        let known = self.known.get_mut(id.index())?;
        if !self.cohorts.kind(known.cohort).state.is_registered() || known.registration != tag(registration) {
            return None;
        }
        let last_contact = seconds(last_contact);
        known.last_contact = last_contact;
        // What operators noted of a device outlasts all others.
        let is_noted = known.details.as_ref().is_some_and(|details| details.profile.is_some());
        let is_stranger = !known.is(PROVED) && !is_noted;
        let state = known.away();
        self.set(id, UNSAVED, true);
        self.soon.push_back(name.clone());
        self.change_kind(id, |was| Kind { state, objects: Arc::from([]), ..was });
        if !is_stranger {
            return None;
        }
        self.strangers.insert((last_contact, name.clone()));
        if self.strangers.len() <= MOST_STRANGERS {
            return None;
        }
        let (_, oldest) = self.strangers.pop_first()?;
        let has_row = self.find(&oldest).is_some_and(|(_, known)| known.is(HAS_ROW));
        self.forget(&oldest);
        has_row.then(|| oldest.to_string())
    }

    /// Records that a device in queue mode is awake, or asleep.
    pub(crate) fn sleeps(&mut self, name: &str, is_asleep: bool) {
        let Some(id) = self.names.find(name) else { return };
        self.change_kind(id, |was| match was.state {
            // The registration ended meanwhile.
            DeviceState::Offline | DeviceState::Revoked | DeviceState::NeverSeen | DeviceState::Retired => {
                was
            }
            // It is heard of before it is awake.
            DeviceState::Overdue if is_asleep => was,
            _ => Kind { state: awake_or(is_asleep), ..was },
        });
    }

    /// Records a resource of a device's object 3.
    pub(crate) fn described(&mut self, name: &str, resource: u16, text: &str) {
        let Some(id) = self.names.find(name) else { return };
        let Some(known) = self.known.get_mut(id.index()) else { return };
        let mut text = text.trim_end_matches('\0');
        if text.len() > LONGEST_TEXT {
            let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text = &text[..end];
        }
        let kind = self.cohorts.kind(known.cohort);
        let place = match resource {
            0 | 1 | 3 => {
                let has = match resource {
                    0 => &kind.manufacturer,
                    1 => &kind.model,
                    _ => &kind.firmware,
                };
                if has.as_deref() == Some(text) {
                    return;
                }
                let text = Some(Arc::from(text));
                self.set(id, UNSAVED, true);
                return self.change_kind(id, |was| match resource {
                    0 => Kind { manufacturer: text, ..was },
                    1 => Kind { model: text, ..was },
                    _ => Kind { firmware: text, ..was },
                });
            }
            2 => &mut known.details.get_or_insert_default().serial,
            18 => &mut known.details.get_or_insert_default().hardware,
            19 => &mut known.details.get_or_insert_default().software,
            _ => return,
        };
        if place.as_deref() != Some(text) {
            *place = Some(text.into());
            self.set(id, UNSAVED, true);
        }
    }

    /// Records that a device's description was read.
    pub(crate) fn was_read(&mut self, name: &str, at: u64) {
        let Some((id, known)) = self.find_mut(name) else { return };
        known.details.get_or_insert_default().read_at = Some(at);
        self.set(id, UNSAVED, true);
        self.set(id, WANTED, false);
    }

    /// Records that a device's description has to be read.
    pub(crate) fn want(&mut self, name: &str) {
        if let Some(id) = self.names.find(name) {
            self.set(id, WANTED, true);
        }
    }

    /// Records that a device did not answer, and when it may be queried again.
    pub(crate) fn ask_after(&mut self, name: &str, time: u64) {
        if let Some((_, known)) = self.find_mut(name) {
            known.details.get_or_insert_default().ask_after = time;
        }
    }

    /// Whether a device's description has to be read, and the device can be reached.
    pub(crate) fn can_be_asked(&self, name: &str, now: u64) -> bool {
        self.find(name).is_some_and(|(_, known)| self.is_to_be_asked(known, now))
    }

    fn is_to_be_asked(&self, known: &Known, now: u64) -> bool {
        let has_device_object = |objects: &[u16]| objects.is_empty() || objects.binary_search(&3).is_ok();
        let kind = self.cohorts.kind(known.cohort);
        known.is(WANTED)
            && kind.state == DeviceState::Online
            && has_device_object(&kind.objects)
            && known.details.as_ref().is_none_or(|details| details.ask_after <= now)
    }

    /// Whether a device has ever authenticated.
    pub(crate) fn is_proved(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, known)| known.is(PROVED))
    }

    /// When a device's description was last read.
    pub(crate) fn read_at(&self, name: &str) -> Option<u64> {
        self.find(name)?.1.details.as_ref()?.read_at
    }

    /// Whether the description of any device has to be read.
    pub(crate) fn is_any_wanted(&self) -> bool {
        self.wanted > 0
    }

    /// Whether the row of any device has to be saved.
    pub(crate) fn is_any_unsaved(&self) -> bool {
        self.unsaved > 0
    }

    /// Looks at up to `steps` devices after a name and returns up to `most` of which the description has to be read, with the name from
    /// which to continue; `None` at the end.
    pub(crate) fn to_be_asked(
        &self,
        from: Option<Arc<str>>,
        steps: usize,
        most: usize,
        now: u64,
    ) -> (Vec<Arc<str>>, Option<Arc<str>>) {
        let (found, next) = self.sweep(from, steps, most, |known| self.is_to_be_asked(known, now));
        (found.into_iter().filter_map(|id| self.names.name(id).cloned()).collect(), next)
    }

    /// The same for devices whose row has to be saved; they count as saved from now on.
    pub(crate) fn take_unsaved(
        &mut self,
        from: Option<Arc<str>>,
        steps: usize,
        most: usize,
    ) -> (Vec<DeviceRow>, Option<Arc<str>>) {
        let (found, next) = self.sweep(from, steps, most, |known| known.is(UNSAVED));
        (found.into_iter().filter_map(|id| self.take_row(id)).collect(), next)
    }

    /// Up to `most` unsaved rows of devices that have a description; they count as saved from now on.
    pub(crate) fn take_described(&mut self, most: usize) -> Vec<DeviceRow> {
        let is_wanted = |known: &Known| known.is(UNSAVED) && known.details.is_some();
        let (found, _) = self.sweep(None, usize::MAX, most, is_wanted);
        found.into_iter().filter_map(|id| self.take_row(id)).collect()
    }

    fn take_row(&mut self, id: DeviceId) -> Option<DeviceRow> {
        let row = self.row(id)?;
        self.set(id, UNSAVED, false);
        self.set(id, HAS_ROW, true);
        Some(row)
    }

    /// Records that a device was updated: its row is saved before most others.
    pub(crate) fn updated(&mut self, name: &Arc<str>) {
        if let Some(id) = self.names.find(name) {
            self.set(id, UNSAVED, true);
            self.soon.push_back(name.clone());
        }
    }

    /// Up to `most` unsaved rows that have to be saved soon; they count as saved from now on.
    pub(crate) fn take_soon(&mut self, most: usize) -> Vec<DeviceRow> {
        let mut rows = Vec::new();
        while rows.len() < most {
            let Some(name) = self.soon.pop_front() else { break };
            // It may have registered again, or be saved already.
            if let Some((id, known)) = self.find(&name)
                && known.is(UNSAVED)
            {
                rows.extend(self.take_row(id));
            }
        }
        rows
    }

    fn sweep(
        &self,
        from: Option<Arc<str>>,
        steps: usize,
        most: usize,
        is_wanted: impl Fn(&Known) -> bool,
    ) -> (Vec<DeviceId>, Option<Arc<str>>) {
        let start = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = Vec::new();
        let mut last = None;
        for (seen, id) in self.names.starting_at(start).enumerate() {
            if seen == steps || found.len() == most {
                return (found, last.and_then(|last| self.names.name(last)).cloned());
            }
            if self.known.get(id.index()).is_some_and(&is_wanted) {
                found.push(id);
            }
            last = Some(id);
        }
        (found, None)
    }

    /// Removes a device.
    pub(crate) fn forget(&mut self, name: &str) {
        let Some((id, known)) = self.find_mut(name) else { return };
        known.details = None;
        let (cohort, flags, last_contact) = (known.cohort, known.flags, known.last_contact);
        self.incidents.forget(name);
        if is_away(self.cohorts.kind(cohort).state)
            && let Some(name) = self.names.name(id)
        {
            self.strangers.remove(&(last_contact, name.clone()));
        }
        self.unsaved -= usize::from(flags & UNSAVED != 0);
        self.wanted -= usize::from(flags & WANTED != 0);
        // While its name is still there, by which lists are searched; and no list is made with it any more.
        let needs_list = self.cohorts.leave(&self.names, id, cohort);
        self.names.remove(id);
        if needs_list {
            self.list(cohort);
        }
    }

    /// One device.
    pub(crate) fn record(&self, name: &str) -> Option<DeviceRecord> {
        self.record_of(self.names.find(name)?)
    }

    fn record_of(&self, id: DeviceId) -> Option<DeviceRecord> {
        let (name, known) = (self.names.name(id)?, self.known.get(id.index())?);
        let kind = self.cohorts.kind(known.cohort);
        let owned = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let boxed = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let mut description = DeviceDescription {
            manufacturer: owned(&kind.manufacturer),
            model: owned(&kind.model),
            firmware: owned(&kind.firmware),
            ..DeviceDescription::default()
        };
        if let Some(details) = &known.details {
            description.serial = boxed(&details.serial);
            description.hardware = boxed(&details.hardware);
            description.software = boxed(&details.software);
            description.read_at = details.read_at;
        }
        Some(DeviceRecord {
            endpoint: name.clone(),
            state: kind.state,
            first_contact: u64::from(known.first_contact) * 1000,
            last_contact: u64::from(known.last_contact) * 1000,
            next_contact: known.habit.next_visit().map(|at| u64::from(at) * 1000),
            overdue_after: known.habit.overdue_after().map(|seconds| u64::from(seconds) * 1000),
            proved: known.is(PROVED),
            description,
            profile: known.details.as_ref().and_then(|details| details.profile.clone()),
        })
    }

    fn row(&self, id: DeviceId) -> Option<DeviceRow> {
        let DeviceRecord { endpoint, first_contact, last_contact, proved, description, .. } =
            self.record_of(id)?;
        Some(DeviceRow { endpoint: endpoint.to_string(), first_contact, last_contact, proved, description })
    }

    /// What operators noted of a device; one that is not known is expected from now on. Without a profile, a device that was only expected is
    /// gone.
    pub(crate) fn set_profile(&mut self, name: &str, profile: Option<Arc<Profile>>) {
        let id = match self.names.find(name) {
            Some(id) => id,
            None if profile.is_none() => return,
            None => {
                let contacts = Contacts { first: 0, last: 0 };
                self.add(name.into(), unregistered(DeviceState::NeverSeen), contacts, 0, 0)
            }
        };
        let is_gone = profile.is_none();
        let Some(known) = self.known.get_mut(id.index()) else { return };
        // From now on it is kept as long as its operators want.
        if !is_gone {
            self.strangers.remove(&(known.last_contact, name.into()));
        }
        let is_retired = profile.as_ref().is_some_and(|profile| profile.retired_at.is_some());
        if !is_gone || known.details.is_some() {
            known.details.get_or_insert_default().profile = profile;
        }
        self.set_retired(id, is_retired);
        let state = self.known.get(id.index()).map(|known| self.cohorts.kind(known.cohort).state);
        if is_gone && state == Some(DeviceState::NeverSeen) {
            self.forget(name);
        }
    }

    /// Records values that a device reported.
    pub(crate) fn reported(&mut self, name: &str, values: Vec<(Path, LastValue)>) {
        let Some((_, known)) = self.find_mut(name) else { return };
        let has = &mut known.details.get_or_insert_default().values;
        for (path, value) in values {
            match has.iter().position(|(known, _)| *known == path) {
                Some(place) if has[place].1.at <= value.at => has[place].1 = value,
                Some(_) => {}
                None if has.len() < MOST_VALUES => has.push((path, value)),
                None => {}
            }
        }
    }

    /// Records values that a device was asked for. They are saved later.
    pub(crate) fn was_told(&mut self, name: &str, values: Vec<(Path, LastValue)>) {
        if values.is_empty() {
            return;
        }
        self.reported(name, values);
        if let Some(id) = self.names.find(name) {
            self.set(id, TOLD, true);
        }
    }

    /// Of the next devices of [`Model::was_told`] the values, which are saved now, and where to go on.
    pub(crate) fn take_told(
        &mut self,
        from: Option<Arc<str>>,
        steps: usize,
        most: usize,
    ) -> (Vec<Told>, Option<Arc<str>>) {
        let (found, next) = self.sweep(from, steps, most, |known| known.is(TOLD));
        let mut told = Vec::new();
        for id in found {
            self.set(id, TOLD, false);
            let values = self.known.get(id.index()).and_then(|known| known.details.as_ref());
            told.extend(self.names.name(id).cloned().zip(values.map(|details| details.values.clone())));
        }
        (told, next)
    }

    /// The last values of a device.
    pub(crate) fn values(&self, name: &str) -> Vec<(Path, LastValue)> {
        let details = self.find(name).and_then(|(_, known)| known.details.as_ref());
        let mut values = details.map(|details| details.values.clone()).unwrap_or_default();
        values.sort_by_key(|(path, _)| *path);
        values
    }

    fn set_retired(&mut self, id: DeviceId, is_retired: bool) {
        if self.known.get(id.index()).is_none_or(|known| known.is(RETIRED) == is_retired) {
            return;
        }
        self.set(id, RETIRED, is_retired);
        let Some(known) = self.known.get(id.index()) else { return };
        let state = match known.away() {
            DeviceState::Offline if known.last_contact == 0 => DeviceState::NeverSeen,
            state => state,
        };
        self.change_kind(id, |was| if was.state.is_registered() { was } else { Kind { state, ..was } });
    }

    fn set(&mut self, id: DeviceId, flags: u8, on: bool) {
        let Some(known) = self.known.get_mut(id.index()) else { return };
        let before = known.flags;
        known.flags = if on { before | flags } else { before & !flags };
        for (flag, count) in [(UNSAVED, &mut self.unsaved), (WANTED, &mut self.wanted)] {
            match (before & flag != 0, known.flags & flag != 0) {
                (false, true) => *count += 1,
                (true, false) => *count -= 1,
                _ => {}
            }
        }
    }

    fn change_kind(&mut self, id: DeviceId, change: impl FnOnce(Kind) -> Kind) {
        let Some(known) = self.known.get_mut(id.index()) else { return };
        let old = known.cohort;
        let was = self.cohorts.kind(old).clone();
        let kind = change(was.clone());
        if kind == was {
            return;
        }
        known.cohort = self.cohorts.join(&self.names, id, kind);
        if self.cohorts.leave(&self.names, id, old) {
            self.list(old);
        }
    }

    fn list(&mut self, cohort: CohortId) {
        let is_member =
            |id: &DeviceId| self.known.get(id.index()).is_some_and(|known| known.cohort == cohort);
        let members = Order::of_sorted(self.names.starting_at(Bound::Unbounded).filter(is_member));
        self.cohorts.list(cohort, members);
    }
}

/// A device with its last values.
pub(crate) type Told = (Arc<str>, Vec<(Path, LastValue)>);

/// Whether a device was registered, and is not.
fn is_away(state: DeviceState) -> bool {
    matches!(state, DeviceState::Offline | DeviceState::Revoked | DeviceState::Retired)
}

/// The state of a registered device.
pub(crate) fn awake_or(is_asleep: bool) -> DeviceState {
    if is_asleep { DeviceState::Asleep } else { DeviceState::Online }
}

fn present(asleep: bool, objects: Arc<[u16]>) -> Kind {
    Kind { state: awake_or(asleep), objects, manufacturer: None, model: None, firmware: None }
}

fn unregistered(state: DeviceState) -> Kind {
    Kind { state, ..present(false, Arc::from([])) }
}

/// Seconds since the epoch.
#[derive(Clone, Copy, Debug)]
struct Contacts {
    first: u32,
    last: u32,
}

/// Distinguishes the registrations of one device.
fn tag(RegistrationKey(key): RegistrationKey) -> u32 {
    key as u32 ^ (key >> 32) as u32
}

/// Converts milliseconds to whole seconds.
fn seconds(millis: u64) -> u32 {
    u32::try_from(millis / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn add(model: &mut Model, name: &str, objects: &[u16]) {
        model.present(Seed::registered(name, objects));
    }

    fn names(model: &Model, filter: &DeviceFilter, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
        let (page, has_more) = model.page(filter, after, limit);
        (page.into_iter().map(|record| record.endpoint.to_string()).collect(), has_more)
    }

    fn all() -> DeviceFilter {
        DeviceFilter::default()
    }

    #[test]
    fn names_come_in_order_and_in_pages() {
        let mut model = Model::default();
        for name in ["b-2", "a", "b-10", "c", "b-1"] {
            add(&mut model, name, &[1, 3]);
        }
        let of_prefix = |prefix: &str| DeviceFilter { prefix: Some(prefix.into()), ..all() };
        let page = |filter, after, limit| names(&model, &filter, after, limit);
        assert_eq!(page(all(), None, 2), (vec!["a".into(), "b-1".into()], true));
        assert_eq!(page(all(), Some("b-1"), 9).0, ["b-10", "b-2", "c"]);
        assert_eq!(page(of_prefix("b-"), None, 2).0, ["b-1", "b-10"]);
        assert_eq!(page(of_prefix("b-"), Some("b-10"), 9).0, ["b-2"]);
        assert_eq!(page(of_prefix("b-1"), Some("a"), 9), (vec!["b-1".into(), "b-10".into()], false));
        assert_eq!(page(all(), Some("zz"), 9).0, [""; 0]);
        let model_of_b = DeviceFilter { object: Some(3), ..of_prefix("b-") };
        assert_eq!(page(model_of_b, Some("b-1"), 1), (vec!["b-10".into()], true));
    }

    #[test]
    fn filters_and_counts_follow_what_devices_are_and_say() {
        let mut model = Model::default();
        for (name, objects) in [("a", &[1, 3, 3303][..]), ("b", &[1, 3]), ("c", &[1, 3, 3303])] {
            add(&mut model, name, objects);
        }
        model.described("a", 1, "buoy-3\0");
        model.described("b", 1, "buoy-3");
        model.described("a", 3, "1.0.0");
        model.sleeps("b", true);
        model.left(&"c".into(), RegistrationKey(1), 2_000_000);
        let fitting = |filter: DeviceFilter| names(&model, &filter, None, 9).0;
        assert_eq!(fitting(DeviceFilter { model: Some("buoy-3".into()), ..all() }), ["a", "b"]);
        assert_eq!(fitting(DeviceFilter { object: Some(3303), ..all() }), ["a"]);
        assert_eq!(fitting(DeviceFilter { states: vec![DeviceState::Asleep], ..all() }), ["b"]);
        let not_online = vec![DeviceState::Asleep, DeviceState::Offline];
        assert_eq!(fitting(DeviceFilter { states: not_online, ..all() }), ["b", "c"]);
        assert_eq!(fitting(DeviceFilter { firmware: Some("2".into()), ..all() }), [""; 0]);

        let one = |value: &str, count| (Some(value.to_owned()), count);
        assert_eq!(
            model.counts(&all(), CountBy::State),
            [one("asleep", 1), one("offline", 1), one("online", 1)]
        );
        assert_eq!(model.counts(&all(), CountBy::Model), [one("buoy-3", 2), (None, 1)]);
        assert_eq!(model.counts(&all(), CountBy::Object), [one("1", 2), one("3", 2), one("3303", 1)]);
        let of_model = DeviceFilter { model: Some("buoy-3".into()), ..all() };
        assert_eq!(model.counts(&of_model, CountBy::Firmware), [(None, 1), one("1.0.0", 1)]);
    }

    /// State, model, and an object.
    type Plain = (DeviceState, Option<String>, u16);
    type Fits<'a> = &'a dyn Fn(&Plain) -> bool;

    /// Whatever happens, pages and counts are those of a list that is searched from its beginning to its end.
    #[test]
    fn pages_and_counts_are_those_of_a_plain_list() {
        use proptest::prelude::*;
        let event = (0..6u8, 0..3000u16, 0..5u16);
        let run = |events: Vec<(u8, u16, u16)>| {
            let mut model = Model::default();
            let mut plain = BTreeMap::<String, Plain>::new();
            let mut tag = 1;
            for (what, device, value) in events {
                let name = format!("d-{device}");
                match what {
                    0..=2 => {
                        tag += 1;
                        let registration = RegistrationKey(tag);
                        model.present(Seed { registration, ..Seed::registered(&name, &[3, value]) });
                        let entry = plain.entry(name).or_insert((DeviceState::Online, None, value));
                        (entry.0, entry.2) = (DeviceState::Online, value);
                    }
                    3 => {
                        model.sleeps(&name, value % 2 == 0);
                        if let Some(entry) = plain.get_mut(&name).filter(|it| it.0 != DeviceState::Offline) {
                            entry.0 = awake_or(value % 2 == 0);
                        }
                    }
                    4 => {
                        model.described(&name, 1, &format!("m{value}"));
                        if let Some(entry) = plain.get_mut(&name) {
                            entry.1 = Some(format!("m{value}"));
                        }
                    }
                    _ => {
                        model.forget(&name);
                        plain.remove(&name);
                    }
                }
            }
            let is_model = |entry: &Plain| entry.1.as_deref() == Some("m2");
            let filters: [(DeviceFilter, Fits<'_>); 4] = [
                (all(), &|_| true),
                (DeviceFilter { model: Some("m2".into()), ..all() }, &is_model),
                (DeviceFilter { states: vec![DeviceState::Asleep], ..all() }, &|it| {
                    it.0 == DeviceState::Asleep
                }),
                (DeviceFilter { object: Some(4), ..all() }, &|it| it.0 != DeviceState::Offline && it.2 == 4),
            ];
            for (filter, fits) in filters {
                let fitting: Vec<_> =
                    plain.iter().filter(|(_, it)| fits(it)).map(|(name, _)| name.clone()).collect();
                let behind: Vec<_> = fitting.iter().filter(|name| name.as_str() > "d-2").cloned().collect();
                assert_eq!(names(&model, &filter, None, usize::MAX - 1).0, fitting);
                assert_eq!(names(&model, &filter, Some("d-2"), 7).0, behind[..behind.len().min(7)]);
                let count: usize = model.counts(&filter, CountBy::State).iter().map(|(_, count)| count).sum();
                assert_eq!(count, fitting.len());
            }
        };
        let mut config = ProptestConfig::with_cases(24);
        config.failure_persistence = None;
        proptest!(config, |(events in prop::collection::vec(event, 0..6000))| run(events));
    }

    #[test]
    fn the_end_of_an_earlier_registration_says_nothing_of_a_later_one() {
        let mut model = Model::default();
        add(&mut model, "a", &[3]);
        model.present(Seed { registration: RegistrationKey(2), ..Seed::registered("a", &[3]) });
        model.left(&"a".into(), RegistrationKey(1), 9_000_000);
        assert_eq!(model.record("a").unwrap().state, DeviceState::Online);
        model.left(&"a".into(), RegistrationKey(2), 9_000_000);
        model.sleeps("a", false);
        let record = model.record("a").unwrap();
        assert_eq!((record.state, record.last_contact), (DeviceState::Offline, 9_000_000));
    }

    #[test]
    fn what_is_saved_comes_back() {
        let mut model = Model::default();
        for name in ["a", "b", "c"] {
            add(&mut model, name, &[3]);
        }
        for (resource, text) in [(0, "Ocean"), (1, "m"), (2, "s-1"), (3, "1.2"), (18, "rev b"), (19, "7")] {
            model.described("b", resource, text);
        }
        model.was_read("b", 5_000_000);
        model.left(&"c".into(), RegistrationKey(1), 7_000_000);
        let mut rows = model.take_soon(9);
        assert_eq!(rows.iter().map(|row| row.endpoint.as_str()).collect::<Vec<_>>(), ["c"]);
        let (found, next) = model.take_unsaved(None, 2, 9);
        rows.extend(found);
        rows.extend(model.take_unsaved(next, usize::MAX, 9).0);
        rows.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        assert!(!model.is_any_unsaved());
        assert_eq!(rows.len(), 3);

        let seeds = vec![Seed::registered("b", &[3]), Seed::registered("d", &[3])];
        let again = Model::start(rows, seeds);
        assert_eq!(names(&again, &all(), None, 9).0, ["a", "b", "c", "d"]);
        assert_eq!(again.record("b"), model.record("b"));
        assert_eq!(again.record("c"), model.record("c"));
        assert_eq!(again.record("a").unwrap().state, DeviceState::Offline);
        assert!(!again.can_be_asked("b", 0) && again.can_be_asked("d", 0));
    }

    #[test]
    fn strangers_that_left_are_forgotten_when_there_are_many() {
        let mut model = Model::default();
        for number in 0..=MOST_STRANGERS {
            let name = format!("s-{number}");
            model.present(Seed { proved: false, ..Seed::registered(&name, &[3]) });
            model.left(&name.as_str().into(), RegistrationKey(1), number as u64 * 1000);
        }
        add(&mut model, "proved", &[3]);
        model.left(&"proved".into(), RegistrationKey(1), 0);
        let counts = model.counts(&all(), CountBy::State);
        assert_eq!(counts, [(Some("offline".into()), MOST_STRANGERS + 1)]);
        assert!(model.record("s-0").is_none(), "the one that was not heard for the longest time");
        assert!(model.record(&format!("s-{MOST_STRANGERS}")).is_some());
    }
}
