//! A fleet's alerts on a clock that is a number.

use super::deliveries::{Attempt, Deliveries, Delivery, MOST_NAMED, Place, Settings};
use super::*;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

fn rule(name: &str, condition: Condition) -> Rule {
    Rule {
        name: name.into(),
        description: "somebody has to look".into(),
        severity: Severity::Warning,
        condition,
        hold: 60,
        resolve_after: 30,
        flapping: Flapping { times: 3, within: 3600 },
        repeat: None,
        receivers: Vec::new(),
    }
}

fn filter() -> Condition {
    Condition::Filter { filter: "battery < 15".into() }
}

struct World {
    alerts: Alerts,
    now: u64,
    saved: BTreeMap<Key, Record>,
    told: Vec<(News, String)>,
    looks_again: bool,
    gone: Vec<u64>,
}

impl World {
    fn with(rules: Vec<Rule>) -> Self {
        let alerts = Alerts::restore(rules, Vec::new(), Vec::new(), Vec::new());
        Self {
            alerts,
            now: 1_000_000,
            saved: BTreeMap::new(),
            told: Vec::new(),
            looks_again: false,
            gone: Vec::new(),
        }
    }

    fn take(&mut self, outbox: Outbox) {
        for (key, record) in outbox.saves {
            match record {
                Some(record) => drop(self.saved.insert(key, record)),
                None => drop(self.saved.remove(&key)),
            }
        }
        self.looks_again |= outbox.look_again;
        self.gone.extend(outbox.gone_silences);
        self.told
            .extend(outbox.changes.into_iter().map(|change| (change.news, change.key.subject.to_string())));
    }

    fn observe(&mut self, rule: &str, subject: &str, holds: bool) {
        let mut outbox = Outbox::default();
        let key = Key { rule: rule.into(), subject: subject.into() };
        self.alerts.observe(self.now, &key, holds, "as seen", &mut outbox);
        self.take(outbox);
    }

    /// The time passes, second by second.
    fn pass(&mut self, time: u64) {
        let end = self.now + time;
        while self.now < end {
            let next = self.alerts.next_due().map_or(end, |due| due.max(self.now + 1).min(end));
            self.now = next;
            self.advance();
        }
    }

    fn advance(&mut self) {
        loop {
            let mut outbox = Outbox::default();
            // Silences with a filter are about the devices of the north.
            let more = self.alerts.advance(self.now, &|_, name| name.starts_with("north"), &mut outbox);
            self.take(outbox);
            if !more {
                return;
            }
        }
    }

    fn told(&mut self) -> Vec<(News, String)> {
        std::mem::take(&mut self.told)
    }

    fn phase(&self, rule: &str, subject: &str) -> Option<Phase> {
        let key = Key { rule: rule.into(), subject: subject.into() };
        self.alerts.find(&key).map(Record::phase)
    }

    /// What a restart brings back.
    fn restart(&mut self) {
        let rules = self.alerts.rules().cloned().collect();
        let silences = self.alerts.silences().cloned().collect();
        let records = self.saved.iter().map(|(key, record)| (key.clone(), record.clone())).collect();
        let history = self.alerts.history().cloned().collect();
        self.alerts = Alerts::restore(rules, silences, records, history);
    }
}

fn one(news: News, subject: &str) -> Vec<(News, String)> {
    vec![(news, subject.to_owned())]
}

#[test]
fn an_alert_fires_when_its_condition_has_held_and_ends_when_it_has_not_held_for_long_enough() {
    let mut world = World::with(vec![rule("battery", filter())]);
    world.observe("battery", "a", true);
    world.pass(59 * SECOND);
    assert_eq!((world.phase("battery", "a"), world.told()), (Some(Phase::Pending), vec![]));
    world.pass(SECOND);
    assert_eq!(world.phase("battery", "a"), Some(Phase::Firing));
    assert_eq!(world.told(), one(News::Firing, "a"));
    // It holds again before it is over.
    world.observe("battery", "a", false);
    world.pass(29 * SECOND);
    world.observe("battery", "a", true);
    world.pass(MINUTE);
    assert_eq!(world.told(), []);
    world.observe("battery", "a", false);
    world.pass(30 * SECOND);
    assert_eq!(world.told(), one(News::Resolved, "a"));
    let ended = world.alerts.history().next().unwrap();
    assert_eq!((&*ended.subject, ended.ended_at - ended.fired_at), ("a", 119 * SECOND));
    assert_eq!(world.alerts.counts("battery").firing, 0);
    world.pass(2 * 3600 * SECOND);
    assert!(world.saved.is_empty() && world.alerts.counts("battery").followed == 0);
}

