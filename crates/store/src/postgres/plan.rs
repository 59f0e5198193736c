//! The statements that make sets of changes durable.
//!
//! What comes in numbers (registrations, sessions, operations, updates, values) is gathered, of each key the last word alone, and goes as
//! columns of arrays: one statement a table. All else is a statement each, in the order in which it came. No table refers to another, so
//! that the order counts within a table only.

use std::collections::BTreeMap;

use buoy_fleet::update::UpdateRecord;
use tokio_postgres::types::ToSql;

use super::link::Step;
use super::series::{NewSeries, Series};
use super::text::stored;
use crate::{
    AuditRow, BootstrapClaimChange, BootstrapClaimRow, BootstrapConfigChange, BootstrapConfigRow, Change,
    ChangeSet, CredentialChange, CredentialRow, CredentialState, DeviceChange, DeviceDescription, DeviceRow,
    DocumentChange, DocumentKind, DocumentRow, FirmwareChange, FirmwareRow, KeyRow, LeftOut, NewSample,
    OperationRow, RecordChange, Sample, StoreError, bound,
};

/// Rows of one statement,
const MOST_ROWS: usize = 8192;
/// and their bytes, about: the protocol has a limit of a gigabyte for a message.
const MOST_BYTES: usize = 16 << 20;

/// What is to be sent for some sets.
#[derive(Default)]
pub(super) struct Plan<'a> {
    pub(super) steps: Vec<Step<'a>>,
    pub(super) new_series: Vec<NewSeries>,
    pub(super) left_out: Vec<LeftOut>,
}

impl<'a> Plan<'a> {
    /// For sets that hold together. What series they have must have been looked up.
    pub(super) fn of(sets: &'a [ChangeSet<'a>], series: &mut Series) -> Result<Self, StoreError> {
        let mut gathered = Gathered::default();
        for change in sets.iter().flatten() {
            gathered.change(change, series)?;
        }
        Ok(gathered.into_plan())
    }
}

/// Records by their keys; without bytes one is removed.
type Records<'a> = BTreeMap<i64, Option<&'a [u8]>>;

/// Changes by their tables.
#[derive(Default)]
struct Gathered<'a> {
    registrations: Records<'a>,
    sessions: Records<'a>,
    operations: BTreeMap<i64, &'a OperationRow>,
    updates: BTreeMap<i64, (&'a UpdateRecord, i64)>,
    samples: BTreeMap<(i64, i64), &'a Sample>,
    documents: BTreeMap<(DocumentKind, &'a str), Option<&'a DocumentRow>>,
    others: Vec<Step<'a>>,
    new_series: Vec<NewSeries>,
    left_out: Vec<LeftOut>,
}

impl<'a> Gathered<'a> {
    fn change(&mut self, change: &'a Change<'a>, series: &mut Series) -> Result<(), StoreError> {
        match change {
            Change::Registration(change) => record(&mut self.registrations, change),
            Change::Session(change) => record(&mut self.sessions, change),
            Change::Operation(row) => drop(self.operations.insert(row.id as i64, row)),
            Change::Update { record, changed_at } => {
                self.updates.insert(record.id as i64, (record, bound(*changed_at)));
            }
            Change::Sample(sample) => self.sample(sample, series)?,
            Change::Firmware(change) => self.others.push(firmware(change)),
            Change::Credential(change) => credential(change, &mut self.others),
            Change::BootstrapConfig(change) => self.others.push(bootstrap_config(change)),
            Change::BootstrapClaim(change) => self.others.push(bootstrap_claim(change)),
            Change::Device(change) => self.others.push(device(change)),
            Change::Document(change) => self.document(change),
            Change::IdempotencyKey(row) => self.others.push(idempotency_key(row)),
            Change::Audit(row) => self.others.push(audit(row)),
        }
        Ok(())
    }

    fn document(&mut self, change: &'a DocumentChange) {
        match change {
            // One that must not be there yet may be refused.
            DocumentChange::Add(row) => {
                let so_far = self.documents_so_far();
                self.others.extend(so_far);
                self.others.push(add_document(row));
            }
            DocumentChange::Put(row) => drop(self.documents.insert((row.kind, &row.name), Some(row))),
            DocumentChange::Remove { kind, name } => drop(self.documents.insert((*kind, name), None)),
        }
    }

    /// The statements for the documents that were gathered, so that what follows comes after them.
    fn documents_so_far(&mut self) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        put_documents(std::mem::take(&mut self.documents), &mut steps);
        steps
    }

    fn sample(&mut self, sample: &'a NewSample<'a>, series: &mut Series) -> Result<(), StoreError> {
        let NewSample { endpoint, path, at, value } = sample;
        match series.id(endpoint, *path, &mut self.new_series)? {
            Some(id) => drop(self.samples.insert((id, bound(*at)), value)),
            None => match self.left_out.iter_mut().find(|left| left.endpoint == *endpoint) {
                Some(left) => left.values += 1,
                None => self.left_out.push(LeftOut { endpoint: endpoint.to_string(), values: 1 }),
            },
        }
        Ok(())
    }

    fn into_plan(self) -> Plan<'a> {
        let mut steps = Vec::new();
        put_records(
            self.registrations,
            "INSERT INTO registration (key, record) SELECT * FROM unnest($1::bigint[], $2::bytea[]) \
             ON CONFLICT (key) DO UPDATE SET record = excluded.record",
            "DELETE FROM registration WHERE key = ANY($1::bigint[])",
            &mut steps,
        );
        put_records(
            self.sessions,
            "INSERT INTO sessions (id, record) SELECT * FROM unnest($1::bigint[], $2::bytea[]) \
             ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            "DELETE FROM sessions WHERE id = ANY($1::bigint[])",
            &mut steps,
        );
        put_operations(self.operations, &mut steps);
        put_updates(self.updates, &mut steps);
        put_series(&self.new_series, &mut steps);
        put_samples(self.samples, &mut steps);
        steps.extend(self.others);
        put_documents(self.documents, &mut steps);
        Plan { steps, new_series: self.new_series, left_out: self.left_out }
    }
}

