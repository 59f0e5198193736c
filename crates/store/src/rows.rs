//! All rows of a store, table by table, in a form that every store understands: for copies, and to move from one store to another.

use std::hash::{DefaultHasher, Hash, Hasher};
#[cfg(feature = "postgres")]
use std::path::Path;

use crate::StoreError;
#[cfg(feature = "postgres")]
use crate::sqlite::Sqlite;

/// Rows that are inserted together,
const MOST_ROWS: usize = 2_000;
/// and their bytes, about.
const MOST_BYTES: usize = 4 << 20;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// None.
    Null,
    /// A whole number; flags are 0 and 1.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Integer,
    /// Yes or no.
    Flag,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A value of a time series.
    Value,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The names and kinds of its columns.
    pub columns: &'static [(&'static str, Kind)],
    /// The columns by which its rows are ordered.
    pub order: &'static str,
}

/// The one that a copy does without.
pub(crate) const SESSIONS: &str = "sessions";

/// All tables that there are in every store.
const TABLES: &[Table] = {
    use Kind::{Bytes, Flag, Integer, Text, Value};
    &[
        Table { name: "registration", columns: &[("key", Integer), ("record", Bytes)], order: "key" },
        Table { name: SESSIONS, columns: &[("id", Integer), ("record", Bytes)], order: "id" },
        Table {
            name: "operation",
            columns: &[
                ("id", Integer),
                ("endpoint", Text),
                ("ended", Flag),
                ("changed_at", Integer),
                ("record", Bytes),
            ],
            order: "id",
        },
        Table {
            name: "series",
            columns: &[("id", Integer), ("endpoint", Text), ("path", Text)],
            order: "id",
        },
        Table {
            name: "sample",
            columns: &[("series", Integer), ("at", Integer), ("value", Value)],
            order: "series, at",
        },
        Table {
            name: "firmware",
            columns: &[
                ("digest", Text),
                ("name", Text),
                ("version", Text),
                ("project", Text),
                ("size", Integer),
                ("uploaded_at", Integer),
                ("signature", Bytes),
            ],
            order: "digest",
        },
        Table {
            name: "firmware_update",
            columns: &[
                ("id", Integer),
                ("endpoint", Text),
                ("ended", Flag),
                ("record", Bytes),
                ("changed_at", Integer),
            ],
            order: "id",
        },
        Table {
            name: "idempotency_key",
            columns: &[("key", Text), ("digest", Bytes), ("made", Integer), ("at", Integer)],
            order: "key",
        },
        Table {
            name: "credential",
            columns: &[
                ("id", Integer),
                ("purpose", Text),
                ("endpoint", Text),
                ("kind", Text),
                ("identity", Bytes),
                ("sealed", Bytes),
                ("created_at", Integer),
                ("state", Text),
            ],
            order: "id",
        },
        Table {
            name: "bootstrap_config",
            columns: &[("pattern", Text), ("sealed", Bytes), ("changed_at", Integer)],
            order: "pattern",
        },
        Table {
            name: "bootstrap_claim",
            columns: &[
                ("endpoint", Text),
                ("address", Text),
                ("first_asked", Integer),
                ("last_asked", Integer),
                ("accepted_at", Integer),
            ],
            order: "endpoint",
        },
        Table {
            name: "device",
            columns: &[
                ("endpoint", Text),
                ("first_contact", Integer),
                ("last_contact", Integer),
                ("proved", Flag),
                ("manufacturer", Text),
                ("model", Text),
                ("serial", Text),
                ("firmware", Text),
                ("hardware", Text),
                ("software", Text),
                ("read_at", Integer),
            ],
            order: "endpoint",
        },
        Table {
            name: "document",
            columns: &[("kind", Text), ("key", Text), ("body", Bytes), ("changed_at", Integer)],
            order: "kind, key",
        },
        Table {
            name: "audit",
            columns: &[
                ("id", Integer),
                ("at", Integer),
                ("principal", Text),
                ("origin", Text),
                ("action", Text),
                ("target", Text),
                ("detail", Text),
                ("result", Text),
                ("hash", Bytes),
            ],
            order: "id",
        },
        Table {
            name: "audit_head",
            columns: &[("is_only", Integer), ("last", Integer), ("hash", Bytes)],
            order: "is_only",
        },
    ]
};

/// All rows of a store, in one transaction that is kept until [`Rows::finish`]: no server runs on the store meanwhile.
pub trait Rows {
    /// Hands out each row of a table, in its order.
    ///
    /// # Errors
    /// [`StoreError`], and what `each` says.
    fn each_row(
        &self,
        table: &Table,
        each: &mut dyn FnMut(Vec<Cell>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
    /// Puts rows into a table.
    ///
    /// # Errors
    /// [`StoreError`]
    fn insert(&mut self, table: &Table, rows: &[Vec<Cell>]) -> Result<(), StoreError>;
    /// Removes all sessions.
    ///
    /// # Errors
    /// [`StoreError`]
    fn remove_sessions(&mut self) -> Result<(), StoreError>;
    /// Notes where all rows were moved, or that they were not.
    ///
    /// # Errors
    /// [`StoreError`]
    fn set_moved(&mut self, moved: Option<&MovedTo>) -> Result<(), StoreError>;
    /// Makes what was done durable.
    ///
    /// # Errors
    /// [`StoreError`]
    fn finish(&mut self) -> Result<(), StoreError>;
}

/// Why a store was not moved.
#[derive(Debug)]
#[non_exhaustive]
pub enum MoveError {
    /// A store failed.
    Store(StoreError),
    /// The target failed at the very end: it has nothing, and the source counts as moved and has no sessions any more.
    Unfinished(StoreError),
    /// There is something in the store to which another was to be moved.
    NotEmpty {
        /// In which table.
        table: &'static str,
    },
    /// What was copied was read back, and is not what it was.
    Differs {
        /// In which table.
        table: &'static str,
    },
}

impl std::fmt::Display for MoveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Unfinished(error) => write!(
                f,
                "the target failed at the very end: {error}. Nothing is there; run `buoy move-store --undo` on the source, and move it again"
            ),
            Self::NotEmpty { table } => write!(
                f,
                "there is something in the target already (its table `{table}` has rows); name an empty database or a new folder"
            ),
            Self::Differs { table } => write!(
                f,
                "the copy of the table `{table}` is not what the original is, and nothing was moved; report this"
            ),
        }
    }
}

