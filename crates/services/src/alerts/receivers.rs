//! Receivers as they are saved: what may be shown, and the target with its secrets, which is sealed with the key file.

use std::fmt;

use buoy_api as api;
use buoy_api::{AlertTarget, Secret};
use hyper::Uri;
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::broker::Broker;
use crate::hex;
use crate::keyfile::{OpenError, Sealer};

/// The shortest secret of a webhook, in characters, and the longest.
const SHORTEST_SECRET: usize = 16;
const LONGEST_TEXT: usize = 1024;
/// Bytes of a secret that the server makes.
const MADE_SECRET: usize = 32;
/// The most addresses of mail.
const MOST_ADDRESSES: usize = 20;

/// A receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReceiverRecord {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// What is shown of its target.
    pub(crate) target: String,
    /// The target without its secrets, if it can be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<AlertTarget>,
    pub(crate) severity: api::AlertSeverity,
    pub(crate) group_wait: u64,
    pub(crate) give_up_after: u64,
    /// The target, sealed, in hexadecimal digits.
    pub(crate) sealed: String,
    pub(crate) created_at: u64,
}

/// Why a receiver can't be set up.
#[derive(Debug)]
pub enum ReceiverFault {
    /// A new receiver has no target.
    NoTarget,
    /// A URL is wrong.
    Url(String),
    /// A secret is too short, or too long.
    Secret,
    /// A name or a password is too long.
    SignIn,
    /// A topic or a subject is wrong.
    Topic,
    /// An address of mail is wrong.
    Address(String),
    /// There are too many addresses, or none.
    Addresses,
    /// A time is out of its range.
    Range(&'static str),
    /// The system failed.
    Failed(anyhow::Error),
}

impl fmt::Display for ReceiverFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => {
                f.write_str("\"target\" is missing: a receiver that is not known yet needs one")
            }
            Self::Url(why) => f.write_str(why),
            Self::Secret => {
                write!(
                    f,
                    "a secret has {SHORTEST_SECRET} to {LONGEST_TEXT} characters, of ASCII and without blanks"
                )
            }
            Self::SignIn => write!(f, "a name and a password may have {LONGEST_TEXT} bytes"),
            Self::Topic => {
                f.write_str("a topic or a subject has 1 to 255 bytes and no wildcard, and a subject no blank")
            }
            Self::Address(why) => f.write_str(why),
            Self::Addresses => write!(f, "\"to\" has 1 to {MOST_ADDRESSES} addresses"),
            Self::Range(which) => f.write_str(which),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for ReceiverFault {}

impl ReceiverRecord {
    /// Checks what is wanted, and seals it. Returns the secret, if the server made one.
    pub(super) fn new(
        name: &str,
        wanted: api::PutAlertReceiver,
        before: Option<&Self>,
        sealer: &Sealer,
        now: u64,
    ) -> Result<(Self, Option<Secret>), ReceiverFault> {
        let api::PutAlertReceiver { target, severity, group_wait, give_up_after } = wanted;
        if group_wait > 3600 {
            return Err(ReceiverFault::Range("group_wait has to be 0 to 3600 seconds"));
        }
        if !(10..=604_800).contains(&give_up_after) {
            return Err(ReceiverFault::Range("give_up_after has to be 10 to 604800 seconds"));
        }
        let kept = before.and_then(|before| before.open(sealer).ok());
        let target = target.or_else(|| kept.clone()).ok_or(ReceiverFault::NoTarget)?;
        let (target, made) = completed(target, kept)?;
        let (kind, shown) = check(&target)?;
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(&target).unwrap_or_default());
        let sealed = sealer.seal(&name_of_receiver(name), &plain).map_err(ReceiverFault::Failed)?;
        let record = Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            target: shown,
            settings: without_secrets(&target),
            severity,
            group_wait,
            give_up_after,
            sealed: hex::encode(&sealed),
            created_at: before.map_or(now, |before| before.created_at),
        };
        Ok((record, made))
    }

    /// Its target, with its secrets.
    pub(super) fn open(&self, sealer: &Sealer) -> Result<AlertTarget, OpenError> {
        let sealed = hex::decode(&self.sealed).unwrap_or_default();
        let plain = sealer.open(&name_of_receiver(&self.name), &sealed)?;
        serde_json::from_slice(&plain).map_err(|_| OpenError::Forged)
    }

    /// The settings of its queue.
    pub(super) fn queue(&self) -> buoy_fleet::alerts::deliveries::Settings {
        buoy_fleet::alerts::deliveries::Settings {
            group_wait: self.group_wait,
            give_up_after: self.give_up_after,
        }
    }
}

/// The name under which a receiver's target is sealed.
pub(crate) fn name_of_receiver(name: &str) -> Vec<u8> {
    [b"alert receiver ", name.as_bytes()].concat()
}

