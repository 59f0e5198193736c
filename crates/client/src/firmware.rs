//! Firmware Update (object 5, versions 1.0 to 1.2): states, results, and the way of a package.
//!
//! The object keeps to the state machine of the specification; where the bytes go is a [`FirmwareTarget`]'s business, of
//! which [`ota`] has one over NOR flash. A package comes in one of two ways:
//!
//! - Push: a server writes 5/0/0 in blocks, and each goes straight to the target.
//! - Pull: a server writes 5/0/1, the client tells the shell ([`Event::DownloadRequested`]), and the shell fetches what
//!   [`FirmwareUpdate::download`] says and hands it over by [`FirmwareUpdate::download_chunk`]. If the image has no signature
//!   in it, it is looked for beside the package under the names of [`SignatureName`].
//!
//! Update (5/0/2) makes the new image the next one to start and asks the shell to reboot. After the reboot the target
//! knows what became of it, and [`FirmwareUpdate::confirm`], called once the device has tested itself and registered,
//! makes it permanent: only then the result is 1.

mod download;
pub mod fetch;
pub mod ota;
mod result;
mod target;

use core::cell::Cell;
use core::time::Duration;

use buoy_coap::number::Code;
use buoy_coap::time::Instant;
use buoy_lwm2m::path::Path;
use buoy_lwm2m::value::{Value, ValueType};

use crate::effects::{Event, RebootReason};
use crate::object::{
    At, Clock, Context, Object, ObjectDefinition, Piece, Refusal, ResourceDefinition as Resource, Sink,
    refusal,
};
use crate::record::{Record, RecordReader};
use crate::shape::UpTo;
use crate::text::{Bytes, Text};

pub use download::{Download, DownloadError, FILE_URI_MAX, Fetch, Part, Protocol, SignatureName};
pub use result::UpdateResult;
pub use target::{FirmwareTarget, Outcome, Package};

use download::SIGNATURE_MAX;

/// The most bytes of a package's URI.
pub const PACKAGE_URI_MAX: usize = 255;

/// 5/0/3
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// 0
    #[default]
    Idle = 0,
    /// 1
    Downloading = 1,
    /// 2
    Downloaded = 2,
    /// 3
    Updating = 3,
}

/// The Firmware Update object.
#[derive(Debug)]
pub struct FirmwareUpdate<T> {
    target: T,
    phase: Phase,
    result: UpdateResult,
    uri: Text<PACKAGE_URI_MAX>,
    protocols: &'static [Protocol],
    severity: u8,
    max_defer: u32,
    changed_at: Option<i64>,
    /// A server has read the result since it was set.
    told: Cell<Told>,
    etag: Bytes<UpTo<32>>,
    signature: Bytes<UpTo<SIGNATURE_MAX>>,
    policy: Policy,
    reason: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nobody,
    SomeServer,
    Noted,
}

/// Whether an update is carried out at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// As soon as a server says so.
    #[default]
    AtOnce,
    /// The device defers it while it has something better to do; critical updates and those that may not be deferred any
    /// longer are carried out all the same.
    Defer,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Idle,
    /// A server pushes; so many bytes have come.
    Pushed {
        received: u32,
    },
    /// The shell fetches.
    Pulling {
        offset: u32,
        part: Part,
        begun: bool,
    },
    Downloaded {
        deferred_until: Option<Instant>,
    },
    Updating,
}

static FIRMWARE: ObjectDefinition = ObjectDefinition::new(
    5,
    &[
        Resource::write(0, ValueType::Opaque).streamed(),
        Resource::read_write(1, ValueType::String),
        Resource::execute(2),
        Resource::read(3, ValueType::Integer),
        Resource::read(5, ValueType::Integer),
        Resource::read(6, ValueType::String),
        Resource::read(7, ValueType::String),
        Resource::read(8, ValueType::Integer).multiple(),
        Resource::read(9, ValueType::Integer),
        Resource::execute(10),
        Resource::read_write(11, ValueType::Integer),
        Resource::read(12, ValueType::Time),
        Resource::read_write(13, ValueType::UnsignedInteger),
        Resource::read(REASON, ValueType::String),
    ],
)
.version(1, 1);