#[test]
fn what_holds_for_a_short_time_is_told_to_nobody() {
    let mut world = World::with(vec![rule("battery", filter())]);
    for _ in 0..100 {
        world.observe("battery", "a", true);
        world.pass(59 * SECOND);
        world.observe("battery", "a", false);
        world.pass(SECOND);
    }
    assert_eq!((world.told(), world.saved.len()), (vec![], 0));
}

#[test]
fn a_device_that_flaps_is_told_once_until_it_is_steady() {
    let mut world = World::with(vec![rule("battery", filter())]);
    let flap = |world: &mut World| {
        world.observe("battery", "a", true);
        world.pass(MINUTE);
        world.observe("battery", "a", false);
        world.pass(MINUTE);
    };
    flap(&mut world);
    flap(&mut world);
    assert_eq!(world.told().len(), 4);
    (0..10).for_each(|_| flap(&mut world));
    assert_eq!(world.told(), one(News::Flapping, "a"));
    assert_eq!(world.phase("battery", "a"), Some(Phase::Firing));
    world.pass(3600 * SECOND);
    assert_eq!(world.told(), one(News::Resolved, "a"));
    // One that stays so is told as firing.
    (0..3).for_each(|_| flap(&mut world));
    world.observe("battery", "a", true);
    world.told();
    world.pass(3600 * SECOND);
    assert_eq!(world.told(), one(News::Firing, "a"));
}

#[test]
fn a_silence_holds_back_what_is_told_and_what_goes_on_after_it_is_told_then() {
    let mut world = World::with(vec![rule("battery", filter())]);
    let until = world.now + 600 * SECOND;
    world.alerts.put_silence(Silence {
        id: 1,
        rule: Some("battery".into()),
        filter: Some("name ~ \"north*\"".into()),
        from: world.now,
        until,
        author: "alice".into(),
        comment: "works in the north".into(),
    });
    for name in ["north-1", "north-2", "south-1"] {
        world.observe("battery", name, true);
    }
    assert!(world.alerts.asks(world.now + MINUTE).len() == 3);
    world.pass(2 * MINUTE);
    assert_eq!(world.told(), one(News::Firing, "south-1"));
    assert!(world.alerts.is_held_back(&Key { rule: "battery".into(), subject: "north-1".into() }));
    // What ends meanwhile was never told.
    world.observe("battery", "north-2", false);
    world.pass(2 * MINUTE);
    assert_eq!(world.told(), []);
    world.restart();
    world.pass(5 * MINUTE);
    assert_eq!(world.told(), []);
    world.pass(2 * MINUTE);
    assert_eq!(world.told(), one(News::Firing, "north-1"));
    // It is in the list for a day, and then gone.
    assert_eq!((world.alerts.silences().count(), world.gone.len()), (1, 0));
    world.pass(25 * 3600 * SECOND);
    world.now += 3600 * SECOND;
    world.advance();
    assert_eq!((world.alerts.silences().count(), world.gone.as_slice()), (0, &[1][..]));
}

#[test]
fn an_alert_is_repeated_until_a_person_takes_note_of_it() {
    let mut world = World::with(vec![Rule { repeat: Some(3600), ..rule("battery", filter()) }]);
    world.observe("battery", "a", true);
    world.pass(MINUTE + 2 * 3600 * SECOND);
    assert_eq!(world.told().len(), 3);
    let note = Acknowledgement { by: "alice".into(), at: world.now, comment: "on my way".into() };
    let key = Key { rule: "battery".into(), subject: "a".into() };
    let mut outbox = Outbox::default();
    assert!(world.alerts.acknowledge(&key, note.clone(), &mut outbox));
    world.take(outbox);
    world.restart();
    world.pass(10 * 3600 * SECOND);
    assert_eq!(world.told(), []);
    world.observe("battery", "a", false);
    world.pass(MINUTE);
    assert_eq!(world.told(), one(News::Resolved, "a"));
    assert_eq!(world.alerts.history().next().unwrap().acknowledged, Some(note));
}

