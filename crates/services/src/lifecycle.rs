//! Devices that go out of service, come back, or give their place to another board.

use std::sync::{Arc, Mutex, PoisonError};

use buoy_api as api;

use crate::access::{Forbidden, Permission, Target};
use crate::app::App;
use crate::credentials::ChangeError;
use crate::inventory::Profile;
use crate::journal::NotSaved;
use crate::principal::Principal;
use crate::records::{self, RecordError};

/// Why a device can't go out of service, come back, or be merged.
#[derive(Debug)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The record can't be changed.
    Record(RecordError),
    /// The device is out of service already.
    IsRetired(String),
    /// The device is in service.
    IsInService(String),
    /// Another device took its place, and has its record.
    IsReplaced {
        /// The device.
        endpoint: String,
        /// The other.
        by: String,
    },
    /// A device can't take its own place.
    Same,
    /// The name that was repeated is another one.
    NotConfirmed {
        /// The name of the device.
        endpoint: String,
    },
    /// The credentials could not be revoked.
    Failed(String),
}

impl std::fmt::Display for LifecycleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::IsRetired(endpoint) => {
                write!(
                    f,
                    "{endpoint} is out of service; bring it back first with `buoy ctl bring-back {endpoint}`"
                )
            }
            Self::IsInService(endpoint) => write!(f, "{endpoint} is in service"),
            Self::IsReplaced { endpoint, by } => {
                write!(f, "{by} took the place of {endpoint}, and has its record; a merge is not undone")
            }
            Self::Same => f.write_str("a device can't take its own place; name the device that replaced it"),
            Self::NotConfirmed { endpoint } => write!(
                f,
                "a merge can't be undone, and revokes the credentials of {endpoint}: repeat its name in \"confirm\""
            ),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for LifecycleError {}

impl From<RecordError> for LifecycleError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl From<Forbidden> for LifecycleError {
    fn from(error: Forbidden) -> Self {
        Self::Record(error.into())
    }
}

impl From<NotSaved> for LifecycleError {
    fn from(error: NotSaved) -> Self {
        Self::Record(error.into())
    }
}

impl From<ChangeError> for LifecycleError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotSaved(error) => error.into(),
            other => Self::Failed(format!("the credentials could not be revoked: {other:?}")),
        }
    }
}

/// Takes a device out of service. Its sessions and its registration end; its credentials stay, and are refused until it is brought back.
///
/// # Errors
/// [`LifecycleError`]
pub async fn retire(app: &Arc<App>, principal: &Principal, endpoint: &str) -> Result<(), LifecycleError> {
    app.permit(principal, Permission::ManageFleet, Target::Device(endpoint)).await?;
    if known(app, endpoint).await?.retired_at.is_some() {
        return Err(LifecycleError::IsRetired(endpoint.to_owned()));
    }
    let now = app.now();
    let audit = principal.audit(now, "device.retire", endpoint, "");
    let (host, app, endpoint) = (app, app.clone(), endpoint.to_owned());
    host.to_the_end("the devices", async move {
        let retire = move |_: usize, profile: &mut Profile| profile.retired_at = Some(now);
        Ok(records::edit(&app, vec![endpoint], vec![audit], retire).await?)
    })
    .await
}

/// Brings a device back that was taken out of service. Its credentials count again.
///
/// # Errors
/// [`LifecycleError`]
pub async fn bring_back(app: &Arc<App>, principal: &Principal, endpoint: &str) -> Result<(), LifecycleError> {
    app.permit(principal, Permission::ManageFleet, Target::Device(endpoint)).await?;
    let profile = known(app, endpoint).await?;
    if profile.retired_at.is_none() {
        return Err(LifecycleError::IsInService(endpoint.to_owned()));
    }
    if let Some(by) = &profile.replaced_by {
        return Err(LifecycleError::IsReplaced { endpoint: endpoint.to_owned(), by: by.to_string() });
    }
    let audit = principal.audit(app.now(), "device.bring_back", endpoint, "");
    let (host, app, endpoint) = (app, app.clone(), endpoint.to_owned());
    host.to_the_end("the devices", async move {
        let bring_back = |_: usize, profile: &mut Profile| profile.retired_at = None;
        Ok(records::edit(&app, vec![endpoint], vec![audit], bring_back).await?)
    })
    .await
}

/// Gives the record of a device whose board was replaced to the device that took its place: tags, groups, fields, notes, and its history. The
/// credentials of the old board are revoked first, so that it is shut out even if the rest fails; then the merge can be repeated.
///
/// # Errors
/// [`LifecycleError`]
pub async fn merge(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
    wanted: api::MergeDevice,
) -> Result<(), LifecycleError> {
    // It changes what others may do with both devices.
    app.permit(principal, Permission::ManageFleet, Target::Server).await?;
    app.permit(principal, Permission::ManageCredentials, Target::Server).await?;
    let api::MergeDevice { into, confirm } = wanted;
    if confirm != endpoint {
        return Err(LifecycleError::NotConfirmed { endpoint: endpoint.to_owned() });
    }
    if into == endpoint {
        return Err(LifecycleError::Same);
    }
    let (host, app, principal, old) = (app, app.clone(), principal.clone(), endpoint.to_owned());
    host.to_the_end("the devices", async move {
        let (turn, now) = (app.turn(&app.record_edits).await?, app.now());
        if let Some(by) = &known(&app, &old).await?.replaced_by {
            return Err(LifecycleError::IsReplaced { endpoint: old, by: by.to_string() });
        }
        if known(&app, &into).await?.retired_at.is_some() {
            return Err(LifecycleError::IsRetired(into));
        }
        let audit = principal.audit(now, "device.merge", &old, format!("its record goes to {into}"));
        // The old one is changed first: what it had is given to the new one.
        let given = Mutex::new(Profile::default());
        let (from, to): (Box<str>, Box<str>) = (old.as_str().into(), into.as_str().into());
        let change = move |place: usize, profile: &mut Profile| {
            let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
            if place == 0 {
                let emptied =
                    Profile { retired_at: Some(now), replaced_by: Some(to.clone()), ..Profile::default() };
                *given = std::mem::replace(profile, emptied);
            } else {
                join(profile, std::mem::take(&mut given), &from);
            }
        };
        let changed = records::changed(&app, vec![old.clone(), into], change).await?;
        // When nothing is in the way any more: this can't be undone.
        app.credentials.revoke_all(&principal, &old, now).await?;
        Ok(records::save(&app, turn, changed, vec![audit]).await?)
    })
    .await
}

/// Adds what an old board had. What the new one has of its own stays.
fn join(profile: &mut Profile, old: Profile, from: &str) {
    profile.tags.extend(old.tags);
    profile.tags.sort();
    profile.tags.dedup();
    profile.groups.extend(old.groups);
    profile.groups.sort();
    profile.groups.dedup();
    for (name, value) in old.fields {
        profile.fields.entry(name).or_insert(value);
    }
    profile.notes = match (profile.notes.is_empty(), old.notes.is_empty()) {
        (_, true) => std::mem::take(&mut profile.notes),
        (true, _) => old.notes,
        (false, false) => format!("{}\n\nOf {from}:\n{}", profile.notes, old.notes),
    };
    profile.replaces.extend(old.replaces);
    profile.replaces.push(from.into());
    profile.replaces.dedup();
}

async fn known(app: &App, endpoint: &str) -> Result<Arc<Profile>, RecordError> {
    let known = app.inventory.profiles(vec![endpoint.to_owned()]).await.pop().flatten();
    known.ok_or_else(|| RecordError::NoSuchDevice(endpoint.to_owned()))
}
