//! Devices and their values over time.

use buoy_api::client::{Client, encode};
use buoy_api::{Device, DeviceCount, DeviceObject, LastValue, Observation, Page};
use serde_json::json;

use super::output::{Output, ago, note, pairs, plain, table, time};

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only devices that this filter matches, as in 'model = "buoy-3" and not seen for 2d'.
    filter: Option<String>,
    /// Only devices whose name starts so.
    #[arg(long, conflicts_with = "count_by")]
    prefix: Option<String>,
    /// Only devices in this state; may be given several times.
    #[arg(long, value_enum)]
    state: Vec<State>,
    /// Only devices of this manufacturer.
    #[arg(long)]
    manufacturer: Option<String>,
    /// Only devices of this model.
    #[arg(long)]
    model: Option<String>,
    /// Only devices that run this firmware version.
    #[arg(long)]
    firmware: Option<String>,
    /// Only devices that are registered with this object, as in 3303.
    #[arg(long)]
    object: Option<u16>,
    /// Counts the devices in place of listing them.
    #[arg(long, value_enum, value_name = "WHAT")]
    count_by: Option<CountBy>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Online,
    Asleep,
    Overdue,
    Offline,
    Revoked,
    NeverSeen,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CountBy {
    State,
    Manufacturer,
    Model,
    Firmware,
    Object,
}

/// As the command line and the interface write it.
fn word(value: impl clap::ValueEnum) -> String {
    let name = value.to_possible_value().map(|value| value.get_name().replace('-', "_"));
    name.unwrap_or_default()
}

impl List {
    fn query(&self) -> String {
        let states: Vec<_> = self.state.iter().copied().map(word).collect();
        let states = (!states.is_empty()).then(|| states.join(","));
        let object = self.object.map(|object| object.to_string());
        let all = [
            ("prefix", &self.prefix),
            ("state", &states),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("firmware", &self.firmware),
            ("object", &object),
            ("filter", &self.filter),
        ];
        let given = all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!("&{name}={}", encode(value))).collect()
    }
}

pub(super) fn list(client: &Client, out: Output, args: &List) -> anyhow::Result<()> {
    let query = args.query();
    if let Some(by) = args.count_by {
        return count(client, out, &word(by), &query);
    }
    let devices = client.all::<Device>(&format!("/api/v1/devices?limit=1000{query}"))?;
    out.print(&devices, || {
        let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let rows = devices.iter().map(|device| {
            [
                device.endpoint.clone(),
                device.state.name().into(),
                if device.last_contact == 0 { "-".into() } else { ago(device.last_contact) },
                said(&device.model),
                said(&device.firmware),
                device.registration.as_ref().map_or_else(|| "-".into(), |it| it.address.clone()),
            ]
        });
        table(&["ENDPOINT", "STATE", "LAST CONTACT", "MODEL", "FIRMWARE", "ADDRESS"], rows);
    })
}

fn count(client: &Client, out: Output, by: &str, query: &str) -> anyhow::Result<()> {
    let counts = client.get::<Page<DeviceCount>>(&format!("/api/v1/device-counts?by={by}{query}"))?.items;
    out.print(&counts, || {
        let rows = counts.iter().map(|count| {
            [count.value.clone().unwrap_or_else(|| "(not told)".into()), count.count.to_string()]
        });
        table(&[&by.to_uppercase(), "DEVICES"], rows);
    })
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The device.
    endpoint: String,
}

