//! Campaigns: runs the engine's campaigns, makes what they note durable, and starts the updates that they order.
//!
//! All campaigns are in memory, behind one lock, which is held while what changed is committed: an order is given when it is saved, never
//! before. A campaign finds after a restart what became of the updates that it had ordered, and goes on.

mod back;
pub mod commands;
mod deferral;
mod plans;
mod readiness;
pub mod rehearsal;
pub(crate) mod state;
mod window;
mod words;

use std::sync::Arc;
use std::time::Duration;

use buoy_api as api;
use buoy_fleet::campaign::{
    Campaign, DeviceRecord as CampaignRecord, Facts, Outbox, Plan, Ready, Stage as CampaignStage, State,
};
use buoy_fleet::update::{Stage, Update, UpdateRecord};
use buoy_fleet::version::Version;
use buoy_store::{Change, ChangeSet, DocumentKind, Page, Reader, StoreError};
use futures_util::future::join_all;

use self::state::{Endings, LAST_ID, device_prefix, document_name};
use crate::app::App;
use crate::documents;
use crate::groups::{self, FilterFault};
use crate::inventory::{DeviceFilter, DeviceRecord};
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::updates::commands::{self as updates, UpdateError};

/// How often campaigns are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks for devices that join.
const GROWTH: u64 = 30;
/// Records of devices in one commit.
const AT_ONCE: usize = 1000;
/// Updates that are started at a time.
const STARTS: usize = 64;

/// Runs all campaigns until the server stops.
///
/// # Errors
/// [`NotSaved::Rejected`]: what a campaign noted will never be saved.
pub(crate) async fn run(app: Arc<App>, mut endings: Endings) -> Result<(), NotSaved> {
    match follow(&app, &mut endings).await {
        Err(NotSaved::Rejected(rejection)) => Err(NotSaved::Rejected(rejection)),
        // At the stop of the server.
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn follow(app: &Arc<App>, endings: &mut Endings) -> Result<(), NotSaved> {
    resume_all(app).await?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut ended, mut ticks) = (Vec::new(), 0u64);
    loop {
        let is_tick = tokio::select! {
            biased;
            count = endings.recv_many(&mut ended, AT_ONCE) => match count {
                0 => return Ok(()),
                _ => false,
            },
            _ = tick.tick() => true,
        };
        ticks += u64::from(is_tick);
        let mut all = app.campaigns.all.lock().await;
        for campaign in all.values_mut().filter(|campaign| !campaign.facts().state.has_ended()) {
            let (now, mut outbox) = (app.now(), Outbox::default());
            for it in &ended {
                if let Some(before) = &it.before {
                    campaign.ran_before(&it.endpoint, before);
                }
                campaign.update_ended(now, &it.endpoint, it.update, &it.end, &mut outbox);
            }
            if campaign.is_due(now) {
                campaign.begin(now);
            }
            // Also one whose preparation was interrupted.
            if campaign.facts().state == State::Preparing {
                prepare(app, campaign).await?;
            }
            if is_tick && ticks.is_multiple_of(GROWTH) && campaign.facts().plan.is_growing {
                grow(app, campaign, &mut outbox).await;
            }
            let before = (campaign.facts().state, campaign.facts().wave);
            let looked_up = readiness::look_up(app, campaign, now).await;
            let ready = |name: &str| match (app.endpoints.shard_of(name), &looked_up) {
                (None, _) => Ready::Unreachable,
                (Some(_), None) => Ready::Now,
                // What was not looked up has its turn later.
                (Some(_), Some(known)) => known.get(name).cloned().unwrap_or(Ready::Unreachable),
            };
            campaign.advance(now, &ready, &mut outbox);
            let audit = own_step(app, campaign, before);
            carry_out(app, campaign, outbox, audit.into_iter().collect()).await?;
        }
        ended.clear();
    }
}

/// The audit entry of what a campaign did by itself.
fn own_step(app: &App, campaign: &Campaign, before: (State, usize)) -> Option<Change<'static>> {
    let facts = campaign.facts();
    if (facts.state, facts.wave) == before {
        return None;
    }
    let detail = facts.events.last().map(|event| event.text.clone()).unwrap_or_default();
    let author = Principal::campaign(facts.id, &facts.plan.name);
    Some(author.audit(app.now(), "campaign.step", &facts.id.to_string(), detail))
}

