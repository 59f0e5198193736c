//! Desired state: finds the devices that each desired state is for, asks those that can be reached, and saves how far they are.
//!
//! A device is asked when it has registered, when it has been heard of and something is open, when it reports another value than wanted, and
//! when what is wanted of it changes. A sweep finds what was missed, and devices that come to match or no longer do.

mod asking;
pub mod commands;
pub(crate) mod state;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buoy_fleet::desired::DeviceRecord;
use buoy_server::Event;
use buoy_store::{Change, ChangeSet, DocumentKind};
use tokio::sync::{Semaphore, mpsc};

use self::state::{All, Tracked};
use crate::app::App;
use crate::documents;
use crate::groups;
use crate::journal::NotSaved;

/// How often devices are looked for that are to be asked again,
const TICK: Duration = Duration::from_secs(5);
/// and after how many of these looks the filters are evaluated.
const SWEEP: u64 = 6;
/// Devices that are asked at a time,
const ASKED: usize = 1024;
/// and those that wait for that: the others are found when half of these are done.
const MOST_BUSY: usize = 8192;
/// Events that are taken, and records that are saved, at once.
const AT_ONCE: usize = 1000;

/// Keeps devices in their desired states until the server stops.
///
/// # Errors
/// [`NotSaved::Rejected`]: how far a device is will never be saved.
pub(crate) async fn run(app: Arc<App>, mut contacts: mpsc::Receiver<Arc<Event>>) -> Result<(), NotSaved> {
    match follow(&app, &mut contacts).await {
        Err(NotSaved::Rejected(rejection)) => Err(NotSaved::Rejected(rejection)),
        // At the stop of the server.
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn follow(app: &Arc<App>, contacts: &mut mpsc::Receiver<Arc<Event>>) -> Result<(), NotSaved> {
    let places = Arc::new(Semaphore::new(ASKED));
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut events, mut ticks) = (Vec::new(), 0u64);
    let mut is_changed = true;
    loop {
        if std::mem::take(&mut is_changed) {
            sweep(app).await?;
            meet_all(app, &places);
        }
        tokio::select! {
            biased;
            () = app.desired.changed.notified() => is_changed = true,
            () = app.desired.has_room.notified() => meet_all(app, &places),
            count = contacts.recv_many(&mut events, AT_ONCE) => {
                if count == 0 {
                    return Ok(());
                }
                let met: Vec<Arc<str>> = {
                    let (mut all, now) = (app.desired.all(), app.now());
                    events.drain(..).filter_map(|event| is_met(&mut all, &event, now)).collect()
                };
                met.into_iter().for_each(|name| meet(app, &places, &name));
            }
            _ = tick.tick() => {
                ticks += 1;
                is_changed = ticks.is_multiple_of(SWEEP);
                meet_all(app, &places);
            }
        }
    }
}

/// The device of an event, if it is to be asked.
fn is_met(all: &mut All, event: &Event, now: u64) -> Option<Arc<str>> {
    let name = match event {
        Event::Registered { registration, .. } | Event::Updated { registration, .. } => {
            &registration.endpoint
        }
        Event::Reported(report) => &report.endpoint,
        _ => return None,
    };
    let tracked = all.devices.get_mut(name)?;
    let is_due = match event {
        Event::Reported(report) => tracked.record.wants_value_below(report.base()),
        Event::Registered { registration, .. } => {
            tracked.record.registered(registration.registered_at, now);
            tracked.record.next_at().is_some()
        }
        _ => tracked.record.next_at().is_some(),
    };
    is_due.then(|| name.clone())
}

/// Asks all devices for which something is due.
fn meet_all(app: &Arc<App>, places: &Arc<Semaphore>) {
    let now = app.now();
    let due: Vec<Arc<str>> = {
        let all = app.desired.all();
        let is_due =
            |tracked: &Tracked| !tracked.is_busy && tracked.record.next_at().is_some_and(|at| at <= now);
        all.devices.iter().filter(|(_, tracked)| is_due(tracked)).map(|(name, _)| name.clone()).collect()
    };
    for name in due.iter().filter(|name| app.endpoints.shard_of(name).is_some()) {
        meet(app, places, name);
    }
}

/// Asks a device, unless that is being done: then it is asked again after that.
fn meet(app: &Arc<App>, places: &Arc<Semaphore>, name: &Arc<str>) {
    {
        let mut all = app.desired.all();
        let has_room = all.busy < MOST_BUSY;
        let Some(tracked) = all.devices.get_mut(name) else { return };
        if tracked.is_busy || !has_room {
            tracked.is_met_again = tracked.is_busy;
            return;
        }
        tracked.is_busy = true;
        all.busy += 1;
    }
    let (app, places, name) = (app.clone(), places.clone(), name.clone());
    let failures = app.failures.clone();
    failures.spawn("the desired states", async move {
        // It is never closed.
        let _place = places.acquire_owned().await;
        loop {
            asking::ask(&app, &name).await;
            if is_over(&app, &name) {
                return Ok::<_, Infallible>(());
            }
        }
    });
}

/// Whether a device that was asked is left alone now.
fn is_over(app: &App, name: &str) -> bool {
    let mut all = app.desired.all();
    if let Some(tracked) = all.devices.get_mut(name) {
        if std::mem::take(&mut tracked.is_met_again) {
            return false;
        }
        tracked.is_busy = false;
    }
    all.busy -= 1;
    if all.busy == MOST_BUSY / 2 {
        app.desired.has_room.notify_one();
    }
    true
}

/// Finds out for which devices the desired states are, and begins with what changed.
async fn sweep(app: &Arc<App>) -> Result<(), NotSaved> {
    let (filters, generation) = {
        let all = app.desired.all();
        let filters = all.states.values().map(|state| (Arc::<str>::from(&*state.name), state.filter.clone()));
        (filters.collect::<Vec<_>>(), all.generation)
    };
    app.hub.want_contacts(!filters.is_empty());
    let mut sources = HashMap::<Arc<str>, Vec<Arc<str>>>::new();
    for (name, filter) in &filters {
        let devices = match groups::selection(app, filter) {
            Ok(selection) => app.inventory.matching(selection).await,
            Err(error) => {
                tracing::warn!(desired_state = %name, %error, "the filter of a desired state can't be used; it keeps its devices");
                app.desired.all().devices_of(name)
            }
        };
        for device in devices {
            sources.entry(device).or_default().push(name.clone());
        }
    }
    let changes = take_sources(app, sources, generation);
    for some in changes.chunks(AT_ONCE) {
        save(app, some.to_vec()).await?;
    }
    Ok(())
}

/// Notes which desired states are for which devices. Returns what is to be saved of that.
fn take_sources(app: &App, sources: HashMap<Arc<str>, Vec<Arc<str>>>, generation: u64) -> ChangeSet<'static> {
    let (mut all, now, mut changes) = (app.desired.all(), app.now(), ChangeSet::new());
    let mut devices = std::mem::take(&mut all.devices);
    devices.retain(|name, _| {
        let stays = sources.contains_key(name);
        if !stays {
            changes.push(documents::remove(DocumentKind::DesiredDevice, name));
        }
        stays
    });
    for (name, sources) in sources {
        let tracked = devices.entry(name.clone()).or_default();
        if tracked.generation == generation && tracked.sources == sources {
            continue;
        }
        if tracked.record.want(&all.wanted(&sources), now) {
            changes.push(device_change(&name, &tracked.record, now));
        }
        (tracked.sources, tracked.generation) = (sources, generation);
    }
    all.devices = devices;
    changes
}

async fn save(app: &App, set: ChangeSet<'static>) -> Result<(), NotSaved> {
    if set.is_empty() { Ok(()) } else { app.journal.commit(set).await }
}

fn device_change(name: &str, record: &DeviceRecord, now: u64) -> Change<'static> {
    documents::put(DocumentKind::DesiredDevice, name, record, now)
}
