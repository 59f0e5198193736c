//! Batches as loops, for systems without the batched calls.

use std::io;
use std::net::SocketAddr;

use super::{Arrival, BATCH, MAX_DATAGRAM, Ways};

/// Memory for a batch of received datagrams.
#[derive(Debug)]
pub struct Receiver {
    /// A byte longer than what is taken, so that what is cut is seen.
    buffers: Vec<[u8; MAX_DATAGRAM + 1]>,
    received: Vec<(SocketAddr, usize)>,
    /// Those of them that were too long.
    cut: Vec<usize>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            buffers: vec![[0; MAX_DATAGRAM + 1]; BATCH],
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
        for buffer in &mut self.buffers {
            match socket.recv_from(buffer) {
                Ok((length, from)) => {
                    let is_cut = length > MAX_DATAGRAM;
                    if is_cut {
                        self.cut.push(self.received.len());
                    }
                    self.received.push((from, if is_cut { 0 } else { length }));
                }
                Err(error) if self.received.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(self.received.len())
    }

    /// What was received, to be decrypted where it stands.
    pub fn arrivals_mut(&mut self) -> impl Iterator<Item = (Arrival, &mut [u8])> {
        let received = self.received.iter().zip(&mut self.buffers);
        received.map(|((from, length), buffer)| (arrival(*from), &mut buffer[..*length]))
    }

    /// What was received.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.received.iter().zip(&self.buffers).map(|((from, length), buffer)| (*from, &buffer[..*length]))
    }

    /// The beginnings of those that were too long, which count as empty above.
    pub(super) fn beginnings(&self) -> impl Iterator<Item = (Arrival, &[u8])> {
        let cut = self.cut.iter().map(|place| (&self.received[*place], &self.buffers[*place]));
        cut.map(|((from, _), buffer)| (arrival(*from), &buffer[..MAX_DATAGRAM]))
    }
}

/// The system isn't asked to which address a datagram went.
fn arrival(from: SocketAddr) -> Arrival {
    Arrival { from, local: None }
}

/// Sends datagrams. One that cannot be sent is lost, as it might be on the way.
pub fn send_batch<'a>(
    socket: &mio::net::UdpSocket,
    _: &Ways,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
) {
    for (to, datagram) in datagrams {
        let _ = socket.send_to(datagram, to);
    }
}
