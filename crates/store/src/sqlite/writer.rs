//! The one connection that writes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::batches::{self, Pending};
use super::checkpoint::{Checkpointer, Pace};
use super::removal::{EmptySeries, Removal};
use super::series::Series;
use crate::{
    AuditHash, AuditRow, BootstrapClaimChange, BootstrapClaimRow, BootstrapConfigChange, BootstrapConfigRow,
    Change, ChangeSet, CredentialChange, CredentialRow, CredentialState, DeviceChange, DeviceDescription,
    DeviceRow, DocumentChange, DocumentRow, Fates, FirmwareChange, FirmwareRow, KeyRow, LeftOut, Maintenance,
    NewSample, OperationRow, RecordChange, Rejection, Retention, StoreError, Writer, bound,
};

/// Commits changes to a database file.
#[derive(Debug)]
pub struct SqliteWriter {
    path: PathBuf,
    connection: Connection,
    checkpointer: Checkpointer,
    series: Series,
    /// Entries that are in batches yet.
    unsorted: usize,
    removal: Removal,
}

impl SqliteWriter {
    /// `own` is the connection of the thread that copies the log.
    pub(super) fn start(
        path: PathBuf,
        mut connection: Connection,
        own: Connection,
        pace: Pace,
    ) -> Result<Self, StoreError> {
        // A power cut must not lose what a device was told: each commit is flushed to the disk.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(64);
        let checkpointer = Checkpointer::start(&mut connection, own, pace)?;
        let mut writer = Self {
            path,
            connection,
            checkpointer,
            series: Series::default(),
            unsorted: 0,
            removal: Removal::default(),
        };
        // What an earlier run left; nobody is served yet.
        while writer.sort(batches::SORTED_AT_START)? > 0 {}
        Ok(writer)
    }

    /// Brings so many bytes of batches into order; how many entries these had.
    fn sort(&mut self, bytes: usize) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sorted = batches::sort(&transaction, bytes)?;
        transaction.commit()?;
        self.unsorted = if sorted == 0 { 0 } else { self.unsorted.saturating_sub(sorted) };
        if self.unsorted == 0 && sorted > 0 {
            // All has come, and may be a while in coming again.
            self.checkpointer.copy_soon();
        } else {
            self.checkpointer.after_commit(&self.connection);
        }
        Ok(sorted)
    }

    fn remove_some(&mut self, before: i64) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // A series whose values are all in batches looks empty.
        let empty = if self.unsorted == 0 { EmptySeries::Remove } else { EmptySeries::Keep };
        let step = self.removal.step(&transaction, &mut self.series, before, empty);
        if let Err(error) = step.and_then(|()| transaction.commit()) {
            self.series.forget_all();
            self.removal = Removal::default();
            return Err(error.into());
        }
        self.checkpointer.after_commit(&self.connection);
        Ok(())
    }

    /// The system goes on to write into a file that has no name any more.
    fn check_is_there(&self) -> Result<(), StoreError> {
        if self.path.exists() { Ok(()) } else { Err(StoreError::Gone(self.path.clone())) }
    }

    fn try_commit(&mut self, sets: &[ChangeSet<'_>], isolation: Isolation) -> Result<Fates, SetError> {
        self.check_is_there()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut batch = Batch {
            transaction: &transaction,
            series: &mut self.series,
            pending: Pending::default(),
            fates: Fates::default(),
        };
        match isolation {
            Isolation::Together => sets.iter().try_for_each(|set| batch.apply_all(set))?,
            Isolation::Each => {
                sets.iter().enumerate().try_for_each(|(place, set)| batch.apply_alone(place, set))?;
            }
        }
        let Batch { mut pending, fates, .. } = batch;
        pending.save(&transaction)?;
        transaction.commit()?;
        self.unsorted += pending.count;
        self.checkpointer.after_commit(&self.connection);
        Ok(fates)
    }
}

