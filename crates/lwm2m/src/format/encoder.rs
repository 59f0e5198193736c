//! Writing payloads.

use super::base64::{self, Alphabet};
use super::cbor::{self, Major, TimeTag};
#[cfg(feature = "lwm2m-cbor")]
use super::lwm2m_cbor;
use super::number::write_float;
use super::senml_cbor::label;
#[cfg(feature = "tlv")]
use super::tlv;
use super::{FormatError, Kind};
use crate::output::Output;
use crate::path::{Level, Path};
use crate::value::{Value, ValueType};
use buoy_coap::number::ContentFormat;

#[cfg(feature = "json")]
mod json;

/// Writes values and their paths into a buffer, as one payload.
///
/// Items come in document order (the order of [`Path`]), each path once. Only SenML and the JSON of LwM2M 1.0 can hold
/// times; there a path may come several times, for values that were stored while the device was offline.
///
/// ```
/// use buoy_coap::number::ContentFormat;
/// use buoy_lwm2m::format::Encoder;
/// use buoy_lwm2m::path::Path;
/// use buoy_lwm2m::value::Value;
///
/// let device = Path::instance(3, 0);
/// let mut buffer = [0; 64];
/// let mut encoder = Encoder::new(ContentFormat::TLV, device, &mut buffer)?;
/// encoder.push(Path::resource(3, 0, 0), &Value::String("Ace"), None)?;
/// encoder.push(Path::resource_instance(3, 0, 6, 0), &Value::Integer(1), None)?;
/// encoder.push(Path::resource_instance(3, 0, 6, 1), &Value::Integer(5), None)?;
/// let length = encoder.finish()?;
/// assert_eq!(buffer[..length], [0xc3, 0, b'A', b'c', b'e', 0x86, 6, 0x41, 0, 1, 0x41, 1, 5]);
/// # Ok::<(), buoy_lwm2m::format::FormatError>(())
/// ```
pub struct Encoder<'b> {
    format: ContentFormat,
    base: Path,
    output: Output<'b>,
    writer: Writer,
    last: Option<Last>,
    /// After an error the payload is in pieces, so the error stays.
    failed: Option<FormatError>,
}

/// The item before.
#[cfg_attr(
    not(any(feature = "tlv", feature = "lwm2m-cbor")),
    expect(dead_code, reason = "formats without containers have no order")
)]
#[derive(Clone, Copy)]
struct Last {
    path: Path,
    has_value: bool,
}

enum Writer {
    Single(Single),
    #[cfg(feature = "tlv")]
    Tlv(tlv::Writer),
    #[cfg(feature = "json")]
    Lwm2mJson(Naming),
    #[cfg(feature = "json")]
    SenmlJson(Naming),
    SenmlCbor {
        naming: Naming,
        records: u64,
    },
    #[cfg(feature = "lwm2m-cbor")]
    Lwm2mCbor(lwm2m_cbor::Writer),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Single {
    Text,
    Opaque,
    Cbor,
}

impl<'b> Encoder<'b> {
    /// Begins a payload; `base` is the path that the request names, [`Path::ROOT`] for composite operations and Send.
    ///
    /// # Errors
    /// [`FormatError::UnsupportedFormat`]; [`FormatError::UnsupportedPath`] if the format can't speak of `base`.
    pub fn new(format: ContentFormat, base: Path, buffer: &'b mut [u8]) -> Result<Self, FormatError> {
        let kind = Kind::of(format).ok_or(FormatError::UnsupportedFormat(format))?;
        kind.check(format, base)?;
        let writer = match kind {
            Kind::Text => Writer::Single(Single::Text),
            Kind::Opaque => Writer::Single(Single::Opaque),
            Kind::Cbor => Writer::Single(Single::Cbor),
            #[cfg(feature = "tlv")]
            Kind::Tlv => Writer::Tlv(tlv::Writer::new(base)),
            #[cfg(feature = "json")]
            Kind::Lwm2mJson => Writer::Lwm2mJson(Naming::new(base)),
            #[cfg(feature = "json")]
            Kind::SenmlJson(_) => Writer::SenmlJson(Naming::new(base)),
            Kind::SenmlCbor(_) => Writer::SenmlCbor { naming: Naming::new(base), records: 0 },
            #[cfg(feature = "lwm2m-cbor")]
            Kind::Lwm2mCbor => Writer::Lwm2mCbor(lwm2m_cbor::Writer::new()),
        };
        Ok(Self { format, base, output: Output::new(buffer), writer, last: None, failed: None })
    }

