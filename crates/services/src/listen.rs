//! The server's ports, and the addresses at which devices reach them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};

use anyhow::Context;
use buoy_net::udp::{self, UdpSocket};

/// The requested ports.
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
    pub public_host: Option<PublicHost>,
    /// The URL by which devices reach the files, if there is a proxy before this machine; without a slash at its end.
    pub public_url: Option<String>,
}

/// A host that no device could reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHost {
    text: String,
    why: &'static str,
}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, why } = self;
        write!(f, "{text:?} {why}; write a name or an address, as in buoy.example.org")
    }
}

impl std::error::Error for InvalidHost {}

/// The name or address by which devices reach this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost {
    /// In the form of a URI: an IPv6 address has brackets (RFC 3986 section 3.2.2).
    host: String,
    is_loopback: bool,
}

impl PublicHost {
    /// A name (RFC 1123 section 2.1) or an address that a device can connect to.
    ///
    /// # Errors
    /// Why no device could reach it, and what to write.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let wrong = |why| Err(InvalidHost { text: text.to_owned(), why });
        let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = address.parse::<IpAddr>() {
            let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
            if address.is_unspecified() || address.is_multicast() || is_broadcast {
                return wrong("is no address of one machine");
            }
            let host = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
            return Ok(Self { host, is_loopback: address.is_loopback() });
        }
        if text.contains("://") || text.contains('/') {
            return wrong("is a URL and no host");
        }
        if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            return wrong("has a port, and the ports are those of --coaps, --coap and --files");
        }
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
                && bytes.first() != Some(&b'-')
                && bytes.last() != Some(&b'-')
        };
        let labels = text.strip_suffix('.').unwrap_or(text);
        // A name whose last label is a number is a mistyped address.
        let is_number =
            labels.rsplit('.').next().is_some_and(|last| last.bytes().all(|it| it.is_ascii_digit()));
        if labels.len() > 253 || !labels.split('.').all(is_label) || is_number {
            return wrong("is neither a name nor an address");
        }
        let is_loopback = labels.eq_ignore_ascii_case("localhost");
        Ok(Self { host: text.to_owned(), is_loopback })
    }
}

impl fmt::Display for PublicHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// A port and its URI for devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPort {
    /// Its name.
    pub name: &'static str,
    /// The address to which it is bound, as a URI.
    pub bound: String,
    /// The URI that devices get: for firmware, and in the accounts that the bootstrap server writes.
    pub told: String,
    /// Why devices may not reach it there.
    pub caution: Option<Caution>,
}

/// Why devices may not reach a port at its URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caution {
    /// It is on loopback: only this machine reaches it.
    Loopback,
    /// The operator's host name means the local machine wherever it is used.
    LoopbackName,
    /// The address is a guess: the address of this machine that has a route to other networks.
    Guess,
    /// No address of this machine has a route to other networks.
    NoWay,
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "only this machine reaches it",
            Self::LoopbackName => "for a device this name is the device itself; name another --public-host",
            Self::Guess => {
                "the address is a guess among those of this machine; if devices are in another network, name it by --public-host"
            }
            Self::NoWay => {
                "this machine has no address that leads outside; name the one that devices reach by --public-host"
            }
        })
    }
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

/// The addresses of the server.
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
    public_host: Option<PublicHost>,
    public_url: Option<String>,
}

