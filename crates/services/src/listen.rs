//! Where the server listens, and how devices reach it there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};

use anyhow::Context;
use buoy_net::udp::{self, UdpSocket};

/// The ports that are asked for.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Plain CoAP.
    pub coap: Option<SocketAddr>,
    /// CoAP over DTLS.
    pub coaps: Option<SocketAddr>,
    /// Bootstrap over plain CoAP.
    pub bootstrap: Option<SocketAddr>,
    /// Bootstrap over DTLS.
    pub bootstraps: Option<SocketAddr>,
    /// Where files are served to devices by HTTP, as it was bound.
    pub files: Option<SocketAddr>,
    /// The same by HTTPS.
    pub files_tls: Option<SocketAddr>,
    /// The name or address by which devices reach this machine.
    pub public_host: Option<String>,
    /// The URL by which devices reach the files, if something stands before this machine: without a slash at its end.
    pub public_url: Option<String>,
}

/// The sockets of all ports.
pub(crate) struct Sockets {
    pub(crate) shards: Vec<ShardSockets>,
    pub(crate) bootstrap: ShardSockets,
}

/// The sockets of one thread.
#[derive(Default)]
pub(crate) struct ShardSockets {
    pub(crate) plain: Option<UdpSocket>,
    pub(crate) secure: Option<UdpSocket>,
}

/// Where the server can be reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Plain CoAP.
    pub coap: Option<SocketAddr>,
    /// CoAP over DTLS.
    pub coaps: Option<SocketAddr>,
    /// Bootstrap over plain CoAP.
    pub bootstrap: Option<SocketAddr>,
    /// Bootstrap over DTLS.
    pub bootstraps: Option<SocketAddr>,
    /// Files by HTTP.
    pub files: Option<SocketAddr>,
    /// Files by HTTPS.
    pub files_tls: Option<SocketAddr>,
    public_host: Option<String>,
    public_url: Option<String>,
}

/// By which protocol a device fetches files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileScheme {
    /// Plain HTTP: the image proves itself by its signature.
    Http,
    /// HTTP over TLS.
    Https,
}

impl FileScheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Addresses {
    /// Each port with its name and its URI.
    pub fn listed(&self) -> Vec<(&'static str, String)> {
        let ports = [
            ("CoAP", "coap", self.coap),
            ("CoAPS", "coaps", self.coaps),
            ("Bootstrap", "coap", self.bootstrap),
            ("BootstrapS", "coaps", self.bootstraps),
            ("Files", "http", self.files),
            ("FilesTLS", "https", self.files_tls),
        ];
        let named = |(name, scheme, address): (_, &str, Option<SocketAddr>)| {
            address.map(|address| (name, format!("{scheme}://{address}")))
        };
        ports.into_iter().filter_map(named).collect()
    }

    /// Where devices find plain CoAP.
    pub fn coap_uri(&self) -> Option<String> {
        self.coap.map(|address| self.uri("coap", address))
    }

    /// Where devices find CoAP over DTLS.
    pub fn coaps_uri(&self) -> Option<String> {
        self.coaps.map(|address| self.uri("coaps", address))
    }

    /// Where devices find files, without a slash at the end; `None` if they are not served by this protocol.
    pub fn files_uri(&self, scheme: FileScheme) -> Option<String> {
        let has_scheme = |url: &&String| url.split_once("://").is_some_and(|(name, _)| name == scheme.name());
        if let Some(url) = self.public_url.as_ref().filter(has_scheme) {
            return Some(url.clone());
        }
        let address = match scheme {
            FileScheme::Http => self.files,
            FileScheme::Https => self.files_tls,
        };
        address.map(|address| self.uri(scheme.name(), address))
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
pub(crate) fn bind(listen: &Listen, shards: usize) -> anyhow::Result<(Sockets, Addresses)> {
    let plain = bind_udp("CoAP", listen.coap, shards)?;
    let secure = bind_udp("CoAPS", listen.coaps, shards)?;
    let bootstrap = bind_udp("bootstrap", listen.bootstrap, 1)?;
    let bootstraps = bind_udp("bootstrap over DTLS", listen.bootstraps, 1)?;
    let addresses = Addresses {
        coap: address_of(&plain)?,
        coaps: address_of(&secure)?,
        bootstrap: address_of(&bootstrap)?,
        bootstraps: address_of(&bootstraps)?,
        files: listen.files,
        files_tls: listen.files_tls,
        public_host: listen.public_host.clone(),
        public_url: listen.public_url.clone(),
    };
    let mut sockets = Sockets { shards: pair(plain, secure, shards), bootstrap: ShardSockets::default() };
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

/// What is said of an address that cannot be had.
pub fn in_use(what: &str, address: SocketAddr) -> String {
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
            files: Some(([0, 0, 0, 0], 8081).into()),
            files_tls: None,
            public_host: None,
            public_url: None,
        };
        assert_eq!(addresses.coap_uri().unwrap(), "coap://127.0.0.1:5683");
        assert!(!addresses.coaps_uri().unwrap().contains("0.0.0.0"));
        addresses.public_host = Some("buoy.example.org".to_owned());
        assert_eq!(addresses.coaps_uri().unwrap(), "coaps://buoy.example.org:5684");
        assert_eq!(addresses.files_uri(FileScheme::Http).unwrap(), "http://buoy.example.org:8081");
        assert_eq!(addresses.files_uri(FileScheme::Https), None);
        addresses.public_url = Some("https://files.example.org/buoy".to_owned());
        assert_eq!(addresses.files_uri(FileScheme::Https).unwrap(), "https://files.example.org/buoy");
        assert_eq!(addresses.files_uri(FileScheme::Http).unwrap(), "http://buoy.example.org:8081");
    }
}
