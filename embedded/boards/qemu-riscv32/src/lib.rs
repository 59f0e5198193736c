//! The machine `virt` of `qemu-system-riscv32`, with 8 MiB of memory, as a board.
//!
//! | Address | |
//! |---|---|
//! | 0x0010_0000 | test device: power off, reset |
//! | 0x0200_0000 | CLINT: clock and timer |
//! | 0x1000_0000 | UART |
//! | 0x1000_1000 | eight places for virtio devices: network, random numbers |
//! | 0x2000_0000 | NOR flash |
//! | 0x3000_0000 | PCI: the watchdog i6300esb |
//! | 0x8000_0000 | memory: the application, 7 MiB |
//! | 0x8070_0000 | memory: what outlives a reset |
//! | 0x8070_1000 | memory: settings from QEMU's command line |
//! | 0x8078_0000 | memory: the boot loader |
#![no_std]

#[cfg(feature = "app")]
extern crate alloc;

// What the compiler calls by the flags of `embedded/.cargo/config.toml`.
use buoy_prologues as _;

pub mod clock;
pub mod factory;
pub mod flash;
pub mod machine;
mod register;
pub mod retained;
pub mod uart;
#[cfg(feature = "app")]
pub mod virtio;
pub mod watchdog;

/// The chip of an image for this board: not a number that Espressif has given to a chip.
pub const CHIP: u16 = 0xB0E0;
/// Bytes of the flash that are used: the layout of a common module.
pub const FLASH_LEN: u32 = 4 << 20;
/// The memory of the application.
pub const APPLICATION: core::ops::Range<u32> = 0x8000_0000..0x8070_0000;
