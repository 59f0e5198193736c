//! An operator's commands on campaigns, with the types of `/api/v1`.

use std::collections::BTreeMap;
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::campaign::{Campaign, Outbox, Plan, PlanError, Refused, Release, State};
use buoy_fleet::compatibility::Verdict;
use buoy_fleet::filter::quoted;
use buoy_store::{Change, ChangeSet, DocumentKind};
use tokio::sync::MutexGuard;

use super::plans::WindowFault;
use super::readiness::Judge;
use super::state::document_name;
use super::{
    AT_ONCE, carry_out, count, facts_change, forget_devices, last_id_change, plans, prepare, targets, words,
};
use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::documents;
use crate::groups::{self, FilterFault};
use crate::idempotency::NewKey;
use crate::inventory::DeviceFilter;
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::revision::{Changed, Expected};

/// The most campaigns.
const MOST: usize = 1000;
/// Reasons that a preview names.
const REASONS: usize = 20;
/// Devices that a preview names.
const EXAMPLES: usize = 5;

/// Why a command on campaigns failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CampaignError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no campaign with this id.
    NoSuchCampaign(u64),
    /// There is no such image.
    NoSuchFirmware(String),
    /// The image contains no version, and the request has none.
    NoVersion,
    /// The plan can't be followed.
    Plan(PlanError),
    /// A filter's groups can't be resolved.
    Filter(FilterFault),
    /// No device matches.
    NoDevices,
    /// Somebody else has changed the campaign.
    Changed(Changed),
    /// The campaign does not take the command now.
    Refused(Refused),
    /// There are too many campaigns.
    TooMany,
    /// The maintenance window is wrong.
    Window(WindowFault),
    /// The simulated devices of a rehearsal can't be so, and why.
    Rehearsal(String),
    /// A rehearsal is under way.
    Rehearsing,
    /// It could not be saved.
    NotSaved(NotSaved),
}

impl std::fmt::Display for CampaignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchCampaign(id) => write!(f, "there is no campaign {id}"),
            Self::NoSuchFirmware(digest) => write!(f, "there is no firmware {digest} in the library"),
            Self::NoVersion => f.write_str(
                "the image says no version; name the one that the devices will report in \"version\"",
            ),
            Self::Plan(error) => error.fmt(f),
            Self::Filter(fault) => fault.fmt(f),
            Self::NoDevices => {
                f.write_str("no device matches the filter; look with `buoy ctl filter explain`")
            }
            Self::Changed(changed) => changed.fmt(f),
            Self::Refused(refused) => refused.fmt(f),
            Self::TooMany => write!(f, "there are {MOST} campaigns; remove some that have ended"),
            Self::Window(fault) => fault.fmt(f),
            Self::Rehearsal(reason) => f.write_str(reason),
            Self::Rehearsing => f.write_str("another rehearsal is under way; try again in a moment"),
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CampaignError {}

impl From<Forbidden> for CampaignError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for CampaignError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<Changed> for CampaignError {
    fn from(changed: Changed) -> Self {
        Self::Changed(changed)
    }
}

impl From<WindowFault> for CampaignError {
    fn from(fault: WindowFault) -> Self {
        Self::Window(fault)
    }
}

impl From<Refused> for CampaignError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<PlanError> for CampaignError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<FilterFault> for CampaignError {
    fn from(fault: FilterFault) -> Self {
        Self::Filter(fault)
    }
}

/// All campaigns. What waits for a store that can't be written may hold them: then the caller does not wait as long.
async fn held(app: &App) -> Result<MutexGuard<'_, BTreeMap<u64, Campaign>>, NotSaved> {
    app.journal.unless_in_trouble(app.campaigns.all.lock()).await
}

/// All campaigns, the newest first.
///
/// # Errors
/// [`CampaignError::Forbidden`]
pub async fn list(app: &Arc<App>, principal: &Principal) -> Result<Vec<api::Campaign>, CampaignError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = held(app).await?;
    Ok(all.values().rev().map(words::described).collect())
}

/// One campaign.
///
/// # Errors
/// [`CampaignError`]
pub async fn one(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Campaign, CampaignError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = held(app).await?;
    all.get(&id).map(words::described).ok_or(CampaignError::NoSuchCampaign(id))
}

