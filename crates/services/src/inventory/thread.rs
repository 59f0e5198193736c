//! The thread of the inventory.

use std::borrow::Cow;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use buoy_coap::number::{Code, ContentFormat};
use buoy_lwm2m::operation::Downlink as Typed;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::OwnedValue;
use buoy_server::{Downlink, Durability, Intent, ObjectList, Outcome};
use buoy_store::{
    Change as StoreChange, ChangeSet, DeviceChange, DeviceRow, DocumentKind, NewSample, Sample, StoreError,
};

use super::model::{Model, Seed, Told};
use super::profile::{LastValue, Profile};
use super::survey::Survey;
use super::{Change, Inbox, Message, Place, Presence, Visits, object_ids};
use crate::app::App;
use crate::changes::sample;
use crate::documents;
use crate::journal::Saving;
use crate::values::{DeviceModels, present, timed};

/// How often it looks for rows to save and devices to query.
const TICK: Duration = Duration::from_millis(500);
/// Rows of devices that have left or were updated that are saved at a time,
const SOON_AT_ONCE: usize = 1000;
/// rows of other devices,
const SAVED_AT_ONCE: usize = 100;
/// and devices that are checked to find those.
const STEPS: usize = 20_000;
/// Devices that are checked at a time for being overdue: each of a million within half a minute.
const LOOKED_AT: usize = 20_000;
/// How long to wait for a device's description.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a device that did not answer is not queried again; milliseconds.
const LEFT_ALONE: u64 = 60 * 60 * 1000;
/// How often it begins to save values that came by reads: a device that is read each second costs a row in this time.
const READS_SAVED: Duration = Duration::from_secs(60);
/// The instance of object 3.
const DEVICE: Path = Path::instance(3, 0);
/// Its resource.
const FIRMWARE_VERSION: u16 = 3;

/// Readings that wait to be saved: more are left out of their series.
const MOST_READINGS: usize = 50_000;

/// What the thread does of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Whether devices are asked what they are.
    pub(crate) asks: bool,
    /// Whether values that came by reads are kept in series.
    pub(crate) keeps_reads: bool,
}

/// Starts the thread. `seeds` are the devices that were registered when the server started.
pub(crate) fn start(
    app: &Arc<App>,
    inbox: Inbox,
    seeds: Vec<Seed>,
    Habits { asks, keeps_reads }: Habits,
) -> std::io::Result<JoinHandle<()>> {
    let app = app.clone();
    app.failures.supervisor().spawn("inventory".into(), move || {
        let Saved { rows, profiles, habits, values } = saved(&app).map_err(std::io::Error::other)?;
        let mut model = Model::start(rows, seeds);
        model.started_at = u32::try_from(app.started_at / 1000).unwrap_or(u32::MAX);
        profiles.into_iter().for_each(|(name, profile)| model.set_profile(&name, Some(profile)));
        values.into_iter().for_each(|(name, path, value)| model.reported(&name, vec![(path, value)]));
        habits.into_iter().for_each(|(name, bits)| model.restore_habit(&name, bits));
        for name in app.credentials.revoked() {
            model.set_revoked(&name, true);
        }
        let survey = asks.then(Survey::default);
        let reads = Reads { readings: keeps_reads.then(Vec::new), ..Reads::default() };
        let thread = Thread { app, model, survey, cursor: None, reads, last_list: None, saving: None };
        thread.run(&inbox);
        Ok(())
    })
}

/// What the store knows of devices.
#[derive(Default)]
struct Saved {
    rows: Vec<DeviceRow>,
    profiles: Vec<(String, Arc<Profile>)>,
    habits: Vec<(String, u64)>,
    values: Vec<(Arc<str>, Path, LastValue)>,
}

