//! Commands on receivers, and on messages to them.

use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::alerts::deliveries::{Attempt, Delivery};
use buoy_fleet::alerts::{Rule, check_name};
use buoy_store::{Change, ChangeSet, DocumentKind};

use super::super::receivers::ReceiverRecord;
use super::super::{message, send, words};
use super::{AlertError, edit};
use crate::access::{Permission, Target};
use crate::app::App;
use crate::documents;
use crate::principal::Principal;

/// The most receivers.
const MOST_RECEIVERS: usize = 100;

/// All receivers, by name.
///
/// # Errors
/// [`AlertError::Forbidden`]
pub async fn receivers(app: &Arc<App>, principal: &Principal) -> Result<Vec<api::AlertReceiver>, AlertError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let core = app.alerts.core();
    Ok(core.receivers.values().map(|record| words::receiver(&core, record)).collect())
}

/// One receiver.
///
/// # Errors
/// [`AlertError`]
pub async fn receiver(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
) -> Result<api::AlertReceiver, AlertError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let core = app.alerts.core();
    let record = core.receivers.get(name).ok_or_else(|| AlertError::NoSuchReceiver(name.to_owned()))?;
    Ok(words::receiver(&core, record))
}

/// Makes a receiver, or changes one.
///
/// # Errors
/// [`AlertError`]
pub async fn put_receiver(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
    wanted: api::PutAlertReceiver,
) -> Result<api::NewAlertReceiver, AlertError> {
    app.permit(principal, Permission::ManageServer, Target::Server).await?;
    check_name(name)?;
    let turn = app.turn(&app.alerts.edits).await?;
    let before = app.alerts.core().receivers.get(name).cloned();
    if before.is_none() && app.alerts.core().receivers.len() >= MOST_RECEIVERS {
        return Err(AlertError::TooMany { what: "receivers", most: MOST_RECEIVERS });
    }
    let sealer = &app.alerts.means.sealer;
    let (record, secret) = ReceiverRecord::new(name, wanted, before.as_ref(), sealer, app.now())?;
    let put = documents::put(DocumentKind::AlertReceiver, name, &record, app.now());
    let detail = format!("{}: {}", record.kind, record.target);
    let audit = principal.audit(app.now(), "alert_receiver.put", name, detail);
    let then = move |app: &App| {
        let mut core = app.alerts.core();
        core.deliveries.put_receiver(record.name.as_str().into(), record.queue());
        core.receivers.insert(record.name.clone(), record);
        app.alerts.wake.notify_one();
    };
    app.commit_then(turn, vec![put, audit], then).await?;
    let core = app.alerts.core();
    let record = core.receivers.get(name).ok_or_else(|| AlertError::NoSuchReceiver(name.to_owned()))?;
    Ok(api::NewAlertReceiver { receiver: words::receiver(&core, record), secret })
}

/// Removes a receiver, with the messages that wait for it.
///
/// # Errors
/// [`AlertError`]
pub async fn remove_receiver(app: &Arc<App>, principal: &Principal, name: &str) -> Result<(), AlertError> {
    app.permit(principal, Permission::ManageServer, Target::Server).await?;
    let turn = app.turn(&app.alerts.edits).await?;
    {
        let core = app.alerts.core();
        if !core.receivers.contains_key(name) {
            return Err(AlertError::NoSuchReceiver(name.to_owned()));
        }
        let names_it = |rule: &&Rule| rule.receivers.iter().any(|receiver| receiver == name);
        if let Some(rule) = core.alerts.rules().find(names_it) {
            return Err(AlertError::InUse { receiver: name.to_owned(), by: rule.name.to_string() });
        }
    }
    let remove = documents::remove(DocumentKind::AlertReceiver, name);
    let audit = principal.audit(app.now(), "alert_receiver.remove", name, "");
    let name = name.to_owned();
    edit(app, turn, vec![remove, audit], move |app| {
        let mut core = app.alerts.core();
        core.receivers.remove(&name);
        core.deliveries.remove_receiver(&name);
        ChangeSet::new()
    })
    .await
}

/// Sends a message to a receiver at once, that says that it is a test.
///
/// # Errors
/// [`AlertError`]
pub async fn test_receiver(
    app: &Arc<App>,
    principal: &Principal,
    name: &str,
) -> Result<api::AlertReceiverTest, AlertError> {
    app.permit(principal, Permission::ManageServer, Target::Server).await?;
    let record = app.alerts.core().receivers.get(name).cloned();
    let record = record.ok_or_else(|| AlertError::NoSuchReceiver(name.to_owned()))?;
    let attempt = send::send(app, &record, &message::test(name, app.now())).await;
    let (accepted, detail) = match attempt {
        Attempt::Accepted => (true, "it accepted the message".to_owned()),
        Attempt::Failed { error, .. } | Attempt::Refused(error) => (false, error),
    };
    let result = if accepted { "ok" } else { "failed" };
    let audit = principal.audit_of(app.now(), "alert_receiver.test", name, detail.clone(), result);
    app.journal.commit_now(vec![audit]).await?;
    Ok(api::AlertReceiverTest { accepted, detail })
}

/// Messages to receivers, the newest first, with an id less than `after`.
///
/// # Errors
/// [`AlertError`]
pub async fn deliveries(
    app: &Arc<App>,
    principal: &Principal,
    receiver: Option<&str>,
    state: Option<api::AlertDeliveryState>,
    after: Option<u64>,
    limit: usize,
) -> Result<api::Page<api::AlertDelivery>, AlertError> {
    app.permit(principal, Permission::Read, Target::Server).await?;
    let core = app.alerts.core();
    let names = core.receivers.keys().filter(|name| receiver.is_none_or(|receiver| receiver == *name));
    let all = names.flat_map(|name| core.deliveries.of_receiver(name));
    let all = all.map(|(place, delivery)| words::delivery(place, delivery));
    let mut found: Vec<_> = all
        .filter(|delivery| state.is_none_or(|state| state == delivery.state))
        .filter(|delivery| after.is_none_or(|after| delivery.id < after))
        .collect();
    found.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|last| last.id.to_string());
    Ok(api::Page { items: found, next })
}

/// Sends a message again that was given up.
///
/// # Errors
/// [`AlertError`]
pub async fn replay(app: &Arc<App>, principal: &Principal, id: u64) -> Result<(), AlertError> {
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    let turn = app.turn(&app.alerts.edits).await?;
    let receiver = {
        let core = app.alerts.core();
        let is_it = |name: &&String| {
            let mut all = core.deliveries.of_receiver(name);
            all.any(|(_, delivery)| delivery.id == id && is_dead(delivery))
        };
        core.receivers.keys().find(is_it).cloned().ok_or(AlertError::NoSuchDelivery(id))?
    };
    let audit: Change<'static> =
        principal.audit(app.now(), "alert_delivery.replay", &id.to_string(), receiver);
    edit(app, turn, vec![audit], move |app| {
        app.alerts.core().deliveries.replay(app.now(), id);
        ChangeSet::new()
    })
    .await
}

fn is_dead(delivery: &Delivery) -> bool {
    // One that was accepted has no error.
    delivery.ended_at.is_some() && !delivery.error.is_empty()
}
