//! Campaigns: one release for many devices, wave by wave.

mod rehearse;
mod rules;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use buoy_api::client::{Client, encode};
use buoy_api::{
    Campaign, CampaignCounts, CampaignDevice, CampaignGate, CampaignPreview, CampaignState, CampaignStop,
    CampaignWave, Page, PutCampaign, ResumeCampaign,
};
use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::exit::{Exit, NotDone};
use super::firmware::{Way, find};
use super::output::{Output, line, note, pairs, table, time};

/// Between two looks at a campaign that is watched.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the campaigns, the newest first.
    List,
    /// Shows one campaign: its waves, failures, and what happened.
    Show(One),
    /// Says what a campaign would do, and makes none.
    Preview(Plan),
    /// Plays a campaign on simulated devices, and makes none.
    Rehearse(rehearse::Args),
    /// Makes a campaign, as a draft; with --start it starts at once.
    Add(Add),
    /// Changes the plan of a draft, as a whole.
    Change(Change),
    /// Starts a draft, at its time if it has one.
    Start(One),
    /// Approves the start where two persons have to agree, or the gate of the open wave.
    Approve(One),
    /// Starts no more updates until it is resumed.
    Pause(One),
    /// Goes on; with --firmware for all devices from the first wave on.
    Resume(Resume),
    /// Tries the devices again that failed.
    Retry(One),
    /// Ends it, and cancels updates that are under way.
    Abort(One),
    /// Removes a draft, or one that has ended.
    Remove(One),
    /// Lists its devices.
    Devices(Devices),
    /// Prints a report in Markdown.
    Report(One),
    /// Shows how it goes, until it ends, pauses, or waits for a person.
    Watch(One),
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The campaign's id.
    id: u64,
}

#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    /// Its name; or with --file, the plan's own.
    #[arg(required_unless_present = "file")]
    name: Option<String>,
    /// The image: its digest, the first digits of it, or its name.
    #[arg(long, required_unless_present = "file")]
    firmware: Option<String>,
    /// The whole plan, as JSON in the form of the interface.
    #[arg(long, conflicts_with_all = ["firmware", "filter", "waves"])]
    file: Option<PathBuf>,
    /// Which devices; all without it.
    #[arg(long, default_value = "")]
    filter: String,
    /// Devices that match later take part, too.
    #[arg(long)]
    growing: bool,
    /// The waves, as in 1%,10%,100% or 5,50,100%: parts of all devices, or numbers. The last takes the rest.
    #[arg(long, value_delimiter = ',', value_name = "WAVE")]
    waves: Vec<String>,
    /// Seconds for which a wave has to stay healthy.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    soak: u64,
    /// Percent of a wave that have to run the version.
    #[arg(long, default_value_t = 90.0, value_name = "PERCENT")]
    success: f64,
    /// What devices of a wave have to match to be healthy, besides being registered.
    #[arg(long, value_name = "FILTER")]
    healthy: Option<String>,
    /// A person has to approve each wave.
    #[arg(long)]
    manual: bool,
    /// Pauses when so many percent of the devices that ended have failed.
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    stop_rate: f64,
    /// But not before so many have ended.
    #[arg(long, default_value_t = 20, value_name = "DEVICES")]
    stop_minimum: u64,
    /// Pauses when so many devices have failed.
    #[arg(long, value_name = "DEVICES")]
    stop_failures: Option<u64>,
    /// The most updates at a time.
    #[arg(long, default_value_t = 500)]
    concurrent: u32,
    /// The most updates that start in a minute.
    #[arg(long)]
    per_minute: Option<u32>,
    /// How often a device is tried again whose update failed in a way that may pass.
    #[arg(long, default_value_t = 1)]
    retries: u8,
    /// When it starts, as in 2026-12-01T22:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start_at: Option<u64>,
    /// When devices that still wait are given up.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    deadline: Option<u64>,
    /// Somebody else has to agree to its start.
    #[arg(long)]
    needs_approval: bool,
    /// How the image gets to the devices.
    #[arg(long, value_enum, default_value_t = Way::PullCoap)]
    delivery: Way,
    /// The version that devices will report, if the image doesn't say it.
    #[arg(long, value_name = "VERSION")]
    expect: Option<String>,
    #[command(flatten)]
    more: rules::Rules,
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    #[command(flatten)]
    plan: Plan,
    /// Starts it at once.
    #[arg(long)]
    start: bool,
    /// Says what it would do, as `preview`, and makes none.
    #[arg(long, conflicts_with = "start")]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Change {
    /// The campaign's id.
    id: u64,
    #[command(flatten)]
    plan: Plan,
    /// Only if nobody has changed it since it had this revision, which `show` prints.
    #[arg(long)]
    revision: Option<String>,
    /// Says what it would do, as `preview`, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The campaign's id.
    id: u64,
    /// Another image for all devices, from the first wave on.
    #[arg(long)]
    firmware: Option<String>,
    /// The version that devices will report, if the image doesn't say it.
    #[arg(long, value_name = "VERSION", requires = "firmware")]
    expect: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Devices {
    /// The campaign's id.
    id: u64,
    /// Only devices in this stage.
    #[arg(long, value_enum)]
    stage: Option<Stage>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Stage {
    Waiting,
    Updating,
    Confirmed,
    HadIt,
    Failed,
    Skipped,
    GoingBack,
    PutBack,
}

/// Milliseconds since the epoch.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    let at =
        text.parse::<jiff::Timestamp>().map_err(|_| "give a time as in 2026-12-01T22:00:00Z".to_owned())?;
    u64::try_from(at.as_millisecond()).map_err(|_| "that is before 1970".to_owned())
}

