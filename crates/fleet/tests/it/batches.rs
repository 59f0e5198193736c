//! Many updates at once, as the driver sees them.

use std::collections::HashMap;
use std::sync::Arc;

use buoy_fleet::update::{
    Action, Answer, Delivery, End, FIRMWARE_VERSION, Goal, Patience, RESULT, STATE, Stage, Step, Update,
    UpdateRecord, Value,
};
use buoy_fleet::updates::{AlreadyOpen, Event, Operation, Outbox, Updates};
use buoy_time::Calendar;

use super::world::{HOUR, NEW, OLD};

const MANY: u64 = 10_000;

fn goal() -> Goal {
    Goal { version: NEW.into(), digest: "ab".into(), delivery: Delivery::Push }
}

fn name(id: u64) -> Arc<str> {
    format!("buoy-{id}").into()
}

/// A device that does all at once.
#[derive(Clone, Copy)]
struct Fast {
    version: &'static str,
    state: i64,
}

impl Fast {
    fn answer(&mut self, action: &Action) -> Answer<'static> {
        match action {
            Action::Read(path) | Action::Observe(path) if *path == STATE => {
                Answer::Value(Value::State(self.state))
            }
            Action::Read(path) | Action::Observe(path) if *path == RESULT => Answer::Value(Value::Result(0)),
            Action::Read(path) if *path == FIRMWARE_VERSION => Answer::Value(Value::Version(self.version)),
            Action::Push(_) => {
                self.state = 2;
                Answer::Done
            }
            Action::Execute => {
                *self = Self { version: NEW, state: 0 };
                Answer::Done
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn ten_thousand_updates_take_one_commit_for_each_step_of_all() {
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    for id in 1..=MANY {
        assert_eq!(engine.start(HOUR, &name(id), goal(), Patience::default(), &mut outbox), Ok(id));
    }
    assert_eq!(engine.start(HOUR, &name(5), goal(), Patience::default(), &mut outbox), Err(AlreadyOpen(5)));
    let mut devices: HashMap<u64, Fast> =
        (1..=MANY).map(|id| (id, Fast { version: OLD, state: 0 })).collect();
    let (mut now, mut commits, mut ended) = (HOUR, 0, 0);
    while !engine.is_empty() {
        engine.end_batch(&mut outbox);
        let Outbox { records, operations, progress, .. } = std::mem::take(&mut outbox);
        commits += usize::from(!records.is_empty());
        assert!(records.len() <= MANY as usize, "a record of each update at most");
        ended += progress.iter().filter(|update| update.stage() == &Stage::Ended(End::Updated)).count();
        for Operation { update, step, .. } in operations {
            let Step::Submit(token, action) = step else { panic!("{step:?}") };
            let answer = devices.get_mut(&update).unwrap().answer(&action);
            engine.handle_event(now, &Event::Answered { update, token, answer }, &mut outbox);
        }
        if outbox.is_empty() || engine.poll_timeout().is_some_and(|at| at <= now) {
            now = engine.poll_timeout().unwrap_or(now);
            engine.handle_timeout(now, usize::MAX, &mut outbox);
        }
    }
    engine.end_batch(&mut outbox);
    ended += outbox.progress.len();
    assert_eq!(ended, MANY as usize);
    // Inspecting, ordering, downloading, executing, installing, and what was noted between them.
    assert!(commits <= 8, "{commits} commits");
    assert_eq!(engine.poll_timeout(), None, "no timer is left behind");
}

#[test]
fn many_changes_of_an_update_in_one_batch_are_one_record() {
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    engine.start(HOUR, &name(1), goal(), Patience::default(), &mut outbox).unwrap();
    let mut device = Fast { version: OLD, state: 0 };
    let mut at = 0;
    while at < outbox.operations.len() {
        let Operation { update, step, .. } = outbox.operations[at].clone();
        at += 1;
        let Step::Submit(token, action) = step else { panic!() };
        let answer = device.answer(&action);
        engine.handle_event(HOUR, &Event::Answered { update, token, answer }, &mut outbox);
    }
    engine.end_batch(&mut outbox);
    assert_eq!((outbox.records.len(), outbox.progress.len()), (1, 1));
}

#[test]
fn an_event_of_a_device_without_an_update_leaves_nothing() {
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    engine.start(HOUR, &name(1), goal(), Patience::default(), &mut outbox).unwrap();
    let mut aside = Outbox::default();
    for event in [Event::Registered("other"), Event::Contact("other"), Event::Said("other", Value::State(2))]
    {
        engine.handle_event(HOUR, &event, &mut aside);
    }
    let answer = Answer::Done;
    engine.handle_event(HOUR, &Event::Answered { update: 99, token: 1, answer }, &mut aside);
    engine.handle_event(HOUR, &Event::Answered { update: 1, token: 99, answer }, &mut aside);
    assert!(aside.is_empty());
    assert_eq!((engine.cares_for("other"), engine.cares_for("buoy-1")), (None, Some(1)));
}

#[test]
fn timers_that_are_due_together_are_taken_in_batches() {
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    for id in 1..=100 {
        engine.start(HOUR, &name(id), goal(), Patience::default(), &mut outbox).unwrap();
    }
    let due = engine.poll_timeout().unwrap();
    let mut left = 100;
    while left > 0 {
        engine.handle_timeout(due, 30, &mut outbox);
        let now_left = engine.len();
        assert!(left - now_left <= 30);
        left = now_left;
    }
    assert_eq!(engine.poll_timeout(), None);
}

#[test]
fn dates_follow_a_calendar_that_is_set_and_limits_do_not() {
    const SET: u64 = 20 * 365 * 24 * HOUR;
    let dates = |record: &UpdateRecord| -> Vec<u64> {
        Update::restore(record).unwrap().history().iter().map(|entry| entry.at).collect()
    };
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    engine.start(HOUR, &name(1), goal(), Patience::default(), &mut outbox).unwrap();
    engine.end_batch(&mut outbox);
    assert_eq!(dates(&outbox.records[0]), [HOUR]);
    let due = engine.poll_timeout();
    // The machine learns the time.
    outbox = Outbox::default();
    engine.set_calendar(2 * HOUR, Calendar::ahead_by(SET as i64), &mut outbox);
    engine.end_batch(&mut outbox);
    assert_eq!(dates(&outbox.records[0]), [HOUR + SET], "the record in the store is dated anew");
    assert!(outbox.progress.is_empty() && engine.poll_timeout() == due, "and nothing else happens");
    let open = outbox.records[0].clone();
    // It is corrected by a little, which writes nothing.
    outbox = Outbox::default();
    engine.set_calendar(2 * HOUR, Calendar::ahead_by(SET as i64 + 900), &mut outbox);
    assert!(outbox.is_empty());
    engine.cancel(3 * HOUR, 1, &mut outbox);
    assert_eq!(dates(&outbox.records[0]), [HOUR + SET + 900, 3 * HOUR + SET + 900]);
    let told: Vec<u64> = outbox.progress[0].history().iter().map(|entry| entry.at).collect();
    assert_eq!(told, dates(&outbox.records[0]));

    // After a restart whose clock was set right from the start the limits are where they were.
    let (mut engine, mut outbox) = (Updates::new(0), Outbox::default());
    engine.set_calendar(2 * HOUR + SET, Calendar::default(), &mut outbox);
    engine.restore(2 * HOUR + SET, &open, &mut outbox);
    engine.handle_timeout(due.unwrap() + SET, 10, &mut outbox);
    engine.end_batch(&mut outbox);
    assert_eq!(dates(outbox.records.last().unwrap())[0], HOUR + SET);
}
