//! Receivers of alerts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use buoy_api::client::{Client, encode};
use buoy_api::{
    AlertReceiver, AlertReceiverTest, AlertTarget, NewAlertReceiver, Page, PutAlertReceiver, Secret,
};
use clap::Subcommand;
use serde_json::{Value, json};
use ureq::http::Method;

use super::alerts::{seconds, severity};
use super::exit::{Exit, NotDone};
use super::output::{Output, line, note, table, time};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the receivers.
    List,
    /// Shows one receiver.
    Show(Name),
    /// Makes a receiver, or changes one.
    Add(Box<Add>),
    /// Removes a receiver, with the messages that wait for it.
    Remove(Name),
    /// Sends a test to a receiver, and says how that ended.
    Test(Name),
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The name.
    name: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its name.
    name: String,
    /// Posts JSON, signed, to this URL. A receiver that is there keeps its place and its secrets if no place is given.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// A file with the secret by which messages are signed [default: the one that it has, or one that the server makes and shows once]
    #[arg(long, value_name = "FILE", requires = "webhook")]
    secret_file: Option<PathBuf>,
    /// Posts a text to this incoming webhook of Slack, or of what takes the same.
    #[arg(long, value_name = "URL", conflicts_with = "webhook")]
    slack: Option<String>,
    /// Sends mail to this address. May be given several times.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["webhook", "slack"], requires_all = ["smtp", "from"])]
    email: Vec<String>,
    /// Where mail is handed in: smtps://HOST (TLS), smtp://HOST (STARTTLS), or smtp+plain://HOST (without TLS)
    #[arg(long, value_name = "URL", requires = "email")]
    smtp: Option<String>,
    /// From whom mail comes.
    #[arg(long, value_name = "ADDRESS", requires = "email")]
    from: Option<String>,
    /// Publishes JSON to a topic of this broker of MQTT 5: mqtts://HOST (TLS), or mqtt://HOST (without)
    #[arg(long, value_name = "URL", conflicts_with_all = ["webhook", "slack", "email", "nats"], requires = "topic")]
    mqtt: Option<String>,
    /// Publishes JSON to a subject of this server of NATS: tls://HOST (TLS), or nats://HOST (without)
    #[arg(long, value_name = "URL", conflicts_with_all = ["webhook", "slack", "email"], requires = "topic")]
    nats: Option<String>,
    /// The topic of MQTT, or the subject of NATS.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["webhook", "slack", "email"])]
    topic: Option<String>,
    /// The name with which to sign in to the server of mail, MQTT or NATS.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["webhook", "slack"])]
    user: Option<String>,
    /// A file with the password for it [default: the one that the receiver has]
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Only alerts that are at least so bad: info, warning or critical
    #[arg(long, default_value = "info")]
    severity: String,
    /// For how long a message waits for more alerts of its rule.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    group_wait: String,
    /// After how long a message that is not accepted is given up.
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    give_up_after: String,
}

pub(super) fn run(client: &Client, out: Output, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::List => {
            let receivers = client.get::<Page<AlertReceiver>>("/api/v1/alert-receivers")?.items;
            out.print(&receivers, || print(&receivers))
        }
        Verb::Show(Name { name }) => {
            let receiver: AlertReceiver = client.get(&path(name))?;
            out.print(&receiver, || print(std::slice::from_ref(&receiver)))
        }
        Verb::Add(args) => add(client, out, args),
        Verb::Remove(Name { name }) => {
            client.call::<Value>(Method::DELETE, &path(name), "", &[])?;
            out.print(&json!({"removed": name}), || note(format_args!("the receiver {name} is removed")))
        }
        Verb::Test(Name { name }) => test(client, out, name),
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/alert-receivers/{}", encode(name))
}

fn add(client: &Client, out: Output, args: &Add) -> anyhow::Result<()> {
    let wanted = PutAlertReceiver {
        target: target(args)?,
        severity: severity(&args.severity)?,
        group_wait: seconds(&args.group_wait)?,
        give_up_after: seconds(&args.give_up_after)?,
    };
    let made: NewAlertReceiver = client.send_json(Method::PUT, &path(&args.name), &wanted)?;
    out.print(&made, || match &made.secret {
        Some(secret) => {
            line(secret.reveal());
            note("this is the secret by which messages are signed; it is not shown again");
        }
        None => print(std::slice::from_ref(&made.receiver)),
    })
}

fn target(args: &Add) -> anyhow::Result<Option<AlertTarget>> {
    let secret = |text: &String| Secret::new(text.clone());
    if let Some(url) = &args.webhook {
        let secret_of = args.secret_file.as_deref().map(read_secret).transpose()?;
        return Ok(Some(AlertTarget::Webhook { url: secret(url), secret: secret_of }));
    }
    if let Some(url) = &args.slack {
        return Ok(Some(AlertTarget::Slack { url: secret(url) }));
    }
    let password = args.password_file.as_deref().map(read_secret).transpose()?;
    if let (Some(server), Some(topic)) = (&args.mqtt, &args.topic) {
        let (server, topic, user) = (server.clone(), topic.clone(), args.user.clone());
        return Ok(Some(AlertTarget::Mqtt { server, topic, user, password }));
    }
    if let (Some(server), Some(subject)) = (&args.nats, &args.topic) {
        let (server, subject, user) = (server.clone(), subject.clone(), args.user.clone());
        return Ok(Some(AlertTarget::Nats { server, subject, user, password }));
    }
    if args.email.is_empty() {
        return Ok(None);
    }
    let (Some(server), Some(from)) = (&args.smtp, &args.from) else {
        return Err(NotDone::error(Exit::WrongUse, "mail needs --smtp and --from"));
    };
    Ok(Some(AlertTarget::Email {
        server: server.clone(),
        user: args.user.clone(),
        password,
        from: from.clone(),
        to: args.email.clone(),
    }))
}

/// The text of a file, without the end of its last line. A secret on the command line would be seen by others.
fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn test(client: &Client, out: Output, name: &str) -> anyhow::Result<()> {
    let path = format!("{}/test", path(name));
    let tested: AlertReceiverTest = client.call(Method::POST, &path, "", &[])?;
    out.print(&tested, || {
        if tested.accepted {
            note(format_args!("{name}: {}", tested.detail));
        }
    })?;
    if tested.accepted {
        Ok(())
    } else {
        Err(NotDone::error(Exit::Refused, format!("{name}: {}", tested.detail)))
    }
}

fn print(receivers: &[AlertReceiver]) {
    let rows = receivers.iter().map(|receiver| {
        let accepted = receiver
            .accepted_at
            .map_or_else(|| "-".to_owned(), |at| time(i64::try_from(at).unwrap_or(i64::MAX)));
        [
            receiver.name.clone(),
            receiver.kind.clone(),
            receiver.target.clone(),
            receiver.severity.name().to_owned(),
            receiver.waiting.to_string(),
            receiver.dead.to_string(),
            accepted,
            receiver.error.clone(),
        ]
    });
    table(&["RECEIVER", "KIND", "TARGET", "FROM", "WAITING", "GIVEN UP", "LAST ACCEPTED", "ERROR"], rows);
}
