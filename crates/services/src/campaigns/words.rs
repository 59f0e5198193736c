//! Campaigns in the types of `/api/v1`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use buoy_api as api;
use buoy_fleet::campaign::{Campaign, Counts, DeviceRecord, Failure, Stage, State};

use super::plans;

/// A campaign.
pub(super) fn described(campaign: &Campaign) -> api::Campaign {
    let facts = campaign.facts();
    let waves = campaign.counts().iter().enumerate().map(|(place, counts)| api::CampaignWaveProgress {
        open: facts.started_at.is_some() && place <= facts.wave,
        passed: place < facts.wave || facts.state == State::Done,
        counts: counts_of(counts),
    });
    api::Campaign {
        id: facts.id,
        state: state(facts.state),
        reason: facts.reason.clone(),
        awaits_approval: campaign.awaits_approval(),
        revision: plans::revision(&facts.plan),
        plan: plans::described(&facts.plan),
        counts: counts_of(&campaign.total()),
        waves: waves.collect(),
        failures: failures(campaign),
        author: facts.author.clone(),
        approvals: facts.approvals.clone(),
        created_at: facts.created_at,
        started_at: facts.started_at,
        ended_at: facts.ended_at,
        events: facts
            .events
            .iter()
            .map(|event| api::CampaignEvent { at: event.at, text: event.text.clone() })
            .collect(),
    }
}

/// The event of a campaign that has changed.
pub(super) fn event(campaign: &Campaign) -> api::Event {
    let facts = campaign.facts();
    api::Event::Campaign {
        id: facts.id,
        name: facts.plan.name.clone(),
        state: state(facts.state),
        reason: facts.reason.clone(),
        counts: counts_of(&campaign.total()),
    }
}

fn failures(campaign: &Campaign) -> Vec<api::CampaignFailure> {
    let mut kinds: BTreeMap<Failure, (u64, String)> = BTreeMap::new();
    for (name, record) in campaign.devices() {
        if let Stage::Failed { failure, detail } = &record.stage {
            let kind = kinds.entry(*failure).or_insert_with(|| (0, format!("{name}: {detail}")));
            kind.0 += 1;
        }
    }
    let mut failures: Vec<_> = kinds
        .into_iter()
        .map(|(failure, (count, example))| api::CampaignFailure {
            kind: failure.name().to_owned(),
            count,
            example,
        })
        .collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    failures
}

fn counts_of(counts: &Counts) -> api::CampaignCounts {
    let Counts { waiting, updating, confirmed, had_it, failed, skipped, put_back } = *counts;
    api::CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back }
}

fn state(state: State) -> api::CampaignState {
    match state {
        State::Draft => api::CampaignState::Draft,
        State::Scheduled => api::CampaignState::Scheduled,
        State::Preparing => api::CampaignState::Preparing,
        State::Running => api::CampaignState::Running,
        State::Paused => api::CampaignState::Paused,
        State::Stopping => api::CampaignState::Stopping,
        State::Done => api::CampaignState::Done,
        State::Aborted => api::CampaignState::Aborted,
    }
}

/// What a campaign knows of one device.
pub(super) fn device(endpoint: &str, record: &DeviceRecord) -> api::CampaignDevice {
    let (update, failure, detail) = match &record.stage {
        Stage::Updating { update } => (Some(*update), None, record.note.clone()),
        Stage::GoingBack { update, version, .. } => (*update, None, format!("it goes back to {version}")),
        Stage::PutBack { version } => (None, None, format!("it runs {version} again")),
        Stage::Failed { failure, detail } => (None, Some(failure.name().to_owned()), detail.clone()),
        Stage::Skipped { reason } => (None, None, reason.clone()),
        _ => (None, None, record.note.clone()),
    };
    api::CampaignDevice {
        endpoint: endpoint.to_owned(),
        wave: record.wave as u64 + 1,
        stage: record.stage.name().to_owned(),
        update,
        failure,
        detail,
        attempts: record.attempts,
    }
}

/// A time as reports have it.
pub(super) fn time(at: u64) -> String {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX));
    at.map_or_else(|_| "?".to_owned(), |at| format!("{at:.0}"))
}

/// A report that a person reads, in Markdown.
pub(super) fn report(campaign: &Campaign, time: impl Fn(u64) -> String) -> String {
    let told = described(campaign);
    // Names are foreign text: what Markdown would take for more than text is put between backquotes.
    let quoted = |text: &str| format!("`{}`", buoy_lwm2m::text::harmless(text).to_string().replace('`', "'"));
    let mut text = String::new();
    let counts = told.counts;
    let all = counts.waiting
        + counts.updating
        + counts.confirmed
        + counts.had_it
        + counts.failed
        + counts.skipped
        + counts.put_back;
    let _ = writeln!(text, "# Campaign {}: {}\n", told.id, quoted(&told.plan.name));
    let version = told.plan.version.as_deref().unwrap_or_default();
    let _ = writeln!(text, "Version {} for the devices of {}.\n", quoted(version), quoted(&told.plan.filter));
    let _ = writeln!(text, "- state: {}", state_name(told.state));
    if !told.reason.is_empty() {
        let _ = writeln!(text, "- reason: {}", quoted(&told.reason));
    }
    let _ = writeln!(text, "- made by {} at {}", quoted(&told.author), time(told.created_at));
    for (what, at) in [("started", told.started_at), ("ended", told.ended_at)] {
        if let Some(at) = at {
            let _ = writeln!(text, "- {what} at {}", time(at));
        }
    }
    let run_it = counts.confirmed + counts.had_it;
    let percent = if all == 0 { 0.0 } else { run_it as f64 * 100.0 / all as f64 };
    let _ = writeln!(text, "\n**{run_it} of {all} devices run the version ({percent:.1} %).**\n");
    let _ = writeln!(
        text,
        "| wave | devices | updated | had it | under way | waiting | failed | not tried | put back |"
    );
    let _ = writeln!(text, "|---|---|---|---|---|---|---|---|---|");
    for (number, wave) in told.waves.iter().enumerate() {
        let api::CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back } =
            wave.counts;
        let devices = waiting + updating + confirmed + had_it + failed + skipped + put_back;
        let _ = writeln!(
            text,
            "| {} | {devices} | {confirmed} | {had_it} | {updating} | {waiting} | {failed} | {skipped} | {put_back} |",
            number + 1
        );
    }
    if !told.failures.is_empty() {
        let _ = writeln!(text, "\n## Failures\n");
        for failure in &told.failures {
            let _ =
                writeln!(text, "- {} devices: {}. {}", failure.count, failure.kind, quoted(&failure.example));
        }
    }
    let _ = writeln!(text, "\n## What happened\n");
    for event in &told.events {
        let _ = writeln!(text, "- {}: {}", time(event.at), quoted(&event.text));
    }
    text
}

fn state_name(state: api::CampaignState) -> &'static str {
    match state {
        api::CampaignState::Draft => "draft",
        api::CampaignState::Scheduled => "scheduled",
        api::CampaignState::Preparing => "preparing",
        api::CampaignState::Running => "running",
        api::CampaignState::Paused => "paused",
        api::CampaignState::Stopping => "stopping",
        api::CampaignState::Done => "done",
        api::CampaignState::Aborted => "aborted",
    }
}