impl Writer for SqliteWriter {
    fn commit(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, StoreError> {
        // A savepoint for each set would cost every commit; a set that is refused is rare.
        let mut result = self.try_commit(sets, Isolation::Together);
        if let Err(SetError::Rejected(_)) = result {
            self.series.forget_all();
            result = self.try_commit(sets, Isolation::Each);
        }
        result.map_err(|error| {
            self.series.forget_all();
            match error {
                SetError::Store(error) => error,
                SetError::Rejected(rejection) => StoreError::Database(rejection.to_string()),
            }
        })
    }

    fn check(&mut self) -> Result<(), StoreError> {
        self.check_is_there()
    }

    fn maintain(&mut self, keep: Retention, budget: Duration) -> Result<Maintenance, StoreError> {
        let started = Instant::now();
        let before = bound(keep.since);
        while self.unsorted > 0 || self.removal.is_due(before) {
            if self.unsorted > 0 {
                self.sort(batches::SORTED_AT_ONCE)?;
            }
            // In turns: under a steady load something is always to be sorted.
            if self.removal.is_due(before) {
                self.remove_some(before)?;
            }
            if started.elapsed() >= budget {
                break;
            }
        }
        Ok(Maintenance { unsorted: self.unsorted, is_removing: self.removal.is_due(before) })
    }
}

/// How the sets of a commit are kept apart.
#[derive(Clone, Copy, Debug)]
enum Isolation {
    /// One that is refused ends the attempt.
    Together,
    /// Each has a savepoint of its own.
    Each,
}

/// Why a set was not applied.
#[derive(Debug)]
enum SetError {
    Rejected(Rejection),
    Store(StoreError),
}

impl From<StoreError> for SetError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for SetError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Rejected(Rejection::Conflict(error.to_string())),
            Some(ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
                Self::Rejected(Rejection::Invalid(error.to_string()))
            }
            _ => Self::Store(error.into()),
        }
    }
}

/// A transaction under way.
struct Batch<'a> {
    transaction: &'a Transaction<'a>,
    series: &'a mut Series,
    pending: Pending,
    fates: Fates,
}

