//! Messages to receivers: alerts of one rule that come within a short time are one message, which is tried until it is accepted or given up.
//!
//! Each receiver has a queue of its own, whose messages go out one after the other: so a receiver learns of a device in order, and a receiver that
//! hangs delays nobody else. A message is saved with the alerts that it tells of, and removed when the receiver has accepted it: a receiver may get it
//! twice, if the server ends in between, and knows that by its id.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rule::millis;
use super::{Change, News, Rule, Severity};

/// Alerts that a message names; of the others it has the number.
pub const MOST_NAMED: usize = 100;
/// Messages that wait for one receiver. If there are more, the oldest is given up.
pub const MOST_WAITING: usize = 1000;
/// Messages to one receiver that were given up and can be sent again.
pub const MOST_DEAD: usize = 1000;
/// Messages that a receiver accepted and that are remembered until the server ends.
const MOST_RECENT: usize = 50;
/// The pause before the second attempt; milliseconds. It doubles.
const FIRST_PAUSE: u64 = 2_000;
/// The longest pause.
const LONGEST_PAUSE: u64 = 600_000;

/// All messages.
#[derive(Debug, Default)]
pub struct Deliveries {
    queues: BTreeMap<Arc<str>, Queue>,
    last_id: u64,
    /// Messages that have to be saved, or removed.
    changed: BTreeSet<(Arc<str>, u64)>,
}

/// How messages of a receiver are sent. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For how long a message waits for more alerts of its rule.
    pub group_wait: u64,
    /// After how long a message that is not accepted is given up.
    pub give_up_after: u64,
}

#[derive(Debug)]
struct Queue {
    settings: Settings,
    waiting: VecDeque<Delivery>,
    dead: VecDeque<Delivery>,
    recent: VecDeque<Delivery>,
    /// Whether the first message is being sent.
    is_sending: bool,
}

/// A message to a receiver. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Ids grow.
    pub id: u64,
    /// To whom.
    pub receiver: Arc<str>,
    /// Of which rule; empty for a test.
    pub rule: Arc<str>,
    /// What the rule means.
    pub description: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it was made.
    pub created_at: u64,
    /// Until when it waits for more.
    pub ready_at: u64,
    /// Alerts that fire, with those that repeat,
    pub firing: u64,
    /// those that flap,
    pub flapping: u64,
    /// and those that are over.
    pub resolved: u64,
    /// The first of them.
    pub items: Vec<Item>,
    /// How often it was sent.
    #[serde(default)]
    pub attempts: u32,
    /// When it is sent next.
    #[serde(default)]
    pub next_attempt: u64,
    /// Since when it is tried: since it was made, or sent again by a person.
    #[serde(default)]
    pub tried_since: u64,
    /// Why the last attempt failed.
    #[serde(default)]
    pub error: String,
    /// When it was accepted, or given up.
    #[serde(default)]
    pub ended_at: Option<u64>,
}

/// An alert in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What is told.
    pub news: News,
    /// The device, or the part of the server.
    pub subject: Arc<str>,
    /// Whether it is a device.
    pub is_device: bool,
    /// Since when the alert fires.
    pub fired_at: u64,
    /// When it changed.
    pub at: u64,
    /// What is known.
    #[serde(default)]
    pub detail: String,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It waits, or is being sent.
    Waiting,
    /// It was given up.
    Dead,
    /// It was accepted.
    Delivered,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver accepted it.
    Accepted,
    /// It may be accepted later. A receiver may say after how many seconds.
    Failed {
        /// Why.
        error: String,
        /// Not before so many seconds.
        retry_after: Option<u64>,
    },
    /// It will never be accepted.
    Refused(String),
}

impl Deliveries {
    /// Those that were saved. New ids are above theirs, and above `now`, since those of messages that were delivered are forgotten: receivers tell
    /// a second copy by its id.
    #[must_use]
    pub fn restore(now: u64, receivers: Vec<(Arc<str>, Settings)>, mut saved: Vec<Delivery>) -> Self {
        saved.sort_by_key(|delivery| delivery.id);
        let last_id = saved.last().map_or(0, |last| last.id).max(now);
        let mut all = Self { last_id, ..Self::default() };
        for (name, settings) in receivers {
            all.put_receiver(name, settings);
        }
        for delivery in saved {
            let Some(queue) = all.queues.get_mut(&delivery.receiver) else { continue };
            match delivery.ended_at {
                None => queue.waiting.push_back(delivery),
                Some(_) => queue.dead.push_back(delivery),
            }
        }
        all
    }

