//! SenML in JSON (RFC 8428, section 5), with the field `vlo` of LwM2M, and how JSON is written.

use super::base64::{self, Alphabet};
use super::json::{Json, Place};
use super::number::{parse_float, write_float};
use super::record::{Base, Null, Record, check_version, set_once};
use super::{FormatError, Item, RawValue};
use crate::output::Output;
use crate::value::Value;
use core::fmt::Write as _;

/// How this format names its values.
pub(crate) const LABELS: Labels = Labels {
    string: "vs",
    number: "v",
    boolean: "vb",
    opaque: ("vd", Alphabet::URL_SAFE),
    object_link: "vlo",
};

/// Reads the records of a pack.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    json: Json<'a>,
    place: Place,
    base: Base<'a>,
    null: Null,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a str, null: Null) -> Result<Self, FormatError> {
        let mut json = Json::new(payload);
        json.expect(b'[')?;
        Ok(Self { json, place: Place::First, base: Base::default(), null })
    }

    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, FormatError> {
        if !self.json.next_member(&mut self.place, b']')? {
            self.json.end()?;
            return Ok(None);
        }
        let record = read_record(&mut self.json, self.null)?;
        self.base.apply(record).map(Some)
    }
}

fn read_record<'a>(json: &mut Json<'a>, null: Null) -> Result<Record<'a>, FormatError> {
    let mut record = Record::default();
    let mut place = Place::First;
    json.expect(b'{')?;
    while json.next_member(&mut place, b'}')? {
        let key = json.key()?;
        match key.as_str() {
            Some("bn") => set_once(&mut record.base_name, json.string()?)?,
            Some("bt") => set_once(&mut record.base_time, parse_float(json.number()?)?)?,
            Some("bv") => set_once(&mut record.base_value, parse_float(json.number()?)?)?,
            Some("bver") => check_version(parse_float(json.number()?)?)?,
            Some("n") => set_once(&mut record.name, json.string()?)?,
            Some("t") => set_once(&mut record.time, parse_float(json.number()?)?)?,
            Some("v" | "vs" | "vb") => record.set_value(json.scalar()?, null)?,
            Some("vd") => record.set_value(Some(RawValue::Base64(json.string()?)), null)?,
            Some("vlo") => record.set_value(Some(RawValue::ObjectLink(json.string()?)), null)?,
            _ if key.ends_with_underscore() => return Err(FormatError::PeerSentUnknownExtension),
            _ => json.skip_value()?,
        }
    }
    Ok(record)
}

/// The keys of values, which differ between SenML and the JSON of LwM2M 1.0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels {
    pub(crate) string: &'static str,
    pub(crate) number: &'static str,
    pub(crate) boolean: &'static str,
    pub(crate) opaque: (&'static str, Alphabet),
    pub(crate) object_link: &'static str,
}

/// Writes the member of a record that holds its value, without a comma.
pub(crate) fn write_value(
    labels: &Labels,
    value: &Value<'_>,
    output: &mut Output<'_>,
) -> Result<(), FormatError> {
    match *value {
        Value::String(text) | Value::CoreLink(text) => {
            write!(output, "\"{}\":", labels.string)?;
            write_string(text, output)?;
        }
        Value::Integer(number) | Value::Time(number) => write!(output, "\"{}\":{number}", labels.number)?,
        Value::UnsignedInteger(number) => write!(output, "\"{}\":{number}", labels.number)?,
        Value::Float(number) => {
            write!(output, "\"{}\":", labels.number)?;
            write_float(number, output)?;
        }
        Value::Boolean(flag) => write!(output, "\"{}\":{flag}", labels.boolean)?,
        Value::Opaque(bytes) => {
            let (label, alphabet) = labels.opaque;
            write!(output, "\"{label}\":\"")?;
            base64::encode(bytes, alphabet, output)?;
            output.byte(b'"')?;
        }
        Value::ObjectLink(link) => write!(output, "\"{}\":\"{link}\"", labels.object_link)?,
    }
    Ok(())
}

fn write_string(text: &str, output: &mut Output<'_>) -> Result<(), FormatError> {
    output.byte(b'"')?;
    for character in text.chars() {
        match character {
            '"' => output.bytes(b"\\\"")?,
            '\\' => output.bytes(b"\\\\")?,
            '\n' => output.bytes(b"\\n")?,
            '\r' => output.bytes(b"\\r")?,
            '\t' => output.bytes(b"\\t")?,
            '\0'..='\x1f' => write!(output, "\\u{:04x}", u32::from(character))?,
            _ => output.bytes(character.encode_utf8(&mut [0; 4]).as_bytes())?,
        }
    }
    Ok(output.byte(b'"')?)
}
