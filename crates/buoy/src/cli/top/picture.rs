//! What is shown, and where it comes from.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::time::Duration;

use buoy_api::client::{Client, ClientError};
use buoy_api::{Campaign, DeviceCount, Page, TimedEvent, Update};
use serde::de::DeserializeOwned;

use crate::cli::ctl;

/// Events that are held.
const EVENTS: usize = 200;
/// Versions that are shown.
const VERSIONS: usize = 8;

/// What a server is like at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub(super) server: String,
    pub(super) ready: String,
    pub(super) states: Vec<DeviceCount>,
    pub(super) versions: Vec<DeviceCount>,
    /// Those that are under way first.
    pub(super) updates: Vec<Update>,
    pub(super) campaigns: Vec<Campaign>,
    pub(super) operations: usize,
    /// The newest last, each in words.
    pub(super) events: VecDeque<(u64, String)>,
    /// Why it is not as it should be.
    pub(super) trouble: Option<String>,
}

/// What is new.
pub(super) enum News {
    Lists(Box<Picture>),
    Trouble(String),
    Event(TimedEvent),
}

impl Picture {
    /// Reads the lists.
    pub(super) fn read(client: &Client) -> Result<Self, ClientError> {
        let ready = match client.text("/readyz") {
            Ok(text) => text.trim().to_owned(),
            Err(ClientError::Refused { detail, .. }) => detail.trim().to_owned(),
            Err(error) => return Err(error),
        };
        let mut versions: Vec<DeviceCount> = list(client, "/api/v1/device-counts?by=firmware")?;
        versions.truncate(VERSIONS);
        let mut updates: Vec<Update> = list(client, "/api/v1/updates?limit=50")?;
        updates.sort_by_key(|update| update.ended);
        Ok(Self {
            server: client.base().to_owned(),
            ready,
            states: list(client, "/api/v1/device-counts?by=state")?,
            versions,
            updates,
            campaigns: list(client, "/api/v1/campaigns")?,
            operations: client.operations(None, Some(false), 1000)?.items.len(),
            events: VecDeque::new(),
            trouble: None,
        })
    }

    /// Takes what is new.
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Lists(new) => *self = Self { events: std::mem::take(&mut self.events), ..*new },
            News::Trouble(reason) => self.trouble = Some(reason),
            News::Event(told) => {
                self.events.push_back((told.at, ctl::event_words(&told.event)));
                if self.events.len() > EVENTS {
                    self.events.pop_front();
                }
            }
        }
    }
}

/// A list; empty for who may see parts of the fleet only.
fn list<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Vec<T>, ClientError> {
    match client.get::<Page<T>>(path) {
        Ok(page) => Ok(page.items),
        Err(ClientError::Refused { status: 403, .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads the lists again and again, and the events as they come, in threads that end with the program.
pub(super) fn follow(client: Client, every: Duration, news: Sender<News>) {
    let (events, of_events) = (client.clone(), news.clone());
    std::thread::spawn(move || {
        loop {
            let followed = events.events(None, None, |told| of_events.send(News::Event(told)).is_ok());
            if let Err(error) = followed
                && of_events.send(News::Trouble(error.to_string())).is_err()
            {
                return;
            }
            std::thread::sleep(every);
        }
    });
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(every);
            let read = Picture::read(&client);
            let new =
                read.map_or_else(|error| News::Trouble(error.to_string()), |new| News::Lists(Box::new(new)));
            if news.send(new).is_err() {
                return;
            }
        }
    });
}
