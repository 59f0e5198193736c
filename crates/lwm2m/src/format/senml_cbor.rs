//! SenML in CBOR (RFC 8428, section 6), with the field `vlo` of LwM2M.

use super::cbor::{Cbor, Count, Element};
use super::record::{Base, Null, Record, check_version, set_once};
use super::{FormatError, Integer, Item, RawValue};

/// The labels of RFC 8428, section 6, as far as LwM2M has use for them.
pub(crate) mod label {
    pub(crate) const BASE_VERSION: i64 = -1;
    pub(crate) const BASE_NAME: i64 = -2;
    pub(crate) const BASE_TIME: i64 = -3;
    pub(crate) const BASE_VALUE: i64 = -5;
    pub(crate) const NAME: i64 = 0;
    pub(crate) const VALUE: i64 = 2;
    pub(crate) const STRING_VALUE: i64 = 3;
    pub(crate) const BOOLEAN_VALUE: i64 = 4;
    pub(crate) const TIME: i64 = 6;
    pub(crate) const DATA_VALUE: i64 = 8;
    pub(crate) const OBJECT_LINK_VALUE: &str = "vlo";
}

/// Reads the records of a pack.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    cbor: Cbor<'a>,
    left: Count,
    base: Base<'a>,
    null: Null,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8], null: Null) -> Result<Self, FormatError> {
        let mut cbor = Cbor::new(payload);
        let Element::Array(left) = cbor.element()? else {
            return Err(FormatError::PeerSentBadCbor);
        };
        Ok(Self { cbor, left, base: Base::default(), null })
    }

    pub(crate) fn next_item(&mut self) -> Result<Option<Item<'a>>, FormatError> {
        if !self.cbor.next_member(&mut self.left)? {
            self.cbor.end()?;
            return Ok(None);
        }
        let record = read_record(&mut self.cbor, self.null)?;
        self.base.apply(record).map(Some)
    }
}

fn read_record<'a>(cbor: &mut Cbor<'a>, null: Null) -> Result<Record<'a>, FormatError> {
    let Element::Map(mut left) = cbor.element()? else {
        return Err(FormatError::PeerSentBadCbor);
    };
    let mut record = Record::default();
    while cbor.next_member(&mut left)? {
        match cbor.element()? {
            Element::Integer(label) => read_field(label, &mut record, null, cbor)?,
            Element::Text(label::OBJECT_LINK_VALUE) => {
                let link = cbor.text()?;
                record.set_value(Some(RawValue::ObjectLink(link)), null)?;
            }
            Element::Text(label) if label.ends_with('_') => {
                return Err(FormatError::PeerSentUnknownExtension);
            }
            Element::Text(_) => cbor.skip_value()?,
            _ => return Err(FormatError::PeerSentBadCbor),
        }
    }
    Ok(record)
}

fn read_field<'a>(
    label: Integer,
    record: &mut Record<'a>,
    null: Null,
    cbor: &mut Cbor<'a>,
) -> Result<(), FormatError> {
    match label.to_i64().unwrap_or(i64::MAX) {
        label::BASE_VERSION => check_version(cbor.number()?),
        label::BASE_NAME => set_once(&mut record.base_name, cbor.text()?),
        label::BASE_TIME => set_once(&mut record.base_time, cbor.number()?),
        label::BASE_VALUE => set_once(&mut record.base_value, cbor.number()?),
        label::NAME => set_once(&mut record.name, cbor.text()?),
        label::TIME => set_once(&mut record.time, cbor.number()?),
        label::VALUE | label::STRING_VALUE | label::BOOLEAN_VALUE | label::DATA_VALUE => {
            record.set_value(cbor.scalar()?, null)
        }
        _ => cbor.skip_value(),
    }
}
