//! One socket for a crowd of simulated devices, each with a loopback address of its own (`IP_PKTINFO`, Linux).
//!
//! All of 127.0.0.0/8 is this machine: a datagram says from which of its addresses it leaves, and one that comes says to which it went.
//! So a server sees as many peers as there are devices, and the simulator has one descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams that are handed to the system at once.
pub const BATCH: usize = 64;
/// The longest datagram of a device; what is longer is cut off.
pub const MAX_DATAGRAM: usize = 2048;
/// Bytes that may wait in the socket: a crowd's datagrams come in bursts.
const SOCKET_BUFFER: usize = 8 << 20;

/// Room for one control message with a packet info, aligned as the kernel wants it.
type Control = [u64; 4];

/// The socket, and memory for a batch each way.
pub struct Crowd {
    socket: UdpSocket,
    buffers: Box<[[u8; MAX_DATAGRAM]]>,
    received: Vec<(Ipv4Addr, SocketAddr, usize)>,
    outgoing: Vec<(Ipv4Addr, SocketAddrV4, usize)>,
    sending: Box<[[u8; MAX_DATAGRAM]]>,
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crowd").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Crowd {
    /// A socket on a free port of all loopback addresses.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        let socket: UdpSocket = socket.into();
        let on: libc::c_int = 1;
        // SAFETY: the option's value is an integer of the length that is told.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_IP,
                libc::IP_PKTINFO,
                std::ptr::from_ref(&on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            socket,
            buffers: vec![[0; MAX_DATAGRAM]; BATCH].into(),
            received: Vec::with_capacity(BATCH),
            outgoing: Vec::with_capacity(BATCH),
            sending: vec![[0; MAX_DATAGRAM]; BATCH].into(),
        })
    }

    /// The loopback address of device `number`: none that anybody listens on by habit.
    #[must_use]
    pub fn address(number: u32) -> Ipv4Addr {
        Ipv4Addr::from(0x7f01_0000 + (number & 0x007f_ffff))
    }

    /// The device whose address this is.
    #[must_use]
    pub fn number(address: Ipv4Addr) -> u32 {
        u32::from(address).wrapping_sub(0x7f01_0000)
    }

    /// Waits at most so long for datagrams. Whether there are any.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self, longest: std::time::Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = i32::try_from(longest.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one descriptor, in a structure that outlives the call.
        let result = unsafe { libc::poll(&mut poll, 1, millis) };
        match result {
            0 => Ok(false),
            1.. => Ok(true),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => Ok(false),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Receives what is there, at most [`BATCH`] datagrams; how many it were.
    ///
    /// # Errors
    /// What the system says; nothing there is no error.
    pub fn receive(&mut self) -> io::Result<usize> {
        self.received.clear();
        // SAFETY: all zeros are valid values of these plain C structures.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: as above.
        let mut addresses: [libc::sockaddr_in; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut controls: [Control; BATCH] = [[0; 4]; BATCH];
        let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let parts = headers.iter_mut().zip(&mut slices).zip(&mut addresses).zip(&mut controls);
        for ((((header, slice), address), control), buffer) in parts.zip(self.buffers.iter_mut()) {
            slice.iov_base = buffer.as_mut_ptr().cast();
            slice.iov_len = MAX_DATAGRAM;
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: the headers point to memory that outlives the call, with its true lengths.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        };
        for (header, address) in headers.iter().zip(&addresses).take(count) {
            let from = socket_address(address);
            self.received.push((destination(&header.msg_hdr), from.into(), header.msg_len as usize));
        }
        Ok(count)
    }

    /// What was received: to which address, from whom, and the bytes.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (Ipv4Addr, SocketAddr, &mut [u8])> {
        let parts = self.received.iter().zip(self.buffers.iter_mut());
        parts.map(|((to, from, length), buffer)| (*to, *from, &mut buffer[..*length]))
    }

    /// Lets `write` put a datagram into the next batch; it says how long it is, or 0 for none. A full batch leaves.
    pub fn send(&mut self, from: Ipv4Addr, to: SocketAddrV4, write: impl FnOnce(&mut [u8]) -> usize) {
        if self.outgoing.len() == BATCH {
            self.flush();
        }
        let length = write(&mut self.sending[self.outgoing.len()]);
        if length > 0 {
            self.outgoing.push((from, to, length));
        }
    }

    /// Sends the batch. What the system does not take is lost, as it might be on the way.
    pub fn flush(&mut self) {
        let count = self.outgoing.len();
        // SAFETY: all zeros are valid values of these plain C structures.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: as above.
        let mut addresses: [libc::sockaddr_in; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let mut controls: [Control; BATCH] = [[0; 4]; BATCH];
        let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        for (at, (from, to, length)) in self.outgoing.iter().enumerate() {
            slices[at] = libc::iovec { iov_base: self.sending[at].as_mut_ptr().cast(), iov_len: *length };
            addresses[at].sin_family = libc::AF_INET as libc::sa_family_t;
            addresses[at].sin_port = to.port().to_be();
            addresses[at].sin_addr.s_addr = u32::from(*to.ip()).to_be();
            let header = &mut headers[at].msg_hdr;
            header.msg_iov = &mut slices[at];
            header.msg_iovlen = 1;
            header.msg_name = std::ptr::from_mut(&mut addresses[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            header.msg_control = controls[at].as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            set_source(header, *from);
        }
        let mut sent = 0;
        while sent < count {
            let rest = &mut headers[sent..count];
            // SAFETY: the headers point to memory that outlives the call; `sendmmsg` only reads it.
            let result = unsafe {
                libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            };
            sent += usize::try_from(result).unwrap_or(0).max(1);
        }
        self.outgoing.clear();
    }

    /// The port that all devices have.
    ///
    /// # Errors
    /// What the system says.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }
}

fn socket_address(address: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)), u16::from_be(address.sin_port))
}

