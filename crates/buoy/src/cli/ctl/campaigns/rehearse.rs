//! `buoy ctl campaign rehearse`: a campaign on simulated devices.

use std::path::Path;

use buoy_api::client::Client;
use buoy_api::{
    Campaign, CampaignCounts, CampaignRehearsal, PutCampaign, RehearsalConditions, RehearsalVerdict,
    RehearseCampaign, RehearsedWave,
};
use ureq::http::Method;

use super::super::output::{Output, line, pairs, table, time};
use super::{of_file, path};
use crate::cli::swarm::{bits_per_second, percent, seconds};

#[derive(Debug, clap::Args)]
pub(in crate::cli::ctl) struct Args {
    /// The id of a campaign, or a file with the whole plan: JSON in the form of the interface, with the image as in `--firmware` of `campaign add`.
    #[arg(value_name = "FILE|ID")]
    plan: String,
    /// How many simulated devices.
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Percent of the devices crash on the version of --on, and go back to what they ran before.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "0")]
    crash: f64,
    /// The version on which they crash; by default that of the campaign.
    #[arg(long, value_name = "VERSION", requires = "crash")]
    on: Option<String>,
    /// Percent of the devices can't be reached.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "0")]
    offline: f64,
    /// What the link of each device carries in a second, as in 64kbit or 2Mbit; no limit without it.
    #[arg(long, value_name = "RATE", value_parser = bits_per_second)]
    slow: Option<u64>,
    /// The devices sleep for so long between two wakes, as in 1h or 1d; without it they never sleep.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    sleep: Option<u64>,
    /// By so many percent of that a device may be late.
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "10")]
    jitter: f64,
    /// Another number has other devices crash, be offline, and wake at other times.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints the campaign's report as it would be at the end, in Markdown.
    #[arg(long)]
    report: bool,
}

pub(super) fn run(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    let conditions = RehearsalConditions {
        devices: args.devices,
        crash: args.crash,
        crash_on: args.on.clone(),
        offline: args.offline,
        link: args.slow.unwrap_or(0),
        sleep: args.sleep.unwrap_or(0),
        jitter: args.jitter,
        seed: args.seed,
    };
    let wanted = RehearseCampaign { plan: plan(client, &args.plan)?, conditions };
    let rehearsal: CampaignRehearsal =
        client.send_json(Method::POST, "/api/v1/campaigns/rehearse", &wanted)?;
    if args.report {
        rehearsal.report.lines().for_each(line);
        return Ok(());
    }
    out.print(&rehearsal, || show(&rehearsal))
}

/// The plan of a campaign that exists, or of a file.
fn plan(client: &Client, named: &str) -> anyhow::Result<PutCampaign> {
    if let Ok(id) = named.parse::<u64>() {
        return Ok(client.get::<Campaign>(&path(id))?.plan);
    }
    of_file(client, Path::new(named))
}

fn show(rehearsal: &CampaignRehearsal) {
    let counts = &rehearsal.counts;
    let all = all(counts);
    let mut rows = vec![("in short", in_short(rehearsal))];
    if !rehearsal.reason.is_empty() {
        rows.push(("reason", rehearsal.reason.clone()));
    }
    rows.push(("begins", time(rehearsal.began as i64)));
    let end = rehearsal.ended.map_or_else(
        || "never by itself".to_owned(),
        |at| format!("{}, after {}", time(at as i64), lasting(at.saturating_sub(rehearsal.began))),
    );
    rows.push(("ends", end));
    rows.push(("devices", format!("{} of {all} run the release, {} failed", run_it(counts), counts.failed)));
    for milestone in &rehearsal.milestones {
        let after = lasting(milestone.at.saturating_sub(rehearsal.began));
        rows.push(("", format!("{} % of all after {after}", milestone.percent)));
    }
    rows.push(("bytes", rehearsal.bytes.to_string()));
    if rehearsal.asked_persons > 0 {
        rows.push(("persons", format!("have to say yes {} times", rehearsal.asked_persons)));
    }
    pairs(rows);
    let after =
        |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| lasting(at.saturating_sub(rehearsal.began)));
    let waves = (1..).zip(&rehearsal.waves).map(|(number, wave): (u32, &RehearsedWave)| {
        [
            number.to_string(),
            self::all(&wave.counts).to_string(),
            after(wave.opened),
            after(wave.passed),
            run_it(&wave.counts).to_string(),
            wave.counts.failed.to_string(),
            wave.counts.waiting.to_string(),
            wave.counts.skipped.to_string(),
        ]
    });
    table(&["WAVE", "DEVICES", "OPENS AFTER", "PASSES AFTER", "RUN IT", "FAILED", "WAIT", "SKIPPED"], waves);
    if !rehearsal.failures.is_empty() {
        let rows = rehearsal.failures.iter();
        let rows = rows.map(|it| [it.kind.clone(), it.count.to_string(), it.example.clone()]);
        table(&["FAILURE", "DEVICES", "FOR EXAMPLE"], rows);
    }
    rehearsal.notes.iter().for_each(|note| line(format!("note: {note}")));
}

fn in_short(rehearsal: &CampaignRehearsal) -> String {
    match rehearsal.verdict {
        RehearsalVerdict::Done => "the campaign would end".to_owned(),
        RehearsalVerdict::Stopped => {
            let open = rehearsal.waves.iter().filter(|wave| wave.opened.is_some()).count();
            format!("the campaign would stop itself in wave {open}")
        }
        RehearsalVerdict::WithoutEnd => "the campaign would not end".to_owned(),
        RehearsalVerdict::NotStarted => "the campaign would not start".to_owned(),
        RehearsalVerdict::Unfinished => "the rehearsal was broken off".to_owned(),
    }
}

fn all(counts: &CampaignCounts) -> u64 {
    let CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back } = counts;
    waiting + updating + confirmed + had_it + failed + skipped + put_back
}

fn run_it(counts: &CampaignCounts) -> u64 {
    counts.confirmed + counts.had_it
}

/// A length of time in its two largest units.
fn lasting(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_two_units() {
        let told = [0, 59_000, 61_000, 3_700_000, 90_000_000].map(lasting);
        assert_eq!(told, ["0s", "59s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}
