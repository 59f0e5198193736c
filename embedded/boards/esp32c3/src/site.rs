//! Set-up where the device stands: its own network, and the page that a phone opens there.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use buoy_portal::http::{Arrived, Incoming};
use buoy_portal::page::{Reply, Shown, reply};
use buoy_portal::setup::Setup;
use buoy_portal::{dhcp, dns};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint, IpListenEndpoint, Ipv4Address,
};

use crate::clock;
use crate::radio::AccessPoint;

/// The device's address in its own network.
const ADDRESS: [u8; 4] = [192, 168, 4, 1];
const TO_ALL: IpEndpoint = IpEndpoint { addr: IpAddress::Ipv4(Ipv4Address::BROADCAST), port: 68 };
/// Browsers open several connections at once.
const CONNECTIONS: usize = 4;
/// A browser that says nothing loses its connection.
const SILENCE: Duration = Duration::from_secs(10);
/// So long the answer has to leave before the device joins the other network, in milliseconds.
const LAST_WORD: u64 = 3000;

/// Serves the page until somebody has sent good settings, or until `is_over` says so. `save` keeps them.
pub fn set_up(
    mut point: AccessPoint,
    endpoint: &str,
    mut save: impl FnMut(&Setup) -> bool,
    mut is_over: impl FnMut() -> bool,
) {
    let mut site = Site::new(&mut point);
    let mut ends = None;
    while !is_over() && ends.is_none_or(|at| clock::milliseconds() < at) {
        let is_saved = site.turn(&mut point, endpoint, &mut save);
        if is_saved && ends.is_none() {
            ends = Some(clock::milliseconds() + LAST_WORD);
        }
        clock::wait(1);
    }
}

struct Site {
    interface: Interface,
    sockets: SocketSet<'static>,
    names: SocketHandle,
    addresses: SocketHandle,
    leases: dhcp::Leases,
    connections: Vec<Connection>,
}

struct Connection {
    socket: SocketHandle,
    incoming: Box<Incoming>,
    /// The answer, and how much of it has gone.
    answer: Option<(String, usize)>,
}

impl Site {
    fn new(point: &mut AccessPoint) -> Self {
        let hardware = HardwareAddress::Ethernet(EthernetAddress(point.hardware_address()));
        let mut interface = Interface::new(Config::new(hardware), point, now());
        let [a, b, c, d] = ADDRESS;
        interface.update_ip_addrs(|addresses| {
            // There is room for one.
            let _ = addresses.push(IpCidr::new(IpAddress::v4(a, b, c, d), 24));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let names = sockets.add(datagrams(53));
        let addresses = sockets.add(datagrams(67));
        let connections = (0..CONNECTIONS)
            .map(|_| {
                let buffers = (tcp::SocketBuffer::new(vec![0; 1536]), tcp::SocketBuffer::new(vec![0; 3072]));
                let socket = sockets.add(tcp::Socket::new(buffers.0, buffers.1));
                Connection { socket, incoming: Box::new(Incoming::new()), answer: None }
            })
            .collect();
        Self { interface, sockets, names, addresses, leases: dhcp::Leases::new(ADDRESS), connections }
    }

    /// One turn. Says whether settings were saved.
    fn turn(
        &mut self,
        point: &mut AccessPoint,
        endpoint: &str,
        save: &mut impl FnMut(&Setup) -> bool,
    ) -> bool {
        self.interface.poll(now(), point, &mut self.sockets);
        self.lend_addresses();
        self.answer_names();
        let shown = Shown { address: ADDRESS, endpoint, networks: &point.networks };
        let mut is_saved = false;
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(connection.socket);
            is_saved |= connection.turn(socket, &shown, save);
        }
        is_saved
    }

    fn lend_addresses(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.addresses);
        let mut out = [0; dhcp::MESSAGE];
        while let Ok((message, _)) = socket.recv() {
            let Some(answer) = self.leases.answer(message, &mut out) else { continue };
            // One that finds no room is asked for again.
            let _ = socket.send_slice(answer, TO_ALL);
        }
    }

    fn answer_names(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.names);
        let mut out = [0; dns::MESSAGE];
        while let Ok((message, from)) = socket.recv() {
            let Some(answer) = dns::answer(message, ADDRESS, &mut out) else { continue };
            // One that finds no room is asked for again.
            let _ = socket.send_slice(answer, from.endpoint);
        }
    }
}

impl Connection {
    fn turn(
        &mut self,
        socket: &mut tcp::Socket<'static>,
        shown: &Shown<'_>,
        save: &mut impl FnMut(&Setup) -> bool,
    ) -> bool {
        if !socket.is_open() {
            self.incoming.clear();
            self.answer = None;
            socket.set_timeout(Some(SILENCE));
            // The port is not 0, and the socket is closed.
            let _ = socket.listen(IpListenEndpoint { addr: None, port: 80 });
            return false;
        }
        let mut is_saved = false;
        if socket.can_recv() {
            let Self { incoming, answer, .. } = self;
            let reply = socket.recv(|bytes| {
                let reply = if answer.is_some() { None } else { replied(incoming, bytes) };
                (bytes.len(), reply)
            });
            if let Ok(Some(reply)) = reply {
                let reply = match reply {
                    Reply::Save(setup) if !save(&setup) => Reply::NotSaved,
                    other => other,
                };
                is_saved = matches!(reply, Reply::Save(_));
                let mut text = String::new();
                // A string takes all.
                let _ = reply.write(shown, &mut text);
                *answer = Some((text, 0));
            }
        }
        if let Some((text, sent)) = &mut self.answer {
            let rest = text.as_bytes().get(*sent..).unwrap_or_default();
            if rest.is_empty() {
                socket.close();
            } else if let Ok(count) = socket.send_slice(rest) {
                *sent += count;
            }
        } else if !socket.may_recv() && socket.may_send() {
            // The browser has gone.
            socket.close();
        }
        is_saved
    }
}

fn replied(incoming: &mut Incoming, bytes: &[u8]) -> Option<Reply> {
    match incoming.push(bytes) {
        Arrived::Part => None,
        Arrived::Whole(request) => Some(reply(&request)),
        Arrived::Refused(status) => Some(Reply::Refused(status)),
    }
}

fn datagrams(port: u16) -> udp::Socket<'static> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 1536]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    // The socket is new, and the port is not 0.
    let _ = socket.bind(port);
    socket
}

fn now() -> Instant {
    Instant::from_millis(clock::milliseconds() as i64)
}
