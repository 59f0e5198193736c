//! The engines' answers to fixed questions on an Xtensa processor: the machine `sim` of QEMU, whose calls write and end.
//!
//! It starts in `start.S`, and is linked by `sim.x`.
#![no_std]
#![cfg_attr(not(target_arch = "xtensa"), allow(dead_code))]

use core::fmt::{self, Write as _};

use embedded_alloc::LlffHeap as Heap;

const HEAP: usize = 1 << 20;

#[cfg_attr(target_arch = "xtensa", global_allocator)]
static ALLOCATOR: Heap = Heap::empty();

unsafe extern "C" {
    /// Writes to the console.
    fn sim_write(bytes: *const u8, length: usize);
    /// Ends the machine.
    fn sim_exit() -> !;
}

struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the bytes are there.
        unsafe { sim_write(text.as_ptr(), text.len()) };
        Ok(())
    }
}

/// One thread, and no interrupts.
struct Alone;

critical_section::set_impl!(Alone);

// SAFETY: nothing else runs.
unsafe impl critical_section::Impl for Alone {
    unsafe fn acquire() {}
    unsafe fn release(_: ()) {}
}

/// Where `start.S` leads.
#[unsafe(no_mangle)]
extern "C" fn buoy_main() -> ! {
    static mut MEMORY: [u8; HEAP] = [0; HEAP];
    // SAFETY: once, and nobody else uses that memory.
    unsafe { ALLOCATOR.init(&raw mut MEMORY as usize, HEAP) };
    // Who reads the console finds that the last line is missing.
    let _ = buoy_answers::write(&mut Console);
    // SAFETY: it ends here.
    unsafe { sim_exit() }
}

#[cfg(target_arch = "xtensa")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "{info}");
    // SAFETY: it ends here.
    unsafe { sim_exit() }
}
