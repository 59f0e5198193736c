//! Puts devices of a campaign that has stopped itself back on the version before, by the images of the library.

use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::campaign::{Campaign, Outbox};
use buoy_fleet::update::Update;
use buoy_fleet::version::Version;
use buoy_store::FirmwareRow;
use futures_util::future::join_all;

use super::{STARTS, plans, update_by_id};
use crate::app::App;
use crate::principal::Principal;
use crate::updates::commands::{self as updates, UpdateError};

/// Starts the updates to the versions before.
pub(super) async fn start(
    app: &Arc<App>,
    campaign: &mut Campaign,
    author: &Principal,
    backs: &[(Arc<str>, String)],
    outbox: &mut Outbox,
) {
    let plan = campaign.facts().plan.clone();
    for some in backs.chunks(STARTS) {
        let requests = some.iter().map(|(name, version)| {
            let image = image_of(app, &plan.release.digest, version);
            let request = image.map(|image| api::StartUpdate {
                endpoint: name.to_string(),
                firmware: image.digest.clone(),
                version: Some(version.clone()),
                delivery: plans::delivery(&plan.delivery),
                install_timeout: None,
                download_timeout: None,
            });
            async move {
                match request {
                    Some(request) => Some(updates::start(app, author, request, None).await),
                    None => None,
                }
            }
        });
        for ((name, version), started) in some.iter().zip(join_all(requests).await) {
            match started {
                None => {
                    let reason = format!(
                        "the server has no image of version {version}; upload it to put devices back"
                    );
                    campaign.stays(name, &reason, outbox);
                }
                Some(Ok(update)) => campaign.back_started(name, update.id, outbox),
                Some(Err(UpdateError::IsOpen { id, .. })) => {
                    adopt(app, campaign, name, version, id, outbox).await;
                }
                Some(Err(error)) => campaign.back_refused(app.now(), name, &error.to_string(), outbox),
            }
        }
    }
}

/// The newest image of a version, of the same project as the release.
fn image_of(app: &App, release: &str, version: &str) -> Option<Arc<FirmwareRow>> {
    let project = app.firmware.get(release).map(|image| image.row.project.clone()).unwrap_or_default();
    let wanted = Version::of(version);
    let is_it = |row: &Arc<FirmwareRow>| {
        row.digest != release && row.project == project && Version::of(&row.version).is_same_release(wanted)
    };
    app.firmware.list().into_iter().find(is_it)
}

/// An update of the device is open: it is the way back if its start was only not answered.
async fn adopt(
    app: &Arc<App>,
    campaign: &mut Campaign,
    name: &Arc<str>,
    version: &str,
    id: u64,
    outbox: &mut Outbox,
) {
    let is_new = campaign.device(name).is_some_and(|record| id > record.last_update);
    match update_by_id(app, id).await {
        Some(update) if is_new && is_back(&update, version) => campaign.back_started(name, id, outbox),
        _ => campaign.back_refused(app.now(), name, &format!("update {id} of it is open"), outbox),
    }
}

/// Whether an update brings a device back to a version.
pub(super) fn is_back(update: &Update, version: &str) -> bool {
    update.goal().version == version
}
