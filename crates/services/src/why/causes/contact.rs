//! When a device is heard, and what it says of itself.

use buoy_api::{self as api, DeviceState, EvidenceKind};
use buoy_fleet::update::{End, Stage};
use buoy_lwm2m::path::Path;

use super::super::evidence::Evidence;
use super::super::words::{ago, quoted, span, times};
use super::{Found, fact, linked, of_incident};
use crate::incidents::{Entry, Incident};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// So often an address changes by chance.
const FEW_MOVES: u32 = 2;
/// So often a device registers for a good reason.
const FEW_REGISTERS: u32 = 3;
/// A clock may be wrong by so much; messages take time, too.
const CLOCK_TOLERANCE: f64 = 60.0;
/// A battery below this level is nearly empty; per cent.
const LOW_BATTERY: f64 = 20.0;

const BATTERY_LEVEL: Path = Path::resource(3, 0, 9);
const CURRENT_TIME: Path = Path::resource(3, 0, 13);
const BATTERY_STATUS: Path = Path::resource(3, 0, 20);
const BATTERY_IS_LOW: f64 = 4.0;
/// Why the device started: of the resources that are free for anybody's use.
pub(super) const RESET_REASON: Path = Path::resource(3, 0, 26_241);

pub(super) fn never_seen(evidence: &Evidence) -> Option<Found> {
    let is_expected = evidence.state() == Some(DeviceState::NeverSeen)
        || (evidence.device.is_none() && evidence.credentials.as_ref().is_some_and(|rows| !rows.is_empty()));
    if !is_expected {
        return None;
    }
    let tried = evidence.incidents.iter().max_by_key(|entry| entry.last);
    let sentence = match tried {
        Some(entry) => {
            format!("It has never registered; its last attempt was {}.", ago(evidence.now, entry.last))
        }
        None => "It has never registered, and no attempt of it has reached the server.".to_owned(),
    };
    let next_step = match tried {
        Some(_) => "Mend what made the attempt fail.",
        None => {
            "Switch it on, and check that it has the address of this server and a way to it: `buoy serve` prints at its start what devices are told."
        }
    };
    Some(Found::attention(sentence, next_step).by_all(tried.map(of_incident)))
}

pub(super) fn silent(evidence: &Evidence) -> Option<Found> {
    let device = evidence.device.as_ref()?;
    let heard = ago(evidence.now, device.last_contact);
    let last = fact(EvidenceKind::Contact, device.last_contact, "last message of the device");
    let next_step = "Check its power and its link. If it runs, look for failed handshakes of it here and in the log of the server.";
    let expired = evidence.open_incident(|incident| matches!(incident, Incident::Expired { .. }));
    let sentence = match (device.state, expired.map(|entry| &entry.incident)) {
        (DeviceState::Overdue, _) => {
            let since =
                device.overdue_since.map(|at| span(evidence.now.saturating_sub(at))).unwrap_or_default();
            let usual = device.next_contact.map(|at| at.saturating_sub(device.last_contact));
            let usual = usual.filter(|usual| *usual > 0).map(span).unwrap_or_else(|| "less".to_owned());
            format!(
                "It was last heard {heard}. It usually is silent for {usual}, so it has been overdue for {since}."
            )
        }
        (DeviceState::Offline, Some(Incident::Expired { lifetime })) => format!(
            "It was last heard {heard}. Its registration ended, because nothing came within its lifetime of {}.",
            span(u64::from(*lifetime) * 1000)
        ),
        (DeviceState::Offline, _) => {
            format!(
                "It is not registered: it was last heard {heard}, and has left or let its registration end."
            )
        }
        _ => return None,
    };
    Some(
        Found::problem(sentence, next_step)
            .by(last)
            .by_all(expired.map(of_incident))
            .by_all(registration(evidence)),
    )
}

pub(super) fn nat_forgets(evidence: &Evidence) -> Option<Found> {
    let entry = evidence.incident(|incident| *incident == Incident::Moved)?;
    let interval = entry.interval().filter(|_| entry.count > FEW_MOVES && is_recent(evidence, entry))?;
    let sentence = format!(
        "Its address changed {} within {}, each time without a new registration: a NAT between it and the server forgets it while it is silent, \
         so the server can't reach it until it sends again.",
        times(entry.count),
        span(entry.last - entry.first),
    );
    let next_step = format!(
        "Let it send an Update more often than every {}, use DTLS with connection IDs, or queue mode, in which the server waits for its messages.",
        span(interval)
    );
    Some(Found::attention(sentence, next_step).by(of_incident(entry)).by_all(registration(evidence)))
}

pub(super) fn lifetime_too_short(evidence: &Evidence) -> Option<Found> {
    let entry = evidence.incident(|incident| matches!(incident, Incident::Expired { .. }))?;
    let Incident::Expired { lifetime } = entry.incident else { return None };
    // Once, it may have been switched off.
    if entry.count < 2 || !is_recent(evidence, entry) {
        return None;
    }
    let between = entry.interval().map(|interval| format!(", about every {}", span(interval)));
    let sentence = format!(
        "Its registration ended {} because nothing came within its lifetime of {}, and it came back each time{}: its lifetime is shorter than the \
         time between two of its contacts.",
        times(entry.count),
        span(u64::from(lifetime) * 1000),
        between.unwrap_or_default(),
    );
    let next_step = "Write a longer lifetime to /1/0/1, longer than the time for which it sleeps, or let it send an Update within its lifetime.";
    Some(Found::attention(sentence, next_step).by(of_incident(entry)).by_all(registration(evidence)))
}