    /// Adds a receiver, or changes its settings.
    pub fn put_receiver(&mut self, name: Arc<str>, settings: Settings) {
        let queue = self.queues.entry(name).or_insert_with(|| Queue {
            settings,
            waiting: VecDeque::new(),
            dead: VecDeque::new(),
            recent: VecDeque::new(),
            is_sending: false,
        });
        queue.settings = settings;
        // What was wrong may be mended.
        for delivery in &mut queue.waiting {
            delivery.next_attempt = 0;
        }
    }

    /// Removes a receiver with its messages.
    pub fn remove_receiver(&mut self, name: &str) {
        if let Some((name, queue)) = self.queues.remove_entry(name) {
            let all = queue.waiting.iter().chain(&queue.dead);
            self.changed.extend(all.map(|delivery| (name.clone(), delivery.id)));
        }
    }

    /// Whether there is a receiver of this name.
    #[must_use]
    pub fn has_receiver(&self, name: &str) -> bool {
        self.queues.contains_key(name)
    }

    /// All messages of a receiver that are known, and where they are: those that wait, those that were given up, those that were accepted.
    pub fn of_receiver(&self, name: &str) -> impl Iterator<Item = (Place, &Delivery)> {
        let queue = self.queues.get(name);
        queue.into_iter().flat_map(|queue| {
            let waiting = queue.waiting.iter().map(|it| (Place::Waiting, it));
            let dead = queue.dead.iter().map(|it| (Place::Dead, it));
            let recent = queue.recent.iter().map(|it| (Place::Delivered, it));
            waiting.chain(dead).chain(recent)
        })
    }

    /// The names of all receivers.
    pub fn receivers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.queues.keys()
    }

    /// Tells a receiver of a change.
    pub fn add(&mut self, now: u64, receiver: &str, rule: &Rule, change: &Change) {
        let Some((name, queue)) = self.queues.get_key_value(receiver) else { return };
        let name = name.clone();
        let group = queue.group_for(now, &rule.name, &change.key.subject);
        let Some(queue) = self.queues.get_mut(&name) else { return };
        let place = match group {
            Some(place) => place,
            None => {
                self.last_id += 1;
                let ready_at = now.saturating_add(millis(queue.settings.group_wait));
                queue.waiting.push_back(Delivery {
                    id: self.last_id,
                    receiver: name.clone(),
                    rule: rule.name.clone(),
                    description: rule.description.clone(),
                    severity: rule.severity,
                    created_at: now,
                    ready_at,
                    firing: 0,
                    flapping: 0,
                    resolved: 0,
                    items: Vec::new(),
                    attempts: 0,
                    next_attempt: 0,
                    tried_since: now,
                    error: String::new(),
                    ended_at: None,
                });
                queue.waiting.len() - 1
            }
        };
        if let Some(delivery) = queue.waiting.get_mut(place) {
            delivery.take(change);
            self.changed.insert((name.clone(), delivery.id));
        }
        if queue.waiting.len() > MOST_WAITING {
            // Not the one that is being sent.
            let oldest = usize::from(queue.is_sending);
            if let Some(delivery) = queue.waiting.remove(oldest) {
                let why = format!("more than {MOST_WAITING} messages waited for the receiver");
                self.give_up(&name, now, delivery, why);
            }
        }
    }

    /// The message that is to be sent to a receiver now. It counts as being sent until [`Deliveries::done`].
    pub fn next(&mut self, now: u64, receiver: &str) -> Option<Delivery> {
        let queue = self.queues.get_mut(receiver)?;
        if queue.is_sending || queue.next_due()? > now {
            return None;
        }
        queue.is_sending = true;
        let delivery = queue.waiting.front_mut()?;
        delivery.attempts += 1;
        Some(delivery.clone())
    }

    /// When the next message to a receiver is due.
    #[must_use]
    pub fn next_due(&self, receiver: &str) -> Option<u64> {
        let queue = self.queues.get(receiver)?;
        if queue.is_sending { None } else { queue.next_due() }
    }

    /// Records how the attempt of [`Deliveries::next`] ended.
    pub fn done(&mut self, now: u64, receiver: &str, id: u64, attempt: Attempt) {
        let Some((name, _)) = self.queues.get_key_value(receiver) else { return };
        let name = name.clone();
        let Some(queue) = self.queues.get_mut(&name) else { return };
        // The receiver may have been removed and made anew: then another message may be under way.
        if queue.waiting.front().is_none_or(|first| first.id != id) {
            return;
        }
        queue.is_sending = false;
        self.changed.insert((name.clone(), id));
        match attempt {
            Attempt::Accepted => {
                if let Some(mut delivery) = queue.waiting.pop_front() {
                    delivery.ended_at = Some(now);
                    delivery.error.clear();
                    queue.recent.push_back(delivery);
                }
                while queue.recent.len() > MOST_RECENT {
                    queue.recent.pop_front();
                }
            }
            Attempt::Refused(why) => {
                if let Some(delivery) = queue.waiting.pop_front() {
                    self.give_up(&name, now, delivery, why);
                }
            }
            Attempt::Failed { error, retry_after } => {
                let limit = millis(queue.settings.give_up_after);
                let Some(delivery) = queue.waiting.front_mut() else { return };
                let pause = pause(delivery.id, delivery.attempts);
                let pause = pause.max(millis(retry_after.unwrap_or(0)).min(LONGEST_PAUSE));
                delivery.next_attempt = now.saturating_add(pause);
                delivery.error.clone_from(&error);
                if now >= delivery.tried_since.saturating_add(limit)
                    && let Some(delivery) = queue.waiting.pop_front()
                {
                    let why = format!("given up after {} attempts: {error}", delivery.attempts);
                    self.give_up(&name, now, delivery, why);
                }
            }
        }
    }

    fn give_up(&mut self, receiver: &Arc<str>, now: u64, mut delivery: Delivery, why: String) {
        let Some(queue) = self.queues.get_mut(receiver) else { return };
        delivery.ended_at = Some(now);
        delivery.error = why;
        self.changed.insert((receiver.clone(), delivery.id));
        queue.dead.push_back(delivery);
        if queue.dead.len() > MOST_DEAD
            && let Some(oldest) = queue.dead.pop_front()
        {
            self.changed.insert((receiver.clone(), oldest.id));
        }
    }

    /// Sends a message again that was given up: after those that wait. Returns its receiver.
    pub fn replay(&mut self, now: u64, id: u64) -> Option<Arc<str>> {
        for (name, queue) in &mut self.queues {
            let Some(place) = queue.dead.iter().position(|delivery| delivery.id == id) else { continue };
            let mut delivery = queue.dead.remove(place)?;
            delivery.ended_at = None;
            delivery.attempts = 0;
            delivery.next_attempt = 0;
            delivery.tried_since = now;
            // The order in the store is that of the ids.
            self.last_id += 1;
            self.changed.insert((name.clone(), delivery.id));
            delivery.id = self.last_id;
            self.changed.insert((name.clone(), delivery.id));
            queue.waiting.push_back(delivery);
            return Some(name.clone());
        }
        None
    }

    /// What has to be saved or removed since the last call.
    pub fn take_changed(&mut self) -> Vec<(u64, Option<Delivery>)> {
        let changed = std::mem::take(&mut self.changed);
        let find = |(receiver, id): (Arc<str>, u64)| {
            let queue = self.queues.get(&receiver);
            let all = queue.into_iter().flat_map(|queue| queue.waiting.iter().chain(&queue.dead));
            (id, all.into_iter().find(|delivery| delivery.id == id).cloned())
        };
        changed.into_iter().map(find).collect()
    }
}