fn record<'a>(records: &mut Records<'a>, change: &'a RecordChange<'a>) {
    match change {
        RecordChange::Put { key, record } => records.insert(*key as i64, Some(&**record)),
        RecordChange::Remove { key } => records.insert(*key as i64, None),
    };
}

/// Cuts rows into what goes with one statement each.
fn cut<T>(rows: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut pieces = Vec::new();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for row in rows {
        bytes += size(&row);
        piece.push(row);
        if piece.len() >= MOST_ROWS || bytes >= MOST_BYTES {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// One column of some rows.
fn column<T, C>(rows: &[T], cell: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(cell).collect()
}

fn put_records<'a>(records: Records<'a>, put: &'static str, remove: &'static str, steps: &mut Vec<Step<'a>>) {
    let removed: Vec<i64> =
        records.iter().filter(|(_, record)| record.is_none()).map(|(key, _)| *key).collect();
    if !removed.is_empty() {
        steps.push(Step::plain(remove).with(removed));
    }
    let rows: Vec<_> =
        records.into_iter().filter_map(|(key, record)| record.map(|record| (key, record))).collect();
    for rows in cut(rows, |(_, record)| record.len()) {
        steps.push(Step::plain(put).with(column(&rows, |row| row.0)).with(column(&rows, |row| row.1)));
    }
}

fn put_operations<'a>(rows: BTreeMap<i64, &'a OperationRow>, steps: &mut Vec<Step<'a>>) {
    const PUT: &str = "INSERT INTO operation (id, endpoint, ended, changed_at, record) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[], $5::bytea[]) \
        ON CONFLICT (id) DO UPDATE SET endpoint = excluded.endpoint, ended = excluded.ended, \
        changed_at = excluded.changed_at, record = excluded.record";
    for rows in cut(rows.into_values().collect(), |row| row.record.len()) {
        let step = Step::plain(PUT)
            .with(column(&rows, |row| row.id as i64))
            .with(column(&rows, |row| stored(&row.endpoint)))
            .with(column(&rows, |row| row.ended))
            .with(column(&rows, |row| bound(row.changed_at)))
            .with(column(&rows, |row| &*row.record));
        steps.push(step);
    }
}

fn put_updates<'a>(rows: BTreeMap<i64, (&'a UpdateRecord, i64)>, steps: &mut Vec<Step<'a>>) {
    const PUT: &str = "INSERT INTO firmware_update (id, endpoint, ended, record, changed_at) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bytea[], $5::bigint[]) \
        ON CONFLICT (id) DO UPDATE SET endpoint = excluded.endpoint, ended = excluded.ended, \
        record = excluded.record, changed_at = excluded.changed_at";
    for rows in cut(rows.into_values().collect(), |(row, _)| row.record.len()) {
        let step = Step::plain(PUT)
            .with(column(&rows, |(row, _)| row.id as i64))
            .with(column(&rows, |(row, _)| stored(&row.endpoint)))
            .with(column(&rows, |(row, _)| row.ended))
            .with(column(&rows, |(row, _)| &*row.record))
            .with(column(&rows, |(_, changed_at)| *changed_at));
        steps.push(step);
    }
}

fn put_series(new: &[NewSeries], steps: &mut Vec<Step<'_>>) {
    const PUT: &str = "INSERT INTO series (id, endpoint, path) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])";
    for rows in new.chunks(MOST_ROWS) {
        let step = Step::plain(PUT)
            .with(column(rows, |row| row.id))
            .with(column(rows, |row| stored(&row.endpoint).into_owned()))
            .with(column(rows, |row| row.path.to_string()));
        steps.push(step);
    }
}

