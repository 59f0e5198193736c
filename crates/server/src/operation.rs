//! Requests to devices, their outcomes, and their records in the store.

use std::fmt;
use std::sync::Arc;

use buoy_coap::block::BadBlock;
use buoy_coap::number::{Code, ContentFormat, OptionNumber};
use buoy_coap::time::Instant;
use buoy_coap::wire::parse_uint;
use buoy_lwm2m::operation;
use buoy_lwm2m::path::Path;
use serde::{Deserialize, Serialize};

use crate::files::Body;
use crate::observation::ObservationId;

/// The id of an operation. The caller of the engine chooses it; ids grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub u64);

/// An operation to carry out on a device.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Its name.
    pub id: OperationId,
    /// The device.
    pub endpoint: Arc<str>,
    /// The request.
    pub request: Downlink,
    /// What the response starts or ends.
    pub intent: Intent,
    /// When it fails as expired.
    pub deadline: Instant,
    /// Whether it survives a restart.
    pub durability: Durability,
}

/// Whether an operation survives a restart of the server and a time-out of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A caller waits for the answer: it fails when the device does not answer, unless the device sleeps.
    Transient,
    /// Stored in memory, and sent again at each contact of the device before the deadline. After a restart the caller has to submit it again.
    Patient,
    /// Like patient; and the store gets a record of how it ended. For requests that can be repeated without harm.
    Recorded,
    /// A record in the store, delivered whenever the device can be reached before the deadline.
    Durable,
}

/// The effect of a successful response, besides its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Intent {
    /// Nothing.
    Once,
    /// It starts an observation.
    Observe {
        /// What is observed, as (object, instance, resource, resource instance).
        #[serde(with = "paths")]
        paths: Arc<[Path]>,
        /// Observe-Composite.
        composite: bool,
    },
    /// It ends an observation.
    Cancel(ObservationId),
}

/// A CoAP request to a device, with its options in ascending order.
#[derive(Clone, Debug)]
pub struct Downlink {
    /// The method.
    pub code: Code,
    /// The options.
    pub options: Vec<(OptionNumber, Box<[u8]>)>,
    /// The payload.
    pub payload: Body,
}

/// The outcome of an operation that the device answered.
pub type Outcome = Reply;

/// A device's answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The response code, which may be an error.
    pub code: Code,
    /// How the payload is encoded.
    pub format: Option<ContentFormat>,
    /// Location-Path, as in "3303/5".
    pub location: String,
    /// The observation, if the device accepted it.
    pub observing: Option<ObservationId>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Why an operation ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// No such device is registered.
    NotRegistered,
    /// The device didn't answer in time.
    TimedOut,
    /// The device answered with a Reset.
    Reset,
    /// The deadline passed before the device could be reached.
    Expired,
    /// It was cancelled.
    Cancelled,
    /// The device left while the operation was under way.
    Deregistered,
    /// The server was restarted while the device may have been executing it; an automatic repetition could do harm.
    Interrupted,
    /// Too many operations wait for this device, or in total.
    TooManyOperations,
    /// The device's block-wise transfer failed.
    BadTransfer,
    /// The request doesn't fit a message.
    RequestTooLarge,
    /// There is no such observation.
    NoSuchObservation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRegistered => "no device of this name is registered",
            Self::TimedOut => "the device did not answer in time",
            Self::Reset => "the device rejected the message (Reset)",
            Self::Expired => "the deadline passed before the device could be reached",
            Self::Cancelled => "the operation was cancelled",
            Self::Deregistered => "the device deregistered before it answered",
            Self::Interrupted => {
                "the server was restarted after the request was sent; it is not known whether the device carried it out"
            }
            Self::TooManyOperations => "too many operations wait already; try again later",
            Self::BadTransfer => "the device broke the block-wise transfer off, took a part of it for the whole, or changed its body on the way",
            Self::RequestTooLarge => "the request's path and query do not fit a message",
            Self::NoSuchObservation => "there is no such observation",
        })
    }
}

impl std::error::Error for Failure {}

impl From<BadBlock> for Failure {
    fn from(_: BadBlock) -> Self {
        Self::BadTransfer
    }
}

/// The state of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationState {
    /// It waits for the device.
    Queued,
    /// The device may have it.
    Sent,
    /// The device answered with success.
    Succeeded,
    /// The device answered with an error, or it failed on the way.
    Failed,
    /// The deadline passed.
    Expired,
    /// It was cancelled.
    Cancelled,
}

impl OperationState {
    /// The state of an operation that ended so.
    #[must_use]
    pub fn of_end(result: &Result<Outcome, Failure>) -> Self {
        match result {
            Ok(reply) if reply.code.is_success() => Self::Succeeded,
            Err(Failure::Expired) => Self::Expired,
            Err(Failure::Cancelled) => Self::Cancelled,
            Ok(_) | Err(_) => Self::Failed,
        }
    }
}

