//! The list of devices: ordered by name, in pages.
//!
//! The names are kept in order beside the shards, fed by their events, and only those of a page are asked for: a page of a million devices
//! costs each shard some look-ups, and not a walk through all that it has.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buoy_net::directory::Endpoints;
use buoy_server::{Event, RegistrationView};
use tokio::sync::{oneshot, watch};

use crate::app::App;

/// Names that are asked for at once while a filter may leave most of them out.
const FILTERED_AT_ONCE: usize = 500;

/// The names of the registered devices, in order. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeviceNames {
    state: Arc<Mutex<State>>,
    endpoints: Endpoints,
    is_ready: watch::Sender<bool>,
}

#[derive(Debug)]
enum State {
    /// The names of the start are being sorted; what happens meanwhile comes after them.
    Starting(Vec<Change>),
    Ready(BTreeSet<Arc<str>>),
}

#[derive(Debug)]
enum Change {
    Came(Arc<str>),
    Left(Arc<str>),
}

impl DeviceNames {
    /// Nobody yet; [`DeviceNames::start`] brings those of before.
    pub(crate) fn new(endpoints: Endpoints) -> Self {
        let state = Arc::new(Mutex::new(State::Starting(Vec::new())));
        Self { state, endpoints, is_ready: watch::Sender::new(false) }
    }

    /// Takes the names that there are at the start. A million take a second, so it is done beside all else.
    pub(crate) fn start(&self, names: Vec<Arc<str>>) {
        let mut names: BTreeSet<Arc<str>> = names.into_iter().collect();
        let mut state = self.lock();
        if let State::Starting(changes) = &mut *state {
            for change in changes.drain(..) {
                self.apply(&mut names, change);
            }
        }
        *state = State::Ready(names);
        drop(state);
        self.is_ready.send_replace(true);
    }

    /// Looks for devices that come and go. Runs in the shards' threads.
    pub(crate) fn follow(&self, events: &[Event]) {
        let changes = events.iter().filter_map(|event| match event {
            // One that replaces its own registration is there already.
            Event::Registered { registration, replaced: None } => {
                Some(Change::Came(registration.endpoint.clone()))
            }
            Event::Deregistered(registration) | Event::Expired(registration) => {
                Some(Change::Left(registration.endpoint.clone()))
            }
            _ => None,
        });
        let mut changes = changes.peekable();
        if changes.peek().is_none() {
            return;
        }
        match &mut *self.lock() {
            State::Starting(waiting) => waiting.extend(changes),
            State::Ready(names) => changes.for_each(|change| self.apply(names, change)),
        }
    }

    fn apply(&self, names: &mut BTreeSet<Arc<str>>, change: Change) {
        match change {
            Change::Came(name) => {
                names.insert(name);
            }
            // It may have come back on another shard, whose word came first.
            Change::Left(name) if self.endpoints.shard_of(&name).is_none() => {
                names.remove(&name);
            }
            Change::Left(_) => {}
        }
    }

