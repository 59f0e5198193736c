//! What happens after a campaign has stopped itself, which devices are not tried, and which are tried again.

use super::*;
use crate::campaign::RetryRule;

/// Of which every tenth device goes back by itself.
fn flawed(on_stop: OnStop) -> Fleet {
    let mut plan = Plan { on_stop, ..plan() };
    plan.waves[0].gate.success = 50.0;
    let outcome = |name: &str, version: &str| {
        if version == "1.4.0" && name.ends_with('7') { rolled_back() } else { End::Updated }
    };
    Fleet::of(plan, 1000, outcome)
}

#[test]
fn a_campaign_that_is_to_pause_leaves_the_updated_devices_as_they_are() {
    let mut fleet = flawed(OnStop::Pause);
    fleet.run(1000);
    assert_eq!(fleet.state(), State::Paused);
    assert!(fleet.total().put_back == 0 && fleet.total().confirmed > 50, "{:?}", fleet.total());
}

#[test]
fn a_campaign_that_is_to_roll_back_puts_the_devices_of_the_open_wave_back_and_no_others() {
    let mut fleet = flawed(OnStop::RollBack);
    fleet.run(1000);
    for _ in 0..100 {
        fleet.step();
    }
    assert_eq!(fleet.state(), State::Paused);
    let (first, second) = (fleet.campaign.counts()[0], fleet.campaign.counts()[1]);
    assert!(first.put_back == 0 && first.confirmed > 0, "{first:?}");
    assert_eq!((second.confirmed, second.updating), (0, 0), "{second:?}");
    assert!(second.put_back > 50, "{second:?}");
    let facts = fleet.campaign.facts();
    assert!(!facts.puts_back && facts.reason.contains("stopped itself"), "{facts:?}");
    let last = &facts.events.last().unwrap().text;
    assert!(last.ends_with("run the version before again, 0 do not"), "{last}");
}

#[test]
fn a_kill_at_any_step_of_the_way_back_changes_nothing_in_the_end() {
    let calm = |restarts: bool| {
        let mut fleet = flawed(OnStop::RollBack);
        for step in 0..400 {
            fleet.step();
            if restarts && step % 7 == 0 {
                fleet.restart();
            }
        }
        fleet
    };
    let (undisturbed, restarted) = (calm(false), calm(true));
    assert_eq!(undisturbed.state(), restarted.state());
    assert_eq!(restarted.campaign.counts()[1].confirmed, 0);
    assert_eq!(restarted.campaign.counts()[1].updating, 0);
    assert!(restarted.campaign.counts()[1].put_back > 50, "{:?}", restarted.campaign.counts());
    assert!(!restarted.campaign.facts().puts_back);
}

#[test]
fn without_an_image_of_the_version_before_devices_stay_and_it_is_said() {
    let mut fleet = flawed(OnStop::RollBack);
    fleet.has_image_before = false;
    fleet.run(1000);
    for _ in 0..20 {
        fleet.step();
    }
    let second = fleet.campaign.counts()[1];
    assert!(second.put_back == 0 && second.confirmed > 50, "{second:?}");
    let note = fleet.campaign.devices().find(|(_, record)| record.stays).map(|(_, record)| &record.note);
    assert_eq!(note.unwrap(), "not put back: there is no image of 1.3.0");
    assert!(fleet.campaign.facts().events.last().unwrap().text.starts_with("0 devices of wave 2"));
}

#[test]
fn a_mended_release_goes_to_all_devices_also_to_those_on_their_way_back() {
    let mut fleet = flawed(OnStop::RollBack);
    while fleet.state() == State::Running {
        fleet.step();
    }
    fleet.step();
    assert!(fleet.total().updating > 0);
    let mut outbox = Outbox::default();
    let mended = Release { digest: "bb".into(), version: "1.4.1".into() };
    fleet.campaign.resume(fleet.now, "ada", Some(mended), &mut outbox).unwrap();
    fleet.carry_out(outbox);
    fleet.run(3000);
    assert_eq!((fleet.state(), fleet.total().confirmed), (State::Done, 1000));
}

