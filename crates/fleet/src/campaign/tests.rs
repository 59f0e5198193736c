mod way_back;

use std::collections::BTreeMap;

use super::*;

const START: u64 = 1_780_000_000_000;

fn gate(success: f64, soak: u64) -> Gate {
    Gate { success, soak, healthy: None, is_manual: false }
}

fn wave(percent: Option<f64>, gate: Gate) -> Wave {
    Wave { filter: None, count: None, percent, gate }
}

fn plan() -> Plan {
    Plan {
        name: "1.4.0 for all".into(),
        filter: String::new(),
        is_growing: false,
        release: Release { digest: "aa".into(), version: "1.4.0".into() },
        delivery: "pull_coap".into(),
        waves: vec![
            wave(Some(1.0), gate(90.0, 600)),
            wave(Some(10.0), gate(90.0, 600)),
            wave(None, gate(90.0, 0)),
        ],
        stop: StopRule { failures: None, rate: Some(2.0), minimum: 20 },
        concurrent: 200,
        per_minute: None,
        retries: 1,
        start_at: None,
        deadline: None,
        needs_approval: false,
        window: None,
        requires: crate::compatibility::Requirements::default(),
        on_stop: crate::campaign::OnStop::Pause,
        retry: Vec::new(),
        deferral: None,
    }
}

/// How the update of a device to a version ends.
type Outcome = Box<dyn Fn(&str, &str) -> End>;
/// Whether a device can be reached at a time.
type IsReachable = Box<dyn Fn(&str, u64) -> bool>;

/// Devices with what becomes of their updates, and a clock.
struct Fleet {
    campaign: Campaign,
    now: u64,
    /// What is saved, as the store has it.
    facts: Facts,
    saved: BTreeMap<Arc<str>, DeviceRecord>,
    /// Updates that are under way, with their end and its time.
    open: BTreeMap<u64, (Arc<str>, u64, Option<End>)>,
    next_update: u64,
    starts: Vec<(u64, Arc<str>)>,
    outcome: Outcome,
    /// How long the update of a device takes.
    takes: Box<dyn Fn(&str) -> u64>,
    is_reachable: IsReachable,
    unhealthy: Vec<Arc<str>>,
    /// Whether the library has the image of before.
    has_image_before: bool,
    /// What is not ready, and why.
    ready: Option<Ready>,
}

impl Fleet {
    fn of(plan: Plan, count: usize, outcome: impl Fn(&str, &str) -> End + 'static) -> Self {
        plan.check().unwrap();
        let mut campaign = Campaign::new(7, plan, "ada", START);
        let mut fleet = Self {
            facts: campaign.facts().clone(),
            now: START,
            saved: BTreeMap::new(),
            open: BTreeMap::new(),
            next_update: 1,
            starts: Vec::new(),
            outcome: Box::new(outcome),
            takes: Box::new(|_| 120_000),
            is_reachable: Box::new(|_, _| true),
            unhealthy: Vec::new(),
            has_image_before: true,
            ready: None,
            campaign: Campaign::new(7, self::plan(), "ada", START),
        };
        if campaign.start(START, "ada").unwrap() {
            let names = (0..count).map(|number| format!("b-{number:06}").into()).collect();
            fleet.saved = campaign.deal(names, &[]).into_iter().collect();
            campaign.run(START);
        }
        fleet.campaign = campaign;
        fleet
    }

    fn carry_out(&mut self, outbox: Outbox) {
        if let Some(facts) = outbox.facts {
            self.facts = facts;
        }
        self.saved.extend(outbox.devices);
        let mut answers = Outbox::default();
        for update in outbox.cancels {
            if let Some((_, at, end)) = self.open.get_mut(&update) {
                (*at, *end) = (self.now, Some(End::Cancelled));
            }
        }
        for name in outbox.starts {
            let update = self.next_update;
            self.next_update += 1;
            self.starts.push((self.now, name.clone()));
            self.campaign.update_started(&name, update, &mut answers);
            let ends_at = self.now + (self.takes)(&name);
            self.open.insert(update, (name, ends_at, None));
        }
        for (name, version) in outbox.backs {
            assert_eq!(version, "1.3.0");
            if !self.has_image_before {
                self.campaign.stays(&name, "there is no image of 1.3.0", &mut answers);
                continue;
            }
            let update = self.next_update;
            self.next_update += 1;
            self.campaign.back_started(&name, update, &mut answers);
            let ends_at = self.now + (self.takes)(&name);
            self.open.insert(update, (name, ends_at, Some(End::Updated)));
        }
        if let Some(asked) = outbox.health {
            let sick = asked.into_iter().filter(|name| self.unhealthy.contains(name));
            let sick = sick.map(|name| (name, "it is offline".to_owned())).collect();
            self.campaign.health(self.now, sick, &mut answers);
        }
        if !answers.devices.is_empty() || answers.facts.is_some() || !answers.starts.is_empty() {
            self.carry_out(answers);
        }
    }

