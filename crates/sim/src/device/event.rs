//! What a device tells whoever watches it.

use std::fmt;
use std::time::Duration;

use buoy_client::firmware::UpdateResult;
use buoy_client::{BootstrapFailure, RegistrationFailure};
use buoy_ota::boot::BootReason;
use buoy_ota::slots::Slot;

/// Something that happened to a simulated device. Its text is one line that begins with a word in capitals, by which scripts know it;
/// words of servers and images may be in it, so show it through `buoy_lwm2m::text::harmless`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// The boot loader starts an image.
    Boot {
        /// What the image calls itself.
        version: String,
        /// Where it is.
        slot: Slot,
        /// Why this one.
        reason: BootReason,
    },
    /// The device restarts, as it was asked to.
    Reboot,
    /// The device forgot its state, and restarts.
    FactoryReset,
    /// The image ended in a way that it should not have.
    Crash {
        /// How.
        how: String,
    },
    /// The image said nothing for so long, and was ended.
    Watchdog(Duration),
    /// The device runs no more, for this reason.
    Dead {
        /// Why.
        why: String,
    },
    /// The flash has settings of its own, which hold in place of one that was given.
    Kept {
        /// Which one, as it is called on the command line.
        setting: &'static str,
        /// What it was given as.
        given: String,
        /// What holds.
        kept: String,
    },
    /// The device is about to speak to a server.
    Connecting {
        /// Which one.
        uri: String,
    },
    /// There is no way to a server.
    Unreachable {
        /// Which one.
        uri: String,
        /// Why.
        why: String,
    },
    /// A server has not answered for so long. The device tries on.
    NoAnswer {
        /// Which one.
        uri: String,
        /// How long.
        silence: Duration,
    },
    /// A DTLS session of an earlier run goes on.
    SessionRestored,
    /// There is a DTLS session.
    Handshake {
        /// Whether it goes on from an earlier one, without the peers' keys.
        resumed: bool,
    },
    /// There is no DTLS session.
    HandshakeFailed {
        /// Why.
        why: String,
    },
    /// The bootstrap server has begun.
    BootstrapStarted,
    /// The new configuration holds.
    Bootstrapped,
    /// A bootstrap failed.
    BootstrapFailed(BootstrapFailure),
    /// A server has taken the registration.
    Registered {
        /// Where, as in `/rd/5a3f`.
        location: String,
    },
    /// A server has taken an update of the registration.
    Updated,
    /// An attempt to register failed.
    RegisterFailed(RegistrationFailure),
    /// The registration was taken back.
    Deregistered,
    /// A package is fetched.
    Download {
        /// From where.
        uri: String,
        /// How many bytes are there already.
        from: u32,
    },
    /// A download goes on where it was.
    Resume {
        /// How many bytes are there already.
        at: u32,
    },
    /// A slot fills: told every 16 KiB, and when the image is whole and good.
    Progress {
        /// How many bytes are there.
        bytes: u32,
        /// How many there will be, if that is known.
        total: Option<u32>,
        /// The slot.
        slot: Slot,
    },
    /// A package cannot be fetched.
    DownloadFailed {
        /// Why.
        why: String,
    },
    /// A package is no longer wanted.
    DownloadCancelled,
    /// An update ended without success.
    UpdateFailed {
        /// The result of object 5.
        result: UpdateResult,
        /// Where a signature was looked for, if several names were tried in vain.
        signatures: Vec<String>,
    },
    /// The new image does not do what it should.
    SelfTestFailed,
    /// The new image proved itself, and is kept.
    Confirmed,
    /// The light was switched.
    Light {
        /// Whether it is on.
        on: bool,
    },
}

impl fmt::Display for DeviceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boot { version, slot, reason } => write!(f, "BOOT {version} {slot:?} {}", Reason(reason)),
            Self::Reboot => f.write_str("REBOOT"),
            Self::FactoryReset => f.write_str("FACTORY_RESET"),
            Self::Crash { how } => write!(f, "CRASH {how}"),
            Self::Watchdog(silence) => {
                write!(f, "WATCHDOG the image said nothing for {} s", silence.as_secs())
            }
            Self::Dead { why } => write!(f, "DEAD {why}"),
            Self::Kept { setting, given, kept } => write!(
                f,
                "KEPT {setting} is {kept}, as the flash and the state beside it say, and not {given}: to change it, write it from a \
                 server or start with a new flash"
            ),
            Self::Connecting { uri } => write!(f, "CONNECTING {uri}"),
            Self::Unreachable { uri, why } => write!(f, "UNREACHABLE {uri}: {why}"),
            Self::NoAnswer { uri, silence } => write!(
                f,
                "NO_ANSWER {uri} has said nothing for {} s; is a server there? The device tries on",
                silence.as_secs()
            ),
            Self::SessionRestored => f.write_str("SESSION restored"),
            Self::Handshake { resumed: true } => f.write_str("HANDSHAKE resumed"),
            Self::Handshake { resumed: false } => f.write_str("HANDSHAKE full"),
            Self::HandshakeFailed { why } => write!(f, "HANDSHAKE_FAILED {why}"),
            Self::BootstrapStarted => f.write_str("BOOTSTRAP_STARTED"),
            Self::Bootstrapped => f.write_str("BOOTSTRAPPED"),
            Self::BootstrapFailed(failure) => write!(f, "BOOTSTRAP_FAILED {failure:?}"),
            Self::Registered { location } => write!(f, "REGISTERED {location}"),
            Self::Updated => f.write_str("UPDATED"),
            Self::RegisterFailed(failure) => write!(f, "REGISTER_FAILED {failure:?}"),
            Self::Deregistered => f.write_str("DEREGISTERED"),
            Self::Download { uri, from } => write!(f, "DOWNLOAD {uri} from {from}"),
            Self::Resume { at } => write!(f, "RESUME at byte {at}"),
            Self::Progress { bytes, total: Some(total), slot } => {
                write!(f, "PROGRESS {bytes} of {total} in {slot}")
            }
            Self::Progress { bytes, total: None, slot } => write!(f, "PROGRESS {bytes} in {slot}"),
            Self::DownloadFailed { why } => write!(f, "DOWNLOAD_FAILED {why}"),
            Self::DownloadCancelled => f.write_str("DOWNLOAD_CANCELLED"),
            Self::UpdateFailed { result, signatures } => {
                write!(f, "UPDATE_FAILED {result:?} ({})", *result as u8)?;
                match signatures.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": no signature was found at any of {}", signatures.join(", ")),
                }
            }
            Self::SelfTestFailed => f.write_str("SELF_TEST failed"),
            Self::Confirmed => f.write_str("CONFIRMED"),
            Self::Light { on } => f.write_str(if *on { "LIGHT on" } else { "LIGHT off" }),
        }
    }
}

/// In fewer words than the boot loader's own.
struct Reason<'a>(&'a BootReason);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            BootReason::Confirmed => f.write_str("confirmed"),
            BootReason::Trial { attempt, .. } => write!(f, "trial {attempt}"),
            BootReason::RolledBack(given_up) => {
                let version = given_up.version.as_ref().map_or("?", |version| version.as_str());
                write!(f, "rolled back from {version}")
            }
            BootReason::Factory => f.write_str("factory"),
            BootReason::FellBackToFactory(_) => f.write_str("fell back to factory"),
            BootReason::Fallback => f.write_str("fallback"),
        }
    }
}
