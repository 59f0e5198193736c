//! From which of this machine's addresses a peer is answered: the one that it sent to.
//!
//! A socket of all addresses leaves the choice to the kernel, which takes the first address of the interface. A device that sent to another one takes
//! no answer from there, nor does a NAT let it through. So what came says to which address it went (`IP_PKTINFO`, RFC 3542 section 6), and
//! what leaves says from where.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// Peers that use another address than most do, so many at most: a few megabytes. A stranger who forges senders can push some out, and wins
/// little: who asks is answered from where he asked, and who was pushed out is back with his next datagram.
const MOST: usize = 65_536;

/// To which of this machine's addresses peers sent. On a machine with one address this is that address and nothing else.
#[derive(Debug, Default)]
pub struct Ways {
    /// Of IPv4 and IPv6: the address that peers use.
    usual: [Cell<Option<IpAddr>>; 2],
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
        let usual = &self.usual[family(local)];
        if usual.get().is_none() && !local.to_canonical().is_loopback() {
            usual.set(Some(local));
        }
        if usual.get() == Some(local) {
            self.forget(&peer);
        } else if self.others.insert(peer, local).is_none() {
            self.order.push_back(peer);
            self.make_room();
        }
    }

    /// From which address a peer is answered; `None` leaves it to the kernel.
    #[must_use]
    pub fn local_for(&self, peer: SocketAddr) -> Option<IpAddr> {
        let other = if self.others.is_empty() { None } else { self.others.get(&peer).copied() };
        let usual =
            || self.usual[family(peer.ip())].get().filter(|_| !peer.ip().to_canonical().is_loopback());
        other.or_else(usual)
    }

    fn forget(&mut self, peer: &SocketAddr) {
        if !self.others.is_empty() {
            self.others.remove(peer);
        }
    }

    /// This machine has the address no longer. The next one that is heard of becomes the usual one.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "no other system is told from where to send")
    )]
    pub(super) fn is_gone(&self, local: IpAddr) {
        let usual = &self.usual[family(local)];
        if usual.get() == Some(local) {
            usual.set(None);
        }
    }

    fn make_room(&mut self) {
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
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
    fn what_is_remembered_is_bounded() {
        let mut ways = Ways::default();
        ways.heard(peer(0), ip("192.0.2.1"));
        for number in 1..=MOST as u32 + 100 {
            ways.heard(peer(number), ip("192.0.2.2"));
        }
        assert!(ways.others.len() <= MOST && ways.order.len() <= MOST);
        assert_eq!(ways.local_for(peer(MOST as u32)), ip("192.0.2.2"));
        assert_eq!(ways.local_for(peer(0)), ip("192.0.2.1"), "however many there are, the usual one stays");
    }

    #[test]
    fn an_address_that_is_gone_gives_way_to_the_next_one() {
        let mut ways = Ways::default();
        ways.heard(peer(1), ip("192.0.2.1"));
        ways.is_gone(ip("192.0.2.9").unwrap());
        assert_eq!(ways.local_for(peer(1)), ip("192.0.2.1"));
        ways.is_gone(ip("192.0.2.1").unwrap());
        assert_eq!(ways.local_for(peer(1)), None);
        ways.heard(peer(2), ip("192.0.2.2"));
        assert_eq!(ways.local_for(peer(1)), ip("192.0.2.2"));
    }
}