impl std::error::Error for MoveError {}

impl From<StoreError> for MoveError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Where the content of a store was moved. It stays there too, and is old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTo {
    /// The place; without a password.
    pub target: String,
    /// When; milliseconds since the epoch.
    pub at: u64,
}

/// A table that was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
}

/// Moves everything to an empty store, and reads it back there before it counts. All of it stays where it was too, with a note of where it
/// is, but for the sessions: were both stores to go on with them, numbers of records would be used twice.
///
/// # Errors
/// [`MoveError`]; both stores are as they were, but after [`MoveError::Unfinished`].
pub fn move_all(from: &mut dyn Rows, to: &mut dyn Rows, note: &MovedTo) -> Result<Vec<Moved>, MoveError> {
    if let Some(table) = first_with_rows(to)? {
        return Err(MoveError::NotEmpty { table });
    }
    let mut moved = Vec::new();
    for table in TABLES {
        let sum = copy(from, to, table)?;
        if Sum::of(to, table)? != sum {
            return Err(MoveError::Differs { table: table.name });
        }
        moved.push(Moved { table: table.name, rows: sum.rows });
    }
    to.set_moved(None)?;
    // First here: a crash between the two must not leave two stores that both go on with the sessions.
    from.remove_sessions()?;
    from.set_moved(Some(note))?;
    from.finish()?;
    to.finish().map_err(MoveError::Unfinished)?;
    Ok(moved)
}

/// The name of a table that has rows, if one has.
///
/// # Errors
/// [`StoreError`]
pub fn first_with_rows(rows: &dyn Rows) -> Result<Option<&'static str>, StoreError> {
    for table in TABLES {
        if Sum::of(rows, table)?.rows > 0 {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// Copies the tables of these names into a new SQLite file.
#[cfg(feature = "postgres")]
pub(crate) fn copy_to_file(
    from: &dyn Rows,
    target: &Path,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    use buoy_files::{Access, Draft};

    // Until it is whole it has another name.
    let fails =
        |error: std::io::Error| StoreError::Open { path: target.to_owned(), cause: error.to_string().into() };
    let draft = Draft::new(target, Access::Owner).map_err(fails)?;
    let mut to = Sqlite::open(draft.path())?.rows()?;
    for table in TABLES.iter().filter(|table| is_wanted(table.name)) {
        copy(from, &mut to, table)?;
    }
    to.finish()?;
    drop(to);
    draft.commit().map_err(fails)
}

fn copy(from: &dyn Rows, to: &mut dyn Rows, table: &Table) -> Result<Sum, StoreError> {
    let (mut sum, mut rows, mut bytes) = (Sum::default(), Vec::new(), 0);
    from.each_row(table, &mut |row| {
        sum.add(&row);
        bytes += row.iter().map(size).sum::<usize>();
        rows.push(row);
        if rows.len() >= MOST_ROWS || bytes >= MOST_BYTES {
            to.insert(table, &rows)?;
            rows.clear();
            bytes = 0;
        }
        Ok(())
    })?;
    if !rows.is_empty() {
        to.insert(table, &rows)?;
    }
    Ok(sum)
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Null | Cell::Integer(_) | Cell::Float(_) => 8,
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
    }
}

/// What tells one table's rows from others.
#[derive(Debug, Default)]
struct Sum {
    rows: u64,
    hasher: DefaultHasher,
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.hasher.finish() == other.hasher.finish()
    }
}

impl Sum {
    fn of(rows: &dyn Rows, table: &Table) -> Result<Self, StoreError> {
        let mut sum = Self::default();
        rows.each_row(table, &mut |row| {
            sum.add(&row);
            Ok(())
        })?;
        Ok(sum)
    }

    fn add(&mut self, row: &[Cell]) {
        self.rows += 1;
        for cell in row {
            std::mem::discriminant(cell).hash(&mut self.hasher);
            match cell {
                Cell::Null => {}
                Cell::Integer(number) => number.hash(&mut self.hasher),
                // One NaN is as good as another.
                Cell::Float(number) if number.is_nan() => {}
                Cell::Float(number) => number.to_bits().hash(&mut self.hasher),
                Cell::Text(text) => text.hash(&mut self.hasher),
                Cell::Bytes(bytes) => bytes.hash(&mut self.hasher),
            }
        }
    }
}

/// `name, name, …`
pub(crate) fn names(table: &Table) -> String {
    table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