#[test]
fn a_failed_update_is_over_when_one_ends_well_or_after_a_while() {
    let failed = Condition::UpdateFailed { filter: String::new(), clears_after: 86_400 };
    let mut world = World::with(vec![Rule { hold: 0, resolve_after: 0, ..rule("update", failed) }]);
    world.observe("update", "a", true);
    world.observe("update", "b", true);
    world.pass(SECOND);
    assert_eq!(world.told().len(), 2);
    world.observe("update", "a", false);
    world.pass(SECOND);
    assert_eq!(world.told(), one(News::Resolved, "a"));
    world.restart();
    world.pass(86_400 * SECOND);
    assert_eq!(world.told(), one(News::Resolved, "b"));
}

#[test]
fn a_device_that_registers_anew_again_and_again_is_found() {
    let looping = Condition::RebootLoop { filter: String::new(), times: 4, within: 600 };
    let mut world = World::with(vec![Rule { hold: 0, resolve_after: 0, ..rule("loop", looping) }]);
    let boot = |world: &mut World, name: &str, times: &[u64]| {
        let mut outbox = Outbox::default();
        world.alerts.booted(world.now, &name.into(), times.iter().copied(), |_| true, &mut outbox);
        world.take(outbox);
    };
    for _ in 0..10 {
        let now = world.now;
        boot(&mut world, "slow", &[now]);
        world.pass(220 * SECOND);
    }
    assert_eq!(world.told(), []);
    for _ in 0..8 {
        let now = world.now;
        boot(&mut world, "fast", &[now]);
        world.pass(60 * SECOND);
    }
    assert_eq!(world.told(), one(News::Firing, "fast"));
    world.pass(600 * SECOND);
    assert_eq!(world.told(), one(News::Resolved, "fast"));
}

#[test]
fn a_rule_that_is_removed_or_changed_leaves_no_alert_behind() {
    let mut world = World::with(vec![rule("battery", filter()), rule("heat", filter())]);
    for rule in ["battery", "heat"] {
        world.observe(rule, "a", true);
    }
    world.pass(MINUTE);
    world.told();
    let mut outbox = Outbox::default();
    world.alerts.remove_rule(world.now, "battery", &mut outbox);
    world.take(outbox);
    assert_eq!(world.told(), one(News::Resolved, "a"));
    let other = rule("heat", Condition::Filter { filter: "value(/3303/0/5700) > 40".into() });
    let mut outbox = Outbox::default();
    world.alerts.put_rule(world.now, other, &mut outbox);
    world.alerts.compare(world.now, |_| false, &mut outbox);
    world.take(outbox);
    world.pass(MINUTE);
    assert_eq!(world.told(), one(News::Resolved, "a"));
    world.pass(3600 * SECOND);
    assert!(world.saved.is_empty());
}

#[test]
fn a_rule_that_waits_for_long_goes_on_after_a_restart() {
    let mut world = World::with(vec![Rule { hold: 3600, ..rule("battery", filter()) }]);
    world.observe("battery", "a", true);
    world.pass(1800 * SECOND);
    world.restart();
    // The shell sees it anew.
    world.observe("battery", "a", true);
    world.pass(1800 * SECOND);
    assert_eq!(world.told(), one(News::Firing, "a"));
}

#[test]
fn what_is_beyond_the_limit_is_looked_at_again_when_there_is_room() {
    let mut world = World::with(vec![rule("battery", filter())]);
    world.alerts.most_of_rule = 10;
    (0..20).for_each(|number| world.observe("battery", &format!("d-{number}"), true));
    world.pass(MINUTE);
    assert_eq!(world.told().len(), 10);
    assert!(world.alerts.counts("battery").is_full && !world.looks_again);
    (0..20).for_each(|number| world.observe("battery", &format!("d-{number}"), false));
    world.pass(2 * 3600 * SECOND);
    assert!(world.looks_again && !world.alerts.counts("battery").is_full);
}

