//! The inventory of all devices that are registered or were.
//!
//! A thread owns the devices, ordered by name, with counts and lists for each filter. It gets the events of the shards and is rebuilt at
//! the start. It answers pages and counts without asking a shard, however many devices there are. Facts that outlast a registration (first
//! and last contact, the device's description) are saved in slices.

mod cohorts;
mod model;
mod names;
mod places;
mod profile;
mod survey;
pub(crate) mod thread;

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};

use buoy_api::DeviceState;
use buoy_coap::number::Code;
use buoy_fleet::filter::Filter;
use buoy_lwm2m::path::Path;
use buoy_server::{Event, ObjectList, Outcome, RegistrationKey, RegistrationNotice};
use tokio::sync::{Semaphore, oneshot};

use self::model::Model;
pub(crate) use self::model::{Bits, Seed, Sightings, awake_or};
pub use self::model::{CountBy, DeviceFilter, DeviceRecord, Matching};
pub(crate) use self::places::Place;
pub use self::profile::{Last, LastValue, Profile};
use crate::incidents::{Entry, Notice};

/// Questions that may look at each device and wait in the queue at a time.
const SEARCHES: usize = 2;

/// The longest answer whose values are remembered, in bytes: a larger one is a file.
const LONGEST_ANSWER: usize = 16 * 1024;

/// The handle of the inventory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inventory {
    thread: Sender<Message>,
    /// For questions that may look at each device: others wait for few of them only.
    searches: Arc<Semaphore>,
}

/// The thread's queue.
pub(crate) type Inbox = Receiver<Message>;

/// A message to the thread.
pub(crate) enum Message {
    Changes(Vec<Change>),
    /// Registered devices of a shard sent something by themselves, and nothing has changed but the time.
    Visits(Visits),
    /// An update has ended: the device runs this version now.
    Updated(Arc<str>, String),
    /// An update has ended otherwise: what the device says of itself may tell why.
    Doubted(Arc<str>),
    Incidents(Vec<Notice>),
    Ask(Box<dyn FnOnce(&mut Model) + Send>),
    Stop,
}

/// What happened to a device.
#[derive(Debug)]
pub(crate) enum Change {
    Present(Presence),
    Left {
        name: Arc<str>,
        registration: RegistrationKey,
        last_contact: u64,
    },
    Sleeps {
        name: Arc<str>,
        is_asleep: bool,
    },
    Described {
        name: Arc<str>,
        resource: u16,
        text: String,
    },
    /// It was heard; told now and then.
    Heard {
        name: Arc<str>,
        at: u64,
    },
    /// What was learned of when it comes does not hold any more.
    HasNewHabit(Arc<str>),
    Reported {
        name: Arc<str>,
        values: Vec<(Path, LastValue)>,
    },
    /// It answered what it was asked.
    Answered {
        name: Arc<str>,
        path: Path,
        outcome: Box<Outcome>,
    },
}

/// Which registered devices of a shard sent something by themselves. Updates are the most frequent events, so a device is named by its place
/// alone: the thread then has no name to look up.
#[derive(Debug)]
pub(crate) struct Visits {
    shard: u8,
    /// Of the last one.
    at: u64,
    places: Vec<u32>,
}

/// What went wrong with a device of late.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// It was the device.
    pub(crate) own: Vec<Entry>,
    /// It was somebody who gave its name, and proved nothing.
    pub(crate) claimed: Vec<Entry>,
    /// It was somebody at the address from which the device was last heard.
    pub(crate) neighbours: Vec<Entry>,
}

/// The part of a registration that the inventory needs.
#[derive(Debug)]
pub(crate) struct Presence {
    name: Arc<str>,
    registration: RegistrationKey,
    place: Place,
    registered_at: u64,
    is_proved: bool,
    is_asleep: bool,
    /// Whether the device has just registered.
    is_new: bool,
    /// `None` if it is the same as in the change before. This avoids changing a reference count that all threads share for each device.
    objects: Option<Weak<ObjectList>>,
}