impl Queue {
    fn next_due(&self) -> Option<u64> {
        self.waiting.front().map(|first| first.ready_at.max(first.next_attempt))
    }

    /// The message that takes another alert of a rule: one that waits still, unless a later one tells of the same subject.
    fn group_for(&self, now: u64, rule: &str, subject: &str) -> Option<usize> {
        for (place, delivery) in self.waiting.iter().enumerate().rev() {
            if delivery.ready_at <= now || delivery.attempts > 0 {
                return None;
            }
            if *delivery.rule == *rule {
                return Some(place);
            }
            if delivery.is_cut() || delivery.items.iter().any(|item| *item.subject == *subject) {
                return None;
            }
        }
        None
    }
}

impl Delivery {
    fn take(&mut self, change: &Change) {
        match change.news {
            News::Firing => self.firing += 1,
            News::Flapping => self.flapping += 1,
            News::Resolved => self.resolved += 1,
        }
        if self.items.len() < MOST_NAMED {
            self.items.push(Item {
                news: change.news,
                subject: change.key.subject.clone(),
                is_device: change.is_device,
                fired_at: change.fired_at,
                at: change.at,
                detail: change.detail.clone(),
            });
        }
    }

    /// How many alerts it tells of.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.firing + self.flapping + self.resolved
    }

    /// Whether it tells of more alerts than it names.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.count() > self.items.len() as u64
    }
}

/// The pause after an attempt: it doubles, and differs by up to a quarter, so that messages that failed together are not sent together again.
fn pause(id: u64, attempts: u32) -> u64 {
    let pause = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    // SplitMix64: the same message differs from attempt to attempt, and no generator is needed.
    let mut mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(u64::from(attempts));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    pause - pause / 4 + mixed % (pause / 2 + 1)
}
