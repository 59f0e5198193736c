//! Translates events into the types of `/api/v1`.

use std::sync::Arc;

use buoy_api::{self as api, OperationState};
use buoy_lwm2m::path::Path;
use buoy_server::{BootstrapEvent, DtlsEvent, Event, Report, ReportSource};

use crate::access::{Forbidden, Permission, Reach, Target};
use crate::app::App;
use crate::devices::registration_json;
use crate::event_log::AppEvent;
use crate::operations::state_of;
use crate::path_values;
use crate::principal::Principal;
use crate::refusals;
use crate::updates::commands::described;
use crate::values::DeviceModels;

/// Translates events of one device or of all.
pub struct EventWords {
    app: Arc<App>,
    endpoint: Option<String>,
}

impl EventWords {
    /// Translates the events of `endpoint`, or all.
    #[must_use]
    pub fn new(app: Arc<App>, endpoint: Option<String>) -> Self {
        Self { app, endpoint }
    }

    /// The event for the interface; `None` if the interface doesn't have this event, or if it is from another device.
    #[must_use]
    pub fn event(&self, event: &AppEvent) -> Option<api::Event> {
        let event = match event {
            AppEvent::Device(event) | AppEvent::Delayed(event) => event,
            AppEvent::Update(update) => {
                let is_wanted = self.is_wanted(update.endpoint());
                return is_wanted.then(|| api::Event::FirmwareUpdate { update: described(update) });
            }
            // It belongs to no device.
            AppEvent::Campaign(event) | AppEvent::Job(event) => {
                return self.endpoint.is_none().then(|| (**event).clone());
            }
            AppEvent::Alert(event) => {
                let is_wanted = self.endpoint.is_none() || device_of_alert(event) == self.endpoint.as_deref();
                return is_wanted.then(|| (**event).clone());
            }
            AppEvent::Bootstrap(event) => {
                let (endpoint, phase, detail) = bootstrap_words(event);
                let endpoint = self.is_wanted(endpoint).then(|| endpoint.to_owned())?;
                return Some(api::Event::Bootstrap { endpoint, phase: phase.to_owned(), detail });
            }
            AppEvent::Notice(notice) => {
                let is_wanted = self.is_wanted(&notice.endpoint);
                return is_wanted.then(|| api::Event::ReportProblem {
                    endpoint: notice.endpoint.to_string(),
                    detail: notice.kind.to_string(),
                });
            }
        };
        if let Event::Refused { peer, code, reason, .. } = &**event {
            let endpoint = refusals::name_of(&self.app.endpoints, *peer);
            let (address, code) = (peer.address.to_string(), code.to_string());
            let is_wanted = self.is_wanted(&endpoint);
            return is_wanted.then(|| api::Event::Refused {
                endpoint,
                address,
                code,
                reason: reason.to_string(),
            });
        }
        if let Event::Dtls { endpoint, address, what } = &**event {
            let (state, detail) = match what {
                DtlsEvent::Established => ("established", ""),
                DtlsEvent::Ended => ("ended", ""),
                DtlsEvent::Failed(reason) => ("failed", &**reason),
            };
            return self.is_wanted(endpoint).then(|| api::Event::Dtls {
                endpoint: endpoint.to_string(),
                address: address.to_string(),
                state: state.to_owned(),
                detail: detail.to_owned(),
            });
        }
        let endpoint = endpoint_of(event)?;
        if !self.is_wanted(endpoint) {
            return None;
        }
        let endpoint = endpoint.to_owned();
        let operation = |id: u64, state: OperationState| {
            Some(api::Event::Operation { id, endpoint: endpoint.clone(), state })
        };
        match &**event {
            Event::Registered { registration, .. } => {
                let registration = registration_json(&registration.view());
                Some(api::Event::Registered { endpoint, registration })
            }
            Event::Updated { registration, .. } => {
                let registration = registration_json(&registration.view());
                Some(api::Event::Updated { endpoint, registration })
            }
            Event::Deregistered(_) => Some(api::Event::Deregistered { endpoint }),
            Event::Expired(_) => Some(api::Event::Expired { endpoint }),
            Event::Awake(_) => Some(api::Event::Awake { endpoint }),
            Event::Sleeping(_) => Some(api::Event::Sleeping { endpoint }),
            Event::OperationQueued { id, .. } => operation(id.0, OperationState::Queued),
            Event::OperationSent { id, .. } => operation(id.0, OperationState::Sent),
            Event::OperationEnded { id, outcome, .. } => {
                operation(id.0, state_of(buoy_server::OperationState::of_end(outcome)))
            }
            Event::ObservationEnded { .. } => Some(api::Event::ObservationEnded { endpoint }),
            Event::Reported(report) => Some(self.reported(report)),
            _ => None,
        }
    }