const OBJECT: u16 = 5;
/// Why the last update failed, in words: of the resources that are free for anybody's use (26241 to 32768 in every object, OMNA). It is there
/// while there is something to say.
const REASON: u16 = 26_241;
const NOT_NOW: Refusal =
    refusal!(Code::METHOD_NOT_ALLOWED, "the firmware is in a state where this can't be done");

impl<T: FirmwareTarget> FirmwareUpdate<T> {
    /// The object after a start of the device; `protocols` are those that the shell can fetch with.
    pub fn new(mut target: T, protocols: &'static [Protocol]) -> Self {
        let (phase, result) = match target.outcome() {
            Some(Outcome::OnTrial) => (Phase::Updating, UpdateResult::Initial),
            Some(Outcome::Succeeded) => (Phase::Idle, UpdateResult::Success),
            Some(Outcome::Failed(result)) => (Phase::Idle, result),
            None => (Phase::Idle, UpdateResult::Initial),
        };
        let has_failed =
            phase == Phase::Idle && !matches!(result, UpdateResult::Initial | UpdateResult::Success);
        let reason = if has_failed { target.failure_reason() } else { None };
        Self {
            target,
            phase,
            result,
            uri: Text::EMPTY,
            protocols,
            severity: 1,
            max_defer: 0,
            changed_at: None,
            told: Cell::new(Told::Nobody),
            etag: Bytes::EMPTY,
            signature: Bytes::EMPTY,
            policy: Policy::AtOnce,
            reason,
        }
    }

    /// Says why the update failed that the device reports (5/0/26241), as the shell knows it: by the cause of the chip's reset, for example.
    pub fn explain_failure(&mut self, context: &mut Context<'_>, reason: &'static str) {
        self.reason = Some(reason);
        context.changed(Path::resource(OBJECT, 0, REASON));
    }

    /// 5/0/3
    #[must_use]
    pub const fn state(&self) -> State {
        match self.phase {
            Phase::Idle => State::Idle,
            Phase::Pushed { .. } | Phase::Pulling { .. } => State::Downloading,
            Phase::Downloaded { .. } => State::Downloaded,
            Phase::Updating => State::Updating,
        }
    }

    /// 5/0/5
    #[must_use]
    pub const fn result(&self) -> UpdateResult {
        self.result
    }

    /// Where the firmware goes.
    pub const fn target(&self) -> &T {
        &self.target
    }

    /// Where the firmware goes.
    pub const fn target_mut(&mut self) -> &mut T {
        &mut self.target
    }

    /// Sets whether updates are carried out at once; one that was deferred is carried out when that is allowed again.
    pub fn set_policy(&mut self, context: &mut Context<'_>, policy: Policy) {
        self.policy = policy;
        if let (Policy::AtOnce, Phase::Downloaded { deferred_until: Some(_) }) = (policy, &self.phase) {
            let _result_tells = self.update(context);
        }
    }

    /// Says that the running image has proved itself: it has passed its test, and has registered.
    ///
    /// # Errors
    /// The result that is reported.
    pub fn confirm(&mut self, context: &mut Context<'_>) -> Result<(), UpdateResult> {
        self.target.confirm()?;
        if self.phase == Phase::Updating && self.target.outcome() == Some(Outcome::Succeeded) {
            self.enter(context, Phase::Idle, UpdateResult::Success);
        }
        Ok(())
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        match self.target.finish() {
            Ok(()) => {
                let phase = Phase::Downloaded { deferred_until: None };
                self.enter(context, phase, UpdateResult::Initial);
            }
            Err(result) => self.fail(context, result),
        }
    }

    fn fail(&mut self, context: &mut Context<'_>, result: UpdateResult) {
        self.target.abort();
        self.forget_package(context);
        self.enter(context, Phase::Idle, result);
    }

    fn forget_package(&mut self, context: &mut Context<'_>) {
        self.etag = Bytes::EMPTY;
        context.persist(OBJECT);
    }

    fn enter(&mut self, context: &mut Context<'_>, phase: Phase, result: UpdateResult) {
        let before = self.state();
        self.phase = phase;
        if self.result != result {
            self.result = result;
            self.reason = None;
            self.told = Cell::new(Told::Nobody);
            context.changed(Path::resource(OBJECT, 0, 5));
        }
        if before != self.state() {
            self.changed_at = context.clock().unix;
            context.changed(Path::resource(OBJECT, 0, 3));
            context.changed(Path::resource(OBJECT, 0, 12));
            context.persist(OBJECT);
        }
    }

