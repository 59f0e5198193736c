//! Why a firmware update did not end well.

use buoy_api::{self as api, EvidenceKind};
use buoy_fleet::update::{Delivery, End, Stage, Update};
use buoy_fleet::verdict::result_name;

use super::super::evidence::Evidence;
use super::super::words::{ago, quoted, span};
use super::contact::{RESET_REASON, values_of};
use super::{Found, fact, linked};

/// A download that has brought nothing for so long has stalled; milliseconds.
const STALLED: u64 = 10 * 60 * 1000;
/// A reset reason is of an update if it was told within this time before its end; milliseconds.
const SHORTLY: u64 = 60 * 60 * 1000;

pub(super) fn no_firmware_object(evidence: &Evidence) -> Option<Found> {
    let registration = evidence.registration()?;
    let is_of_5 = |path: &String| path.split('/').nth(1) == Some("5");
    let update = evidence.last_update().filter(|update| *update.stage() != Stage::Ended(End::Updated))?;
    if registration.objects.iter().any(is_of_5) {
        return None;
    }
    let sentence = format!(
        "It can't take {}: it has no Firmware Update object (5), as its registration says.",
        quoted(&update.goal().version)
    );
    let next_step = "Update it in another way, or give it a client with object 5. Leave it out of campaigns by `object = 5` in their filters.";
    let objects =
        fact(EvidenceKind::Registration, registration.registered_at, registration.objects.join(" "));
    Some(Found::problem(sentence, next_step).by(objects).by(of_update(update)))
}

pub(super) fn no_room(evidence: &Evidence) -> Option<Found> {
    let next_step = "Make the image smaller, or free memory on the device.";
    refused(evidence, &[2, 3], "it has no room for the image", next_step)
}

pub(super) fn package_unreachable(evidence: &Evidence) -> Option<Found> {
    let uri = match evidence.last_update()?.goal().delivery.clone() {
        Delivery::Pull(uri) => format!("it was told to fetch the package from {uri}, and can't"),
        Delivery::Push => "it can't use the way by which the package came".to_owned(),
    };
    let next_step = "Check that devices reach this address: `buoy serve` prints what they are told, and --public-host changes it. Or push the image \
                     (--delivery push).";
    refused(evidence, &[7, 9], &uri, next_step)
}

pub(super) fn signature_not_trusted(evidence: &Evidence) -> Option<Found> {
    let because = "the signature is missing or was made with a key that the device does not hold, or the image was changed on the way";
    let next_step = "Check the key of the release: buoy fw verify --key KEY.pub.pem IMAGE. Sign it with the key that the devices trust.";
    refused(evidence, &[5], because, next_step)
}

pub(super) fn wrong_chip(evidence: &Evidence) -> Option<Found> {
    let because = "the image is for another chip or project, or its security counter is too low";
    refused(
        evidence,
        &[6],
        because,
        "Build the image for this device, and check the chip and the project in it: buoy fw show IMAGE.",
    )
}

/// An update that the device refused with one of some results.
fn refused(evidence: &Evidence, results: &[i64], because: &str, next_step: &str) -> Option<Found> {
    let update = evidence.last_update()?;
    let Stage::Ended(End::Refused { result }) = update.stage() else { return None };
    if !results.contains(result) {
        return None;
    }
    let words = update.reason().map(|reason| format!(" It says: {}.", quoted(reason))).unwrap_or_default();
    let sentence = format!(
        "It refused {} {}: {because} (result {result}, {}).{words}",
        quoted(&update.goal().version),
        ago(evidence.now, ended_at(update)),
        result_name(*result)
    );
    Some(Found::problem(sentence, next_step).by(of_update(update)))
}

pub(super) fn download_stalled(evidence: &Evidence) -> Option<Found> {
    let update = evidence.last_update()?;
    let version = quoted(&update.goal().version);
    let got = match evidence.download {
        Some((got, size)) => format!(" It got {got} of {size} bytes."),
        None => String::new(),
    };
    let sentence = match update.stage() {
        Stage::Ended(End::Refused { result: 4 }) => {
            let words =
                update.reason().map(|reason| format!(" It says: {}.", quoted(reason))).unwrap_or_default();
            format!("It lost the connection while it downloaded {version} (result 4).{words}")
        }
        Stage::Ended(End::TimedOut { stage, .. }) if **stage == Stage::Downloading => {
            format!("It did not finish the download of {version} in the time that it had.")
        }
        Stage::Downloading
            if evidence.now.saturating_sub(began(update)) > STALLED && is_slow(evidence, update) =>
        {
            format!(
                "It has been downloading {version} for {}, with little progress.{got}",
                span(evidence.now - began(update))
            )
        }
        _ => return None,
    };
    let next_step = "Check its link, and start the update again: a device that can resumes the download. A slow link needs a longer \
                     --download-timeout; a push needs no connection of the device's own (--delivery push).";
    Some(Found::problem(sentence, next_step).by(of_update(update)))
}

