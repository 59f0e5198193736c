//! What the engine and its objects want of the shell, kept until it asks.

use buoy_coap::number::Code;
use buoy_coap::time::Instant;
use buoy_lwm2m::path::Path;

/// The place of a server in the client: its index among the instances of the Server object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerSlot(pub u8);

impl ServerSlot {
    /// The bootstrap server, which has a socket of its own but no registration.
    pub const BOOTSTRAP: Self = Self(u8::MAX);
}

/// Something that the shell should know or do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server has taken the registration.
    Registered(ServerSlot),
    /// A server has taken an update of the registration.
    RegistrationUpdated(ServerSlot),
    /// An attempt to register failed; more follow.
    RegistrationFailed(ServerSlot, RegistrationFailure),
    /// All attempts to register failed.
    GaveUp(ServerSlot),
    /// The registration was taken back; with [`Disabled`](Event::Disabled) it comes again.
    Deregistered(ServerSlot),
    /// A server has sent the device away for a while.
    Disabled(ServerSlot, Instant),
    /// The device has to be configured anew: a server asked for it, or none could be reached. If it has an account of a
    /// bootstrap server it goes there by itself.
    BootstrapNeeded,
    /// The bootstrap server is about to configure the device.
    BootstrapStarted,
    /// The new configuration holds. Its servers have to be reached where their accounts say.
    BootstrapFinished,
    /// An attempt at a bootstrap failed, and the configuration is what it was; more attempts follow.
    BootstrapFailed(BootstrapFailure),
    /// The account of the bootstrap server has reached the end of its time (0/x/12) and is gone.
    BootstrapAccountExpired,
    /// The answer has left the engine: send it, store what is to be stored, and restart.
    Reboot(RebootReason),
    /// Wipe the storage, make the objects anew, and restart.
    FactoryReset,
    /// The clock was set, in seconds since 1970; a device with a clock of its own sets that.
    ClockSet(i64),
    /// A package is to be fetched: see `FirmwareUpdate::download`.
    DownloadRequested,
    /// The package is no longer wanted.
    DownloadCancelled,
    /// A server has acknowledged a Send, or refused it with this code.
    SendDone(ServerSlot, Code),
    /// A Send was not answered.
    SendFailed(ServerSlot),
    /// An observation began.
    ObservationStarted(ServerSlot, Path),
    /// An observation ended.
    ObservationEnded(ServerSlot, Path),
    /// An object's own event, for a shell that made the object; the number is the object's to define.
    Custom {
        /// The object.
        object: u16,
        /// What happened.
        code: u32,
    },
    /// More events came than there is room for, and so many are lost.
    Lost(u16),
}

/// Why an attempt to register failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationFailure {
    /// The server stayed silent.
    ServerSilent,
    /// The server answered with an error.
    ServerRefused(Code),
    /// The server's answer makes no sense.
    ServerSentNonsense,
    /// The list of objects doesn't fit the buffer.
    ConfigTooManyObjects,
}

/// Why an attempt at a bootstrap failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootstrapFailure {
    /// The bootstrap server stayed silent.
    ServerSilent,
    /// The bootstrap server answered with an error; 5.03 while it waits for a person's decision.
    ServerRefused(Code),
    /// The bootstrap server's answer makes no sense.
    ServerSentNonsense,
    /// The bootstrap server began and did not come to a Bootstrap-Finish that could be accepted.
    ServerBrokeOff,
    /// The configuration in the Bootstrap-Pack makes no sense, for this reason.
    ServerSentInconsistent(&'static str),
}

/// Why the device restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebootReason {
    /// A server executed 3/0/4.
    Requested,
    /// New firmware is to be started.
    FirmwareUpdate,
}

/// Events that wait for the shell.
const EVENTS: usize = 16;
/// Changed paths that are told apart.
const CHANGES: usize = 8;
/// Objects whose saving is told apart.
const RECORDS: usize = 12;