    /// Adds the value of a resource or resource instance; `time` is in seconds since 1970.
    ///
    /// # Errors
    /// [`FormatError::BufferTooSmall`], [`FormatError::UnsupportedPath`] if `path` is no resource inside of the base,
    /// [`FormatError::OutOfOrder`], [`FormatError::UnsupportedTime`], [`FormatError::UnsupportedValue`],
    /// [`FormatError::NotFinite`], [`FormatError::NotOneValue`]. After an error the encoder only repeats it.
    pub fn push(&mut self, path: Path, value: &Value<'_>, time: Option<f64>) -> Result<(), FormatError> {
        let result = self.check(path, Some(value), time).and_then(|()| self.write(path, Some(value), time));
        self.note(path, true, result)
    }

    /// Adds a path that has no value: an object instance without resources, a multiple resource without instances.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    pub fn push_empty(&mut self, path: Path) -> Result<(), FormatError> {
        let result = self.check(path, None, None).and_then(|()| self.write(path, None, None));
        self.note(path, false, result)
    }

    /// Ends the payload and says how many bytes of the buffer it fills.
    ///
    /// # Errors
    /// The error of an earlier call, if there was one; [`FormatError::NotOneValue`] if a format that holds one value
    /// got none; [`FormatError::BufferTooSmall`].
    pub fn finish(mut self) -> Result<usize, FormatError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let output = &mut self.output;
        match &mut self.writer {
            Writer::Single(_) if self.last.is_none() => return Err(FormatError::NotOneValue),
            Writer::Single(_) => {}
            #[cfg(feature = "tlv")]
            Writer::Tlv(writer) => writer.finish(output)?,
            #[cfg(feature = "json")]
            Writer::Lwm2mJson(naming) => json::finish_lwm2m(naming, output)?,
            #[cfg(feature = "json")]
            Writer::SenmlJson(_) if self.last.is_none() => output.bytes(b"[]")?,
            #[cfg(feature = "json")]
            Writer::SenmlJson(_) => output.byte(b']')?,
            Writer::SenmlCbor { records, .. } => cbor::insert_head(Major::Array, *records, 0, output)?,
            #[cfg(feature = "lwm2m-cbor")]
            Writer::Lwm2mCbor(writer) => writer.finish(output)?,
        }
        Ok(self.output.len())
    }

    fn note(
        &mut self,
        path: Path,
        has_value: bool,
        result: Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        match result {
            Ok(()) => self.last = Some(Last { path, has_value }),
            Err(error) => self.failed = Some(error),
        }
        result
    }

    fn check(&self, path: Path, value: Option<&Value<'_>>, time: Option<f64>) -> Result<(), FormatError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let holds_value = value.is_none() || path.level() >= Level::Resource;
        if !path.starts_with(self.base) || !holds_value {
            return Err(FormatError::UnsupportedPath { level: path.level(), format: self.format });
        }
        match self.writer {
            Writer::Single(_) => self.check_single(path, value, time),
            #[cfg(feature = "tlv")]
            Writer::Tlv(_) => self.check_ordered(path, time),
            #[cfg(feature = "lwm2m-cbor")]
            Writer::Lwm2mCbor(_) => self.check_ordered(path, time),
            _ if time.is_some_and(|time| !time.is_finite()) => Err(FormatError::NotFinite),
            _ => Ok(()),
        }
    }

    fn check_single(
        &self,
        path: Path,
        value: Option<&Value<'_>>,
        time: Option<f64>,
    ) -> Result<(), FormatError> {
        if path != self.base {
            return Err(FormatError::UnsupportedPath { level: path.level(), format: self.format });
        }
        if self.last.is_some() || value.is_none() {
            return Err(FormatError::NotOneValue);
        }
        if time.is_some() { Err(FormatError::UnsupportedTime) } else { Ok(()) }
    }

    /// These formats have containers, and no place for times.
    #[cfg(any(feature = "tlv", feature = "lwm2m-cbor"))]
    fn check_ordered(&self, path: Path, time: Option<f64>) -> Result<(), FormatError> {
        if time.is_some() {
            return Err(FormatError::UnsupportedTime);
        }
        let fits = self.last.is_none_or(|last| {
            let is_below_value = last.has_value && path.starts_with(last.path);
            path > last.path && !is_below_value
        });
        if fits { Ok(()) } else { Err(FormatError::OutOfOrder) }
    }

    fn write(&mut self, path: Path, value: Option<&Value<'_>>, time: Option<f64>) -> Result<(), FormatError> {
        let output = &mut self.output;
        match (&mut self.writer, value) {
            (Writer::Single(single), Some(value)) => write_single(*single, value, self.format, output),
            (Writer::Single(_), None) => Err(FormatError::NotOneValue),
            #[cfg(feature = "tlv")]
            (Writer::Tlv(writer), Some(value)) => writer.push(path, value, output),
            #[cfg(feature = "tlv")]
            (Writer::Tlv(writer), None) => writer.push_empty(path, output),
            #[cfg(feature = "lwm2m-cbor")]
            (Writer::Lwm2mCbor(writer), Some(value)) => writer.push(path, value, output),
            #[cfg(feature = "lwm2m-cbor")]
            (Writer::Lwm2mCbor(writer), None) => writer.push_empty(path, output),
            #[cfg(feature = "json")]
            (Writer::Lwm2mJson(naming), _) => json::write_lwm2m(naming, path, value, time, output),
            #[cfg(feature = "json")]
            (Writer::SenmlJson(naming), _) => json::write_senml(naming, path, value, time, output),
            (Writer::SenmlCbor { naming, records }, _) => {
                *records = records.saturating_add(1);
                write_senml_cbor(naming, path, value, time, output)
            }
        }
    }
}

