//! Observations of a device (RFC 7641; LwM2M Core 1.1 section 6.4).

use std::sync::Arc;

use buoy_coap::observe::Freshness;
use buoy_lwm2m::path::Path;
use serde::{Deserialize, Serialize};

use crate::operation::Downlink;

/// The id of an observation. It is also the token of its notifications, which only the device and the server know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObservationId(pub u64);

impl ObservationId {
    pub(crate) fn from_token(token: &[u8]) -> Option<Self> {
        token.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// One observation of a device.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    pub(crate) id: ObservationId,
    pub(crate) paths: Arc<[Path]>,
    pub(crate) composite: bool,
    /// The request that started it, to start it again after the device registered anew.
    pub(crate) request: Downlink,
    pub(crate) freshness: Freshness,
    pub(crate) standing: Standing,
}

/// The observations of a device. Most devices have none, which takes one word.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observations(
    #[expect(clippy::box_collection, reason = "a vector is three words")] Option<Box<Vec<Observation>>>,
);

impl Observations {
    pub(crate) fn push(&mut self, observation: Observation) {
        self.0.get_or_insert_default().push(observation);
    }

    /// Removes those for which the function says no.
    pub(crate) fn retain(&mut self, stays: impl FnMut(&Observation) -> bool) {
        if let Some(all) = &mut self.0 {
            all.retain(stays);
            self.0.take_if(|all| all.is_empty());
        }
    }
}

impl std::ops::Deref for Observations {
    type Target = [Observation];

    fn deref(&self) -> &[Observation] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl std::ops::DerefMut for Observations {
    fn deref_mut(&mut self) -> &mut [Observation] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl FromIterator<Observation> for Observations {
    fn from_iter<T: IntoIterator<Item = Observation>>(all: T) -> Self {
        let all: Vec<_> = all.into_iter().collect();
        Self((!all.is_empty()).then(|| Box::new(all)))
    }
}

/// Whether the device knows of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It has accepted it.
    TakenUp,
    /// It registered again since, which ends all observations. The server has to send the request again.
    ToResume,
}

/// An observation in its registration's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObservationRecord {
    id: ObservationId,
    #[serde(with = "crate::operation::paths")]
    paths: Arc<[Path]>,
    composite: bool,
    code: u8,
    options: Vec<(u16, Box<[u8]>)>,
    payload: Vec<u8>,
    standing: Standing,
}

impl Observation {
    pub(crate) fn record(&self) -> ObservationRecord {
        ObservationRecord {
            id: self.id,
            paths: self.paths.clone(),
            composite: self.composite,
            code: self.request.code.to_byte(),
            options: self.request.option_records(),
            payload: self.request.payload.bytes().to_vec(),
            standing: self.standing,
        }
    }

    pub(crate) fn restore(record: ObservationRecord) -> Self {
        Self {
            id: record.id,
            paths: record.paths,
            composite: record.composite,
            request: Downlink::from_records(record.code, record.options, record.payload),
            freshness: Freshness::default(),
            standing: record.standing,
        }
    }

    pub(crate) fn view(&self) -> ObservationView {
        ObservationView { id: self.id, paths: self.paths.clone(), composite: self.composite }
    }
}

/// A copy of an observation for users of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationView {
    /// Its name.
    pub id: ObservationId,
    /// One path, or several for a composite observation.
    pub paths: Arc<[Path]>,
    /// Observe-Composite.
    pub composite: bool,
}