impl Batch<'_> {
    fn apply_all(&mut self, set: &ChangeSet<'_>) -> Result<(), SetError> {
        set.iter().try_for_each(|change| self.apply(change))
    }

    /// Applies a set whose refusal costs no other.
    fn apply_alone(&mut self, place: usize, set: &ChangeSet<'_>) -> Result<(), SetError> {
        // What is appended is in memory, where no savepoint reaches it.
        self.pending.save(self.transaction)?;
        let appended = self.pending.count;
        self.transaction.execute_batch("SAVEPOINT one_set")?;
        match self.apply_all(set) {
            Ok(()) => self.pending.save(self.transaction)?,
            Err(SetError::Rejected(rejection)) => {
                self.transaction.execute_batch("ROLLBACK TO one_set")?;
                self.pending.forget_back_to(appended);
                self.series.forget_all();
                self.fates.rejected.push((place, rejection));
            }
            Err(error) => return Err(error),
        }
        Ok(self.transaction.execute_batch("RELEASE one_set")?)
    }

    fn apply(&mut self, change: &Change<'_>) -> Result<(), SetError> {
        match change {
            Change::Registration(RecordChange::Put { key, record }) => {
                self.append(|pending| pending.registration(*key, Some(record)))
            }
            Change::Registration(RecordChange::Remove { key }) => {
                self.append(|pending| pending.registration(*key, None))
            }
            Change::Session(RecordChange::Put { key, record }) => {
                self.append(|pending| pending.session(*key, Some(record)))
            }
            Change::Session(RecordChange::Remove { key }) => {
                self.append(|pending| pending.session(*key, None))
            }
            Change::Operation(operation) => self.put_operation(operation),
            Change::Sample(sample) => self.put_sample(sample),
            Change::Firmware(FirmwareChange::Put(firmware)) => self.put_firmware(firmware),
            Change::Firmware(FirmwareChange::Remove { digest }) => {
                self.run("DELETE FROM firmware WHERE digest = ?1", [digest])
            }
            Change::Update { record, changed_at } => self.run(
                "INSERT OR REPLACE INTO firmware_update (id, endpoint, ended, record, changed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![record.id as i64, record.endpoint, record.ended, record.record, bound(*changed_at)],
            ),
            Change::Credential(change) => self.change_credential(change),
            Change::BootstrapConfig(BootstrapConfigChange::Put(config)) => {
                let BootstrapConfigRow { pattern, sealed, changed_at } = config;
                self.run(
                    "INSERT OR REPLACE INTO bootstrap_config (pattern, sealed, changed_at) VALUES (?1, ?2, ?3)",
                    params![pattern, sealed, bound(*changed_at)],
                )
            }
            Change::BootstrapConfig(BootstrapConfigChange::Remove { pattern }) => {
                self.run("DELETE FROM bootstrap_config WHERE pattern = ?1", [pattern])
            }
            Change::BootstrapClaim(BootstrapClaimChange::Put(claim)) => self.put_bootstrap_claim(claim),
            Change::BootstrapClaim(BootstrapClaimChange::Remove { endpoint }) => {
                self.run("DELETE FROM bootstrap_claim WHERE endpoint = ?1", [endpoint])
            }
            Change::Device(DeviceChange::Put(device)) => self.put_device(device),
            Change::Device(DeviceChange::Remove { endpoint }) => {
                self.run("DELETE FROM device WHERE endpoint = ?1", [endpoint])
            }
            Change::Document(change) => self.change_document(change),
            Change::IdempotencyKey(KeyRow { key, digest, made, at }) => self.run(
                "INSERT INTO idempotency_key (key, digest, made, at) VALUES (?1, ?2, ?3, ?4)",
                params![key, digest, *made as i64, bound(*at)],
            ),
            Change::Audit(row) => self.append_audit(row),
        }
    }

    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), SetError> {
        self.transaction.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    fn append(
        &mut self,
        append: impl FnOnce(&mut Pending) -> Result<(), StoreError>,
    ) -> Result<(), SetError> {
        append(&mut self.pending)?;
        if self.pending.is_large() {
            self.pending.save(self.transaction)?;
        }
        Ok(())
    }

    fn put_operation(&self, operation: &OperationRow) -> Result<(), SetError> {
        let OperationRow { id, endpoint, ended, changed_at, record } = operation;
        self.run(
            "INSERT OR REPLACE INTO operation (id, endpoint, ended, changed_at, record) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![*id as i64, endpoint, ended, bound(*changed_at), record],
        )
    }

    fn put_sample(&mut self, sample: &NewSample<'_>) -> Result<(), SetError> {
        let NewSample { endpoint, path, at, value } = sample;
        match self.series.id(self.transaction, endpoint, *path)? {
            Some(series) => self.append(|pending| pending.sample(series, *at, value)),
            None => {
                match self.fates.left_out.iter_mut().find(|left| left.endpoint == *endpoint) {
                    Some(left) => left.values += 1,
                    None => self.fates.left_out.push(LeftOut { endpoint: endpoint.to_string(), values: 1 }),
                }
                Ok(())
            }
        }
    }

    fn put_firmware(&self, firmware: &FirmwareRow) -> Result<(), SetError> {
        let FirmwareRow { digest, name, version, project, size, uploaded_at, signature } = firmware;
        self.run(
            "INSERT OR REPLACE INTO firmware (digest, name, version, project, size, uploaded_at, signature) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![digest, name, version, project, bound(*size), bound(*uploaded_at), signature],
        )
    }

    fn change_credential(&self, change: &CredentialChange) -> Result<(), SetError> {
        match change {
            CredentialChange::Put(credential) => self.put_credential(credential),
            CredentialChange::SetState { id, state } => {
                self.run(
                    "UPDATE credential SET state = ?2 WHERE id = ?1",
                    params![*id as i64, state.as_str()],
                )?;
                match state {
                    CredentialState::Revoked => {
                        self.run("UPDATE credential SET sealed = x'' WHERE id = ?1", [*id as i64])
                    }
                    CredentialState::Active | CredentialState::Next => Ok(()),
                }
            }
            CredentialChange::Remove { id } => self.run("DELETE FROM credential WHERE id = ?1", [*id as i64]),
        }
    }

    fn put_credential(&self, credential: &CredentialRow) -> Result<(), SetError> {
        let CredentialRow { id, purpose, endpoint, kind, identity, sealed, created_at, state } = credential;
        self.run(
            "INSERT INTO credential (id, purpose, endpoint, kind, identity, sealed, created_at, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
             ON CONFLICT (id) DO UPDATE SET purpose = ?2, endpoint = ?3, kind = ?4, identity = ?5, sealed = ?6, \
             created_at = ?7, state = ?8",
            params![
                *id as i64,
                purpose.as_str(),
                endpoint,
                kind.as_str(),
                identity,
                sealed,
                bound(*created_at),
                state.as_str()
            ],
        )
    }

    fn put_bootstrap_claim(&self, claim: &BootstrapClaimRow) -> Result<(), SetError> {
        let BootstrapClaimRow { endpoint, address, first_asked, last_asked, accepted_at } = claim;
        self.run(
            "INSERT OR REPLACE INTO bootstrap_claim (endpoint, address, first_asked, last_asked, accepted_at) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![endpoint, address, bound(*first_asked), bound(*last_asked), accepted_at.map(bound)],
        )
    }

    fn put_device(&self, device: &DeviceRow) -> Result<(), SetError> {
        let DeviceRow { endpoint, first_contact, last_contact, proved, description } = device;
        let DeviceDescription { manufacturer, model, serial, firmware, hardware, software, read_at } =
            description;
        self.run(
            "INSERT OR REPLACE INTO device (endpoint, first_contact, last_contact, proved, manufacturer, model, serial, \
             firmware, hardware, software, read_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                endpoint,
                bound(*first_contact),
                bound(*last_contact),
                proved,
                manufacturer,
                model,
                serial,
                firmware,
                hardware,
                software,
                read_at.map(bound)
            ],
        )
    }

    fn change_document(&self, change: &DocumentChange) -> Result<(), SetError> {
        let (sql, row) = match change {
            DocumentChange::Add(row) => {
                ("INSERT INTO document (kind, key, body, changed_at) VALUES (?1, ?2, ?3, ?4)", row)
            }
            DocumentChange::Put(row) => {
                ("INSERT OR REPLACE INTO document (kind, key, body, changed_at) VALUES (?1, ?2, ?3, ?4)", row)
            }
            DocumentChange::Remove { kind, name } => {
                let parameters = params![kind.as_str(), name];
                return self.run("DELETE FROM document WHERE kind = ?1 AND key = ?2", parameters);
            }
        };
        let DocumentRow { kind, name, body, changed_at } = row;
        self.run(sql, params![kind.as_str(), name, body, bound(*changed_at)])
    }

    fn append_audit(&self, row: &AuditRow) -> Result<(), SetError> {
        let AuditRow { id: _, at, principal, origin, action, target, detail, result } = row;
        let head = self
            .transaction
            .prepare_cached("SELECT last, hash FROM audit_head")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))
            .optional()?;
        let (last, before) = match head {
            Some(head) => head,
            None => {
                let sql = "SELECT coalesce(max(id), 0) FROM audit";
                (self.transaction.query_row(sql, [], |row| row.get(0))?, AuditHash::default())
            }
        };
        let id = last + 1;
        let hash = row.hash(id as u64, &before);
        self.run(
            "INSERT INTO audit (id, at, principal, origin, action, target, detail, result, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![id, bound(*at), principal, origin, action, target, detail, result, hash],
        )?;
        self.run(
            "INSERT OR REPLACE INTO audit_head (is_only, last, hash) VALUES (1, ?1, ?2)",
            params![id, hash],
        )
    }
}
