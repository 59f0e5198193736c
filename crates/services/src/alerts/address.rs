//! To which addresses the server connects for a receiver: public ones, and those that the operator of the machine allows.
//!
//! Who sets up a receiver chooses a host, and must not reach through the server what only its machine can reach. The address is checked that is
//! connected to, so a name that resolves to something else the next time gains nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::TcpStream;

/// How long a name is looked up, and how long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const MOST_TRIED: usize = 4;

/// Addresses with the same beginning, as in `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no network; write it as in 10.0.0.0/8, fd00::/8 or 192.0.2.7")
    }
}

impl std::error::Error for NoNetwork {}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| NoNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().map_err(|_| NoNetwork)?,
            None => most,
        };
        if bits <= most { Ok(Self { address, bits }) } else { Err(NoNetwork) }
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let rest = width - u32::from(self.bits);
            a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => same(net.to_bits().into(), ip.to_bits().into(), 32),
            (IpAddr::V6(net), IpAddr::V6(ip)) => same(net.to_bits(), ip.to_bits(), 128),
            _ => false,
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The server does not connect to this address.
    Forbidden(IpAddr),
    /// The name is not known, or nobody answers.
    Failed(String),
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(address) => write!(
                f,
                "{address} is an address of this machine or of a private network; `buoy serve --allow-receivers-in {address}` allows it"
            ),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// Connects to a host.
pub(crate) async fn connect(host: &str, port: u16, allowed: &[Network]) -> Result<TcpStream, NoConnection> {
    let mut failure = NoConnection::Failed(format!("{host} has no address"));
    for address in resolve(host, port, allowed).await? {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = NoConnection::Failed(format!("{address}: {error}")),
            Err(_) => failure = NoConnection::Failed(format!("{address} does not answer")),
        }
    }
    Err(failure)
}

/// The addresses of a host to which the server may connect.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    allowed: &[Network],
) -> Result<Vec<SocketAddr>, NoConnection> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let all: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => return Err(NoConnection::Failed(format!("{host} can't be resolved: {error}"))),
            Err(_) => return Err(NoConnection::Failed(format!("{host} can't be resolved in time"))),
        },
    };
    let may = |address: &&SocketAddr| is_allowed(address.ip(), allowed);
    let good: Vec<SocketAddr> = all.iter().filter(may).copied().take(MOST_TRIED).collect();
    match all.first() {
        Some(first) if good.is_empty() => Err(NoConnection::Forbidden(first.ip())),
        _ => Ok(good),
    }
}

fn is_allowed(address: IpAddr, allowed: &[Network]) -> bool {
    // An address of version 4 that is written as one of version 6 is the same machine.
    let address = address.to_canonical();
    is_public(address) || allowed.iter().any(|network| network.contains(address))
}

/// Whether an address belongs to the public internet (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_benchmark = a == 198 && (18..20).contains(&b);
    let is_assignment = (a, b, c) == (192, 0, 0);
    !(a == 0
        || a >= 240
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || is_shared
        || is_benchmark
        || is_assignment)
}

/// Of version 6 only global unicast addresses; those that stand for an address of version 4 (NAT64, 6to4, Teredo) lead anywhere.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let is_global = a & 0xe000 == 0x2000;
    let is_tunnel = a == 0x2002 || (a == 0x2001 && b == 0);
    let is_documentation = (a == 0x2001 && b == 0xdb8) || a & 0xfff0 == 0x3ff0;
    is_global && !is_tunnel && !is_documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_this_machine_and_of_private_networks_are_refused() {
        for forbidden in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!is_allowed(ip(forbidden), &[]), "{forbidden}");
        }
        for public in ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(is_allowed(ip(public), &[]), "{public}");
        }
    }

    #[test]
    fn the_operator_of_the_machine_allows_networks() {
        let allowed = ["10.1.0.0/16", "127.0.0.1", "fd00::/8"].map(|text| text.parse().unwrap());
        for fine in ["10.1.2.3", "127.0.0.1", "::ffff:127.0.0.1", "fd12::1"] {
            assert!(is_allowed(ip(fine), &allowed), "{fine}");
        }
        for forbidden in ["10.2.0.1", "127.0.0.2", "fc00::1", "::1"] {
            assert!(!is_allowed(ip(forbidden), &allowed), "{forbidden}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains(ip("1.2.3.4")));
        assert!("::/0".parse::<Network>().unwrap().contains(ip("fe80::1")));
        for wrong in ["", "10.0.0.0/33", "fd00::/129", "10.0.0/8", "host", "10.0.0.0/"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_by_its_address() {
        let refused = connect("localhost", 1, &[]).await.unwrap_err();
        assert!(matches!(refused, NoConnection::Forbidden(_)), "{refused}");
        assert!(refused.to_string().contains("--allow-receivers-in"));
        let allowed = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        assert!(matches!(connect("localhost", 1, &allowed).await, Err(NoConnection::Failed(_))));
        assert!(matches!(connect("[::1]", 1, &[]).await, Err(NoConnection::Forbidden(_))));
    }
}
