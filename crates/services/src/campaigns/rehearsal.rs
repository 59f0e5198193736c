//! Plays a campaign on simulated devices, beside the server's own work: one at a time, and for a bounded time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use buoy_api as api;
use buoy_fleet::campaign::Plan;
use buoy_fleet::rehearsal::{self, Conditions, Rehearsal, Verdict};

use super::commands::{CampaignError, checked};
use super::window::{Opening, opening, zone};
use super::{targets, words};
use crate::access::{Permission, Target};
use crate::app::App;
use crate::principal::Principal;

/// The most simulated devices.
pub(super) const MOST_DEVICES: u32 = 100_000;
/// A rehearsal is broken off after so long.
const LONGEST: Duration = Duration::from_secs(20);
/// Happenings between two looks at the clock.
const STEPS: usize = 2_000;
/// What simulated devices run before.
const VERSION_BEFORE: &str = "the version before";

/// Plays a campaign on simulated devices. It changes nothing.
///
/// # Errors
/// [`CampaignError`]
pub async fn rehearse(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::RehearseCampaign,
) -> Result<api::CampaignRehearsal, CampaignError> {
    // It costs the server seconds of work, and a viewer's word shall not.
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let api::RehearseCampaign { plan, conditions } = wanted;
    check(&conditions)?;
    let plan = checked(app, plan)?;
    let image_bytes = app.firmware.get(&plan.release.digest).map_or(0, |image| image.row.size);
    let conditions = conditions_of(conditions, image_bytes);
    let Ok(_turn) = app.campaigns.rehearsals.try_acquire() else { return Err(CampaignError::Rehearsing) };
    let shares = shares(app, &plan).await?;
    let notes = notes(&plan, &shares);
    let now = app.now();
    let played = tokio::task::spawn_blocking(move || play(plan, conditions, &shares, now));
    let rehearsal = played.await.map_err(|_| crate::journal::NotSaved::Stopped)?;
    Ok(described(&rehearsal, notes))
}

fn check(conditions: &api::RehearsalConditions) -> Result<(), CampaignError> {
    let api::RehearsalConditions { devices, crash, crash_on: _, offline, link: _, sleep, jitter, seed: _ } =
        conditions;
    if !(1..=MOST_DEVICES).contains(devices) {
        return Err(CampaignError::Rehearsal(format!("a rehearsal has 1 to {MOST_DEVICES} devices")));
    }
    for (what, percent) in [("crash", crash), ("offline", offline), ("jitter", jitter)] {
        if !(0.0..=100.0).contains(percent) {
            return Err(CampaignError::Rehearsal(format!("{what} is 0 to 100 (percent)")));
        }
    }
    let longest = Duration::from_secs(31 * 24 * 3600).as_secs();
    if *sleep > longest {
        return Err(CampaignError::Rehearsal(format!("devices sleep for at most {longest} seconds")));
    }
    Ok(())
}

fn conditions_of(wanted: api::RehearsalConditions, image_bytes: u64) -> Conditions {
    let api::RehearsalConditions { devices, crash, crash_on, offline, link, sleep, jitter, seed } = wanted;
    Conditions {
        devices,
        crash,
        crash_on,
        offline,
        link,
        sleep,
        jitter,
        image_bytes,
        version_before: VERSION_BEFORE.to_owned(),
        seed,
    }
}

/// For each wave that has a filter: which part of the target it matches now.
async fn shares(app: &Arc<App>, plan: &Plan) -> Result<Vec<Option<f64>>, CampaignError> {
    let (names, firsts) = targets(app, plan).await?;
    let all = names.len().max(1) as f64;
    let share = |(wave, first): (&buoy_fleet::campaign::Wave, &Vec<Arc<str>>)| {
        let is_target = |name: &&Arc<str>| names.binary_search(name).is_ok();
        wave.filter.as_ref().map(|_| first.iter().filter(is_target).count() as f64 / all)
    };
    Ok(plan.waves.iter().zip(&firsts).map(share).collect())
}

fn play(plan: Plan, conditions: Conditions, shares: &[Option<f64>], now: u64) -> Rehearsal {
    let began = Instant::now();
    let window = window(&plan);
    let mut rehearsal = Rehearsal::new(plan, conditions, shares, window, now);
    while !rehearsal.advance(STEPS) && began.elapsed() < LONGEST {}
    rehearsal
}

/// The window of simulated devices: they are all in the time zone of the campaign.
fn window(plan: &Plan) -> Option<rehearsal::Opening> {
    let window = plan.window.clone()?;
    let zone = zone(&window.zone)?;
    Some(Box::new(move |now| match opening(&window, &zone, now) {
        Opening::Open => None,
        Opening::At(at) => Some(at),
    }))
}

/// What a rehearsal can't show of this plan.
fn notes(plan: &Plan, shares: &[Option<f64>]) -> Vec<String> {
    let mut notes = Vec::new();
    for (number, (wave, share)) in (1..).zip(plan.waves.iter().zip(shares)) {
        if let Some(share) = share {
            let percent = share * 100.0;
            notes.push(format!(
                "wave {number} has the part of the simulated devices that its filter matches of the real ones now: {percent:.1} %"
            ));
        }
        if wave.gate.healthy.is_some() {
            notes.push(format!(
                "the health filter of wave {number} is not tried: simulated devices have no values"
            ));
        }
    }
    if let Some(window) = &plan.window {
        notes.push(format!("all simulated devices are in the time zone {}", window.zone));
    }
    if plan.is_growing {
        notes.push("no devices join in a rehearsal".to_owned());
    }
    notes
}

fn described(rehearsal: &Rehearsal, notes: Vec<String>) -> api::CampaignRehearsal {
    let outcome = rehearsal.outcome();
    let told = words::described(rehearsal.campaign());
    let stopped_at = outcome.stopped.as_ref().map(|(at, _)| *at);
    let (verdict, reason, ended) = match outcome.verdict {
        Verdict::Done => (api::RehearsalVerdict::Done, String::new(), Some(outcome.ended)),
        Verdict::Stopped { reason } => (api::RehearsalVerdict::Stopped, reason, stopped_at),
        Verdict::WithoutEnd { waiting } => {
            let reason = format!("{waiting} devices would still be waited for; give the campaign a deadline");
            (api::RehearsalVerdict::WithoutEnd, reason, None)
        }
        Verdict::NotStarted { reason } => (api::RehearsalVerdict::NotStarted, reason, None),
        Verdict::Unfinished => {
            let reason = format!(
                "broken off after {} s of work; take fewer devices, or devices that wake more seldom",
                LONGEST.as_secs()
            );
            (api::RehearsalVerdict::Unfinished, reason, None)
        }
    };
    let waves = outcome.waves.iter().zip(&told.waves).map(|(times, wave)| api::RehearsedWave {
        opened: times.opened,
        passed: times.passed,
        counts: wave.counts,
    });
    let milestones = outcome.milestones.iter();
    api::CampaignRehearsal {
        verdict,
        reason,
        began: outcome.began,
        ended,
        waves: waves.collect(),
        counts: told.counts,
        failures: told.failures,
        bytes: outcome.bytes,
        asked_persons: outcome.asked_persons,
        milestones: milestones
            .map(|(percent, at)| api::RehearsalMilestone { percent: *percent, at: *at })
            .collect(),
        events: told.events,
        notes,
        report: words::report(rehearsal.campaign(), words::time),
    }
}