impl Inventory {
    /// The handle of a thread that [`start`] starts.
    pub(crate) fn new() -> (Self, Inbox) {
        let (sender, inbox) = channel();
        (Self { thread: sender, searches: Arc::new(Semaphore::new(SEARCHES)) }, inbox)
    }

    /// Forwards the events of a shard that concern the inventory. Runs in the shard's thread.
    pub(crate) fn follow(&self, shard: u8, events: &[Event]) {
        let (mut last, mut changes) = (None, Vec::new());
        let mut visits = Visits { shard, at: 0, places: Vec::new() };
        for event in events {
            match event {
                Event::Updated { registration, changed } if !changed.objects && !changed.binding => {
                    visits.at = registration.last_contact;
                    visits.places.push(registration.place);
                }
                _ => changes.extend(Change::of(shard, event, &mut last)),
            }
        }
        if !changes.is_empty() {
            self.send(Message::Changes(changes));
        }
        if !visits.places.is_empty() {
            self.send(Message::Visits(visits));
        }
    }

    /// Forwards a reported resource of a device's object 3.
    pub(crate) fn described(&self, name: &Arc<str>, resource: u16, text: &str) {
        let change = Change::Described { name: name.clone(), resource, text: text.to_owned() };
        self.send(Message::Changes(vec![change]));
    }

    /// Forwards values that a device reported.
    pub(crate) fn reported(&self, name: &Arc<str>, values: Vec<(Path, LastValue)>) {
        self.send(Message::Changes(vec![Change::Reported { name: name.clone(), values }]));
    }

    /// Records what operators noted of devices. Queries that follow find it.
    pub(crate) fn set_profiles(&self, profiles: Vec<(String, Option<Arc<Profile>>)>) {
        self.send(Message::Ask(Box::new(move |model| {
            profiles.into_iter().for_each(|(name, profile)| model.set_profile(&name, profile));
        })));
    }

    /// Forwards what went wrong with devices.
    pub(crate) fn incidents(&self, notices: Vec<Notice>) {
        self.send(Message::Incidents(notices));
    }

    /// Records whether all credentials of a device are revoked.
    pub(crate) fn set_revoked(&self, name: &Arc<str>, is_revoked: bool) {
        let name = name.clone();
        self.send(Message::Ask(Box::new(move |model| model.set_revoked(&name, is_revoked))));
    }

    /// What went wrong with a device: as itself; as somebody who gave its name; and as a stranger from the address from which it was last heard.
    pub(crate) async fn troubles(&self, name: &str, ip: Option<IpAddr>) -> Troubles {
        let name = name.to_owned();
        self.ask(move |model| Troubles {
            own: model.incidents.of(&name),
            claimed: model.incidents.claiming(&name),
            neighbours: ip.map(|ip| model.incidents.from(ip)).unwrap_or_default(),
        })
        .await
    }

    /// Reports that a device was updated and runs this version now.
    pub(crate) fn updated(&self, name: &Arc<str>, version: &str) {
        self.send(Message::Updated(name.clone(), version.to_owned()));
    }

    /// Reports that a device went back to its old version.
    pub(crate) fn rolled_back(&self, name: &Arc<str>) {
        self.send(Message::Doubted(name.clone()));
    }

    /// Ends the thread after the messages that were sent before.
    pub(crate) fn stop(&self) {
        self.send(Message::Stop);
    }

    /// Devices that match, ordered by name, after a given name; and whether there are more.
    pub async fn page(
        &self,
        filter: DeviceFilter,
        after: Option<String>,
        limit: usize,
    ) -> (Vec<DeviceRecord>, bool) {
        self.select(filter, move |model, filter| model.page(filter, after.as_deref(), limit)).await
    }

