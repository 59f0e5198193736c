//! What a server is like in one picture.

use buoy_api::client::{Client, ClientError};
use buoy_api::{Campaign, CampaignState, DeviceCount, Me, Page, SetupState};
use serde::Serialize;

use super::output::{Output, pairs};

/// The picture.
#[derive(Debug, Serialize)]
struct Status {
    server: String,
    /// "ready", or why it is not.
    ready: String,
    /// Whether it waits for its first account.
    setup_needed: bool,
    signed_in_as: String,
    devices: Vec<DeviceCount>,
    firmware: Vec<DeviceCount>,
    open_operations: usize,
    open_updates: usize,
    /// Those that have neither ended nor been started.
    campaigns: Vec<String>,
}

/// Operations and updates that are counted at most.
const COUNTED: usize = 1000;

pub(super) fn show(client: &Client, out: Output) -> anyhow::Result<()> {
    let status = read(client)?;
    let is_ready = status.ready == "ready";
    out.print(&status, || {
        let counts = |counts: &[DeviceCount]| {
            let words =
                counts.iter().map(|it| format!("{} {}", it.count, it.value.as_deref().unwrap_or("not told")));
            let words = words.collect::<Vec<_>>().join(", ");
            if words.is_empty() { "none".to_owned() } else { words }
        };
        let many =
            |count: usize| if count < COUNTED { count.to_string() } else { format!("{COUNTED} or more") };
        let mut rows = vec![
            ("server", status.server.clone()),
            ("state", status.ready.clone()),
            ("signed in as", status.signed_in_as.clone()),
            ("devices", counts(&status.devices)),
            ("firmware", counts(&status.firmware)),
            ("operations", format!("{} under way", many(status.open_operations))),
            ("updates", format!("{} under way", many(status.open_updates))),
            (
                "campaigns",
                if status.campaigns.is_empty() {
                    "none under way".into()
                } else {
                    status.campaigns.join("; ")
                },
            ),
        ];
        if status.setup_needed {
            rows.push(("accounts", "none yet; `buoy ctl setup NAME` makes the first".into()));
        }
        pairs(rows);
    })?;
    anyhow::ensure!(is_ready, "the server is not ready");
    Ok(())
}

fn read(client: &Client) -> anyhow::Result<Status> {
    let me: Me = client.me()?;
    let setup: SetupState = client.get("/api/v1/setup")?;
    let ready = match client.text("/readyz") {
        Ok(text) => text.trim().to_owned(),
        Err(ClientError::Refused { detail, .. }) => detail.trim().to_owned(),
        Err(error) => return Err(error.into()),
    };
    // A role for a group sees no counts of the whole server.
    let or_none = |counts: Result<Page<DeviceCount>, ClientError>| match counts {
        Ok(page) => Ok(page.items),
        Err(ClientError::Refused { status: 403, .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let devices = or_none(client.get("/api/v1/device-counts?by=state"))?;
    let mut firmware = or_none(client.get("/api/v1/device-counts?by=firmware"))?;
    firmware.truncate(5);
    let campaigns = match client.get::<Page<Campaign>>("/api/v1/campaigns") {
        Ok(page) => page.items,
        Err(ClientError::Refused { status: 403, .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let is_under_way = |it: &&Campaign| {
        !matches!(it.state, CampaignState::Done | CampaignState::Aborted | CampaignState::Draft)
    };
    let campaigns = campaigns.iter().filter(is_under_way).map(super::campaigns::summary).collect();
    let operations = client.operations(None, Some(false), COUNTED)?.items.len();
    let updates = client.updates(None)?.items.iter().filter(|update| !update.ended).count();
    Ok(Status {
        server: client.base().to_owned(),
        ready,
        setup_needed: setup.needed,
        signed_in_as: me.name,
        devices,
        firmware,
        open_operations: operations,
        open_updates: updates,
        campaigns,
    })
}