/// A report that a person reads, in Markdown.
///
/// # Errors
/// [`CampaignError`]
pub async fn report(app: &Arc<App>, principal: &Principal, id: u64) -> Result<String, CampaignError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = held(app).await?;
    let campaign = all.get(&id).ok_or(CampaignError::NoSuchCampaign(id))?;
    Ok(words::report(campaign, words::time))
}

/// The devices of a campaign in one stage, or all, ordered by name, after a given name.
///
/// # Errors
/// [`CampaignError`]
pub async fn devices(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    stage: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<api::Page<api::CampaignDevice>, CampaignError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let all = held(app).await?;
    let campaign = all.get(&id).ok_or(CampaignError::NoSuchCampaign(id))?;
    let mut found: Vec<_> = campaign
        .devices()
        .filter(|(_, record)| stage.is_none_or(|stage| record.stage.name() == stage))
        .filter(|(name, _)| after.is_none_or(|after| ***name > *after))
        .collect();
    found.sort_unstable_by_key(|(name, _)| (*name).clone());
    let has_more = found.len() > limit;
    found.truncate(limit);
    let items: Vec<_> = found.into_iter().map(|(name, record)| words::device(name, record)).collect();
    let next = items.last().filter(|_| has_more).map(|last| last.endpoint.clone());
    Ok(api::Page { items, next })
}

/// What a campaign would do.
///
/// # Errors
/// [`CampaignError`]
pub async fn preview(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::PutCampaign,
) -> Result<api::CampaignPreview, CampaignError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let release = release(app, &wanted.firmware, wanted.version.as_deref())?;
    let plan = plans::plan(wanted, release)?;
    plan.check()?;
    let (names, firsts) = targets(app, &plan).await?;
    let and = |also: &str| {
        let both = match plan.filter.trim() {
            "" => also.to_owned(),
            filter => format!("({filter}) and ({also})"),
        };
        selection(app, &both)
    };
    let version = quoted(&plan.release.version);
    let have_it = count(app, and(&format!("firmware = {version}"))?).await;
    let offline = count(app, and("state not in (online, asleep)")?).await;
    let open = app.read(|store| store.open_updates()).await.unwrap_or_default();
    let in_conflict =
        open.iter().filter(|update| names.binary_search_by(|name| (**name).cmp(&update.endpoint)).is_ok());
    let in_conflict = in_conflict.count() as u64;
    let Fit { incompatible, incompatible_because, unknown } = fit(app, &plan, &names).await;
    let examples = names.iter().take(EXAMPLES).map(ToString::to_string).collect();
    let devices = names.len() as u64;
    let bytes_per_device = app.firmware.get(&plan.release.digest).map_or(0, |image| image.row.size);
    let mut trial = Campaign::new(0, plan, "", app.now());
    trial.deal(names, &firsts);
    Ok(api::CampaignPreview {
        devices,
        have_it,
        offline,
        in_conflict,
        incompatible,
        incompatible_because,
        unknown,
        waves: trial.counts().iter().map(|counts| counts.all()).collect(),
        bytes_per_device,
        bytes: bytes_per_device.saturating_mul(devices.saturating_sub(have_it).saturating_sub(incompatible)),
        examples,
    })
}

/// How many devices the release is for.
#[derive(Default)]
struct Fit {
    incompatible: u64,
    incompatible_because: Vec<api::CampaignIncompatible>,
    unknown: u64,
}

async fn fit(app: &Arc<App>, plan: &Plan, names: &[Arc<str>]) -> Fit {
    let judge = Judge::of(app, plan);
    if !judge.asks_for_facts() {
        return Fit::default();
    }
    let (mut fit, mut reasons) = (Fit::default(), BTreeMap::<String, (u64, Arc<str>)>::new());
    for some in names.chunks(AT_ONCE) {
        let known = app.inventory.known(some.to_vec()).await;
        for (name, known) in some.iter().zip(known) {
            let verdict = judge.verdict(known.as_ref());
            if let Some(reason) = verdict.refusal(plan.requires.unknown) {
                reasons.entry(reason).or_insert_with(|| (0, name.clone())).0 += 1;
            } else if matches!(verdict, Verdict::Unknown(_)) {
                fit.unknown += 1;
            }
        }
    }
    fit.incompatible = reasons.values().map(|(count, _)| count).sum();
    let because = reasons.into_iter().map(|(reason, (count, example))| api::CampaignIncompatible {
        reason,
        count,
        example: example.to_string(),
    });
    fit.incompatible_because = because.collect();
    fit.incompatible_because.sort_by_key(|it| std::cmp::Reverse(it.count));
    fit.incompatible_because.truncate(REASONS);
    fit
}

