//! A server that sends every datagram back: what machine, kernel and load generator allow at most.

use std::net::{SocketAddr, SocketAddrV4};

use anyhow::{Context, Result};
use buoy_net::udp::{self, Receiver, Ways, send_batch};

/// Starts the server in a thread that ends with the program.
pub(crate) fn start() -> Result<SocketAddrV4> {
    let socket = udp::bind(([127, 0, 0, 1], 0).into(), 1)?.pop().context("no socket")?;
    let SocketAddr::V4(address) = socket.local_addr()? else { anyhow::bail!("no IPv4 address") };
    let mut poll = mio::Poll::new()?;
    let mut socket = socket;
    poll.registry().register(&mut socket, mio::Token(0), mio::Interest::READABLE)?;
    std::thread::spawn(move || {
        let mut receiver = Receiver::default();
        let mut events = mio::Events::with_capacity(1);
        loop {
            while receiver.receive(&socket).is_ok() {
                let all: Vec<_> = receiver.datagrams().collect();
                send_batch(&socket, &Ways::default(), all.into_iter());
            }
            if poll.poll(&mut events, None).is_err() {
                return;
            }
        }
    });
    Ok(address)
}