/// What the store knows of devices. A database that goes away in this moment is waited for a while, as at the start.
fn saved(app: &App) -> Result<Saved, StoreError> {
    let read = || {
        let (mut saved, reader) = (Saved::default(), app.store.reader()?);
        reader.devices(&mut |row| saved.rows.push(row))?;
        let mut damaged = 0;
        reader.documents(DocumentKind::Device, "", &mut |row| match serde_json::from_slice(&row.body) {
            Ok(profile) => saved.profiles.push((row.name, Arc::new(profile))),
            Err(_) => damaged += 1,
        })?;
        // A habit that can't be read is learned anew.
        reader.documents(DocumentKind::Habit, "", &mut |row| {
            saved.habits.extend(serde_json::from_slice(&row.body).ok().map(|bits| (row.name, bits)));
        })?;
        reader.documents(DocumentKind::Values, "", &mut |row| {
            let name: Arc<str> = row.name.into();
            let values: Vec<(String, LastValue)> = serde_json::from_slice(&row.body).unwrap_or_default();
            let read = values.into_iter().filter_map(|(path, last)| Some((path.parse().ok()?, last)));
            saved.values.extend(read.map(|(path, last)| (name.clone(), path, last)));
        })?;
        if damaged > 0 {
            tracing::error!(damaged, "what was noted of devices cannot be read");
        }
        let mut last: Arc<str> = "".into();
        reader.last_samples(&mut |endpoint, path, at, value| {
            if &*last != endpoint {
                last = endpoint.into();
            }
            if let (Ok(path), Some(value)) = (path.parse(), LastValue::of(at, &value)) {
                saved.values.push((last.clone(), path, value));
            }
        })?;
        Ok(saved)
    };
    let began = Instant::now();
    loop {
        match read() {
            Err(error) if StoreError::may_pass(&error) && began.elapsed() < PATIENCE => {
                std::thread::sleep(TICK);
            }
            other => return other,
        }
    }
}

struct Thread {
    app: Arc<App>,
    model: Model,
    /// `None` if the survey is off.
    survey: Option<Survey>,
    /// Where the search for unsaved rows continues.
    cursor: Option<Arc<str>>,
    /// The saving of values that came by reads.
    reads: Reads,
    /// The list that was used last.
    last_list: Option<(Weak<ObjectList>, Arc<[u16]>)>,
    /// The commit of the rows that are being saved.
    saving: Option<Saving>,
}

/// The saving of values that came by reads.
#[derive(Default)]
struct Reads {
    /// When the last walk through the devices began.
    began: Option<Instant>,
    /// Whether it goes on.
    goes_on: bool,
    /// Where.
    cursor: Option<Arc<str>>,
    saving: Option<Saving>,
    /// What goes into series; `None` if nothing does.
    readings: Option<Vec<StoreChange<'static>>>,
}

