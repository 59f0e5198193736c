//! Where a registration is, as the server said it: opaque segments and queries (RFC 7252, section 5.10.7).

use core::fmt;

use buoy_coap::number::OptionNumber;
use buoy_coap::wire::{Message, MessageWriter};

use crate::shape::Shape;
use crate::text::{Bytes, TooLong};

/// The location of a registration.
///
/// A segment may be empty, have a slash in it, or be no text at all: the device sends back what it was given, and looks into nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RegistrationLocation<'a> {
    /// The segments and behind them the queries, each with its length in front.
    values: &'a [u8],
    /// How many of `values` are segments.
    segments: u8,
}

/// Where it is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptLocation<S: Shape> {
    values: Bytes<S::Location>,
    segments: u8,
}

impl<S: Shape> KeptLocation<S> {
    pub(crate) const NONE: Self = Self { values: Bytes::EMPTY, segments: 0 };

    /// Takes what an answer to Register says; [`TooLong`] if it can't be kept.
    pub(crate) fn take(&mut self, message: &Message<'_>) -> Result<(), TooLong> {
        *self = Self::NONE;
        for segment in message.values(OptionNumber::LOCATION_PATH) {
            self.push(segment)?;
            self.segments = self.segments.checked_add(1).ok_or(TooLong)?;
        }
        message.values(OptionNumber::LOCATION_QUERY).try_for_each(|query| self.push(query))
    }

    fn push(&mut self, value: &[u8]) -> Result<(), TooLong> {
        self.values.extend(&[u8::try_from(value.len()).map_err(|_| TooLong)?])?;
        self.values.extend(value)
    }

    pub(crate) fn get(&self) -> RegistrationLocation<'_> {
        RegistrationLocation { values: self.values.as_slice(), segments: self.segments }
    }
}

impl<'a> RegistrationLocation<'a> {
    /// The segments of its path.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> {
        self.all().take(usize::from(self.segments))
    }

    /// Its queries.
    pub fn queries(&self) -> impl Iterator<Item = &'a [u8]> {
        self.all().skip(usize::from(self.segments))
    }

    fn all(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.values;
        core::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (value, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(value)
        })
    }

    pub(crate) fn write_path(&self, writer: &mut MessageWriter<'_>) {
        self.segments().for_each(|segment| {
            writer.option(OptionNumber::URI_PATH, segment);
        });
    }

    pub(crate) fn write_query(&self, writer: &mut MessageWriter<'_>) {
        self.queries().for_each(|query| {
            writer.option(OptionNumber::URI_QUERY, query);
        });
    }
}

/// As in a URI: `/rd/5a3f?site=north`, with whatever could be mistaken in percent signs.
impl fmt::Display for RegistrationLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in self.segments() {
            f.write_str("/")?;
            write_escaped(f, segment)?;
        }
        for (index, query) in self.queries().enumerate() {
            f.write_str(if index == 0 { "?" } else { "&" })?;
            write_escaped(f, query)?;
        }
        Ok(())
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'=' => {
            fmt::Write::write_char(f, char::from(*byte))
        }
        byte => write!(f, "%{byte:02X}"),
    })
}

impl fmt::Debug for RegistrationLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