    /// The number of matching devices for each value, the most frequent first. The filter's prefix is ignored.
    pub async fn counts(&self, filter: DeviceFilter, by: CountBy) -> Vec<(Option<String>, usize)> {
        self.select(filter, move |model, filter| model.counts(filter, by)).await
    }

    /// One device.
    pub async fn device(&self, name: &str) -> Option<DeviceRecord> {
        let name = name.to_owned();
        self.ask(move |model| model.record(&name)).await
    }

    /// What operators noted of some devices; `None` for those that are not known.
    pub(crate) async fn profiles(&self, names: Vec<String>) -> Vec<Option<Arc<Profile>>> {
        self.ask(move |model| {
            let profile = |name: &String| Some(model.record(name)?.profile.unwrap_or_default());
            names.iter().map(profile).collect()
        })
        .await
    }

    /// Some devices; `None` for those that are not known.
    pub(crate) async fn records(&self, names: Vec<Arc<str>>) -> Vec<Option<DeviceRecord>> {
        self.ask(move |model| names.iter().map(|name| model.record(name)).collect()).await
    }

    /// Some devices with their last values; `None` for those that are not known.
    pub(crate) async fn known(
        &self,
        names: Vec<Arc<str>>,
    ) -> Vec<Option<(DeviceRecord, Vec<(Path, LastValue)>)>> {
        self.ask(move |model| {
            names.iter().map(|name| Some((model.record(name)?, model.values(name)))).collect()
        })
        .await
    }

    /// The names of all devices that match, in their order.
    pub async fn matching(&self, filter: DeviceFilter) -> Vec<Arc<str>> {
        self.search(move |model| model.matching(&filter)).await
    }

    /// The number of devices that match.
    pub async fn count(&self, filter: DeviceFilter) -> usize {
        self.select(filter, move |model, filter| model.count(filter)).await
    }

    /// Whether one device matches.
    pub async fn is_match(&self, filter: DeviceFilter, name: &str) -> bool {
        let name = name.to_owned();
        self.ask(move |model| model.is_match(&filter, &name)).await
    }

    /// Looks from now on which devices match some filters, and when devices register.
    pub(crate) fn watch(
        &self,
        generation: u64,
        filters: Vec<Filter>,
        counts_boots: bool,
        sightings: &Arc<Sightings>,
    ) {
        let sightings = sightings.clone();
        self.send(Message::Ask(Box::new(move |model| {
            model.watch(generation, filters, counts_boots, &sightings);
        })));
    }

    /// Which of the filters of [`Inventory::watch`] match some devices.
    pub(crate) async fn watched(&self, names: Vec<Arc<str>>, now: u64) -> Vec<Bits> {
        self.search(move |model| model.watched(&names, now)).await
    }

    /// Whether each of some devices matches.
    pub(crate) async fn are_matches(&self, filter: DeviceFilter, names: Vec<Arc<str>>) -> Vec<bool> {
        self.search(move |model| model.are_matches(&filter, &names)).await
    }

    /// The last values of a device, by path.
    pub async fn values(&self, name: &str) -> Vec<(Path, LastValue)> {
        let name = name.to_owned();
        self.ask(move |model| model.values(&name)).await
    }

    /// Removes a device that is not registered. Returns its state; `None` if it was not known.
    pub(crate) async fn forget(&self, name: &str) -> Option<DeviceState> {
        let name = name.to_owned();
        self.ask(move |model| {
            let state = model.record(&name)?.state;
            if !state.is_registered() {
                model.forget(&name);
            }
            Some(state)
        })
        .await
    }

