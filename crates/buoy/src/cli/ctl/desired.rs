//! Desired state: values and observations that the server keeps devices at.

use std::collections::BTreeMap;

use buoy_api::client::{Client, encode};
use buoy_api::{DesiredDevice, DesiredSetting, DesiredState, DeviceSetting, Page, PutDesiredState};
use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::exit::{Exit, NotDone};
use super::operations::assignments;
use super::output::{Output, ago, note, pairs, table};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the desired states, and how far their devices are.
    List,
    /// Shows one desired state.
    Show(Name),
    /// Makes a desired state, or replaces it.
    Set(Set),
    /// Removes a desired state. Devices keep what they have.
    Remove(Name),
    /// Lists the devices of a desired state, and how far each is.
    Devices(Devices),
    /// Shows what is wanted of a device, from where that comes, and what is so.
    Device(Device),
    /// Tries again what was given up on a device.
    Retry(Device),
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The name.
    name: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Devices {
    /// The name of the desired state.
    name: String,
    /// Only devices that are so far.
    #[arg(long, value_parser = ["in_sync", "pending", "given_up"])]
    progress: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Device {
    /// The device.
    endpoint: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// The name.
    name: String,
    /// Which devices: a filter, or "all".
    #[arg(long)]
    filter: String,
    /// Of two that name the same path, the higher one counts.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Only if nobody has changed it since it had this revision, which `show` prints.
    #[arg(long)]
    revision: Option<String>,
    /// What is to be observed, as in /3303/0/5700 or /3303/0/5700,pmin=10,pmax=60.
    #[arg(long, value_name = "PATH[,ATTRIBUTE=VALUE]…")]
    observe: Vec<String>,
    /// Values, as in /1/0/1=300; a value that is no JSON is text.
    #[arg(value_name = "PATH=VALUE", required_unless_present = "observe")]
    values: Vec<String>,
}

impl Set {
    fn request(&self) -> anyhow::Result<PutDesiredState> {
        let values = assignments(&self.values)?.into_iter().map(|value| DesiredSetting {
            path: value.path,
            value: Some(value.value),
            observe: false,
            attributes: BTreeMap::new(),
        });
        let mut settings: Vec<_> = values.collect();
        for text in &self.observe {
            let mut parts = text.split(',');
            let path = parts.next().unwrap_or_default().to_owned();
            let attributes = parts.map(|part| {
                let (name, value) = part.split_once('=').ok_or_else(|| {
                    let reason = format!("{part}: an attribute is given as NAME=VALUE, as in pmin=10");
                    NotDone::error(Exit::WrongUse, reason)
                })?;
                Ok((name.to_owned(), value.to_owned()))
            });
            let attributes = attributes.collect::<anyhow::Result<_>>()?;
            settings.push(DesiredSetting { path, value: None, observe: true, attributes });
        }
        let filter = if self.filter == "all" { String::new() } else { self.filter.clone() };
        Ok(PutDesiredState { filter, priority: self.priority, settings })
    }
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List => list(client, out),
        Verb::Show(Name { name }) => show(out, &client.get(&path(name))?),
        Verb::Set(args) => {
            let state: DesiredState = client.send_json_if(
                args.revision.as_deref(),
                Method::PUT,
                &path(&args.name),
                &args.request()?,
            )?;
            out.print(&state, || {
                note(format_args!(
                    "{} is wanted; `buoy ctl desired list` shows how far its devices are",
                    state.name
                ));
            })
        }
        Verb::Remove(Name { name }) => {
            client.call::<Value>(Method::DELETE, &path(name), "", &[])?;
            out.print(&json!({"removed": name}), || note(format_args!("{name} is removed")))
        }
        Verb::Devices(args) => devices(client, out, args),
        Verb::Device(Device { endpoint }) => {
            settings(out, client.get::<Page<DeviceSetting>>(&of_device(endpoint))?.items)
        }
        Verb::Retry(Device { endpoint }) => {
            let path = format!("{}/retry", of_device(endpoint));
            settings(out, client.call::<Page<DeviceSetting>>(Method::POST, &path, "", &[])?.items)
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/desired-states/{}", encode(name))
}

fn of_device(endpoint: &str) -> String {
    format!("/api/v1/devices/{}/desired-state", encode(endpoint))
}

/// What is wanted, in a few words.
fn goal(setting: &DesiredSetting) -> String {
    match &setting.value {
        Some(value) => value.to_string(),
        None => {
            let attributes = setting.attributes.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("observed{}", attributes.collect::<String>())
        }
    }
}

fn list(client: &Client, out: Output) -> anyhow::Result<()> {
    let states = client.get::<Page<DesiredState>>("/api/v1/desired-states")?.items;
    out.print(&states, || {
        let rows = states.iter().map(|state| {
            [
                state.name.clone(),
                if state.filter.is_empty() { "all devices".into() } else { state.filter.clone() },
                state.priority.to_string(),
                state.settings.len().to_string(),
                state.counts.in_sync.to_string(),
                state.counts.pending.to_string(),
                state.counts.given_up.to_string(),
            ]
        });
        table(&["NAME", "TARGET", "PRIORITY", "SETTINGS", "IN SYNC", "PENDING", "GIVEN UP"], rows);
    })
}

fn show(out: Output, state: &DesiredState) -> anyhow::Result<()> {
    out.print(state, || {
        pairs([
            ("desired state", state.name.clone()),
            ("target", if state.filter.is_empty() { "all devices".into() } else { state.filter.clone() }),
            ("priority", state.priority.to_string()),
            ("in sync", state.counts.in_sync.to_string()),
            ("pending", state.counts.pending.to_string()),
            ("given up", state.counts.given_up.to_string()),
            ("revision", state.revision.clone()),
        ]);
        if let Some(fault) = &state.fault {
            note(format_args!("its filter can't be used any more: {fault}"));
        }
        table(&["PATH", "WANTED"], state.settings.iter().map(|it| [it.path.clone(), goal(it)]));
    })
}

fn devices(client: &Client, out: Output, args: &Devices) -> anyhow::Result<()> {
    let mut all = Vec::new();
    let mut after = None::<String>;
    loop {
        let mut url = format!("{}/devices?limit=1000", path(&args.name));
        if let Some(progress) = &args.progress {
            url += &format!("&progress={progress}");
        }
        if let Some(after) = &after {
            url += &format!("&after={}", encode(after));
        }
        let page = client.get::<Page<DesiredDevice>>(&url)?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    out.print(&all, || {
        let rows = all.iter().map(|it| {
            [
                it.endpoint.clone(),
                it.progress.to_string(),
                it.path.clone().unwrap_or_else(|| "-".to_owned()),
                it.reason.clone(),
            ]
        });
        table(&["ENDPOINT", "PROGRESS", "PATH", "REASON"], rows);
    })
}

fn settings(out: Output, settings: Vec<DeviceSetting>) -> anyhow::Result<()> {
    out.print(&settings, || {
        if settings.is_empty() {
            note("nothing is wanted of this device");
        }
        let rows = settings.iter().map(|it| {
            [
                it.wanted.path.clone(),
                goal(&it.wanted),
                it.reported.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                it.condition.to_string(),
                ago(it.since),
                it.from.clone(),
                it.overrides.join(" "),
                it.reason.clone(),
            ]
        });
        table(&["PATH", "WANTED", "REPORTED", "STATE", "SINCE", "FROM", "OVERRIDES", "REASON"], rows);
    })
}
