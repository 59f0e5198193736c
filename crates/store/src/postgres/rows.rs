//! All rows of a database, for copies and moves.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::Failure;
use super::link::{Driver, Link, Wants};
use super::place::Place;
use super::text::{original, stored};
use super::{Postgres, lock};
use crate::{Cell, Kind, MovedTo, Rows, StoreError, Table, bound};

/// All rows of a database, as they are at one instant.
#[derive(Debug)]
pub struct PostgresRows {
    place: Place,
    link: Link,
    /// The thread of the connection, if it is not another's.
    _driver: Option<Driver>,
}

impl Postgres {
    /// All rows. No server runs on the database meanwhile.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] if one does.
    pub fn rows(&self) -> Result<PostgresRows, StoreError> {
        let place = self.place.clone();
        let driver = Driver::start("postgres rows")?;
        let begin = || -> Result<Link, Failure> {
            let mut link = Link::connect(&driver, &place)?;
            lock(&mut link, &place)?;
            link.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")?;
            Ok(link)
        };
        let link = begin().map_err(|failure| failure.into_error(&place))?;
        Ok(PostgresRows { place, link, _driver: Some(driver) })
    }
}

impl PostgresRows {
    /// To read beside a server that runs.
    pub(super) fn at_one_instant(link: Link, place: Place) -> Result<Self, StoreError> {
        let begun = link.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        begun.map_err(|failure| failure.into_error(&place))?;
        Ok(Self { place, link, _driver: None })
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.link.batch(sql).map_err(|failure| failure.into_error(&self.place))
    }
}

impl Rows for PostgresRows {
    fn each_row(
        &self,
        table: &Table,
        each: &mut dyn FnMut(Vec<Cell>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let columns = columns(table);
        let sql = format!("SELECT {} FROM {} ORDER BY {}", names(&columns), table.name, table.order);
        let read = self.link.each_row(&sql, &[], |row| {
            each(cells(row, table)?)?;
            Ok::<_, Failure>(Wants::More)
        });
        read.map_err(|failure| failure.into_error(&self.place))
    }

    fn insert(&mut self, table: &Table, rows: &[Vec<Cell>]) -> Result<(), StoreError> {
        let columns = columns(table);
        let types: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| format!("${}::{}[]", at + 1, kind.array()))
            .collect();
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({})",
            table.name,
            names(&columns),
            types.join(", ")
        );
        let arrays: Vec<_> = columns.iter().map(|(from, kind)| array(rows, *from, *kind)).collect();
        let parameters: Vec<_> = arrays.iter().map(|array| &**array as &(dyn ToSql + Sync)).collect();
        let inserted = self.link.query_once(&sql, &parameters);
        inserted.map(drop).map_err(|failure| failure.into_error(&self.place))
    }

    fn remove_sessions(&mut self) -> Result<(), StoreError> {
        self.run("DELETE FROM sessions")
    }

    fn set_moved(&mut self, moved: Option<&MovedTo>) -> Result<(), StoreError> {
        self.run("DELETE FROM moved")?;
        let Some(MovedTo { target, at }) = moved else { return Ok(()) };
        let sql = "INSERT INTO moved (target, at) VALUES ($1, $2)";
        let noted = self.link.query_once(sql, &[&stored(target), &bound(*at)]);
        noted.map(drop).map_err(|failure| failure.into_error(&self.place))
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        // Numbers that are given from here on are behind all that came.
        self.run(
            "SELECT setval('series_id', coalesce((SELECT max(id) FROM series), 0) + 1, false), \
             setval(pg_get_serial_sequence('audit', 'id'), coalesce((SELECT max(id) FROM audit), 0) + 1, false)",
        )?;
        self.run("COMMIT")
    }
}