    fn write_uri(&mut self, context: &mut Context<'_>, uri: &str) -> Result<(), Refusal> {
        if uri.is_empty() {
            return self.reset(context);
        }
        if self.is_ordered(uri) {
            return Ok(());
        }
        if !matches!(self.phase, Phase::Idle) {
            return Err(NOT_NOW);
        }
        self.uri = Text::new(uri)
            .map_err(|_| refusal!(Code::BAD_REQUEST, "a package's URI has at most 255 bytes"))?;
        self.etag = Bytes::EMPTY;
        context.changed(Path::resource(OBJECT, 0, 1));
        let known = Protocol::of(uri);
        if !known.is_some_and(|protocol| self.protocols.contains(&protocol)) {
            let is_uri = uri.contains("://");
            let result = if is_uri { UpdateResult::UnsupportedProtocol } else { UpdateResult::InvalidUri };
            self.enter(context, Phase::Idle, result);
            return Ok(());
        }
        self.begin_pull(context);
        Ok(())
    }

    /// Whether a package is coming, or has come, from there already: a server that missed the answer writes the URI again.
    fn is_ordered(&self, uri: &str) -> bool {
        matches!(self.phase, Phase::Pulling { .. } | Phase::Downloaded { .. }) && self.uri.as_str() == uri
    }

    fn begin_pull(&mut self, context: &mut Context<'_>) {
        let phase = Phase::Pulling { offset: 0, part: Part::Package, begun: false };
        self.enter(context, phase, UpdateResult::Initial);
        context.emit(Event::DownloadRequested);
    }

    /// An empty URI or package takes everything back, in every state but Updating.
    fn reset(&mut self, context: &mut Context<'_>) -> Result<(), Refusal> {
        self.drop_package(context, UpdateResult::Initial)?;
        self.uri = Text::EMPTY;
        context.changed(Path::resource(OBJECT, 0, 1));
        Ok(())
    }

    fn drop_package(&mut self, context: &mut Context<'_>, result: UpdateResult) -> Result<(), Refusal> {
        match self.phase {
            Phase::Updating => return Err(NOT_NOW),
            Phase::Pulling { .. } => context.emit(Event::DownloadCancelled),
            _ => {}
        }
        if self.phase != Phase::Idle {
            self.target.abort();
        }
        self.forget_package(context);
        self.enter(context, Phase::Idle, result);
        Ok(())
    }

    fn cancel(&mut self, context: &mut Context<'_>) -> Result<(), Refusal> {
        if self.phase == Phase::Idle {
            return Err(NOT_NOW);
        }
        self.drop_package(context, UpdateResult::Cancelled)
    }

    fn start_update(&mut self, context: &mut Context<'_>) -> Result<(), Refusal> {
        let Phase::Downloaded { deferred_until } = self.phase else { return Err(NOT_NOW) };
        let may_defer = self.policy == Policy::Defer && self.severity != 0 && self.max_defer > 0;
        if !may_defer {
            return self.update(context);
        }
        let latest = context.now().after(Duration::from_secs(u64::from(self.max_defer)));
        let deferred_until = Some(deferred_until.unwrap_or(latest));
        self.enter(context, Phase::Downloaded { deferred_until }, UpdateResult::Deferred);
        Ok(())
    }

