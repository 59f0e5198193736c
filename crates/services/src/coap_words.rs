//! A CoAP message of a device that is traced, in words.

use buoy_coap::number::{ContentFormat, OptionFormat, OptionNumber};
use buoy_coap::wire::{Kind, Message, parse_uint};

use crate::hex;

/// A CoAP message (RFC 7252 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoapWords {
    /// CON, NON, ACK or RST.
    pub kind: &'static str,
    /// As in "2.05".
    pub code: String,
    /// The message id.
    pub message_id: u16,
    /// The token, in hexadecimal digits.
    pub token: String,
    /// The options, in the order of the message.
    pub options: Vec<OptionWords>,
    /// The payload, if there is one: text as it is, anything else as hexadecimal digits behind "0x".
    pub payload: Option<String>,
}

/// An option of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionWords {
    /// As in "Uri-Path"; the number of one that is not known.
    pub name: String,
    /// Its value.
    pub value: OptionValue,
}

/// The value of an option, by the format of the option (RFC 7252 section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// Text.
    String(String),
    /// A number.
    Uint(u32),
    /// None.
    Empty,
    /// Bytes, as hexadecimal digits.
    Opaque(String),
    /// Bytes of an option that is not known, as hexadecimal digits.
    Unknown(String),
}

/// A datagram in words; `None` if it is no CoAP message.
pub(crate) fn coap_words(datagram: &[u8]) -> Option<CoapWords> {
    let message = Message::parse(datagram).ok()?;
    let kind = match message.kind() {
        Kind::Confirmable => "CON",
        Kind::NonConfirmable => "NON",
        Kind::Acknowledgement => "ACK",
        Kind::Reset => "RST",
    };
    let payload = Some(message.payload()).filter(|payload| !payload.is_empty());
    Some(CoapWords {
        kind,
        code: message.code().to_string(),
        message_id: message.message_id(),
        token: hex::encode(message.token()),
        options: message.options().map(|(number, value)| option_words(number, value)).collect(),
        payload: payload.map(|payload| payload_words(message.content_format(), payload)),
    })
}

fn payload_words(format: Option<ContentFormat>, payload: &[u8]) -> String {
    let is_text = matches!(
        format,
        None | Some(
            ContentFormat::TEXT | ContentFormat::LINK | ContentFormat::SENML_JSON | ContentFormat::LWM2M_JSON
        )
    );
    match std::str::from_utf8(payload) {
        Ok(text) if is_text => text.to_owned(),
        _ => format!("0x{}", hex::encode(payload)),
    }
}

fn option_words(number: OptionNumber, value: &[u8]) -> OptionWords {
    let name = number.name().map_or_else(|| number.0.to_string(), str::to_owned);
    let value = match number.definition().map(|definition| definition.format) {
        Some(OptionFormat::String) => OptionValue::String(String::from_utf8_lossy(value).into_owned()),
        Some(OptionFormat::Uint) => OptionValue::Uint(parse_uint(value).unwrap_or_default()),
        Some(OptionFormat::Empty) => OptionValue::Empty,
        Some(OptionFormat::Opaque) => OptionValue::Opaque(hex::encode(value)),
        None => OptionValue::Unknown(hex::encode(value)),
    };
    OptionWords { name, value }
}
