//! Publishes a message to a subject of NATS: it is accepted when the server has answered a PING that came after it.
//!
//! The part of the protocol that this needs is five lines of text. A client that keeps a connection and follows the servers that it is told of would
//! connect where nobody has checked it.

use buoy_api::Secret;
use buoy_fleet::alerts::deliveries::Attempt;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};

use super::broker::{Broker, Fault, Stream, within_patience};
use super::state::Means;

/// The longest line of a server.
const LONGEST_LINE: u64 = 64 << 10;
/// Lines that are read.
const MOST_LINES: usize = 100;

/// Publishes a message.
pub(super) async fn publish(
    server: &str,
    subject: &str,
    sign_in: Option<(&str, &Secret)>,
    body: Vec<u8>,
    means: &Means,
) -> Attempt {
    match Broker::nats(server) {
        Ok(broker) => within_patience(exchange(&broker, subject, sign_in, body, means)).await,
        Err(fault) => Attempt::Refused(fault.to_string()),
    }
}

async fn exchange(
    broker: &Broker,
    subject: &str,
    sign_in: Option<(&str, &Secret)>,
    body: Vec<u8>,
    means: &Means,
) -> Result<(), Fault> {
    let mut stream = broker.connect(&means.allowed).await?;
    // The server speaks first, and TLS begins after that.
    let greeting = {
        let mut reader = BufReader::with_capacity(1, &mut stream);
        line(&mut reader).await?
    };
    if !matches!(Line::of(&greeting), Line::Info) {
        return Err(Fault::Failed("it is no NATS server".into()));
    }
    let stream: Box<dyn Stream> = broker.secure(stream, &means.authorities).await?;
    let mut stream = BufReader::new(stream);
    let mut hello = json!({
        "verbose": false,
        "pedantic": false,
        "tls_required": broker.is_secure,
        "name": "buoy",
        "lang": "rust",
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1,
    });
    if let Some((user, password)) = sign_in {
        hello["user"] = user.into();
        hello["pass"] = password.reveal().into();
    }
    let mut out = format!("CONNECT {hello}\r\nPUB {subject} {}\r\n", body.len()).into_bytes();
    out.extend_from_slice(&body);
    out.extend_from_slice(b"\r\nPING\r\n");
    stream.write_all(&out).await?;
    stream.flush().await?;
    for _ in 0..MOST_LINES {
        match Line::of(&line(&mut stream).await?) {
            Line::Pong => return Ok(()),
            Line::Ping => {
                stream.write_all(b"PONG\r\n").await?;
                stream.flush().await?;
            }
            Line::Error(why) => return Err(judge(&why)),
            Line::Info | Line::Other => {}
        }
    }
    Err(Fault::Failed("the server says much, and not what it is asked".into()))
}

/// What a line of a server says.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Info,
    Ping,
    Pong,
    Error(String),
    Other,
}

impl Line {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        let word = text.split(char::is_whitespace).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "INFO" => Self::Info,
            "PING" => Self::Ping,
            "PONG" => Self::Pong,
            "-ERR" => {
                let why: String = text.chars().skip(4).take(200).collect();
                Self::Error(buoy_lwm2m::text::harmless(why.trim().trim_matches('\'')).to_string())
            }
            _ => Self::Other,
        }
    }
}

/// Whether it is of use to try again.
fn judge(why: &str) -> Fault {
    let is_final = ["permissions violation", "maximum payload", "invalid subject"];
    let lower = why.to_ascii_lowercase();
    let text = format!("the server refuses it: {why}");
    if is_final.iter().any(|word| lower.contains(word)) { Fault::Refused(text) } else { Fault::Failed(text) }
}

async fn line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Result<Vec<u8>, Fault> {
    let mut line = Vec::new();
    let length = reader.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    match line.last() {
        Some(b'\n') => Ok(line),
        _ if length as u64 == LONGEST_LINE => Err(Fault::Failed("a line of the server is too long".into())),
        _ => Err(Fault::Failed("the server closed the connection".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_server_are_told_apart() {
        for (text, expected) in [
            ("INFO {\"server_id\":\"x\"}\r\n", Line::Info),
            ("PING\r\n", Line::Ping),
            ("pong\r\n", Line::Pong),
            ("+OK\r\n", Line::Other),
            ("", Line::Other),
            ("-ERR 'Authorization Violation'\r\n", Line::Error("Authorization Violation".into())),
            ("-ERR\r\n", Line::Error(String::new())),
        ] {
            assert_eq!(Line::of(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(Line::of(b"\xff\xfe\x00"), Line::Other);
        assert!(matches!(judge("Permissions Violation for Publish to \"x\""), Fault::Refused(_)));
        assert!(matches!(judge("Authorization Violation"), Fault::Failed(_)));
    }
}