    fn step(&mut self) {
        self.now += 10_000;
        let due: Vec<u64> =
            self.open.iter().filter(|(_, (_, at, _))| *at <= self.now).map(|(id, _)| *id).collect();
        let mut outbox = Outbox::default();
        for update in due {
            let (name, _, end) = self.open.remove(&update).unwrap();
            let end =
                end.unwrap_or_else(|| (self.outcome)(&name, &self.campaign.facts().plan.release.version));
            self.campaign.ran_before(&name, "1.3.0");
            self.campaign.update_ended(self.now, &name, update, &end, &mut outbox);
        }
        let now = self.now;
        let ready = |name: &str| match (&self.ready, (self.is_reachable)(name, now)) {
            (_, false) => Ready::Unreachable,
            (Some(ready), true) => ready.clone(),
            (None, true) => Ready::Now,
        };
        self.campaign.advance(now, &ready, &mut outbox);
        self.carry_out(outbox);
    }

    /// Ends the server at once, and starts it again on what is saved.
    fn restart(&mut self) {
        let saved = self.saved.clone();
        self.campaign = Campaign::restore(self.facts.clone(), saved);
        let under_way: Vec<_> =
            self.campaign.under_way().map(|(name, record)| (name.clone(), record.stage.clone())).collect();
        let mut outbox = Outbox::default();
        for (name, stage) in under_way {
            // What the service does: it looks for the update of the device.
            let known = self.open.iter().find(|(_, (of, ..))| *of == name).map(|(id, _)| *id);
            match (stage, known) {
                (Stage::Ordered, Some(id)) => self.campaign.update_started(&name, id, &mut outbox),
                (Stage::Superseded, Some(id)) => outbox.cancels.push(id),
                (Stage::GoingBack { update: None, .. }, Some(id)) => {
                    self.campaign.back_started(&name, id, &mut outbox);
                }
                (_, None) => self.campaign.update_gone(&name, &mut outbox),
                _ => {}
            }
        }
        self.campaign.cancel_again(&mut outbox);
        self.carry_out(outbox);
    }

    fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.campaign.facts().state != State::Running && self.open.is_empty() {
                return;
            }
            self.step();
        }
    }

    fn total(&self) -> Counts {
        self.campaign.total()
    }

    fn state(&self) -> State {
        self.campaign.facts().state
    }
}

fn rolled_back() -> End {
    End::RolledBack { running: "1.3.0".into(), result: Some(8) }
}

/// Whether a device is one of so many in a thousand, by its name.
fn is_one_of(name: &str, in_a_thousand: u64) -> bool {
    let number: u64 = name.trim_start_matches("b-").parse().unwrap();
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 1023 < in_a_thousand
}

#[test]
fn a_good_release_reaches_all_devices_wave_by_wave() {
    let mut fleet = Fleet::of(plan(), 1000, |_, _| End::Updated);
    let sizes: Vec<_> = fleet.campaign.counts().iter().map(Counts::all).collect();
    assert_eq!(sizes, [10, 100, 890]);
    fleet.run(1000);
    assert_eq!(fleet.state(), State::Done);
    assert_eq!(fleet.total().confirmed, 1000);
    // A wave opens when the one before has soaked.
    let first_of = |wave: usize| {
        let of_wave = |name: &Arc<str>| fleet.campaign.device(name).unwrap().wave == wave;
        fleet.starts.iter().find(|(_, name)| of_wave(name)).unwrap().0
    };
    assert!(first_of(1) >= first_of(0) + 120_000 + 600_000);
    assert!(first_of(2) >= first_of(1) + 120_000 + 600_000);
    let early: Vec<_> = fleet.starts.iter().take(10).map(|(_, name)| name.clone()).collect();
    assert!(
        !early.iter().all(|name| **name < *"b-000100"),
        "the canaries are not the first by name: {early:?}"
    );
}