/// The protocol by which a device downloads files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileScheme {
    /// Plain HTTP: the image is protected by its signature.
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
    /// What devices are told if the ports are those that are asked for.
    #[must_use]
    pub fn planned(listen: &Listen) -> Self {
        Self {
            coap: listen.coap,
            coaps: listen.coaps,
            bootstrap: listen.bootstrap,
            bootstraps: listen.bootstraps,
            files: listen.files,
            files_tls: listen.files_tls,
            public_host: listen.public_host.clone(),
            public_url: listen.public_url.clone(),
        }
    }

    /// The ports for a device that sent to the local address `local`: a port that is bound to all addresses gets this address instead of a
    /// guess.
    #[must_use]
    pub fn seen_at(&self, local: Option<IpAddr>) -> Self {
        let mut seen = self.clone();
        // The operator's host applies to all devices.
        let Some(local) = local.filter(|_| self.public_host.is_none()) else { return seen };
        let local = local.to_canonical();
        let ports = [
            &mut seen.coap,
            &mut seen.coaps,
            &mut seen.bootstrap,
            &mut seen.bootstraps,
            &mut seen.files,
            &mut seen.files_tls,
        ];
        for address in ports.into_iter().flatten() {
            // A port bound to all IPv4 addresses is not reached by IPv6; one bound to all IPv6 addresses is reached by both.
            if address.ip().is_unspecified() && (address.is_ipv6() || local.is_ipv4()) {
                address.set_ip(local);
            }
        }
        seen
    }

    /// All ports and their URIs for devices.
    pub fn listed(&self) -> Vec<ListedPort> {
        let ports = [
            ("CoAP", "coap", self.coap),
            ("CoAPS", "coaps", self.coaps),
            ("Bootstrap", "coap", self.bootstrap),
            ("BootstrapS", "coaps", self.bootstraps),
            ("Files", "http", self.files),
            ("FilesTLS", "https", self.files_tls),
        ];
        let listed = |(name, scheme, address): (_, &str, Option<SocketAddr>)| {
            let address = address?;
            let of_url = match scheme {
                "http" => self.public_url(FileScheme::Http),
                "https" => self.public_url(FileScheme::Https),
                _ => None,
            };
            // The operator configures the proxy before this machine, so there is no caution.
            let caution = if of_url.is_some() { None } else { self.caution(address) };
            let told = of_url.unwrap_or_else(|| self.uri(scheme, address));
            Some(ListedPort { name, bound: format!("{scheme}://{address}"), told, caution })
        };
        ports.into_iter().filter_map(listed).collect()
    }

    fn caution(&self, address: SocketAddr) -> Option<Caution> {
        if address.ip().is_loopback() {
            return Some(Caution::Loopback);
        }
        match &self.public_host {
            Some(host) => host.is_loopback.then_some(Caution::LoopbackName),
            None if !address.ip().is_unspecified() => None,
            None if outward_address().is_loopback() => Some(Caution::NoWay),
            None => Some(Caution::Guess),
        }
    }

    /// The URI of plain CoAP for devices.
    pub fn coap_uri(&self) -> Option<String> {
        self.coap.map(|address| self.uri("coap", address))
    }

    /// The URI of CoAP over DTLS for devices.
    pub fn coaps_uri(&self) -> Option<String> {
        self.coaps.map(|address| self.uri("coaps", address))
    }

    /// The URI of bootstrap over plain CoAP for devices.
    pub fn bootstrap_uri(&self) -> Option<String> {
        self.bootstrap.map(|address| self.uri("coap", address))
    }

    /// The URI of bootstrap over DTLS for devices.
    pub fn bootstraps_uri(&self) -> Option<String> {
        self.bootstraps.map(|address| self.uri("coaps", address))
    }

    /// The URI of files for devices, without a slash at the end; `None` if they are not served by this protocol.
    pub fn files_uri(&self, scheme: FileScheme) -> Option<String> {
        if let Some(url) = self.public_url(scheme) {
            return Some(url);
        }
        let address = match scheme {
            FileScheme::Http => self.files,
            FileScheme::Https => self.files_tls,
        };
        address.map(|address| self.uri(scheme.name(), address))
    }

    fn public_url(&self, scheme: FileScheme) -> Option<String> {
        let has_scheme = |url: &&String| url.split_once("://").is_some_and(|(name, _)| name == scheme.name());
        self.public_url.as_ref().filter(has_scheme).cloned()
    }

    /// The URI of a port for devices: with the operator's host, or with the address itself. If the port is bound to all addresses, it is the
    /// address that has a route to other networks.
    fn uri(&self, scheme: &str, address: SocketAddr) -> String {
        match &self.public_host {
            // A port on loopback can't be reached by any other name.
            Some(host) if !address.ip().is_loopback() => format!("{scheme}://{host}:{}", address.port()),
            _ if address.ip().is_unspecified() => {
                format!("{scheme}://{}", SocketAddr::new(outward_address(), address.port()))
            }
            _ => format!("{scheme}://{address}"),
        }
    }
}