/// The record of an operation in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// Its name.
    pub id: OperationId,
    /// The device.
    pub endpoint: Arc<str>,
    /// Its state.
    pub state: OperationState,
    /// Milliseconds since the epoch.
    pub created_at: u64,
    /// Milliseconds since the epoch.
    pub deadline: u64,
    /// When the state last changed; milliseconds since the epoch.
    pub changed_at: u64,
    /// What the response starts or ends.
    pub intent: Intent,
    /// The method.
    pub code: u8,
    /// The options.
    pub options: Vec<(u16, Box<[u8]>)>,
    /// The payload.
    pub payload: Vec<u8>,
    /// The device's answer.
    pub answer: Option<AnswerRecord>,
    /// Why there is none.
    pub failure: Option<Failure>,
}

/// A device's answer in an [`OperationRecord`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The response code.
    pub code: u8,
    /// The Content-Format.
    pub format: Option<u16>,
    /// Location-Path.
    pub location: String,
    /// The payload.
    pub payload: Vec<u8>,
}

impl AnswerRecord {
    /// The record of an answer.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        Self {
            code: reply.code.to_byte(),
            format: reply.format.map(|format| format.0),
            location: reply.location.clone(),
            payload: reply.payload.clone(),
        }
    }
}

impl Downlink {
    /// A typed request, for a device that has its objects under `root`, usually `/`.
    #[must_use]
    pub fn of(request: &operation::Downlink<'_>, root: &str) -> Self {
        let mut options = Vec::new();
        request.each_option_under(root, &mut |number, value| options.push((number, value.into())));
        Self { code: request.code(), options, payload: Body::new(request.payload().to_vec()) }
    }

    /// A typed request of a bootstrap server's.
    #[must_use]
    pub(crate) fn of_bootstrap(request: &operation::BootstrapDownlink<'_>) -> Self {
        let mut options = Vec::new();
        request.each_option(&mut |number, value| options.push((number, value.into())));
        Self { code: request.code(), options, payload: Body::new(request.payload().to_vec()) }
    }

    /// The values of one option.
    pub fn values(&self, number: OptionNumber) -> impl Iterator<Item = &[u8]> {
        self.options.iter().filter(move |(n, _)| *n == number).map(|(_, value)| &**value)
    }

    /// The path, as in "/3/0/9".
    #[must_use]
    pub fn path(&self) -> String {
        self.values(OptionNumber::URI_PATH)
            .flat_map(|segment| ["/", std::str::from_utf8(segment).unwrap_or("?")])
            .collect()
    }

    /// Whether it can be sent twice without harm: everything except Create and Execute.
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        match self.code {
            Code::POST => self.is_partial_update(),
            Code::PATCH => false,
            _ => true,
        }
    }

    /// A POST below an object that has a Content-Format is a Write (LwM2M Core 1.1 section 6.3.3).
    fn is_partial_update(&self) -> bool {
        let is_id = |segment: &&[u8]| segment.iter().all(u8::is_ascii_digit);
        let ids = self.values(OptionNumber::URI_PATH).filter(is_id).count();
        let mut formats = self.values(OptionNumber::CONTENT_FORMAT).filter_map(parse_uint);
        ids > 1 && formats.any(|format| format != u32::from(ContentFormat::TEXT.0))
    }
}

/// The serde form of paths: their identifiers.
pub(crate) mod paths {
    use super::{Arc, Path};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(paths: &Arc<[Path]>, serializer: S) -> Result<S::Ok, S::Error> {
        paths.iter().map(|path| path.ids().to_vec()).collect::<Vec<_>>().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Path]>, D::Error> {
        let ids = Vec::<Vec<u16>>::deserialize(deserializer)?;
        ids.iter().map(|ids| Path::from_ids(ids).map_err(serde::de::Error::custom)).collect()
    }
}

impl Downlink {
    pub(crate) fn empty() -> Self {
        Self { code: Code::EMPTY, options: Vec::new(), payload: Body::new([0u8; 0]) }
    }

    /// The options as records have them.
    #[must_use]
    pub fn option_records(&self) -> Vec<(u16, Box<[u8]>)> {
        self.options.iter().map(|(number, value)| (number.0, value.clone())).collect()
    }

    pub(crate) fn from_records(code: u8, options: Vec<(u16, Box<[u8]>)>, payload: Vec<u8>) -> Self {
        let options = options.into_iter().map(|(number, value)| (OptionNumber(number), value)).collect();
        Self { code: Code::from_byte(code), options, payload: Body::new(payload) }
    }
}
