//! An operator's commands on alerts, with the types of `/api/v1`.

mod receivers;

use std::fmt;
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::alerts::{Acknowledgement, Key, MOST_RULES, MOST_SILENCES, Outbox, Rule, RuleError, Silence};
use buoy_store::{ChangeSet, DocumentKind};

use super::receivers::ReceiverFault;
use super::state::{document_name, document_of};
use super::{saving, words};
use crate::access::{Covered, Forbidden, Permission, Target};
use crate::app::App;
use crate::documents;
use crate::groups::{self, FilterFault};
use crate::journal::NotSaved;
use crate::principal::Principal;

pub use receivers::{deliveries, put_receiver, receiver, receivers, remove_receiver, replay, test_receiver};

/// The longest comment, in bytes.
const LONGEST_COMMENT: usize = 1024;
/// The longest silence: a year, in milliseconds.
const LONGEST_SILENCE: u64 = 366 * 24 * 60 * 60 * 1000;

/// Why a command on alerts failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum AlertError {
    /// The principal may not do it.
    Forbidden(Forbidden),
    /// There is no rule of this name.
    NoSuchRule(String),
    /// There is no silence with this id.
    NoSuchSilence(u64),
    /// There is no receiver of this name.
    NoSuchReceiver(String),
    /// There is no message with this id that was given up.
    NoSuchDelivery(u64),
    /// No such alert fires.
    NotFiring,
    /// A rule can't be used.
    Rule(RuleError),
    /// A filter can't be used.
    Filter(FilterFault),
    /// A receiver can't be set up.
    Receiver(ReceiverFault),
    /// The secrets of a receiver can't be sealed: the system failed.
    NotSealed(anyhow::Error),
    /// A silence can't be made.
    Silence(&'static str),
    /// Rules name the receiver.
    InUse {
        /// The receiver.
        receiver: String,
        /// A rule.
        by: String,
    },
    /// There are too many.
    TooMany {
        /// Of what.
        what: &'static str,
        /// So many there may be.
        most: usize,
    },
    /// It could not be saved.
    NotSaved(NotSaved),
}

