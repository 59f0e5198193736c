//! From which of this machine's addresses a peer is answered: the one that it sent to.
//!
//! A socket of all addresses leaves the choice to the kernel, which takes the first address of the interface. A device that sent to another one takes
//! no answer from there, nor does a NAT let it through. So what came says to which address it went (`IP_PKTINFO`, RFC 3542 section 6), and
//! what leaves says from where.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Peers that use another address than most do, so many at most: a few megabytes.
const MOST: usize = 65_536;

/// To which of this machine's addresses peers sent. On a machine with one address this is that address and nothing else.
#[derive(Debug, Default)]
pub struct Ways {
    /// Of IPv4 and IPv6: the address that peers use.
    usual: [Option<IpAddr>; 2],
    /// The peers that use another.
    others: HashMap<SocketAddr, IpAddr>,
    /// Their peers, in the order in which they came.
    order: VecDeque<SocketAddr>,
}

impl Ways {
    /// A datagram came from a peer to an address of this machine, if that is known.
    pub fn heard(&mut self, peer: SocketAddr, local: Option<IpAddr>) {
        let Some(local) = local else { return };
        // From there the kernel answers by itself.
        if is_usual_loopback(local) {
            self.forget(&peer);
            return;
        }
        let usual = &mut self.usual[family(local)];
        if usual.is_none() && !local.to_canonical().is_loopback() {
            *usual = Some(local);
        }
        if *usual == Some(local) {
            self.forget(&peer);
        } else if self.others.insert(peer, local).is_none() {
            self.order.push_back(peer);
            self.make_room(local);
        }
    }

    /// From which address a peer is answered; `None` leaves it to the kernel.
    #[must_use]
    pub fn local_for(&self, peer: SocketAddr) -> Option<IpAddr> {
        let other = if self.others.is_empty() { None } else { self.others.get(&peer).copied() };
        let usual = || self.usual[family(peer.ip())].filter(|_| !peer.ip().to_canonical().is_loopback());
        other.or_else(usual)
    }

    fn forget(&mut self, peer: &SocketAddr) {
        if !self.others.is_empty() {
            self.others.remove(peer);
        }
    }

    /// When most peers use another address than the usual one, as after this machine got a new one, that becomes the usual one.
    fn make_room(&mut self, newest: IpAddr) {
        if self.order.len() <= MOST {
            return;
        }
        let of_newest = self.others.values().filter(|local| **local == newest).count();
        if of_newest > MOST / 2 && !newest.to_canonical().is_loopback() {
            self.usual[family(newest)] = Some(newest);
            self.others.retain(|_, local| *local != newest);
            self.order.retain(|peer| self.others.contains_key(peer));
        } else if let Some(oldest) = self.order.pop_front() {
            self.others.remove(&oldest);
        }
    }
}

fn family(address: IpAddr) -> usize {
    usize::from(address.to_canonical().is_ipv6())
}

fn is_usual_loopback(local: IpAddr) -> bool {
    match local.to_canonical() {
        IpAddr::V4(address) => address == std::net::Ipv4Addr::LOCALHOST,
        IpAddr::V6(address) => address == std::net::Ipv6Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn peer(number: u32) -> SocketAddr {
        SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 5683))
    }

    #[test]
    fn a_peer_is_answered_from_the_address_that_it_sent_to_last() {
        let mut ways = Ways::default();
        assert_eq!(ways.local_for(peer(1)), None);
        ways.heard(peer(1), ip("192.0.2.1"));
        ways.heard(peer(2), ip("192.0.2.2"));
        ways.heard(peer(3), None);
        assert_eq!(
            [1, 2, 3].map(|it| ways.local_for(peer(it))),
            ["192.0.2.1", "192.0.2.2", "192.0.2.1"].map(ip)
        );
        ways.heard(peer(2), ip("192.0.2.1"));
        ways.heard(peer(1), ip("192.0.2.2"));
        assert_eq!([1, 2].map(|it| ways.local_for(peer(it))), ["192.0.2.2", "192.0.2.1"].map(ip));
        // The families are apart, and an IPv4 address in an IPv6 one is of IPv4.
        let six: SocketAddr = "[2001:db8::1]:5683".parse().unwrap();
        assert_eq!(ways.local_for(six), None);
        ways.heard(six, ip("2001:db8::2"));
        assert_eq!(ways.local_for(six), ip("2001:db8::2"));
        let mapped: SocketAddr = "[::ffff:10.0.0.9]:5683".parse().unwrap();
        assert_eq!(ways.local_for(mapped), ip("192.0.2.1"));
    }

    #[test]
    fn peers_on_this_machine_are_left_to_the_kernel_unless_they_use_another_loopback_address() {
        let mut ways = Ways::default();
        let local: SocketAddr = "127.0.0.9:5683".parse().unwrap();
        ways.heard(local, ip("127.0.0.1"));
        ways.heard(peer(1), ip("192.0.2.1"));
        assert_eq!(ways.local_for(local), None);
        ways.heard(local, ip("127.0.0.7"));
        assert_eq!(ways.local_for(local), ip("127.0.0.7"));
        ways.heard(local, ip("127.0.0.1"));
        assert_eq!(ways.local_for(local), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_new_address_of_the_machine_becomes_the_usual_one() {
        let mut ways = Ways::default();
        ways.heard(peer(0), ip("192.0.2.1"));
        let most = MOST as u32;
        for number in 1..=most {
            ways.heard(peer(number), ip(if number % 2 == 0 { "192.0.2.2" } else { "192.0.2.3" }));
        }
        for number in most + 1..most + 100 {
            ways.heard(peer(number), ip("192.0.2.4"));
        }
        assert!(ways.others.len() <= MOST && ways.order.len() <= MOST);
        assert_eq!(ways.local_for(peer(most + 99)), ip("192.0.2.4"));

        let mut ways = Ways::default();
        ways.heard(peer(0), ip("192.0.2.1"));
        (1..=most + 1).for_each(|number| ways.heard(peer(number), ip("192.0.2.2")));
        assert!(ways.others.is_empty() && ways.order.is_empty());
        assert_eq!(ways.local_for(peer(5)), ip("192.0.2.2"));
    }
}
