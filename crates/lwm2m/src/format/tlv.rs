//! The TLV format (`application/vnd.oma.lwm2m+tlv`, LwM2M Core 1.1, section 7.4.3).

use super::number::narrow;
use super::{FormatError, Item, RawValue};
use crate::output::Output;
use crate::path::{Level, MAX_ID, Path};
use crate::value::Value;

/// What an element holds: the two highest bits of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    ObjectInstance,
    ResourceInstance,
    MultipleResource,
    Resource,
}

/// One element, header taken off.
#[derive(Clone, Copy, Debug)]
struct Tlv<'a> {
    element: Element,
    id: u16,
    value: &'a [u8],
}

/// The elements inside an element, or those of the payload.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    path: Path,
    rest: &'a [u8],
}

/// An instance inside the payload, a resource inside the instance: elements nest no deeper.
const MAX_DEPTH: usize = 3;

/// Reads a payload from its front.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    frames: [Frame<'a>; MAX_DEPTH],
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(base: Path, payload: &'a [u8]) -> Self {
        Self { frames: [Frame { path: base, rest: payload }; MAX_DEPTH], depth: 1 }
    }

    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, FormatError> {
        while let Some(frame) = self.innermost() {
            if frame.rest.is_empty() {
                self.depth = self.depth.saturating_sub(1);
                continue;
            }
            let tlv = take_element(&mut frame.rest)?;
            let parent = frame.path;
            let path = self.place(tlv, parent)?;
            if let Some(item) = self.enter(tlv, path)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn innermost(&mut self) -> Option<&mut Frame<'a>> {
        self.frames.get_mut(self.depth.checked_sub(1)?)
    }

    /// The path that an element stands for, if it may stand inside `parent`.
    ///
    /// The outermost elements may also repeat the path that the request named.
    fn place(&self, tlv: Tlv<'_>, parent: Path) -> Result<Path, FormatError> {
        let level = tlv.element.level();
        let is_child = usize::from(parent.level() as u8).saturating_add(1) == level as usize;
        if is_child {
            return parent.child(tlv.id).ok_or(FormatError::PeerSentBadId);
        }
        let named = parent.truncated(level as usize);
        let repeats_request = self.depth == 1 && named.level() == level && named.last_id() == Some(tlv.id);
        // Around a resource instance its resource may be repeated, around a resource nothing.
        let is_wrapper = named != parent;
        if repeats_request && (!is_wrapper || tlv.element == Element::MultipleResource) {
            Ok(named)
        } else {
            Err(FormatError::PeerSentMisplacedTlv)
        }
    }

    /// Goes into an element that holds others, or makes an item of it.
    fn enter(&mut self, tlv: Tlv<'a>, path: Path) -> Result<Option<Item<'a>>, FormatError> {
        let is_leaf = matches!(tlv.element, Element::Resource | Element::ResourceInstance);
        if is_leaf {
            return Ok(Some(Item { path, value: Some(RawValue::Tlv(tlv.value)), time: None }));
        }
        if tlv.value.is_empty() {
            return Ok(Some(Item { path, value: None, time: None }));
        }
        let slot = self.frames.get_mut(self.depth).ok_or(FormatError::PeerSentTooDeep)?;
        *slot = Frame { path, rest: tlv.value };
        self.depth = self.depth.saturating_add(1);
        Ok(None)
    }
}

/// The instance that a Create payload asks for; `None` if it leaves the choice to the device.
///
/// Only TLV can leave it open: then its outermost elements are resources, and the device decodes the payload with the
/// path of the instance that it chose.
///
/// # Errors
/// What is wrong with the first element.
pub fn created_instance(payload: &[u8]) -> Result<Option<u16>, FormatError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let first = take_element(&mut { payload })?;
    match first.element {
        Element::ObjectInstance if first.id == MAX_ID => Err(FormatError::PeerSentBadId),
        Element::ObjectInstance => Ok(Some(first.id)),
        Element::Resource | Element::MultipleResource => Ok(None),
        Element::ResourceInstance => Err(FormatError::PeerSentMisplacedTlv),
    }
}

fn take_element<'a>(rest: &mut &'a [u8]) -> Result<Tlv<'a>, FormatError> {
    let [kind] = take(rest)?;
    let id = if kind & 0x20 == 0 { u16::from(take::<1>(rest)?[0]) } else { u16::from_be_bytes(take(rest)?) };
    let length = match (kind >> 3) & 3 {
        0 => usize::from(kind & 7),
        1 => usize::from(take::<1>(rest)?[0]),
        2 => usize::from(u16::from_be_bytes(take(rest)?)),
        _ => take_u24(rest)?,
    };
    let (value, behind) = rest.split_at_checked(length).ok_or(FormatError::PeerSentTruncated)?;
    *rest = behind;
    Ok(Tlv { element: Element::from_kind(kind), id, value })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], FormatError> {
    let (taken, behind) = rest.split_first_chunk::<N>().ok_or(FormatError::PeerSentTruncated)?;
    *rest = behind;
    Ok(*taken)
}

fn take_u24(rest: &mut &[u8]) -> Result<usize, FormatError> {
    let [a, b, c] = take(rest)?;
    usize::try_from(u32::from_be_bytes([0, a, b, c])).map_err(|_| FormatError::PeerSentTruncated)
}

impl Element {
    const fn from_kind(kind: u8) -> Self {
        match kind >> 6 {
            0 => Self::ObjectInstance,
            1 => Self::ResourceInstance,
            2 => Self::MultipleResource,
            _ => Self::Resource,
        }
    }

    const fn kind(self) -> u8 {
        match self {
            Self::ObjectInstance => 0x00,
            Self::ResourceInstance => 0x40,
            Self::MultipleResource => 0x80,
            Self::Resource => 0xc0,
        }
    }

