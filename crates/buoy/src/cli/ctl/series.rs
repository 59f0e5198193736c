//! The values of devices over time.

use std::time::Duration;

use buoy_api::client::{Client, encode};
use buoy_api::{DeviceSample, Page, Sample};
use serde_json::Value;

use super::exit::{Exit, NotDone};
use super::naming::{self, Names};
use super::operations::check_known;
use super::output::{Output, line, note, plain, table, time};

/// Values that are shown to a person.
const SHOWN: usize = 1000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device.
    endpoint: String,
    /// The resource, as in /3303/0/5700 or temperature/sensor-value; without it, the paths of which there are values.
    path: Option<String>,
    /// Another device; may be given several times.
    #[arg(long = "with", value_name = "DEVICE", requires = "path")]
    others: Vec<String>,
    /// From this time on: as in 2026-12-01T08:00:00Z, or so long ago, as in 2h or 3d.
    #[arg(long, alias = "from", value_name = "TIME", value_parser = moment)]
    since: Option<u64>,
    /// Before this time.
    #[arg(long, alias = "to", value_name = "TIME", value_parser = moment)]
    until: Option<u64>,
    /// Least, mean and greatest of each so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    step: Option<u64>,
}

/// A time, as a date, in milliseconds since the epoch, or so long before now.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    if let Some(at) = buoy_services::moments::parse(text) {
        return Ok(at);
    }
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
    let ago = duration(text).ok_or_else(|| {
        "give a time as in 2026-12-01T08:00:00Z, or how long ago as in 90s, 15min, 2h or 3d".to_owned()
    })?;
    Ok(now.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)))
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

pub(super) fn show(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    let Some(path) = &args.path else { return paths(client, out, &args.endpoint) };
    if args.step.is_some() && !args.others.is_empty() {
        let reason = "--step summarises one device; leave out --with";
        return Err(NotDone::error(Exit::WrongUse, reason));
    }
    let path = naming::path(client, &args.endpoint, path)?;
    let path = format!("/{}", path.trim_start_matches('/'));
    match args.step {
        Some(step) => summary(client, out, args, &path, step),
        None => samples(client, out, args, &path),
    }
}

fn paths(client: &Client, out: Output, endpoint: &str) -> anyhow::Result<()> {
    let paths = client.get::<Page<String>>(&format!("/api/v1/devices/{}/series", encode(endpoint)))?.items;
    if paths.is_empty() {
        check_known(client, Some(endpoint))?;
    }
    out.print(&paths, || paths.iter().for_each(line))
}

impl Args {
    fn range(&self) -> String {
        format!("from={}&to={}", self.since.unwrap_or(0), self.until.unwrap_or(i64::MAX as u64))
    }
}

fn summary(client: &Client, out: Output, args: &Args, path: &str, step: u64) -> anyhow::Result<()> {
    let base = format!("/api/v1/devices/{}/series{path}", encode(&args.endpoint));
    let query = format!("{base}?{}&step={}", args.range(), step.saturating_mul(1000));
    let page = client.get::<Page<Sample>>(&query)?;
    if page.items.is_empty() {
        check_known(client, Some(&args.endpoint))?;
    }
    out.print(&page, || {
        table(&["FROM", "COUNT", "LEAST", "MEAN", "GREATEST"], page.items.iter().map(stretch))
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

fn samples(client: &Client, out: Output, args: &Args, path: &str) -> anyhow::Result<()> {
    let devices: Vec<_> = std::iter::once(&args.endpoint).chain(&args.others).collect();
    if let Some(name) = devices.iter().find(|name| devices.len() > 1 && name.contains(',')) {
        let reason = format!("{name} has a comma in its name; ask for its values alone");
        return Err(NotDone::error(Exit::WrongUse, reason));
    }
    for device in &devices {
        check_known(client, Some(device))?;
    }
    let names = devices.iter().map(|name| encode(name)).collect::<Vec<_>>().join(",");
    let query = format!("/api/v1/series?path={}&endpoints={names}&{}", encode(path), args.range());
    match out {
        // They may be many, and are written as they come.
        Output::Csv => return Ok(client.lines(&format!("{query}&format=csv"), each_line)?),
        Output::Jsonl => return Ok(client.lines(&query, each_line)?),
        _ => {}
    }
    let most = if out.is_for_people() { SHOWN } else { usize::MAX };
    let (mut rows, mut failure) = (Vec::<DeviceSample>::new(), None);
    client.lines(&query, |line| {
        match serde_json::from_str(line) {
            Ok(row) => rows.push(row),
            Err(error) => failure = Some(error),
        }
        rows.len() <= most && failure.is_none()
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    let is_cut = rows.len() > most;
    rows.truncate(most);
    let names = if out.is_for_people() { Names::if_known(client, &args.endpoint) } else { Names::default() };
    let page = Page { items: rows, next: None };
    out.print(&page, || {
        show_samples(&names, devices.len() > 1, &page.items);
        if is_cut {
            note(format_args!("there are more: narrow it by --since and --until, or take all by -o csv"));
        }
    })
}

fn show_samples(names: &Names, several: bool, samples: &[DeviceSample]) {
    let rows = samples.iter().map(|row| {
        let device = several.then(|| row.endpoint.clone());
        let value = names.shown_plain(&row.path, &row.value);
        device.into_iter().chain([time(row.at as i64), value]).collect::<Vec<_>>()
    });
    table(if several { &["DEVICE", "AT", "VALUE"] } else { &["AT", "VALUE"] }, rows);
}

fn each_line(text: &str) -> bool {
    line(text);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_or_so_long_ago() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(1000));
        let ago = |text: &str| {
            let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
            now.saturating_sub(moment(text).unwrap()) / 1000
        };
        assert!((7_199..7_260).contains(&ago("2h")) && (899..960).contains(&ago("15min")));
        for wrong in ["h", "5 parsecs", "yesterday", "99999999999999999999d"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
