//! Groups of devices, and filters.

use buoy_api::client::{Client, encode};
use buoy_api::{ChangeGroupDevices, FilterMatch, Group, Page, PutFilter, PutGroup, SavedFilter};
use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::output::{Output, note, pairs, table};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the groups.
    List,
    /// Shows one group.
    Show(Name),
    /// Makes a group, or changes what it is.
    Set(Set),
    /// Removes a group. Its devices stay.
    Remove(Name),
    /// Puts devices into a group.
    Add(Devices),
    /// Takes devices out of a group.
    Drop(Devices),
}

#[derive(Debug, Subcommand)]
pub(super) enum FilterVerb {
    /// Lists the saved filters.
    List,
    /// Saves a filter under a name.
    Save(Save),
    /// Removes a saved filter.
    Remove(Name),
    /// Says what a filter matches.
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The name.
    name: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// The name.
    name: String,
    /// What it is for.
    #[arg(long, default_value = "")]
    description: String,
    /// The filter of its members; devices can be put into it as well.
    #[arg(long)]
    filter: Option<String>,
    /// The group that it is within.
    #[arg(long)]
    parent: Option<String>,
    /// Only if nobody has changed it since it had this revision, which `show` prints.
    #[arg(long)]
    revision: Option<String>,
    /// Says which devices the filter matches, and changes nothing.
    #[arg(long, requires = "filter")]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Devices {
    /// The group.
    group: String,
    /// The devices.
    #[arg(required = true)]
    endpoints: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Save {
    /// The name.
    name: String,
    /// The filter.
    filter: String,
    /// What it is for.
    #[arg(long, default_value = "")]
    description: String,
    /// Says which devices the filter matches, and saves nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// The filter.
    filter: String,
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List => list(client, out),
        Verb::Show(Name { name }) => show(out, &client.get(&path(name))?),
        Verb::Set(Set { filter: Some(filter), dry_run: true, .. }) => explain(client, out, filter),
        Verb::Set(Set { name, description, filter, parent, revision, dry_run: _ }) => {
            let wanted =
                PutGroup { description: description.clone(), filter: filter.clone(), parent: parent.clone() };
            show(out, &client.send_json_if(revision.as_deref(), Method::PUT, &path(name), &wanted)?)
        }
        Verb::Remove(Name { name }) => {
            client.call::<Value>(Method::DELETE, &path(name), "", &[])?;
            out.print(&json!({"removed": name}), || note(format_args!("the group {name} is removed")))
        }
        Verb::Add(Devices { group, endpoints }) => {
            let change = ChangeGroupDevices { add: endpoints.clone(), ..ChangeGroupDevices::default() };
            change_devices(client, out, group, &change)
        }
        Verb::Drop(Devices { group, endpoints }) => {
            let change = ChangeGroupDevices { remove: endpoints.clone(), ..ChangeGroupDevices::default() };
            change_devices(client, out, group, &change)
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/groups/{}", encode(name))
}

fn change_devices(
    client: &Client,
    out: Output,
    group: &str,
    change: &ChangeGroupDevices,
) -> anyhow::Result<()> {
    show(out, &client.send_json(Method::POST, &format!("{}/devices", path(group)), change)?)
}

fn list(client: &Client, out: Output) -> anyhow::Result<()> {
    let groups = client.get::<Page<Group>>("/api/v1/groups")?.items;
    out.print(&groups, || {
        let rows = groups.iter().map(|group| {
            let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            [group.name.clone(), group.devices.to_string(), or_none(&group.parent), or_none(&group.filter)]
        });
        table(&["GROUP", "DEVICES", "WITHIN", "FILTER"], rows);
    })
}

fn show(out: Output, group: &Group) -> anyhow::Result<()> {
    out.print(group, || {
        let mut rows = vec![("group", group.name.clone()), ("devices", group.devices.to_string())];
        rows.extend(group.parent.clone().map(|parent| ("within", parent)));
        rows.extend(group.filter.clone().map(|filter| ("filter", filter)));
        if !group.description.is_empty() {
            rows.push(("description", group.description.clone()));
        }
        rows.push(("revision", group.revision.clone()));
        pairs(rows);
    })
}

pub(super) fn run_filter(client: &Client, out: Output, verb: &FilterVerb) -> anyhow::Result<()> {
    match verb {
        FilterVerb::List => {
            let filters = client.get::<Page<SavedFilter>>("/api/v1/filters")?.items;
            out.print(&filters, || {
                let rows = filters
                    .iter()
                    .map(|saved| [saved.name.clone(), saved.filter.clone(), saved.description.clone()]);
                table(&["NAME", "FILTER", "DESCRIPTION"], rows);
            })
        }
        FilterVerb::Save(Save { filter, dry_run: true, .. }) => explain(client, out, filter),
        FilterVerb::Save(Save { name, filter, description, dry_run: false }) => {
            let wanted = PutFilter { filter: filter.clone(), description: description.clone() };
            let path = format!("/api/v1/filters/{}", encode(name));
            let saved: SavedFilter = client.send_json(Method::PUT, &path, &wanted)?;
            out.print(&saved, || note(format_args!("saved as {}", saved.name)))
        }
        FilterVerb::Remove(Name { name }) => {
            client.call::<Value>(Method::DELETE, &format!("/api/v1/filters/{}", encode(name)), "", &[])?;
            out.print(&json!({"removed": name}), || note(format_args!("the filter {name} is removed")))
        }
        FilterVerb::Explain(Explain { filter }) => explain(client, out, filter),
    }
}

fn explain(client: &Client, out: Output, filter: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/device-matches?filter={}", encode(filter));
    let found: FilterMatch = client.get(&path)?;
    out.print(&found, || {
        let FilterMatch { matches, of, examples } = &found;
        let mut rows = vec![("matches", format!("{matches} of {of} devices"))];
        if !examples.is_empty() {
            rows.push(("for example", examples.join(" ")));
        }
        pairs(rows);
    })
}