/// To which address a received message went.
fn destination(header: &libc::msghdr) -> Ipv4Addr {
    // SAFETY: the kernel filled the control buffer that the header points to and that is still there; the macros stay inside of it.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            if (*control).cmsg_level == libc::IPPROTO_IP && (*control).cmsg_type == libc::IP_PKTINFO {
                let info: libc::in_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
                return Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    Ipv4Addr::UNSPECIFIED
}

/// Writes from which address a message is to leave.
fn set_source(header: &mut libc::msghdr, from: Ipv4Addr) {
    let info = libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    // SAFETY: the header's control buffer has room for one packet info, as `Control` sees to.
    unsafe {
        let length = size_of::<libc::in_pktinfo>() as libc::c_uint;
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::IPPROTO_IP;
        (*control).cmsg_type = libc::IP_PKTINFO;
        (*control).cmsg_len = libc::CMSG_LEN(length) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(control).cast(), info);
        header.msg_controllen = libc::CMSG_SPACE(length) as _;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_of_a_crowd_has_its_own_address_both_ways() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(to) = server.local_addr().unwrap() else { unreachable!() };
        let mut crowd = Crowd::bind().unwrap();
        for number in [0, 7, 70_000] {
            crowd.send(Crowd::address(number), to, |buffer| {
                buffer[..4].copy_from_slice(&number.to_be_bytes());
                4
            });
        }
        crowd.flush();
        let mut buffer = [0; 16];
        for number in [0u32, 7, 70_000] {
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], number.to_be_bytes());
            assert_eq!(from, SocketAddr::from((Crowd::address(number), crowd.port().unwrap())));
            server.send_to(b"echo", from).unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < 3 && crowd.wait(Duration::from_secs(5)).unwrap() {
            crowd.receive().unwrap();
            seen.extend(
                crowd.datagrams().map(|(address, _, bytes)| (Crowd::number(address), bytes.to_vec())),
            );
        }
        assert_eq!(seen, [0, 7, 70_000].map(|number| (number, b"echo".to_vec())));
    }
}