/// Makes a campaign: a draft, which does nothing.
///
/// # Errors
/// [`CampaignError`]
pub async fn add(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::PutCampaign,
    key: Option<NewKey>,
) -> Result<api::Campaign, CampaignError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let plan = checked(app, wanted)?;
    app.journal.check()?;
    let (host, app, principal) = (app, app.clone(), principal.clone());
    let work = host.to_the_end("the campaigns", async move {
        let mut all = app.campaigns.all.lock().await;
        if all.len() >= MOST {
            return Err(CampaignError::TooMany);
        }
        let id = app.campaigns.next_id();
        let audit = principal.audit(app.now(), "campaign.add", &id.to_string(), plan.name.clone());
        let campaign = Campaign::new(id, plan, &principal.person(), app.now());
        let mut set = vec![facts_change(&app, campaign.facts()), last_id_change(&app, id), audit];
        set.extend(key.as_ref().map(|key| Change::IdempotencyKey(key.row(id))));
        app.journal.commit(set).await?;
        let told = words::described(&campaign);
        all.insert(id, campaign);
        Ok(told)
    });
    host.journal.unless_in_trouble(work).await?
}

/// Changes a campaign that has not started.
///
/// # Errors
/// [`CampaignError`]
pub async fn change(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    wanted: api::PutCampaign,
    expected: Expected,
) -> Result<api::Campaign, CampaignError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let plan = checked(app, wanted)?;
    let who = principal.person();
    command(app, principal, id, expected, "campaign.change", move |campaign, now, _| {
        campaign.replace_plan(now, &who, plan)
    })
    .await
}

/// Starts a campaign, at its time if it has one.
///
/// # Errors
/// [`CampaignError`]
pub async fn start(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    expected: Expected,
) -> Result<api::Campaign, CampaignError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    {
        let all = held(app).await?;
        let campaign = all.get(&id).ok_or(CampaignError::NoSuchCampaign(id))?;
        let filter = selection(app, &campaign.facts().plan.filter)?;
        if !campaign.facts().plan.is_growing && app.inventory.count(filter).await == 0 {
            return Err(CampaignError::NoDevices);
        }
    }
    let who = principal.person();
    command(app, principal, id, expected, "campaign.start", move |campaign, now, _| {
        campaign.start(now, &who).map(drop)
    })
    .await
}

/// Approves the start of a campaign, or the gate of its open wave.
///
/// # Errors
/// [`CampaignError`]
pub async fn approve(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    expected: Expected,
) -> Result<api::Campaign, CampaignError> {
    let who = principal.person();
    let approve = move |campaign: &mut Campaign, now, _: &mut Outbox| campaign.approve(now, &who).map(drop);
    command(app, principal, id, expected, "campaign.approve", approve).await
}

/// Starts no more updates.
///
/// # Errors
/// [`CampaignError`]
pub async fn pause(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Campaign, CampaignError> {
    let who = principal.person();
    command(app, principal, id, Expected::Any, "campaign.pause", move |campaign, now, _| {
        campaign.pause(now, &who)
    })
    .await
}

/// Goes on; with another image from the first wave on, for all devices.
///
/// # Errors
/// [`CampaignError`]
pub async fn resume(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    how: api::ResumeCampaign,
) -> Result<api::Campaign, CampaignError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let release = match &how.firmware {
        Some(digest) => Some(release(app, digest, how.version.as_deref())?),
        None => None,
    };
    let who = principal.person();
    let resume =
        move |campaign: &mut Campaign, now, outbox: &mut Outbox| campaign.resume(now, &who, release, outbox);
    command(app, principal, id, Expected::Any, "campaign.resume", resume).await
}

