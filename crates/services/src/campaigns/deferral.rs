//! Tells devices for how long they may put an installation off: Severity (5/0/11) and Maximum Defer Period (5/0/13) of object 5, version 1.1.

use std::sync::Arc;
use std::time::Duration;

use buoy_api as api;
use buoy_fleet::campaign::Deferral;
use buoy_fleet::update::Patience;

use crate::app::App;
use crate::operations::{self, Kept, StartOperation};
use crate::principal::Principal;

const SEVERITY: &str = "/5/0/11";
const MAXIMUM_DEFER_PERIOD: &str = "/5/0/13";
/// The update asks the device right afterwards, so what waits for longer is of no use.
const DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Has a device told, as its update starts: operations of a device are carried out in their order, and the one to install comes after the download. A device that does
/// not have the resources refuses them, and installs as soon as it can.
pub(super) async fn tell(app: &Arc<App>, author: &Principal, endpoint: &str, deferral: Deferral) {
    let severity = u64::from(deferral.severity);
    for (path, value) in [(SEVERITY, severity), (MAXIMUM_DEFER_PERIOD, deferral.at_most)] {
        let values =
            vec![api::PathValue { path: path.to_owned(), value: value.into(), kind: None, at: None }];
        let command = StartOperation {
            endpoint: endpoint.to_owned(),
            request: api::Request::Write {
                path: path.to_owned(),
                values,
                mode: api::WriteMode::Update,
                format: None,
            },
            deadline: Some(DEADLINE),
            wait: Duration::ZERO,
            kept: Kept::Always,
            key: None,
        };
        if let Err(error) = operations::start(app, author, command).await {
            // The start of the update meets the same, and says it.
            tracing::debug!(%error, endpoint, path, "a device is not told for how long it may defer");
        }
    }
}

/// For how long a device may install: as long as any, after the time for which it may put that off.
pub(super) fn install_timeout(deferral: Option<Deferral>) -> Option<u64> {
    deferral.map(|deferral| deferral.at_most.saturating_add(Patience::default().install.as_secs()))
}
