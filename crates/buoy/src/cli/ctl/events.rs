//! The stream of events.

use buoy_api::client::Client;
use buoy_api::{Event, PathValue};

use super::output::{Output, text, time};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only of this device.
    #[arg(long)]
    endpoint: Option<String>,
    /// Only of these types, separated by commas: registered, updated, deregistered, expired, awake, sleeping, notification, send,
    /// report_problem, observation_ended, refused, dtls, bootstrap, operation, firmware_update.
    #[arg(long)]
    types: Option<String>,
    /// Ends after so many.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) fn follow(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut failure = None;
    client.events(args.endpoint.as_deref(), args.types.as_deref(), |told| {
        let lines = || vec![format!("{}  {}", time(told.at as i64), words(&told.event))];
        failure = out.print_line(&told, lines).err();
        left -= 1;
        left > 0 && failure.is_none()
    })?;
    failure.map_or(Ok(()), Err)
}

/// An event as a sentence.
pub(in crate::cli) fn words(event: &Event) -> String {
    match event {
        Event::Registered { endpoint, registration } => {
            format!("{endpoint} registered from {}", registration.address)
        }
        Event::Updated { endpoint, .. } => format!("{endpoint} updated its registration"),
        Event::Deregistered { endpoint } => format!("{endpoint} deregistered"),
        Event::Expired { endpoint } => format!("{endpoint} was not heard for its lifetime"),
        Event::Awake { endpoint } => format!("{endpoint} is awake"),
        Event::Sleeping { endpoint } => format!("{endpoint} sleeps"),
        Event::Notification { endpoint, values, .. } => format!("{endpoint} notified {}", list(values)),
        Event::Send { endpoint, values, .. } => format!("{endpoint} sent {}", list(values)),
        Event::ReportProblem { endpoint, detail } => format!("{endpoint}: {detail}"),
        Event::ObservationEnded { endpoint } => format!("{endpoint} ended an observation"),
        Event::Refused { endpoint, address, code, reason } => {
            let who = if endpoint.is_empty() { address } else { endpoint };
            format!("{who} was refused: {code}, {reason}")
        }
        Event::Dtls { endpoint, address, state, detail } => {
            let who = if endpoint.is_empty() { "somebody" } else { endpoint };
            match state.as_str() {
                "established" => format!("{who} has a DTLS session, from {address}"),
                "ended" => format!("a DTLS session of {who} ended, from {address}"),
                _ => format!("a DTLS handshake of {who} failed, from {address}: {detail}"),
            }
        }
        Event::Bootstrap { endpoint, phase, detail } => {
            let endpoint = if endpoint.is_empty() { "a device without name" } else { endpoint };
            format!("{endpoint} bootstrap {}: {detail}", phase.replace('_', " "))
        }
        Event::Operation { id, endpoint, state } => format!("{endpoint} operation {id} {state}"),
        Event::FirmwareUpdate { update } => format!("{} firmware update: {}", update.endpoint, update.detail),
        Event::Campaign { id, name, state, reason, .. } => {
            let state = serde_json::to_value(state).unwrap_or_default();
            let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            format!("campaign {id} ({name}) is {}{because}", state.as_str().unwrap_or_default())
        }
        Event::Job { id, name, state, counts } => {
            format!("job {id} ({name}) is {state}: {} of {} devices did it", counts.succeeded, counts.all())
        }
        Event::Alert { rule, severity, state, endpoint, part, count } => {
            let of_many = || format!("{} subjects", count.unwrap_or(0));
            let subject = endpoint.clone().or_else(|| part.clone()).unwrap_or_else(of_many);
            format!("{subject} alert {rule} ({}): {}", severity.name(), state.name())
        }
        Event::Missed { detail } => detail.clone(),
        _ => "an event that this program doesn't know".into(),
    }
}

fn list(values: &[PathValue]) -> String {
    values.iter().map(|value| format!("{}={}", value.path, text(value))).collect::<Vec<_>>().join(" ")
}
