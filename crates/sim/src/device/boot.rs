//! The boot loader: it makes a blank flash, decides which slot starts (`buoy_ota::boot`), and runs that slot's image under a watchdog.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use buoy_files::{Access, Draft};
use buoy_ota::boot::{self, Attempts, BootReason};
use buoy_ota::container::Proof;
use buoy_ota::host;
use buoy_ota::partition::{PartitionTable, TABLE_OFFSET};
use buoy_ota::simflash::FileFlash;
use buoy_ota::slots::{self, LayoutError, Slot};

use super::error::{DeviceError, ImageError};
use super::event::DeviceEvent;
use super::image::{self, Exit, Input};
use super::output::Output;
use super::parts::{FLASH_LEN, Parts};
use super::power::{EndNotice, Signal};
use super::settings::{DeviceSettings, FactoryImage};

/// An image that says nothing for so long hangs.
const WATCHDOG: Duration = Duration::from_secs(3);
/// A confirmed image that crashes is started again, as on a chip, but not in a tight loop.
const AFTER_CRASH: Duration = Duration::from_secs(1);
/// An image that is switched off ends within so long: a disk that is slow to flush, or the resolution of a name, may hold it up.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// The engine and its messages lie on the stack.
const STACK: usize = 8 << 20;

/// A device that is switched on.
pub(super) struct BootLoader {
    parts: Arc<Parts>,
    signals: (Sender<Signal>, Receiver<Signal>),
    /// A second boot loader would use up the trials of the first one's image, and the numbers of its DTLS records.
    _lock: File,
}

enum Ended {
    Exit(Exit),
    Crashed(String),
    Hung,
}

impl Ended {
    /// What the next image is told of it.
    fn reset_reason(&self) -> &'static str {
        match self {
            Self::Exit(Exit::PowerOff) => "power on",
            Self::Exit(Exit::Reboot) => "reboot",
            Self::Exit(Exit::FactoryReset) => "factory reset",
            Self::Crashed(_) => "crash",
            Self::Hung => "watchdog",
        }
    }
}

impl BootLoader {
    /// Makes the flash if it isn't there, and takes hold of it.
    pub(super) fn new(settings: DeviceSettings, output: Arc<dyn Output>) -> Result<Self, DeviceError> {
        let parts = Parts::new(settings, output)?;
        if is_blank(&parts.settings.flash) {
            provision(&parts)?;
        }
        let lock = File::open(&parts.settings.flash).map_err(|error| parts.flash_error(error))?;
        if lock.try_lock().is_err() {
            return Err(DeviceError::FlashInUse { path: parts.settings.flash });
        }
        Ok(Self { parts: Arc::new(parts), signals: channel(), _lock: lock })
    }

    /// Where the end of power is told.
    pub(super) fn switch(&self) -> Sender<Signal> {
        self.signals.0.clone()
    }