/// The plan in a file. Its image may be named as in `--firmware`.
fn of_file(client: &Client, file: &Path) -> anyhow::Result<PutCampaign> {
    let text = std::fs::read(file).with_context(|| format!("the file {} cannot be read", file.display()))?;
    let mut plan: PutCampaign = serde_json::from_slice(&text)
        .with_context(|| format!("the file {} is no plan of a campaign", file.display()))?;
    plan.firmware = find(client, &plan.firmware)?.digest;
    Ok(plan)
}

impl Plan {
    fn read(&self, client: &Client) -> anyhow::Result<PutCampaign> {
        if let Some(file) = &self.file {
            let mut plan = of_file(client, file)?;
            if let Some(name) = &self.name {
                plan.name.clone_from(name);
            }
            return Ok(plan);
        }
        let image = find(client, self.firmware.as_deref().unwrap_or_default())?;
        let gate = CampaignGate {
            success: self.success,
            soak: self.soak,
            healthy: self.healthy.clone(),
            manual: self.manual,
        };
        if self.waves.last().is_some_and(|last| last.trim() != "100%") {
            let reason = "the last wave has all devices that the others leave: end --waves with 100%";
            return Err(NotDone::error(Exit::WrongUse, reason));
        }
        let mut waves = Vec::new();
        for (place, size) in self.waves.iter().enumerate() {
            let mut wave = CampaignWave { gate: gate.clone(), ..CampaignWave::default() };
            let is_last = place + 1 == self.waves.len();
            match size.trim().strip_suffix('%') {
                Some(percent) => {
                    let wrong =
                        || NotDone::error(Exit::WrongUse, format!("{size:?} is no part of all devices"));
                    let percent = percent.parse::<f64>().map_err(|_| wrong())?;
                    wave.percent = (!is_last || percent < 100.0).then_some(percent);
                }
                None => {
                    let wrong =
                        || NotDone::error(Exit::WrongUse, format!("{size:?} is no number of devices"));
                    wave.count = Some(size.trim().parse::<u64>().map_err(|_| wrong())?);
                }
            }
            waves.push(wave);
        }
        if waves.is_empty() {
            waves.push(CampaignWave { gate, ..CampaignWave::default() });
        }
        Ok(PutCampaign {
            name: self.name.clone().unwrap_or_default(),
            filter: self.filter.clone(),
            growing: self.growing,
            firmware: image.digest,
            version: self.expect.clone(),
            delivery: self.delivery.delivery(),
            waves,
            stop: CampaignStop {
                failures: self.stop_failures,
                rate: Some(self.stop_rate),
                minimum: self.stop_minimum,
            },
            concurrent: self.concurrent,
            per_minute: self.per_minute,
            retries: self.retries,
            start_at: self.start_at,
            deadline: self.deadline,
            needs_approval: self.needs_approval,
            window: self.more.window(),
            requires: self.more.requires(),
            on_stop: self.more.on_stop(),
            retry: self.more.retry.clone(),
            deferral: self.more.deferral(),
        })
    }
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List => list(client, out),
        Verb::Show(One { id }) => show(out, &client.get(&path(*id))?),
        Verb::Preview(plan) => preview(client, out, plan),
        Verb::Rehearse(args) => rehearse::run(client, out, args),
        Verb::Add(Add { plan, dry_run: true, .. }) | Verb::Change(Change { plan, dry_run: true, .. }) => {
            preview(client, out, plan)
        }
        Verb::Change(Change { id, plan, revision, dry_run: false }) => {
            let plan = plan.read(client)?;
            let changed: Campaign =
                client.send_json_if(revision.as_deref(), Method::PUT, &path(*id), &plan)?;
            out.print(&changed, || told(&changed))
        }
        Verb::Add(Add { plan, start, dry_run: false }) => {
            let plan = plan.read(client)?;
            let made: Campaign = client.send_json(Method::POST, "/api/v1/campaigns", &plan)?;
            let made = if *start { act(client, made.id, "start")? } else { made };
            out.print(&made, || told(&made))
        }
        Verb::Start(One { id }) => print(client, out, *id, "start"),
        Verb::Approve(One { id }) => print(client, out, *id, "approve"),
        Verb::Pause(One { id }) => print(client, out, *id, "pause"),
        Verb::Retry(One { id }) => print(client, out, *id, "retry"),
        Verb::Abort(One { id }) => print(client, out, *id, "abort"),
        Verb::Resume(Resume { id, firmware, expect }) => {
            let firmware = firmware.as_deref().map(|named| find(client, named)).transpose()?;
            let how =
                ResumeCampaign { firmware: firmware.map(|image| image.digest), version: expect.clone() };
            let campaign: Campaign =
                client.send_json(Method::POST, &format!("{}/resume", path(*id)), &how)?;
            out.print(&campaign, || told(&campaign))
        }
        Verb::Remove(One { id }) => {
            client.call::<Value>(Method::DELETE, &path(*id), "", &[])?;
            out.print(&json!({"removed": id}), || note(format_args!("campaign {id} is removed")))
        }
        Verb::Devices(args) => devices(client, out, args),
        Verb::Report(One { id }) => {
            let report = client.text(&format!("{}/report", path(*id)))?;
            report.lines().for_each(line);
            Ok(())
        }
        Verb::Watch(One { id }) => watch(client, out, *id),
    }
}