/// What waits.
#[derive(Debug)]
pub(crate) struct Effects {
    events: Ring<Event, EVENTS>,
    lost: u16,
    changes: Ring<Path, CHANGES>,
    all_changed: bool,
    instances: bool,
    records: Ring<u16, RECORDS>,
    all_records: bool,
    /// An instant and the seconds since 1970 that it is.
    clock: Option<(Instant, i64)>,
}

/// What changed since the last look.
pub(crate) enum Changed {
    Path(Path),
    Everything,
}

impl Effects {
    pub(crate) const fn new() -> Self {
        Self {
            events: Ring::new(),
            lost: 0,
            changes: Ring::new(),
            all_changed: false,
            instances: false,
            records: Ring::new(),
            all_records: false,
            clock: None,
        }
    }

    pub(crate) fn emit(&mut self, event: Event) {
        if !self.events.push(event) {
            self.lost = self.lost.saturating_add(1);
        }
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop().or_else(|| {
            let lost = core::mem::take(&mut self.lost);
            (lost > 0).then_some(Event::Lost(lost))
        })
    }

    pub(crate) fn changed(&mut self, path: Path) {
        let known = self.changes.iter().any(|known| path.starts_with(known));
        if !known && !self.changes.push(path) {
            self.all_changed = true;
        }
    }

    pub(crate) fn next_change(&mut self) -> Option<Changed> {
        if core::mem::take(&mut self.all_changed) {
            self.changes = Ring::new();
            return Some(Changed::Everything);
        }
        self.changes.pop().map(Changed::Path)
    }

    pub(crate) fn has_changes(&self) -> bool {
        self.all_changed || self.instances || self.changes.iter().next().is_some()
    }

    pub(crate) fn instances_changed(&mut self, object: u16) {
        self.instances = true;
        self.changed(Path::object(object));
    }

    pub(crate) fn take_instances_changed(&mut self) -> bool {
        core::mem::take(&mut self.instances)
    }

    pub(crate) fn persist(&mut self, object: u16) {
        let known = self.records.iter().any(|known| known == object);
        if !known && !self.records.push(object) {
            self.all_records = true;
        }
    }

    pub(crate) fn wants_persist(&self) -> bool {
        self.all_records || self.records.iter().next().is_some()
    }

    pub(crate) fn is_to_persist(&self, object: u16) -> bool {
        self.all_records || self.records.iter().any(|known| known == object)
    }

    pub(crate) fn persisted(&mut self) {
        self.records = Ring::new();
        self.all_records = false;
    }

    pub(crate) fn set_clock(&mut self, now: Instant, unix: i64) {
        self.clock = Some((now, unix));
    }

    /// Seconds since 1970 at `now`.
    pub(crate) fn unix_at(&self, now: Instant) -> Option<i64> {
        let (at, unix) = self.clock?;
        Some(unix.saturating_add((now.millis_since(at) / 1000) as i64))
    }
}

/// A queue of bounded length.
#[derive(Debug)]
struct Ring<T, const N: usize> {
    items: [Option<T>; N],
    first: usize,
    length: usize,
}

impl<T: Copy, const N: usize> Ring<T, N> {
    const fn new() -> Self {
        Self { items: [None; N], first: 0, length: 0 }
    }

    fn push(&mut self, item: T) -> bool {
        if self.length >= N {
            return false;
        }
        let index = self.first.saturating_add(self.length).checked_rem(N).unwrap_or(0);
        if let Some(place) = self.items.get_mut(index) {
            *place = Some(item);
            self.length = self.length.saturating_add(1);
        }
        true
    }

    fn pop(&mut self) -> Option<T> {
        let item = self.items.get_mut(self.first)?.take()?;
        self.first = self.first.saturating_add(1).checked_rem(N).unwrap_or(0);
        self.length = self.length.saturating_sub(1);
        Some(item)
    }

    fn iter(&self) -> impl Iterator<Item = T> {
        self.items.iter().flatten().copied()
    }
}