pub(super) fn one(client: &Client, out: Output, args: &One) -> anyhow::Result<()> {
    let device = client.device(&args.endpoint)?;
    let path = format!("/api/v1/devices/{}/observations", encode(&args.endpoint));
    let observations = match device.registration {
        Some(_) => client.get::<Page<Observation>>(&path)?.items,
        None => Vec::new(),
    };
    out.print(&json!({"device": device, "observations": observations}), || {
        let mut rows = vec![
            ("endpoint", device.endpoint.clone()),
            ("state", device.state.name().into()),
            ("first contact", contact(device.first_contact)),
            ("last contact", contact(device.last_contact)),
        ];
        let learned = [("next contact", device.next_contact), ("overdue since", device.overdue_since)];
        rows.extend(learned.into_iter().filter_map(|(name, at)| Some((name, time(at? as i64)))));
        let said = [
            ("manufacturer", &device.manufacturer),
            ("model", &device.model),
            ("serial number", &device.serial),
            ("firmware", &device.firmware),
            ("hardware", &device.hardware),
            ("software", &device.software),
        ];
        rows.extend(said.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        let noted = [
            ("tags", device.tags.join(" ")),
            ("groups", device.groups.join(" ")),
            ("notes", device.notes.clone()),
        ];
        rows.extend(noted.into_iter().filter(|(_, value)| !value.is_empty()));
        let fields: Vec<_> = device.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !fields.is_empty() {
            rows.push(("fields", fields.join(" ")));
        }
        if let Some(registration) = &device.registration {
            let observed: Vec<_> = observations.iter().map(|one| one.paths.join("+")).collect();
            let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
            rows.extend([
                ("registration", registration.id.clone()),
                ("address", registration.address.clone()),
                ("DTLS", yes(registration.secure)),
                ("LwM2M", registration.lwm2m.clone()),
                ("binding", registration.binding.clone()),
                ("queue mode", yes(registration.queue_mode)),
                ("lifetime", format!("{} s", registration.lifetime)),
                ("registered", time(registration.registered_at as i64)),
                ("objects", registration.objects.join(" ")),
                ("observed", if observed.is_empty() { "nothing".into() } else { observed.join(" ") }),
            ]);
        }
        pairs(rows);
    })
}

/// A time, unless there was no contact.
fn contact(at: u64) -> String {
    if at == 0 { "never".into() } else { time(at as i64) }
}

pub(super) fn values(client: &Client, out: Output, args: &One) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/values", encode(&args.endpoint));
    let values = client.get::<Page<LastValue>>(&path)?.items;
    out.print(&values, || {
        let rows = values.iter().map(|value| {
            let at = value.value.as_i64().filter(|_| value.value_type.as_deref() == Some("time"));
            let plain = at.map_or_else(|| plain(&value.value), time);
            let shown = match (&value.label, &value.units) {
                (Some(label), _) => format!("{label} ({plain})"),
                (None, Some(units)) => format!("{plain} {units}"),
                (None, None) => plain,
            };
            let name = value.name.clone().unwrap_or_else(|| "-".into());
            [value.path.clone(), name, shown, time(value.at as i64)]
        });
        table(&["PATH", "NAME", "VALUE", "AT"], rows);
    })
}

#[derive(Debug, clap::Args)]
pub(super) struct Objects {
    /// The device.
    endpoint: String,
    /// Only this object, as in 3303.
    object: Option<u16>,
}

pub(super) fn objects(client: &Client, out: Output, args: &Objects) -> anyhow::Result<()> {
    let path = format!("/api/v1/devices/{}/objects", encode(&args.endpoint));
    let mut objects = client.get::<Page<DeviceObject>>(&path)?.items;
    objects.retain(|object| args.object.is_none_or(|wanted| wanted == object.id));
    out.print(&objects, || {
        let rows = objects.iter().flat_map(|object| {
            let instances = object.instances.iter().map(|id| format!("/{}/{id}", object.id));
            let instances = instances.collect::<Vec<_>>().join(" ");
            let (name, resources) = match &object.definition {
                Some(definition) => (definition.name.clone(), definition.resources.as_slice()),
                None => ("(not defined)".into(), &[][..]),
            };
            let head = [format!("/{}", object.id), name, instances, String::new(), String::new()];
            let resources = resources.iter().map(|resource| {
                [
                    format!("/{}/*/{}", object.id, resource.id),
                    resource.name.clone(),
                    resource.operations.clone(),
                    resource.value_type.clone().unwrap_or_default(),
                    resource.units.clone().unwrap_or_default(),
                ]
            });
            std::iter::once(head).chain(resources).collect::<Vec<_>>()
        });
        table(&["PATH", "NAME", "INSTANCES OR OPERATIONS", "TYPE", "UNITS"], rows);
    })
}

pub(super) fn forget(client: &Client, out: Output, args: &One) -> anyhow::Result<()> {
    client.forget_device(&args.endpoint)?;
    out.print(&json!({"forgotten": args.endpoint}), || {
        note(format_args!("{} is forgotten", args.endpoint));
    })
}