#[test]
fn a_device_that_is_not_ready_waits_for_its_time_or_is_not_tried() {
    let mut fleet = Fleet::of(plan(), 100, |_, _| End::Updated);
    let opens = START + 3_600_000;
    fleet.ready = Some(Ready::At(opens, "its window opens later".into()));
    fleet.run(300);
    assert!(fleet.starts.is_empty(), "{:?}", fleet.starts.first());
    let candidates = fleet.campaign.candidates(fleet.now, &|_| true, 10);
    assert!(candidates.is_empty(), "{candidates:?}");
    assert_eq!(fleet.campaign.candidates(opens, &|_| true, 10).len(), 1);
    fleet.ready = None;
    fleet.run(2000);
    assert!(fleet.starts.iter().all(|(at, _)| *at >= opens));
    assert_eq!(fleet.total().confirmed, 100);

    let mut fleet = Fleet::of(plan(), 100, |_, _| End::Updated);
    fleet.ready = Some(Ready::Never("incompatible: its chip is esp32".into()));
    fleet.run(1000);
    // A wave in which no device runs the release shows nothing of it.
    assert_eq!((fleet.state(), fleet.campaign.facts().wave), (State::Paused, 0));
    assert!(
        fleet.campaign.facts().reason.contains("0 of its 0 devices"),
        "{}",
        fleet.campaign.facts().reason
    );
    assert!(fleet.starts.is_empty());
}

#[test]
fn devices_that_are_not_well_with_the_release_go_back_too() {
    let mut fleet = Fleet::of(Plan { on_stop: OnStop::RollBack, ..plan() }, 1000, |_, _| End::Updated);
    let of_first = fleet.campaign.devices().filter(|(_, it)| it.wave == 0).map(|(name, _)| name.clone());
    fleet.unhealthy =
        of_first.enumerate().filter(|(number, _)| number % 2 == 0).map(|(_, name)| name).collect();
    fleet.campaign.facts.plan.stop.minimum = 5;
    fleet.run(2000);
    for _ in 0..100 {
        fleet.step();
    }
    let first = fleet.campaign.counts()[0];
    assert_eq!((fleet.state(), first.put_back, first.confirmed + first.failed), (State::Paused, 10, 0));
    let last = &fleet.campaign.facts().events.last().unwrap().text;
    assert!(last.starts_with("10 devices of wave 1") && last.ends_with("0 do not"), "{last}");
}

#[test]
fn kinds_of_failures_are_tried_again_as_the_plan_says() {
    let rule = |failure, times, after| RetryRule { failure, times, after };
    let attempts = |retry: Vec<RetryRule>, end: End| {
        let plan = Plan { retry, retries: 2, stop: StopRule::default(), ..plan() };
        let mut fleet = Fleet::of(plan, 1, move |_, _| end.clone());
        fleet.run(5000);
        fleet.starts.iter().map(|(at, _)| *at).collect::<Vec<_>>()
    };
    let failed = || End::Failed { reason: "5/0/1: 5.00".into() };
    assert_eq!(attempts(vec![], failed()).len(), 3);
    assert_eq!(attempts(vec![], rolled_back()).len(), 1);
    assert_eq!(attempts(vec![rule(Failure::Failed, 0, 60)], failed()).len(), 1);
    let again = attempts(vec![rule(Failure::RolledBack, 1, 7200)], rolled_back());
    assert_eq!(again.len(), 2);
    assert!(again[1] - again[0] >= 7_200_000, "{again:?}");
    let twice = Plan { retry: vec![rule(Failure::Failed, 1, 1), rule(Failure::Failed, 2, 1)], ..plan() };
    assert_eq!(twice.check(), Err(PlanError::Retry(Failure::Failed)));
    let long = crate::campaign::Deferral { severity: 2, at_most: 31 * 24 * 3600 };
    assert_eq!(Plan { deferral: Some(long), ..plan() }.check(), Err(PlanError::Deferral));
    let none = Plan { retry: vec![rule(Failure::Unhealthy, 1, 1)], ..plan() };
    assert_eq!(none.check(), Err(PlanError::Retry(Failure::Unhealthy)));
}
