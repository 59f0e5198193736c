use std::fmt;
use std::path::PathBuf;

/// Why the store could not do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be opened or made.
    Open {
        /// Which.
        path: PathBuf,
        /// What the database said.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file was written by a later version of the program.
    TooNew {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The latest schema that this program knows.
        known: u32,
    },
    /// The file was written by an earlier version of the program.
    TooOld {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The schema that this program has.
        known: u32,
    },
    /// The file was removed while it was open: what is written is lost.
    Gone(PathBuf),
    /// The disk is full.
    DiskFull,
    /// The file cannot be written to.
    ReadOnly,
    /// The file is damaged.
    Corrupt(String),
    /// Anything else that the database said.
    Database(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, cause } => write!(
                f,
                "the database {} cannot be opened: {cause}; check that the folder exists and that you may write to it",
                path.display()
            ),
            Self::TooNew { path, found, known } => write!(
                f,
                "the database {} has schema {found}, and this program knows schemas up to {known}; use the newer program \
                 that wrote it, or restore a backup",
                path.display()
            ),
            Self::TooOld { path, found, known } => write!(
                f,
                "the database {} has schema {found}, and this program has {known}; back it up with the program that serves it, or \
                 let the server of this program run on it first",
                path.display()
            ),
            Self::Gone(path) => write!(
                f,
                "the database {} has been removed; stop the server and restore the last backup",
                path.display()
            ),
            Self::DiskFull => f.write_str("the disk is full; free some space, and what waits will be saved"),
            Self::ReadOnly => {
                f.write_str("the database cannot be written to; check the permissions of its file and folder")
            }
            Self::Corrupt(what) => {
                write!(f, "the database is damaged ({what}); stop the server and restore the last backup")
            }
            Self::Database(what) => write!(f, "the database failed: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Database(error.to_string()),
        }
    }
}
