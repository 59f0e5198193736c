//! The engines' answers to fixed questions, given on the board. It needs no boot loader and no flash.
#![no_std]
#![no_main]

use core::arch::global_asm;
use core::fmt::Write as _;

use buoy_qemu_riscv32::machine;
use buoy_qemu_riscv32::uart::Uart;
use embedded_alloc::LlffHeap as Heap;
// Brings the critical section of a processor with one hart.
use riscv as _;

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
    "2: j {main}",
    main = sym main,
);

extern "C" fn main() -> ! {
    static mut MEMORY: [u8; HEAP] = [0; HEAP];
    // SAFETY: once, and nobody else uses that memory.
    unsafe { ALLOCATOR.init(&raw mut MEMORY as usize, HEAP) };
    // Who reads the console finds that the last line is missing.
    let _ = buoy_answers::write(&mut Uart);
    machine::power_off()
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Uart, "{info}");
    machine::power_off()
}