    /// Starts one image after the other until power is gone.
    pub(super) fn run(&self) -> Result<(), DeviceError> {
        let mut reset_reason = "power on";
        loop {
            let decision = {
                let mut flash = self.parts.open_flash().map_err(|error| self.parts.flash_error(error))?;
                boot::decide(&mut flash, &self.parts.device(), Attempts::DEFAULT)?
            };
            let slot = decision.image.slot();
            let version = decision.image.info().descriptor.version;
            let on_trial = matches!(decision.reason, BootReason::Trial { .. });
            self.show(DeviceEvent::Boot {
                version: version.as_str().to_owned(),
                slot,
                reason: decision.reason,
            });
            let ended = self.watch(slot, reset_reason)?;
            reset_reason = ended.reset_reason();
            match ended {
                Ended::Exit(Exit::PowerOff) => return Ok(()),
                Ended::Exit(Exit::Reboot) => self.show(DeviceEvent::Reboot),
                Ended::Exit(Exit::FactoryReset) => self.show(DeviceEvent::FactoryReset),
                Ended::Hung => {}
                Ended::Crashed(how) => {
                    self.show(DeviceEvent::Crash { how });
                    if !on_trial && self.is_switched_off_within(AFTER_CRASH) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Runs an image to its end.
    fn watch(&self, slot: Slot, reset_reason: &'static str) -> Result<Ended, DeviceError> {
        let (inputs, received) = channel();
        let thread = self.spawn((slot, reset_reason), (inputs.clone(), received))?;
        loop {
            match self.signals.1.recv_timeout(WATCHDOG) {
                Ok(Signal::Alive) => {}
                Ok(Signal::Ended) => return Ok(ended(thread)),
                Ok(Signal::PowerOff) => {
                    self.switch_off(&inputs, thread)?;
                    return Ok(Ended::Exit(Exit::PowerOff));
                }
                // This boot loader has a sender of its own.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    // It is told at once: the end of the image may take a while.
                    self.show(DeviceEvent::Watchdog(WATCHDOG));
                    let left = self.switch_off(&inputs, thread)?;
                    return Ok(left.unwrap_or(Ended::Hung));
                }
            }
        }
    }

    fn spawn(
        &self,
        started: (Slot, &'static str),
        (inputs, received): (Sender<Input>, Receiver<Input>),
    ) -> Result<JoinHandle<Result<Exit, ImageError>>, DeviceError> {
        let (parts, signals) = (self.parts.clone(), self.signals.0.clone());
        let body = move || {
            let notice = EndNotice(signals);
            image::run(&parts, started, (inputs, &received), &notice.0)
        };
        let thread = std::thread::Builder::new().name("image".to_owned()).stack_size(STACK);
        thread.spawn(body).map_err(DeviceError::Thread)
    }

    /// Ends an image. `None` if it did not end before, by itself.
    fn switch_off(
        &self,
        inputs: &Sender<Input>,
        thread: JoinHandle<Result<Exit, ImageError>>,
    ) -> Result<Option<Ended>, DeviceError> {
        // It may be over.
        let _ = inputs.send(Input::PowerOff);
        let mut is_off = false;
        loop {
            match self.signals.1.recv_timeout(LAST_WORDS) {
                Ok(Signal::Alive) => {}
                Ok(Signal::PowerOff) => is_off = true,
                Ok(Signal::Ended) if is_off => return Ok(Some(Ended::Exit(Exit::PowerOff))),
                Ok(Signal::Ended) => {
                    return Ok(match ended(thread) {
                        Ended::Exit(Exit::PowerOff) => None,
                        other => Some(other),
                    });
                }
                // Two images in one flash would spoil it, so none is started any more.
                Err(_) => return Err(DeviceError::Stuck),
            }
        }
    }

    fn is_switched_off_within(&self, pause: Duration) -> bool {
        matches!(self.signals.1.recv_timeout(pause), Ok(Signal::PowerOff))
    }

    fn show(&self, event: DeviceEvent) {
        self.parts.output.show(&event);
    }
}

fn ended(thread: JoinHandle<Result<Exit, ImageError>>) -> Ended {
    match thread.join() {
        Ok(Ok(exit)) => Ended::Exit(exit),
        Ok(Err(error)) => Ended::Crashed(error.to_string()),
        Err(_) => Ended::Crashed("the image panicked".to_owned()),
    }
}

/// Whether there is nothing in a flash yet.
pub(super) fn is_blank(flash: &Path) -> bool {
    fs::metadata(flash).map_or(true, |flash| flash.len() == 0)
}

/// Writes the factory image into a new flash, as a programmer does.
fn provision(parts: &Parts) -> Result<(), DeviceError> {
    let flash = &parts.settings.flash;
    let Some(FactoryImage { image, signature }) = &parts.settings.factory else {
        return Err(DeviceError::NoFactoryImage { path: flash.clone() });
    };
    let region = parts.layout.slot(Slot::Factory).ok_or(LayoutError::BadSlots)?;
    let contents = host::slot_contents(&region, image, Proof::recognise(signature)?)?;
    // Under another name until it is whole, so that a flash is either there or not.
    let write = || -> io::Result<Draft> {
        let draft = Draft::new(flash, Access::Owner)?;
        let mut new = FileFlash::open(draft.path(), FLASH_LEN)?;
        new.flash_externally(TABLE_OFFSET, &PartitionTable::standard_4mb().to_bytes())?;
        new.flash_externally(region.image.offset(), &contents)?;
        drop(new);
        Ok(draft)
    };
    let draft = write().map_err(|error| parts.flash_error(error))?;
    // A flash whose image nobody may start would be of no use, and in the way of a better one.
    let mut new = FileFlash::open(draft.path(), FLASH_LEN).map_err(|error| parts.flash_error(error))?;
    slots::authenticate(&mut new, &parts.layout, &parts.settings.trust, Slot::Factory)
        .map_err(DeviceError::FactoryRefused)?;
    drop(new);
    draft.commit().map_err(|error| parts.flash_error(error))
}
