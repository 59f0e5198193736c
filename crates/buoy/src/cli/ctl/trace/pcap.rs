//! A capture file (the classic format of libpcap, link type 101: IP packets) with CoAP messages in UDP datagrams.
//!
//! The headers are made here: the messages were taken behind decryption, where there are none. The device has its address; the server has one of
//! those for documentation (RFC 5737, RFC 3849), and the port of CoAP, by which readers know the protocol.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use buoy_api::TracedMessage;

const MAGIC: u32 = 0xa1b2_c3d4;
const LINK_TYPE_RAW: u32 = 101;
const MOST_BYTES: u32 = 65_535;
const SERVER_PORT: u16 = 5683;
const UDP: u8 = 17;
const HOPS: u8 = 64;

/// A file that grows by a packet for each message.
pub(super) struct Capture {
    file: File,
    device: SocketAddr,
    server: SocketAddr,
}

impl Capture {
    /// Makes the file, in place of one that is there.
    pub(super) fn create(path: &Path, device: Option<SocketAddr>) -> std::io::Result<Self> {
        let device = device.unwrap_or_else(|| (Ipv4Addr::new(192, 0, 2, 2), 56_830).into());
        let server: IpAddr = match device {
            SocketAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        let mut file = File::create(path)?;
        let mut head = Vec::new();
        head.extend(MAGIC.to_le_bytes());
        // Version 2.4; times are in UTC.
        head.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        head.extend(MOST_BYTES.to_le_bytes());
        head.extend(LINK_TYPE_RAW.to_le_bytes());
        file.write_all(&head)?;
        Ok(Self { file, device, server: SocketAddr::new(server, SERVER_PORT) })
    }

    /// Adds a message. It is in the file when this returns, so that another program can read along.
    pub(super) fn add(&mut self, message: &TracedMessage) -> anyhow::Result<()> {
        let Some(bytes) = buoy_services::hex::decode(&message.bytes) else { return Ok(()) };
        let (from, to) = match message.incoming {
            true => (self.device, self.server),
            false => (self.server, self.device),
        };
        let packet = packet(from, to, &bytes);
        let (seconds, micros) = (message.at / 1000, message.at % 1000 * 1000);
        let mut record = Vec::with_capacity(16 + packet.len());
        for number in [seconds as u32, micros as u32, packet.len() as u32, packet.len() as u32] {
            record.extend(number.to_le_bytes());
        }
        record.extend(packet);
        Ok(self.file.write_all(&record)?)
    }
}

fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let udp_length = (8 + payload.len()) as u16;
    let mut udp = Vec::new();
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend(udp_length.to_be_bytes());
    // Set below.
    udp.extend([0, 0]);
    udp.extend(payload);
    let (mut header, pseudo) = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(from, to, udp_length),
        (from, to) => ipv6(mapped(from), mapped(to), udp_length),
    };
    let sum = match checksum(&[pseudo, udp.clone()].concat()) {
        // Zero would say that there is none (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    header.extend(udp);
    header
}

/// A header without options, and what the checksum of UDP covers besides the datagram.
fn ipv4(from: Ipv4Addr, to: Ipv4Addr, length: u16) -> (Vec<u8>, Vec<u8>) {
    let mut header = vec![0x45, 0];
    header.extend((20 + length).to_be_bytes());
    header.extend([0, 0, 0x40, 0, HOPS, UDP, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let pseudo = [&from.octets()[..], &to.octets(), &[0, UDP], &length.to_be_bytes()].concat();
    (header, pseudo)
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, length: u16) -> (Vec<u8>, Vec<u8>) {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length.to_be_bytes());
    header.extend([UDP, HOPS]);
    header.extend(from.octets());
    header.extend(to.octets());
    let length = u32::from(length).to_be_bytes();
    let pseudo = [&from.octets()[..], &to.octets(), &length, &[0, 0, 0, UDP]].concat();
    (header, pseudo)
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The checksum of the Internet (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        let high = u32::from(pair[0]) << 8;
        sum += high + pair.get(1).map_or(0, |low| u32::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_the_lengths_and_sums_of_its_parts() {
        let packet =
            packet("192.0.2.2:1000".parse().unwrap(), "192.0.2.1:5683".parse().unwrap(), &[0x40, 0, 1, 2, 3]);
        assert_eq!(packet.len(), 33);
        assert_eq!(u16::from_be_bytes([packet[2], packet[3]]), 33);
        assert_eq!(checksum(&packet[..20]), 0, "a header with its sum adds up to nothing");
        let pseudo = [&packet[12..20], &[0, UDP, 0, 13], &packet[20..]].concat();
        assert_eq!(checksum(&pseudo), 0);
        let packet =
            super::packet("[2001:db8::2]:1".parse().unwrap(), "[2001:db8::1]:5683".parse().unwrap(), &[1, 2]);
        let pseudo = [&packet[8..40], &[0, 0, 0, 10, 0, 0, 0, UDP], &packet[40..]].concat();
        assert_eq!((packet.len(), checksum(&pseudo)), (50, 0));
    }
}
