//! The LwM2M server as a sans-IO engine.
//!
//! A [`Shard`] keeps a part of the fleet: who is registered, what was asked of them, what they are observed for. It knows no
//! sockets, no threads and no clock. Datagrams and the time go in; an [`Outbox`] takes what is to be saved, sent and told.
//!
//! One rule binds the shell: what the [`Outbox`] lists as changes is durable *before* its datagrams leave and before its
//! events are told to anybody.
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
pub use outbox::{Change, Companion, Event, Outbox, Report, ReportSource, UpdatedFields};
pub use peer::{Peer, SessionId};
pub use registration::{Attributes, RegistrationKey, RegistrationNotice, RegistrationView};
pub use shard::{Counters, Directory, Shard, ShardConfig, Unclaimed};
