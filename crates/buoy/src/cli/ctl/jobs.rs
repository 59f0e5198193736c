//! Jobs: one command for many devices.

use std::time::Duration;

use anyhow::bail;
use buoy_api::client::{Client, encode};
use buoy_api::{
    Job, JobCounts, JobDevice, JobPreview, JobState, JobUntil, Page, Request, RetryJob, StartJob,
};
use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::campaigns::moment;
use super::operations::{
    assignments, attributes_request, cancel_request, observe_request, read_request, write_request,
};
use super::output::{Output, line, note, pairs, table, time};

/// Between two looks at a job that is watched.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the jobs, the newest first.
    List,
    /// Shows one job, with the reasons of its failures.
    Show(One),
    /// Lists the devices of a job, with what became of it on each.
    Devices(Devices),
    /// Shows how a job goes, until it ends.
    Watch(One),
    /// Ends a job: no more devices get its command.
    Cancel(One),
    /// Gives the command again to devices on which the job failed, or which it did not reach.
    Retry(Retry),
    /// Removes a job that has ended.
    Remove(One),
    /// Reads values; they are kept, and `buoy ctl values` shows them.
    Read(Paths),
    /// Writes values.
    Write(Values),
    /// Runs a resource.
    Execute(Execute),
    /// Observes values, which are kept from then on.
    Observe(Paths),
    /// Ends observations.
    Unobserve(Paths),
    /// Sets when devices notify, as in pmin=10 pmax=60; NAME alone unsets.
    Attributes(Attributes),
    /// Takes an instance away.
    Delete(Delete),
    /// Reboots devices (/3/0/4).
    Reboot(Target),
    /// Resets devices to the state in which they left the factory (/3/0/5).
    FactoryReset(Target),
    /// Deletes what devices have (/3/0/5), and waits until each has registered anew.
    Wipe(Target),
    /// Has devices get a new key from the bootstrap server (/1/0/9), and waits until each uses it. The old key counts until then.
    RotateKey(Target),
    /// Has devices send an Update (/1/0/8).
    TriggerUpdate(Target),
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The job's id.
    id: u64,
}

