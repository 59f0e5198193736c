//! The causes by themselves: from evidence that is written here to what is said of it.

use std::net::SocketAddr;

use buoy_api::{self as api, DeviceState, Severity};
use buoy_lwm2m::path::Path;

use super::causes::{CAUSES, findings};
use super::evidence::{Evidence, OfServer};
use super::words::summary;
use crate::incidents::{Entry, Incident};
use crate::inventory::{Last, LastValue};

const NOW: u64 = 1_800_000_000_000;
const MINUTE: u64 = 60_000;

fn device(state: DeviceState, heard: u64) -> api::Device {
    api::Device {
        endpoint: "buoy-1".into(),
        state,
        first_contact: NOW - 1000 * MINUTE,
        last_contact: NOW - heard,
        next_contact: None,
        overdue_since: None,
        manufacturer: None,
        model: None,
        serial: None,
        firmware: None,
        hardware: None,
        software: None,
        tags: Vec::new(),
        groups: Vec::new(),
        fields: Default::default(),
        notes: String::new(),
        retired_at: None,
        replaced_by: None,
        replaces: Vec::new(),
        registration: state.is_registered().then(|| api::Registration {
            id: "1".into(),
            address: "192.0.2.1:5000".into(),
            secure: true,
            lwm2m: "1.1".into(),
            binding: "U".into(),
            lifetime: 86_400,
            queue_mode: false,
            registered_at: NOW - 100 * MINUTE,
            objects: vec!["/3/0".into()],
        }),
    }
}

fn evidence(state: DeviceState, heard: u64) -> Evidence {
    Evidence {
        now: NOW,
        endpoint: "buoy-1".into(),
        device: Some(device(state, heard)),
        server: OfServer { started_at: NOW - 10_000 * MINUTE, ..OfServer::default() },
        ..Evidence::default()
    }
}

fn entry(incident: Incident, ago: u64, count: u32, every: u64) -> Entry {
    let last = NOW - ago;
    let first = last - u64::from(count - 1) * every;
    Entry { incident, first, last, count, address: Some(SocketAddr::from(([192, 0, 2, 1], 5000))) }
}

fn causes(evidence: &Evidence) -> Vec<String> {
    findings(evidence).into_iter().map(|finding| finding.cause).collect()
}

#[test]
fn the_causes_have_names_of_their_own() {
    let mut names: Vec<_> = CAUSES.iter().map(|cause| cause.id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CAUSES.len());
    assert!(CAUSES.iter().all(|cause| !cause.title.ends_with('.')));
}

#[test]
fn a_device_of_which_nothing_is_bad_is_well() {
    let well = evidence(DeviceState::Online, MINUTE);
    assert!(findings(&well).is_empty());
    assert_eq!(
        summary(&well, &[]),
        "Online, last heard 1 min ago. Nothing is wrong with it as far as the server knows."
    );
}

#[test]
fn a_failed_handshake_counts_until_the_device_is_heard() {
    let failed = |ago| Evidence {
        incidents: vec![entry(Incident::BadPsk("id-1".into()), ago, 3, MINUTE)],
        ..evidence(DeviceState::Online, 5 * MINUTE)
    };
    assert_eq!(causes(&failed(MINUTE)), ["wrong_psk"]);
    assert!(causes(&failed(6 * MINUTE)).is_empty());
}

#[test]
fn what_a_neighbour_does_concerns_only_a_device_that_is_away() {
    let neighbour = vec![entry(Incident::UnknownIdentity("id-7".into()), MINUTE, 1, 0)];
    let there = Evidence { neighbours: neighbour.clone(), ..evidence(DeviceState::Online, 5 * MINUTE) };
    assert!(causes(&there).is_empty());
    let mut away = Evidence { neighbours: neighbour, ..evidence(DeviceState::Overdue, 5 * MINUTE) };
    assert!(causes(&away).contains(&"unknown_identity".to_owned()));
    // Before its last contact it was another one.
    away.device = Some(device(DeviceState::Overdue, 0));
    assert!(!causes(&away).contains(&"unknown_identity".to_owned()));
}

