//! The removal of what is too old, a little at a time: as the SQLite store does it, a round over all series and then over the tables that
//! have an index by time, which can stop anywhere and go on later.

use super::failure::Failure;
use super::link::Link;
use super::series::Series;
use super::text::original;

/// Rows that one step removes at most.
const STEP: i64 = 2_000;
/// Series that one step looks at.
const SERIES_STEP: i64 = 200;
/// A new round begins when the bound has moved by so much, in milliseconds.
const ROUND: i64 = 60 * 60 * 1000;

/// What is removed by an index over the time.
const TABLES: [&str; 3] = [
    "WITH gone AS (DELETE FROM idempotency_key WHERE key IN \
     (SELECT key FROM idempotency_key WHERE at < $1 LIMIT $2) RETURNING 1) SELECT count(*) FROM gone",
    "WITH gone AS (DELETE FROM operation WHERE id IN \
     (SELECT id FROM operation WHERE ended AND changed_at < $1 LIMIT $2) RETURNING 1) SELECT count(*) FROM gone",
    "WITH gone AS (DELETE FROM firmware_update WHERE id IN \
     (SELECT id FROM firmware_update WHERE ended AND changed_at < $1 LIMIT $2) RETURNING 1) \
     SELECT count(*) FROM gone",
];

/// Where the removal is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Removal {
    /// What the last round removed up to; milliseconds since the epoch.
    done_up_to: Option<i64>,
    /// The round that is under way.
    round: Option<Round>,
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

impl Removal {
    /// Whether there is something to do with this bound.
    pub(super) fn is_due(&self, before: i64) -> bool {
        self.round.is_some() || self.done_up_to.is_none_or(|done| before - done >= ROUND)
    }

    /// Does one step in the transaction under way. Where the removal is when that is committed.
    pub(super) fn step(self, link: &mut Link, series: &mut Series, before: i64) -> Result<Self, Failure> {
        let round = self.round.unwrap_or(Round { before, place: Place::Series(0) });
        let place = match round.place {
            Place::Series(after) => match remove_samples(link, series, round.before, after)? {
                Some(last) => Some(Place::Series(last)),
                None => Some(Place::Table(0)),
            },
            Place::Table(table) => {
                let sql = TABLES.get(table).copied().unwrap_or_default();
                let removed = count(link, sql, &[&round.before, &STEP])?;
                let next = if removed >= STEP { table } else { table + 1 };
                (next < TABLES.len()).then_some(Place::Table(next))
            }
        };
        Ok(match place {
            Some(place) => Self { round: Some(Round { place, ..round }), ..self },
            None => Self { round: None, done_up_to: Some(round.before) },
        })
    }
}

fn count(
    link: &mut Link,
    sql: &'static str,
    parameters: &super::plan::Parameters<'_>,
) -> Result<i64, Failure> {
    let rows = link.query(sql, parameters)?;
    Ok(rows.first().map_or(Ok(0), |row| row.try_get(0))?)
}

/// Removes old values of the series behind `after`. Behind which one to go on; `None` if that was the last.
fn remove_samples(
    link: &mut Link,
    series: &mut Series,
    before: i64,
    after: i64,
) -> Result<Option<i64>, Failure> {
    let list = "SELECT id FROM series WHERE id > $1 ORDER BY id LIMIT $2";
    let ids = link.query(list, &[&after, &SERIES_STEP])?;
    let ids: Vec<i64> = ids.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let Some(last) = ids.last().copied() else { return Ok(None) };
    let remove = "WITH old AS (SELECT sample.series, sample.at FROM unnest($1::bigint[]) AS wanted (id) \
        JOIN sample ON sample.series = wanted.id WHERE sample.at < $2 LIMIT $3), \
        gone AS (DELETE FROM sample USING old WHERE sample.series = old.series AND sample.at = old.at RETURNING 1) \
        SELECT count(*) FROM gone";
    if count(link, remove, &[&ids, &before, &STEP])? >= STEP {
        // These may have more.
        return Ok(Some(after));
    }
    let remove_empty = "DELETE FROM series WHERE id = ANY($1) \
        AND NOT EXISTS (SELECT FROM sample WHERE sample.series = series.id) RETURNING endpoint, path";
    for row in link.query(remove_empty, &[&ids])? {
        if let Ok(path) = row.try_get::<_, &str>(1)?.parse() {
            series.forget(&original(row.try_get(0)?), path);
        }
    }
    Ok((ids.len() as i64 == SERIES_STEP).then_some(last))
}