/// A target as it may be shown, if more than its host may be.
fn without_secrets(target: &AlertTarget) -> Option<AlertTarget> {
    let mut shown = target.clone();
    match &mut shown {
        AlertTarget::Email { password, .. }
        | AlertTarget::Mqtt { password, .. }
        | AlertTarget::Nats { password, .. } => *password = None,
        _ => return None,
    }
    Some(shown)
}

/// With the secrets that the receiver has at the same place, or a new one.
fn completed(
    target: AlertTarget,
    kept: Option<AlertTarget>,
) -> Result<(AlertTarget, Option<Secret>), ReceiverFault> {
    match (target, kept) {
        (AlertTarget::Webhook { url, secret: None }, Some(AlertTarget::Webhook { url: old, secret }))
            if url == old =>
        {
            Ok((AlertTarget::Webhook { url, secret }, None))
        }
        (AlertTarget::Webhook { url, secret: None }, _) => {
            let mut bytes = zeroize::Zeroizing::new([0; MADE_SECRET]);
            getrandom::fill(&mut *bytes)
                .map_err(|error| ReceiverFault::Failed(anyhow::anyhow!("no random numbers: {error}")))?;
            let secret = Secret::new(hex::encode(&*bytes));
            Ok((AlertTarget::Webhook { url, secret: Some(secret.clone()) }, Some(secret)))
        }
        // A password goes to the server for which it was given, and to no other.
        (
            AlertTarget::Email { server, user, password: None, from, to },
            Some(AlertTarget::Email { server: old, user: old_user, password, .. }),
        ) if server == old && user == old_user => {
            Ok((AlertTarget::Email { server, user, password, from, to }, None))
        }
        (
            AlertTarget::Mqtt { server, topic, user, password: None },
            Some(AlertTarget::Mqtt { server: old, user: old_user, password, .. }),
        ) if server == old && user == old_user => {
            Ok((AlertTarget::Mqtt { server, topic, user, password }, None))
        }
        (
            AlertTarget::Nats { server, subject, user, password: None },
            Some(AlertTarget::Nats { server: old, user: old_user, password, .. }),
        ) if server == old && user == old_user => {
            Ok((AlertTarget::Nats { server, subject, user, password }, None))
        }
        (target, _) => Ok((target, None)),
    }
}

/// Checks a target. Returns the word for its kind, and what is shown of it.
fn check(target: &AlertTarget) -> Result<(&'static str, String), ReceiverFault> {
    match target {
        AlertTarget::Webhook { url, secret } => {
            let length = secret.as_ref().map_or(0, |secret| secret.reveal().len());
            let is_plain = |secret: &Secret| secret.reveal().bytes().all(|byte| byte.is_ascii_graphic());
            if !(SHORTEST_SECRET..=LONGEST_TEXT).contains(&length) || !secret.as_ref().is_some_and(is_plain) {
                return Err(ReceiverFault::Secret);
            }
            Ok(("webhook", shown(&http_url(url)?)))
        }
        AlertTarget::Slack { url } => Ok(("slack", shown(&http_url(url)?))),
        AlertTarget::Email { server, user, password, from, to } => {
            let server = MailServer::parse(server)?;
            check_sign_in(user.as_deref(), password.as_ref())?;
            if !(1..=MOST_ADDRESSES).contains(&to.len()) {
                return Err(ReceiverFault::Addresses);
            }
            for address in to.iter().chain([from]) {
                mailbox(address)?;
            }
            Ok(("email", format!("{} by {}", to.join(", "), server.host)))
        }
        AlertTarget::Mqtt { server, topic, user, password } => {
            let server = Broker::mqtt(server)?;
            check_sign_in(user.as_deref(), password.as_ref())?;
            check_topic(topic, |character| !matches!(character, '+' | '#' | '\0'))?;
            Ok(("mqtt", format!("{topic} at {}", server.host)))
        }
        AlertTarget::Nats { server, subject, user, password } => {
            let server = Broker::nats(server)?;
            check_sign_in(user.as_deref(), password.as_ref())?;
            check_topic(subject, |character| {
                character.is_ascii_graphic() && !matches!(character, '*' | '>')
            })?;
            Ok(("nats", format!("{subject} at {}", server.host)))
        }
        _ => Err(ReceiverFault::Url("this kind of receiver is not known".into())),
    }
}

fn check_sign_in(user: Option<&str>, password: Option<&Secret>) -> Result<(), ReceiverFault> {
    let is_long = |text: Option<&str>| text.is_some_and(|text| text.len() > LONGEST_TEXT);
    let is_wrong = is_long(user) || is_long(password.map(Secret::reveal));
    if is_wrong { Err(ReceiverFault::SignIn) } else { Ok(()) }
}

/// Checks a topic, or a subject: messages go to one, so it has no wildcard.
fn check_topic(topic: &str, is_fine: impl Fn(char) -> bool) -> Result<(), ReceiverFault> {
    let is_topic = (1..=255).contains(&topic.len())
        && topic.chars().all(is_fine)
        && buoy_lwm2m::text::is_harmless(topic);
    if is_topic { Ok(()) } else { Err(ReceiverFault::Topic) }
}