fn path(id: u64) -> String {
    format!("/api/v1/campaigns/{id}")
}

fn act(client: &Client, id: u64, action: &str) -> anyhow::Result<Campaign> {
    Ok(client.call(Method::POST, &format!("{}/{action}", path(id)), "", &[])?)
}

fn print(client: &Client, out: Output, id: u64, action: &str) -> anyhow::Result<()> {
    let campaign = act(client, id, action)?;
    out.print(&campaign, || told(&campaign))
}

/// One line about a campaign, on standard output.
fn told(campaign: &Campaign) {
    line(summary(campaign));
}

pub(super) fn summary(campaign: &Campaign) -> String {
    let CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back } = campaign.counts;
    let all = waiting + updating + confirmed + had_it + failed + skipped + put_back;
    let open = campaign.waves.iter().filter(|wave| wave.open).count();
    let mut text = format!(
        "campaign {} is {}: {} of {all} devices run it, {updating} under way, {waiting} wait, {failed} failed; wave {open} of {}",
        campaign.id,
        state(campaign.state),
        confirmed + had_it,
        campaign.waves.len(),
    );
    if !campaign.reason.is_empty() {
        text.push_str("; ");
        text.push_str(&campaign.reason);
    }
    text
}

fn state(state: CampaignState) -> String {
    serde_json::to_value(state).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn list(client: &Client, out: Output) -> anyhow::Result<()> {
    let campaigns = client.get::<Page<Campaign>>("/api/v1/campaigns")?.items;
    out.print(&campaigns, || {
        let rows = campaigns.iter().map(|campaign| {
            let CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back } =
                campaign.counts;
            [
                campaign.id.to_string(),
                campaign.plan.name.clone(),
                state(campaign.state),
                campaign.plan.version.clone().unwrap_or_default(),
                (waiting + updating + confirmed + had_it + failed + skipped + put_back).to_string(),
                (confirmed + had_it).to_string(),
                failed.to_string(),
                campaign.reason.clone(),
            ]
        });
        table(&["ID", "NAME", "STATE", "VERSION", "DEVICES", "RUN IT", "FAILED", "REASON"], rows);
    })
}

