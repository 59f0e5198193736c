//! Devices of virtio over memory-mapped registers: network and random numbers.

use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::NonNull;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use virtio_drivers::device::net::{RxBuffer, VirtIONet};
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE};

const FIRST: usize = 0x1000_1000;
const PLACES: usize = 8;
/// Bytes of a place.
const SIZE: usize = 0x1000;
/// Frames that wait, each way.
const QUEUE: usize = 16;
/// Bytes of a frame, with virtio's header.
const FRAME: usize = 2048;
const MTU: usize = 1514;

/// Memory that the devices see: they see all of it, at the same addresses.
pub struct Memory;

// SAFETY: memory comes from the allocator, zeroed and aligned to pages, and addresses are the same for the devices.
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (u64, NonNull<u8>) {
        // SAFETY: the layout isn't empty.
        let memory = unsafe { alloc_zeroed(layout(pages)) };
        let memory = NonNull::new(memory).expect("there is memory for the queues of the devices");
        (memory.as_ptr() as u64, memory)
    }

    unsafe fn dma_dealloc(_: u64, memory: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller has it from `dma_alloc`.
        unsafe { dealloc(memory.as_ptr(), layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(address: u64, _: usize) -> NonNull<u8> {
        NonNull::new(address as usize as *mut u8).expect("no device is at address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> u64 {
        buffer.as_ptr().cast::<u8>() as u64
    }

    unsafe fn unshare(_: u64, _: NonNull<[u8]>, _: BufferDirection) {}
}

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).expect("a few pages")
}

type Registers = MmioTransport<'static>;

fn find(wanted: DeviceType) -> Option<Registers> {
    (0..PLACES).find_map(|place| {
        let header = NonNull::new((FIRST + place * SIZE) as *mut VirtIOHeader)?;
        // SAFETY: a place for virtio's devices, and each device is looked for once.
        let found = unsafe { MmioTransport::new(header, SIZE) }.ok()?;
        if found.device_type() == wanted {
            return Some(found);
        }
        // To drop it would reset a device that is in use.
        core::mem::forget(found);
        None
    })
}

/// Random bytes of the machine's; `None` without `-device virtio-rng-device`.
#[must_use]
pub fn seed() -> Option<[u8; 32]> {
    let mut device = VirtIORng::<Memory, _>::new(find(DeviceType::EntropySource)?).ok()?;
    let mut seed = [0; 32];
    let mut filled = 0;
    while filled < seed.len() {
        filled += device.request_entropy(seed.get_mut(filled..)?).ok().filter(|count| *count > 0)?;
    }
    Some(seed)
}

/// The network.
pub struct Network {
    device: VirtIONet<Memory, Registers, QUEUE>,
}

impl Network {
    /// The network; `None` without `-device virtio-net-device`.
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self { device: VirtIONet::new(find(DeviceType::Network)?, FRAME).ok()? })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> [u8; 6] {
        self.device.mac_address()
    }
}

/// A frame that came.
pub struct Received(Vec<u8>);

/// A frame to send.
pub struct Sending<'a>(&'a mut Network);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = self.0.device.new_tx_buffer(len);
        let result = fill(frame.packet_mut());
        // A frame that can't be sent is lost, as it might be on the way.
        let _ = self.0.device.send(frame);
        result
    }
}

impl phy::Device for Network {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame: RxBuffer = self.device.receive().ok()?;
        let bytes = frame.packet().to_vec();
        // Without it there is one place less for frames.
        let _ = self.device.recycle_rx_buffer(frame);
        Some((Received(bytes), Sending(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        self.device.can_send().then_some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