/// The address of this machine that has a route to other networks. No datagram is sent to find it.
fn outward_address() -> IpAddr {
    let find = || {
        let socket = StdUdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        // An address for documentation (RFC 5737), which is not in use.
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

/// The message for an address that can't be bound.
pub fn in_use(what: &str, address: SocketAddr) -> String {
    format!(
        "the {what} address {address} cannot be had; stop what uses it (perhaps another `buoy serve`), or choose another port"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_host_is_a_name_or_an_address_of_one_machine() {
        for (text, host) in [
            ("buoy.example.org", "buoy.example.org"),
            ("localhost", "localhost"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(PublicHost::parse(text).unwrap().to_string(), host);
        }
        for text in [
            "",
            " ",
            "0.0.0.0",
            "::",
            "[::]",
            "255.255.255.255",
            "224.0.0.1",
            "coaps://buoy.example.org",
            "buoy/x",
            "buoy.example.org:5684",
            "192.0.2.7:5684",
            "[2001:db8::1]:5684",
            "buoy example",
            "-a.example",
            "a..b",
            "192.0.2.999",
            "1.2.3",
            "b\u{fc}oy.example",
            "a\nb",
            "user@host",
        ] {
            let refused = PublicHost::parse(text).unwrap_err().to_string();
            assert!(refused.contains("buoy.example.org"), "{text:?}: {refused}");
        }
    }

    #[test]
    fn what_devices_are_told_and_may_not_reach_is_said() {
        let mut addresses = Addresses {
            coap: Some(([127, 0, 0, 1], 5683).into()),
            coaps: Some(([0, 0, 0, 0], 5684).into()),
            bootstrap: None,
            bootstraps: Some(([192, 0, 2, 7], 5694).into()),
            files: Some(([0, 0, 0, 0], 8081).into()),
            files_tls: None,
            public_host: None,
            public_url: Some("http://files.example.org".to_owned()),
        };
        let cautions = |addresses: &Addresses| {
            addresses.listed().iter().map(|port| (port.name, port.caution)).collect::<Vec<_>>()
        };
        let guess = cautions(&addresses)[1].1;
        assert!(matches!(guess, Some(Caution::Guess | Caution::NoWay)), "{guess:?}");
        addresses.public_host = Some(PublicHost::parse("192.0.2.9").unwrap());
        assert_eq!(
            cautions(&addresses),
            [("CoAP", Some(Caution::Loopback)), ("CoAPS", None), ("BootstrapS", None), ("Files", None)]
        );
        let listed = addresses.listed();
        assert_eq!(listed[1].told, "coaps://192.0.2.9:5684");
        assert_eq!(listed[3].told, "http://files.example.org");
        addresses.public_host = Some(PublicHost::parse("localhost").unwrap());
        assert_eq!(cautions(&addresses)[1].1, Some(Caution::LoopbackName));
    }

    #[test]
    fn a_device_is_told_the_address_at_which_it_reached_the_server() {
        let mut addresses = Addresses {
            coap: Some(([192, 0, 2, 7], 5683).into()),
            coaps: Some("[::]:5684".parse().unwrap()),
            bootstrap: None,
            bootstraps: None,
            files: Some(([0, 0, 0, 0], 8081).into()),
            files_tls: None,
            public_host: None,
            public_url: None,
        };
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let seen = addresses.seen_at(ip("::ffff:198.51.100.5"));
        assert_eq!(seen.coaps_uri().unwrap(), "coaps://198.51.100.5:5684");
        assert_eq!(seen.files_uri(FileScheme::Http).unwrap(), "http://198.51.100.5:8081");
        assert_eq!(seen.coap_uri().unwrap(), "coap://192.0.2.7:5683", "it is bound to one address");
        let seen = addresses.seen_at(ip("2001:db8::5"));
        assert_eq!(seen.coaps_uri().unwrap(), "coaps://[2001:db8::5]:5684");
        assert!(!seen.files_uri(FileScheme::Http).unwrap().contains("2001"), "there are no files on IPv6");
        assert_eq!(addresses.seen_at(None).coaps_uri(), addresses.coaps_uri());
        addresses.public_host = Some(PublicHost::parse("buoy.example.org").unwrap());
        assert_eq!(
            addresses.seen_at(ip("198.51.100.5")).coaps_uri().unwrap(),
            "coaps://buoy.example.org:5684"
        );
    }

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
        addresses.public_host = Some(PublicHost::parse("buoy.example.org").unwrap());
        assert_eq!(addresses.coaps_uri().unwrap(), "coaps://buoy.example.org:5684");
        assert_eq!(addresses.files_uri(FileScheme::Http).unwrap(), "http://buoy.example.org:8081");
        assert_eq!(addresses.files_uri(FileScheme::Https), None);
        addresses.public_url = Some("https://files.example.org/buoy".to_owned());
        assert_eq!(addresses.files_uri(FileScheme::Https).unwrap(), "https://files.example.org/buoy");
        assert_eq!(addresses.files_uri(FileScheme::Http).unwrap(), "http://buoy.example.org:8081");
    }
}