impl fmt::Display for AlertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::NoSuchRule(name) => write!(f, "there is no alert rule {name}"),
            Self::NoSuchSilence(id) => write!(f, "there is no silence {id}"),
            Self::NoSuchReceiver(name) => write!(f, "there is no receiver {name}"),
            Self::NoSuchDelivery(id) => write!(f, "no message {id} was given up"),
            Self::NotFiring => f.write_str("no such alert fires; `buoy ctl alert list` shows those that do"),
            Self::Rule(error) => error.fmt(f),
            Self::Filter(fault) => fault.fmt(f),
            Self::Receiver(fault) => fault.fmt(f),
            Self::NotSealed(error) => write!(f, "{error:#}"),
            Self::Silence(why) => f.write_str(why),
            Self::InUse { receiver, by } => {
                write!(f, "the rule {by} names the receiver {receiver}; change the rule first")
            }
            Self::TooMany { what, most } => write!(f, "there may be {most} {what}; remove some first"),
            Self::NotSaved(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AlertError {}

impl From<Forbidden> for AlertError {
    fn from(error: Forbidden) -> Self {
        Self::Forbidden(error)
    }
}

impl From<NotSaved> for AlertError {
    fn from(error: NotSaved) -> Self {
        Self::NotSaved(error)
    }
}

impl From<RuleError> for AlertError {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}

impl From<FilterFault> for AlertError {
    fn from(fault: FilterFault) -> Self {
        Self::Filter(fault)
    }
}

impl From<ReceiverFault> for AlertError {
    fn from(fault: ReceiverFault) -> Self {
        match fault {
            ReceiverFault::Failed(error) => Self::NotSealed(error),
            fault => Self::Receiver(fault),
        }
    }
}

/// Which alerts to list.
#[derive(Clone, Debug, Default)]
pub struct AlertQuery {
    /// Only those in this state. Without it, those that are pending or fire.
    pub state: Option<api::AlertState>,
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those that are at least so bad.
    pub severity: Option<api::AlertSeverity>,
    /// Only those of this device.
    pub endpoint: Option<String>,
}

impl AlertQuery {
    fn fits(&self, alert: &api::Alert, covered: &Covered) -> bool {
        let is_covered = match (&alert.endpoint, covered) {
            (Some(endpoint), covered) => covered.has(endpoint),
            (None, covered) => matches!(covered, Covered::All),
        };
        is_covered
            && self.state.is_none_or(|state| state == alert.state)
            && self.rule.as_ref().is_none_or(|rule| *rule == alert.rule)
            && self.severity.is_none_or(|least| alert.severity >= least)
            && self.endpoint.as_ref().is_none_or(|endpoint| alert.endpoint.as_ref() == Some(endpoint))
    }
}

/// Alerts, the worst first, then the newest. For a role for some groups, those of their devices. `skip` of them are left out.
///
/// # Errors
/// [`AlertError::Forbidden`]
pub async fn list(
    app: &Arc<App>,
    principal: &Principal,
    query: AlertQuery,
    skip: usize,
    limit: usize,
) -> Result<api::Page<api::Alert>, AlertError> {
    let covered = app.covered(principal, Permission::Read).await?;
    let mut found: Vec<api::Alert> = {
        let core = app.alerts.core();
        let is_wanted = |alert: &api::Alert| query.fits(alert, &covered);
        if query.state == Some(api::AlertState::Resolved) {
            core.alerts.history().map(words::ended).filter(is_wanted).collect()
        } else {
            let open = core.alerts.open().map(|(key, record, rule)| words::alert(&core, key, record, rule));
            open.chain(words::of_outage(&core, app.now())).filter(is_wanted).collect()
        }
    };
    if query.state != Some(api::AlertState::Resolved) {
        let order = |alert: &api::Alert| {
            (std::cmp::Reverse((alert.severity, alert.since)), alert.rule.clone(), alert.endpoint.clone())
        };
        found.sort_by_cached_key(order);
    }
    let all = found.len();
    let items: Vec<_> = found.into_iter().skip(skip).take(limit).collect();
    let next = skip + items.len();
    Ok(api::Page { items, next: (next < all).then(|| next.to_string()) })
}

/// Takes note of alerts that fire: they are not repeated.
///
/// # Errors
/// [`AlertError`]
pub async fn acknowledge(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::AcknowledgeAlerts,
) -> Result<api::AcknowledgedAlerts, AlertError> {
    let api::AcknowledgeAlerts { rule, subject, comment } = wanted;
    check_comment(&comment)?;
    let is_of_devices = app.alerts.core().alerts.rule(&rule).map(Rule::is_of_devices);
    // Whoever may command a device may take note of its alerts.
    match &subject {
        Some(device) if is_of_devices == Some(true) => {
            app.permit(principal, Permission::Command, Target::Device(device)).await?;
        }
        _ => app.permit(principal, Permission::ManageFleet, Target::Server).await?,
    }
    if is_of_devices.is_none() {
        return Err(AlertError::NoSuchRule(rule));
    }
    let turn = app.turn(&app.alerts.edits).await?;
    let note = Acknowledgement { by: principal.person(), at: app.now(), comment: comment.clone() };
    let keys: Vec<Key> = {
        let core = app.alerts.core();
        let is_meant = |key: &&Key| {
            *key.rule == *rule && subject.as_deref().is_none_or(|subject| *key.subject == *subject)
        };
        let firing = core.alerts.open().filter(|(_, record, _)| record.fired_at.is_some());
        firing.map(|(key, ..)| key).filter(is_meant).cloned().collect()
    };
    if keys.is_empty() {
        return Err(AlertError::NotFiring);
    }
    let target = subject.map_or_else(|| rule.clone(), |subject| format!("{rule}/{subject}"));
    let detail = format!("{} alerts; {comment}", keys.len());
    let audit = principal.audit(app.now(), "alert.acknowledge", &target, detail);
    let count = keys.len() as u64;
    edit(app, turn, vec![audit], move |app| {
        let mut outbox = Outbox::default();
        let mut core = app.alerts.core();
        for key in &keys {
            // One that has ended meanwhile needs no note.
            let _ = core.alerts.acknowledge(key, note.clone(), &mut outbox);
        }
        let at = app.now();
        let document = |(key, record): (Key, _)| match record {
            Some(record) => documents::put(DocumentKind::Alert, &document_of(&key), &record, at),
            None => documents::remove(DocumentKind::Alert, &document_of(&key)),
        };
        outbox.saves.into_iter().map(document).collect()
    })
    .await?;
    Ok(api::AcknowledgedAlerts { acknowledged: count })
}

/// Changes the engines and commits that, with `companions`, to the end, also if the caller goes.
async fn edit(
    app: &Arc<App>,
    turn: tokio::sync::OwnedMutexGuard<()>,
    companions: ChangeSet<'static>,
    change: impl FnOnce(&App) -> ChangeSet<'static> + Send + 'static,
) -> Result<(), AlertError> {
    app.journal.check()?;
    let (host, app) = (app, app.clone());
    let work = host.to_the_end("the alerts", async move {
        let _turn = turn;
        let mut set = change(&app);
        set.extend(companions);
        let saved = saving::save_messages(&app, set).await;
        app.alerts.wake.notify_one();
        saved
    });
    Ok(host.journal.unless_in_trouble(work).await??)
}

/// All rules, by name.
///
/// # Errors
/// [`AlertError::Forbidden`]
pub async fn rules(app: &Arc<App>, principal: &Principal) -> Result<Vec<api::AlertRule>, AlertError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let core = app.alerts.core();
    Ok(core.alerts.rules().map(|rule| words::described(&core, rule)).collect())
}