fn write_single(
    single: Single,
    value: &Value<'_>,
    format: ContentFormat,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    match (single, value) {
        (Single::Text, _) => write_text(value, output),
        (Single::Cbor, _) => cbor::write_value(value, TimeTag::Written, output),
        (Single::Opaque, Value::Opaque(bytes)) => Ok(output.bytes(bytes)?),
        (Single::Opaque, _) => Err(FormatError::UnsupportedValue { format, value_type: value.value_type() }),
    }
}

fn write_text(value: &Value<'_>, output: &mut Output<'_>) -> Result<(), FormatError> {
    match *value {
        Value::String(text) | Value::CoreLink(text) => output.bytes(text.as_bytes())?,
        Value::Integer(number) | Value::Time(number) => output.signed(number)?,
        Value::UnsignedInteger(number) => output.whole(number)?,
        Value::Float(number) => write_float(number, output)?,
        Value::Boolean(flag) => output.byte(if flag { b'1' } else { b'0' })?,
        Value::Opaque(bytes) => base64::encode(bytes, Alphabet::STANDARD, output)?,
        Value::ObjectLink(link) => link.write(output)?,
    }
    Ok(())
}

/// What names a record: the base name goes into the first one, what is missing from it into each.
///
/// A resource that is read alone is its own base name, without a slash at the end.
struct Naming {
    base: Path,
    begun: Option<Slash>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slash {
    Written,
    LeftOut,
}

/// How one record is named.
struct Names {
    base: Option<(Path, Slash)>,
    tail: Option<Tail>,
}

/// The ids of a path behind the first `skipped`.
struct Tail {
    path: Path,
    skipped: usize,
    slash: Slash,
}

impl Naming {
    fn new(base: Path) -> Self {
        Self { base, begun: None }
    }

