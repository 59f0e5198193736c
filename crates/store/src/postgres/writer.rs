//! The one connection that writes.
//!
//! Each transaction has a number, which it saves in the row of this writer: the row says at any time how far the writer came. So a
//! connection that broke in a commit is resolved by a look at that row, never by a guess, and a writer whose place another has taken can
//! commit nothing any more.

use std::time::{Duration, Instant};

use super::failure::Failure;
use super::link::{Driver, Link, Step};
use super::place::Place;
use super::plan::Plan;
use super::removal::Removal;
use super::series::Series;
use super::{lock, release_and_lock};
use crate::{ChangeSet, Fates, Maintenance, Retention, StoreError, Writer, bound};

/// How often a commit whose connection broke is tried again at once.
const TRIES: usize = 3;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const WRITE_BATCH: &str = "SELECT write_batch($1::text::uuid, $2)";

/// Commits changes to a database.
#[derive(Debug)]
pub struct PostgresWriter {
    place: Place,
    driver: Driver,
    link: Option<Link>,
    /// The server's process behind the last connection.
    backend: i32,
    /// Names this writer among all that there ever were.
    incarnation: String,
    /// The number of the last transaction of which it is known that it was committed.
    last_batch: i64,
    /// The transaction after that, if it is not known.
    in_doubt: Option<InDoubt>,
    /// Why nothing can be committed any more.
    end: Option<End>,
    series: Series,
    removal: Removal,
}

/// What a transaction was for, of which it is not known whether it was committed.
#[derive(Debug)]
enum InDoubt {
    /// Sets of changes, with their fates if it was.
    Commit(Fates),
    Maintenance,
}

/// Why a writer has ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Another one has begun.
    TakenOver,
    /// The database has forgotten commits.
    Behind { committed: i64, found: i64 },
}

impl PostgresWriter {
    /// Begins as a new writer: what earlier ones have under way is never committed.
    pub(super) fn start(place: Place) -> Result<Self, StoreError> {
        let start = || -> Result<Self, Failure> {
            let driver = Driver::start("postgres writer")?;
            let mut link = Link::connect(&driver, &place)?;
            let backend = lock(&mut link, &place)?;
            link.batch(BEGIN)?;
            let begin = "UPDATE writer SET incarnation = gen_random_uuid(), last_batch = 0 RETURNING incarnation::text";
            let rows = link.query(begin, &[])?;
            let incarnation = match rows.first() {
                Some(row) => row.try_get(0)?,
                None => return Err(StoreError::Corrupt("its table `writer` is empty".into()).into()),
            };
            link.batch("COMMIT")?;
            Ok(Self {
                place: place.clone(),
                driver,
                link: Some(link),
                backend,
                incarnation,
                last_batch: 0,
                in_doubt: None,
                end: None,
                series: Series::default(),
                removal: Removal::default(),
            })
        };
        start().map_err(|failure| failure.into_error(&place))
    }

    /// Connects again if the connection broke, and finds out what became of the transaction in doubt. What that was, if it was committed.
    fn reconnect(&mut self) -> Result<Option<InDoubt>, Failure> {
        if self.link.as_ref().is_some_and(|link| !link.is_closed() && self.in_doubt.is_none()) {
            return Ok(None);
        }
        self.abandon();
        let mut link = Link::connect(&self.driver, &self.place)?;
        // The lock is had when the process behind the old connection has ended, and so what it had under way is decided.
        match release_and_lock(&mut link, &self.place, self.backend) {
            Ok(backend) => self.backend = backend,
            Err(failure @ Failure::Store(StoreError::InUse { .. })) => {
                // If another writer holds it, that is what is to be said.
                self.read_back(&mut link)?;
                return Err(failure);
            }
            Err(failure) => return Err(failure),
        }
        let found = self.read_back(&mut link)?;
        self.link = Some(link);
        let committed = self.last_batch;
        match self.in_doubt.take() {
            _ if found == committed => Ok(None),
            Some(in_doubt) if found == committed + 1 => {
                self.last_batch = found;
                Ok(Some(in_doubt))
            }
            _ => {
                self.end = Some(End::Behind { committed, found });
                Err(self.ended().into())
            }
        }
    }