fn put_samples<'a>(samples: BTreeMap<(i64, i64), &'a Sample>, steps: &mut Vec<Step<'a>>) {
    const PUT: &str = "INSERT INTO sample (series, at, integer, number, text, opaque) SELECT * FROM unnest(\
        $1::bigint[], $2::bigint[], $3::bigint[], $4::double precision[], $5::text[], $6::bytea[]) \
        ON CONFLICT (series, at) DO UPDATE SET integer = excluded.integer, number = excluded.number, \
        text = excluded.text, opaque = excluded.opaque";
    let size = |(_, value): &(_, &Sample)| match value {
        Sample::Integer(_) | Sample::Float(_) => 8,
        Sample::Text(text) => text.len(),
        Sample::Opaque(bytes) => bytes.len(),
    };
    for rows in cut(samples.into_iter().collect(), size) {
        let step = Step::plain(PUT)
            .with(column(&rows, |((series, _), _)| *series))
            .with(column(&rows, |((_, at), _)| *at))
            .with(column(&rows, |(_, value)| match value {
                Sample::Integer(value) => Some(*value),
                _ => None,
            }))
            .with(column(&rows, |(_, value)| match value {
                Sample::Float(value) => Some(*value),
                _ => None,
            }))
            .with(column(&rows, |(_, value)| match value {
                Sample::Text(value) => Some(stored(value)),
                _ => None,
            }))
            .with(column(&rows, |(_, value)| match value {
                Sample::Opaque(value) => Some(&**value),
                _ => None,
            }));
        steps.push(step);
    }
}

fn put_documents<'a>(
    rows: BTreeMap<(DocumentKind, &'a str), Option<&'a DocumentRow>>,
    steps: &mut Vec<Step<'a>>,
) {
    const REMOVE: &str = "DELETE FROM document USING unnest($1::text[], $2::text[]) AS gone (kind, key) \
        WHERE document.kind = gone.kind AND document.key = gone.key";
    const PUT: &str = "INSERT INTO document (kind, key, body, changed_at) \
        SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[]) \
        ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, changed_at = excluded.changed_at";
    let (put, gone): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, row)| row.is_some());
    for keys in cut(gone, |((_, key), _)| key.len()) {
        let step = Step::plain(REMOVE)
            .with(column(&keys, |((kind, _), _)| kind.as_str()))
            .with(column(&keys, |((_, key), _)| stored(key)));
        steps.push(step);
    }
    for rows in cut(put.into_iter().filter_map(|(_, row)| row).collect(), |row| row.body.len()) {
        let step = Step::plain(PUT)
            .with(column(&rows, |row| row.kind.as_str()))
            .with(column(&rows, |row| stored(&row.name)))
            .with(column(&rows, |row| &*row.body))
            .with(column(&rows, |row| bound(row.changed_at)));
        steps.push(step);
    }
}

fn add_document(DocumentRow { kind, name, body, changed_at }: &DocumentRow) -> Step<'_> {
    Step::plain("INSERT INTO document (kind, key, body, changed_at) VALUES ($1, $2, $3, $4)")
        .with(kind.as_str())
        .with(stored(name))
        .with(body)
        .with(bound(*changed_at))
}

fn firmware(change: &FirmwareChange) -> Step<'_> {
    match change {
        FirmwareChange::Put(FirmwareRow { digest, name, version, project, size, uploaded_at, signature }) => {
            let sql = "INSERT INTO firmware (digest, name, version, project, size, uploaded_at, signature) \
                VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (digest) DO UPDATE SET name = excluded.name, \
                version = excluded.version, project = excluded.project, size = excluded.size, \
                uploaded_at = excluded.uploaded_at, signature = excluded.signature";
            let texts = [digest, name, version, project];
            let step = texts.into_iter().fold(Step::plain(sql), |step, text| step.with(stored(text)));
            step.with(bound(*size)).with(bound(*uploaded_at)).with(signature)
        }
        FirmwareChange::Remove { digest } => {
            Step::plain("DELETE FROM firmware WHERE digest = $1").with(stored(digest))
        }
    }
}

fn credential<'a>(change: &'a CredentialChange, steps: &mut Vec<Step<'a>>) {
    match change {
        CredentialChange::Put(row) => steps.push(put_credential(row)),
        CredentialChange::SetState { id, state } => {
            let sql = match state {
                CredentialState::Revoked => {
                    "UPDATE credential SET state = $2, sealed = ''::bytea WHERE id = $1"
                }
                CredentialState::Active | CredentialState::Next => {
                    "UPDATE credential SET state = $2 WHERE id = $1"
                }
            };
            steps.push(Step::plain(sql).with(*id as i64).with(state.as_str()));
        }
        CredentialChange::Remove { id } => {
            steps.push(Step::plain("DELETE FROM credential WHERE id = $1").with(*id as i64));
        }
    }
}

