//! What operators note of devices, and lists of devices as files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use buoy_api::client::{Client, encode};
use buoy_api::{ChangeDevice, Device, ImportDevices, ImportedDevices};
use ureq::http::Method;

use super::output::{Output, csv, note as tell};

#[derive(Debug, clap::Args)]
pub(super) struct Note {
    /// The device.
    endpoint: String,
    /// Adds a tag; may be given several times.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Removes a tag.
    #[arg(long, value_name = "TAG")]
    untag: Vec<String>,
    /// Puts it into a group.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Takes it out of a group.
    #[arg(long, value_name = "GROUP")]
    ungroup: Vec<String>,
    /// Sets a field; without a value it is removed.
    #[arg(long, value_name = "NAME=VALUE")]
    field: Vec<String>,
    /// Free text, in place of what is there.
    #[arg(long)]
    notes: Option<String>,
}

pub(super) fn note(client: &Client, out: Output, args: &Note) -> anyhow::Result<()> {
    let fields: BTreeMap<_, _> = args
        .field
        .iter()
        .map(|field| match field.split_once('=') {
            Some((name, value)) if !value.is_empty() => (name.to_owned(), Some(value.to_owned())),
            Some((name, _)) => (name.to_owned(), None),
            None => (field.clone(), None),
        })
        .collect();
    let change = ChangeDevice {
        tags: None,
        add_tags: args.tag.clone(),
        remove_tags: args.untag.clone(),
        add_groups: args.group.clone(),
        remove_groups: args.ungroup.clone(),
        fields,
        notes: args.notes.clone(),
    };
    let path = format!("/api/v1/devices/{}", encode(&args.endpoint));
    let device: Device = client.send_json(Method::PATCH, &path, &change)?;
    out.print(&device, || tell(format_args!("noted of {}", device.endpoint)))
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file. Line 1 names the columns: endpoint, and any of tags, groups, notes and field.NAME. A file whose name ends with .json
    /// has a list of devices in the form of the interface.
    file: PathBuf,
}

pub(super) fn import(client: &Client, out: Output, args: &Import) -> anyhow::Result<()> {
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("the file {} cannot be read", args.file.display()))?;
    let imported: ImportedDevices = match args.file.extension().is_some_and(|it| it == "json") {
        true => client.send_json(Method::POST, "/api/v1/devices", &of_json(&bytes, &args.file)?)?,
        false => client.call(Method::POST, "/api/v1/devices/import", "text/csv", &bytes)?,
    };
    out.print(&imported, || {
        let ImportedDevices { added, changed, unchanged } = imported;
        tell(format_args!("{added} devices are new, {changed} changed, {unchanged} were so already"));
    })
}

/// A list of devices, or the same within `devices`.
fn of_json(bytes: &[u8], file: &std::path::Path) -> anyhow::Result<ImportDevices> {
    let all = serde_json::from_slice(bytes).map(|devices| ImportDevices { devices });
    let all = all.or_else(|_| serde_json::from_slice(bytes));
    all.with_context(|| {
        format!(
            "{} is no list of devices, as in [{{\"endpoint\": \"buoy-1\", \"tags\": [\"spare\"]}}]",
            file.display()
        )
    })
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Only devices that this filter matches.
    filter: Option<String>,
}

pub(super) fn export(client: &Client, out: Output, args: &Export) -> anyhow::Result<()> {
    let filter = args.filter.as_ref().map(|filter| format!("&filter={}", encode(filter)));
    let path = format!("/api/v1/devices?limit=1000{}", filter.unwrap_or_default());
    let devices = client.all::<Device>(&path)?;
    if !out.is_for_people() && out != Output::Csv {
        return out.print(&devices, || {});
    }
    let fields: std::collections::BTreeSet<&String> =
        devices.iter().flat_map(|device| device.fields.keys()).collect();
    let fixed = [
        "endpoint",
        "state",
        "manufacturer",
        "model",
        "serial",
        "firmware",
        "hardware",
        "tags",
        "groups",
        "notes",
    ];
    let headings = fixed.iter().map(ToString::to_string);
    let headings = headings.chain(fields.iter().map(|name| format!("field.{name}"))).collect();
    let rows = devices.iter().map(|device| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut row = vec![
            device.endpoint.clone(),
            device.state.name().to_owned(),
            text(&device.manufacturer),
            text(&device.model),
            text(&device.serial),
            text(&device.firmware),
            text(&device.hardware),
            device.tags.join(" "),
            device.groups.join(" "),
            device.notes.clone(),
        ];
        row.extend(fields.iter().map(|name| device.fields.get(*name).cloned().unwrap_or_default()));
        row
    });
    csv(std::iter::once(headings).chain(rows));
    Ok(())
}
