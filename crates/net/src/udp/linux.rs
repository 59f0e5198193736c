//! Batches by `recvmmsg` and `sendmmsg`.
//!
//! The only unsafe code here: filling the kernel's structures and reading back the addresses that it wrote.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use socket2::SockAddr;

use super::{Arrival, BATCH, MAX_DATAGRAM, Ways};

/// Room for one control message with a packet info of either family, aligned as the kernel wants it.
type Control = [u64; 5];

/// Memory for a batch of received datagrams.
pub struct Receiver {
    buffers: Box<[[u8; MAX_DATAGRAM]]>,
    addresses: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    received: Vec<(Arrival, usize)>,
    /// Those of them that were too long.
    cut: Vec<usize>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("received", &self.received).finish_non_exhaustive()
    }
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            buffers: vec![[0; MAX_DATAGRAM]; BATCH].into(),
            // SAFETY: an address of all zeros is a valid value of this plain C structure.
            addresses: vec![unsafe { MaybeUninit::zeroed().assume_init() }; BATCH].into(),
            controls: vec![[0; 5]; BATCH].into(),
            received: Vec::with_capacity(BATCH),
            cut: Vec::new(),
        }
    }
}

impl Receiver {
    /// Receives what is there, at most [`BATCH`] datagrams; how many it were.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is there.
    pub fn receive(&mut self, socket: &mio::net::UdpSocket) -> io::Result<usize> {
        self.received.clear();
        self.cut.clear();
        let mut slices = self.buffers.each_mut_slice();
        // SAFETY: headers of all zeros are valid values of this plain C structure.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
        let parts = headers.iter_mut().zip(&mut slices).zip(self.addresses.iter_mut());
        for (((header, slice), address), control) in parts.zip(self.controls.iter_mut()) {
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: the headers point to buffers and addresses that outlive the call, with their true lengths.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (header, address) in headers.iter().zip(&self.addresses).take(count) {
            let from = socket_address(address).unwrap_or_else(unknown_address);
            let is_cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            if is_cut {
                self.cut.push(self.received.len());
            }
            let arrival = Arrival { from, local: local_address(&header.msg_hdr) };
            self.received.push((arrival, if is_cut { 0 } else { header.msg_len as usize }));
        }
        Ok(count)
    }

    /// What was received, to be decrypted where it stands.
    pub fn arrivals_mut(&mut self) -> impl Iterator<Item = (Arrival, &mut [u8])> {
        let received = self.received.iter().zip(&mut self.buffers);
        received.map(|((arrival, length), buffer)| (*arrival, &mut buffer[..*length]))
    }

    /// What was received.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let received = self.received.iter().zip(&self.buffers);
        received.map(|((arrival, length), buffer)| (arrival.from, &buffer[..*length]))
    }

    /// The beginnings of those that were too long, which count as empty above.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = (Arrival, &[u8])> {
        let cut = self.cut.iter().map(|place| (&self.received[*place], &self.buffers[*place]));
        cut.map(|((arrival, _), buffer)| (*arrival, &buffer[..MAX_DATAGRAM]))
    }
}

trait EachSlice {
    fn each_mut_slice(&mut self) -> [libc::iovec; BATCH];
}

