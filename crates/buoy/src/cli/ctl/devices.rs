//! Devices and their values over time.

use buoy_api::client::{Client, encode};
use buoy_api::{Device, Observation, Page, Sample};
use serde_json::{Value, json};

use super::operations::check_known;
use super::output::{Output, ago, line, note, pairs, plain, table, time};

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only devices whose name starts so.
    #[arg(long)]
    prefix: Option<String>,
    /// Only devices that have this object, as in 3303.
    #[arg(long)]
    object: Option<u16>,
    /// Only devices that sleep.
    #[arg(long, conflicts_with = "awake")]
    asleep: bool,
    /// Only devices that are awake.
    #[arg(long)]
    awake: bool,
}

pub(super) fn list(client: &Client, out: Output, args: &List) -> anyhow::Result<()> {
    let mut filter = String::new();
    if let Some(prefix) = &args.prefix {
        filter += &format!("&prefix={}", encode(prefix));
    }
    if let Some(object) = args.object {
        filter += &format!("&object={object}");
    }
    if args.asleep || args.awake {
        filter += &format!("&asleep={}", args.asleep);
    }
    let devices = client.all::<Device>(&format!("/api/v1/devices?limit=1000{filter}"))?;
    out.print(&devices, || {
        let rows = devices.iter().map(|device| {
            let state = match (device.queue_mode, device.asleep) {
                (false, _) => "always on",
                (true, true) => "asleep",
                (true, false) => "awake",
            };
            [
                device.endpoint.clone(),
                state.into(),
                ago(device.last_contact),
                device.lwm2m.clone(),
                device.lifetime.to_string(),
                device.address.clone(),
            ]
        });
        table(&["ENDPOINT", "STATE", "LAST CONTACT", "LWM2M", "LIFETIME", "ADDRESS"], rows);
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
    let observations = client.get::<Page<Observation>>(&path)?.items;
    out.print(&json!({"device": device, "observations": observations}), || {
        let observed: Vec<_> = observations.iter().map(|one| one.paths.join("+")).collect();
        pairs([
            ("endpoint", device.endpoint.clone()),
            ("registration", device.registration.clone()),
            ("address", device.address.clone()),
            ("DTLS", if device.secure { "yes" } else { "no" }.into()),
            ("LwM2M", device.lwm2m.clone()),
            ("binding", device.binding.clone()),
            ("queue mode", if device.queue_mode { "yes" } else { "no" }.into()),
            ("asleep", if device.asleep { "yes" } else { "no" }.into()),
            ("lifetime", format!("{} s", device.lifetime)),
            ("registered", time(device.registered_at as i64)),
            ("last contact", time(device.last_contact as i64)),
            ("objects", device.objects.join(" ")),
            ("observed", if observed.is_empty() { "nothing".into() } else { observed.join(" ") }),
        ]);
    })
}

#[derive(Debug, clap::Args)]
pub(super) struct Series {
    /// The device.
    endpoint: String,
    /// The resource, as in /3303/0/5700; without it, the paths of which there are values.
    path: Option<String>,
    /// From this time on, in milliseconds since the epoch.
    #[arg(long)]
    from: Option<u64>,
    /// Up to this time.
    #[arg(long)]
    to: Option<u64>,
    /// Least, mean and greatest of each so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    step: Option<u64>,
}

pub(super) fn series(client: &Client, out: Output, args: &Series) -> anyhow::Result<()> {
    let base = format!("/api/v1/devices/{}/series", encode(&args.endpoint));
    let Some(path) = &args.path else {
        let paths = client.get::<Page<String>>(&base)?.items;
        if paths.is_empty() {
            check_known(client, Some(&args.endpoint))?;
        }
        return out.print(&paths, || paths.iter().for_each(line));
    };
    let (from, to) = (args.from.unwrap_or(0), args.to.unwrap_or(i64::MAX as u64));
    let range = format!("{base}/{}?from={from}&to={to}", path.trim_start_matches('/'));
    let step = args.step.map(|step| format!("&step={}", step.saturating_mul(1000)));
    let page = client.get::<Page<Sample>>(&format!("{range}{}", step.as_deref().unwrap_or("&limit=1000")))?;
    if page.items.is_empty() {
        check_known(client, Some(&args.endpoint))?;
    }
    out.print(&page, || {
        match step {
            Some(_) => table(&["FROM", "COUNT", "LEAST", "MEAN", "GREATEST"], page.items.iter().map(stretch)),
            None => {
                table(&["AT", "VALUE"], page.items.iter().map(|row| [time(row.at as i64), plain(&row.value)]))
            }
        }
        if let Some(next) = &page.next {
            note(format_args!("more: --from {next}"));
        }
    })
}

fn stretch(row: &Sample) -> [String; 5] {
    let number = |value: Option<&Value>| match value {
        Some(Value::Number(number)) => number.as_f64().map_or_else(String::new, |it| format!("{it:.3}")),
        Some(other) => plain(other),
        None => String::new(),
    };
    let count = row.count.unwrap_or_default().to_string();
    [time(row.at as i64), count, number(row.min.as_ref()), number(Some(&row.value)), number(row.max.as_ref())]
}