impl Thread {
    fn run(mut self, inbox: &Inbox) {
        let mut next = Instant::now() + TICK;
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Changes(changes)) => {
                    let now = self.app.now();
                    changes.into_iter().for_each(|change| self.apply(now, change));
                }
                Ok(Message::Visits(Visits { shard, at, places })) => {
                    for index in places {
                        self.model.visited_from(Place { shard, index }, at);
                    }
                }
                Ok(Message::Updated(name, version)) => self.updated(&name, &version),
                Ok(Message::Doubted(name)) => self.look_again(&name),
                Ok(Message::Incidents(notices)) => {
                    let now = self.app.now();
                    notices.into_iter().for_each(|notice| self.model.enter(now, notice));
                }
                Ok(Message::Ask(question)) => question(&mut self.model),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return self.save_at_stop(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Also while there are always more messages.
            if Instant::now() >= next {
                next = Instant::now() + TICK;
                self.model.find_overdue(self.app.now(), LOOKED_AT);
                self.save_slice();
                self.save_readings();
                self.save_reads();
                self.take_answers();
                self.ask_devices();
                self.model.look(self.app.now());
            }
        }
    }

    fn apply(&mut self, now: u64, change: Change) {
        let touched = self.model.is_watched().then(|| change.device().clone());
        self.change(now, change);
        if let Some(name) = touched {
            self.model.touch_named(&name);
        }
    }

    fn change(&mut self, now: u64, change: Change) {
        match change {
            Change::Present(presence) => self.present(now, presence),
            Change::Left { name, registration, last_contact } => {
                if let Some(forgotten) = self.model.left(&name, registration, last_contact) {
                    let habit = documents::remove(DocumentKind::Habit, &forgotten);
                    let values = documents::remove(DocumentKind::Values, &forgotten);
                    let device = StoreChange::Device(DeviceChange::Remove { endpoint: forgotten });
                    self.save(vec![device, habit, values]);
                }
            }
            Change::Sleeps { name, is_asleep } => {
                self.model.sleeps(&name, is_asleep);
                if let Some(survey) = self.survey.as_mut().filter(|_| !is_asleep) {
                    survey.can_be_reached(&self.model, &name, now);
                }
            }
            Change::Heard { name, at } => self.model.heard(&name, at),
            Change::HasNewHabit(name) => self.model.has_new_habit(&name),
            Change::Reported { name, values } => {
                self.model.visited(&name, now);
                self.model.reported(&name, values);
            }
            Change::Answered { name, path, outcome } => {
                let samples = samples_of(&self.app, path, now, &outcome);
                self.keep(&name, now, &samples);
                let last =
                    samples.iter().filter_map(|(path, value)| Some((*path, LastValue::of(now, value)?)));
                self.model.was_told(&name, last.collect());
            }
            Change::Described { name, resource, text } => self.model.described(&name, resource, &text),
        }
    }

    fn present(&mut self, now: u64, presence: Presence) {
        // If the list is gone already, a later event has the newer one.
        let Some(objects) = self.object_ids(presence.objects.as_ref()) else { return };
        let Presence { name, registration, place, registered_at, is_proved, is_asleep, is_new, objects: _ } =
            presence;
        self.model.present(Seed {
            name: name.clone(),
            registration,
            place: Some(place),
            registered_at,
            last_contact: now,
            proved: is_proved,
            asleep: is_asleep,
            objects,
        });
        if is_new {
            self.model.booted(&name, now);
        }
        if let Some(survey) = self.survey.as_mut().filter(|_| is_new) {
            survey.registered(&mut self.model, &name, now);
        }
    }

    /// The object ids of a list. Most devices of a fleet have the same list as the device before.
    fn object_ids(&mut self, list: Option<&Weak<ObjectList>>) -> Option<Arc<[u16]>> {
        let is_known = |(last, _): &(Weak<ObjectList>, _)| list.is_none_or(|list| last.ptr_eq(list));
        if !self.last_list.as_ref().is_some_and(is_known) {
            self.last_list = list.and_then(|list| Some((list.clone(), object_ids(&*list.upgrade()?))));
        }
        self.last_list.as_ref().map(|(_, ids)| ids.clone())
    }

    /// Handles the end of an update: the device's description is outdated.
    fn updated(&mut self, name: &Arc<str>, version: &str) {
        self.model.described(name, FIRMWARE_VERSION, version);
        self.model.updated(name);
        self.model.touch_named(name);
        self.look_again(name);
    }

    /// Reads a device's description once more.
    fn look_again(&mut self, name: &Arc<str>) {
        if let Some(survey) = &mut self.survey {
            survey.updated(&mut self.model, name, self.app.now());
        }
    }

    /// Handles the answers of devices.
    fn take_answers(&mut self) {
        let Some(survey) = &mut self.survey else { return };
        let now = self.app.now();
        for (name, answer) in survey.answers() {
            if survey.is_outdated(&name) {
                survey.can_be_reached(&self.model, &name, now);
                continue;
            }
            let content = answer.as_ref().filter(|outcome| outcome.code == Code::CONTENT);
            let is_read = content.is_some_and(|content| read(&self.app, &mut self.model, &name, content));
            if is_read {
                self.model.was_read(&name, now);
            } else {
                self.model.ask_after(&name, now.saturating_add(LEFT_ALONE));
            }
        }
    }

    fn ask_devices(&mut self) {
        let Some(survey) = &mut self.survey else { return };
        if !survey.is_busy(&self.model) {
            return;
        }
        for name in survey.due(&self.model, self.app.now()) {
            let request = Downlink::of(&Typed::Read { path: DEVICE, accept: None }, "/");
            let (_, end) = self.app.submit(&name, request, Intent::Once, Durability::Transient, PATIENCE);
            survey.asked(&self.model, name, end);
        }
    }

    fn save_slice(&mut self) {
        if self.saving.as_mut().is_some_and(|saving| !saving.has_ended()) || !self.model.is_any_unsaved() {
            return;
        }
        let mut rows = self.model.take_soon(SOON_AT_ONCE);
        if rows.is_empty() {
            let (found, next) = self.model.take_unsaved(self.cursor.take(), STEPS, SAVED_AT_ONCE);
            self.cursor = next;
            rows = found;
        }
        if !rows.is_empty() {
            self.save_rows(rows);
        }
    }

    /// Notes values for their series, if they are kept there.
    fn keep(&mut self, name: &str, now: u64, samples: &[(Path, Sample)]) {
        let Some(readings) = &mut self.reads.readings else { return };
        let room = MOST_READINGS.saturating_sub(readings.len());
        readings.extend(samples.iter().take(room).map(|(path, value)| {
            let endpoint = Cow::Owned(name.to_owned());
            StoreChange::Sample(NewSample { endpoint, path: *path, at: now, value: value.clone() })
        }));
    }

    /// Saves the values that were noted, in one commit.
    fn save_readings(&mut self) {
        let Some(readings) = self.reads.readings.as_mut().filter(|readings| !readings.is_empty()) else {
            return;
        };
        let set = std::mem::take(readings);
        self.app.journal.commit_later(set);
    }

    /// Saves values that came by reads, a slice at a time: those that are reported are in their series already.
    fn save_reads(&mut self) {
        let is_due = self.reads.began.is_none_or(|began| began.elapsed() >= READS_SAVED);
        let is_busy = self.reads.saving.as_mut().is_some_and(|saving| !saving.has_ended());
        if is_busy || !(self.reads.goes_on || is_due) {
            return;
        }
        if !self.reads.goes_on {
            self.reads.began = Some(Instant::now());
        }
        let (found, next) = self.model.take_told(self.reads.cursor.take(), STEPS, SAVED_AT_ONCE);
        self.reads.goes_on = next.is_some();
        self.reads.cursor = next;
        if !found.is_empty() {
            self.reads.saving = Some(self.app.journal.commit_later(told_changes(found, self.app.now())));
        }
    }

    /// Saves devices that have left and descriptions. Registered devices are restored from their registrations at the next start.
    fn save_at_stop(&mut self) {
        self.save_readings();
        let (told, _) = self.model.take_told(None, usize::MAX, usize::MAX);
        for some in told.chunks(SOON_AT_ONCE) {
            self.save(told_changes(some.to_vec(), self.app.now()));
        }
        loop {
            let mut rows = self.model.take_soon(SOON_AT_ONCE);
            if rows.is_empty() {
                rows = self.model.take_described(SOON_AT_ONCE);
            }
            if rows.is_empty() {
                return;
            }
            self.save_rows(rows);
        }
    }

    /// Saves rows, with what was learned of when their devices come.
    fn save_rows(&mut self, rows: Vec<DeviceRow>) {
        let now = self.app.now();
        let mut set = ChangeSet::new();
        for row in rows {
            let habit = self.model.habit(&row.endpoint);
            set.extend(habit.map(|bits| documents::put(DocumentKind::Habit, &row.endpoint, &bits, now)));
            set.push(StoreChange::Device(DeviceChange::Put(row)));
        }
        self.save(set);
    }

    fn save(&mut self, set: ChangeSet<'static>) {
        self.saving = Some(self.app.journal.commit_later(set));
    }
}