    /// The number of the last transaction of this writer.
    fn read_back(&mut self, link: &mut Link) -> Result<i64, Failure> {
        link.batch(BEGIN)?;
        let sql = "SELECT last_batch, incarnation::text = $1 FROM writer FOR UPDATE";
        let rows = link.query(sql, &[&self.incarnation])?;
        link.batch("COMMIT")?;
        match rows.first() {
            Some(row) if row.try_get(1)? => Ok(row.try_get(0)?),
            _ => {
                self.end = Some(End::TakenOver);
                Err(self.ended().into())
            }
        }
    }

    fn abandon(&mut self) {
        if let Some(link) = self.link.take() {
            link.abandon();
        }
        // What is remembered may not be there.
        self.series.forget_all();
    }

    /// The error that ends the server.
    fn ended(&self) -> StoreError {
        let place = self.place.to_string();
        match self.end {
            Some(End::Behind { committed, found }) => StoreError::CommitsLost { place, committed, found },
            Some(End::TakenOver) | None => StoreError::TakenOver { place },
        }
    }

    fn link(&mut self) -> Result<&mut Link, Failure> {
        self.link.as_mut().ok_or_else(|| Failure::Lost("there is no connection".into()))
    }

    /// Tries to make the sets durable; they are numbered as one transaction.
    fn try_commit(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, Failure> {
        if let Some(InDoubt::Commit(fates)) = self.reconnect()? {
            return Ok(fates);
        }
        let Self { link: Some(link), series, .. } = self else {
            return Err(Failure::Lost("there is no connection".into()));
        };
        series.look_up(link, sets)?;
        // A savepoint for each set would cost every commit a round trip for each; a set that is refused is rare.
        match self.commit_together(sets) {
            Err(Failure::Rejected(_)) => self.commit_each(sets),
            other => other,
        }
    }

    /// All sets, in one flight.
    fn commit_together(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, Failure> {
        let plan = Plan::of(sets, &mut self.series)?;
        let mut steps = vec![Step::plain(BEGIN), self.write_batch()];
        steps.extend(plan.steps);
        steps.push(Step::plain("COMMIT"));
        let fates = Fates { rejected: Vec::new(), left_out: plan.left_out };
        self.in_doubt = Some(InDoubt::Commit(fates.clone()));
        let flown = self.link()?.flight(&steps).map(drop);
        if let Err(Failure::Rejected(_)) = &flown {
            self.series.give_back(plan.new_series);
        }
        self.note(flown)?;
        Ok(fates)
    }

    /// Each set behind a savepoint of its own.
    fn commit_each(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, Failure> {
        let mut fates = Fates::default();
        let begin = [Step::plain(BEGIN), self.write_batch()];
        self.in_doubt = Some(InDoubt::Commit(Fates::default()));
        let mut applied = self.link()?.flight(&begin).map(drop);
        for (place, set) in sets.iter().enumerate() {
            if applied.is_err() {
                break;
            }
            applied = self.apply_alone(place, set, &mut fates);
        }
        if applied.is_ok() {
            self.in_doubt = Some(InDoubt::Commit(fates.clone()));
            applied = self.link()?.flight(&[Step::plain("COMMIT")]).map(drop);
        }
        if applied.is_err() {
            // A series that began may be remembered, and is not there.
            self.series.forget_all();
            self.roll_back();
        }
        self.note(applied)?;
        Ok(fates)
    }

    /// Applies a set whose refusal costs no other.
    fn apply_alone(&mut self, place: usize, set: &ChangeSet<'_>, fates: &mut Fates) -> Result<(), Failure> {
        let plan = Plan::of(std::slice::from_ref(set), &mut self.series)?;
        let mut steps = vec![Step::plain("SAVEPOINT one_set")];
        steps.extend(plan.steps);
        steps.push(Step::plain("RELEASE one_set"));
        match self.link()?.flight(&steps) {
            Ok(_) => {
                for left in plan.left_out {
                    match fates.left_out.iter_mut().find(|known| known.endpoint == left.endpoint) {
                        Some(known) => known.values += left.values,
                        None => fates.left_out.push(left),
                    }
                }
                Ok(())
            }
            Err(Failure::Rejected(rejection)) => {
                self.series.give_back(plan.new_series);
                let back = [Step::plain("ROLLBACK TO one_set"), Step::plain("RELEASE one_set")];
                self.link()?.flight(&back)?;
                fates.rejected.push((place, rejection));
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    fn write_batch(&self) -> Step<'static> {
        Step::plain(WRITE_BATCH).with(self.incarnation.clone()).with(self.last_batch + 1)
    }

    /// Keeps account of what became of the transaction that ended so.
    fn note(&mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        match &ended {
            Ok(()) => {
                self.last_batch += 1;
                self.in_doubt = None;
            }
            // A look at the writer's row decides.
            Err(Failure::Lost(_) | Failure::NotTheNextBatch) => {}
            Err(_) => self.in_doubt = None,
        }
        ended
    }

    /// Ends a transaction that failed on a connection that holds. Where none is under way that does no harm.
    fn roll_back(&mut self) {
        if let Some(link) = &self.link
            && link.batch("ROLLBACK").is_err()
        {
            self.abandon();
        }
    }

    fn remove_some(&mut self, before: i64) -> Result<(), Failure> {
        let begin = [Step::plain(BEGIN), self.write_batch()];
        self.in_doubt = Some(InDoubt::Maintenance);
        let mut next = self.removal;
        let Self { link: Some(link), series, removal, .. } = &mut *self else {
            return Err(Failure::Lost("there is no connection".into()));
        };
        let mut step = || {
            link.flight(&begin)?;
            next = removal.step(link, series, before)?;
            link.flight(&[Step::plain("COMMIT")]).map(drop)
        };
        let done = step();
        if done.is_err() {
            self.series.forget_all();
            self.removal = Removal::default();
            self.roll_back();
        } else {
            self.removal = next;
        }
        self.note(done)
    }

    fn error(&mut self, failure: Failure) -> StoreError {
        match failure {
            Failure::NotTheNextBatch if self.end.is_none() => {
                // Found out at the next try.
                StoreError::Unreachable {
                    place: self.place.to_string(),
                    cause: "a commit is in doubt".into(),
                }
            }
            other => other.into_error(&self.place),
        }
    }
}

impl Writer for PostgresWriter {
    fn commit(&mut self, sets: &[ChangeSet<'_>]) -> Result<Fates, StoreError> {
        if self.end.is_some() {
            return Err(self.ended());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_commit(sets) {
                Ok(fates) => return Ok(fates),
                Err(Failure::Lost(_) | Failure::NotTheNextBatch) if tries < TRIES && self.end.is_none() => {
                    self.abandon();
                }
                Err(failure) => {
                    self.series.forget_all();
                    self.roll_back();
                    return Err(self.error(failure));
                }
            }
        }
    }

    fn check(&mut self) -> Result<(), StoreError> {
        if self.end.is_some() {
            return Err(self.ended());
        }
        // Whoever made that commit asks what became of it.
        if matches!(self.in_doubt, Some(InDoubt::Commit(_))) {
            return Ok(());
        }
        let asked = self.reconnect().and_then(|_| self.link()?.batch(""));
        asked.map_err(|failure| {
            self.abandon();
            self.error(failure)
        })
    }

    fn maintain(&mut self, keep: Retention, budget: Duration) -> Result<Maintenance, StoreError> {
        let (started, before) = (Instant::now(), bound(keep.since));
        if self.end.is_some() {
            return Err(self.ended());
        }
        // Whoever made that commit asks what became of it.
        if matches!(self.in_doubt, Some(InDoubt::Commit(_))) {
            return Ok(Maintenance { unsorted: 0, is_removing: true });
        }
        while self.removal.is_due(before) {
            let removed = self.reconnect().and_then(|_| self.remove_some(before));
            removed.map_err(|failure| self.error(failure))?;
            if started.elapsed() >= budget {
                break;
            }
        }
        Ok(Maintenance { unsorted: 0, is_removing: self.removal.is_due(before) })
    }
}
