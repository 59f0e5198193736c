use super::*;
use crate::campaign::{Gate, Release, StopRule, Wave};

const START: u64 = 1_780_000_000_000;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

fn wave(percent: Option<f64>, soak: u64) -> Wave {
    let gate = Gate { success: 90.0, soak, healthy: None, is_manual: false };
    Wave { filter: None, count: None, percent, gate }
}

fn plan() -> Plan {
    Plan {
        name: "2.0.0 for all".into(),
        filter: String::new(),
        is_growing: false,
        release: Release { digest: "aa".into(), version: "2.0.0".into() },
        delivery: "pull_coap".into(),
        waves: vec![wave(Some(1.0), 600), wave(Some(10.0), 600), wave(None, 0)],
        stop: StopRule { failures: None, rate: Some(2.0), minimum: 50 },
        concurrent: 500,
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

fn conditions() -> Conditions {
    Conditions {
        devices: 1000,
        crash: 0.0,
        crash_on: None,
        offline: 0.0,
        link: 0,
        sleep: 0,
        jitter: 0.0,
        image_bytes: 100_000,
        version_before: "1.0.0".into(),
        seed: 1,
    }
}

fn played(plan: Plan, conditions: Conditions) -> (Rehearsal, Outcome) {
    let shares = vec![None; plan.waves.len()];
    let mut rehearsal = Rehearsal::new(plan, conditions, &shares, None, START);
    for _ in 0..10_000 {
        if rehearsal.advance(10_000) {
            let outcome = rehearsal.outcome();
            return (rehearsal, outcome);
        }
    }
    panic!("it does not end: {:?}", rehearsal.outcome());
}

#[test]
fn a_good_release_ends_on_all_devices_and_its_waves_have_times() {
    let (rehearsal, outcome) = played(plan(), conditions());
    assert_eq!(outcome.verdict, Verdict::Done);
    assert_eq!(rehearsal.campaign().total().confirmed, 1000);
    assert_eq!(outcome.bytes, 1000 * 100_000);
    assert!(outcome.waves[1].opened.unwrap() >= START + 600_000, "the first wave soaks: {outcome:?}");
    assert!(outcome.waves[2].opened >= outcome.waves[1].opened.map(|at| at + 600_000));
    assert!(outcome.milestones.is_sorted() && outcome.milestones.len() == 3);
    assert_eq!(outcome.milestones[0].0, 50);
}

#[test]
fn a_release_on_which_devices_crash_is_stopped_in_the_second_wave() {
    let mut plan = plan();
    plan.waves[0].gate.success = 50.0;
    let (rehearsal, outcome) = played(plan, Conditions { crash: 10.0, ..conditions() });
    let Verdict::Stopped { reason } = &outcome.verdict else { panic!("{outcome:?}") };
    assert!(reason.contains("stopped itself"), "{reason}");
    assert_eq!(rehearsal.campaign().facts().wave, 1);
    assert_eq!(outcome.stopped.as_ref().map(|(_, reason)| reason.as_str()), Some(reason.as_str()));
    let failed = rehearsal.campaign().devices().find_map(|(_, record)| match &record.stage {
        campaign::Stage::Failed { detail, .. } => Some(detail.clone()),
        _ => None,
    });
    assert!(failed.unwrap().contains("rolled back to 1.0.0"));
}

#[test]
fn devices_that_crash_on_another_version_take_this_one() {
    let crash_on = Some("1.9.0".to_owned());
    let (_, outcome) = played(plan(), Conditions { crash: 50.0, crash_on, ..conditions() });
    assert_eq!(outcome.verdict, Verdict::Done);
}

#[test]
fn devices_that_sleep_for_a_day_take_days_and_the_clock_of_the_test_does_not() {
    let (rehearsal, outcome) = played(plan(), Conditions { sleep: DAY / 1000, jitter: 5.0, ..conditions() });
    assert_eq!(outcome.verdict, Verdict::Done, "{outcome:?}");
    assert_eq!(rehearsal.campaign().total().confirmed, 1000);
    let took = outcome.ended - outcome.began;
    assert!((DAY..10 * DAY).contains(&took), "{} h", took / HOUR);
}

#[test]
fn a_slow_link_makes_the_download_long() {
    let (_, quick) = played(plan(), conditions());
    let (_, slow) = played(plan(), Conditions { link: 1000, ..conditions() });
    // 800,000 bits at 1,000 bits in a second, in each of three waves.
    assert!(slow.ended - quick.ended > 3 * 800_000, "{slow:?}");
}

#[test]
fn devices_that_are_offline_are_waited_for_until_the_deadline_and_without_one_for_ever() {
    let offline = Conditions { offline: 5.0, ..conditions() };
    let (rehearsal, outcome) = played(plan(), offline.clone());
    let waiting = rehearsal.campaign().total().waiting;
    assert!((20..80).contains(&waiting), "{waiting}");
    assert_eq!(outcome.verdict, Verdict::WithoutEnd { waiting });
    let (rehearsal, outcome) = played(Plan { deadline: Some(START + DAY), ..plan() }, offline);
    assert_eq!(outcome.verdict, Verdict::Done);
    assert_eq!(rehearsal.campaign().total().skipped, waiting);
}

#[test]
fn persons_say_yes_at_once_and_are_counted() {
    let mut plan = Plan { needs_approval: true, ..plan() };
    plan.waves[0].gate.is_manual = true;
    let (_, outcome) = played(plan, conditions());
    assert_eq!((outcome.verdict, outcome.asked_persons), (Verdict::Done, 2));
}

#[test]
fn a_wave_of_a_filter_has_its_share() {
    let mut plan = plan();
    plan.waves[0] = Wave { filter: Some("tag = canary".into()), percent: None, ..plan.waves[0].clone() };
    let mut rehearsal = Rehearsal::new(plan, conditions(), &[Some(0.03), None, None], None, START);
    while !rehearsal.advance(10_000) {}
    assert_eq!(rehearsal.campaign().counts()[0].all(), 30);
}

#[test]
fn a_push_takes_its_time_too_and_a_rehearsal_is_the_same_each_time() {
    let stop = || StopRule { failures: None, rate: Some(20.0), minimum: 50 };
    let plan = || Plan { delivery: "push".into(), stop: stop(), ..plan() };
    let conditions = || Conditions { crash: 1.0, link: 64_000, sleep: 3600, jitter: 10.0, ..conditions() };
    let (first, second) = (played(plan(), conditions()).1, played(plan(), conditions()).1);
    assert_eq!(first, second);
    assert_eq!(first.verdict, Verdict::Done, "{first:?}");
}

#[test]
fn what_was_updated_goes_back_when_the_campaign_stops_itself_and_is_to_roll_back() {
    let mut plan = Plan { on_stop: crate::campaign::OnStop::RollBack, ..plan() };
    plan.waves[0].gate.success = 50.0;
    let (rehearsal, outcome) = played(plan, Conditions { crash: 10.0, ..conditions() });
    assert!(matches!(outcome.verdict, Verdict::Stopped { .. }), "{outcome:?}");
    let campaign = rehearsal.campaign();
    let (first, second) = (campaign.counts()[0], campaign.counts()[1]);
    assert!(first.confirmed > 0 && first.put_back == 0, "only the open wave goes back: {first:?}");
    assert_eq!((second.confirmed, second.updating), (0, 0));
    assert!(second.put_back > 30, "{second:?}");
    assert!(campaign.facts().events.last().unwrap().text.contains("run the version before again, 0 do not"));
}

#[test]
fn updates_start_in_the_window_only() {
    // One hour in a day.
    let window = |now: u64| {
        let day = now - now % DAY;
        let open = day + 22 * HOUR;
        (!(open..open + HOUR).contains(&now)).then_some(if now < open { open } else { open + DAY })
    };
    let shares = [None, None, None];
    let mut rehearsal = Rehearsal::new(plan(), conditions(), &shares, Some(Box::new(window)), START);
    while !rehearsal.advance(10_000) {}
    assert_eq!(rehearsal.outcome().verdict, Verdict::Done);
    for (name, record) in rehearsal.campaign().devices() {
        let campaign::Stage::Confirmed { at } = record.stage else { panic!("{name}: {record:?}") };
        let hour = at % DAY / HOUR;
        assert!((22..=23).contains(&hour), "{name} at {hour}");
    }
}