/// What one column of this database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Named(&'static str, Kind),
    /// One of the four of a value.
    Integer,
    Number,
    Text,
    Opaque,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Named(name, _) => name,
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Opaque => "opaque",
        }
    }

    /// The type of an array's elements.
    fn array(self) -> &'static str {
        match self {
            Self::Named(_, Kind::Integer) | Self::Integer => "bigint",
            Self::Named(_, Kind::Flag) => "boolean",
            Self::Named(_, Kind::Text) | Self::Text => "text",
            Self::Named(_, Kind::Bytes | Kind::Value) | Self::Opaque => "bytea",
            Self::Number => "double precision",
        }
    }
}

/// The columns of this database, each with the place of the cell from which it comes.
fn columns(table: &Table) -> Vec<(usize, Column)> {
    let all = table.columns.iter().enumerate().flat_map(|(at, (name, kind))| match kind {
        Kind::Value => [Column::Integer, Column::Number, Column::Text, Column::Opaque]
            .map(|column| (at, column))
            .to_vec(),
        kind => vec![(at, Column::Named(name, *kind))],
    });
    all.collect()
}

fn names(columns: &[(usize, Column)]) -> String {
    columns.iter().map(|(_, column)| column.name()).collect::<Vec<_>>().join(", ")
}

/// One column of some rows. A value is in the column of its type, and null in the others.
fn array<'a>(rows: &'a [Vec<Cell>], from: usize, column: Column) -> Box<dyn ToSql + Sync + 'a> {
    let cells = rows.iter().map(|row| row.get(from).unwrap_or(&Cell::Null));
    match column.array() {
        "boolean" => Box::new(cells.map(|cell| integer(cell).map(|flag| flag != 0)).collect::<Vec<_>>()),
        "bigint" => Box::new(cells.map(integer).collect::<Vec<_>>()),
        "double precision" => Box::new(cells.map(float).collect::<Vec<_>>()),
        "text" => Box::new(cells.map(|cell| text(cell).map(stored)).collect::<Vec<_>>()),
        _ => Box::new(cells.map(bytes).collect::<Vec<_>>()),
    }
}

fn integer(cell: &Cell) -> Option<i64> {
    if let Cell::Integer(number) = cell { Some(*number) } else { None }
}

fn float(cell: &Cell) -> Option<f64> {
    if let Cell::Float(number) = cell { Some(*number) } else { None }
}

fn text(cell: &Cell) -> Option<&str> {
    if let Cell::Text(text) = cell { Some(text) } else { None }
}

fn bytes(cell: &Cell) -> Option<&[u8]> {
    if let Cell::Bytes(bytes) = cell { Some(bytes) } else { None }
}

fn cells(row: &Row, table: &Table) -> Result<Vec<Cell>, Failure> {
    let mut at = 0;
    let mut cells = Vec::with_capacity(table.columns.len());
    for (_, kind) in table.columns {
        cells.push(match kind {
            Kind::Integer => row.try_get::<_, Option<i64>>(at)?.map_or(Cell::Null, Cell::Integer),
            Kind::Flag => {
                row.try_get::<_, Option<bool>>(at)?.map_or(Cell::Null, |flag| Cell::Integer(flag.into()))
            }
            Kind::Text => {
                row.try_get::<_, Option<String>>(at)?.map_or(Cell::Null, |text| Cell::Text(original(text)))
            }
            Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(at)?.map_or(Cell::Null, Cell::Bytes),
            Kind::Value => value(row, at)?,
        });
        at += if *kind == Kind::Value { 4 } else { 1 };
    }
    Ok(cells)
}

fn value(row: &Row, at: usize) -> Result<Cell, Failure> {
    Ok(if let Some(number) = row.try_get(at)? {
        Cell::Integer(number)
    } else if let Some(number) = row.try_get(at + 1)? {
        Cell::Float(number)
    } else if let Some(text) = row.try_get::<_, Option<String>>(at + 2)? {
        Cell::Text(original(text))
    } else {
        Cell::Bytes(row.try_get(at + 3)?)
    })
}
