use std::collections::BTreeMap;

use super::*;

const START: u64 = 1_780_000_000_000;
const HOUR: u64 = 3_600_000;

fn plan() -> Plan {
    Plan {
        name: "reboot all".into(),
        filter: String::new(),
        command: "{}".into(),
        is_repeatable: true,
        concurrent: 100,
        per_minute: None,
        retries: 1,
        deadline: START + 24 * HOUR,
        confirmed_by: None,
    }
}

/// Answers of devices, and a clock.
struct Fleet {
    job: Job,
    now: u64,
    saved: BTreeMap<Arc<str>, DeviceRecord>,
    facts: Facts,
    /// Operations that have not ended.
    open: BTreeMap<u64, Arc<str>>,
    next: u64,
    most_open: usize,
    given: BTreeMap<Arc<str>, u32>,
    is_reachable: fn(&str, u64) -> bool,
    is_asleep: fn(&str) -> bool,
    answer: fn(&str, u32) -> End,
}

impl Fleet {
    fn of(plan: Plan, count: usize) -> Self {
        plan.check(START).unwrap();
        let names = (0..count).map(|number| format!("b-{number:06}").into()).collect();
        let job = Job::new(1, plan, "ada", START, names);
        Self {
            saved: job.devices().iter().cloned().collect(),
            facts: job.facts().clone(),
            job,
            now: START,
            open: BTreeMap::new(),
            next: 1,
            most_open: 0,
            given: BTreeMap::new(),
            is_reachable: |_, _| true,
            is_asleep: |_| false,
            answer: |_, _| End::Succeeded("2.04".into()),
        }
    }

    fn carry_out(&mut self, outbox: Outbox) {
        self.saved.extend(outbox.devices);
        self.facts = outbox.facts.unwrap_or_else(|| self.facts.clone());
        for name in outbox.starts {
            let operation = self.next;
            self.next += 1;
            self.saved.insert(name.clone(), self.job.record_when_started(&name, operation));
            *self.given.entry(name.clone()).or_default() += 1;
            self.job.started(&name, operation);
            if (self.is_asleep)(&name) {
                self.job.asleep(&name, operation);
            }
            self.open.insert(operation, name);
        }
        let mut answers = Outbox::default();
        for (name, operation) in outbox.cancels {
            self.open.remove(&operation);
            self.job.ended(self.now, (&name, operation), (self.now, End::Cancelled), &mut answers);
        }
        self.most_open = self.most_open.max(self.open.len());
        self.saved.extend(answers.devices);
        self.facts = answers.facts.unwrap_or_else(|| self.facts.clone());
    }

    fn step(&mut self) {
        self.now += 10_000;
        let mut outbox = Outbox::default();
        let awake: Vec<u64> =
            self.open.iter().filter(|(_, name)| !(self.is_asleep)(name)).map(|(id, _)| *id).collect();
        for operation in awake {
            let name = self.open.remove(&operation).unwrap();
            let end = (self.answer)(&name, self.given[&name]);
            self.job.ended(self.now, (&name, operation), (self.now, end), &mut outbox);
        }
        let now = self.now;
        self.job.advance(now, &|name| (self.is_reachable)(name, now), &mut outbox);
        self.carry_out(outbox);
    }

    fn run(&mut self, steps: usize) {
        (0..steps).for_each(|_| self.step());
    }

    fn restart(&mut self) {
        self.job = Job::restore(self.facts.clone(), self.saved.clone());
        let under_way: Vec<_> = self.job.under_way().map(|(name, id)| (name.clone(), id)).collect();
        let mut outbox = Outbox::default();
        for (name, operation) in under_way {
            match self.open.contains_key(&operation) {
                true => self.job.asleep(&name, operation),
                false => self.job.gone(self.now, &name, operation, &mut outbox),
            }
        }
        self.job.cancel_again(&mut outbox);
        self.carry_out(outbox);
    }
}

#[test]
fn each_device_gets_the_command_once_within_the_limits() {
    let mut fleet = Fleet::of(Plan { per_minute: Some(50), ..plan() }, 1000);
    fleet.run(7);
    assert_eq!(fleet.job.counts().open(), 1000 - fleet.job.counts().succeeded);
    assert!(fleet.job.counts().succeeded <= 100, "{:?}", fleet.job.counts());
    fleet.run(200);
    assert_eq!((fleet.job.counts().succeeded, fleet.facts.state), (1000, State::Done));
    assert!(fleet.most_open <= 50);
    assert!(fleet.given.values().all(|count| *count == 1));
    assert_eq!(fleet.facts.ended_at, fleet.job.facts().ended_at);
}