#[test]
fn a_bad_release_stops_itself_and_a_mended_one_reaches_all() {
    let outcome = |name: &str, version: &str| match version == "1.4.0" && is_one_of(name, 40) {
        true => rolled_back(),
        false => End::Updated,
    };
    let mut fleet = Fleet::of(plan(), 10_000, outcome);
    fleet.run(2000);
    assert_eq!(fleet.state(), State::Paused);
    let facts = fleet.campaign.facts().clone();
    assert!(facts.reason.contains("stopped itself"), "{}", facts.reason);
    assert!(facts.wave < 2, "stopped in wave {}", facts.wave + 1);
    assert!(fleet.open.is_empty());
    let failed = fleet.total().failed;
    assert!(failed > 0 && fleet.total().waiting > 8000);

    let mut outbox = Outbox::default();
    let release = Release { digest: "bb".into(), version: "1.4.1".into() };
    fleet.campaign.resume(fleet.now, "ada", Some(release), &mut outbox).unwrap();
    fleet.carry_out(outbox);
    fleet.run(5000);
    assert_eq!(fleet.state(), State::Done, "{:?} {:?}", fleet.total(), fleet.campaign.facts());
    assert_eq!(fleet.total().confirmed, 10_000);
}

/// A device that crashes takes longer than one that succeeds: it boots twice.
#[test]
fn a_wave_waits_for_devices_whose_failures_would_stop_the_campaign() {
    for (is_bad, seconds) in [(true, 3600), (false, 3600), (true, 130)] {
        let outcome = move |name: &str, _: &str| match is_bad && is_one_of(name, 40) {
            true => rolled_back(),
            false => End::Updated,
        };
        let mut hasty = plan();
        // More than the first wave has.
        hasty.stop.minimum = 150;
        for wave in &mut hasty.waves {
            wave.gate.soak = 0;
        }
        let mut fleet = Fleet::of(hasty, 10_000, outcome);
        fleet.takes = Box::new(move |name| if is_one_of(name, 40) { seconds * 1000 } else { 60_000 });
        fleet.run(300);
        let facts = fleet.campaign.facts();
        assert!(seconds < 3000 || facts.reason.contains("still updating"), "{is_bad} {facts:?}");
        fleet.run(20_000);
        let facts = fleet.campaign.facts();
        if is_bad {
            assert_eq!((facts.state, facts.wave), (State::Paused, 1), "{facts:?}");
            assert!(facts.reason.contains("stopped itself"), "{}", facts.reason);
        } else {
            assert_eq!(facts.state, State::Done, "{facts:?}");
        }
    }
}

#[test]
fn a_device_that_went_back_is_tried_again_only_if_a_person_says_so() {
    let outcome = |name: &str, _: &str| if name == "b-000003" { rolled_back() } else { End::Updated };
    let mut fleet = Fleet::of(Plan { stop: StopRule::default(), ..plan() }, 100, outcome);
    fleet.run(2000);
    assert_eq!(fleet.state(), State::Done);
    let tries = |fleet: &Fleet| fleet.starts.iter().filter(|(_, name)| **name == *"b-000003").count();
    assert_eq!(tries(&fleet), 1);
    let mut outbox = Outbox::default();
    assert_eq!(fleet.campaign.retry(fleet.now, "ada", &mut outbox), Ok(1));
    fleet.carry_out(outbox);
    fleet.run(2000);
    assert_eq!((tries(&fleet), fleet.state()), (2, State::Done));
}

#[test]
fn what_may_pass_is_tried_again_as_often_as_the_plan_says() {
    let outcome = |_: &str, _: &str| End::Failed { reason: "4.04".into() };
    let plan = Plan { stop: StopRule::default(), waves: vec![wave(None, gate(90.0, 0))], ..plan() };
    let mut fleet = Fleet::of(Plan { retries: 2, ..plan }, 5, outcome);
    fleet.run(2000);
    assert_eq!((fleet.state(), fleet.total().failed, fleet.starts.len()), (State::Done, 5, 15));
}

