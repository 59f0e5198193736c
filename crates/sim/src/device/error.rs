//! Why a simulated device does not run.

use std::fmt;
use std::io;
use std::path::PathBuf;

use buoy_client::{ConfigError, RecordError};
use buoy_ota::boot::BootError;
use buoy_ota::container::EnvelopeError;
use buoy_ota::signature::SignatureError;
use buoy_ota::slots::{LayoutError, SlotError};

use crate::account::AccountError;

/// Why a device can't be started, or runs no more.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError {
    /// The flash can't be opened, made or written.
    Flash {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another device runs on this flash.
    FlashInUse {
        /// Which one.
        path: PathBuf,
    },
    /// The flash isn't there, and there is no image to make one with.
    NoFactoryImage {
        /// Which one.
        path: PathBuf,
    },
    /// The partition table has no room for images.
    Layout(LayoutError),
    /// The signature of the factory image is none.
    FactorySignature(SignatureError),
    /// The factory image is damaged, or its signature is of none that the device trusts.
    FactoryRefused(SlotError),
    /// The factory image has no place in the flash.
    FactoryImage(EnvelopeError),
    /// An account can't be used.
    Account(AccountError),
    /// Nothing in the flash may be started.
    Boot(BootError),
    /// The system has no thread.
    Thread(io::Error),
    /// The system has no random numbers.
    Random(getrandom::Error),
    /// An image hangs, and can't be ended.
    Stuck,
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash { path, error } if error.kind() == io::ErrorKind::NotFound => {
                write!(
                    f,
                    "the flash {} cannot be made: its folder is not there; make that first",
                    path.display()
                )
            }
            Self::Flash { path, error } => write!(
                f,
                "the flash {} cannot be used: {error}; name the flash of a device, or a file that is not there yet (--flash)",
                path.display()
            ),
            Self::FlashInUse { path } => write!(
                f,
                "another device runs on the flash {}; end it, or give this one a flash of its own (--flash)",
                path.display()
            ),
            Self::NoFactoryImage { path } => write!(
                f,
                "the flash {} is not there, and no factory image is named; add --factory IMAGE (`buoy fw build` makes one)",
                path.display()
            ),
            Self::Layout(error) => error.fmt(f),
            Self::FactorySignature(error) => write!(f, "the signature of the factory image is none: {error}"),
            Self::FactoryRefused(error) => write!(
                f,
                "the factory image may not be started, and no flash was made of it: {error}; is --trust the key that signed it \
                 (`buoy fw verify` tells)?"
            ),
            Self::FactoryImage(error) => write!(f, "the factory image does not fit into the flash: {error}"),
            Self::Account(error) => error.fmt(f),
            Self::Boot(error) => write!(
                f,
                "nothing can be started: {error}; is --trust the key that signed the image in the flash?"
            ),
            Self::Thread(error) => write!(f, "the system has no thread for the device: {error}"),
            Self::Random(error) => write!(f, "the system has no random numbers: {error}"),
            Self::Stuck => f.write_str("the image hangs and cannot be ended"),
        }
    }
}

impl std::error::Error for DeviceError {}

macro_rules! from {
    ($error:ident: $($from:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$from> for $error {
            fn from(error: $from) -> Self {
                Self::$variant(error)
            }
        })+
    };
}

from!(DeviceError: LayoutError => Layout, SignatureError => FactorySignature,
    EnvelopeError => FactoryImage, AccountError => Account, BootError => Boot, getrandom::Error => Random);

/// Why an image ends by itself: the device sees a crash.
#[derive(Debug)]
pub(super) enum ImageError {
    /// It crashes, because it is made so.
    Aborted,
    /// The flash can't be read.
    Flash(io::Error),
    /// The image that was chosen can't run.
    Image(SlotError),
    /// The accounts can't be set.
    Accounts(ConfigError),
    /// What is beside the flash can't be read or saved.
    State(io::Error),
    /// The same, for the record of an object.
    Record(RecordError<io::Error>),
    /// The image can't be confirmed, or given up.
    Verdict(String),
    /// The system has no random numbers.
    Random(getrandom::Error),
}

from!(ImageError: SlotError => Image, ConfigError => Accounts, RecordError<io::Error> => Record,
    getrandom::Error => Random);

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("the image aborted"),
            Self::Flash(error) => write!(f, "the flash cannot be read: {error}"),
            Self::Image(error) => write!(f, "the image cannot run: {error}"),
            Self::Accounts(error) => write!(f, "a server account cannot be made: {error}"),
            Self::State(error) => write!(f, "the state beside the flash cannot be read or saved: {error}"),
            Self::Record(error) => write!(f, "the state beside the flash cannot be read or saved: {error}"),
            Self::Verdict(why) => f.write_str(why),
            Self::Random(error) => write!(f, "the system has no random numbers: {error}"),
        }
    }
}
