//! Campaigns: runs the engine's campaigns, makes what they note durable, and starts the updates that they order.
//!
//! All campaigns are in memory, behind one lock, which is held while what changed is committed: an order is given when it is saved, never
//! before. A campaign finds after a restart what became of the updates that it had ordered, and goes on.

pub mod commands;
pub(crate) mod state;
mod words;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buoy_api as api;
use buoy_fleet::campaign::{
    Campaign, DeviceRecord as CampaignRecord, Facts, Outbox, Stage as CampaignStage, State,
};
use buoy_fleet::update::{Stage, Update};
use buoy_fleet::version::Version;
use buoy_store::{Change, ChangeSet, DocumentChange, DocumentKind, DocumentRow, Page};
use futures_util::future::join_all;

use self::state::{Endings, device_prefix, document_name};
use crate::app::App;
use crate::groups;
use crate::inventory::{DeviceFilter, DeviceRecord};
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::updates::commands as updates;

/// How often campaigns are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks for devices that join.
const GROWTH: u64 = 30;
/// Records of devices in one commit.
const AT_ONCE: usize = 1000;
/// Updates that are started at a time.
const STARTS: usize = 64;

/// Runs all campaigns until the server stops.
pub(crate) async fn run(app: Arc<App>, mut endings: Endings) -> Result<(), Infallible> {
    resume_all(&app).await;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut ended, mut ticks) = (Vec::new(), 0u64);
    loop {
        tokio::select! {
            biased;
            count = endings.recv_many(&mut ended, AT_ONCE) => if count == 0 { return Ok(()) },
            _ = tick.tick() => ticks += 1,
        }
        let mut all = app.campaigns.all.lock().await;
        for campaign in all.values_mut().filter(|campaign| !campaign.facts().state.has_ended()) {
            let (now, mut outbox) = (app.now(), Outbox::default());
            for it in &ended {
                campaign.update_ended(now, &it.endpoint, it.update, &it.end, &mut outbox);
            }
            if campaign.is_due(now) {
                campaign.begin(now);
                if prepare(&app, campaign).await.is_err() {
                    return Ok(());
                }
            }
            if ticks.is_multiple_of(GROWTH) && campaign.facts().plan.is_growing {
                grow(&app, campaign, &mut outbox).await;
            }
            campaign.advance(now, &|name| app.endpoints.shard_of(name).is_some(), &mut outbox);
            // Only at the stop of the server.
            if carry_out(&app, campaign, outbox, ChangeSet::new()).await.is_err() {
                return Ok(());
            }
        }
        ended.clear();
    }
}

/// What became of the updates of the run before.
async fn resume_all(app: &Arc<App>) {
    let mut all = app.campaigns.all.lock().await;
    for campaign in all.values_mut().filter(|campaign| !campaign.facts().state.has_ended()) {
        if campaign.facts().state == State::Preparing && prepare(app, campaign).await.is_err() {
            return;
        }
        let under_way: Vec<_> = campaign.under_way().map(|(name, update)| (name.clone(), update)).collect();
        let mut outbox = Outbox::default();
        for (name, known) in under_way {
            let endpoint = name.to_string();
            let page = Page { before: u64::MAX, limit: 1 };
            let last = app.read(move |store| store.updates(Some(&endpoint), page)).await;
            let last = last.ok().and_then(|rows| rows.first().and_then(Update::restore));
            let is_its = |update: &Update| match known {
                Some(id) => update.id() == id,
                None => is_of(campaign.facts(), update),
            };
            match last.filter(is_its) {
                Some(update) => {
                    campaign.update_started(&name, update.id(), &mut outbox);
                    if let Stage::Ended(end) = update.stage() {
                        campaign.update_ended(app.now(), &name, update.id(), end, &mut outbox);
                    }
                }
                None if known.is_none() => {
                    campaign.update_refused(app.now(), &name, "the server was restarted", &mut outbox);
                }
                None => {}
            }
        }
        if carry_out(app, campaign, outbox, ChangeSet::new()).await.is_err() {
            return;
        }
    }
}