/// Which devices, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Which devices: a filter, or "all".
    filter: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// The job's name [default: the command in words]
    #[arg(long)]
    name: Option<String>,
    /// The number of devices that you expect; needed for what can't be undone.
    #[arg(long, value_name = "COUNT")]
    devices: Option<u64>,
    /// The most devices that are waited for at a time.
    #[arg(long, default_value_t = 500)]
    concurrent: u32,
    /// The most devices that get the command in a minute.
    #[arg(long)]
    per_minute: Option<u32>,
    /// How often a device that did not answer is tried again.
    #[arg(long, default_value_t = 1)]
    retries: u8,
    /// When devices are given up that were not reached, as in 2026-12-01T22:00:00Z [default: in a day]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    deadline: Option<u64>,
    /// Says what the job would do, and makes none.
    #[arg(long)]
    dry_run: bool,
    /// Waits for its end, and shows how it goes.
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Paths {
    /// Which devices: a filter, or "all".
    filter: String,
    /// As in /3303/0/5700.
    #[arg(required = true)]
    paths: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Values {
    /// Which devices: a filter, or "all".
    filter: String,
    /// As in /1/0/1=300; a value that is no JSON is text.
    #[arg(required = true, value_name = "PATH=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Execute {
    /// Which devices: a filter, or "all".
    filter: String,
    /// As in /3/0/4.
    path: String,
    /// As in "0,1='text'".
    arguments: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Attributes {
    /// Which devices: a filter, or "all".
    filter: String,
    /// As in /3303/0/5700.
    path: String,
    /// As in pmin=10; NAME alone unsets.
    #[arg(required = true, value_name = "NAME[=VALUE]")]
    attributes: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Which devices: a filter, or "all".
    filter: String,
    /// As in /3303/1.
    path: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Devices {
    /// The job's id.
    id: u64,
    /// Only devices in this stage.
    #[arg(long, value_enum)]
    stage: Option<Stage>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    /// The job's id.
    id: u64,
    /// The new deadline [default: in a day]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    deadline: Option<u64>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Stage {
    Waiting,
    Sent,
    Asleep,
    Confirming,
    Succeeded,
    Failed,
    NotReached,
    Cancelled,
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    let execute = |path: &str| Request::Execute { path: path.to_owned(), arguments: None };
    match verb {
        Verb::List => list(client, out),
        Verb::Show(One { id }) => show(client, out, *id),
        Verb::Devices(args) => devices(client, out, args),
        Verb::Watch(One { id }) => watch(client, out, *id),
        Verb::Cancel(One { id }) => {
            let job: Job = client.call(Method::POST, &format!("{}/cancel", path(*id)), "", &[])?;
            out.print(&job, || line(summary(&job)))
        }
        Verb::Retry(Retry { id, deadline }) => {
            let how = RetryJob { deadline: *deadline };
            let job: Job = client.send_json(Method::POST, &format!("{}/retry", path(*id)), &how)?;
            out.print(&job, || line(summary(&job)))
        }
        Verb::Remove(One { id }) => {
            client.call::<Value>(Method::DELETE, &path(*id), "", &[])?;
            out.print(&json!({"removed": id}), || note(format_args!("job {id} is removed")))
        }
        Verb::Read(Paths { filter, paths, how }) => {
            start(client, out, filter, read_request(paths, None), how)
        }
        Verb::Write(Values { filter, values, how }) => {
            start(client, out, filter, write_request(assignments(values)?, None), how)
        }
        Verb::Execute(Execute { filter, path, arguments, how }) => {
            let request = Request::Execute { path: path.clone(), arguments: arguments.clone() };
            start(client, out, filter, request, how)
        }
        Verb::Observe(Paths { filter, paths, how }) => {
            start(client, out, filter, observe_request(paths, None), how)
        }
        Verb::Unobserve(Paths { filter, paths, how }) => {
            start(client, out, filter, cancel_request(paths), how)
        }
        Verb::Attributes(Attributes { filter, path, attributes, how }) => {
            start(client, out, filter, attributes_request(path, attributes), how)
        }
        Verb::Delete(Delete { filter, path, how }) => {
            start(client, out, filter, Request::Delete { path: path.clone() }, how)
        }
        Verb::Reboot(Target { filter, how }) => start(client, out, filter, execute("/3/0/4"), how),
        Verb::FactoryReset(Target { filter, how }) => start(client, out, filter, execute("/3/0/5"), how),
        Verb::Wipe(Target { filter, how }) => {
            start_until(client, out, filter, execute("/3/0/5"), how, JobUntil::Registered)
        }
        Verb::RotateKey(Target { filter, how }) => {
            start_until(client, out, filter, execute("/1/0/9"), how, JobUntil::KeyUsed)
        }
        Verb::TriggerUpdate(Target { filter, how }) => start(client, out, filter, execute("/1/0/8"), how),
    }
}

fn start(client: &Client, out: Output, filter: &str, request: Request, how: &How) -> anyhow::Result<()> {
    start_until(client, out, filter, request, how, JobUntil::Answered)
}

fn start_until(
    client: &Client,
    out: Output,
    filter: &str,
    request: Request,
    how: &How,
    until: JobUntil,
) -> anyhow::Result<()> {
    let job = StartJob {
        name: how.name.clone(),
        // A person has to say that he means all of them.
        filter: if filter == "all" { String::new() } else { filter.to_owned() },
        request,
        until,
        devices: how.devices,
        concurrent: how.concurrent,
        per_minute: how.per_minute,
        retries: how.retries,
        deadline: how.deadline,
    };
    if how.dry_run {
        let preview: JobPreview = client.send_json(Method::POST, "/api/v1/jobs/preview", &job)?;
        return out.print(&preview, || {
            pairs([
                ("command", preview.command.clone()),
                ("devices", preview.devices.to_string()),
                ("offline", preview.offline.to_string()),
                ("for example", preview.examples.join(" ")),
            ]);
            if preview.needs_count {
                note(format_args!("it can't be undone: give --devices {}", preview.devices));
            }
        });
    }
    let job: Job = client.send_json(Method::POST, "/api/v1/jobs", &job)?;
    if how.wait {
        return watch(client, out, job.id);
    }
    out.print(&job, || {
        line(summary(&job));
        note(format_args!("`buoy ctl job watch {}` shows how it goes", job.id));
    })
}

fn path(id: u64) -> String {
    format!("/api/v1/jobs/{id}")
}

fn summary(job: &Job) -> String {
    let JobCounts { waiting, sent, asleep, confirming, succeeded, failed, not_reached, cancelled } =
        job.counts;
    let mut text =
        format!("job {} is {}: {succeeded} of {} devices did it", job.id, job.state, job.counts.all());
    let rest = [
        (sent, "have not answered yet"),
        (asleep, "sleep"),
        (confirming, "have answered and are not confirmed yet"),
        (waiting, "wait"),
        (failed, "failed"),
        (not_reached, "were not reached"),
        (cancelled, "were left out"),
    ];
    for (count, words) in rest.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {count} {words}"));
    }
    text
}

fn list(client: &Client, out: Output) -> anyhow::Result<()> {
    let jobs = client.get::<Page<Job>>("/api/v1/jobs")?.items;
    out.print(&jobs, || {
        let rows = jobs.iter().map(|job| {
            let JobCounts { waiting, sent, asleep, confirming, succeeded, failed, not_reached, .. } =
                job.counts;
            [
                job.id.to_string(),
                job.name.clone(),
                job.state.to_string(),
                job.counts.all().to_string(),
                succeeded.to_string(),
                (waiting + sent + asleep + confirming).to_string(),
                (failed + not_reached).to_string(),
                job.author.clone(),
                time(job.created_at as i64),
            ]
        });
        table(&["ID", "NAME", "STATE", "DEVICES", "DID IT", "OPEN", "FAILED", "BY", "AT"], rows);
    })
}

fn show(client: &Client, out: Output, id: u64) -> anyhow::Result<()> {
    let job: Job = client.get(&path(id))?;
    out.print(&job, || {
        pairs([
            ("job", format!("{} {}", job.id, job.name)),
            ("state", job.state.to_string()),
            ("target", if job.filter.is_empty() { "all devices".into() } else { job.filter.clone() }),
            ("made by", format!("{} at {}", job.author, time(job.created_at as i64))),
            ("deadline", time(job.deadline as i64)),
            ("progress", summary(&job)),
        ]);
        if !job.failures.is_empty() {
            let rows = job.failures.iter();
            let rows = rows.map(|it| [it.count.to_string(), it.reason.clone(), it.example.clone()]);
            table(&["DEVICES", "FAILURE", "FOR EXAMPLE"], rows);
        }
    })
}

fn devices(client: &Client, out: Output, args: &Devices) -> anyhow::Result<()> {
    let stage = args.stage.map(|stage| {
        let word = clap::ValueEnum::to_possible_value(&stage).map(|word| word.get_name().replace('-', "_"));
        format!("&stage={}", encode(&word.unwrap_or_default()))
    });
    let path = format!("{}/devices?limit=1000{}", path(args.id), stage.unwrap_or_default());
    let devices = client.all::<JobDevice>(&path)?;
    out.print(&devices, || {
        let rows = devices.iter().map(|device| {
            let operation = device.operation.map_or_else(|| "-".to_owned(), |id| id.to_string());
            [
                device.endpoint.clone(),
                device.stage.clone(),
                operation,
                device.attempts.to_string(),
                device.detail.clone(),
            ]
        });
        table(&["ENDPOINT", "STAGE", "OPERATION", "TRIES", "DETAIL"], rows);
    })
}

fn watch(client: &Client, out: Output, id: u64) -> anyhow::Result<()> {
    let mut last = String::new();
    loop {
        let job: Job = client.get(&path(id))?;
        let text = summary(&job);
        if text != last {
            out.print_line(&job, || vec![text.clone()])?;
            last = text;
        }
        match job.state {
            JobState::Done if job.counts.succeeded == job.counts.all() => return Ok(()),
            JobState::Done => bail!(
                "not all devices did it; `buoy ctl job show {id}` says why, `buoy ctl job retry {id}` tries again"
            ),
            JobState::Cancelled => bail!("the job was cancelled"),
            JobState::Running | JobState::Stopping => std::thread::sleep(PAUSE),
        }
    }
}
