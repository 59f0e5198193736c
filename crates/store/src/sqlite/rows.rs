//! All rows of a database file, for copies and moves.

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::Sqlite;
use crate::rows::names;
use crate::{Cell, Kind, MovedTo, Rows, StoreError, Table, bound};

/// All rows of a database file.
#[derive(Debug)]
pub struct SqliteRows {
    connection: Connection,
}

impl Sqlite {
    /// All rows. Nobody else writes meanwhile; that no server runs is for the caller to know.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn rows(&self) -> Result<SqliteRows, StoreError> {
        // A writer that starts brings everything into its table.
        drop(self.writer()?);
        let connection = self.connect(OpenFlags::default())?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; BEGIN IMMEDIATE")?;
        Ok(SqliteRows { connection })
    }
}

impl Rows for SqliteRows {
    fn each_row(
        &self,
        table: &Table,
        each: &mut dyn FnMut(Vec<Cell>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Table { name, order, columns } = table;
        let sql = format!("SELECT {} FROM {name} ORDER BY {order}", names(table));
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let cells = columns.iter().enumerate().map(|(at, (_, kind))| Ok(cell(row.get_ref(at)?, *kind)));
            each(cells.collect::<Result<_, rusqlite::Error>>()?)?;
        }
        Ok(())
    }

    fn insert(&mut self, table: &Table, rows: &[Vec<Cell>]) -> Result<(), StoreError> {
        let marks = vec!["?"; table.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", table.name, names(table));
        let mut insert = self.connection.prepare_cached(&sql)?;
        for row in rows {
            insert.execute(params_from_iter(row))?;
        }
        Ok(())
    }

    fn remove_sessions(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch("DELETE FROM sessions")?)
    }

    fn set_moved(&mut self, moved: Option<&MovedTo>) -> Result<(), StoreError> {
        self.connection.execute_batch("DELETE FROM moved")?;
        if let Some(MovedTo { target, at }) = moved {
            let sql = "INSERT INTO moved (is_only, target, at) VALUES (1, ?, ?)";
            self.connection.execute(sql, (target, bound(*at)))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT")?;
        // Removed rows would stay in the log.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

fn cell(value: ValueRef<'_>, kind: Kind) -> Cell {
    match value {
        // SQLite has no NaN: it keeps NULL in its place.
        ValueRef::Null if kind == Kind::Value => Cell::Float(f64::NAN),
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Float(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Float(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
