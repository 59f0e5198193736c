//! Translates the changes of an engine's outbox into changes of the store.

use std::any::Any;
use std::borrow::Cow;

use buoy_lwm2m::value::OwnedValue;
use buoy_server::{Change as EngineChange, OperationRecord, OperationState, Outbox, Report};
use buoy_store::{Change, ChangeSet, NewSample, OperationRow, RecordChange, Sample};
use tokio::sync::oneshot;

use crate::inventory::LastValue;
use crate::journal::Parts;
use crate::notice::{Notice, NoticeKind};
use crate::quota::SampleQuota;
use crate::values::DeviceModels;

/// A value that a service sends to the journal with a shard's outbox.
#[derive(Debug)]
pub(crate) enum Companion {
    /// Changes that are made durable with it.
    Changes(ChangeSet<'static>),
    /// Is notified once it is durable.
    WhenSaved(oneshot::Sender<()>),
    /// Is dropped once it is durable.
    Held(#[expect(dead_code, reason = "what counts is when it is dropped")] Box<dyn Any + Send>),
}

impl Companion {
    /// Adds it to an outbox.
    pub(crate) fn accompany(self, outbox: &mut Outbox) {
        outbox.companions.push(Box::new(self));
    }
}

/// Notifies those who wait for an outbox that it is durable.
pub(crate) fn tell_saved(outbox: &mut Outbox) {
    for companion in outbox.companions.drain(..) {
        if let Ok(companion) = companion.downcast::<Companion>()
            && let Companion::WhenSaved(told) = *companion
        {
            // The caller may have gone.
            let _ = told.send(());
        }
    }
}

/// The changes of a shard's outbox.
pub(super) fn of_outbox<'a>(
    outbox: &'a Outbox,
    now: u64,
    quota: &mut SampleQuota,
    parts: &mut Parts,
) -> ChangeSet<'a> {
    let mut set = ChangeSet::with_capacity(outbox.changes.len());
    for companion in &outbox.companions {
        // Services put nothing else there.
        if let Some(Companion::Changes(changes)) = companion.downcast_ref() {
            set.extend(changes.iter().cloned());
        }
    }
    for change in &outbox.changes {
        set.push(match change {
            EngineChange::PutRegistration { key, record } => Change::Registration(RecordChange::Put {
                key: key.0,
                record: Cow::Borrowed(outbox.record(record)),
            }),
            EngineChange::RemoveRegistration { key } => {
                Change::Registration(RecordChange::Remove { key: key.0 })
            }
            EngineChange::PutOperation(record) => Change::Operation(operation_row(record)),
            EngineChange::PutSession { session, record } => {
                Change::Session(RecordChange::Put { key: session.number(), record: Cow::Borrowed(record) })
            }
            EngineChange::RemoveSession { session } => {
                Change::Session(RecordChange::Remove { key: session.number() })
            }
            EngineChange::PutReport(report) => {
                samples(report, now, quota, parts, &mut set);
                continue;
            }
        });
    }
    set
}

/// The row of an operation in the store.
pub fn operation_row(record: &OperationRecord) -> OperationRow {
    OperationRow {
        id: record.id.0,
        endpoint: record.endpoint.to_string(),
        ended: !matches!(record.state, OperationState::Queued | OperationState::Sent),
        changed_at: record.changed_at,
        record: postcard::to_stdvec(record).unwrap_or_default(),
    }
}

/// The engine's record of a stored operation; `None` if it is damaged.
pub fn operation_record(row: &OperationRow) -> Option<OperationRecord> {
    postcard::from_bytes(&row.record).ok()
}

/// The samples of a report. Values that can't be decoded are skipped; the others are saved.
fn samples<'a>(
    report: &'a Report,
    now: u64,
    quota: &mut SampleQuota,
    Parts { models, notify, describe, remember, .. }: &mut Parts,
    set: &mut ChangeSet<'a>,
) {
    let read = DeviceModels::of_any(models).read_report(report);
    for timed in read.values.iter().filter(|timed| timed.is_present) {
        if let Some(OwnedValue::String(text)) = &timed.entry.value
            && let &[3, 0, resource] = timed.entry.path.ids()
        {
            describe(&report.endpoint, resource, text);
        }
    }
    if let Some(reason) = read.problem {
        let kind = NoticeKind::Unreadable { format: report.format, reason };
        notify(Notice { endpoint: report.endpoint.clone(), kind });
    }
    let values = read.values.iter().filter(|timed| timed.entry.value.is_some()).count();
    let granted = quota.grant(now, &report.endpoint, values);
    if granted < values {
        let kind = NoticeKind::TooManyValues(values - granted);
        notify(Notice { endpoint: report.endpoint.clone(), kind });
    }
    let with_value = read.values.into_iter().filter_map(|timed| {
        let (path, at) = (timed.entry.path, timed.at);
        timed.entry.value.map(|value| (path, value, at))
    });
    let mut last = Vec::new();
    for (path, value, at) in with_value.take(granted) {
        let (endpoint, value) = (Cow::Borrowed(&*report.endpoint), sample(value));
        last.extend(LastValue::of(at, &value).map(|value| (path, value)));
        set.push(Change::Sample(NewSample { endpoint, path, at, value }));
    }
    if !last.is_empty() {
        remember(&report.endpoint, last);
    }
}

pub(crate) fn sample(value: OwnedValue) -> Sample {
    match value {
        OwnedValue::String(text) | OwnedValue::CoreLink(text) => Sample::Text(text),
        OwnedValue::Integer(number) | OwnedValue::Time(number) => Sample::Integer(number),
        OwnedValue::UnsignedInteger(number) => match i64::try_from(number) {
            Ok(number) => Sample::Integer(number),
            Err(_) => Sample::Float(number as f64),
        },
        OwnedValue::Float(number) => Sample::Float(number),
        OwnedValue::Boolean(on) => Sample::Integer(i64::from(on)),
        OwnedValue::Opaque(bytes) => Sample::Opaque(bytes),
        OwnedValue::ObjectLink(link) => Sample::Text(link.to_string()),
    }
}