/// What became of the updates of the run before.
async fn resume_all(app: &Arc<App>) -> Result<(), NotSaved> {
    let mut all = app.campaigns.all.lock().await;
    for campaign in all.values_mut().filter(|campaign| !campaign.facts().state.has_ended()) {
        if campaign.facts().state == State::Preparing {
            // The filter may match others now.
            while let Err(error) = forget_devices(app, campaign.facts().id).await {
                let NotSaved::Trouble(why) = error else { return Err(error) };
                tracing::warn!(why, "what a campaign knew of its devices can't be read; trying again");
                tokio::time::sleep(TICK).await;
            }
            prepare(app, campaign).await?;
        }
        let under_way: Vec<_> =
            campaign.under_way().map(|(name, record)| (name.clone(), record.clone())).collect();
        let mut outbox = Outbox::default();
        for (name, record) in under_way {
            let update = match record.stage {
                CampaignStage::Updating { update }
                | CampaignStage::GoingBack { update: Some(update), .. } => update_by_id(app, update).await,
                _ => last_update(app, &name).await.filter(|update| update.id() > record.last_update),
            };
            match (record.stage, update) {
                (CampaignStage::Superseded, Some(update)) if !update.has_ended() => {
                    outbox.cancels.push(update.id());
                }
                (CampaignStage::Ordered, Some(update)) if is_of(campaign.facts(), &update) => {
                    campaign.update_started(&name, update.id(), &mut outbox);
                    tell_if_ended(app, campaign, &name, &update, &mut outbox);
                }
                (CampaignStage::GoingBack { update: None, version, .. }, Some(update))
                    if back::is_back(&update, &version) =>
                {
                    campaign.back_started(&name, update.id(), &mut outbox);
                    tell_if_ended(app, campaign, &name, &update, &mut outbox);
                }
                (
                    CampaignStage::Updating { .. } | CampaignStage::GoingBack { update: Some(_), .. },
                    Some(update),
                ) => {
                    tell_if_ended(app, campaign, &name, &update, &mut outbox);
                }
                _ => campaign.update_gone(&name, &mut outbox),
            }
        }
        campaign.cancel_again(&mut outbox);
        carry_out(app, campaign, outbox, ChangeSet::new()).await?;
    }
    Ok(())
}

fn tell_if_ended(app: &App, campaign: &mut Campaign, name: &str, update: &Update, outbox: &mut Outbox) {
    if let Stage::Ended(end) = update.stage() {
        if let Some(before) = update.old_version() {
            campaign.ran_before(name, before);
        }
        campaign.update_ended(app.now(), name, update.id(), end, outbox);
    }
}

/// The last update of a device. A store that can't be read is waited for.
async fn last_update(app: &Arc<App>, endpoint: &str) -> Option<Update> {
    let endpoint = endpoint.to_owned();
    read_update(app, move |store| store.updates(Some(&endpoint), Page { before: u64::MAX, limit: 1 })).await
}

/// An update.
async fn update_by_id(app: &Arc<App>, id: u64) -> Option<Update> {
    let page = Page { before: id.saturating_add(1), limit: 1 };
    let found = read_update(app, move |store| store.updates(None, page)).await;
    found.filter(|update| update.id() == id)
}