#[test]
fn devices_that_do_not_stay_healthy_count_as_failed() {
    let mut fleet = Fleet::of(plan(), 1000, |_, _| End::Updated);
    fleet.unhealthy =
        fleet.campaign.devices().filter(|(_, it)| it.wave < 2).map(|(name, _)| name.clone()).collect();
    fleet.campaign.facts.plan.stop.minimum = 5;
    fleet.run(2000);
    assert_eq!(fleet.state(), State::Paused);
    assert_eq!(fleet.campaign.facts().wave, 0);
    assert_eq!(fleet.total().failed, 10);
}

#[test]
fn a_manual_gate_waits_for_a_person() {
    let manual = Gate { is_manual: true, ..gate(100.0, 0) };
    let plan = Plan { waves: vec![wave(Some(5.0), manual), wave(None, gate(90.0, 0))], ..plan() };
    let mut fleet = Fleet::of(plan, 100, |_, _| End::Updated);
    fleet.run(200);
    assert_eq!((fleet.state(), fleet.total().confirmed), (State::Running, 5));
    assert!(fleet.campaign.facts().reason.contains("approval"));
    assert_eq!(fleet.campaign.approve(fleet.now, "bob"), Ok(false));
    assert_eq!(fleet.campaign.approve(fleet.now, "bob"), Err(Refused::NothingToApprove));
    fleet.run(200);
    assert_eq!((fleet.state(), fleet.total().confirmed), (State::Done, 100));
}

/// What is approved is what a person can see: not the next wave, before its devices were tried.
#[test]
fn a_gate_can_be_approved_when_its_devices_are_as_they_have_to_be() {
    let manual = Gate { is_manual: true, ..gate(100.0, 600) };
    let waves = vec![wave(Some(5.0), manual.clone()), wave(Some(5.0), manual), wave(None, gate(90.0, 0))];
    let mut fleet = Fleet::of(Plan { waves, ..plan() }, 100, |_, _| End::Updated);
    assert_eq!(fleet.campaign.approve(fleet.now, "bob"), Err(Refused::NothingToApprove));
    fleet.run(200);
    assert_eq!(fleet.campaign.approve(fleet.now, "bob"), Ok(false));
    fleet.step();
    assert_eq!(fleet.campaign.facts().wave, 1);
    assert_eq!(fleet.campaign.approve(fleet.now, "bob"), Err(Refused::NothingToApprove));
}

#[test]
fn a_wave_that_can_not_pass_pauses_the_campaign() {
    let waves = vec![Wave { count: Some(1), ..wave(None, gate(90.0, 0)) }, wave(None, gate(90.0, 0))];
    let mut fleet = Fleet::of(Plan { waves, ..plan() }, 50, |_, _| rolled_back());
    fleet.run(200);
    assert_eq!(fleet.state(), State::Paused);
    assert!(fleet.campaign.facts().reason.contains("wave 1 can't pass"), "{}", fleet.campaign.facts().reason);
    assert_eq!(fleet.starts.len(), 1);
}

/// Failures before a restart count as those after it.
#[test]
fn the_stop_rule_remembers_over_a_restart() {
    let stop = StopRule { failures: Some(3), ..StopRule::default() };
    let waves = vec![wave(None, gate(90.0, 0))];
    let mut fleet = Fleet::of(Plan { stop, waves, concurrent: 1, ..plan() }, 50, |_, _| rolled_back());
    for _ in 0..200 {
        if fleet.state() != State::Running {
            break;
        }
        fleet.step();
        fleet.restart();
    }
    assert_eq!((fleet.state(), fleet.total().failed), (State::Paused, 3));
    // Who resumes it has seen these.
    let mut outbox = Outbox::default();
    fleet.campaign.resume(fleet.now, "ada", None, &mut outbox).unwrap();
    fleet.carry_out(outbox);
    fleet.run(200);
    assert_eq!((fleet.state(), fleet.total().failed), (State::Paused, 6));
}