/// The values of some devices, to be saved.
fn told_changes(all: Vec<Told>, now: u64) -> ChangeSet<'static> {
    let document = |(name, values): Told| {
        let values: Vec<_> = values.iter().map(|(path, last)| (path.to_string(), last)).collect();
        documents::put(DocumentKind::Values, &name, &values, now)
    };
    all.into_iter().map(document).collect()
}

/// The values that a device answered.
fn samples_of(app: &App, path: Path, now: u64, outcome: &Outcome) -> Vec<(Path, Sample)> {
    let format = outcome.format.unwrap_or(ContentFormat::TEXT);
    let entries =
        DeviceModels::of_any(&app.models).decode(format, path, &outcome.payload).unwrap_or_default();
    let present = present(timed(entries, now));
    let values = present.into_iter().filter_map(|entry| {
        let value = match sample(entry.value?) {
            // A text of a resource that has no definition, in a format without types.
            Sample::Opaque(bytes) => Sample::Text(String::from_utf8(bytes).ok()?),
            value => value,
        };
        Some((entry.path, value))
    });
    values.collect()
}

/// Records a device's description. Returns whether it could be decoded.
fn read(app: &App, model: &mut Model, name: &str, content: &Outcome) -> bool {
    let format = content.format.unwrap_or(ContentFormat::TLV);
    let Ok(entries) = DeviceModels::of_any(&app.models).decode(format, DEVICE, &content.payload) else {
        return false;
    };
    for entry in entries {
        if let (Some(resource), Some(OwnedValue::String(text))) = (entry.path.resource_id(), &entry.value) {
            model.described(name, resource, text);
        }
    }
    true
}
