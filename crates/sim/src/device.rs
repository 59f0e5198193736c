//! One device: a flash in a file, a boot loader, and the images that it starts.
//!
//! The boot loader provisions a blank flash, decides which slot starts (`buoy_ota::boot`), and runs that slot's image in a thread
//! under a watchdog. A reboot is the end of that thread. An image that crashes, hangs or fails its own test is tried so many times, and
//! then the one before runs again: the same code decides on a chip.
//!
//! What it holds for a server account is read by [`account`](crate::account), the way to a server is in `link`, and what of it survives
//! a reboot in `storage` and `vault`.

mod behaviour;
mod boot;
mod error;
mod event;
mod http;
mod image;
mod link;
mod output;
mod parts;
mod power;
mod settings;
mod storage;
mod vault;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use boot::BootLoader;
use power::Signal;

pub use behaviour::Behaviour;
pub use error::DeviceError;
pub use event::DeviceEvent;
pub use output::{Output, Transcript};
pub use settings::{DeviceSettings, FactoryImage};

/// A device that runs in threads of its own. Its end is like a power cut: nothing is said to a server, and nothing more is saved.
#[derive(Debug)]
pub struct Device {
    switch: Sender<Signal>,
    thread: Option<JoinHandle<Result<(), DeviceError>>>,
}

impl Device {
    /// Switches a device on.
    ///
    /// # Errors
    /// [`DeviceError`]: there is no flash, none can be made, or another device has it.
    pub fn start(settings: DeviceSettings, output: Arc<dyn Output>) -> Result<Self, DeviceError> {
        let boot_loader = BootLoader::new(settings, output.clone())?;
        let switch = boot_loader.switch();
        let thread = std::thread::Builder::new().name("boot".to_owned());
        let run = move || {
            let result = boot_loader.run();
            // Nobody may look at the result for a long time.
            result.inspect_err(|error| output.show(&DeviceEvent::Dead { why: error.to_string() }))
        };
        let thread = thread.spawn(run).map_err(DeviceError::Thread)?;
        Ok(Self { switch, thread: Some(thread) })
    }

    /// Runs a device in this thread for as long as it can.
    ///
    /// # Errors
    /// [`DeviceError`]: it can't be started, or nothing in its flash may be.
    pub fn run(settings: DeviceSettings, output: Arc<dyn Output>) -> Result<(), DeviceError> {
        BootLoader::new(settings, output)?.run()
    }

    /// Whether a flash has nothing in it yet, so that a device needs a factory image.
    #[must_use]
    pub fn is_blank(flash: &Path) -> bool {
        boot::is_blank(flash)
    }

    /// Cuts the power.
    ///
    /// # Errors
    /// Why the device had ended before.
    pub fn cut_power(mut self) -> Result<(), DeviceError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), DeviceError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        // It may have ended by itself.
        let _ = self.switch.send(Signal::PowerOff);
        // A boot loader that panicked has said so.
        thread.join().unwrap_or(Ok(()))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Nobody is left who could do something about it.
        let _ = self.end();
    }
}