/// Whether an update can be one that the campaign ordered.
fn is_of(facts: &Facts, update: &Update) -> bool {
    let began = update.history().first().map_or(0, |entry| entry.at);
    update.goal().digest == facts.plan.release.digest && facts.started_at.is_some_and(|at| began >= at)
}

/// Deals the devices of a campaign that has started, and saves them in slices, so that no other commit waits for all of them.
async fn prepare(app: &Arc<App>, campaign: &mut Campaign) -> Result<(), NotSaved> {
    let plan = campaign.facts().plan.clone();
    let names = matching(app, &plan.filter).await;
    let mut firsts = Vec::with_capacity(plan.waves.len());
    for wave in &plan.waves {
        firsts.push(match &wave.filter {
            Some(filter) => matching(app, filter).await,
            None => Vec::new(),
        });
    }
    let id = campaign.facts().id;
    let records = campaign.deal(names, &firsts);
    save(app, vec![facts_change(app, campaign.facts())]).await?;
    for some in records.chunks(AT_ONCE) {
        save(app, some.iter().map(|(name, record)| device_change(app, id, name, record)).collect()).await?;
    }
    campaign.run(app.now());
    save(app, vec![facts_change(app, campaign.facts())]).await?;
    tell(app, campaign);
    Ok(())
}

async fn grow(app: &Arc<App>, campaign: &mut Campaign, outbox: &mut Outbox) {
    let names = matching(app, &campaign.facts().plan.filter).await;
    campaign.grow(app.now(), names, outbox);
}

/// The devices that a filter matches. Without the groups that it names there are none.
async fn matching(app: &Arc<App>, filter: &str) -> Vec<Arc<str>> {
    match groups::selection(app, filter) {
        Ok(selection) => app.inventory.matching(selection).await,
        Err(fault) => {
            tracing::error!(%fault, "the filter of a campaign can't be used any more");
            Vec::new()
        }
    }
}

/// Saves what a campaign noted, with `companions`, and does what it orders after that, until it orders nothing more.
async fn carry_out(
    app: &Arc<App>,
    campaign: &mut Campaign,
    mut outbox: Outbox,
    mut companions: ChangeSet<'static>,
) -> Result<(), NotSaved> {
    loop {
        let Outbox { facts, devices, starts, cancels, health } = outbox;
        let id = campaign.facts().id;
        let is_told = facts.is_some() || !devices.is_empty();
        let mut set = std::mem::take(&mut companions);
        set.extend(facts.map(|facts| facts_change(app, &facts)));
        set.extend(devices.iter().map(|(name, record)| device_change(app, id, name, record)));
        // A set that is large goes in pieces; the facts come first, and a piece that is missing is found out by the updates themselves.
        while set.len() > AT_ONCE {
            let rest = set.split_off(AT_ONCE);
            save(app, std::mem::replace(&mut set, rest)).await?;
        }
        save(app, set).await?;
        if is_told {
            tell(app, campaign);
        }
        let mut next = Outbox::default();
        let author = Principal::campaign(id, &campaign.facts().plan.name);
        for update in cancels {
            // It may have ended already.
            let _ = app.updates.cancel(&author, update).await;
        }
        start_updates(app, campaign, &author, &starts, &mut next).await;
        if let Some(asked) = health {
            let unhealthy = unhealthy(app, campaign, asked).await;
            campaign.health(app.now(), unhealthy, &mut next);
        }
        let is_done = next.facts.is_none()
            && next.devices.is_empty()
            && next.starts.is_empty()
            && next.cancels.is_empty()
            && next.health.is_none();
        if is_done {
            return Ok(());
        }
        outbox = next;
    }
}