/// One rule.
///
/// # Errors
/// [`AlertError`]
pub async fn rule(app: &Arc<App>, principal: &Principal, name: &str) -> Result<api::AlertRule, AlertError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    described(app, name)
}

fn described(app: &App, name: &str) -> Result<api::AlertRule, AlertError> {
    let core = app.alerts.core();
    let rule = core.alerts.rule(name).ok_or_else(|| AlertError::NoSuchRule(name.to_owned()))?;
    Ok(words::described(&core, rule))
}

/// Makes a rule, or changes one.
///
/// # Errors
/// [`AlertError`]
pub async fn put_rule(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    wanted: api::PutAlertRule,
) -> Result<api::AlertRule, AlertError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.alerts.edits).await?;
    put_rules(app, principal, turn, vec![(name.into(), wanted)]).await?;
    described(app, name)
}

/// Makes the rules that most fleets want, except those whose names are taken. Returns those that were made.
///
/// # Errors
/// [`AlertError`]
pub async fn put_defaults(app: &Arc<App>, principal: &Principal) -> Result<Vec<api::AlertRule>, AlertError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.alerts.edits).await?;
    let mut wanted = words::defaults();
    wanted.retain(|(name, _)| app.alerts.core().alerts.rule(name).is_none());
    let names: Vec<Arc<str>> = wanted.iter().map(|(name, _)| name.clone()).collect();
    put_rules(app, principal, turn, wanted).await?;
    names.iter().map(|name| described(app, name)).collect()
}

async fn put_rules(
    app: &Arc<App>,
    principal: &Principal,
    turn: tokio::sync::OwnedMutexGuard<()>,
    wanted: Vec<(Arc<str>, api::PutAlertRule)>,
) -> Result<(), AlertError> {
    let (mut rules, mut set) = (Vec::new(), ChangeSet::new());
    for (name, wanted) in wanted {
        let rule = words::rule(&name, wanted);
        rule.check()?;
        if let Some(filter) = rule.filter() {
            groups::selection(app, filter)?;
        }
        {
            let core = app.alerts.core();
            let unknown = rule.receivers.iter().find(|name| !core.receivers.contains_key(*name));
            if let Some(unknown) = unknown {
                return Err(AlertError::NoSuchReceiver(unknown.clone()));
            }
        }
        let detail = rule.filter().unwrap_or_default().to_owned();
        set.push(documents::put(DocumentKind::AlertRule, &name, &rule, app.now()));
        set.push(principal.audit(app.now(), "alert_rule.put", &name, detail));
        rules.push(rule);
    }
    {
        let core = app.alerts.core();
        let new = rules.iter().filter(|rule| core.alerts.rule(&rule.name).is_none()).count();
        if core.alerts.rules().count() + new > MOST_RULES {
            return Err(AlertError::TooMany { what: "alert rules", most: MOST_RULES });
        }
    }
    let then = move |app: &App| {
        let core = &mut *app.alerts.core();
        rules.into_iter().for_each(|rule| core.alerts.put_rule(app.now(), rule, &mut core.outbox));
        core.has_other_rules = true;
    };
    Ok(app.commit_then(turn, set, then).await?)
}

