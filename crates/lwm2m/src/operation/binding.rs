//! Which transports a device has, and whether it sleeps (Core 1.1, section 6.2.1.2).

use crate::output::Output;
use core::fmt;
use core::str::FromStr;

/// The set of transports that `b=UT` names, with the queue mode flag that LwM2M 1.0 has in it.
///
/// ```
/// use buoy_lwm2m::operation::{Binding, Transport};
///
/// let binding: Binding = "UQ".parse()?;
/// assert!(binding.contains(Transport::Udp) && binding.has_queue_flag());
/// assert_eq!(binding.to_string(), "UQ");
/// # Ok::<(), buoy_lwm2m::operation::NotABinding>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding(u8);

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `U`
    Udp = 0,
    /// `T` (since 1.1)
    Tcp = 1,
    /// `S`
    Sms = 2,
    /// `N`: 3GPP CIoT or LoRaWAN (since 1.1)
    NonIp = 3,
    /// `M` (since 1.2)
    Mqtt = 4,
    /// `H` (since 1.2)
    Http = 5,
}

const QUEUE: u8 = 0x80;

/// A text is no binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotABinding;

impl Binding {
    /// UDP alone, which holds if nothing is said.
    pub const UDP: Self = Self::of(Transport::Udp);

    /// One transport.
    #[must_use]
    pub const fn of(transport: Transport) -> Self {
        Self(1 << transport as u8)
    }

    /// The same with another transport.
    #[must_use]
    pub const fn with(self, transport: Transport) -> Self {
        Self(self.0 | Self::of(transport).0)
    }

    /// The same with the queue mode flag of LwM2M 1.0; later versions have the query `Q` instead.
    #[must_use]
    pub const fn with_queue_flag(self) -> Self {
        Self(self.0 | QUEUE)
    }

    /// The letters. `Q` stands behind the first transport, as in the `UQS` of LwM2M 1.0.
    pub fn written<'b>(&self, buffer: &'b mut [u8; 7]) -> &'b str {
        let mut queue = self.has_queue_flag();
        let mut output = Output::new(buffer);
        for transport in Transport::ALL.into_iter().filter(|transport| self.contains(*transport)) {
            let _fits = output.byte(transport.letter() as u8);
            if core::mem::take(&mut queue) {
                let _fits = output.byte(b'Q');
            }
        }
        core::str::from_utf8(output.into_written()).unwrap_or_default()
    }

    /// Whether a transport is there.
    #[must_use]
    pub const fn contains(self, transport: Transport) -> bool {
        self.0 & Self::of(transport).0 != 0
    }

    /// Whether the queue mode flag of LwM2M 1.0 is there.
    #[must_use]
    pub const fn has_queue_flag(self) -> bool {
        self.0 & QUEUE != 0
    }
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 6] = [Self::Udp, Self::Tcp, Self::Sms, Self::NonIp, Self::Mqtt, Self::Http];

    /// The letter of the transport.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Udp => 'U',
            Self::Tcp => 'T',
            Self::Sms => 'S',
            Self::NonIp => 'N',
            Self::Mqtt => 'M',
            Self::Http => 'H',
        }
    }
}

impl FromStr for Binding {
    type Err = NotABinding;

    fn from_str(text: &str) -> Result<Self, NotABinding> {
        let binding = text.chars().try_fold(Self(0), |binding, letter| {
            if letter == 'Q' {
                return Ok(binding.with_queue_flag());
            }
            let transport = Transport::ALL.into_iter().find(|transport| transport.letter() == letter);
            transport.map(|transport| binding.with(transport)).ok_or(NotABinding)
        })?;
        if binding.0 & !QUEUE == 0 { Err(NotABinding) } else { Ok(binding) }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written(&mut [0; 7]))
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NotABinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a binding is made of the letters U, T, S, N, M, H and Q")
    }
}

impl core::error::Error for NotABinding {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_of_every_version_are_read_and_written() {
        for text in ["U", "UQ", "S", "SQ", "US", "UQS", "T", "UT", "UTSN", "M", "H", "N"] {
            assert_eq!(text.parse::<Binding>().unwrap().to_string(), text);
        }
        assert_eq!("USQ".parse::<Binding>(), "UQS".parse::<Binding>());
        for text in ["", "Q", "X", "u", "U T"] {
            assert_eq!(text.parse::<Binding>(), Err(NotABinding), "{text}");
        }
    }
}