async fn start_updates(
    app: &Arc<App>,
    campaign: &mut Campaign,
    author: &Principal,
    starts: &[Arc<str>],
    outbox: &mut Outbox,
) {
    let plan = campaign.facts().plan.clone();
    for some in starts.chunks(STARTS) {
        let requests = some.iter().map(|name| {
            let request = api::StartUpdate {
                endpoint: name.to_string(),
                firmware: plan.release.digest.clone(),
                version: Some(plan.release.version.clone()),
                delivery: words::delivery(&plan.delivery),
                install_timeout: None,
                download_timeout: None,
            };
            updates::start(app, author, request, None)
        });
        for (name, started) in some.iter().zip(join_all(requests).await) {
            match started {
                Ok(update) => campaign.update_started(name, update.id, outbox),
                Err(error) => campaign.update_refused(app.now(), name, &error.to_string(), outbox),
            }
        }
    }
}

/// Those of some devices that are not registered, that report something else than the release, or that the filter of the gate does not match.
async fn unhealthy(app: &Arc<App>, campaign: &Campaign, asked: Vec<Arc<str>>) -> Vec<(Arc<str>, String)> {
    let facts = campaign.facts();
    let gate = facts.plan.waves.get(facts.wave).and_then(|wave| wave.gate.healthy.clone());
    let healthy = match &gate {
        Some(filter) => Some(matching(app, filter).await),
        None => None,
    };
    let mut unhealthy = Vec::new();
    for some in asked.chunks(AT_ONCE) {
        let records = app.inventory.records(some.to_vec()).await;
        for (name, record) in some.iter().zip(records) {
            let Some(record) = record.filter(|record| record.state.is_registered()) else {
                unhealthy.push((name.clone(), "it is not registered any more".to_owned()));
                continue;
            };
            if let Some(other) = other_version(campaign, name, &record) {
                unhealthy.push((name.clone(), format!("it reports the version {other} now")));
                continue;
            }
            // The list is in the order of the names.
            if healthy.as_ref().is_some_and(|healthy| healthy.binary_search(name).is_err()) {
                let filter = gate.as_deref().unwrap_or_default();
                unhealthy.push((name.clone(), format!("the gate's filter does not match it: {filter}")));
            }
        }
    }
    unhealthy
}

/// The version that a device has reported since it confirmed the release, if it is another one. What the inventory knows may be of before.
fn other_version(campaign: &Campaign, name: &str, record: &DeviceRecord) -> Option<String> {
    let confirmed_at = match campaign.device(name)?.stage {
        CampaignStage::Confirmed { at } => at,
        _ => return None,
    };
    let read_at = record.description.read_at.filter(|at| *at > confirmed_at);
    let version = read_at.and(record.description.firmware.as_deref())?;
    let is_same = Version::of(version).is_same_release(Version::of(&campaign.facts().plan.release.version));
    (!is_same).then(|| version.to_owned())
}

fn tell(app: &App, campaign: &Campaign) {
    let told = words::described(campaign);
    app.hub.tell_campaign(api::Event::Campaign {
        id: told.id,
        name: told.plan.name,
        state: told.state,
        reason: told.reason,
        counts: told.counts,
    });
}

async fn save(app: &App, set: ChangeSet<'static>) -> Result<(), NotSaved> {
    if set.is_empty() { Ok(()) } else { app.journal.commit(set).await }
}

fn facts_change(app: &App, facts: &Facts) -> Change<'static> {
    put(app, DocumentKind::Campaign, document_name(facts.id), serde_json::to_vec(facts))
}

fn device_change(app: &App, id: u64, name: &str, record: &CampaignRecord) -> Change<'static> {
    let document = format!("{}{name}", device_prefix(id));
    put(app, DocumentKind::CampaignDevice, document, serde_json::to_vec(record))
}

fn put(app: &App, kind: DocumentKind, name: String, body: serde_json::Result<Vec<u8>>) -> Change<'static> {
    let body = body.unwrap_or_default();
    Change::Document(DocumentChange::Put(DocumentRow { kind, name, body, changed_at: app.now() }))
}

/// All devices that a filter matches, for a preview.
async fn count(app: &Arc<App>, filter: DeviceFilter) -> u64 {
    app.inventory.count(filter).await as u64
}