#[test]
fn an_overdue_device_is_told_with_its_habit() {
    let mut overdue = evidence(DeviceState::Overdue, 90 * MINUTE);
    if let Some(device) = &mut overdue.device {
        device.next_contact = Some(NOW - 60 * MINUTE);
        device.overdue_since = Some(NOW - 45 * MINUTE);
    }
    let found = findings(&overdue);
    let [silent] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        silent.sentence,
        "It was last heard 1 h 30 min ago. It usually is silent for 30 min, so it has been overdue for 45 min."
    );
    assert_eq!(summary(&overdue, &found), "Overdue, last heard 1 h 30 min ago. One thing needs a look.");
}

#[test]
fn a_device_that_registers_by_its_lifetime_is_not_blamed() {
    let of = |every, lifetime| {
        let again = entry(Incident::RegisteredAgain, MINUTE, 5, every);
        let mut evidence = Evidence { incidents: vec![again], ..evidence(DeviceState::Online, MINUTE) };
        if let Some(registration) = evidence.device.as_mut().and_then(|device| device.registration.as_mut()) {
            registration.lifetime = lifetime;
        }
        causes(&evidence)
    };
    assert_eq!(of(MINUTE, 86_400), ["registers_again"]);
    assert!(of(MINUTE, 90).is_empty(), "it would have to send an Update as often");
    assert!(of(24 * 60 * MINUTE, 604_800).is_empty(), "once a day costs nothing");
}

#[test]
fn a_restart_that_was_asked_for_is_no_fault() {
    let of = |reason: &str, count| {
        let value = LastValue { at: NOW - MINUTE, value: Last::Text(reason.into()) };
        let values = vec![(Path::resource(3, 0, 26_241), value)];
        let incidents = vec![entry(Incident::RegisteredAgain, MINUTE, count, MINUTE)];
        causes(&Evidence { values, incidents, ..evidence(DeviceState::Online, MINUTE) })
    };
    assert_eq!(of("watchdog", 1), ["reboots"]);
    assert!(of("reboot", 1).is_empty());
    assert!(of("power on", 2).is_empty());
    assert_eq!(of("power on", 5), ["reboots"]);
}

#[test]
fn clocks_are_compared_at_the_time_of_their_reading() {
    let of = |told: f64, at: u64| {
        let values = vec![(Path::resource(3, 0, 13), LastValue { at, value: Last::Number(told) })];
        findings(&Evidence { values, ..evidence(DeviceState::Online, MINUTE) })
    };
    let an_hour_ago = NOW - 60 * MINUTE;
    assert!(of(an_hour_ago as f64 / 1000.0 + 5.0, an_hour_ago).is_empty());
    let slow = of(an_hour_ago as f64 / 1000.0 - 3.0 * 3600.0, an_hour_ago);
    assert_eq!(slow[0].sentence, "Its clock is 3 h slow.");
    assert!(of(f64::NAN, NOW).is_empty());
}

#[test]
fn the_most_severe_comes_first() {
    let mut old = evidence(DeviceState::Offline, MINUTE);
    old.server.started_at = NOW - MINUTE / 2;
    old.server.clock_was_set = 10 * MINUTE as i64;
    let severities: Vec<_> = findings(&old).iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Problem, Severity::Attention, Severity::Information]);
}

#[test]
fn a_role_that_may_not_see_credentials_is_told_so() {
    let looked = super::words::looked_at(&evidence(DeviceState::Online, MINUTE));
    assert!(looked.iter().any(|it| it.starts_with("not its credentials")), "{looked:?}");
}

#[test]
fn text_of_strangers_is_made_harmless() {
    let incidents = vec![entry(Incident::UnknownIdentity("\u{1b}[2J".into()), 0, 1, 0)];
    let found = findings(&Evidence { incidents, ..evidence(DeviceState::Overdue, MINUTE) });
    let all = found.iter().flat_map(|finding| {
        finding.evidence.iter().map(|it| &it.detail).chain([&finding.sentence, &finding.next_step])
    });
    assert!(all.into_iter().all(|text| !text.contains('\u{1b}')), "{found:?}");
}
