//! What is known of the registration at one server.

use buoy_coap::block::Upload;
use buoy_coap::endpoint::MessageIds;
use buoy_coap::time::Instant;

use super::location::KeptLocation;
use crate::shape::{Shape, UpTo};
use crate::text::Bytes;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Session<S: Shape> {
    pub(crate) phase: Phase,
    pub(crate) ids: MessageIds,
    pub(crate) location: KeptLocation<S>,
    pub(crate) pending: Pending,
    pub(crate) reported: Reported,
    /// What the server wants to see again (RFC 9175, section 2.3).
    pub(crate) echo: Bytes<UpTo<40>>,
    /// Failed attempts of this sequence, and sequences that failed.
    pub(crate) attempts: u32,
    pub(crate) sequences: u32,
    /// Whether all sequences have failed once: servers behind this one need not wait any more.
    pub(crate) exhausted: bool,
    /// When the server forgets the registration, and when it is to be updated.
    pub(crate) expires: Instant,
    pub(crate) update_at: Instant,
    /// Until when the device listens in queue mode.
    pub(crate) awake_until: Instant,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Waits for the servers before it in the order of registration.
    Queued,
    /// Registers at that time.
    Waiting {
        until: Instant,
    },
    /// A Register is under way.
    Registering(Sending),
    Registered,
    /// An Update is under way.
    Updating(Sending),
    /// A De-register is under way; afterwards the device stays away until that time, or for good.
    Deregistering {
        until: Option<Instant>,
    },
    /// Registers again only when the shell says so.
    Off,
}

/// A request with a list of objects, perhaps in blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) upload: Upload,
    /// Digest of the list, to start anew if it changes on the way.
    pub(crate) objects: u32,
    pub(crate) with_objects: bool,
}

/// What an Update is to say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) update: bool,
    pub(crate) objects: bool,
}

/// What the server knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) lifetime: u32,
    pub(crate) binding: Option<buoy_lwm2m::operation::Binding>,
    pub(crate) objects: u32,
}

impl<S: Shape> Session<S> {
    pub(crate) fn new(ids: MessageIds) -> Self {
        Self {
            phase: Phase::Queued,
            ids,
            location: KeptLocation::NONE,
            pending: Pending::default(),
            reported: Reported::default(),
            echo: Bytes::EMPTY,
            attempts: 0,
            sequences: 0,
            exhausted: false,
            expires: Instant::ZERO,
            update_at: Instant::NEVER,
            awake_until: Instant::ZERO,
        }
    }

    /// Begins anew, unless the registration stands.
    pub(crate) fn restart(&mut self) {
        if matches!(self.phase, Phase::Off | Phase::Waiting { .. }) {
            self.phase = Phase::Queued;
            self.attempts = 0;
            self.sequences = 0;
            self.exhausted = false;
        }
    }

    pub(crate) const fn is_registered(&self) -> bool {
        matches!(self.phase, Phase::Registered | Phase::Updating(_))
    }

    /// Whether servers behind this one in the order may register.
    pub(crate) const fn lets_others_go(&self, failure_blocks: bool) -> bool {
        self.is_registered() || (self.exhausted && !failure_blocks)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Registered => Some(self.update_at),
            _ => None,
        }
    }
}
