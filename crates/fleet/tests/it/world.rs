//! One device that keeps to a script, the engine, and a store that is a map.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use buoy_fleet::update::{
    Action, Answer, Delivery, End, FIRMWARE_VERSION, Goal, Patience, REASON, RESULT, STATE, Stage, Step,
    Update, UpdateRecord, Value,
};
use buoy_fleet::updates::{Event, Operation, Outbox, Updates};

pub(crate) const OLD: &str = "1.0.0";
pub(crate) const NEW: &str = "1.1.0";
pub(crate) const NAME: &str = "buoy-1";
pub(crate) const SECOND: u64 = 1000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// So long after the device's last move an update has ended, whatever was lost.
pub(crate) const SOON: u64 = 6 * MINUTE;
/// Every result that a standard knows, and some that none does.
pub(crate) const RESULTS: [i64; 18] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 99, 255, -1];

pub(crate) fn failures() -> impl Iterator<Item = i64> {
    RESULTS.into_iter().filter(|result| !matches!(result, 0 | 1))
}

/// Something that a device does by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Move {
    State(i64),
    Result(i64),
    Version(&'static str),
    /// Registers again.
    Register,
    /// Updates its registration.
    Contact,
    /// From now on it does not answer.
    Away,
    /// It answers again.
    Back,
}

/// How a device answers a write or an Execute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reply {
    Done,
    /// Says Done, and does nothing.
    DoneInVain,
    Refused(u8),
    /// Does it, and its answer is lost.
    DoneUnheard,
    /// Never hears of it.
    Lost,
}

#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) version: &'static str,
    pub(crate) state: i64,
    pub(crate) result: i64,
    pub(crate) is_observable: bool,
    pub(crate) notifications_arrive: bool,
    pub(crate) reset: Reply,
    /// Result after the package was dropped: 0, or 10 in version 1.1 of the object.
    pub(crate) result_of_reset: i64,
    pub(crate) order: Reply,
    /// Used up first.
    pub(crate) orders_before: Vec<Reply>,
    pub(crate) execute: Reply,
    pub(crate) executes_before: Vec<Reply>,
    pub(crate) is_away: bool,
    /// What it answers when it is asked for the reason of a failure.
    pub(crate) reason: Why,
    /// What follows an order of the package, by the time since.
    pub(crate) on_order: Vec<(u64, Move)>,
    /// What follows the order to install.
    pub(crate) on_execute: Vec<(u64, Move)>,
}

/// What a device answers when it is asked for the reason of a failure (5/0/26241).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    NoSuchResource,
    Given(&'static str),
    NoAnswer,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self {
            version: OLD,
            state: 0,
            result: 0,
            is_observable: true,
            notifications_arrive: true,
            reset: Reply::Done,
            result_of_reset: 0,
            order: Reply::Done,
            orders_before: Vec::new(),
            execute: Reply::Done,
            executes_before: Vec::new(),
            is_away: false,
            reason: Why::NoSuchResource,
            on_order: downloads(),
            on_execute: installs(),
        }
    }
}

pub(crate) fn downloads() -> Vec<(u64, Move)> {
    vec![(SECOND, Move::State(1)), (SECOND, Move::Result(0)), (MINUTE, Move::State(2))]
}

pub(crate) fn installs() -> Vec<(u64, Move)> {
    vec![
        (0, Move::State(3)),
        (5 * SECOND, Move::Version(NEW)),
        (5 * SECOND, Move::Register),
        (30 * SECOND, Move::Result(1)),
        (30 * SECOND, Move::State(0)),
    ]
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) device: Device,
    pub(crate) engine: Updates,
    pub(crate) outbox: Outbox,
    pub(crate) store: HashMap<u64, UpdateRecord>,
    pub(crate) commits: usize,
    /// What the device was asked, as it heard it.
    pub(crate) heard: Vec<(u64, Action)>,
    /// When the device last moved.
    pub(crate) moved_at: u64,
    /// What waits until the device answers again.
    waiting: Vec<Operation>,
    moves: BTreeMap<(u64, u32), Move>,
    count: u32,
    /// Whose package the device has.
    pub(crate) has_our_package: bool,
    /// Kills the server at this commit, counted from one, before what was to follow it leaves; or after.
    pub(crate) kill: Option<(usize, Kill)>,
    /// The device as it was when its update ended.
    pub(crate) device_at_end: Option<Device>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kill {
    BeforeSubmission,
    BeforeAnswers,
}

impl World {
    pub(crate) fn new(device: Device) -> Self {
        Self::with_goal(device, NEW, Delivery::Pull("coap://h/fw".into()))
    }

    pub(crate) fn push(device: Device) -> Self {
        Self::with_goal(device, NEW, Delivery::Push)
    }

