//! What a release does wrong on purpose, so that roll-backs are tried with images that really misbehave.
//!
//! Only with the feature `behaviours`. The behaviour is written in the image: whoever makes the releases changes the text in the program's file.

/// How this release behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "behaviours"),
    expect(dead_code, reason = "a product's releases have no other behaviour")
)]
pub(crate) enum Behaviour {
    /// As it should.
    Good,
    /// It crashes soon after its start.
    CrashEarly,
    /// It stops doing anything.
    Hang,
    /// It sends nothing.
    Mute,
    /// Its self-test fails.
    FailSelfTest,
    /// It crashes an hour after it was confirmed, or started.
    CrashLate,
}

#[cfg(feature = "behaviours")]
#[used]
static TEXT: [u8; 40] = *b"buoy-behaviour=good;                    ";

impl Behaviour {
    #[cfg(feature = "behaviours")]
    pub(crate) fn of_this_image() -> Self {
        // What the linker wrote may have been changed since, so the compiler must not know it.
        let text = core::hint::black_box(&TEXT);
        let end = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        match text.get(..end).and_then(|text| text.strip_prefix(b"buoy-behaviour=")) {
            Some(b"crash-early") => Self::CrashEarly,
            Some(b"hang") => Self::Hang,
            Some(b"mute") => Self::Mute,
            Some(b"fail-self-test") => Self::FailSelfTest,
            Some(b"crash-late") => Self::CrashLate,
            _ => Self::Good,
        }
    }

    #[cfg(not(feature = "behaviours"))]
    pub(crate) const fn of_this_image() -> Self {
        Self::Good
    }
}
