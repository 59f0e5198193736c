//! Devices that go out of service, come back, or give their place to another board.

use std::io::IsTerminal;

use anyhow::bail;
use buoy_api::client::{Client, encode};
use buoy_api::{Device, MergeDevice};
use serde_json::json;
use ureq::http::Method;

use super::output::{Output, note};

#[derive(Debug, clap::Args)]
pub(super) struct Some {
    /// The devices.
    #[arg(required = true)]
    endpoints: Vec<String>,
}

pub(super) fn retire(client: &Client, out: Output, args: &Some) -> anyhow::Result<()> {
    each(client, out, args, "retire", "is out of service; `buoy ctl bring-back` undoes it")
}

pub(super) fn bring_back(client: &Client, out: Output, args: &Some) -> anyhow::Result<()> {
    each(client, out, args, "bring-back", "is in service again")
}

fn each(client: &Client, out: Output, args: &Some, what: &str, words: &str) -> anyhow::Result<()> {
    let mut devices = Vec::new();
    for endpoint in &args.endpoints {
        let path = format!("/api/v1/devices/{}/{what}", encode(endpoint));
        let device: Device = client.send_json(Method::POST, &path, &json!({}))?;
        if out.is_for_people() {
            note(format_args!("{} {words}", device.endpoint));
        }
        devices.push(device);
    }
    if out.is_for_people() { Ok(()) } else { out.print(&devices, || {}) }
}

#[derive(Debug, clap::Args)]
pub(super) struct Merge {
    /// The device whose board was replaced.
    old: String,
    /// The device that took its place.
    new: String,
    /// The name of the old device again, instead of a question.
    #[arg(long, value_name = "OLD")]
    confirm: Option<String>,
}

pub(super) fn merge(client: &Client, out: Output, args: &Merge) -> anyhow::Result<()> {
    let confirm = match &args.confirm {
        Some(confirm) => confirm.clone(),
        None => ask(args)?,
    };
    let path = format!("/api/v1/devices/{}/merge", encode(&args.old));
    let wanted = MergeDevice { into: args.new.clone(), confirm };
    let device: Device = client.send_json(Method::POST, &path, &wanted)?;
    out.print(&device, || {
        note(format_args!(
            "{} has the record of {}, whose credentials are revoked",
            device.endpoint, args.old
        ));
    })
}

fn ask(args: &Merge) -> anyhow::Result<String> {
    let Merge { old, new, .. } = args;
    if !std::io::stdin().is_terminal() {
        bail!("a merge can't be undone; repeat the name of the old device: --confirm {old}");
    }
    note(format_args!(
        "The record of {old} goes to {new}, and the credentials of {old} are revoked. This can't be undone."
    ));
    super::access::ask_openly("The name of the old device again: ")
}
