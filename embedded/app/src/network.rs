//! IP over the board's network: an address by DHCP, names by DNS, and sockets.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::dns::{self, GetQueryResultError};
use smoltcp::socket::{dhcpv4, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{
    DnsQueryType, EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Address,
};

/// The largest datagram of a socket.
pub(crate) const MTU: usize = 1472;
/// Datagrams that wait in a socket, each way.
const WAITING: usize = 4;
const TCP_RECEIVED: usize = 8192;
const TCP_SENT: usize = 1024;
/// Ports for sockets that don't care.
const EPHEMERAL: u16 = 0xC000;

/// The network.
pub(crate) struct Network {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    dns: SocketHandle,
    next_port: u16,
    address: Option<Ipv4Address>,
}

/// Where a name leads.
pub(crate) enum Name {
    /// There.
    Known(IpAddress),
    /// A name server was asked.
    Asked(dns::QueryHandle),
    /// It is to be asked when there is a network.
    Later,
}

/// The host in a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Host<'a> {
    pub(crate) name: &'a str,
    pub(crate) port: u16,
}

impl<'a> Host<'a> {
    /// Reads the authority of a URI; ports are those of the scheme unless it says another.
    pub(crate) fn of_uri(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let port = match scheme {
            "coap" => 5683,
            "coaps" => 5684,
            "http" => 80,
            _ => return None,
        };
        Self::of_authority(authority, port)
    }

    pub(crate) fn of_authority(authority: &'a str, port: u16) -> Option<Self> {
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, digits)) => (name, digits.parse().ok()?),
            None => (authority, port),
        };
        (!name.is_empty()).then_some(Self { name, port })
    }
}

impl Network {
    pub(crate) fn new<D: Device>(device: &mut D, address: [u8; 6], seed: u64) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(address)));
        config.random_seed = seed;
        let interface = Interface::new(config, device, Instant::ZERO);
        let mut sockets = SocketSet::new(Vec::new());
        let dhcp = sockets.add(dhcpv4::Socket::new());
        let dns = sockets.add(dns::Socket::new(&[], vec![None, None, None, None]));
        let next_port = EPHEMERAL | (seed as u16 & 0x3FFF);
        Self { interface, sockets, dhcp, dns, next_port, address: None }
    }

    /// The device's address, once it has one.
    pub(crate) const fn address(&self) -> Option<Ipv4Address> {
        self.address
    }

    /// Takes and sends frames. Says whether the address has changed.
    pub(crate) fn poll<D: Device>(&mut self, milliseconds: u64, device: &mut D) -> bool {
        let now = Instant::from_millis(milliseconds as i64);
        self.interface.poll(now, device, &mut self.sockets);
        let before = self.address;
        match self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll() {
            Some(dhcpv4::Event::Configured(found)) => {
                self.address = Some(found.address.address());
                self.interface.update_ip_addrs(|addresses| {
                    addresses.clear();
                    // There is room for one.
                    let _ = addresses.push(IpCidr::Ipv4(found.address));
                });
                let routes = self.interface.routes_mut();
                routes.remove_default_ipv4_route();
                if let Some(router) = found.router {
                    // There is room for one.
                    let _ = routes.add_default_ipv4_route(router);
                }
                let servers: Vec<IpAddress> =
                    found.dns_servers.iter().map(|it| IpAddress::Ipv4(*it)).collect();
                self.sockets.get_mut::<dns::Socket<'_>>(self.dns).update_servers(&servers);
            }
            Some(dhcpv4::Event::Deconfigured) => {
                self.address = None;
                self.interface.update_ip_addrs(|addresses| addresses.clear());
                self.interface.routes_mut().remove_default_ipv4_route();
            }
            None => {}
        }
        before != self.address
    }

    /// Begins to look up a name.
    pub(crate) fn look_up(&mut self, name: &str) -> Name {
        if let Ok(address) = name.parse::<Ipv4Address>() {
            return Name::Known(IpAddress::Ipv4(address));
        }
        let dns = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
        match dns.start_query(self.interface.context(), name, DnsQueryType::A) {
            Ok(query) if self.address.is_some() => Name::Asked(query),
            Ok(query) => {
                dns.cancel_query(query);
                Name::Later
            }
            Err(_) => Name::Later,
        }
    }

    /// Where a name leads that was looked up; what got no answer is to be asked again.
    pub(crate) fn resolve(&mut self, name: &mut Name) -> Option<IpAddress> {
        match name {
            Name::Known(address) => return Some(*address),
            Name::Later => return None,
            Name::Asked(query) => {
                let dns = self.sockets.get_mut::<dns::Socket<'_>>(self.dns);
                *name = match dns.get_query_result(*query) {
                    Ok(found) => found.first().map_or(Name::Later, |first| Name::Known(*first)),
                    Err(GetQueryResultError::Pending) => return None,
                    Err(GetQueryResultError::Failed) => Name::Later,
                };
            }
        }
        match name {
            Name::Known(address) => Some(*address),
            _ => None,
        }
    }

    pub(crate) fn open_udp(&mut self) -> SocketHandle {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; WAITING], vec![0; WAITING * MTU]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        let port = self.port();
        // The socket is new, and the port is not 0.
        let _ = socket.bind(port);
        self.sockets.add(socket)
    }

    /// Sends a datagram; one for which there is no room is lost, as it might be on the way.
    pub(crate) fn send(&mut self, socket: SocketHandle, to: IpEndpoint, datagram: &[u8]) {
        let _ = self.sockets.get_mut::<udp::Socket<'_>>(socket).send_slice(datagram, to);
    }

    /// The next datagram that came from there; others are dropped.
    pub(crate) fn receive(
        &mut self,
        socket: SocketHandle,
        from: IpEndpoint,
        into: &mut [u8],
    ) -> Option<usize> {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(socket);
        while socket.can_recv() {
            if let Ok((length, meta)) = socket.recv_slice(into)
                && meta.endpoint == from
            {
                return Some(length);
            }
        }
        None
    }

    /// Begins to connect.
    pub(crate) fn open_tcp(&mut self, to: IpEndpoint) -> Option<SocketHandle> {
        let buffers =
            (tcp::SocketBuffer::new(vec![0; TCP_RECEIVED]), tcp::SocketBuffer::new(vec![0; TCP_SENT]));
        let handle = self.sockets.add(tcp::Socket::new(buffers.0, buffers.1));
        let port = self.port();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        if socket.connect(self.interface.context(), to, port).is_err() {
            self.close(handle);
            return None;
        }
        Some(handle)
    }

    pub(crate) fn tcp(&mut self, socket: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(socket)
    }

    pub(crate) fn close(&mut self, socket: SocketHandle) {
        self.sockets.remove(socket);
    }

    fn port(&mut self) -> u16 {
        self.next_port = self.next_port.wrapping_add(1) | EPHEMERAL;
        self.next_port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_uri_is_read() {
        let host = |uri| Host::of_uri(uri).map(|host| (host.name, host.port));
        assert_eq!(host("coaps://192.0.2.1"), Some(("192.0.2.1", 5684)));
        assert_eq!(host("coap://buoy.example.org:1000/fw/1"), Some(("buoy.example.org", 1000)));
        assert_eq!(host("http://h?x"), Some(("h", 80)));
        for wrong in ["h", "ftp://h", "coap://", "coap://:5683", "coap://h:x", "coap://h:70000"] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }
}