fn show(out: Output, campaign: &Campaign) -> anyhow::Result<()> {
    out.print(campaign, || {
        let plan = &campaign.plan;
        let mut rows = vec![
            ("campaign", format!("{} {}", campaign.id, plan.name)),
            ("state", state(campaign.state)),
            ("version", plan.version.clone().unwrap_or_default()),
            ("target", if plan.filter.is_empty() { "all devices".into() } else { plan.filter.clone() }),
            ("revision", campaign.revision.clone()),
            ("made by", format!("{} at {}", campaign.author, time(campaign.created_at as i64))),
        ];
        if !campaign.reason.is_empty() {
            rows.insert(2, ("reason", campaign.reason.clone()));
        }
        pairs(rows);
        let waves = campaign.waves.iter().enumerate().map(|(place, wave)| {
            let CampaignCounts { waiting, updating, confirmed, had_it, failed, skipped, put_back } =
                wave.counts;
            let is = if wave.passed {
                "passed"
            } else if wave.open {
                "open"
            } else {
                "waits"
            };
            [
                (place + 1).to_string(),
                is.to_owned(),
                waiting.to_string(),
                updating.to_string(),
                confirmed.to_string(),
                had_it.to_string(),
                failed.to_string(),
                skipped.to_string(),
                put_back.to_string(),
            ]
        });
        table(
            &["WAVE", "IS", "WAIT", "UNDER WAY", "CONFIRMED", "HAD IT", "FAILED", "SKIPPED", "PUT BACK"],
            waves,
        );
        if !campaign.failures.is_empty() {
            let rows = campaign.failures.iter();
            let rows = rows.map(|it| [it.kind.clone(), it.count.to_string(), it.example.clone()]);
            table(&["FAILURE", "DEVICES", "FOR EXAMPLE"], rows);
        }
        let events = campaign.events.iter().map(|it| [time(it.at as i64), it.text.clone()]);
        table(&["AT", "WHAT HAPPENED"], events);
    })
}

fn preview(client: &Client, out: Output, plan: &Plan) -> anyhow::Result<()> {
    let plan = plan.read(client)?;
    let preview: CampaignPreview = client.send_json(Method::POST, "/api/v1/campaigns/preview", &plan)?;
    out.print(&preview, || {
        let waves: Vec<_> = preview.waves.iter().map(ToString::to_string).collect();
        pairs([
            ("devices", preview.devices.to_string()),
            ("have it", preview.have_it.to_string()),
            ("offline", preview.offline.to_string()),
            ("in conflict", preview.in_conflict.to_string()),
            ("incompatible", preview.incompatible.to_string()),
            ("not known whether", preview.unknown.to_string()),
            ("waves", waves.join(", ")),
            ("bytes", format!("{} for each device, {} in all", preview.bytes_per_device, preview.bytes)),
            ("for example", preview.examples.join(" ")),
        ]);
        if !preview.incompatible_because.is_empty() {
            let rows = preview.incompatible_because.iter();
            let rows = rows.map(|it| [it.count.to_string(), it.reason.clone(), it.example.clone()]);
            table(&["DEVICES", "NOT UPDATED SINCE", "FOR EXAMPLE"], rows);
        }
    })
}

fn devices(client: &Client, out: Output, args: &Devices) -> anyhow::Result<()> {
    let stage = args.stage.map(|stage| {
        let word = clap::ValueEnum::to_possible_value(&stage).map(|word| word.get_name().replace('-', "_"));
        format!("&stage={}", encode(&word.unwrap_or_default()))
    });
    let path = format!("{}/devices?limit=1000{}", path(args.id), stage.unwrap_or_default());
    let devices = client.all::<CampaignDevice>(&path)?;
    out.print(&devices, || {
        let rows = devices.iter().map(|device| {
            let update = device.update.map_or_else(|| "-".to_owned(), |id| id.to_string());
            [
                device.endpoint.clone(),
                device.wave.to_string(),
                device.stage.clone(),
                update,
                device.failure.clone().unwrap_or_default(),
                device.detail.clone(),
            ]
        });
        table(&["ENDPOINT", "WAVE", "STAGE", "UPDATE", "FAILURE", "DETAIL"], rows);
    })
}

fn watch(client: &Client, out: Output, id: u64) -> anyhow::Result<()> {
    let mut last = String::new();
    loop {
        let campaign: Campaign = client.get(&path(id))?;
        let text = summary(&campaign);
        if text != last {
            out.print_line(&campaign, || vec![text.clone()])?;
            last = text;
        }
        match campaign.state {
            CampaignState::Done if campaign.counts.failed == 0 => return Ok(()),
            CampaignState::Done => {
                bail!("{} devices failed; `buoy ctl campaign show {id}` says why", campaign.counts.failed)
            }
            CampaignState::Aborted => bail!("the campaign was aborted"),
            CampaignState::Paused => bail!("the campaign is paused: {}", campaign.reason),
            CampaignState::Draft => {
                bail!("the campaign is a draft; `buoy ctl campaign start {id}` starts it")
            }
            _ if campaign.awaits_approval => {
                bail!("{}; `buoy ctl campaign approve {id}` gives it", campaign.reason)
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
}
