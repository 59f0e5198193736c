//! The removal of what is too old, a little at a time.
//!
//! A round goes through all series by their numbers, and then through the tables that have an index by time. It can stop anywhere and
//! go on later, so no commit ever waits for more than one step of it.

use rusqlite::{Transaction, params};

use super::series::Series;

/// Rows that one step removes at most.
const STEP: i64 = 2_000;
/// Series that one step looks at.
const SERIES_STEP: i64 = 200;
/// A new round begins when the bound has moved by so much, in milliseconds.
const ROUND: i64 = 60 * 60 * 1000;

/// Where the removal is.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// What the last round removed up to; milliseconds since the epoch.
    done_up_to: Option<i64>,
    /// The round that is under way.
    round: Option<Round>,
}

/// What becomes of series without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmptySeries {
    /// They are removed.
    Remove,
    /// They stay until the next round.
    Keep,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    before: i64,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Behind the series of this number.
    Series(i64),
    /// At one of [`TABLES`].
    Table(usize),
}

/// What is removed by an index over the time.
const TABLES: [&str; 3] = [
    "DELETE FROM idempotency_key WHERE key IN (SELECT key FROM idempotency_key WHERE at < ?1 LIMIT ?2)",
    "DELETE FROM operation WHERE id IN (SELECT id FROM operation WHERE ended AND changed_at < ?1 LIMIT ?2)",
    "DELETE FROM firmware_update WHERE id IN \
     (SELECT id FROM firmware_update WHERE ended AND changed_at < ?1 LIMIT ?2)",
];

impl Removal {
    /// Whether there is something to do with this bound.
    pub(super) fn is_due(&self, before: i64) -> bool {
        self.round.is_some() || self.done_up_to.is_none_or(|done| before - done >= ROUND)
    }

    /// Does one step.
    pub(super) fn step(
        &mut self,
        transaction: &Transaction<'_>,
        series: &mut Series,
        before: i64,
        empty: EmptySeries,
    ) -> rusqlite::Result<()> {
        let round = self.round.unwrap_or(Round { before, place: Place::Series(0) });
        let place = match round.place {
            Place::Series(after) => match remove_samples(transaction, series, round.before, after, empty)? {
                Some(last) => Some(Place::Series(last)),
                None => Some(Place::Table(0)),
            },
            Place::Table(table) => {
                let sql = TABLES.get(table).copied().unwrap_or_default();
                let removed = transaction.prepare_cached(sql)?.execute([round.before, STEP])?;
                let next = if removed as i64 == STEP { table } else { table + 1 };
                (next < TABLES.len()).then_some(Place::Table(next))
            }
        };
        self.round = place.map(|place| Round { place, ..round });
        if self.round.is_none() {
            self.done_up_to = Some(round.before);
        }
        Ok(())
    }
}

/// Removes old values of the series behind `after`. Behind which one to go on; `None` if that was the last.
fn remove_samples(
    transaction: &Transaction<'_>,
    series: &mut Series,
    before: i64,
    after: i64,
    empty: EmptySeries,
) -> rusqlite::Result<Option<i64>> {
    let mut list = transaction
        .prepare_cached("SELECT id, endpoint, path FROM series WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut remove = transaction.prepare_cached(
        "DELETE FROM sample WHERE series = ?1 AND at IN \
         (SELECT at FROM sample WHERE series = ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
    )?;
    let mut remove_series = transaction.prepare_cached(
        "DELETE FROM series WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM sample WHERE series = ?1)",
    )?;
    let mut rows = list.query([after, SERIES_STEP])?;
    let (mut last, mut seen, mut left) = (after, 0, STEP);
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let removed = remove.execute(params![id, before, left])? as i64;
        left -= removed;
        if left == 0 {
            // This one may have more.
            return Ok(Some(id - 1));
        }
        if empty == EmptySeries::Remove && remove_series.execute([id])? > 0 {
            series.forget(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        }
        (last, seen) = (id, seen + 1);
    }
    Ok((seen == SERIES_STEP).then_some(last))
}
