//! Espressif's chips as boards: the ESP32-C3, and the ESP32 with a compiler for it.
//!
//! | Pin | |
//! |---|---|
//! | GPIO 4 | the light, on at any level |
//! | GPIO 8 | the light, a WS2812 as on Espressif's boards (ESP32-C3) |
//! | GPIO 9; 0 on the ESP32 | the button of the board, which its boot loader has too: held for 5 s it is a factory reset |
//!
//! The second-stage boot loader is ESP-IDF's. The application checks itself in its first lines (`buoy_app::check`).
#![no_std]

extern crate alloc;

#[cfg(not(any(feature = "wifi", feature = "emulated-ethernet")))]
compile_error!("a board needs a network: the feature `wifi` or `emulated-ethernet`");
#[cfg(all(feature = "wifi", feature = "emulated-ethernet"))]
compile_error!("`emulated-ethernet` takes the place of `wifi`; turn one of them off");
#[cfg(all(feature = "esp32", feature = "esp32c3"))]
compile_error!("one chip at a time: build for the ESP32 with --no-default-features --features esp32");

pub mod clock;
#[cfg(feature = "emulated-ethernet")]
pub mod ethernet;
pub mod flash;
#[cfg(feature = "esp32c3")]
pub mod light;
pub mod power;
#[cfg(feature = "wifi")]
pub mod radio;
#[cfg(feature = "wifi")]
pub mod site;

/// Bytes of the flash: the common module.
pub const FLASH_LEN: u32 = 4 << 20;
/// The chip of an image.
pub const CHIP: u16 = if cfg!(feature = "esp32") { 0 } else { 5 };