    /// A question about the devices of a filter.
    async fn select<T: Default + Send + 'static>(
        &self,
        filter: DeviceFilter,
        question: impl FnOnce(&mut Model, &DeviceFilter) -> T + Send + 'static,
    ) -> T {
        match filter.matching {
            Some(_) => self.search(move |model| question(model, &filter)).await,
            // The cohorts answer it.
            None => self.ask(move |model| question(model, &filter)).await,
        }
    }

    /// A question that may look at each device.
    async fn search<T: Default + Send + 'static>(
        &self,
        question: impl FnOnce(&mut Model) -> T + Send + 'static,
    ) -> T {
        // It is never closed.
        let _turn = self.searches.acquire().await;
        self.ask(question).await
    }

    async fn ask<T: Default + Send + 'static>(
        &self,
        question: impl FnOnce(&mut Model) -> T + Send + 'static,
    ) -> T {
        let (answer, wait) = oneshot::channel();
        self.send(Message::Ask(Box::new(move |model| {
            // The caller may have gone.
            if !answer.is_closed() {
                let _ = answer.send(question(model));
            }
        })));
        match wait.await {
            Ok(answer) => answer,
            // The server is stopping. An empty answer would be taken for the truth.
            Err(_) => std::future::pending().await,
        }
    }

    fn send(&self, message: Message) {
        // While the server stops there is no receiver.
        let _ = self.thread.send(message);
    }
}

impl Change {
    /// The device.
    fn device(&self) -> &Arc<str> {
        match self {
            Self::Present(Presence { name, .. })
            | Self::Left { name, .. }
            | Self::Sleeps { name, .. }
            | Self::Described { name, .. }
            | Self::Heard { name, .. }
            | Self::HasNewHabit(name)
            | Self::Answered { name, .. }
            | Self::Reported { name, .. } => name,
        }
    }

    fn of<'a>(shard: u8, event: &'a Event, last: &mut Option<&'a Weak<ObjectList>>) -> Option<Self> {
        Some(match event {
            Event::Registered { registration, .. } => {
                Self::Present(Presence::of(shard, registration, true, last))
            }
            Event::Updated { registration, .. } => {
                Self::Present(Presence::of(shard, registration, false, last))
            }
            // It has no reason to come before its next Update.
            Event::ObservationEnded { endpoint, .. } => Self::HasNewHabit(endpoint.clone()),
            Event::Deregistered(notice) | Event::Expired(notice) => Self::Left {
                name: notice.endpoint.clone(),
                registration: notice.key,
                last_contact: notice.last_contact,
            },
            Event::Awake(name) => Self::Sleeps { name: name.clone(), is_asleep: false },
            Event::Sleeping(name) => Self::Sleeps { name: name.clone(), is_asleep: true },
            // What it is asked is remembered, as what it reports unasked. It is read by the thread, not by the shard.
            Event::OperationEnded { endpoint, path, outcome: Ok(outcome), .. }
                if outcome.code == Code::CONTENT && outcome.payload.len() <= LONGEST_ANSWER =>
            {
                Self::Answered {
                    name: endpoint.clone(),
                    path: path.parse().ok()?,
                    outcome: Box::new(outcome.clone()),
                }
            }
            Event::Heard { endpoint, at } => Self::Heard { name: endpoint.clone(), at: *at },
            _ => return None,
        })
    }
}

impl Presence {
    fn of<'a>(
        shard: u8,
        notice: &'a RegistrationNotice,
        is_new: bool,
        last: &mut Option<&'a Weak<ObjectList>>,
    ) -> Self {
        let is_same = last.is_some_and(|last| last.ptr_eq(&notice.objects));
        *last = Some(&notice.objects);
        Self {
            name: notice.endpoint.clone(),
            registration: notice.key,
            place: Place { shard, index: notice.place },
            registered_at: notice.registered_at,
            is_proved: notice.session.is_some(),
            is_asleep: notice.asleep,
            is_new,
            objects: (!is_same).then(|| notice.objects.clone()),
        }
    }
}

/// The ids of the objects that a device has, in ascending order.
pub(crate) fn object_ids(objects: &ObjectList) -> Arc<[u16]> {
    let mut ids: Vec<u16> = objects.paths().filter_map(|path| path.object_id()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into()
}
