//! The JSON format of LwM2M 1.0 (`application/vnd.oma.lwm2m+json`, TS 1.0.2, section 6.4.4).

use super::base64::Alphabet;
use super::json::{Json, Place};
use super::number::parse_float;
use super::record::{Base, Null, Record, set_once};
use super::senml_json::Labels;
use super::text::Text;
use super::{FormatError, Item, RawValue};
use crate::path::Path;

/// How this format names its values.
pub(crate) const LABELS: Labels = Labels {
    string: "sv",
    number: "v",
    boolean: "bv",
    opaque: ("sv", Alphabet::STANDARD),
    object_link: "ov",
};

/// Reads the entries of `e`.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    entries: Json<'a>,
    place: Place,
    header: Header<'a>,
    request: Path,
}

/// What stands beside the entries, in any order.
#[derive(Clone, Copy, Debug, Default)]
struct Header<'a> {
    base_name: Option<Text<'a>>,
    base_time: Option<f64>,
    entries: Option<Json<'a>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(request: Path, payload: &'a str) -> Result<Self, FormatError> {
        let header = read_header(payload)?;
        let mut entries = header.entries.ok_or(FormatError::PeerSentTruncated)?;
        entries.expect(b'[')?;
        Ok(Self { entries, place: Place::First, header, request })
    }

    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, FormatError> {
        if !self.entries.next_member(&mut self.place, b']')? {
            return Ok(None);
        }
        let record = read_entry(&mut self.entries)?;
        let record = Record { base_name: self.header.base_name, base_time: self.header.base_time, ..record };
        if record.base_name.is_some() {
            return Base::default().apply(record).map(Some);
        }
        let rooted = Record { name: Some(Text::plain("/")), ..record };
        let item = Base::default().apply(rooted)?;
        Ok(Some(Item { path: below_request(self.request, record.name)?, ..item }))
    }
}

/// Without a base name, names start at the path that the request named.
fn below_request(request: Path, name: Option<Text<'_>>) -> Result<Path, FormatError> {
    let Some(name) = name else { return Ok(request) };
    let mut buffer = [0; 32];
    let name = name.read(&mut buffer).map_err(|_| FormatError::PeerSentBadPath)?;
    let path = if name.starts_with('/') { name.parse() } else { request.parse_relative(name) };
    path.map_err(|_| FormatError::PeerSentBadPath)
}

/// Goes through the whole object once, because the base name may stand behind the entries.
fn read_header(payload: &str) -> Result<Header<'_>, FormatError> {
    let mut json = Json::new(payload);
    let mut header = Header::default();
    let mut place = Place::First;
    json.expect(b'{')?;
    while json.next_member(&mut place, b'}')? {
        match json.key()?.as_str() {
            Some("bn") => set_once(&mut header.base_name, json.string()?)?,
            Some("bt") => set_once(&mut header.base_time, parse_float(json.number()?)?)?,
            Some("e") => {
                set_once(&mut header.entries, json)?;
                json.skip_value()?;
            }
            _ => json.skip_value()?,
        }
    }
    json.end()?;
    Ok(header)
}

fn read_entry<'a>(json: &mut Json<'a>) -> Result<Record<'a>, FormatError> {
    let mut record = Record::default();
    let mut place = Place::First;
    json.expect(b'{')?;
    while json.next_member(&mut place, b'}')? {
        match json.key()?.as_str() {
            Some("n") => set_once(&mut record.name, json.string()?)?,
            Some("t") => set_once(&mut record.time, parse_float(json.number()?)?)?,
            Some("v" | "sv" | "bv") => record.set_value(json.scalar()?, Null::Refused)?,
            Some("ov") => record.set_value(Some(RawValue::ObjectLink(json.string()?)), Null::Refused)?,
            _ => json.skip_value()?,
        }
    }
    Ok(record)
}