    fn update(&mut self, context: &mut Context<'_>) -> Result<(), Refusal> {
        match self.target.activate() {
            Ok(()) => {
                self.forget_package(context);
                self.enter(context, Phase::Updating, UpdateResult::Initial);
                context.emit(Event::Reboot(RebootReason::FirmwareUpdate));
            }
            Err(result) => self.enter(context, Phase::Idle, result),
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, piece: Piece<'_>) -> Result<(), Refusal> {
        if piece.offset == 0 {
            let is_empty = piece.is_last && matches!(piece.bytes, [] | [0]);
            if is_empty {
                return self.reset(context);
            }
            self.begin_push(context, piece.total)?;
        }
        let Phase::Pushed { received } = &mut self.phase else { return Err(NOT_NOW) };
        if usize::try_from(*received) != Ok(piece.offset) {
            return Err(refusal!(Code::REQUEST_ENTITY_INCOMPLETE, "a piece of the package is missing"));
        }
        let at = *received;
        *received = at.saturating_add(u32::try_from(piece.bytes.len()).unwrap_or(u32::MAX));
        if let Err(result) = self.target.chunk(at, piece.bytes) {
            self.fail(context, result);
            return Err(refused(result));
        }
        if piece.is_last {
            self.finish(context);
        }
        Ok(())
    }

    fn begin_push(&mut self, context: &mut Context<'_>, total: Option<usize>) -> Result<(), Refusal> {
        match self.phase {
            Phase::Idle => {}
            // The same server begins again.
            Phase::Pushed { .. } => self.target.abort(),
            _ => return Err(NOT_NOW),
        }
        let length = total.and_then(|total| u32::try_from(total).ok());
        match self.target.begin(&Package { uri: None, etag: &[], length }) {
            Ok(()) => {
                self.enter(context, Phase::Pushed { received: 0 }, UpdateResult::Initial);
                Ok(())
            }
            Err(result) => {
                self.enter(context, Phase::Idle, result);
                Err(refused(result))
            }
        }
    }
}

/// What the blocks of a refused package are answered with.
fn refused(result: UpdateResult) -> Refusal {
    match result {
        UpdateResult::NotEnoughFlash => {
            refusal!(Code::REQUEST_ENTITY_TOO_LARGE, "the package is larger than its slot")
        }
        UpdateResult::UnsupportedPackage => {
            refusal!(Code::BAD_REQUEST, "the package is none for this device")
        }
        UpdateResult::IntegrityCheckFailed => refusal!(Code::BAD_REQUEST, "the package is damaged"),
        _ => refusal!(Code::INTERNAL_SERVER_ERROR, "the package could not be stored"),
    }
}

impl<T: FirmwareTarget> Object for FirmwareUpdate<T> {
    fn definition(&self) -> &'static ObjectDefinition {
        &FIRMWARE
    }

    fn has_resource(&self, at: At) -> bool {
        match at.resource {
            6 | 7 => self.target.package_info().is_some(),
            REASON => self.reason.is_some(),
            _ => true,
        }
    }