#[test]
fn devices_that_sleep_take_no_place_of_others() {
    let mut fleet = Fleet::of(Plan { concurrent: 10, ..plan() }, 500);
    fleet.is_asleep = |name| name < "b-000400";
    fleet.run(100);
    let counts = fleet.job.counts();
    assert_eq!((counts.asleep, counts.succeeded), (400, 100), "{counts:?}");
    fleet.is_asleep = |_| false;
    fleet.run(5);
    assert_eq!(fleet.facts.state, State::Done);
}

#[test]
fn a_device_that_can_not_be_reached_is_given_up_at_the_deadline() {
    let mut fleet = Fleet::of(Plan { deadline: START + HOUR, ..plan() }, 20);
    fleet.is_reachable = |name, now| name != "b-000007" && (name != "b-000008" || now > START + HOUR / 2);
    fleet.run(359);
    assert_eq!((fleet.job.counts().succeeded, fleet.facts.state), (19, State::Running));
    fleet.run(2);
    assert_eq!((fleet.job.counts().not_reached, fleet.facts.state), (1, State::Done));
    assert!(matches!(fleet.saved["b-000007"].stage, Stage::NotReached { .. }));

    // Somebody turns it on, and tries again.
    fleet.is_reachable = |_, _| true;
    let mut outbox = Outbox::default();
    assert_eq!(fleet.job.retry(fleet.now, fleet.now, &mut outbox), Err(Refused::Deadline));
    assert_eq!(fleet.job.retry(fleet.now, fleet.now + HOUR, &mut outbox), Ok(1));
    fleet.carry_out(outbox);
    fleet.run(3);
    assert_eq!((fleet.job.counts().succeeded, fleet.facts.state), (20, State::Done));
    assert_eq!(
        fleet.job.retry(fleet.now, fleet.now + HOUR, &mut Outbox::default()),
        Err(Refused::NothingFailed)
    );
}

#[test]
fn a_command_that_may_have_been_carried_out_is_not_repeated_by_itself() {
    for is_repeatable in [true, false] {
        let mut fleet = Fleet::of(Plan { is_repeatable, ..plan() }, 3);
        fleet.answer = |name, times| match (name, times) {
            ("b-000000", 1) | ("b-000001", _) => End::NoAnswer("no answer".into()),
            ("b-000002", 1) => End::NotReached("it has left".into()),
            _ => End::Succeeded("2.04".into()),
        };
        fleet.run(100);
        let times: Vec<_> = fleet.given.values().copied().collect();
        let Stage::Failed { reason } = &fleet.saved["b-000001"].stage else {
            panic!("{:?}", fleet.saved["b-000001"]);
        };
        assert_eq!(reason.contains("not confirmed"), !is_repeatable);
        assert_eq!(times, if is_repeatable { [2, 2, 2] } else { [1, 1, 2] });
    }
}

#[test]
fn a_refusal_is_final_until_a_person_tries_again() {
    let mut fleet = Fleet::of(plan(), 10);
    fleet.answer = |_, times| match times {
        1 => End::Refused("4.05 Method Not Allowed".into()),
        _ => End::Succeeded("2.04".into()),
    };
    fleet.run(100);
    assert_eq!((fleet.job.counts().failed, fleet.facts.state), (10, State::Done));
    let mut outbox = Outbox::default();
    assert_eq!(fleet.job.retry(fleet.now, fleet.now + HOUR, &mut outbox), Ok(10));
    fleet.carry_out(outbox);
    fleet.run(10);
    assert_eq!((fleet.job.counts().succeeded, fleet.facts.state), (10, State::Done));
}

#[test]
fn a_cancelled_job_gives_the_command_to_nobody_and_ends() {
    let mut fleet = Fleet::of(Plan { concurrent: 5, ..plan() }, 100);
    fleet.is_asleep = |name| name < "b-000010";
    fleet.run(4);
    let done = fleet.job.counts().succeeded;
    let mut outbox = Outbox::default();
    fleet.job.cancel(fleet.now, &mut outbox).unwrap();
    assert_eq!(fleet.job.cancel(fleet.now, &mut Outbox::default()), Err(Refused::State(State::Stopping)));
    fleet.carry_out(outbox);
    fleet.run(3);
    let counts = fleet.job.counts();
    assert_eq!((counts.succeeded, counts.cancelled, counts.open()), (done, 100 - done, 0));
    assert_eq!(fleet.facts.state, State::Cancelled);
}

#[test]
fn a_job_that_was_being_cancelled_ends_after_a_restart_though_nobody_knows_its_operations() {
    let mut fleet = Fleet::of(Plan { concurrent: 5, ..plan() }, 5);
    fleet.is_asleep = |_| true;
    fleet.run(1);
    let mut outbox = Outbox::default();
    fleet.job.cancel(fleet.now, &mut outbox).unwrap();
    outbox.cancels.clear();
    fleet.carry_out(outbox);
    assert_eq!(fleet.facts.state, State::Stopping);
    fleet.open.clear();
    fleet.restart();
    assert_eq!((fleet.facts.state, fleet.job.counts().cancelled), (State::Cancelled, 5));
}