/// A release that is replaced in the middle: whatever was under way, and whenever the server ends, all end with the new one.
#[test]
fn a_release_is_replaced_under_way_and_over_restarts() {
    for restarts in [false, true] {
        let waves = vec![wave(None, gate(90.0, 0))];
        let mut fleet = Fleet::of(Plan { waves, concurrent: 20, ..plan() }, 60, |_, _| End::Updated);
        fleet.run(14);
        fleet.campaign.pause(fleet.now, "ada").unwrap();
        let mut outbox = Outbox::default();
        let release = Release { digest: "bb".into(), version: "1.4.1".into() };
        fleet.campaign.resume(fleet.now, "ada", Some(release), &mut outbox).unwrap();
        if restarts {
            // It ends before what was to be cancelled is.
            outbox.cancels.clear();
        }
        outbox.facts = Some(fleet.campaign.facts().clone());
        fleet.carry_out(outbox);
        if restarts {
            fleet.restart();
        }
        fleet.run(2000);
        assert_eq!(fleet.state(), State::Done, "{restarts}: {:?}", fleet.total());
        assert_eq!(fleet.total().confirmed, 60);
        assert!(fleet.open.is_empty());
    }
}

#[test]
fn an_abort_is_carried_out_after_a_restart() {
    let mut fleet = Fleet::of(plan(), 1000, |_, _| End::Updated);
    fleet.run(3);
    let mut outbox = Outbox::default();
    fleet.campaign.abort(fleet.now, "ada", &mut outbox).unwrap();
    outbox.cancels.clear();
    outbox.facts = Some(fleet.campaign.facts().clone());
    fleet.carry_out(outbox);
    fleet.restart();
    fleet.run(5);
    assert_eq!((fleet.state(), fleet.total().confirmed), (State::Aborted, 0));
}

#[test]
fn two_persons_have_to_agree_where_that_is_wanted() {
    let mut campaign = Campaign::new(1, Plan { needs_approval: true, ..plan() }, "ada", START);
    assert_eq!(campaign.start(START, "ada"), Ok(false));
    assert!(!campaign.is_due(START));
    assert_eq!(campaign.approve(START, "ada"), Err(Refused::SamePerson));
    assert_eq!(campaign.approve(START, "bob"), Ok(true));
    assert_eq!(campaign.facts().state, State::Preparing);

    // Who changes a plan is its author, and can't agree to it alone.
    let mut campaign = Campaign::new(1, Plan { needs_approval: true, ..plan() }, "ada", START);
    campaign.replace_plan(START, "bob", Plan { needs_approval: true, ..plan() }).unwrap();
    assert_eq!(campaign.start(START, "bob"), Ok(false));
    assert_eq!(campaign.start(START, "ada"), Ok(true));
}

#[test]
fn a_campaign_starts_at_its_time_and_gives_up_at_its_deadline() {
    let waves = vec![wave(None, gate(90.0, 0))];
    let plan = Plan { start_at: Some(START + 1000), deadline: Some(START + 3_600_000), waves, ..plan() };
    let mut campaign = Campaign::new(1, plan.clone(), "ada", START);
    assert_eq!(campaign.start(START, "ada"), Ok(false));
    assert!(!campaign.is_due(START + 999) && campaign.is_due(START + 1000));
    let mut fleet = Fleet::of(Plan { start_at: None, ..plan }, 100, |_, _| End::Updated);
    fleet.is_reachable = Box::new(|name, _| name < "b-000050");
    fleet.run(2000);
    let total = fleet.total();
    assert_eq!(
        (fleet.state(), total.confirmed > 0, total.confirmed + total.skipped),
        (State::Done, true, 100)
    );
}

#[test]
fn limits_hold_at_every_instant() {
    let plan = Plan { waves: vec![wave(None, gate(90.0, 0))], concurrent: 7, per_minute: Some(20), ..plan() };
    let mut fleet = Fleet::of(plan, 300, |_, _| End::Updated);
    while fleet.state() == State::Running {
        fleet.step();
        assert!(fleet.open.len() <= 7);
    }
    for (at, _) in &fleet.starts {
        let in_minute = fleet.starts.iter().filter(|(other, _)| (*at..at + 60_000).contains(other)).count();
        assert!(in_minute <= 40, "{in_minute}");
    }
    assert_eq!(fleet.total().confirmed, 300);
}

