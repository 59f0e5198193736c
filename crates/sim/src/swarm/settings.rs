//! What a swarm is told, and why it doesn't run.

use std::fmt;
use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use buoy_client::ConfigError;

use super::keys::{KeyError, Keys};

/// The most devices: as many loopback addresses as there are.
pub const MOST_DEVICES: u32 = 1_000_000;

/// What a swarm does.
#[derive(Debug)]
pub struct SwarmSettings {
    /// The server: on this machine, since a swarm burdens no other.
    pub server: SocketAddrV4,
    /// How the devices prove themselves; without keys they speak plain CoAP.
    pub keys: Option<Keys>,
    /// Who they are.
    pub names: Names,
    /// For how long they run once the last has started to register.
    pub run: Duration,
    /// Registrations that may be under way at once.
    pub window: usize,
    /// Seconds: the registrations' lifetime. A device renews before it ends.
    pub lifetime: u32,
    /// The devices sleep between their contacts.
    pub queue_mode: bool,
    /// Between changes of each device's temperature.
    pub measure_every: Duration,
    /// Each device forgets its session once all have registered, and resumes it with an Update.
    pub resume: bool,
    /// The devices have the Firmware Update object (5), and take packages by push and by pull over CoAP.
    pub takes_updates: bool,
    /// A version on which some of the devices crash.
    pub flaw: Option<Flaw>,
    /// So many of the devices, in percent, fall silent for good when they have registered.
    pub offline: f64,
    /// Bits in a second that the link of each device carries, both ways together; no limit without it.
    pub link: Option<u64>,
    /// Whether the devices stay registered at the end.
    pub end: End,
}

/// A version on which some devices crash: they go back to what they ran before.
#[derive(Clone, Debug, PartialEq)]
pub struct Flaw {
    /// The version.
    pub version: String,
    /// How many of the devices, in percent. Which they are follows from their names.
    pub percent: f64,
}

impl Flaw {
    /// Whether a device crashes on the version that it has just started.
    pub(super) fn hits(&self, version: &str, endpoint: &str) -> bool {
        self.version == version && share("", endpoint) * 100.0 < self.percent
    }
}

impl SwarmSettings {
    /// Whether a device falls silent when it has registered.
    pub(super) fn falls_silent(&self, endpoint: &str) -> bool {
        share("offline ", endpoint) * 100.0 < self.offline
    }
}

/// A number from 0 to 1 that is always the same for the same device.
fn share(of: &str, endpoint: &str) -> f64 {
    // FNV-1a, whose high bits are mixed once more.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = of.bytes().chain(endpoint.bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1u64 << 24) as f64
}

/// How a swarm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The devices take their registrations back.
    Deregister,
    /// They vanish.
    Vanish,
}

/// Which devices there are.
#[derive(Clone, Debug)]
pub struct Names {
    /// How many.
    pub devices: u32,
    /// Their names start so.
    pub prefix: String,
}

impl Names {
    /// All names, by number.
    pub fn all(&self) -> impl Iterator<Item = String> {
        (0..self.devices).map(|number| format!("{}-{number:06}", self.prefix))
    }
}

/// How far a swarm is while its devices register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Devices that are registered.
    pub registered: u64,
    /// All devices.
    pub devices: u32,
}

/// Why a swarm doesn't run.
#[derive(Debug)]
#[non_exhaustive]
pub enum SwarmError {
    /// There are 1 to [`MOST_DEVICES`] devices.
    Devices(u32),
    /// Nothing may be under way, so nothing would happen.
    Window,
    /// The server is on another machine.
    NotLoopback(SocketAddrV4),
    /// A device has no keys that can be used.
    Keys {
        /// Which device.
        endpoint: String,
        /// Why.
        error: KeyError,
    },
    /// A name is none, or an account has no room for the server.
    Config {
        /// Which device.
        endpoint: String,
        /// Why.
        error: ConfigError,
    },
    /// The network fails.
    Socket(io::Error),
    /// The system has no random numbers.
    Random(getrandom::Error),
}

impl fmt::Display for SwarmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Devices(given) => {
                write!(f, "a swarm has 1 to {MOST_DEVICES} devices, and not {given} (--devices)")
            }
            Self::Window => f.write_str("at least one registration must be under way at once (--window)"),
            Self::NotLoopback(server) => {
                write!(
                    f,
                    "the server {server} is not on this machine, and the swarm burdens no other; name one of 127.0.0.0/8"
                )
            }
            Self::Keys { endpoint, error } => write!(f, "{endpoint}: {error}"),
            Self::Config { endpoint, error: ConfigError::EndpointName } => {
                write!(f, "{endpoint} is no endpoint name: it must have 1 to 64 bytes (--prefix)")
            }
            Self::Config { endpoint, error } => write!(f, "{endpoint}: {error}"),
            Self::Socket(error) => write!(f, "the swarm's socket fails: {error}"),
            Self::Random(error) => write!(f, "the system has no random numbers: {error}"),
        }
    }
}

impl std::error::Error for SwarmError {}

impl From<io::Error> for SwarmError {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl From<getrandom::Error> for SwarmError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}
