//! The evidence: what the server has seen of a device.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use buoy_api as api;
use buoy_fleet::update::Update;
use buoy_lwm2m::path::Path;
use buoy_store::{AuditFilter, CredentialFilter, CredentialRow, OperationFilter, Page, Purpose, StoreError};

use crate::access::{Permission, Target};
use crate::app::App;
use crate::campaigns;
use crate::devices;
use crate::incidents::{Entry, Incident};
use crate::inventory::{Last, LastValue};
use crate::operations;
use crate::principal::Principal;

/// Operations and updates that are looked at, the newest.
const OPERATIONS: usize = 50;
const UPDATES: usize = 5;
const CREDENTIALS: usize = 50;
const AUDIT: usize = 5;

/// All that is known of one device. Times are milliseconds since the epoch.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) now: u64,
    pub(crate) endpoint: String,
    /// What the inventory knows, with the registration.
    pub(crate) device: Option<api::Device>,
    /// What went wrong with it.
    pub(crate) incidents: Vec<Entry>,
    /// What went wrong with somebody at its address.
    pub(crate) neighbours: Vec<Entry>,
    /// The last values of its resources.
    pub(crate) values: Vec<(Path, LastValue)>,
    /// Its operations, the newest first.
    pub(crate) operations: Vec<api::Operation>,
    /// Its updates, the newest first.
    pub(crate) updates: Vec<Update>,
    /// How many bytes of the image of the open update were sent, and how many it has.
    pub(crate) download: Option<(usize, u64)>,
    /// Its credentials, if the author may see them.
    pub(crate) credentials: Option<Vec<CredentialRow>>,
    /// Its claim at the bootstrap server, if the author may see it.
    pub(crate) claim: Option<api::BootstrapClaim>,
    /// Whether a configuration of the bootstrap server is for it.
    pub(crate) has_config: bool,
    /// The campaigns of which it is a part and that have not ended.
    pub(crate) campaigns: Vec<campaigns::OfDevice>,
    /// The last entries of the audit log about it, if the author may see them.
    pub(crate) audit: Option<Vec<api::AuditEntry>>,
    /// The server.
    pub(crate) server: OfServer,
}

/// The server's own state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OfServer {
    /// When it started.
    pub(crate) started_at: u64,
    /// By how many milliseconds the system's clock was set since then; negative if backwards.
    pub(crate) clock_was_set: i64,
    /// The latest time that is in the store.
    pub(crate) latest_saved: u64,
}

impl Evidence {
    /// Whether nothing at all is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.device.is_none()
            && self.incidents.is_empty()
            && self.claim.is_none()
            && self.credentials.as_ref().is_none_or(Vec::is_empty)
    }

    pub(crate) fn state(&self) -> Option<api::DeviceState> {
        self.device.as_ref().map(|device| device.state)
    }

    pub(crate) fn registration(&self) -> Option<&api::Registration> {
        self.device.as_ref()?.registration.as_ref()
    }

    /// When it was last heard; 0 if it never was.
    pub(crate) fn last_contact(&self) -> u64 {
        self.device.as_ref().map_or(0, |device| device.last_contact)
    }

    /// Incidents of this kind.
    pub(crate) fn incident(&self, is_it: impl Fn(&Incident) -> bool) -> Option<&Entry> {
        self.incidents.iter().filter(|entry| is_it(&entry.incident)).max_by_key(|entry| entry.last)
    }

    /// The last incident of this kind, unless the device was heard since: then it is over.
    pub(crate) fn open_incident(&self, is_it: impl Fn(&Incident) -> bool) -> Option<&Entry> {
        self.incident(is_it).filter(|entry| entry.last >= self.last_contact())
    }

    pub(crate) fn value(&self, path: Path) -> Option<&LastValue> {
        self.values.iter().find(|(known, _)| *known == path).map(|(_, value)| value)
    }

    pub(crate) fn number(&self, path: Path) -> Option<(f64, u64)> {
        match self.value(path)? {
            LastValue { value: Last::Number(number), at } => Some((*number, *at)),
            LastValue { value: Last::Text(text), at } => Some((text.parse().ok()?, *at)),
        }
    }

    pub(crate) fn text(&self, path: Path) -> Option<(&str, u64)> {
        match self.value(path)? {
            LastValue { value: Last::Text(text), at } => Some((text, *at)),
            LastValue { .. } => None,
        }
    }

    /// Its last update.
    pub(crate) fn last_update(&self) -> Option<&Update> {
        self.updates.first()
    }

    /// Operations that wait for the device.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &api::Operation> {
        self.operations.iter().filter(|operation| !operation.ended)
    }
}

