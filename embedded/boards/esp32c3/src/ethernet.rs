//! The OpenCores Ethernet controller that Espressif's emulators have, so that an image can be tried without a radio.

use alloc::boxed::Box;
use core::ptr::{read_volatile, write_volatile};

use smoltcp::phy::{self, Checksum, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

const BASE: usize = if cfg!(feature = "esp32") { 0x3FF6_9000 } else { 0x600C_D000 };
const MODE: usize = 0x00;
const SEND_DESCRIPTORS: usize = 0x20;
const ADDRESS_LOW: usize = 0x40;
const ADDRESS_HIGH: usize = 0x44;
const DESCRIPTORS: usize = 0x400;
/// Receive, send, full duplex, add the CRC, pad short frames.
const ON: u32 = 1 | 1 << 1 | 1 << 10 | 1 << 13 | 1 << 15;
/// A descriptor that the controller has, and the last one of its kind.
const OWNED: u32 = 1 << 15;
const LAST: u32 = 1 << 13;
const PAD_AND_CRC: u32 = 1 << 12 | 1 << 11;
const FRAME: usize = 1536;
const CRC: usize = 4;
const RECEIVERS: usize = 4;

/// The controller.
pub struct Ethernet {
    frames: &'static mut [[u8; FRAME]; RECEIVERS],
    sent: &'static mut [u8; FRAME],
    next: usize,
}

impl Ethernet {
    /// Starts it. Once.
    #[must_use]
    pub fn start(address: [u8; 6]) -> Self {
        // The controller has them for as long as the device runs.
        let frames = Box::leak(Box::new([[0; FRAME]; RECEIVERS]));
        let sent = Box::leak(Box::new([0; FRAME]));
        write(MODE, 0);
        write(SEND_DESCRIPTORS, 1);
        let [a, b, c, d, e, f] = address;
        write(ADDRESS_LOW, u32::from_be_bytes([c, d, e, f]));
        write(ADDRESS_HIGH, u32::from_be_bytes([0, 0, a, b]));
        write(DESCRIPTORS, LAST);
        write(DESCRIPTORS + 4, sent.as_ptr() as u32);
        for (index, frame) in frames.iter().enumerate() {
            write(receiver(index) + 4, frame.as_ptr() as u32);
            write(receiver(index), OWNED | if index + 1 == RECEIVERS { LAST } else { 0 });
        }
        write(MODE, ON);
        Self { frames, sent, next: 0 }
    }

    fn can_send(&self) -> bool {
        read(DESCRIPTORS) & OWNED == 0
    }
}

const fn receiver(index: usize) -> usize {
    DESCRIPTORS + 8 * (index + 1)
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of the controller.
    unsafe { read_volatile((BASE + register) as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: a register of the controller.
    unsafe { write_volatile((BASE + register) as *mut u32, value) }
}

/// A frame that came.
pub struct Received {
    frame: *const u8,
    length: usize,
    descriptor: usize,
}

/// A frame to send.
pub struct Sending<'a>(&'a mut [u8; FRAME]);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        // SAFETY: the frame is the processor's until the descriptor is given back.
        let result = take(unsafe { core::slice::from_raw_parts(self.frame, self.length) });
        write(self.descriptor, read(self.descriptor) & LAST | OWNED);
        result
    }
}

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let result = fill(self.0.get_mut(..length).unwrap_or_default());
        write(DESCRIPTORS, (length as u32) << 16 | OWNED | LAST | PAD_AND_CRC);
        result
    }
}

impl phy::Device for Ethernet {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let descriptor = receiver(self.next);
        let state = read(descriptor);
        if state & OWNED != 0 || !self.can_send() {
            return None;
        }
        let frame = self.frames.get(self.next)?.as_ptr();
        self.next = (self.next + 1) % RECEIVERS;
        let length = ((state >> 16) as usize).saturating_sub(CRC).min(FRAME);
        Some((Received { frame, length, descriptor }, Sending(self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        self.can_send().then_some(Sending(self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        let mut checksum = ChecksumCapabilities::default();
        checksum.udp = Checksum::Both;
        capabilities.checksum = checksum;
        capabilities
    }
}
