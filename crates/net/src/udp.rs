//! UDP sockets of which several share one port, and datagrams in batches.
//!
//! On Linux a batch is one system call each way (`recvmmsg`, `sendmmsg`); elsewhere it is a loop over single calls.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;
mod ways;

use std::io;
use std::net::{IpAddr, SocketAddr};

pub use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

pub use ways::Ways;

#[cfg(target_os = "linux")]
pub use linux::{Receiver, send_batch};
#[cfg(not(target_os = "linux"))]
pub use portable::{Receiver, send_batch};

/// The most datagrams of a batch.
pub const BATCH: usize = 64;
/// The largest datagram that is received; a longer one counts as empty, which is no message.
pub const MAX_DATAGRAM: usize = 2048;
/// Room in the kernel for what comes while the shard is busy.
const RECEIVE_BUFFER: usize = 8 << 20;

/// What [`Receiver::receive_some`] hands out.
#[derive(Debug)]
pub enum Part<'a> {
    /// A batch has come.
    Batch,
    /// A datagram of it, to be decrypted where it stands.
    Datagram(Arrival, &'a mut [u8]),
    /// The beginning of one that is longer than [`MAX_DATAGRAM`].
    TooLong(Arrival, &'a [u8]),
}

/// Whence a datagram came, and to which address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its sender.
    pub from: SocketAddr,
    /// Where it went to, if the socket is bound to all addresses and the system says it.
    pub local: Option<IpAddr>,
}

impl Receiver {
    /// Hands out what is there, at most so many batches; says whether there may be more.
    pub fn receive_some(
        &mut self,
        socket: &mio::net::UdpSocket,
        batches: usize,
        mut take: impl FnMut(Part<'_>),
    ) -> bool {
        for _ in 0..batches {
            match self.receive(socket) {
                Ok(count) => {
                    take(Part::Batch);
                    self.arrivals_mut()
                        .for_each(|(arrival, datagram)| take(Part::Datagram(arrival, datagram)));
                    self.beginnings().for_each(|(arrival, datagram)| take(Part::TooLong(arrival, datagram)));
                    // Fewer than asked for: the socket is empty, and the next datagram wakes the poller.
                    if count < BATCH {
                        return false;
                    }
                }
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}

/// Binds `count` sockets to one address, so that the kernel spreads the peers over them. With port 0 the kernel chooses one port
/// for all.
///
/// # Errors
/// What the system says, most often that the address is in use.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<mio::net::UdpSocket>> {
    // Sockets that share a port would share it with another server too, and each would get half of the devices.
    drop(bind_one(address, false)?);
    let first = bind_one(address, count > 1)?;
    let address = first.local_addr()?;
    let others = (1..count).map(|_| bind_one(address, true));
    std::iter::once(Ok(first)).chain(others).collect()
}

fn bind_one(address: SocketAddr, shared: bool) -> io::Result<mio::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    #[cfg(unix)]
    socket.set_reuse_port(shared)?;
    #[cfg(not(unix))]
    let _ = shared;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    #[cfg(target_os = "linux")]
    if address.ip().is_unspecified() {
        linux::ask_for_local_addresses(&socket, address.is_ipv6())?;
    }
    // A smaller buffer than wished for is no reason not to start.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(mio::net::UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_that_is_too_long_is_handed_out_as_such() {
        let socket = bind(([127, 0, 0, 1], 0).into(), 1).unwrap().remove(0);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for length in [3, MAX_DATAGRAM, MAX_DATAGRAM + 1, 5000] {
            sender.send_to(&vec![7; length], socket.local_addr().unwrap()).unwrap();
        }
        let (mut whole, mut cut) = (Vec::new(), Vec::new());
        Receiver::default().receive_some(&socket, 1, |part| match part {
            Part::Batch => {}
            Part::Datagram(_, datagram) => whole.push(datagram.len()),
            Part::TooLong(arrival, beginning) => {
                assert_eq!((arrival.from, beginning), (sender.local_addr().unwrap(), &[7; MAX_DATAGRAM][..]));
                cut.push(beginning.len());
            }
        });
        assert_eq!((whole, cut), (vec![3, MAX_DATAGRAM, 0, 0], vec![MAX_DATAGRAM; 2]));
    }

    /// Receives one datagram, and answers it.
    #[cfg(target_os = "linux")]
    fn echo(socket: &mio::net::UdpSocket, ways: &mut Ways) -> Option<IpAddr> {
        let (mut receiver, mut arrived) = (Receiver::default(), None);
        while arrived.is_none() {
            receiver.receive_some(socket, 1, |part| {
                if let Part::Datagram(arrival, _) = part {
                    arrived = Some(arrival);
                }
            });
            std::thread::yield_now();
        }
        let arrival = arrived?;
        ways.heard(arrival.from, arrival.local);
        send_batch(socket, ways, [(arrival.from, &b"answer"[..])].into_iter());
        arrival.local
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        for all in ["0.0.0.0:0", "[::]:0"] {
            let Ok(mut sockets) = bind(all.parse().unwrap(), 1) else { continue };
            let socket = sockets.remove(0);
            let port = socket.local_addr().unwrap().port();
            let mut ways = Ways::default();
            for asked in ["127.0.0.1", "127.0.0.7", "127.8.9.10", "127.0.0.1"] {
                let device = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
                device.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
                let asked: SocketAddr = format!("{asked}:{port}").parse().unwrap();
                // Only what comes from there arrives, as behind a NAT.
                device.connect(asked).unwrap();
                device.send(b"question").unwrap();
                let local = echo(&socket, &mut ways);
                assert_eq!(local.map(|it| it.to_canonical()), Some(asked.ip()), "{all}");
                let mut buffer = [0; 16];
                assert_eq!(device.recv(&mut buffer).unwrap(), 6, "{all} {asked}");
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_can_not_leave_from_an_address_that_is_gone_leaves_from_another() {
        let socket = bind(([0, 0, 0, 0], 0).into(), 1).unwrap().remove(0);
        let device = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        device.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let to = device.local_addr().unwrap();
        let mut ways = Ways::default();
        // An address for documentation, which this machine never has.
        ways.heard(to, Some(std::net::Ipv4Addr::new(192, 0, 2, 1).into()));
        ways.heard(to, Some(std::net::Ipv4Addr::new(192, 0, 2, 2).into()));
        assert!(ways.local_for(to).is_some());
        send_batch(&socket, &ways, [(to, &b"one"[..]), (to, &b"two"[..])].into_iter());
        let mut buffer = [0; 16];
        assert_eq!([device.recv(&mut buffer).unwrap(), device.recv(&mut buffer).unwrap()], [3, 3]);

        // The usual one is not used again; a peer to which nothing can be sent says nothing about it.
        let (nobody, other) = (([198, 51, 100, 2], 0).into(), ([198, 51, 100, 1], 9).into());
        let mut ways = Ways::default();
        ways.heard(other, Some(std::net::Ipv4Addr::new(192, 0, 2, 1).into()));
        send_batch(&socket, &ways, std::iter::once((nobody, &b"lost"[..])));
        assert!(ways.local_for(other).is_some());
    }

    #[test]
    fn an_address_is_shared_by_the_sockets_of_one_call_only() {
        let sockets = bind(([127, 0, 0, 1], 0).into(), 3).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
        assert_eq!(bind(address, 3).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