    fn read(&self, _: &Clock, at: At, sink: &mut Sink<'_>) -> Result<(), Refusal> {
        match at.resource {
            1 => sink.value(self.uri.as_str()),
            3 => sink.value(i64::from(self.state() as u8)),
            5 => {
                if self.told.get() == Told::Nobody {
                    self.told.set(Told::SomeServer);
                }
                sink.value(i64::from(self.result as u8))
            }
            6 => sink.optional(self.target.package_info().map(|(name, _)| name)),
            7 => sink.optional(self.target.package_info().map(|(_, version)| version)),
            8 => {
                let numbered = (0..).zip(self.protocols);
                numbered.into_iter().try_for_each(|(index, protocol)| sink.item(index, *protocol as i64))
            }
            9 => sink.value(if self.protocols.is_empty() { 1i64 } else { 2 }),
            11 => sink.value(i64::from(self.severity)),
            12 => sink.value(Value::Time(self.changed_at.unwrap_or(0))),
            13 => sink.value(Value::UnsignedInteger(u64::from(self.max_defer))),
            REASON => sink.optional(self.reason),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    fn check(&self, at: At, _: Option<u16>, value: &Value<'_>) -> Result<(), Refusal> {
        match (at.resource, value) {
            (1, Value::String(uri)) if uri.len() > PACKAGE_URI_MAX => {
                Err(refusal!(Code::BAD_REQUEST, "a package's URI has at most 255 bytes"))
            }
            (1, Value::String(uri)) if !uri.is_empty() && self.phase != Phase::Idle => {
                if self.is_ordered(uri) { Ok(()) } else { Err(NOT_NOW) }
            }
            (11, Value::Integer(0..=2)) => Ok(()),
            (11, _) => {
                Err(refusal!(Code::BAD_REQUEST, "a severity is 0 (critical), 1 (mandatory) or 2 (optional)"))
            }
            (13, Value::UnsignedInteger(seconds)) if u32::try_from(*seconds).is_err() => {
                Err(refusal!(Code::BAD_REQUEST, "the period is too long"))
            }
            _ => Ok(()),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        at: At,
        _: Option<u16>,
        value: &Value<'_>,
    ) -> Result<(), Refusal> {
        self.check(at, None, value)?;
        match (at.resource, value) {
            (1, Value::String(uri)) => return self.write_uri(context, uri),
            (11, Value::Integer(severity)) => self.severity = u8::try_from(*severity).unwrap_or(1),
            (13, Value::UnsignedInteger(seconds)) => {
                self.max_defer = u32::try_from(*seconds).unwrap_or(u32::MAX);
            }
            _ => return Err(Refusal::BAD_VALUE),
        }
        context.changed(Path::resource(OBJECT, 0, at.resource));
        context.persist(OBJECT);
        Ok(())
    }

    fn write_piece(&mut self, context: &mut Context<'_>, _: At, piece: Piece<'_>) -> Result<(), Refusal> {
        self.push(context, piece)
    }

    fn execute(&mut self, context: &mut Context<'_>, at: At, _: &str) -> Result<(), Refusal> {
        match at.resource {
            2 => self.start_update(context),
            10 => self.cancel(context),
            _ => Err(Refusal::METHOD_NOT_ALLOWED),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deferred = match self.phase {
            Phase::Downloaded { deferred_until } => deferred_until,
            _ => None,
        };
        let is_outcome = matches!(self.phase, Phase::Idle) && self.result != UpdateResult::Initial;
        let note = (is_outcome && self.told.get() == Told::SomeServer).then_some(Instant::ZERO);
        note.or(deferred)
    }

    fn handle_timeout(&mut self, context: &mut Context<'_>) {
        if self.told.get() == Told::SomeServer {
            self.told.set(Told::Noted);
            self.target.mark_reported();
        }
        if let Phase::Downloaded { deferred_until: Some(at) } = self.phase
            && at <= context.now()
        {
            let _result_tells = self.update(context);
        }
    }

    /// Keeps what a download needs to go on after a power cut: the URI and the ETag; and what servers wrote.
    fn save(&self, record: &mut [u8]) -> Option<usize> {
        let mut writer = Record::new(record);
        writer.byte(match self.phase {
            Phase::Pulling { .. } => PULLING,
            Phase::Downloaded { .. } => DOWNLOADED,
            _ => 0,
        });
        writer.bytes(self.uri.as_str().as_bytes());
        writer.bytes(self.etag.as_slice());
        writer.byte(self.severity);
        writer.uint(u64::from(self.max_defer));
        writer.fitting()
    }

    /// A download that a reboot interrupted goes on: [`FirmwareUpdate::download`] names it. A package that was whole is
    /// checked once more.
    fn load(&mut self, record: &[u8]) {
        let mut reader = RecordReader(record);
        let Some(phase) = reader.byte() else { return };
        let text = reader.bytes().and_then(|bytes| core::str::from_utf8(bytes).ok());
        let (Some(uri), Some(etag), Some(severity), Some(max_defer)) =
            (text, reader.bytes(), reader.byte(), reader.uint())
        else {
            return;
        };
        self.uri = Text::clipped(uri);
        self.severity = severity.min(2);
        self.max_defer = u32::try_from(max_defer).unwrap_or(0);
        if self.phase != Phase::Idle || self.result != UpdateResult::Initial {
            return;
        }
        self.etag = Bytes::new(etag).unwrap_or_default();
        match phase {
            PULLING => self.phase = Phase::Pulling { offset: 0, part: Part::Package, begun: false },
            DOWNLOADED => self.check_again(),
            _ => {}
        }
    }
}

const PULLING: u8 = 1;
const DOWNLOADED: u8 = 2;

impl<T: FirmwareTarget> FirmwareUpdate<T> {
    fn check_again(&mut self) {
        let uri = Some(self.uri.as_str()).filter(|uri| !uri.is_empty());
        let package = Package { uri, etag: self.etag.as_slice(), length: None };
        if self.target.resume(&package).is_some() && self.target.finish().is_ok() {
            self.phase = Phase::Downloaded { deferred_until: None };
        }
    }
}