    const fn level(self) -> Level {
        match self {
            Self::ObjectInstance => Level::ObjectInstance,
            Self::MultipleResource | Self::Resource => Level::Resource,
            Self::ResourceInstance => Level::ResourceInstance,
        }
    }
}

/// An element that is written but not yet closed: its header, which says its length, is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    path: Path,
    start: usize,
}

/// Writes a payload front to back.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    base: Path,
    instance: Option<Open>,
    resource: Option<Open>,
}

impl Writer {
    pub(crate) fn new(base: Path) -> Self {
        Self { base, instance: None, resource: None }
    }

    pub(crate) fn push(
        &mut self,
        path: Path,
        value: &Value<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), FormatError> {
        self.open(path.parent().unwrap_or(path), output)?;
        let element = match path.level() {
            Level::ResourceInstance => Element::ResourceInstance,
            _ => Element::Resource,
        };
        let start = output.len();
        write_value(value, output)?;
        insert_header(element, path, start, output)
    }

    pub(crate) fn push_empty(&mut self, path: Path, output: &mut Output<'_>) -> Result<(), FormatError> {
        self.open(path, output)
    }

    pub(crate) fn finish(&mut self, output: &mut Output<'_>) -> Result<(), FormatError> {
        self.open(Path::ROOT, output)
    }

    /// Closes what `container` isn't part of, then opens its instance and its resource, as far as the request's path
    /// doesn't already imply them.
    fn open(&mut self, container: Path, output: &mut Output<'_>) -> Result<(), FormatError> {
        close_unless(&mut self.resource, Element::MultipleResource, container, output)?;
        close_unless(&mut self.instance, Element::ObjectInstance, container, output)?;
        let instance = container.truncated(2);
        if self.base.level() == Level::Object && instance.level() == Level::ObjectInstance {
            self.instance.get_or_insert(Open { path: instance, start: output.len() });
        }
        if self.base.level() <= Level::Resource && container.level() == Level::Resource {
            self.resource.get_or_insert(Open { path: container, start: output.len() });
        }
        Ok(())
    }
}

fn close_unless(
    open: &mut Option<Open>,
    element: Element,
    container: Path,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    match open.take_if(|open| !container.starts_with(open.path)) {
        Some(closed) => insert_header(element, closed.path, closed.start, output),
        None => Ok(()),
    }
}

/// Puts the header of an element in front of its value, which starts at `start` and ends the output.
fn insert_header(
    element: Element,
    path: Path,
    start: usize,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    let length = output.len().saturating_sub(start);
    let length = u32::try_from(length).ok().filter(|length| *length < 1 << 24);
    let [_, a, b, c] = length.ok_or(FormatError::BufferTooSmall)?.to_be_bytes();
    let [high, low] = path.last_id().unwrap_or(0).to_be_bytes();

    let mut buffer = [0; 6];
    let mut header = Output::new(&mut buffer);
    let id_bit = if high == 0 { 0 } else { 0x20 };
    let length_bits = match [a, b, c] {
        [0, 0, 0..=7] => c,
        [0, 0, _] => 0x08,
        [0, _, _] => 0x10,
        _ => 0x18,
    };
    header.byte(element.kind() | id_bit | length_bits)?;
    header.bytes(if high == 0 { core::slice::from_ref(&low) } else { &[] })?;
    if high != 0 {
        header.bytes(&[high, low])?;
    }
    match length_bits {
        0x08 => header.bytes(&[c])?,
        0x10 => header.bytes(&[b, c])?,
        0x18 => header.bytes(&[a, b, c])?,
        _ => {}
    }
    Ok(output.insert(start, header.into_written())?)
}

fn write_value(value: &Value<'_>, output: &mut Output<'_>) -> Result<(), FormatError> {
    match *value {
        Value::String(text) | Value::CoreLink(text) => output.bytes(text.as_bytes())?,
        Value::Opaque(bytes) => output.bytes(bytes)?,
        Value::Integer(number) | Value::Time(number) => write_integer(number, output)?,
        Value::UnsignedInteger(number) => write_unsigned(number, output)?,
        Value::Float(number) => write_float(number, output)?,
        Value::Boolean(flag) => output.byte(flag.into())?,
        Value::ObjectLink(link) => output.bytes(&link.to_bytes())?,
    }
    Ok(())
}

fn write_integer(number: i64, output: &mut Output<'_>) -> Result<(), FormatError> {
    // A number of so many bits has copies of its sign in front.
    let fits = |bits: u32| number >> bits == 0 || number >> bits == -1;
    write_last(number as u64, [fits(7), fits(15), fits(31)], output)
}

fn write_unsigned(number: u64, output: &mut Output<'_>) -> Result<(), FormatError> {
    write_last(number, [number >> 8 == 0, number >> 16 == 0, number >> 32 == 0], output)
}

/// Writes the last 1, 2, 4 or 8 bytes of a number: the fewest that it fits.
fn write_last(number: u64, fits: [bool; 3], output: &mut Output<'_>) -> Result<(), FormatError> {
    let start = match fits {
        [true, _, _] => 7,
        [_, true, _] => 6,
        [_, _, true] => 4,
        _ => 0,
    };
    Ok(output.bytes(number.to_be_bytes().get(start..).unwrap_or_default())?)
}

/// Four bytes if nothing is lost, else eight.
fn write_float(number: f64, output: &mut Output<'_>) -> Result<(), FormatError> {
    match narrow(number) {
        Some(short) => output.bytes(&short.to_be_bytes())?,
        None => output.bytes(&number.to_be_bytes())?,
    }
    Ok(())
}
