//! Where the server listens, and how devices reach it there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};

use anyhow::Context;
use buoy_net::udp::{self, UdpSocket};
use tokio::net::TcpListener;

/// The ports that are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Listen {
    pub(crate) coap: Option<SocketAddr>,
    pub(crate) coaps: Option<SocketAddr>,
    pub(crate) bootstrap: Option<SocketAddr>,
    pub(crate) bootstraps: Option<SocketAddr>,
    pub(crate) http: SocketAddr,
    /// The name or address by which devices reach this machine.
    pub(crate) public_host: Option<String>,
}

/// The sockets of all ports.
pub(super) struct Sockets {
    pub(super) shards: Vec<ShardSockets>,
    pub(super) bootstrap: ShardSockets,
    pub(super) http: TcpListener,
}

/// The sockets of one thread.
#[derive(Default)]
pub(super) struct ShardSockets {
    pub(super) plain: Option<UdpSocket>,
    pub(super) secure: Option<UdpSocket>,
}

/// Where the server can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) coap: Option<SocketAddr>,
    pub(crate) coaps: Option<SocketAddr>,
    pub(crate) bootstrap: Option<SocketAddr>,
    pub(crate) bootstraps: Option<SocketAddr>,
    pub(crate) http: SocketAddr,
    public_host: Option<String>,
}

impl Addresses {
    /// Each port with its name and its URI.
    pub(crate) fn listed(&self) -> Vec<(&'static str, String)> {
        let ports = [
            ("CoAP", "coap", self.coap),
            ("CoAPS", "coaps", self.coaps),
            ("Bootstrap", "coap", self.bootstrap),
            ("BootstrapS", "coaps", self.bootstraps),
            ("REST", "http", Some(self.http)),
        ];
        let named = |(name, scheme, address): (_, &str, Option<SocketAddr>)| {
            address.map(|address| (name, format!("{scheme}://{address}")))
        };
        ports.into_iter().filter_map(named).collect()
    }

    /// Where devices find plain CoAP.
    pub(crate) fn coap_uri(&self) -> Option<String> {
        self.coap.map(|address| self.uri("coap", address))
    }

    /// Where devices find CoAP over DTLS.
    pub(crate) fn coaps_uri(&self) -> Option<String> {
        self.coaps.map(|address| self.uri("coaps", address))
    }

    /// Where devices find HTTP.
    pub(crate) fn http_uri(&self) -> String {
        self.uri("http", self.http)
    }

    /// A port as devices reach it: by the name that the operator said, or by the address itself, or, where that is any of the
    /// machine's, by the one of them that leads outside.
    fn uri(&self, scheme: &str, address: SocketAddr) -> String {
        match &self.public_host {
            // What listens on loopback can't be reached by any other name.
            Some(host) if !address.ip().is_loopback() => format!("{scheme}://{host}:{}", address.port()),
            _ if address.ip().is_unspecified() => {
                format!("{scheme}://{}", SocketAddr::new(outward_address(), address.port()))
            }
            _ => format!("{scheme}://{address}"),
        }
    }
}

/// The address from which this machine speaks to others. Nothing is sent to find out.
fn outward_address() -> IpAddr {
    let find = || {
        let socket = StdUdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        // An address for documentation (RFC 5737), so that it belongs to nobody.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    find().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Binds all ports.
pub(super) async fn bind(listen: &Listen, shards: usize) -> anyhow::Result<(Sockets, Addresses)> {
    let plain = bind_udp("CoAP", listen.coap, shards)?;
    let secure = bind_udp("CoAPS", listen.coaps, shards)?;
    let bootstrap = bind_udp("bootstrap", listen.bootstrap, 1)?;
    let bootstraps = bind_udp("bootstrap over DTLS", listen.bootstraps, 1)?;
    let http = TcpListener::bind(listen.http).await.with_context(|| in_use("HTTP", listen.http))?;
    let addresses = Addresses {
        coap: address_of(&plain)?,
        coaps: address_of(&secure)?,
        bootstrap: address_of(&bootstrap)?,
        bootstraps: address_of(&bootstraps)?,
        http: http.local_addr()?,
        public_host: listen.public_host.clone(),
    };
    let mut sockets =
        Sockets { shards: pair(plain, secure, shards), bootstrap: ShardSockets::default(), http };
    sockets.bootstrap = pair(bootstrap, bootstraps, 1).pop().unwrap_or_default();
    Ok((sockets, addresses))
}

fn bind_udp(what: &str, address: Option<SocketAddr>, count: usize) -> anyhow::Result<Vec<UdpSocket>> {
    let Some(address) = address else { return Ok(Vec::new()) };
    udp::bind(address, count).with_context(|| in_use(what, address))
}

fn address_of(sockets: &[UdpSocket]) -> anyhow::Result<Option<SocketAddr>> {
    Ok(sockets.first().map(UdpSocket::local_addr).transpose()?)
}

fn pair(plain: Vec<UdpSocket>, secure: Vec<UdpSocket>, count: usize) -> Vec<ShardSockets> {
    let (mut plain, mut secure) = (plain.into_iter(), secure.into_iter());
    (0..count).map(|_| ShardSockets { plain: plain.next(), secure: secure.next() }).collect()
}

fn in_use(what: &str, address: SocketAddr) -> String {
    format!(
        "the {what} address {address} cannot be had; stop what uses it (perhaps another `buoy serve`), or choose another port"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_an_address_that_they_can_reach() {
        let mut addresses = Addresses {
            coap: Some(([127, 0, 0, 1], 5683).into()),
            coaps: Some(([0, 0, 0, 0], 5684).into()),
            bootstrap: None,
            bootstraps: None,
            http: ([127, 0, 0, 1], 8080).into(),
            public_host: None,
        };
        assert_eq!(addresses.coap_uri().unwrap(), "coap://127.0.0.1:5683");
        assert!(!addresses.coaps_uri().unwrap().contains("0.0.0.0"));
        addresses.public_host = Some("buoy.example.org".to_owned());
        assert_eq!(addresses.coaps_uri().unwrap(), "coaps://buoy.example.org:5684");
        assert_eq!(addresses.http_uri(), "http://127.0.0.1:8080");
    }
}