#[test]
fn a_restart_at_any_step_changes_nothing_in_the_end() {
    for at in 0..40 {
        let mut fleet = Fleet::of(Plan { concurrent: 7, is_repeatable: false, ..plan() }, 60);
        fleet.is_asleep = |name| name < "b-000003";
        fleet.run(at);
        fleet.restart();
        fleet.run(2);
        fleet.is_asleep = |_| false;
        fleet.run(60);
        assert_eq!((fleet.job.counts().succeeded, fleet.facts.state), (60, State::Done), "{at}");
        assert!(fleet.given.values().all(|count| *count == 1), "{at}");
    }
}

#[test]
fn a_hundred_thousand_devices_are_served_in_a_job() {
    let mut fleet = Fleet::of(Plan { concurrent: 10_000, ..plan() }, 100_000);
    fleet.run(300);
    assert_eq!((fleet.job.counts().succeeded, fleet.facts.state), (100_000, State::Done));
}

#[test]
fn a_plan_that_can_not_be_followed_is_refused() {
    assert_eq!(Plan { name: "a\nb".into(), ..plan() }.check(START), Err(PlanError::Name));
    assert_eq!(Plan { name: String::new(), ..plan() }.check(START), Err(PlanError::Name));
    assert_eq!(Plan { concurrent: 0, ..plan() }.check(START), Err(PlanError::Limit));
    assert_eq!(Plan { per_minute: Some(0), ..plan() }.check(START), Err(PlanError::Limit));
    assert_eq!(Plan { deadline: START, ..plan() }.check(START), Err(PlanError::Deadline));
    assert_eq!(Plan { deadline: START + 91 * 24 * HOUR, ..plan() }.check(START), Err(PlanError::Deadline));
}

#[test]
fn a_device_that_is_to_be_confirmed_is_done_by_its_sign_and_not_by_its_answer() {
    let plan = Plan { is_repeatable: false, confirmed_by: Some(ConfirmedBy::Registration), ..plan() };
    let names = ["a", "b", "c", "d"].map(Arc::from).to_vec();
    let mut job = Job::new(1, plan, "ada", START, names);
    let mut outbox = Outbox::default();
    job.advance(START, &|_| true, &mut outbox);
    for (number, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        job.started(name, number as u64 + 1);
    }
    // One answers, which is heard late; one restarts without an answer; one refuses; and one does not answer, and is never seen again.
    let ends = [
        ("a", 1, 5_000, End::Succeeded("2.04".into())),
        ("b", 2, 8_000, End::Left("it left".into())),
        ("c", 3, 5_000, End::Refused("4.05".into())),
        ("d", 4, 60_000, End::NoAnswer("no answer".into())),
    ];
    for (name, operation, at, end) in ends {
        job.ended(START + 90_000, (name, operation), (START + at, end), &mut outbox);
    }
    assert_eq!((job.counts().confirming, job.counts().failed), (3, 1));
    // It had not registered before it did not answer.
    assert_eq!(
        job.to_be_confirmed(9)[..3],
        [("a".into(), START + 3_000), ("b".into(), START), ("d".into(), START + 58_000)]
    );
    let mut again = Job::restore(job.facts().clone(), job.devices().to_vec());
    assert_eq!(
        again.to_be_confirmed(1).len() + again.to_be_confirmed(9).len(),
        4,
        "after a restart, and all in turn"
    );
    for name in ["a", "b", "c"] {
        job.confirmed(START + 95_000, name, "it registered".into(), &mut outbox);
    }
    assert_eq!((job.counts().succeeded, job.counts().failed), (2, 1), "a refusal is none");
    job.advance(START + 24 * HOUR, &|_| true, &mut outbox);
    let Stage::Failed { reason } = &job.device("d").unwrap().stage else { panic!() };
    assert!(reason.starts_with("not confirmed"), "{reason}");
    assert_eq!(job.facts().state, State::Done);
}

#[test]
fn what_may_have_been_carried_out_is_not_given_again_to_a_device_that_left() {
    for (end, is_again) in [(End::NotReached("away".into()), true), (End::Left("it left".into()), false)] {
        let plan = Plan { is_repeatable: false, ..plan() };
        let mut job = Job::new(1, plan, "ada", START, vec!["a".into()]);
        let mut outbox = Outbox::default();
        job.advance(START, &|_| true, &mut outbox);
        job.started("a", 1);
        job.ended(START + 5_000, ("a", 1), (START + 5_000, end), &mut outbox);
        let mut outbox = Outbox::default();
        job.advance(START + HOUR, &|_| true, &mut outbox);
        assert_eq!(!outbox.starts.is_empty(), is_again);
    }
}