/// Removes a rule. Its alerts end.
///
/// # Errors
/// [`AlertError`]
pub async fn remove_rule(app: &Arc<App>, principal: &Principal, name: &str) -> Result<(), AlertError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.alerts.edits).await?;
    if app.alerts.core().alerts.rule(name).is_none() {
        return Err(AlertError::NoSuchRule(name.to_owned()));
    }
    let remove = documents::remove(DocumentKind::AlertRule, name);
    let audit = principal.audit(app.now(), "alert_rule.remove", name, "");
    let name = name.to_owned();
    app.journal.check()?;
    let (host, app) = (app, app.clone());
    let work = host.to_the_end("the alerts", async move {
        let _turn = turn;
        let mut outbox = Outbox::default();
        {
            let mut core = app.alerts.core();
            core.alerts.remove_rule(app.now(), &name, &mut outbox);
            core.has_other_rules = true;
        }
        // The rule goes last. If the server is killed before, its alerts fire again, and whoever hears that they are over hears of that, too.
        saving::save(&app, outbox, None).await?;
        app.journal.commit(vec![remove, audit]).await
    });
    Ok(host.journal.unless_in_trouble(work).await??)
}

/// All silences that count, or will, or did lately.
///
/// # Errors
/// [`AlertError::Forbidden`]
pub async fn silences(app: &Arc<App>, principal: &Principal) -> Result<Vec<api::AlertSilence>, AlertError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let (core, now) = (app.alerts.core(), app.now());
    Ok(core.alerts.silences().map(|silence| words::silence(silence, now)).collect())
}

/// Makes a silence.
///
/// # Errors
/// [`AlertError`]
pub async fn add_silence(
    app: &Arc<App>,
    principal: &Principal,
    wanted: api::AddAlertSilence,
) -> Result<api::AlertSilence, AlertError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let api::AddAlertSilence { rule, filter, from, until, comment } = wanted;
    let now = app.now();
    let from = from.unwrap_or(now);
    check_comment(&comment)?;
    if comment.trim().is_empty() {
        return Err(AlertError::Silence("a silence needs a comment that says why"));
    }
    if until <= now || until <= from || until - from > LONGEST_SILENCE {
        return Err(AlertError::Silence(
            "a silence ends after now and after its start, and lasts at most a year",
        ));
    }
    let filter = filter.filter(|filter| !filter.trim().is_empty());
    if let Some(filter) = &filter {
        groups::selection(app, filter)?;
    }
    let turn = app.turn(&app.alerts.edits).await?;
    let id = {
        let mut core = app.alerts.core();
        if let Some(rule) = rule.as_ref().filter(|rule| core.alerts.rule(rule).is_none()) {
            return Err(AlertError::NoSuchRule(rule.clone()));
        }
        if core.alerts.silences().count() >= MOST_SILENCES {
            return Err(AlertError::TooMany { what: "silences", most: MOST_SILENCES });
        }
        core.last_silence += 1;
        core.last_silence
    };
    let rule = rule.map(Arc::from);
    let silence = Silence { id, rule, filter, from, until, author: principal.person(), comment };
    let put = documents::put(DocumentKind::AlertSilence, &document_name(id), &silence, now);
    let audit = principal.audit(now, "alert_silence.add", &id.to_string(), silence.comment.clone());
    let told = words::silence(&silence, now);
    let then = move |app: &App| app.alerts.core().alerts.put_silence(silence);
    app.commit_then(turn, vec![put, audit], then).await?;
    Ok(told)
}

/// Ends a silence, and removes it.
///
/// # Errors
/// [`AlertError`]
pub async fn remove_silence(app: &Arc<App>, principal: &Principal, id: u64) -> Result<(), AlertError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.alerts.edits).await?;
    if !app.alerts.core().alerts.silences().any(|silence| silence.id == id) {
        return Err(AlertError::NoSuchSilence(id));
    }
    let remove = documents::remove(DocumentKind::AlertSilence, &document_name(id));
    let audit = principal.audit(app.now(), "alert_silence.remove", &id.to_string(), "");
    let then = move |app: &App| drop(app.alerts.core().alerts.remove_silence(id));
    Ok(app.commit_then(turn, vec![remove, audit], then).await?)
}

fn check_comment(comment: &str) -> Result<(), AlertError> {
    if comment.len() <= LONGEST_COMMENT {
        Ok(())
    } else {
        Err(AlertError::Silence("a comment may have 1024 bytes"))
    }
}
