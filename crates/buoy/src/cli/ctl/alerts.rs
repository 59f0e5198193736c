//! Alerts: what fires, by which rules, and who is told.

use buoy_api::client::{Client, encode};
use buoy_api::{
    AcknowledgeAlerts, AcknowledgedAlerts, AddAlertSilence, Alert, AlertCondition, AlertDelivery,
    AlertFlapping, AlertRule, AlertSeverity, AlertSilence, Page, PutAlertRule,
};
use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::exit::{Exit, NotDone};
use super::output::{Output, ago, note, table, time};
use super::receivers;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists alerts, the worst first.
    List(List),
    /// Takes note of alerts that fire: receivers are not told of them again.
    Ack(Acknowledge),
    /// When alerts fire.
    #[command(subcommand)]
    Rule(RuleVerb),
    /// Tells receivers nothing of some alerts for a time.
    #[command(subcommand)]
    Silence(SilenceVerb),
    /// Who is told.
    #[command(subcommand)]
    Receiver(receivers::Verb),
    /// Lists messages to receivers, the newest first.
    Deliveries(Deliveries),
    /// Sends messages again that were given up.
    Replay(Replay),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those of this rule.
    #[arg(long)]
    rule: Option<String>,
    /// Only those of this device.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Only those in this state: pending, firing, flapping, or resolved [default: all that are not over]
    #[arg(long)]
    state: Option<String>,
    /// Only those that are at least so bad: info, warning, critical
    #[arg(long)]
    severity: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct Acknowledge {
    /// Their rule.
    rule: String,
    /// The device, or the part of the server; all alerts of the rule without it.
    subject: Option<String>,
    /// What there is to say.
    #[arg(long, default_value = "")]
    comment: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum RuleVerb {
    /// Lists the rules.
    List,
    /// Shows one rule.
    Show(Name),
    /// Makes a rule, or changes one; with --defaults, makes those that most fleets want.
    Add(Box<AddRule>),
    /// Removes a rule. Its alerts end.
    Remove(Name),
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The name.
    name: String,
}

#[derive(Debug, clap::Args)]
#[group(id = "what", multiple = true)]
pub(super) struct AddRule {
    /// Its name.
    #[arg(required_unless_present = "defaults")]
    name: Option<String>,
    /// Makes the rules that most fleets want, except those whose names are taken.
    #[arg(long, exclusive = true)]
    defaults: bool,
    /// Fires for devices that this filter matches. With --update-failed or --reboot-loop: only of these devices.
    #[arg(long)]
    filter: Option<String>,
    /// Fires for devices whose firmware update has failed.
    #[arg(long, conflicts_with_all = ["reboot_loop", "disk", "store", "certificate"])]
    update_failed: bool,
    /// Fires for devices that register anew so many times within so long, as in 5/10m
    #[arg(long, value_name = "TIMES/DURATION", conflicts_with_all = ["disk", "store", "certificate"])]
    reboot_loop: Option<String>,
    /// Fires when less than so many percent of the disk are free.
    #[arg(long, value_name = "PERCENT", conflicts_with_all = ["filter", "store", "certificate"])]
    disk: Option<u32>,
    /// Fires when the store can't be written.
    #[arg(long, conflicts_with_all = ["filter", "certificate"])]
    store: bool,
    /// Fires when a certificate ends within so many days.
    #[arg(long, value_name = "DAYS", conflicts_with = "filter")]
    certificate: Option<u32>,
    /// How bad it is: info, warning or critical
    #[arg(long, default_value = "warning")]
    severity: String,
    /// For how long it has to be so before it fires, as in 30s, 5m, 2h, 1d
    #[arg(long = "for", value_name = "DURATION", default_value = "0s")]
    hold: String,
    /// For how long it must not be so before it is over.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    resolve_after: String,
    /// When it is told as flapping: so many times within so long.
    #[arg(long, value_name = "TIMES/DURATION", default_value = "4/1h")]
    flapping: String,
    /// Tells receivers again after so long, until somebody takes note of it.
    #[arg(long, value_name = "DURATION")]
    repeat: Option<String>,
    /// Who is told; all receivers without it. May be given several times.
    #[arg(long = "to", value_name = "RECEIVER")]
    receivers: Vec<String>,
    /// What it means, and what to do.
    #[arg(long, default_value = "")]
    description: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum SilenceVerb {
    /// Lists the silences.
    List,
    /// Silences alerts from now on.
    Add(AddSilence),
    /// Ends a silence.
    Remove(Id),
}

#[derive(Debug, clap::Args)]
pub(super) struct Id {
    /// Its id.
    id: u64,
}

#[derive(Debug, clap::Args)]
pub(super) struct AddSilence {
    /// Only alerts of this rule.
    #[arg(long)]
    rule: Option<String>,
    /// Only alerts of devices that this filter matches.
    #[arg(long)]
    filter: Option<String>,
    /// For how long, as in 30m, 2h, 1d
    #[arg(long = "for", value_name = "DURATION")]
    duration: String,
    /// Why.
    #[arg(long)]
    comment: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Deliveries {
    /// Only those to this receiver.
    #[arg(long)]
    receiver: Option<String>,
    /// Only those in this state: waiting, delivered or dead
    #[arg(long)]
    state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// Its id.
    #[arg(required_unless_present = "receiver")]
    id: Option<u64>,
    /// All that were given up for this receiver.
    #[arg(long, conflicts_with = "id")]
    receiver: Option<String>,
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List(args) => list(client, out, args),
        Verb::Ack(args) => acknowledge(client, out, args),
        Verb::Rule(verb) => rules(client, out, verb),
        Verb::Silence(verb) => silences(client, out, verb),
        Verb::Receiver(verb) => receivers::run(client, out, verb),
        Verb::Deliveries(args) => deliveries(client, out, args),
        Verb::Replay(args) => replay(client, out, args),
    }
}

/// A path with those parameters that have a value.
fn with(path: &str, parameters: &[(&str, Option<&str>)], limit: usize) -> String {
    let mut path = format!("{path}?limit={limit}");
    for (name, value) in parameters {
        if let Some(value) = value {
            path += &format!("&{name}={}", encode(value));
        }
    }
    path
}

fn list(client: &Client, out: Output, args: &List) -> anyhow::Result<()> {
    let List { rule, device, state, severity, limit } = args;
    let parameters = [
        ("rule", rule.as_deref()),
        ("endpoint", device.as_deref()),
        ("state", state.as_deref()),
        ("severity", severity.as_deref()),
    ];
    let page: Page<Alert> = client.get(&with("/api/v1/alerts", &parameters, *limit))?;
    out.print(&page.items, || {
        let rows = page.items.iter().map(|alert| {
            let subject = alert.endpoint.clone().or(alert.part.clone()).unwrap_or_default();
            let mut state = alert.state.name().to_owned();
            if alert.silenced {
                state += ", silenced";
            }
            if let Some(by) = &alert.acknowledged {
                state += &format!(", seen by {}", by.by);
            }
            let since = format!("{} ago", ago(alert.since));
            [
                alert.severity.name().to_owned(),
                alert.rule.clone(),
                subject,
                state,
                since,
                alert.detail.clone(),
            ]
        });
        table(&["SEVERITY", "RULE", "SUBJECT", "STATE", "SINCE", "DETAIL"], rows);
        if page.next.is_some() {
            note("there are more; --limit shows them, up to 1000");
        }
    })
}

fn acknowledge(client: &Client, out: Output, args: &Acknowledge) -> anyhow::Result<()> {
    let Acknowledge { rule, subject, comment } = args;
    let wanted = AcknowledgeAlerts { rule: rule.clone(), subject: subject.clone(), comment: comment.clone() };
    let done: AcknowledgedAlerts = client.send_json(Method::POST, "/api/v1/alerts/acknowledge", &wanted)?;
    out.print(&done, || note(format_args!("noted: {} alerts", done.acknowledged)))
}

fn rules(client: &Client, out: Output, verb: &RuleVerb) -> anyhow::Result<()> {
    match verb {
        RuleVerb::List => {
            let rules = client.get::<Page<AlertRule>>("/api/v1/alert-rules")?.items;
            out.print(&rules, || print_rules(&rules))
        }
        RuleVerb::Show(Name { name }) => {
            let rule: AlertRule = client.get(&format!("/api/v1/alert-rules/{}", encode(name)))?;
            out.print(&rule, || print_rules(std::slice::from_ref(&rule)))
        }
        RuleVerb::Add(args) if args.defaults => {
            let made: Page<AlertRule> = client.call(Method::POST, "/api/v1/alert-rules/defaults", "", &[])?;
            out.print(&made.items, || print_rules(&made.items))
        }
        RuleVerb::Add(args) => {
            let path = format!("/api/v1/alert-rules/{}", encode(args.name.as_deref().unwrap_or_default()));
            let rule: AlertRule = client.send_json(Method::PUT, &path, &wanted(args)?)?;
            out.print(&rule, || print_rules(std::slice::from_ref(&rule)))
        }
        RuleVerb::Remove(Name { name }) => {
            let path = format!("/api/v1/alert-rules/{}", encode(name));
            client.call::<Value>(Method::DELETE, &path, "", &[])?;
            out.print(&json!({"removed": name}), || note(format_args!("the rule {name} is removed")))
        }
    }
}

fn wanted(args: &AddRule) -> anyhow::Result<PutAlertRule> {
    let filter = args.filter.clone();
    let week = 7 * 24 * 60 * 60;
    let condition = match args {
        AddRule { update_failed: true, .. } => {
            AlertCondition::UpdateFailed { filter: filter.unwrap_or_default(), clears_after: week }
        }
        AddRule { reboot_loop: Some(text), .. } => {
            let (times, within) = times_within(text)?;
            AlertCondition::RebootLoop { filter: filter.unwrap_or_default(), times, within }
        }
        AddRule { disk: Some(free_percent), .. } => AlertCondition::Disk { free_percent: *free_percent },
        AddRule { store: true, .. } => AlertCondition::Store,
        AddRule { certificate: Some(days), .. } => AlertCondition::Certificate { days: *days },
        _ => match filter {
            Some(filter) => AlertCondition::Filter { filter },
            None => return Err(wrong("say what the rule looks for: --filter, --update-failed, --reboot-loop, --disk, --store or --certificate".into())),
        },
    };
    let (times, within) = times_within(&args.flapping)?;
    Ok(PutAlertRule {
        condition,
        severity: severity(&args.severity)?,
        description: args.description.clone(),
        hold: seconds(&args.hold)?,
        resolve_after: seconds(&args.resolve_after)?,
        flapping: AlertFlapping { times, within },
        repeat: args.repeat.as_deref().map(seconds).transpose()?,
        receivers: args.receivers.clone(),
    })
}

pub(super) fn severity(text: &str) -> anyhow::Result<AlertSeverity> {
    Ok(match text {
        "info" => AlertSeverity::Info,
        "warning" => AlertSeverity::Warning,
        "critical" => AlertSeverity::Critical,
        other => {
            return Err(wrong(format!("{other:?} is no severity; there are info, warning and critical")));
        }
    })
}

/// A duration in seconds, written as in filters: a number and a unit.
pub(super) fn seconds(text: &str) -> anyhow::Result<u64> {
    let at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(no_duration(text)),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.ok_or_else(|| no_duration(text))
}

fn times_within(text: &str) -> anyhow::Result<(u32, u64)> {
    let parts = text.split_once('/').and_then(|(times, within)| Some((times.parse().ok()?, within)));
    match parts {
        Some((times, within)) => Ok((times, seconds(within)?)),
        None => Err(wrong(format!("{text:?} has to be a number and a duration, as in 5/10m"))),
    }
}

fn no_duration(text: &str) -> anyhow::Error {
    wrong(format!("{text:?} is no duration; write it as in 30s, 5m, 2h, 1d or 1w"))
}

/// The command line is wrong.
fn wrong(reason: String) -> anyhow::Error {
    NotDone::error(Exit::WrongUse, reason)
}

/// A duration in words, in the largest unit that divides it.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

fn print_rules(rules: &[AlertRule]) {
    let rows = rules.iter().map(|rule| {
        let AlertRule { name, rule, firing, is_full, fault } = rule;
        let firing = if *is_full { format!("{firing} and more") } else { firing.to_string() };
        let to = if rule.receivers.is_empty() { "all".to_owned() } else { rule.receivers.join(" ") };
        let mut when = when(&rule.condition);
        if let Some(fault) = fault {
            when += &format!(" (can't be used: {fault})");
        }
        [name.clone(), rule.severity.name().to_owned(), firing, duration(rule.hold), to, when]
    });
    table(&["RULE", "SEVERITY", "FIRING", "FOR", "TO", "WHEN"], rows);
}

fn when(condition: &AlertCondition) -> String {
    let of = |filter: &str| if filter.is_empty() { String::new() } else { format!(" of {filter}") };
    match condition {
        AlertCondition::Filter { filter } => filter.clone(),
        AlertCondition::UpdateFailed { filter, .. } => format!("an update{} failed", of(filter)),
        AlertCondition::RebootLoop { filter, times, within } => {
            format!("{times} registrations{} within {}", of(filter), duration(*within))
        }
        AlertCondition::Disk { free_percent } => format!("less than {free_percent} % of the disk are free"),
        AlertCondition::Store => "the store can't be written".into(),
        AlertCondition::Certificate { days } => format!("a certificate ends within {days} days"),
        _ => "something that this program doesn't know".into(),
    }
}

fn silences(client: &Client, out: Output, verb: &SilenceVerb) -> anyhow::Result<()> {
    match verb {
        SilenceVerb::List => {
            let silences = client.get::<Page<AlertSilence>>("/api/v1/alert-silences")?.items;
            out.print(&silences, || print_silences(&silences))
        }
        SilenceVerb::Add(AddSilence { rule, filter, duration, comment }) => {
            let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
            let wanted = AddAlertSilence {
                rule: rule.clone(),
                filter: filter.clone(),
                from: None,
                until: now.saturating_add(seconds(duration)?.saturating_mul(1000)),
                comment: comment.clone(),
            };
            let made: AlertSilence = client.send_json(Method::POST, "/api/v1/alert-silences", &wanted)?;
            out.print(&made, || print_silences(std::slice::from_ref(&made)))
        }
        SilenceVerb::Remove(Id { id }) => {
            client.call::<Value>(Method::DELETE, &format!("/api/v1/alert-silences/{id}"), "", &[])?;
            out.print(&json!({"removed": id}), || note(format_args!("the silence {id} is over")))
        }
    }
}

fn print_silences(silences: &[AlertSilence]) {
    let rows = silences.iter().map(|silence| {
        let or_all = |text: &Option<String>| text.clone().unwrap_or_else(|| "all".into());
        let until = time(i64::try_from(silence.until).unwrap_or(i64::MAX));
        let state = if silence.active { "active" } else { "not active" };
        [
            silence.id.to_string(),
            state.into(),
            until,
            or_all(&silence.rule),
            or_all(&silence.filter),
            silence.author.clone(),
            silence.comment.clone(),
        ]
    });
    table(&["ID", "STATE", "UNTIL", "RULE", "DEVICES", "BY", "WHY"], rows);
}

fn deliveries(client: &Client, out: Output, args: &Deliveries) -> anyhow::Result<()> {
    let Deliveries { receiver, state, limit } = args;
    let parameters = [("receiver", receiver.as_deref()), ("state", state.as_deref())];
    let page: Page<AlertDelivery> = client.get(&with("/api/v1/alert-deliveries", &parameters, *limit))?;
    out.print(&page.items, || {
        let rows = page.items.iter().map(|delivery| {
            [
                delivery.id.to_string(),
                delivery.receiver.clone(),
                delivery.rule.clone(),
                delivery.state.name().to_owned(),
                format!("{}/{}/{}", delivery.firing, delivery.flapping, delivery.resolved),
                delivery.attempts.to_string(),
                delivery.error.clone(),
            ]
        });
        table(&["ID", "RECEIVER", "RULE", "STATE", "FIRING/FLAPPING/RESOLVED", "ATTEMPTS", "ERROR"], rows);
    })
}

fn replay(client: &Client, out: Output, args: &Replay) -> anyhow::Result<()> {
    let ids = match (args.id, &args.receiver) {
        (Some(id), _) => vec![id],
        (None, receiver) => {
            let parameters = [("receiver", receiver.as_deref()), ("state", Some("dead"))];
            let dead: Page<AlertDelivery> =
                client.get(&with("/api/v1/alert-deliveries", &parameters, 1000))?;
            // The oldest first, as they were meant to come.
            dead.items.iter().rev().map(|delivery| delivery.id).collect()
        }
    };
    for id in &ids {
        client.call::<Value>(Method::POST, &format!("/api/v1/alert-deliveries/{id}/replay"), "", &[])?;
    }
    out.print(&json!({"replayed": ids}), || note(format_args!("{} messages are sent again", ids.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_in_the_same_form() {
        for text in ["0s", "45s", "5m", "2h", "3d"] {
            assert_eq!(duration(seconds(text).unwrap()), text);
        }
        assert_eq!(times_within("5/10m").unwrap(), (5, 600));
        for wrong in ["", "5", "m", "5 m", "-5m", "99999999999999999999w", "5y"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
