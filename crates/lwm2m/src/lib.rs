//! The data of LwM2M 1.0, 1.1 and 1.2: paths, values, payloads and requests, without sending or receiving them.
//!
//! | module | holds |
//! |---|---|
//! | [`path`] | paths of values: `/3/0/9` |
//! | [`value`] | values: text, number, time, link … |
//! | [`mod@format`] | payloads, both directions: plain text, TLV, SenML, CBOR … |
//! | [`link`] | CoRE link lists of Register, Update and Discover |
//! | [`attributes`] | notification attributes: `pmin`, `gt` … |
//! | [`operation`] | every request and response, to and from CoAP codes and options |
//! | [`text`] | escaping text from devices before it is shown |
//! | `model` | definitions of objects and resources (feature `alloc`) |
//!
//! The crate has no sockets, clocks, tokens or retransmission. Only the registry in `model` needs an allocator: decoders borrow from the
//! payload, and encoders write into the caller's buffer. The parsers read untrusted input, so they are bounded and can't panic.
//!
//! # Example
//! A server reads the battery level of a device, and the device answers:
//!
//! ```
//! use buoy_coap::number::{Code, ContentFormat, OptionNumber};
//! use buoy_lwm2m::format::{Encoder, decode};
//! use buoy_lwm2m::operation::Downlink;
//! use buoy_lwm2m::path::Path;
//! use buoy_lwm2m::value::{Value, ValueType};
//!
//! let battery_level = Path::resource(3, 0, 9);
//! let request = Downlink::Read { path: battery_level, accept: Some(ContentFormat::SENML_JSON) };
//! assert_eq!(request.code(), Code::GET);
//! let mut segments = 0;
//! request.each_option(&mut |number, _| segments += usize::from(number == OptionNumber::URI_PATH));
//! assert_eq!(segments, 3);
//!
//! let mut payload = [0; 64];
//! let mut encoder = Encoder::new(ContentFormat::SENML_JSON, battery_level, &mut payload)?;
//! encoder.push(battery_level, &Value::Integer(95), None)?;
//! let length = encoder.finish()?;
//! assert_eq!(&payload[..length], br#"[{"bn":"/3/0/9","v":95}]"#);
//!
//! let mut scratch = [0; 64];
//! let item = decode(ContentFormat::SENML_JSON, battery_level, &payload[..length])?.next().unwrap()?;
//! let value = item.value.unwrap().resolve(ValueType::Integer, &mut scratch)?;
//! assert_eq!(value, Value::Integer(95));
//! # Ok::<(), buoy_lwm2m::format::FormatError>(())
//! ```
#![cfg_attr(not(any(test, feature = "xml")), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used))]
#![warn(clippy::std_instead_of_core)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod attributes;
mod decimal;
pub mod format;
pub mod link;
#[cfg(feature = "alloc")]
pub mod model;
pub mod operation;
mod output;
pub mod path;
pub mod text;
pub mod value;