    pub(crate) fn with_goal(device: Device, version: &str, delivery: Delivery) -> Self {
        Self::with_patience(device, version, delivery, Patience::default())
    }

    pub(crate) fn with_patience(
        device: Device,
        version: &str,
        delivery: Delivery,
        patience: Patience,
    ) -> Self {
        let mut world = Self {
            now: HOUR,
            device,
            engine: Updates::new(0),
            outbox: Outbox::default(),
            store: HashMap::new(),
            commits: 0,
            heard: Vec::new(),
            moved_at: HOUR,
            waiting: Vec::new(),
            moves: BTreeMap::new(),
            count: 0,
            has_our_package: false,
            kill: None,
            device_at_end: None,
        };
        let goal = Goal { version: version.into(), digest: "ab".into(), delivery };
        let endpoint: Arc<str> = NAME.into();
        let id = world.engine.start(world.now, &endpoint, goal, patience, &mut world.outbox);
        assert_eq!(id, Ok(1));
        world
    }

    /// Whoever ends, ends by this time.
    pub(crate) fn run(&mut self) -> &mut Self {
        self.run_until(self.now + 40 * 24 * HOUR)
    }

    pub(crate) fn run_until(&mut self, end: u64) -> &mut Self {
        self.flush();
        loop {
            let next_move = self.moves.first_key_value().map(|((at, _), _)| *at);
            let next = [self.engine.poll_timeout(), next_move].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                self.now = self.now.max(end);
                return self;
            };
            if self.engine.is_empty() {
                return self;
            }
            self.now = self.now.max(at);
            while let Some(entry) = self.moves.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let next = entry.remove();
                self.make(next);
            }
            self.engine.handle_timeout(self.now, usize::MAX, &mut self.outbox);
            self.flush();
        }
    }

    /// Commits and carries out until nothing is left to do.
    fn flush(&mut self) {
        for _ in 0..10_000 {
            self.engine.end_batch(&mut self.outbox);
            if self.outbox.is_empty() {
                return;
            }
            let Outbox { records, operations, .. } = std::mem::take(&mut self.outbox);
            if records.iter().any(|record| record.ended) {
                self.device_at_end = Some(self.device.clone());
            }
            let has_records = !records.is_empty();
            self.store.extend(records.into_iter().map(|record| (record.id, record)));
            self.commits += usize::from(has_records);
            let kill = self.kill.filter(|(at, _)| has_records && *at == self.commits).map(|(_, kill)| kill);
            match kill {
                Some(Kill::BeforeSubmission) => self.restart(),
                Some(Kill::BeforeAnswers) => {
                    for operation in operations {
                        if let Step::Submit(_, action) = operation.step {
                            self.ask(&action);
                        }
                    }
                    self.restart();
                }
                None => operations.into_iter().for_each(|operation| self.carry_out(operation)),
            }
        }
        panic!("the engine asks without end: {:?}", &self.heard[self.heard.len() - 20..]);
    }

    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        self.engine = Updates::new(0);
        self.outbox = Outbox::default();
        let open: Vec<_> = self.store.values().filter(|record| !record.ended).cloned().collect();
        for record in open {
            self.engine.restore(self.now, &record, &mut self.outbox);
        }
    }

    fn carry_out(&mut self, operation: Operation) {
        match &operation.step {
            Step::Withdraw(token) => self
                .waiting
                .retain(|waiting| !matches!(&waiting.step, Step::Submit(submitted, _) if submitted == token)),
            Step::Submit(..) if self.device.is_away => self.waiting.push(operation),
            Step::Submit(token, action) => {
                let (token, action) = (*token, action.clone());
                let said = self.ask(&action);
                let (code, reason);
                let answer = match &said {
                    Said::Done => Answer::Done,
                    Said::Version(version) => Answer::Value(Value::Version(version)),
                    Said::State(state) => Answer::Value(Value::State(*state)),
                    Said::Result(result) => Answer::Value(Value::Result(*result)),
                    Said::Reason(reason) => Answer::Value(Value::Reason(reason)),
                    Said::Refused(refused) => {
                        code = *refused;
                        reason = format!("{}.{:02} no", code >> 5, code & 31);
                        Answer::Refused { code, reason: &reason }
                    }
                    Said::Nothing => Answer::Unanswered { reason: "the device did not answer in time" },
                };
                let event = Event::Answered { update: operation.update, token, answer };
                self.engine.handle_event(self.now, &event, &mut self.outbox);
            }
        }
    }

    fn ask(&mut self, action: &Action) -> Said {
        self.heard.push((self.now, action.clone()));
        let device = &mut self.device;
        match action {
            Action::Observe(_) if !device.is_observable => Said::Refused(4 << 5 | 5),
            Action::Read(path) | Action::Observe(path) => match *path {
                FIRMWARE_VERSION => Said::Version(device.version),
                STATE => Said::State(device.state),
                RESULT => Said::Result(device.result),
                REASON => match device.reason {
                    Why::NoSuchResource => Said::Refused(4 << 5 | 4),
                    Why::Given(reason) => Said::Reason(reason),
                    Why::NoAnswer => Said::Nothing,
                },
                other => panic!("{other}"),
            },
            Action::Reset => {
                let reply = device.reset;
                if does(reply) {
                    (device.state, device.result) = (0, device.result_of_reset);
                    self.has_our_package = false;
                    self.moves.clear();
                }
                said(reply)
            }
            Action::WriteUri(_) | Action::Push(_) => {
                let reply = next(&mut device.orders_before, device.order);
                if does(reply) {
                    self.has_our_package = true;
                    self.follow(self.device.on_order.clone());
                }
                said(reply)
            }
            Action::Execute => {
                assert!(self.has_our_package, "the device was told to install somebody else's package");
                let reply = next(&mut device.executes_before, device.execute);
                if does(reply) {
                    self.follow(self.device.on_execute.clone());
                }
                said(reply)
            }
        }
    }

    pub(crate) fn follow(&mut self, script: Vec<(u64, Move)>) {
        self.moves.clear();
        for (after, what) in script {
            self.count += 1;
            self.moves.insert((self.now + after, self.count), what);
        }
    }

    /// The device moves.
    pub(crate) fn make(&mut self, what: Move) {
        self.moved_at = self.now;
        let mut tell = None;
        match what {
            Move::State(state) => {
                self.device.state = state;
                tell = Some(Value::State(state));
            }
            Move::Result(result) => {
                self.device.result = result;
                tell = Some(Value::Result(result));
            }
            Move::Version(version) => self.device.version = version,
            Move::Register => self.event(&Event::Registered(NAME)),
            Move::Contact => self.event(&Event::Contact(NAME)),
            Move::Away => self.device.is_away = true,
            Move::Back => {
                self.device.is_away = false;
                for operation in std::mem::take(&mut self.waiting) {
                    self.carry_out(operation);
                }
            }
        }
        let is_heard = self.device.is_observable && self.device.notifications_arrive && !self.device.is_away;
        if let Some(value) = tell.filter(|_| is_heard) {
            self.event(&Event::Said(NAME, value));
        }
        self.flush();
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) {
        self.engine.handle_event(self.now, event, &mut self.outbox);
        self.flush();
    }

    pub(crate) fn update(&self) -> Update {
        Update::restore(&self.store[&1]).unwrap()
    }

    pub(crate) fn end(&self) -> End {
        match self.update().stage() {
            Stage::Ended(end) => end.clone(),
            open => panic!("still {open}; {:?}", self.heard),
        }
    }

    /// How it ended, which was soon after the device had said what is so.
    pub(crate) fn end_soon(&self) -> End {
        let end = self.end();
        let ended_at = self.update().history().last().unwrap().at;
        assert!(
            ended_at <= self.moved_at + SOON,
            "{end} came {} s late",
            (ended_at - self.moved_at) / SECOND
        );
        end
    }

    pub(crate) fn count(&self, action: &Action) -> usize {
        self.heard.iter().filter(|(_, heard)| heard == action).count()
    }

    pub(crate) fn executes(&self) -> usize {
        self.count(&Action::Execute)
    }

    pub(crate) fn orders(&self) -> usize {
        let is_order = |action: &Action| matches!(action, Action::WriteUri(_) | Action::Push(_));
        self.heard.iter().filter(|(_, heard)| is_order(heard)).count()
    }
}

enum Said {
    Done,
    Version(&'static str),
    State(i64),
    Result(i64),
    Reason(&'static str),
    Refused(u8),
    Nothing,
}

fn does(reply: Reply) -> bool {
    matches!(reply, Reply::Done | Reply::DoneUnheard)
}

fn said(reply: Reply) -> Said {
    match reply {
        Reply::Done | Reply::DoneInVain => Said::Done,
        Reply::Refused(code) => Said::Refused(code),
        Reply::DoneUnheard | Reply::Lost => Said::Nothing,
    }
}

fn next(before: &mut Vec<Reply>, then: Reply) -> Reply {
    if before.is_empty() { then } else { before.remove(0) }
}

/// Every way in which a device may be heard: (it can be observed, its notifications arrive).
pub(crate) const HEARD: [(bool, bool); 3] = [(true, true), (true, false), (false, false)];

/// A device that is heard in this way.
pub(crate) fn heard_as((is_observable, notifications_arrive): (bool, bool)) -> Device {
    Device { is_observable, notifications_arrive, ..Device::new() }
}