/// Whenever the server ends, nothing is lost and no device is updated twice.
#[test]
fn a_campaign_survives_the_end_of_its_server_at_any_step() {
    let outcome = |name: &str, _: &str| if is_one_of(name, 5) { rolled_back() } else { End::Updated };
    for every in [1, 2, 3, 7] {
        let mut fleet = Fleet::of(Plan { concurrent: 40, ..plan() }, 300, outcome);
        for step in 0..3000 {
            if fleet.state() != State::Running {
                break;
            }
            fleet.step();
            if step % every == 0 {
                fleet.restart();
            }
        }
        assert_eq!(fleet.state(), State::Done, "every {every}: {:?}", fleet.total());
        let mut names: Vec<_> = fleet.starts.iter().map(|(_, name)| name.clone()).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!((names.len(), count), (300, 300));
    }
}

#[test]
fn an_abort_cancels_what_is_under_way_and_ends() {
    let mut fleet = Fleet::of(plan(), 1000, |_, _| End::Updated);
    fleet.run(3);
    let mut outbox = Outbox::default();
    fleet.campaign.abort(fleet.now, "ada", &mut outbox).unwrap();
    fleet.carry_out(outbox);
    assert_eq!(fleet.state(), State::Stopping);
    fleet.run(5);
    assert_eq!(fleet.state(), State::Aborted);
    assert_eq!(fleet.total().updating, 0);
    assert_eq!(fleet.facts.state, State::Aborted);
    assert!(fleet.campaign.pause(fleet.now, "ada").is_err());
}

#[test]
fn a_growing_campaign_takes_devices_that_join() {
    let plan = Plan { is_growing: true, deadline: Some(START + 40 * 3_600_000), ..plan() };
    let mut fleet = Fleet::of(plan, 100, |_, _| End::Updated);
    fleet.run(1000);
    assert_eq!((fleet.state(), fleet.total().confirmed), (State::Running, 100));
    let mut outbox = Outbox::default();
    fleet.campaign.grow(fleet.now, vec!["b-000001".into(), "b-000777".into()], &mut outbox);
    fleet.carry_out(outbox);
    fleet.run(1000);
    assert_eq!(fleet.total().confirmed, 101);
}

#[test]
fn a_hundred_thousand_devices_are_planned_and_updated_in_order() {
    let mut fleet = Fleet::of(Plan { concurrent: 5000, ..plan() }, 100_000, |_, _| End::Updated);
    fleet.run(3000);
    assert_eq!((fleet.state(), fleet.total().confirmed), (State::Done, 100_000));
}

#[test]
fn a_plan_that_cannot_be_followed_is_refused() {
    let with_wave = |it: Wave| Plan { waves: vec![it, wave(None, gate(90.0, 0))], ..plan() };
    let both = Wave { count: Some(3), ..wave(Some(1.0), gate(1.0, 0)) };
    assert_eq!(with_wave(both).check(), Err(PlanError::Size(1)));
    assert_eq!(with_wave(wave(None, gate(1.0, 0))).check(), Err(PlanError::Size(1)));
    assert_eq!(with_wave(wave(Some(101.0), gate(1.0, 0))).check(), Err(PlanError::Percent(1)));
    assert_eq!(with_wave(wave(Some(f64::NAN), gate(1.0, 0))).check(), Err(PlanError::Percent(1)));
    assert_eq!(Plan { waves: vec![], ..plan() }.check(), Err(PlanError::Waves));
    assert_eq!(Plan { concurrent: 0, ..plan() }.check(), Err(PlanError::Concurrent));
    assert_eq!(Plan { concurrent: 10_001, ..plan() }.check(), Err(PlanError::Concurrent));
    let nobody = Wave { count: Some(0), ..wave(None, gate(1.0, 0)) };
    assert_eq!(with_wave(nobody).check(), Err(PlanError::Empty(1)));
    let stop = StopRule { failures: Some(0), ..StopRule::default() };
    assert_eq!(Plan { stop, ..plan() }.check(), Err(PlanError::Failures));
    let past = Plan { deadline: Some(START), ..plan() };
    assert_eq!(Campaign::new(1, past, "ada", START).start(START, "ada"), Err(Refused::Deadline));
    assert_eq!(Plan { name: "a\nb".into(), ..plan() }.check(), Err(PlanError::Name));
    assert!(matches!(Plan { filter: "x".into(), ..plan() }.check(), Err(PlanError::Filter { .. })));
    let stop = StopRule { rate: Some(0.0), ..StopRule::default() };
    assert_eq!(Plan { stop, ..plan() }.check(), Err(PlanError::Rate));
}
