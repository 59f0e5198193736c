//! Brokers of messages: where they are, and a connection to one.

use std::time::Duration;

use buoy_fleet::alerts::deliveries::Attempt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::{self, Network, NoConnection};
use super::receivers::ReceiverFault;
use super::tls::Authorities;

/// How long all of an exchange may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_secure: bool,
}

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Why a message was not published.
pub(super) enum Fault {
    /// It may be later.
    Failed(String),
    /// It will never be.
    Refused(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(format!("the connection broke: {error}"))
    }
}

impl Broker {
    pub(super) fn mqtt(text: &str) -> Result<Self, ReceiverFault> {
        Self::parse(text, [("mqtts", 8883), ("mqtt", 1883)])
    }

    pub(super) fn nats(text: &str) -> Result<Self, ReceiverFault> {
        Self::parse(text, [("tls", 4222), ("nats", 4222)])
    }

    /// Reads the URL of a server. The first scheme is the secure one.
    fn parse(text: &str, schemes: [(&str, u16); 2]) -> Result<Self, ReceiverFault> {
        let [(secure, _), (plain, _)] = schemes;
        let wrong = || {
            ReceiverFault::Url(format!(
                "the server {:?} is wrong; write it as in {secure}://broker.example.org or {plain}://broker.example.org",
                text.chars().take(80).collect::<String>()
            ))
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let known = schemes.into_iter().find(|(known, _)| *known == scheme);
        let (_, port) = known.ok_or_else(wrong)?;
        let authority: hyper::http::uri::Authority =
            rest.trim_end_matches('/').parse().map_err(|_| wrong())?;
        if authority.as_str().contains('@') || authority.host().is_empty() || text.len() > 1024 {
            return Err(wrong());
        }
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { host: authority.host().to_owned(), port, is_secure: scheme == secure })
    }

    /// Connects to an address that is checked.
    pub(super) async fn connect(&self, allowed: &[Network]) -> Result<TcpStream, Fault> {
        let connected = address::connect(&self.host, self.port, allowed).await;
        connected.map_err(|error| match error {
            NoConnection::Forbidden(_) => Fault::Refused(error.to_string()),
            NoConnection::Failed(why) => Fault::Failed(why),
        })
    }

    /// Makes a connection secure, if it is to be.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        authorities: &Authorities,
    ) -> Result<Box<dyn Stream>, Fault> {
        if !self.is_secure {
            return Ok(Box::new(stream));
        }
        let secured = authorities.secure(&self.host, stream).await;
        Ok(Box::new(secured.map_err(Fault::Failed)?))
    }
}

/// How an exchange ended, which ends in time.
pub(super) async fn within_patience(exchange: impl Future<Output = Result<(), Fault>>) -> Attempt {
    let failed = |error| Attempt::Failed { error, retry_after: None };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(Ok(())) => Attempt::Accepted,
        Ok(Err(Fault::Failed(why))) => failed(why),
        Ok(Err(Fault::Refused(why))) => Attempt::Refused(why),
        Err(_) => failed(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_a_url() {
        let of = |host: &str, port, is_secure| Broker { host: host.to_owned(), port, is_secure };
        assert_eq!(Broker::mqtt("mqtts://b.example.org").unwrap(), of("b.example.org", 8883, true));
        assert_eq!(Broker::mqtt("mqtt://[::1]:1884/").unwrap(), of("[::1]", 1884, false));
        assert_eq!(Broker::nats("tls://b.example.org").unwrap(), of("b.example.org", 4222, true));
        for wrong in ["b.example.org", "nats://b.example.org", "mqtt://", "mqtt://a@b", "mqtt://a b"] {
            assert!(Broker::mqtt(wrong).is_err(), "{wrong}");
        }
    }
}