#[test]
fn a_hundred_thousand_devices_that_go_at_once_are_a_few_messages() {
    const DEVICES: usize = 100_000;
    let rules = vec![rule("offline", Condition::Filter { filter: "state = offline".into() })];
    let mut world = World::with(rules);
    let settings = Settings { group_wait: 10, give_up_after: 3600 };
    let mut deliveries = Deliveries::restore(0, vec![("pager".into(), settings)], Vec::new());
    let began = std::time::Instant::now();
    for number in 0..DEVICES {
        world.observe("offline", &format!("device-{number}"), true);
    }
    for holds in [true, false] {
        world.now += 2 * MINUTE;
        loop {
            let mut outbox = Outbox::default();
            let more = world.alerts.advance(world.now, &|_, _| false, &mut outbox);
            assert!(outbox.changes.len() <= AT_ONCE);
            for change in &outbox.changes {
                let rule = world.alerts.rule("offline").unwrap().clone();
                deliveries.add(world.now, "pager", &rule, change);
            }
            // What one commit writes of messages does not depend on the number of devices.
            assert!(deliveries.take_changed().len() <= 1);
            if !more {
                break;
            }
        }
        world.now += 20 * SECOND;
        let message = deliveries.next(world.now, "pager").unwrap();
        let count = DEVICES as u64;
        let expected = if holds { (count, 0) } else { (0, count) };
        assert_eq!((message.firing, message.resolved), expected);
        assert_eq!(message.items.len(), MOST_NAMED);
        deliveries.done(world.now, "pager", message.id, Attempt::Accepted);
        assert_eq!(deliveries.take_changed(), [(message.id, None)]);
        assert_eq!(deliveries.next(world.now + MINUTE, "pager"), None);
        for number in 0..DEVICES {
            world.observe("offline", &format!("device-{number}"), !holds);
        }
    }
    assert_eq!(world.alerts.history().count(), MOST_HISTORY);
    // Generous: a build without optimisation on a loaded machine.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

fn change(news: News, rule: &str, subject: &str) -> Change {
    let key = Key { rule: rule.into(), subject: subject.into() };
    Change { key, is_device: true, news, fired_at: 0, at: 0, detail: String::new(), rule: None }
}

struct Post {
    deliveries: Deliveries,
    saved: BTreeMap<u64, Delivery>,
    now: u64,
}

impl Post {
    fn new() -> Self {
        let settings = Settings { group_wait: 10, give_up_after: 3600 };
        let receivers = vec![("a".into(), settings), ("b".into(), settings)];
        Self {
            deliveries: Deliveries::restore(0, receivers, Vec::new()),
            saved: BTreeMap::new(),
            now: 1_000_000,
        }
    }

    fn add(&mut self, receiver: &str, rule: &Rule, subject: &str) {
        self.deliveries.add(self.now, receiver, rule, &change(News::Firing, &rule.name, subject));
        self.save();
    }

    fn save(&mut self) {
        for (id, delivery) in self.deliveries.take_changed() {
            match delivery {
                Some(delivery) => drop(self.saved.insert(id, delivery)),
                None => drop(self.saved.remove(&id)),
            }
        }
    }

    fn attempt(&mut self, receiver: &str, attempt: Attempt) -> Option<Delivery> {
        let delivery = self.deliveries.next(self.now, receiver)?;
        self.deliveries.done(self.now, receiver, delivery.id, attempt);
        self.save();
        Some(delivery)
    }

    fn places(&self, receiver: &str) -> Vec<Place> {
        self.deliveries.of_receiver(receiver).map(|(place, _)| place).collect()
    }
}

fn failed() -> Attempt {
    Attempt::Failed { error: "503".into(), retry_after: None }
}

#[test]
fn a_message_is_tried_with_growing_pauses_until_it_is_accepted() {
    let mut post = Post::new();
    post.add("a", &rule("x", filter()), "d");
    assert_eq!(post.deliveries.next_due("a"), Some(post.now + 10 * SECOND));
    assert_eq!(post.deliveries.next_due("b"), None);
    post.now += 10 * SECOND;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        post.attempt("a", failed()).unwrap();
        let due = post.deliveries.next_due("a").unwrap();
        pauses.push(due - post.now);
        post.now = due;
    }
    for (pause, expected) in pauses.iter().zip([2, 4, 8, 16, 32, 64]) {
        let expected = expected * SECOND;
        assert!((expected * 3 / 4..=expected * 5 / 4).contains(pause), "{pauses:?}");
    }
    post.attempt("a", Attempt::Failed { error: "429".into(), retry_after: Some(300) }).unwrap();
    assert_eq!(post.deliveries.next_due("a"), Some(post.now + 300 * SECOND));
    post.now += 300 * SECOND;
    assert_eq!(post.attempt("a", Attempt::Accepted).unwrap().attempts, 8);
    assert!(post.saved.is_empty());
    assert_eq!(post.places("a"), [Place::Delivered]);
}