    fn is_wanted(&self, endpoint: &str) -> bool {
        self.endpoint.as_deref().is_none_or(|wanted| wanted == endpoint)
    }

    fn reported(&self, report: &Report) -> api::Event {
        let models = DeviceModels::of_any(&self.app.models);
        let endpoint = report.endpoint.to_string();
        // Values that can't be decoded have a separate event.
        let path_values::Listed { values, history } = path_values::listed(models.read_report(report).values);
        match &report.source {
            ReportSource::Send => api::Event::Send { endpoint, values, history },
            ReportSource::Notification { paths, .. } => {
                let paths = paths.iter().map(Path::to_string).collect();
                api::Event::Notification { endpoint, paths, values, history }
            }
        }
    }
}

/// Whether a principal may read the events of a device, or of those that it may read.
///
/// # Errors
/// [`Forbidden`]
pub async fn permit_events(
    app: &App,
    principal: &Principal,
    endpoint: Option<&str>,
) -> Result<(), Forbidden> {
    match endpoint {
        Some(endpoint) => app.permit(principal, Permission::Read, Target::Device(endpoint)).await,
        None => app.permit_some(principal, Permission::Read).map(drop),
    }
}

/// Whether a principal may read an event: its sign-in counts still, and its roles cover the device.
///
/// # Errors
/// [`SignedOut`] if its sign-in does not count any more.
pub async fn may_read(app: &App, principal: &Principal, event: &AppEvent) -> Result<bool, SignedOut> {
    if !principal.is_valid(app.now()) {
        return Err(SignedOut);
    }
    match principal.reach(Permission::Read) {
        Reach::Everything => Ok(true),
        Reach::Groups => Ok(app.sees(principal, &device_of(app, event)).await),
        Reach::Nothing => Ok(false),
    }
}

/// Whoever follows events has signed out, or lost a role.
#[derive(Clone, Copy, Debug)]
pub struct SignedOut;

/// The device of an event; empty if it is not known.
fn device_of(app: &App, event: &AppEvent) -> String {
    match event {
        AppEvent::Device(event) | AppEvent::Delayed(event) => match &**event {
            Event::Refused { peer, .. } => refusals::name_of(&app.endpoints, *peer),
            Event::Traced { endpoint, .. } | Event::Dtls { endpoint, .. } => endpoint.to_string(),
            event => endpoint_of(event).unwrap_or_default().to_owned(),
        },
        AppEvent::Update(update) => update.endpoint().to_string(),
        AppEvent::Campaign(_) | AppEvent::Job(_) => String::new(),
        AppEvent::Alert(event) => device_of_alert(event).unwrap_or_default().to_owned(),
        AppEvent::Bootstrap(event) => bootstrap_words(event).0.to_owned(),
        AppEvent::Notice(notice) => notice.endpoint.to_string(),
    }
}

/// The device of an alert, if it is about one.
fn device_of_alert(event: &api::Event) -> Option<&str> {
    match event {
        api::Event::Alert { endpoint, .. } => endpoint.as_deref(),
        _ => None,
    }
}

/// The device, the stage, and a text about the step or the failure.
#[must_use]
pub fn bootstrap_words(event: &BootstrapEvent) -> (&str, &'static str, String) {
    match event {
        BootstrapEvent::Started { endpoint, peer } => (endpoint, "started", peer.address.to_string()),
        BootstrapEvent::StepDone { endpoint, step, code, .. } => {
            (endpoint, "step", format!("{step}: {code}"))
        }
        BootstrapEvent::Finished { endpoint, peer } => (endpoint, "finished", peer.address.to_string()),
        BootstrapEvent::PackSent { endpoint, peer } => (endpoint, "pack_sent", peer.address.to_string()),
        BootstrapEvent::Failed { endpoint, step, reason, .. } => {
            (endpoint, "failed", format!("{step}: {reason}"))
        }
        BootstrapEvent::Pending { endpoint, peer } => {
            (endpoint.as_deref().unwrap_or_default(), "pending", peer.address.to_string())
        }
        BootstrapEvent::Refused { endpoint, code, reason, .. } => {
            (endpoint.as_deref().unwrap_or_default(), "refused", format!("{code}: {reason}"))
        }
    }
}

fn endpoint_of(event: &Event) -> Option<&str> {
    match event {
        Event::Registered { registration, .. } | Event::Updated { registration, .. } => {
            Some(&registration.endpoint)
        }
        Event::Deregistered(registration) | Event::Expired(registration) => Some(&registration.endpoint),
        Event::Awake(endpoint) | Event::Sleeping(endpoint) => Some(endpoint),
        Event::OperationQueued { endpoint, .. }
        | Event::OperationSent { endpoint, .. }
        | Event::OperationEnded { endpoint, .. }
        | Event::ObservationEnded { endpoint, .. } => Some(endpoint),
        Event::Reported(report) => Some(&report.endpoint),
        _ => None,
    }
}
