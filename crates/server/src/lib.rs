//! The LwM2M server as a sans-IO engine.
//!
//! A [`Shard`] manages a part of the devices: their registrations, operations and observations. It uses no sockets, threads or clocks. Datagrams
//! and the time go in; an [`Outbox`] gets the changes to save, the datagrams to send and the events to publish.
//!
//! The caller has one obligation: the changes of an [`Outbox`] must be durable *before* its datagrams are sent and its events are published.
#![forbid(unsafe_code)]

mod bootstrap;
mod echo;
mod files;
mod name;
mod objects;
mod observation;
mod operation;
mod outbox;
mod peer;
mod ping;
mod registration;
mod registrations;
mod shard;
mod slab;
mod transfer;
mod wheel;

pub use bootstrap::{
    AclConfig, BootstrapConfig, BootstrapDirectory, BootstrapEvent, BootstrapFailure, BootstrapLimits,
    BootstrapOutbox, BootstrapRequest, BootstrapShard, BootstrapVerdict, ConfigProblem, ConfigValue,
    ResourceWrite, SecurityConfig, SecurityMode, ServerConfig,
};
pub use files::Body;
pub use objects::ObjectList;
pub use observation::{ObservationId, ObservationView};
pub use operation::{
    AnswerRecord, Downlink, Durability, Failure, Intent, OperationId, OperationRecord, OperationState,
    Outcome, Reply, Submission,
};
pub use outbox::{Change, Companion, DtlsEvent, Event, Outbox, Report, ReportSource, UpdatedFields};
pub use peer::{Peer, SessionId};
pub use registration::{Attributes, RegistrationKey, RegistrationNotice, RegistrationView};
pub use shard::{Counters, Directory, Shard, ShardConfig, Unclaimed};
pub use slab::Slab;