    fn next(&mut self, path: Path) -> Names {
        if self.base == Path::ROOT {
            self.begun = Some(Slash::LeftOut);
            return Names { base: None, tail: Some(Tail { path, skipped: 0, slash: Slash::Written }) };
        }
        let is_base = path == self.base;
        let wanted = if is_base { Slash::LeftOut } else { Slash::Written };
        // A base name with a slash can't name the base itself, so the base name is written again then.
        let keeps = self.begun == Some(Slash::LeftOut) || self.begun == Some(wanted);
        let slash = if keeps { self.begun.unwrap_or(wanted) } else { wanted };
        let base = (!keeps).then_some((self.base, slash));
        self.begun = Some(slash);
        let tail = Tail { path, skipped: self.base.len(), slash: slash.opposite() };
        Names { base, tail: (!is_base).then_some(tail) }
    }
}

impl Slash {
    const fn opposite(self) -> Self {
        match self {
            Self::Written => Self::LeftOut,
            Self::LeftOut => Self::Written,
        }
    }
}

fn write_base(base: (Path, Slash), output: &mut Output<'_>) -> Result<(), FormatError> {
    let (path, slash) = base;
    output.path(path)?;
    if slash == Slash::Written && path != Path::ROOT {
        output.byte(b'/')?;
    }
    Ok(())
}

fn write_tail(tail: &Tail, output: &mut Output<'_>) -> Result<(), FormatError> {
    if tail.path == Path::ROOT {
        return Ok(output.byte(b'/')?);
    }
    let mut slash = tail.slash;
    for id in tail.path.ids().iter().skip(tail.skipped) {
        if slash == Slash::Written {
            output.byte(b'/')?;
        }
        slash = Slash::Written;
        output.whole((*id).into())?;
    }
    Ok(())
}

fn write_senml_cbor(
    naming: &mut Naming,
    path: Path,
    value: Option<&Value<'_>>,
    time: Option<f64>,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    let names = naming.next(path);
    let present = [names.base.is_some(), names.tail.is_some(), time.is_some(), value.is_some()];
    let fields = present.into_iter().filter(|present| *present).count();
    cbor::write_head(Major::Map, fields as u64, output)?;
    if let Some(base) = names.base {
        cbor::write_integer(label::BASE_NAME, output)?;
        let start = output.len();
        write_base(base, output)?;
        insert_text_head(start, output)?;
    }
    if let Some(tail) = names.tail {
        cbor::write_integer(label::NAME, output)?;
        let start = output.len();
        write_tail(&tail, output)?;
        insert_text_head(start, output)?;
    }
    if let Some(time) = time {
        cbor::write_integer(label::TIME, output)?;
        write_cbor_time(time, output)?;
    }
    match value {
        Some(value) => write_senml_cbor_value(value, output),
        None => Ok(()),
    }
}

fn insert_text_head(start: usize, output: &mut Output<'_>) -> Result<(), FormatError> {
    let length = output.len().saturating_sub(start);
    cbor::insert_head(Major::Text, length as u64, start, output)
}

fn write_cbor_time(time: f64, output: &mut Output<'_>) -> Result<(), FormatError> {
    let whole = time as i64;
    if whole as f64 == time { cbor::write_integer(whole, output) } else { cbor::write_float(time, output) }
}

fn write_senml_cbor_value(value: &Value<'_>, output: &mut Output<'_>) -> Result<(), FormatError> {
    let label = match value.value_type() {
        ValueType::String | ValueType::CoreLink => label::STRING_VALUE,
        ValueType::Boolean => label::BOOLEAN_VALUE,
        ValueType::Opaque => label::DATA_VALUE,
        ValueType::ObjectLink => {
            cbor::write_text(label::OBJECT_LINK_VALUE, output)?;
            return cbor::write_value(value, TimeTag::LeftOut, output);
        }
        _ => label::VALUE,
    };
    cbor::write_integer(label, output)?;
    cbor::write_value(value, TimeTag::LeftOut, output)
}