/// An address of mail.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, ReceiverFault> {
    let is_fine = text.len() <= 320 && buoy_lwm2m::text::is_harmless(text);
    let parsed = is_fine.then(|| text.parse::<Mailbox>().ok()).flatten();
    parsed.ok_or_else(|| {
        ReceiverFault::Address(format!(
            "{:?} is no address of mail; write it as in ops@example.org",
            text.chars().take(80).collect::<String>()
        ))
    })
}

/// The URL of a webhook.
pub(super) fn http_url(url: &Secret) -> Result<Uri, ReceiverFault> {
    let wrong =
        |why: &str| ReceiverFault::Url(format!("the URL {why}; write it as in https://example.org/alerts"));
    if url.reveal().len() > LONGEST_TEXT {
        return Err(wrong("is too long"));
    }
    let uri: Uri = url.reveal().parse().map_err(|_| wrong("can't be read"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("begins with neither https:// nor http://"));
    }
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if authority.contains('@') {
        return Err(wrong("has a user or a password in it, which are not sent"));
    }
    match uri.host() {
        None | Some("") => Err(wrong("has no host")),
        Some(_) => Ok(uri),
    }
}

/// A URL without its path, which may be a secret.
fn shown(uri: &Uri) -> String {
    let path = if uri.path() == "/" && uri.query().is_none() { "/" } else { "/…" };
    format!(
        "{}://{}{path}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", |it| it.as_str())
    )
}

/// Where mail is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailServer {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) protection: Protection,
}

/// How a connection for mail is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// TLS from the start.
    Tls,
    /// TLS after STARTTLS, or nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

impl MailServer {
    pub(super) fn parse(text: &str) -> Result<Self, ReceiverFault> {
        let wrong = || {
            ReceiverFault::Url(format!(
                "the server of mail {:?} is wrong; write it as in smtps://mail.example.org or smtp://mail.example.org:587 (STARTTLS)",
                text.chars().take(80).collect::<String>()
            ))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (protection, port) = match scheme {
            "smtps" => (Protection::Tls, 465),
            "smtp" => (Protection::StartTls, 587),
            "smtp+plain" => (Protection::None, 25),
            _ => return Err(wrong()),
        };
        let authority: hyper::http::uri::Authority =
            rest.trim_end_matches('/').parse().map_err(|_| wrong())?;
        if authority.as_str().contains('@') || authority.host().is_empty() || text.len() > LONGEST_TEXT {
            return Err(wrong());
        }
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { host: authority.host().to_owned(), port, protection })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_receiver_is_refused_with_the_reason() {
        let of = |url: &str| http_url(&Secret::new(url.to_owned())).map_err(|fault| fault.to_string());
        assert!(of("https://example.org/a?b=c").is_ok());
        assert!(of("http://[::1]:8080").is_ok());
        assert!(of("ftp://example.org").unwrap_err().contains("neither https:// nor http://"));
        assert!(of("https://user:pass@example.org/").unwrap_err().contains("a user or a password"));
        assert!(of("/relative").unwrap_err().contains("neither"));
        assert!(of("https://exa mple.org").unwrap_err().contains("can't be read"));
        assert!(of("").is_err());
        assert_eq!(shown(&of("https://hooks.example.org/T0/secret").unwrap()), "https://hooks.example.org/…");
    }

    #[test]
    fn what_is_shown_of_a_target_has_no_secret() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let mqtt = |password| AlertTarget::Mqtt {
            server: "mqtts://broker.example.org".into(),
            topic: "buoy/alerts".into(),
            user: Some("buoy".into()),
            password,
        };
        assert_eq!(without_secrets(&mqtt(Some(secret("hidden")))), Some(mqtt(None)));
        assert_eq!(without_secrets(&AlertTarget::Slack { url: secret("https://example.org/T0") }), None);
    }

    #[test]
    fn mail_is_handed_in_over_tls_unless_it_is_said_otherwise() {
        let of = |text: &str| MailServer::parse(text).map(|it| (it.host, it.port, it.protection));
        let host = || "mail.example.org".to_owned();
        assert_eq!(of("smtps://mail.example.org").unwrap(), (host(), 465, Protection::Tls));
        assert_eq!(of("smtp://mail.example.org").unwrap(), (host(), 587, Protection::StartTls));
        assert_eq!(of("smtp+plain://mail.example.org:2525/").unwrap(), (host(), 2525, Protection::None));
        for wrong in ["mail.example.org", "imap://mail.example.org", "smtp://", "smtp://a@b", "smtp://a b"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(mailbox("Ops <ops@example.org>").is_ok());
        assert!(mailbox("ops@example.org\r\nBcc: x@example.org").is_err());
        assert!(mailbox("nobody").is_err());
    }
}
