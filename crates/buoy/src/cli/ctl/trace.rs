//! The CoAP messages of a device, live: `buoy ctl trace`.

mod pcap;

use std::path::PathBuf;

use anyhow::Context;
use buoy_api::TracedMessage;
use buoy_api::client::{Client, encode};

use super::events::words as event_words;
use super::output::{Output, note, time};
use pcap::Capture;

/// The events that are shown between the messages.
const EVENTS: &str = "dtls,registered,updated,deregistered,expired,awake,sleeping,refused,bootstrap";
/// The letters of a payload that are shown.
const SHOWN: usize = 120;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The device.
    endpoint: String,
    /// Ends after so many messages.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Writes the messages into a file that Wireshark and tshark read. They are in it as they are after decryption, as UDP datagrams between
    /// the device's address and port 5683.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

pub(super) fn follow(client: &Client, out: Output, args: &Args) -> anyhow::Result<()> {
    let device = client.device(&args.endpoint)?;
    let address = device.registration.as_ref().and_then(|it| it.address.parse().ok());
    if device.registration.is_none() {
        note(format_args!("{} is not registered; its messages are shown when it is", args.endpoint));
    }
    let mut capture = match &args.pcap {
        None => None,
        Some(path) => {
            let made = Capture::create(path, address);
            Some(made.with_context(|| format!("{} cannot be written", path.display()))?)
        }
    };
    show_events(client.clone(), out, args.endpoint.clone());
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut failure = None;
    let path = format!("/api/v1/devices/{}/trace", encode(&args.endpoint));
    client.follow(&path, |_, data| {
        // What a newer server tells in another form is ignored.
        let Ok(message) = serde_json::from_str::<TracedMessage>(data) else { return true };
        let shown = out.print_line(&message, || lines(&message));
        let written = capture.as_mut().map_or(Ok(()), |capture| capture.add(&message));
        failure = shown.and(written).err();
        left -= 1;
        left > 0 && failure.is_none()
    })?;
    failure.map_or(Ok(()), Err)
}

/// What happens besides messages, until the program ends: DTLS sessions, registrations, refusals.
fn show_events(client: Client, out: Output, endpoint: String) {
    std::thread::spawn(move || {
        let followed = client.events(Some(&endpoint), Some(EVENTS), |told| {
            let lines = || vec![format!("{}  · {}", time(told.at as i64), event_words(&told.event))];
            out.print_line(&told, lines).is_ok()
        });
        if let Err(error) = followed {
            note(format_args!("events are not shown any more: {error}"));
        }
    });
}

/// As in `→ CON GET 3/0/3  mid 4711 token 0a`: the arrow points to the device.
fn lines(message: &TracedMessage) -> Vec<String> {
    let arrow = if message.incoming { "←" } else { "→" };
    let of = |name: &'static str| message.options.iter().filter(move |option| option.name == name);
    let path = of("Uri-Path").map(|option| option.value.as_str()).collect::<Vec<_>>().join("/");
    let query = of("Uri-Query").map(|option| option.value.as_str()).collect::<Vec<_>>().join("&");
    let mut target = if path.is_empty() { String::new() } else { format!(" /{path}") };
    if !query.is_empty() {
        target += &format!("?{query}");
    }
    let at = time(message.at as i64);
    let (kind, code) = (&message.kind, words(&message.code));
    let ids = format!("mid {} token {}", message.message_id, message.token);
    let mut lines = vec![format!("{at}  {arrow} {kind} {code}{target}  {ids}")];
    let others = message.options.iter().filter(|option| !option.name.starts_with("Uri-"));
    let others = others.map(|option| format!("{} {}", option.name, option.value)).collect::<Vec<_>>();
    if !others.is_empty() {
        lines.push(format!("      {}", others.join(", ")));
    }
    if let Some(payload) = &message.payload {
        let cut: String = payload.chars().take(SHOWN).collect();
        let more = if cut.len() < payload.len() { " …" } else { "" };
        lines.push(format!("      {cut}{more}"));
    }
    lines
}

/// The words of the code registry (RFC 7252 section 12.1), for those that are seen most.
fn words(code: &str) -> String {
    let words = match code {
        "0.00" => "empty",
        "0.01" => "GET",
        "0.02" => "POST",
        "0.03" => "PUT",
        "0.04" => "DELETE",
        "0.05" => "FETCH",
        "0.06" => "PATCH",
        "0.07" => "iPATCH",
        "2.01" => "2.01 Created",
        "2.02" => "2.02 Deleted",
        "2.03" => "2.03 Valid",
        "2.04" => "2.04 Changed",
        "2.05" => "2.05 Content",
        "2.31" => "2.31 Continue",
        "4.00" => "4.00 Bad Request",
        "4.01" => "4.01 Unauthorized",
        "4.03" => "4.03 Forbidden",
        "4.04" => "4.04 Not Found",
        "4.05" => "4.05 Method Not Allowed",
        "4.06" => "4.06 Not Acceptable",
        "4.08" => "4.08 Request Entity Incomplete",
        "5.00" => "5.00 Internal Server Error",
        other => other,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_line_with_what_it_asks_for() {
        let option =
            |name: &str, value: &str| buoy_api::TracedOption { name: name.into(), value: value.into() };
        let message = TracedMessage {
            at: 1_795_466_474_000,
            incoming: false,
            kind: "CON".into(),
            code: "0.01".into(),
            message_id: 7,
            token: "0a".into(),
            options: vec![option("Uri-Path", "3"), option("Uri-Path", "0"), option("Accept", "112")],
            payload: Some("x".repeat(200)),
            bytes: String::new(),
        };
        let lines = lines(&message);
        assert_eq!(lines[0], "2026-11-23T20:41:14Z  → CON GET /3/0  mid 7 token 0a");
        assert_eq!(lines[1], "      Accept 112");
        assert!(lines[2].ends_with("x …"), "{}", lines[2]);
    }
}
