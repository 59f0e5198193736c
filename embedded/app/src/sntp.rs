//! The time of day: a client of SNTP (RFC 4330), which is NTP's packet without its algorithms.
//!
//! A request carries a random number where its time belongs, and an answer counts only if it repeats that number.

use rand_core::Rng;
use smoltcp::iface::SocketHandle;
use smoltcp::wire::IpEndpoint;

use buoy_client::text::Text;

use crate::network::{Name, Network};

const PACKET: usize = 48;
/// Version 4, client.
const REQUEST: u8 = 4 << 3 | 3;
const SERVER: u8 = 4;
/// From 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;
/// One more turn of the 32-bit seconds, which begins in 2036.
const ERA: i64 = 1 << 32;
/// Seconds after which the clock is set again.
const AGAIN: u64 = 3600;
/// Seconds without an answer.
const PATIENCE: u64 = 5;

pub(crate) struct Sntp {
    server: Text<64>,
    port: u16,
    name: Name,
    socket: SocketHandle,
    /// Milliseconds at which it is to be asked.
    next: u64,
    nonce: Option<[u8; 8]>,
}

impl Sntp {
    pub(crate) fn new(network: &mut Network, (server, port): (Text<64>, u16)) -> Self {
        Self { server, port, name: Name::Later, socket: network.open_udp(), next: 0, nonce: None }
    }

    /// Asks when it is time, and gives the seconds since 1970 that an answer says.
    pub(crate) fn step(
        &mut self,
        milliseconds: u64,
        network: &mut Network,
        rng: &mut impl Rng,
    ) -> Option<i64> {
        network.address()?;
        let server = match network.resolve(&mut self.name) {
            Some(address) => IpEndpoint::new(address, self.port),
            None => {
                if milliseconds >= self.next {
                    self.next = milliseconds + PATIENCE * 1000;
                    self.name = network.look_up(self.server.as_str());
                    if let Name::Known(_) = self.name {
                        self.next = milliseconds;
                    }
                }
                return None;
            }
        };
        let mut packet = [0; PACKET];
        if let Some(length) = network.receive(self.socket, server, &mut packet)
            && let Some(seconds) = self.nonce.and_then(|nonce| read(packet.get(..length)?, nonce))
        {
            self.nonce = None;
            self.next = milliseconds + AGAIN * 1000;
            return Some(seconds);
        }
        if milliseconds >= self.next {
            self.next = milliseconds + PATIENCE * 1000;
            let mut nonce = [0; 8];
            rng.fill_bytes(&mut nonce);
            self.nonce = Some(nonce);
            network.send(self.socket, server, &request(nonce));
        }
        None
    }
}

fn request(nonce: [u8; 8]) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    let [first, .., a, b, c, d, e, f, g, h] = &mut packet;
    *first = REQUEST;
    [a, b, c, d, e, f, g, h].into_iter().zip(nonce).for_each(|(place, byte)| *place = byte);
    packet
}

/// Seconds since 1970, if the packet is an answer to that request from a server that knows the time.
fn read(packet: &[u8], nonce: [u8; 8]) -> Option<i64> {
    let packet: &[u8; PACKET] = packet.try_into().ok()?;
    let [first, stratum, ..] = *packet;
    let is_answer = first & 7 == SERVER && first >> 6 != 3 && (1..16).contains(&stratum);
    if !is_answer || packet.get(24..32)? != nonce {
        return None;
    }
    let seconds = i64::from(u32::from_be_bytes(packet.get(40..44)?.try_into().ok()?));
    // The first bit is set from 1968 to 2036 (RFC 4330, section 3).
    let era = if seconds & 1 << 31 == 0 { ERA } else { 0 };
    Some(seconds + era - EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(seconds: u32, nonce: [u8; 8]) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[0] = 4 << 3 | SERVER;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&nonce);
        packet[40..44].copy_from_slice(&seconds.to_be_bytes());
        packet
    }

    #[test]
    fn an_answer_to_the_own_request_tells_the_time() {
        let nonce = *b"12345678";
        assert_eq!(&request(nonce)[40..], nonce);
        assert_eq!(read(&answer(3_976_214_400, nonce), nonce), Some(1_767_225_600));
        assert_eq!(read(&answer(0, nonce), nonce), Some(2_085_978_496), "in 2036 the count begins anew");
        assert_eq!(read(&answer(3_976_214_400, *b"12345670"), nonce), None, "another request's");
        assert_eq!(read(&answer(3_976_214_400, nonce)[..47], nonce), None);
        for (at, value) in [(0, 3 << 6 | 4 << 3 | SERVER), (0, REQUEST), (1, 0), (1, 16)] {
            let mut packet = answer(3_976_214_400, nonce);
            packet[at] = value;
            assert_eq!(read(&packet, nonce), None, "a server without the time, or no server");
        }
    }
}