/// Whether the whole image would take more than a day at the rate so far.
fn is_slow(evidence: &Evidence, update: &Update) -> bool {
    let Some((got, size)) = evidence.download else { return true };
    let passed = evidence.now.saturating_sub(began(update)).max(1);
    (size as u128) * u128::from(passed) > (got as u128).max(1) * 24 * 60 * 60 * 1000
}

pub(super) fn rolled_back_self_test(evidence: &Evidence) -> Option<Found> {
    let next_step = "Look at what the self-test checks. The old firmware runs; campaigns don't try this version again on it.";
    rolled_back(evidence, RollBack::SelfTest, "the new firmware failed its self-test", next_step)
}

pub(super) fn rolled_back_watchdog(evidence: &Evidence) -> Option<Found> {
    let next_step = "Look for what blocks the new firmware at its start. The old one runs; campaigns don't try this version again on it.";
    rolled_back(
        evidence,
        RollBack::Watchdog,
        "the new firmware hung, and the watchdog reset the device",
        next_step,
    )
}

pub(super) fn rolled_back_crash(evidence: &Evidence) -> Option<Found> {
    let next_step = "Look for the crash in the log of the device. The old firmware runs; campaigns don't try this version again on it.";
    rolled_back(evidence, RollBack::Crash, "the new firmware crashed", next_step)
}

/// Not the others.
pub(super) fn rolled_back_unexplained(evidence: &Evidence) -> Option<Found> {
    let next_step = "Look into the log of the device: it crashed, hung, failed its self-test, or could not register. The old firmware runs.";
    rolled_back(evidence, RollBack::Unexplained, "the device does not say why", next_step)
}

/// Why a device went back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RollBack {
    SelfTest,
    Watchdog,
    Crash,
    Unexplained,
}

fn rolled_back(evidence: &Evidence, wanted: RollBack, because: &str, next_step: &str) -> Option<Found> {
    let update = evidence.last_update()?;
    let Stage::Ended(End::RolledBack { running, .. }) = update.stage() else { return None };
    let ended = ended_at(update);
    let reset = evidence.text(RESET_REASON).filter(|(_, at)| at + SHORTLY >= ended);
    let says = |text: Option<&str>, words: &[&str]| {
        text.is_some_and(|text| words.iter().any(|word| text.contains(word)))
    };
    let reason = reset.map(|(reason, _)| reason);
    let why = if says(update.reason(), &["self-test"]) {
        RollBack::SelfTest
    } else if says(reason, &["watchdog", "wdt"]) {
        RollBack::Watchdog
    } else if says(reason, &["crash", "panic", "exception", "fault"]) {
        RollBack::Crash
    } else {
        RollBack::Unexplained
    };
    if why != wanted {
        return None;
    }
    let before = evidence.updates.iter().skip(1).take_while(|other| is_same(other, update)).count();
    let again = match before {
        0 => String::new(),
        1 => " It went back from it once before.".to_owned(),
        more => format!(" It went back from it {more} times before."),
    };
    let sentence = format!(
        "It went back from {} to {} {}: {because}.{again}",
        quoted(&update.goal().version),
        quoted(running),
        ago(evidence.now, ended)
    );
    let said = reset.map(|(reason, at)| {
        let said = fact(EvidenceKind::Value, at, format!("reset reason: {}", quoted(reason)));
        linked(said, RESET_REASON, values_of(evidence))
    });
    Some(Found::problem(sentence, next_step).by(of_update(update)).by_all(said))
}

fn is_same(other: &Update, update: &Update) -> bool {
    matches!(other.stage(), Stage::Ended(End::RolledBack { .. }))
        && other.goal().digest == update.goal().digest
}

fn began(update: &Update) -> u64 {
    update.history().last().map_or(0, |entry| entry.at)
}

fn ended_at(update: &Update) -> u64 {
    began(update)
}

fn of_update(update: &Update) -> api::Evidence {
    let said = fact(
        EvidenceKind::Update,
        ended_at(update),
        format!("update to {}: {}", update.goal().version, update.stage()),
    );
    linked(said, update.id(), format!("/api/v1/updates/{}", update.id()))
}