fn put_credential(row: &CredentialRow) -> Step<'_> {
    const PUT: &str = "INSERT INTO credential \
        (id, purpose, endpoint, kind, identity, sealed, created_at, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
        ON CONFLICT (id) DO UPDATE SET purpose = excluded.purpose, endpoint = excluded.endpoint, \
        kind = excluded.kind, identity = excluded.identity, sealed = excluded.sealed, \
        created_at = excluded.created_at, state = excluded.state";
    let CredentialRow { id, purpose, endpoint, kind, identity, sealed, created_at, state } = row;
    Step::plain(PUT)
        .with(*id as i64)
        .with(purpose.as_str())
        .with(stored(endpoint))
        .with(kind.as_str())
        .with(identity)
        .with(sealed)
        .with(bound(*created_at))
        .with(state.as_str())
}

fn bootstrap_config(change: &BootstrapConfigChange) -> Step<'_> {
    match change {
        BootstrapConfigChange::Put(BootstrapConfigRow { pattern, sealed, changed_at }) => Step::plain(
            "INSERT INTO bootstrap_config (pattern, sealed, changed_at) VALUES ($1, $2, $3) \
             ON CONFLICT (pattern) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at",
        )
        .with(stored(pattern))
        .with(sealed)
        .with(bound(*changed_at)),
        BootstrapConfigChange::Remove { pattern } => {
            Step::plain("DELETE FROM bootstrap_config WHERE pattern = $1").with(stored(pattern))
        }
    }
}

fn bootstrap_claim(change: &BootstrapClaimChange) -> Step<'_> {
    match change {
        BootstrapClaimChange::Put(row) => {
            let BootstrapClaimRow { endpoint, address, first_asked, last_asked, accepted_at } = row;
            Step::plain(
                "INSERT INTO bootstrap_claim (endpoint, address, first_asked, last_asked, accepted_at) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (endpoint) DO UPDATE SET address = excluded.address, \
                 first_asked = excluded.first_asked, last_asked = excluded.last_asked, \
                 accepted_at = excluded.accepted_at",
            )
            .with(stored(endpoint))
            .with(stored(address))
            .with(bound(*first_asked))
            .with(bound(*last_asked))
            .with(accepted_at.map(bound))
        }
        BootstrapClaimChange::Remove { endpoint } => {
            Step::plain("DELETE FROM bootstrap_claim WHERE endpoint = $1").with(stored(endpoint))
        }
    }
}

fn device(change: &DeviceChange) -> Step<'_> {
    let row = match change {
        DeviceChange::Put(row) => row,
        DeviceChange::Remove { endpoint } => {
            return Step::plain("DELETE FROM device WHERE endpoint = $1").with(stored(endpoint));
        }
    };
    let DeviceRow { endpoint, first_contact, last_contact, proved, description } = row;
    let DeviceDescription { manufacturer, model, serial, firmware, hardware, software, read_at } =
        description;
    let step = Step::plain(
        "INSERT INTO device (endpoint, first_contact, last_contact, proved, manufacturer, model, serial, firmware, \
         hardware, software, read_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (endpoint) DO UPDATE SET first_contact = excluded.first_contact, \
         last_contact = excluded.last_contact, proved = excluded.proved, manufacturer = excluded.manufacturer, \
         model = excluded.model, serial = excluded.serial, firmware = excluded.firmware, \
         hardware = excluded.hardware, software = excluded.software, read_at = excluded.read_at",
    );
    let step =
        step.with(stored(endpoint)).with(bound(*first_contact)).with(bound(*last_contact)).with(*proved);
    let texts = [manufacturer, model, serial, firmware, hardware, software];
    let step = texts.into_iter().fold(step, |step, text| step.with(text.as_deref().map(stored)));
    step.with(read_at.map(bound))
}

fn idempotency_key(KeyRow { key, digest, made, at }: &KeyRow) -> Step<'_> {
    Step::plain("INSERT INTO idempotency_key (key, digest, made, at) VALUES ($1, $2, $3, $4)")
        .with(stored(key))
        .with(digest)
        .with(*made as i64)
        .with(bound(*at))
}

fn audit(row: &AuditRow) -> Step<'_> {
    let AuditRow { id: _, at, principal, origin, action, target, detail, result } = row;
    let sql = "SELECT append_audit($1, $2, $3, $4, $5, $6, $7)";
    let texts = [principal, origin, action, target, detail, result];
    texts.into_iter().fold(Step::plain(sql).with(bound(*at)), |step, text| step.with(stored(text)))
}

/// The parameters of a statement, as the library wants them.
pub(super) type Parameters<'a> = [&'a (dyn ToSql + Sync)];