async fn read_update(
    app: &Arc<App>,
    question: impl Fn(&dyn Reader) -> Result<Vec<UpdateRecord>, StoreError> + Clone + Send + 'static,
) -> Option<Update> {
    loop {
        match app.read(question.clone()).await {
            Ok(rows) => return rows.first().and_then(Update::restore),
            Err(error) => {
                tracing::warn!(%error, "what became of an update can't be read; trying again");
                tokio::time::sleep(TICK).await;
            }
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
    let (names, firsts) = match targets(app, &campaign.facts().plan).await {
        Ok(targets) => targets,
        Err(fault) => {
            campaign.can_not_prepare(app.now(), &fault.to_string());
            return save(app, vec![facts_change(app, campaign.facts())]).await;
        }
    };
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

/// The devices of a campaign, and those of each of its waves that has a filter.
async fn targets(app: &Arc<App>, plan: &Plan) -> Result<(Vec<Arc<str>>, Vec<Vec<Arc<str>>>), FilterFault> {
    let names = matching(app, &plan.filter).await?;
    let mut firsts = Vec::with_capacity(plan.waves.len());
    for wave in &plan.waves {
        firsts.push(match &wave.filter {
            Some(filter) => matching(app, filter).await?,
            None => Vec::new(),
        });
    }
    Ok((names, firsts))
}

/// Removes what is saved of the devices of a campaign.
async fn forget_devices(app: &Arc<App>, id: u64) -> Result<(), NotSaved> {
    let prefix = device_prefix(id);
    let read = app.read(move |store| {
        let mut names = Vec::new();
        store.documents(DocumentKind::CampaignDevice, &prefix, &mut |row| names.push(row.name))?;
        Ok(names)
    });
    let names = read.await.map_err(|error| NotSaved::Trouble(error.to_string()))?;
    for some in names.chunks(AT_ONCE) {
        let gone = some.iter().map(|name| documents::remove(DocumentKind::CampaignDevice, name));
        save(app, gone.collect()).await?;
    }
    Ok(())
}

async fn grow(app: &Arc<App>, campaign: &mut Campaign, outbox: &mut Outbox) {
    match matching(app, &campaign.facts().plan.filter).await {
        Ok(names) => campaign.grow(app.now(), names, outbox),
        Err(fault) if campaign.facts().state == State::Running => {
            campaign.pause_because(app.now(), format!("its filter can't be used any more: {fault}"));
        }
        Err(_) => {}
    }
}

/// The devices that a filter matches.
async fn matching(app: &Arc<App>, filter: &str) -> Result<Vec<Arc<str>>, FilterFault> {
    Ok(app.inventory.matching(groups::selection(app, filter)?).await)
}

/// Saves what a campaign noted, with `companions`, and does what it orders after that, until it orders nothing more.
async fn carry_out(
    app: &Arc<App>,
    campaign: &mut Campaign,
    mut outbox: Outbox,
    mut companions: ChangeSet<'static>,
) -> Result<(), NotSaved> {
    loop {
        let Outbox { facts, devices, starts, backs, cancels, health } = outbox;
        let id = campaign.facts().id;
        let is_told = facts.is_some() || !devices.is_empty();
        // The facts come last: until they are saved, what was saved of the devices belongs to the state before.
        let mut set = ChangeSet::new();
        for (name, record) in &devices {
            set.push(device_change(app, id, name, record));
            if set.len() == AT_ONCE {
                save(app, std::mem::take(&mut set)).await?;
            }
        }
        set.extend(facts.map(|facts| facts_change(app, &facts)));
        set.append(&mut companions);
        save(app, set).await?;
        if is_told {
            tell(app, campaign);
        }
        let mut next = Outbox::default();
        let author = Principal::campaign(id, &campaign.facts().plan.name);
        for some in cancels.chunks(STARTS) {
            // They may have ended already.
            join_all(some.iter().map(|update| app.updates.cancel(&author, *update))).await;
        }
        start_updates(app, campaign, &author, &starts, &mut next).await;
        back::start(app, campaign, &author, &backs, &mut next).await;
        if let Some(asked) = health {
            match unhealthy(app, campaign, asked).await {
                Ok(unhealthy) => campaign.health(app.now(), unhealthy, &mut next),
                Err(fault) => {
                    campaign.pause_because(app.now(), format!("its gate can't be used any more: {fault}"));
                    next.facts = Some(campaign.facts().clone());
                }
            }
        }
        if next.is_empty() {
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
                delivery: plans::delivery(&plan.delivery),
                install_timeout: deferral::install_timeout(plan.deferral),
                download_timeout: None,
            };
            async move {
                let started = updates::start(app, author, request, None).await;
                // Only then, since a start that is refused is tried again and again.
                if let (Some(it), Ok(_)) = (plan.deferral, &started) {
                    deferral::tell(app, author, name, it).await;
                }
                started
            }
        });
        for (name, started) in some.iter().zip(join_all(requests).await) {
            match started {
                Ok(update) => campaign.update_started(name, update.id, outbox),
                Err(UpdateError::IsOpen { id, .. }) => adopt(app, campaign, name, id, outbox).await,
                Err(error @ (UpdateError::NoDelivery(_) | UpdateError::NoSuchFirmware(_))) => {
                    campaign.update_refused(app.now(), name, &error.to_string(), outbox);
                    if campaign.facts().state == State::Running {
                        campaign.pause_because(app.now(), format!("updates can't start: {error}"));
                        outbox.facts = Some(campaign.facts().clone());
                    }
                }
                Err(error) => campaign.update_refused(app.now(), name, &error.to_string(), outbox),
            }
        }
    }
}

/// An update of the device is open: it is the campaign's own if its start was only not answered.
async fn adopt(app: &Arc<App>, campaign: &mut Campaign, name: &Arc<str>, id: u64, outbox: &mut Outbox) {
    let is_new = campaign.device(name).is_some_and(|record| id > record.last_update);
    match update_by_id(app, id).await {
        Some(update) if is_new && is_of(campaign.facts(), &update) => {
            campaign.update_started(name, id, outbox);
        }
        _ => campaign.update_refused(app.now(), name, &format!("update {id} of it is open"), outbox),
    }
}

/// Those of some devices that are not registered, that report something else than the release, or that the filter of the gate does not match.
async fn unhealthy(
    app: &Arc<App>,
    campaign: &Campaign,
    asked: Vec<Arc<str>>,
) -> Result<Vec<(Arc<str>, String)>, FilterFault> {
    let facts = campaign.facts();
    let gate = facts.plan.waves.get(facts.wave).and_then(|wave| wave.gate.healthy.clone());
    let healthy = match &gate {
        Some(filter) => Some(matching(app, filter).await?),
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
    Ok(unhealthy)
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

/// A campaign, as far as it concerns one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfDevice {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) awaits_approval: bool,
    pub(crate) reason: String,
    pub(crate) changed_at: u64,
}

/// The campaigns that have not ended and of which a device is a part, or will be if nothing changes.
pub(crate) async fn of_device(app: &Arc<App>, endpoint: &str) -> Vec<OfDevice> {
    let mut found = Vec::new();
    let mut planned = Vec::new();
    // They are held while a store that can't be written is waited for: that is another cause.
    let Ok(all) = app.journal.unless_in_trouble(app.campaigns.all.lock()).await else { return found };
    for campaign in all.values().filter(|campaign| !campaign.facts().state.has_ended()) {
        let facts = campaign.facts();
        let it = OfDevice {
            id: facts.id,
            name: facts.plan.name.clone(),
            version: facts.plan.release.version.clone(),
            awaits_approval: campaign.awaits_approval(),
            reason: facts.reason.clone(),
            changed_at: facts.events.last().map_or(0, |event| event.at),
        };
        match facts.state {
            _ if campaign.device(endpoint).is_some() => found.push(it),
            State::Scheduled => planned.push((facts.plan.filter.clone(), it)),
            _ => {}
        }
    }
    drop(all);
    for (filter, it) in planned {
        if let Ok(selection) = groups::selection(app, &filter)
            && app.inventory.is_match(selection, endpoint).await
        {
            found.push(it);
        }
    }
    found
}

fn tell(app: &App, campaign: &Campaign) {
    app.hub.tell_campaign(words::event(campaign));
}

async fn save(app: &App, set: ChangeSet<'static>) -> Result<(), NotSaved> {
    if set.is_empty() { Ok(()) } else { app.journal.commit(set).await }
}

fn facts_change(app: &App, facts: &Facts) -> Change<'static> {
    documents::put(DocumentKind::Campaign, &document_name(facts.id), facts, app.now())
}

fn last_id_change(app: &App, id: u64) -> Change<'static> {
    documents::put(DocumentKind::Campaign, LAST_ID, &id, app.now())
}

fn device_change(app: &App, id: u64, name: &str, record: &CampaignRecord) -> Change<'static> {
    let document = format!("{}{name}", device_prefix(id));
    documents::put(DocumentKind::CampaignDevice, &document, record, app.now())
}

/// All devices that a filter matches, for a preview.
async fn count(app: &Arc<App>, filter: DeviceFilter) -> u64 {
    app.inventory.count(filter).await as u64
}
