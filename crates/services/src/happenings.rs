//! Events with their values and registrations, for faces that have shapes of their own for those. The words of `/api/v1` are in
//! [`event_words`](crate::event_words).

use std::sync::Arc;

use buoy_api as api;
use buoy_lwm2m::path::Path;
use buoy_server::{Event, Report, ReportSource};

use crate::app::App;
use crate::coap_words::{CoapWords, coap_words};
use crate::event_log::AppEvent;
use crate::event_words::bootstrap_words;
use crate::operations::{Answer, failure_word};
use crate::registration_details::RegistrationDetails;
use crate::values::{DeviceModels, Entry, present};

/// What happened to a device.
#[derive(Debug)]
pub enum Happening<'a> {
    /// It registered.
    Registered(RegistrationDetails),
    /// It updated its registration.
    Updated {
        /// As it is now.
        registration: RegistrationDetails,
        /// Whether the lifetime is another one.
        changes_lifetime: bool,
        /// Whether the objects are others.
        changes_objects: bool,
    },
    /// Its registration ended.
    Ended(RegistrationDetails),
    /// A device in queue mode was heard.
    Awake(Arc<str>),
    /// A device in queue mode was not heard for a while.
    Sleeping(Arc<str>),
    /// It sent values unasked (Send).
    Send {
        /// Which device.
        endpoint: Arc<str>,
        /// The values that hold now.
        values: Vec<Entry>,
    },
    /// It notified of values that are observed.
    Notification {
        /// Which device.
        endpoint: Arc<str>,
        /// What is observed.
        paths: Arc<[Path]>,
        /// Whether it is an observation of several paths.
        is_composite: bool,
        /// The values that hold now.
        values: Vec<Entry>,
    },
    /// A message came from or went to a device that is traced.
    Traced {
        /// Which device.
        endpoint: Arc<str>,
        /// When, in milliseconds since the epoch.
        at: u64,
        /// Whether it came.
        is_incoming: bool,
        /// What.
        message: CoapWords,
    },
    /// An operation ended whose caller was told that it waits for the device.
    LateAnswer {
        /// The operation.
        id: u64,
        /// Which device.
        endpoint: Arc<str>,
        /// The path that was asked for.
        path: &'a str,
        /// What the device answered.
        answer: Result<Answer<'a>, (api::OperationFailure, String)>,
    },
    /// A bootstrap session went on.
    Bootstrap {
        /// Which device.
        endpoint: &'a str,
        /// How far it is.
        phase: &'static str,
        /// What was done, or why it failed.
        detail: String,
    },
}

/// What happened, if there is a word for it here and `only` is none or that device.
#[must_use]
pub fn happening<'a>(app: &'a App, event: &'a AppEvent, only: Option<&str>) -> Option<Happening<'a>> {
    let wanted = |endpoint: &str| only.is_none_or(|only| only == endpoint);
    let event = match event {
        AppEvent::Device(event) => event,
        AppEvent::Delayed(event) => {
            return late_answer(app, event).filter(|(endpoint, _)| wanted(endpoint)).map(|(_, told)| told);
        }
        AppEvent::Update(_)
        | AppEvent::Campaign(_)
        | AppEvent::Job(_)
        | AppEvent::Alert(_)
        | AppEvent::Notice(_) => return None,
        AppEvent::Bootstrap(event) => {
            let (endpoint, phase, detail) = bootstrap_words(event);
            return wanted(endpoint).then_some(Happening::Bootstrap { endpoint, phase, detail });
        }
    };
    match &**event {
        Event::Registered { registration, .. } if wanted(&registration.endpoint) => {
            Some(Happening::Registered(registration.view().into()))
        }
        Event::Updated { registration, changed } if wanted(&registration.endpoint) => {
            Some(Happening::Updated {
                registration: registration.view().into(),
                changes_lifetime: changed.lifetime,
                changes_objects: changed.objects,
            })
        }
        Event::Deregistered(registration) | Event::Expired(registration)
            if wanted(&registration.endpoint) =>
        {
            Some(Happening::Ended(registration.view().into()))
        }
        Event::Awake(endpoint) if wanted(endpoint) => Some(Happening::Awake(endpoint.clone())),
        Event::Sleeping(endpoint) if wanted(endpoint) => Some(Happening::Sleeping(endpoint.clone())),
        Event::Reported(report) if wanted(&report.endpoint) => Some(reported(app, report)),
        // A device is traced for somebody who asked for this one.
        Event::Traced { endpoint, at, incoming, datagram }
            if only == Some(&**endpoint) && wanted(endpoint) =>
        {
            Some(Happening::Traced {
                endpoint: endpoint.clone(),
                at: *at,
                is_incoming: *incoming,
                message: coap_words(datagram)?,
            })
        }
        _ => None,
    }
}

fn late_answer<'a>(app: &'a App, event: &'a Event) -> Option<(&'a str, Happening<'a>)> {
    let Event::OperationEnded { id, endpoint, path, outcome } = event else { return None };
    let answer = match outcome {
        Ok(outcome) => Ok(Answer::late(app, outcome)),
        Err(failure) => Err((failure_word(*failure), failure.to_string())),
    };
    Some((endpoint, Happening::LateAnswer { id: id.0, endpoint: endpoint.clone(), path, answer }))
}

fn reported<'a>(app: &App, report: &Report) -> Happening<'a> {
    let endpoint = report.endpoint.clone();
    // What can't be read of it is told elsewhere, and takes nothing from the rest.
    let values = present(DeviceModels::of_any(&app.models).read_report(report).values);
    match &report.source {
        ReportSource::Send => Happening::Send { endpoint, values },
        ReportSource::Notification { paths, composite, .. } => {
            Happening::Notification { endpoint, paths: paths.clone(), is_composite: *composite, values }
        }
    }
}
