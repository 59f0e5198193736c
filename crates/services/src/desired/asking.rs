//! Asks one device, step by step, until it is as it is wanted, or does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use buoy_api as api;
use buoy_fleet::desired::{Answer, Step};

use super::{device_change, save};
use crate::app::App;
use crate::inventory::Last;
use crate::operations::{self, Kept, OperationError, StartOperation, Started};
use crate::principal::Principal;

/// How long an answer may take. A device that sleeps is asked when it wakes.
const PATIENCE: Duration = Duration::from_secs(20);
/// The engine's word that the wait is over comes a little later.
const LONGER: Duration = Duration::from_secs(1);
/// The most steps at one contact.
const MOST_STEPS: usize = 512;

/// Asks a device, if it can be reached now.
pub(super) async fn ask(app: &Arc<App>, name: &Arc<str>) {
    let Some(registration) = app.registration(name).await.filter(|it| !it.asleep) else { return };
    let before = take_what_is_known(app, name, registration.registered_at).await;
    for _ in 0..MOST_STEPS {
        let next = {
            let all = app.desired.all();
            all.devices.get(name).and_then(|tracked| tracked.record.next(app.now()))
        };
        let Some((path, step)) = next else { break };
        let answer = carry_out(app, name, &path, &step).await;
        let is_silent = answer == Answer::Silent;
        if let Some(tracked) = app.desired.all().devices.get_mut(name) {
            tracked.record.answered(&path, &step, answer, app.now());
        }
        if is_silent {
            break;
        }
    }
    let change = {
        let all = app.desired.all();
        let record = all.devices.get(name).map(|tracked| &tracked.record);
        record.filter(|record| before.as_ref() != Some(*record)).map(|it| device_change(name, it, app.now()))
    };
    // If it can't be saved, it is asked again after the next start.
    if let Err(error) = save(app, change.into_iter().collect()).await {
        tracing::warn!(device = %name, %error, "how far a device is was not saved");
    }
}

/// Tells the record what the server knows already. Returns the record as it was before.
async fn take_what_is_known(
    app: &Arc<App>,
    name: &Arc<str>,
    registered_at: u64,
) -> Option<buoy_fleet::desired::DeviceRecord> {
    let observations = app.observations(name).await;
    let observed: BTreeSet<String> = observations
        .iter()
        .filter(|observation| !observation.composite)
        .flat_map(|observation| observation.paths.iter().map(ToString::to_string))
        .collect();
    let values = app.inventory.values(name).await;
    let (mut all, now) = (app.desired.all(), app.now());
    let tracked = all.devices.get_mut(name)?;
    let before = tracked.record.clone();
    tracked.record.registered(registered_at, now);
    tracked.record.observed(&observed, now);
    for (path, last) in values {
        let json = match &last.value {
            Last::Number(number) => number.to_string(),
            Last::Text(text) => serde_json::Value::from(&**text).to_string(),
        };
        tracked.record.reported(&path.to_string(), &json, last.at, now);
    }
    Some(before)
}

async fn carry_out(app: &Arc<App>, name: &str, path: &str, step: &Step) -> Answer {
    let path = path.to_owned();
    match step {
        Step::Read => {
            let read = api::Request::Read { path: path.clone(), format: None };
            let operation = match perform(app, name, read).await {
                Ok(operation) => operation,
                Err(answer) => return answer,
            };
            let value = operation.values.iter().flatten().find(|value| value.path == path);
            match value {
                Some(value) => Answer::Value(value.value.to_string()),
                None => Answer::Refused("its answer has no value".to_owned()),
            }
        }
        Step::Write(json) => {
            // It was JSON when it was set up.
            let value = serde_json::from_str(json).unwrap_or_default();
            let values = vec![api::PathValue { path: path.clone(), value, kind: None, at: None }];
            let write = api::Request::Write { path, values, mode: api::WriteMode::Update, format: None };
            perform(app, name, write).await.map_or_else(|answer| answer, |_| Answer::Done)
        }
        Step::Observe(attributes) => {
            if !attributes.is_empty() {
                let attributes: BTreeMap<_, _> =
                    attributes.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
                let write = api::Request::WriteAttributes { path: path.clone(), attributes };
                if let Err(answer) = perform(app, name, write).await {
                    return answer;
                }
            }
            let observe = api::Request::Observe { path, format: None };
            perform(app, name, observe).await.map_or_else(|answer| answer, |_| Answer::Done)
        }
    }
}

/// Has an operation done. If it did not succeed, what that means.
async fn perform(app: &Arc<App>, name: &str, request: api::Request) -> Result<api::Operation, Answer> {
    let principal = Principal::desired_state();
    let command = StartOperation {
        endpoint: name.to_owned(),
        request,
        deadline: Some(PATIENCE),
        wait: PATIENCE + LONGER,
        kept: Kept::Always,
        key: None,
    };
    let operation = match operations::start(app, &principal, command).await {
        Ok(Started::Ended(ended)) => ended.described(app),
        Ok(Started::GoesOn(_)) => return Err(Answer::Silent),
        Err(OperationError::Request(error)) => return Err(Answer::Refused(error.to_string())),
        Err(_) => return Err(Answer::Silent),
    };
    match operation.code.as_deref() {
        _ if operation.state == api::OperationState::Succeeded => Ok(operation),
        Some("4.05") => match operation.method.as_str() {
            "GET" => Err(Answer::Unreadable),
            _ => Err(Answer::Refused(told("4.05 Method Not Allowed", &operation))),
        },
        Some(code) => Err(Answer::Refused(told(code, &operation))),
        None => Err(Answer::Silent),
    }
}

fn told(code: &str, operation: &api::Operation) -> String {
    match operation.detail.as_deref() {
        Some(words) => format!("{code}, {words}"),
        None => code.to_owned(),
    }
}
