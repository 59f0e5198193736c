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
    /// The database was written by a later version of the program.
    TooNew {
        /// Which.
        place: String,
        /// Its schema.
        found: u32,
        /// The latest schema that this program knows.
        known: u32,
    },
    /// The database was written by an earlier version of the program.
    TooOld {
        /// Which.
        place: String,
        /// Its schema.
        found: u32,
        /// The schema that this program has.
        known: u32,
    },
    /// The URL of the database is none: why not, without its password.
    NoUrl(String),
    /// The server of the database does not answer, or not now.
    Unreachable {
        /// Which; without a password.
        place: String,
        /// What was said.
        cause: String,
    },
    /// The server of the database answers, and there will be no session before something is mended.
    NoWayIn {
        /// Which; without a password.
        place: String,
        /// What was said, and what to do.
        cause: String,
    },
    /// There was no answer to a question for a while.
    Silent {
        /// For how long it was waited for.
        seconds: u64,
    },
    /// The server of the database is a copy that follows another, and takes no changes.
    Standby {
        /// Which; without a password.
        place: String,
    },
    /// A server runs on the database.
    InUse {
        /// Which; without a password.
        place: String,
    },
    /// Another server has begun to write to the database: this one must not go on.
    TakenOver {
        /// Which; without a password.
        place: String,
    },
    /// The database has forgotten what it had committed, or it is another one: what this server knows is not what it says.
    CommitsLost {
        /// Which; without a password.
        place: String,
        /// The last commit that it acknowledged.
        committed: i64,
        /// The last one that it knows.
        found: i64,
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
            Self::TooNew { place, found, known } => write!(
                f,
                "the database {place} has schema {found}, and this program knows schemas up to {known}; use the newer program \
                 that wrote it, or restore a backup"
            ),
            Self::TooOld { place, found, known } => write!(
                f,
                "the database {place} has schema {found}, and this program has {known}; back it up with the program that serves it, or \
                 run `buoy migrate` of this program on it first"
            ),
            Self::NoUrl(cause) => write!(
                f,
                "the URL of the PostgreSQL database cannot be read: {cause}; write it as in \
                 postgres://user:password@host:5432/database"
            ),
            Self::Unreachable { place, cause } => write!(
                f,
                "the database {place} cannot be reached ({cause}); check that PostgreSQL runs there, and the URL"
            ),
            Self::NoWayIn { place, cause } => write!(f, "the database {place} cannot be used: {cause}"),
            Self::Silent { seconds } => {
                write!(f, "the store has not answered for {seconds} s; try again later")
            }
            Self::Standby { place } => write!(
                f,
                "the database {place} is a standby, which takes no changes; promote it, or name the primary server \
                 (target_session_attrs=read-write finds it among several hosts)"
            ),
            Self::InUse { place } => {
                write!(
                    f,
                    "another `buoy serve` runs on the database {place}; stop it, or choose another --store"
                )
            }
            Self::TakenOver { place } => write!(
                f,
                "another server has taken over the database {place}; stop one of them: a database has one server"
            ),
            Self::CommitsLost { place, committed, found } => write!(
                f,
                "the database {place} has lost commits ({committed} were acknowledged, and it knows {found}): it was restored, or another \
                 machine has taken its place that was behind. Start the server again to go on with what it has"
            ),
            Self::Gone(path) => write!(
                f,
                "the database {} has been removed; stop the server and restore the last backup",
                path.display()
            ),
            Self::DiskFull => f.write_str("the disk of the database is full; free some space, and what waits will be saved"),
            Self::ReadOnly => {
                f.write_str("the database cannot be written to; check the permissions of the file and its folder, or those of the database")
            }
            Self::Corrupt(what) => {
                write!(f, "the database is damaged ({what}); stop the server and restore the last backup")
            }
            Self::Database(what) => write!(f, "the database failed: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// Whether it may pass by itself, as when the machine of the database starts too, or another takes its place.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Standby { .. })
    }

    /// Whether it is of no use to try again: the server has to end.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::TakenOver { .. } | Self::CommitsLost { .. })
    }
}

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