/// Tries the devices again that failed.
///
/// # Errors
/// [`CampaignError`]
pub async fn retry(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Campaign, CampaignError> {
    let who = principal.person();
    let retry =
        move |campaign: &mut Campaign, now, outbox: &mut Outbox| campaign.retry(now, &who, outbox).map(drop);
    command(app, principal, id, Expected::Any, "campaign.retry", retry).await
}

/// Ends a campaign.
///
/// # Errors
/// [`CampaignError`]
pub async fn abort(app: &Arc<App>, principal: &Principal, id: u64) -> Result<api::Campaign, CampaignError> {
    let who = principal.person();
    let abort = move |campaign: &mut Campaign, now, outbox: &mut Outbox| campaign.abort(now, &who, outbox);
    command(app, principal, id, Expected::Any, "campaign.abort", abort).await
}

/// Removes a campaign that is a draft, or has ended.
///
/// # Errors
/// [`CampaignError`]
pub async fn remove(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    expected: Expected,
) -> Result<(), CampaignError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    app.journal.check()?;
    let (host, app, principal) = (app, app.clone(), principal.clone());
    let work = host.to_the_end("the campaigns", async move {
        let mut all = app.campaigns.all.lock().await;
        let campaign = all.get(&id).ok_or(CampaignError::NoSuchCampaign(id))?;
        expected.check(Some(&plans::revision(&campaign.facts().plan)))?;
        let state = campaign.facts().state;
        if !state.has_ended() && state != State::Draft {
            return Err(Refused::State(state).into());
        }
        let name = campaign.facts().plan.name.clone();
        // The devices first: what is left of them would belong to nothing.
        forget_devices(&app, id).await?;
        let audit = principal.audit(app.now(), "campaign.remove", &id.to_string(), name);
        let remove = documents::remove(DocumentKind::Campaign, &document_name(id));
        app.journal.commit(vec![remove, audit]).await?;
        all.remove(&id);
        Ok(())
    });
    host.journal.unless_in_trouble(work).await?
}

/// Gives a command to a campaign: what it changes and the audit entry are one change.
async fn command(
    app: &Arc<App>,
    principal: &Principal,
    id: u64,
    expected: Expected,
    action: &'static str,
    command: impl FnOnce(&mut Campaign, u64, &mut Outbox) -> Result<(), Refused> + Send + 'static,
) -> Result<api::Campaign, CampaignError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    app.journal.check()?;
    let (host, app, principal) = (app, app.clone(), principal.clone());
    let work = host.to_the_end("the campaigns", async move {
        let mut all = app.campaigns.all.lock().await;
        let campaign = all.get_mut(&id).ok_or(CampaignError::NoSuchCampaign(id))?;
        expected.check(Some(&plans::revision(&campaign.facts().plan)))?;
        let mut outbox = Outbox::default();
        command(campaign, app.now(), &mut outbox)?;
        outbox.facts = Some(campaign.facts().clone());
        let facts = campaign.facts();
        let detail = format!(
            "{}: version {}, image {}",
            facts.plan.name, facts.plan.release.version, facts.plan.release.digest
        );
        let audit = principal.audit(app.now(), action, &id.to_string(), detail);
        let companions: ChangeSet<'static> = vec![audit];
        carry_out(&app, campaign, outbox, companions).await?;
        if campaign.facts().state == State::Preparing {
            prepare(&app, campaign).await?;
        }
        Ok(words::described(campaign))
    });
    host.journal.unless_in_trouble(work).await?
}

/// The plan of a request, if it can be followed.
pub(super) fn checked(app: &App, wanted: api::PutCampaign) -> Result<Plan, CampaignError> {
    let release = release(app, &wanted.firmware, wanted.version.as_deref())?;
    let plan = plans::plan(wanted, release)?;
    plan.check()?;
    selection(app, &plan.filter)?;
    for wave in &plan.waves {
        for filter in [&wave.filter, &wave.gate.healthy].into_iter().flatten() {
            selection(app, filter)?;
        }
    }
    Ok(plan)
}

fn release(app: &App, digest: &str, version: Option<&str>) -> Result<Release, CampaignError> {
    let image = app.firmware.get(digest).ok_or_else(|| CampaignError::NoSuchFirmware(digest.to_owned()))?;
    let version = version.map_or_else(|| image.row.version.clone(), str::to_owned);
    if version.is_empty() {
        return Err(CampaignError::NoVersion);
    }
    Ok(Release { digest: image.row.digest.clone(), version })
}

fn selection(app: &App, filter: &str) -> Result<DeviceFilter, CampaignError> {
    Ok(groups::selection(app, filter)?)
}
