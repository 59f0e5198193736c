//! The boot loader of the board.
#![no_std]
#![no_main]

use core::arch::global_asm;

use buoy_boot::{Board, Slot};
use buoy_ota::image::ChipId;
use buoy_qemu_riscv32::flash::{self, Flash};
use buoy_qemu_riscv32::uart::Uart;
use buoy_qemu_riscv32::watchdog::Watchdog;
use buoy_qemu_riscv32::{APPLICATION, CHIP, FLASH_LEN, clock, machine};

/// The release key: a SubjectPublicKeyInfo in DER, in the file that the environment named when this was built.
static RELEASE_KEY: &[u8] = include_bytes!(env!("BUOY_RELEASE_KEY"));
/// An image that gives no sign of life for so many seconds hangs.
const PATIENCE: u32 = 6;
/// A pause before another start, in milliseconds.
const PAUSE: u64 = 1000;
/// What the application is told of its slot, besides the numbers of those for updates.
const FACTORY: usize = 0xFF;

// The reset vector leads here, in the flash. All else runs from RAM.
global_asm!(
    ".section .start, \"ax\"",
    ".option norelax",
    ".global _start",
    "_start:",
    "lui a0, %hi(__source)",
    "addi a0, a0, %lo(__source)",
    "lui a1, %hi(__loaded)",
    "addi a1, a1, %lo(__loaded)",
    "lui a2, %hi(__loaded_end)",
    "addi a2, a2, %lo(__loaded_end)",
    "1: lw t0, 0(a0)",
    "sw t0, 0(a1)",
    "addi a0, a0, 4",
    "addi a1, a1, 4",
    "bltu a1, a2, 1b",
    "lui a1, %hi(__bss)",
    "addi a1, a1, %lo(__bss)",
    "lui a2, %hi(__bss_end)",
    "addi a2, a2, %lo(__bss_end)",
    "2: bgeu a1, a2, 3f",
    "sw zero, 0(a1)",
    "addi a1, a1, 4",
    "j 2b",
    "3: lui sp, %hi(__stack)",
    "addi sp, sp, %lo(__stack)",
    "lui t0, %hi({main})",
    "jalr zero, t0, %lo({main})",
    main = sym main,
);

struct Virt {
    flash: Flash,
    console: Uart,
}

extern "C" fn main() -> ! {
    buoy_boot::run(&mut Virt { flash: Flash, console: Uart }, &[RELEASE_KEY])
}

impl Board for Virt {
    type Flash = Flash;
    type Console = Uart;
    const CHIP: ChipId = ChipId(CHIP);
    const FLASH_LEN: u32 = FLASH_LEN;

    fn flash(&mut self) -> &mut Flash {
        &mut self.flash
    }

    fn console(&mut self) -> &mut Uart {
        &mut self.console
    }

    fn arm_watchdog(&mut self) {
        // A machine without one is for who tries the board by hand.
        if let Some(watchdog) = Watchdog::find() {
            watchdog.arm(PATIENCE);
        }
    }

    fn load(&mut self, from: u32, address: u32, len: u32) -> bool {
        let fits = APPLICATION.contains(&address) && len <= APPLICATION.end - address;
        let Some(bytes) = flash::mapped(from, len).filter(|_| fits) else { return false };
        // SAFETY: that memory is the application's, which does not run yet.
        let memory = unsafe { core::slice::from_raw_parts_mut(address as *mut u8, len as usize) };
        memory.copy_from_slice(bytes);
        true
    }

    fn start(&mut self, entry: u32, slot: Slot) -> ! {
        let slot = match slot {
            Slot::Factory => FACTORY,
            Slot::Ota(number) => number.into(),
        };
        // SAFETY: the image is authentic, and its segments are in their places.
        unsafe {
            core::arch::asm!("fence.i", "jr {entry}", entry = in(reg) entry, in("a0") slot, options(noreturn))
        }
    }

    fn reset_later(&mut self) -> ! {
        clock::pause(PAUSE);
        machine::reset()
    }
}

/// A fault of the boot loader itself. Another start may go better, and the watchdog doesn't run yet.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    machine::reset()
}