#[test]
fn ids_of_messages_are_not_used_twice_although_those_that_were_delivered_are_forgotten() {
    let settings = Settings { group_wait: 0, give_up_after: 3600 };
    let mut last = 0;
    for run in [1000, 2000, 3000] {
        let mut deliveries = Deliveries::restore(run, vec![("a".into(), settings)], Vec::new());
        deliveries.add(run, "a", &rule("x", filter()), &change(News::Firing, "x", "d"));
        let id = deliveries.next(run, "a").unwrap().id;
        assert!(id > last, "{id} after {last}");
        last = id;
    }
}

#[test]
fn a_message_that_is_never_accepted_is_given_up_and_can_be_sent_again() {
    let mut post = Post::new();
    post.add("a", &rule("x", filter()), "d");
    while let Some(due) = post.deliveries.next_due("a") {
        post.now = due;
        post.attempt("a", failed()).unwrap();
    }
    assert_eq!(post.places("a"), [Place::Dead]);
    let dead = post.saved.values().next().unwrap().clone();
    assert!(dead.error.contains("given up after") && dead.error.contains("503"), "{}", dead.error);
    // It waits after those that came meanwhile, also after a restart.
    post.add("a", &rule("y", filter()), "d");
    assert_eq!(post.deliveries.replay(post.now, 99), None);
    assert_eq!(post.deliveries.replay(post.now, dead.id).as_deref(), Some("a"));
    post.save();
    let settings = Settings { group_wait: 10, give_up_after: 3600 };
    post.deliveries =
        Deliveries::restore(0, vec![("a".into(), settings)], post.saved.values().cloned().collect());
    post.now += 10 * SECOND;
    assert_eq!(&*post.attempt("a", Attempt::Accepted).unwrap().rule, "y");
    assert_eq!(&*post.attempt("a", Attempt::Accepted).unwrap().rule, "x");
    assert!(post.saved.is_empty());
    post.add("a", &rule("x", filter()), "e");
    post.now += 10 * SECOND;
    post.attempt("a", Attempt::Refused("410 Gone".into())).unwrap();
    assert_eq!(post.places("a")[0], Place::Dead);
}

#[test]
fn alerts_of_one_rule_are_one_message_and_a_device_is_told_in_order() {
    let mut post = Post::new();
    let (x, y) = (rule("x", filter()), rule("y", filter()));
    post.add("a", &x, "d-1");
    post.add("a", &y, "d-2");
    // Nothing of d-3 is in a later message, so it joins the first one; of d-2 there is.
    post.add("a", &x, "d-3");
    post.add("a", &x, "d-2");
    post.now += 10 * SECOND;
    let subjects = |delivery: Delivery| -> Vec<String> {
        delivery.items.iter().map(|item| item.subject.to_string()).collect()
    };
    let messages: Vec<_> = (0..3).map(|_| subjects(post.attempt("a", Attempt::Accepted).unwrap())).collect();
    assert_eq!(messages, [vec!["d-1", "d-3"], vec!["d-2"], vec!["d-2"]]);
    // One that is being tried takes no more.
    post.add("a", &x, "d-1");
    post.now += 10 * SECOND;
    post.attempt("a", failed()).unwrap();
    post.add("a", &x, "d-1");
    assert_eq!(post.saved.len(), 2);
    // Another receiver has its own.
    post.add("b", &x, "d-1");
    post.now += 10 * SECOND;
    assert!(post.attempt("b", Attempt::Accepted).is_some());
    post.deliveries.remove_receiver("a");
    post.save();
    assert!(post.saved.is_empty());
}

#[test]
fn a_rule_that_can_not_be_used_is_refused_with_the_reason() {
    let wrong = |rule: Rule| rule.check().unwrap_err().to_string();
    assert!(rule("x", filter()).check().is_ok());
    assert!(wrong(rule("a b", filter())).contains("a name has 1 to 64 bytes"));
    assert!(wrong(rule("x", Condition::Filter { filter: " ".into() })).contains("matches every device"));
    assert!(wrong(rule("x", Condition::Filter { filter: "modell = 1".into() })).contains("at character 1"));
    assert!(wrong(rule("x", Condition::Disk { free_percent: 0 })).contains("free_percent has to be 1 to 99"));
    assert!(wrong(Rule { repeat: Some(1), ..rule("x", filter()) }).contains("repeat has to be 60"));
}