    /// So many names behind one, which begin with `prefix`.
    async fn after(&self, after: Option<&str>, prefix: &str, count: usize) -> Vec<Arc<str>> {
        // The sender is here: it can't be gone.
        let _ = self.is_ready.subscribe().wait_for(|is_ready| *is_ready).await;
        let State::Ready(names) = &*self.lock() else { return Vec::new() };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = names.range::<str, _>((start, Bound::Unbounded));
        range.take_while(|name| name.starts_with(prefix)).take(count).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which devices to list.
#[derive(Clone, Debug, Default)]
pub struct DeviceQuery {
    /// Only those behind this name.
    pub after: Option<String>,
    /// Only those whose name begins so.
    pub prefix: Option<String>,
    /// Only those that have this object.
    pub object: Option<u16>,
    /// Only those that sleep, or don't.
    pub asleep: Option<bool>,
    /// At most so many.
    pub limit: usize,
}

impl DeviceQuery {
    fn is_wanted(&self, device: &RegistrationView) -> bool {
        let sleeps = self.asleep.is_none_or(|asleep| device.asleep == asleep);
        let has = |object| device.objects.paths().any(|path| path.object_id() == Some(object));
        sleeps && self.object.is_none_or(has)
    }

    fn filters(&self) -> bool {
        self.object.is_some() || self.asleep.is_some()
    }
}

/// Devices in the order of their names, and whether there are more.
///
/// A filter that few devices pass is looked for in some steps, each of which costs a shard little.
pub async fn page(app: &Arc<App>, query: &DeviceQuery) -> (Vec<RegistrationView>, bool) {
    let prefix = query.prefix.clone().unwrap_or_default();
    let step = if query.filters() { FILTERED_AT_ONCE.max(query.limit + 1) } else { query.limit + 1 };
    let (mut found, mut after) = (Vec::new(), query.after.clone());
    loop {
        let names = app.device_names.after(after.as_deref(), &prefix, step).await;
        let is_last = names.len() < step;
        after = names.last().map(|name| name.to_string());
        let views = views(app, names).await;
        found.extend(views.into_iter().filter(|device| query.is_wanted(device)));
        if found.len() > query.limit {
            found.truncate(query.limit);
            return (found, true);
        }
        if is_last {
            return (found, false);
        }
    }
}

/// The devices of these names that are registered, in the same order.
async fn views(app: &Arc<App>, names: Vec<Arc<str>>) -> Vec<RegistrationView> {
    let mut by_shard: Vec<Vec<(usize, Arc<str>)>> = vec![Vec::new(); app.shards.len()];
    for (place, name) in names.into_iter().enumerate() {
        let shard = app.endpoints.shard_of(&name).map_or(0, usize::from) % app.shards.len();
        by_shard[shard].push((place, name));
    }
    let mut answers = Vec::new();
    for (shard, names) in app.shards.iter().zip(by_shard).filter(|(_, names)| !names.is_empty()) {
        let (answer, wait) = oneshot::channel();
        shard.run(move |shard, _, _| {
            let views =
                names.into_iter().filter_map(|(place, name)| Some((place, shard.registration(&name)?)));
            // The caller may have gone.
            let _ = answer.send(views.collect::<Vec<_>>());
        });
        answers.push(wait);
    }
    let mut all = Vec::new();
    for answer in answers {
        all.extend(answer.await.unwrap_or_default());
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, view)| view).collect()
}

#[cfg(test)]
mod tests {
    use buoy_net::secure::Identities;
    use buoy_server::Directory as _;

    use super::*;

    struct Nobody;

    impl Identities for Nobody {
        fn endpoint_of(&self, _: &buoy_dtls::Peer) -> Option<Arc<str>> {
            None
        }

        fn has(&self, _: &str) -> bool {
            false
        }

        fn used(&self, _: &buoy_dtls::Peer) {}
    }

    impl buoy_dtls::config::Authority for Nobody {
        fn psk(&self, _: &[u8]) -> Option<buoy_dtls::config::PskKey> {
            None
        }

        fn admits(&self, _: &buoy_dtls::Peer) -> bool {
            false
        }
    }

    fn list() -> DeviceNames {
        DeviceNames::new(Endpoints::new(Arc::new(Nobody)))
    }

    fn change(list: &DeviceNames, change: Change) {
        match &mut *list.lock() {
            State::Starting(waiting) => waiting.push(change),
            State::Ready(names) => list.apply(names, change),
        }
    }

    async fn names(list: &DeviceNames, after: Option<&str>, prefix: &str, count: usize) -> Vec<String> {
        list.after(after, prefix, count).await.iter().map(|name| name.to_string()).collect()
    }

    #[tokio::test]
    async fn names_come_in_order_and_in_pages() {
        let list = list();
        list.start(["b-2", "a", "b-10", "c", "b-1"].map(Arc::from).into());
        assert_eq!(names(&list, None, "", 2).await, ["a", "b-1"]);
        assert_eq!(names(&list, Some("b-1"), "", 9).await, ["b-10", "b-2", "c"]);
        assert_eq!(names(&list, None, "b-", 2).await, ["b-1", "b-10"]);
        assert_eq!(names(&list, Some("b-10"), "b-", 9).await, ["b-2"]);
        assert_eq!(names(&list, Some("a"), "b-1", 9).await, ["b-1", "b-10"]);
        assert_eq!(names(&list, Some("zz"), "b-", 9).await, [""; 0]);
    }

    #[tokio::test]
    async fn what_happens_while_the_list_is_made_counts_afterwards() {
        let list = list();
        change(&list, Change::Came("new".into()));
        change(&list, Change::Left("old".into()));
        list.start(["old", "same"].map(Arc::from).into());
        assert_eq!(names(&list, None, "", 9).await, ["new", "same"]);
    }

    #[tokio::test]
    async fn a_device_that_came_back_on_another_shard_before_it_left_the_first_stays() {
        let list = list();
        list.start(vec!["a".into()]);
        list.endpoints.claim(&"a".into(), 1);
        change(&list, Change::Left("a".into()));
        assert_eq!(names(&list, None, "", 9).await, ["a"]);
    }
}