/// Gathers the evidence.
pub(super) async fn gather(
    app: &Arc<App>,
    principal: &Principal,
    endpoint: &str,
) -> Result<Evidence, StoreError> {
    let sees_credentials =
        app.permit(principal, Permission::ReadCredentials, Target::Device(endpoint)).await.is_ok();
    let sees_audit = app.permit(principal, Permission::ReadAudit, Target::Server).await.is_ok();
    let device = devices::known(app, endpoint).await;
    let stored = read_store(app, endpoint, sees_credentials, sees_audit).await?;
    let address = device.as_ref().and_then(|device| device.registration.as_ref());
    let address = address.and_then(|registration| registration.address.parse::<SocketAddr>().ok());
    let troubles = app.inventory.troubles(endpoint, address.map(|address| address.ip())).await;
    // Of other devices it tells those alone who may see all.
    let sees_others = app.permit(principal, Permission::Read, Target::Server).await.is_ok();
    let mut incidents = troubles.own;
    incidents.extend(troubles.claimed);
    incidents.retain(|entry| sees_others || !names_another(&entry.incident));
    // Without a registration the address is that of the last incident.
    let neighbours = match address {
        _ if !sees_others => Vec::new(),
        Some(_) => troubles.neighbours,
        None => match last_address(&incidents) {
            Some(ip) => app.inventory.troubles(endpoint, Some(ip)).await.neighbours,
            None => Vec::new(),
        },
    };
    let mut evidence = Evidence {
        now: app.now(),
        endpoint: endpoint.to_owned(),
        device,
        incidents,
        neighbours,
        values: app.inventory.values(endpoint).await,
        claim: app.bootstrap.claim_of(endpoint).filter(|_| sees_credentials),
        has_config: app.bootstrap.fits(endpoint),
        campaigns: if sees_others { campaigns::of_device(app, endpoint).await } else { Vec::new() },
        server: OfServer { started_at: app.started_at, ..stored.server },
        operations: stored.operations,
        updates: stored.updates,
        credentials: stored.credentials,
        audit: stored.audit,
        download: None,
    };
    evidence.server.clock_was_set = app.clock_was_set();
    if let Some(update) = evidence.last_update().filter(|update| !update.has_ended()) {
        let (id, digest) = (update.id(), update.goal().digest.clone());
        let size = app.image(&digest).map(|image| image.row.size);
        evidence.download = app.downloaded(id).await.zip(size);
    }
    Ok(evidence)
}

/// Whether an incident tells of another device, whose credentials were shown.
fn names_another(incident: &Incident) -> bool {
    matches!(incident, Incident::Refused { proved: Some(_), .. })
}

fn last_address(incidents: &[Entry]) -> Option<IpAddr> {
    let of_device = incidents.iter().filter(|entry| matches!(entry.incident, Incident::Expired { .. }));
    of_device.max_by_key(|entry| entry.last)?.address.map(|address| address.ip())
}

#[derive(Default)]
struct Stored {
    operations: Vec<api::Operation>,
    updates: Vec<Update>,
    credentials: Option<Vec<CredentialRow>>,
    audit: Option<Vec<api::AuditEntry>>,
    server: OfServer,
}

async fn read_store(
    app: &Arc<App>,
    endpoint: &str,
    sees_credentials: bool,
    sees_audit: bool,
) -> Result<Stored, StoreError> {
    let name = endpoint.to_owned();
    app.read(move |store| {
        let newest = |limit| Page { before: u64::MAX, limit };
        let filter = OperationFilter { endpoint: Some(&name), ended: None };
        let rows = store.operations(&filter, newest(OPERATIONS))?;
        let operations = rows.iter().filter_map(operations::summary_of).collect();
        let updates = store.updates(Some(&name), newest(UPDATES))?;
        let updates = updates.iter().filter_map(Update::restore).collect();
        let filter = CredentialFilter { endpoint: Some(&name), purpose: Some(Purpose::Lwm2m) };
        let credentials = match sees_credentials {
            true => Some(store.credentials(&filter, newest(CREDENTIALS))?),
            false => None,
        };
        let filter = AuditFilter { principal: None, action: None, target: Some(&name) };
        let audit = match sees_audit {
            true => Some(store.audit(&filter, newest(AUDIT))?.into_iter().map(crate::audit::entry).collect()),
            false => None,
        };
        let everything = AuditFilter { principal: None, action: None, target: None };
        let last = store.audit(&everything, newest(1))?;
        let server = OfServer { latest_saved: last.first().map_or(0, |row| row.at), ..OfServer::default() };
        Ok(Stored { operations, updates, credentials, audit, server })
    })
    .await
}
