//! The application on the board.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::fmt::Write as _;

use buoy_app::retained::{self as last_run, End};
use buoy_app::{Board, ChipId, Image, Slot};
use buoy_qemu_riscv32::flash::Flash;
use buoy_qemu_riscv32::uart::Uart;
use buoy_qemu_riscv32::virtio::{self, Network};
use buoy_qemu_riscv32::watchdog::{self, Watchdog};
use buoy_qemu_riscv32::{CHIP, FLASH_LEN, clock, factory, machine, retained};
use embedded_alloc::LlffHeap as Heap;
// Brings the critical section of a processor with one hart.
use riscv as _;

/// The release key: a SubjectPublicKeyInfo in DER, in the file that the environment named when this was built.
static RELEASE_KEY: &[u8] = include_bytes!(env!("BUOY_RELEASE_KEY"));
/// The app descriptor, first in memory: `buoy fw build` fills it in.
#[used]
#[unsafe(link_section = ".descriptor")]
static DESCRIPTOR: [u8; 256] = [0; 256];
/// As the boot loader sets it.
const PATIENCE: u32 = 6;
/// What the boot loader calls the slot that is not for updates.
const FACTORY: usize = 0xFF;
const HEAP: usize = 1 << 20;

#[global_allocator]
static ALLOCATOR: Heap = Heap::empty();

global_asm!(
    ".section .start, \"ax\"",
    ".global _start",
    "_start:",
    "la sp, __stack",
    "la t1, __bss",
    "la t2, __bss_end",
    "1: bgeu t1, t2, 2f",
    "sw zero, 0(t1)",
    "addi t1, t1, 4",
    "j 1b",
    "2: la t1, {fault}",
    "csrw mtvec, t1",
    "j {main}",
    main = sym main,
    fault = sym fault,
);

struct Virt {
    network: Network,
    watchdog: Option<Watchdog>,
    console: Uart,
    /// How many times faster than time the clock runs, to try what takes long.
    speed: u64,
}

extern "C" fn main(slot: usize) -> ! {
    static mut MEMORY: [u8; HEAP] = [0; HEAP];
    // SAFETY: once, and nobody else uses that memory.
    unsafe { ALLOCATOR.init(&raw mut MEMORY as usize, HEAP) };
    let Some(network) = Network::find() else { panic!("there is no network: -device virtio-net-device") };
    let mut board =
        Virt { network, watchdog: Watchdog::find(), console: Uart, speed: factory::speed().into() };
    let slot = if slot == FACTORY { Slot::Factory } else { Slot::Ota(slot as u8) };
    // The descriptor is filled in after the compiler has seen it.
    let descriptor = core::hint::black_box(&DESCRIPTOR);
    buoy_app::run(&mut board, &Image { slot, descriptor, release_key: RELEASE_KEY })
}

impl Board for Virt {
    type Flash = Flash;
    type Network = Network;
    type Console = Uart;
    const CHIP: ChipId = ChipId(CHIP);
    const FLASH_LEN: u32 = FLASH_LEN;
    const MODEL: &'static str = "QEMU virt, riscv32";
    const PATIENCE: u32 = PATIENCE;

    fn flash(&self) -> Flash {
        Flash
    }

    fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    fn hardware_address(&self) -> [u8; 6] {
        self.network.address()
    }

    fn console(&mut self) -> &mut Uart {
        &mut self.console
    }

    fn milliseconds(&self) -> u64 {
        clock::milliseconds() * self.speed
    }

    fn seed(&mut self) -> [u8; 32] {
        virtio::seed().expect("there are no random numbers: -device virtio-rng-device")
    }

    fn factory_settings<'a>(&mut self, into: &'a mut [u8]) -> &'a [u8] {
        factory::settings(into)
    }

    fn retained(&mut self) -> &mut [u8] {
        // SAFETY: the panic handler uses it too, which doesn't return.
        unsafe { retained::bytes() }
    }

    fn has_watchdog_bitten(&mut self) -> bool {
        self.watchdog.is_some_and(|watchdog| watchdog.has_bitten())
    }

    fn feed_watchdog(&mut self) {
        if self.watchdog.is_some() {
            watchdog::feed();
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        clock::wait(milliseconds);
    }

    fn set_light(&mut self, level: u8) {
        // Nobody may listen.
        let _ = writeln!(self.console, "board: the light is at {level} %");
    }

    fn temperature(&mut self) -> f64 {
        // The machine has no sensor: a slow triangle between 18 and 22 degrees, in steps of a tenth.
        let tenths = clock::milliseconds() / 1000 % 80;
        let up = if tenths < 40 { tenths } else { 80 - tenths };
        (180 + up) as f64 / 10.0
    }

    fn reset(&mut self) -> ! {
        machine::reset()
    }
}

/// The processor refuses an instruction or an access.
#[unsafe(naked)]
extern "C" fn fault() -> ! {
    core::arch::naked_asm!(".balign 4", "la sp, __stack", "j {faulted}", faulted = sym faulted)
}

extern "C" fn faulted() -> ! {
    let (cause, at): (usize, usize);
    // SAFETY: reads registers.
    unsafe { core::arch::asm!("csrr {0}, mcause", "csrr {1}, mepc", out(reg) cause, out(reg) at) };
    // SAFETY: nothing else runs any more.
    let record = unsafe { retained::bytes() };
    last_run::end_at(record, End::Fault, format_args!("fault {cause} at {at:#x}"));
    let _ = writeln!(Uart, "app: fault {cause} at {at:#x}");
    machine::reset()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing else runs any more.
    last_run::panicked(unsafe { retained::bytes() }, info);
    if let Some(place) = info.location() {
        let _ = writeln!(Uart, "app: crashed at {}:{}: {}", place.file(), place.line(), info.message());
    }
    machine::reset()
}