pub(super) fn reboots(evidence: &Evidence) -> Option<Found> {
    let (reason, at) = evidence.text(RESET_REASON)?;
    // An update that failed explains it.
    let is_of_update = evidence.last_update().is_some_and(|update| {
        matches!(update.stage(), Stage::Ended(End::RolledBack { .. }))
            && update.history().last().is_some_and(|entry| at <= entry.at + HOUR)
    });
    let is_asked_for = matches!(reason, "reboot" | "factory reset");
    let registers = registered_again(evidence);
    let count = registers.map_or(0, |entry| entry.count);
    let is_fault = reason != "power on" && count > 0;
    if is_of_update || is_asked_for || (!is_fault && count <= FEW_REGISTERS) {
        return None;
    }
    let sentence = format!(
        "It restarts by itself: it registered anew {}, and gives {} as the reason of its last start.",
        times(count),
        quoted(reason)
    );
    let next_step = match reason {
        "power on" => "Check its power supply: it loses its power, or its voltage is too low when it sends.",
        _ => "Look into its own log. If it began with a firmware version, go back to the one before.",
    };
    let said = fact(EvidenceKind::Value, at, format!("reset reason: {}", quoted(reason)));
    let said = linked(said, RESET_REASON, values_of(evidence));
    Some(Found::problem(sentence, next_step).by(said).by_all(registers.map(of_incident)))
}

pub(super) fn registers_again(evidence: &Evidence) -> Option<Found> {
    if reboots(evidence).is_some() {
        return None;
    }
    let entry = registered_again(evidence).filter(|entry| entry.count > FEW_REGISTERS)?;
    let interval = entry.interval()?;
    let lifetime = evidence.registration()?.lifetime;
    let is_needless = lifetime == 0 || interval * 3 < u64::from(lifetime) * 1000;
    if !is_needless || interval > HOUR {
        return None;
    }
    let sentence = format!(
        "It registered anew {} within {}, about every {}, though its registration holds for {}: it restarts, or does not keep the location that it \
         was given.",
        times(entry.count),
        span(entry.last - entry.first),
        span(interval),
        if lifetime == 0 { "ever".to_owned() } else { span(u64::from(lifetime) * 1000) },
    );
    let next_step = "Look for restarts in its own log. A device that runs on has to send an Update to the location of its registration, and to \
                     register anew only if that is answered by 4.04.";
    Some(Found::attention(sentence, next_step).by(of_incident(entry)).by_all(registration(evidence)))
}

fn registered_again(evidence: &Evidence) -> Option<&Entry> {
    evidence
        .incident(|incident| *incident == Incident::RegisteredAgain)
        .filter(|entry| is_recent(evidence, entry))
}

pub(super) fn clock_wrong(evidence: &Evidence) -> Option<Found> {
    let (told, at) = evidence.number(CURRENT_TIME)?;
    let off = told - at as f64 / 1000.0;
    if !off.is_finite() || off.abs() < CLOCK_TOLERANCE {
        return None;
    }
    let by = span((off.abs() * 1000.0) as u64);
    let sentence = if told < 1_000_000_000.0 {
        "Its clock was never set: it counts from 1970. Its times are wrong, and it can't check certificates."
            .to_owned()
    } else {
        format!("Its clock is {by} {}.", if off > 0.0 { "fast" } else { "slow" })
    };
    let next_step = "Set it: write the time to /3/0/13, and check from where the device gets it (NTP, its network, a battery for its clock).";
    let said =
        fact(EvidenceKind::Value, at, format!("the device said {told} s since 1970, which is {by} off"));
    Some(Found::attention(sentence, next_step).by(linked(said, CURRENT_TIME, values_of(evidence))))
}

pub(super) fn battery_low(evidence: &Evidence) -> Option<Found> {
    let level = evidence.number(BATTERY_LEVEL).filter(|(level, _)| *level < LOW_BATTERY);
    let status = evidence.number(BATTERY_STATUS).filter(|(status, _)| *status == BATTERY_IS_LOW);
    let (sentence, path, at) = match (level, status) {
        (Some((level, at)), _) => (format!("Its battery is at {level} %."), BATTERY_LEVEL, at),
        (None, Some((_, at))) => ("It says that its battery is low.".to_owned(), BATTERY_STATUS, at),
        (None, None) => return None,
    };
    let next_step = "Charge or change the battery before an update: a device that loses its power in the middle starts the update again.";
    let said = linked(fact(EvidenceKind::Value, at, sentence.clone()), path, values_of(evidence));
    Some(Found::attention(sentence, next_step).by(said))
}

pub(super) fn old_protocol(evidence: &Evidence) -> Option<Found> {
    let registration = evidence.registration().filter(|registration| registration.lwm2m == "1.0")?;
    let sentence = "It speaks LwM2M 1.0: it can't read or write several paths at once, sends nothing unasked, and has no SenML.";
    let next_step =
        "Nothing has to be done. If it can do more, its client may leave out lwm2m=1.1 in its Register.";
    let said = fact(EvidenceKind::Registration, registration.registered_at, "registered with LwM2M 1.0");
    Some(Found::information(sentence, next_step).by(said))
}

/// Whether it happened within a day.
fn is_recent(evidence: &Evidence, entry: &Entry) -> bool {
    evidence.now.saturating_sub(entry.last) < DAY
}

/// The registration as a fact.
fn registration(evidence: &Evidence) -> Option<api::Evidence> {
    let registration = evidence.registration()?;
    let detail = format!("registered from {} for {} s", registration.address, registration.lifetime);
    let said = fact(EvidenceKind::Registration, registration.registered_at, detail);
    Some(linked(said, &registration.id, format!("/api/v1/devices/{}", evidence.endpoint)))
}

pub(super) fn values_of(evidence: &Evidence) -> String {
    format!("/api/v1/devices/{}/values", evidence.endpoint)
}