impl EachSlice for Box<[[u8; MAX_DATAGRAM]]> {
    fn each_mut_slice(&mut self) -> [libc::iovec; BATCH] {
        let mut buffers = self.iter_mut();
        std::array::from_fn(|_| match buffers.next() {
            Some(buffer) => libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: MAX_DATAGRAM },
            None => libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 },
        })
    }
}

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote an IPv4 address here, and the storage is large enough for it.
            let address = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = std::net::Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::from((ip, u16::from_be(address.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for IPv6.
            let address = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = std::net::Ipv6Addr::from(address.sin6_addr.s6_addr);
            let port = u16::from_be(address.sin6_port);
            Some(std::net::SocketAddrV6::new(ip, port, address.sin6_flowinfo, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Has the kernel say to which address of this machine each datagram went.
pub(super) fn ask_for_local_addresses(socket: &impl AsRawFd, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = match is_ipv6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an integer of the length that is told.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// To which address of this machine a received message went, if the kernel was asked to say it.
fn local_address(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled the control buffer that the header points to and that is still there; the macros stay inside of it.
    let local = unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        loop {
            if control.is_null() {
                return None;
            }
            match ((*control).cmsg_level, (*control).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
                    break IpAddr::from(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(control).cast());
                    break IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr));
                }
                _ => control = libc::CMSG_NXTHDR(header, control),
            }
        }
    };
    (!local.is_multicast() && !local.is_unspecified()).then_some(local)
}

/// Writes from which address a message is to leave.
fn set_source(header: &mut libc::msghdr, control: &mut Control, from: IpAddr) {
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the control buffer has room for one packet info of either family, as `Control` sees to.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let length = match from {
            IpAddr::V4(from) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                ((*message).cmsg_level, (*message).cmsg_type) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
                std::ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
                size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(from) => {
                let address = libc::in6_addr { s6_addr: from.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: 0 };
                ((*message).cmsg_level, (*message).cmsg_type) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                std::ptr::write_unaligned(libc::CMSG_DATA(message).cast(), info);
                size_of::<libc::in6_pktinfo>()
            }
        } as libc::c_uint;
        (*message).cmsg_len = libc::CMSG_LEN(length) as _;
        header.msg_controllen = libc::CMSG_SPACE(length) as _;
    }
}

fn unknown_address() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 0))
}

/// Sends datagrams, each from the address that its peer sent to. One that cannot be sent is lost, as it might be on the way.
pub fn send_batch<'a>(
    socket: &mio::net::UdpSocket,
    ways: &Ways,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
) {
    let mut datagrams = datagrams.peekable();
    while datagrams.peek().is_some() {
        send_some(socket, ways, datagrams.by_ref().take(BATCH));
    }
}

fn send_some<'a>(
    socket: &mio::net::UdpSocket,
    ways: &Ways,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
) {
    // SAFETY: all zeros are valid values of these plain C structures.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut addresses: [Option<SockAddr>; BATCH] = [const { None }; BATCH];
    let mut controls: [Control; BATCH] = [[0; 5]; BATCH];
    let mut locals: [Option<IpAddr>; BATCH] = [None; BATCH];
    let mut count = 0;
    let parts = datagrams.zip(&mut slices).zip(&mut addresses).zip(&mut controls).zip(&mut headers);
    for (((((to, datagram), slice), address), control), header) in parts {
        slice.iov_base = datagram.as_ptr().cast_mut().cast();
        slice.iov_len = datagram.len();
        *address = Some(SockAddr::from(to));
        locals[count] = ways.local_for(to);
        if let Some(local) = locals[count] {
            set_source(&mut header.msg_hdr, control, local);
        }
        count += 1;
    }
    for ((header, slice), address) in headers.iter_mut().zip(&mut slices).zip(&addresses).take(count) {
        let Some(address) = address else { continue };
        header.msg_hdr.msg_iov = slice;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = address.len();
    }
    let (mut sent, mut lost) = (0, None);
    while sent < count {
        let rest = &mut headers[sent..count];
        // SAFETY: the headers point to datagrams and addresses that outlive the call; `sendmmsg` only reads them.
        let result = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                rest.as_mut_ptr(),
                rest.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        match usize::try_from(result) {
            Ok(progress) => {
                // It could not leave from there, and can from elsewhere: this machine has lost that address.
                lost.take().into_iter().for_each(|local| ways.is_gone(local));
                sent += progress.max(1);
            }
            Err(_) if locals[sent].is_some() => {
                lost = locals[sent].take();
                rest[0].msg_hdr.msg_control = std::ptr::null_mut();
                rest[0].msg_hdr.msg_controllen = 0;
            }
            // The first of the rest cannot go: an unreachable peer, or no room. It is lost; the others are tried.
            Err(_) => {
                lost = None;
                sent += 1;
            }
        }
    }
}
