//! What an error of the database means for who asked.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::place::Place;
use super::tls::Fault;
use crate::{Rejection, StoreError};

/// Raised by `write_batch`.
const NOT_THE_NEXT_BATCH: &str = "BU001";

/// What the driver says of a server without TLS.
const NO_TLS: &str = "server does not support TLS";

/// Why a question or a transaction failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection broke: whether a transaction was committed is not known.
    Lost(String),
    /// There is no session, and there will be none before something is mended: the server answers, and it or this program refuses.
    NoWayIn(String),
    /// A change is refused for its own reasons.
    Rejected(Rejection),
    /// The transaction was not that of the next batch of the writer that has the word.
    NotTheNextBatch,
    /// Only repeats that an earlier statement of the transaction failed.
    Aborted,
    /// Anything else: the transaction was rolled back.
    Store(StoreError),
}

impl Failure {
    /// Of an attempt to connect.
    pub(super) fn of_connecting(error: &Error) -> Self {
        let cause = error.source();
        match (cause.and_then(|cause| cause.downcast_ref::<Fault>()), error.as_db_error()) {
            (Some(Fault::Broken(error)), _) => Self::Lost(error.to_string()),
            (Some(fault), _) => Self::NoWayIn(fault.to_string()),
            (None, Some(said)) if is_refusal(said.code()) => Self::NoWayIn(format!(
                "{said}; check the user, the password and the database of the URL, and the server's pg_hba.conf"
            )),
            (None, Some(said)) => Self::Lost(said.to_string()),
            _ if error.is_closed() || cause.is_none_or(|cause| cause.is::<std::io::Error>()) => {
                Self::Lost(words(error))
            }
            _ if cause.is_some_and(|cause| cause.to_string() == NO_TLS) => Self::NoWayIn(
                "the server does not speak TLS, and the sslmode of the URL asks for it; set ssl = on in its postgresql.conf"
                    .into(),
            ),
            _ => Self::NoWayIn(words(error)),
        }
    }

    /// For those whose question has no transaction behind it.
    pub(super) fn into_error(self, place: &Place) -> StoreError {
        match self {
            Self::Lost(cause) => StoreError::Unreachable { place: place.to_string(), cause },
            Self::NoWayIn(cause) => StoreError::NoWayIn { place: place.to_string(), cause },
            Self::Rejected(rejection) => StoreError::Database(rejection.to_string()),
            Self::NotTheNextBatch => StoreError::TakenOver { place: place.to_string() },
            Self::Aborted => StoreError::Database("the transaction was aborted".into()),
            Self::Store(error) => error,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(said) => of_database(said),
            None if error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>()) => {
                Self::Lost(words(&error))
            }
            None => Self::Store(StoreError::Database(words(&error))),
        }
    }
}

/// Whether the server lets this user not in, or not into this database. Others it tells that it starts, stops, or has too many sessions.
fn is_refusal(code: &SqlState) -> bool {
    code.code().starts_with("28")
        || [SqlState::INVALID_CATALOG_NAME, SqlState::INSUFFICIENT_PRIVILEGE].contains(code)
}

fn of_database(said: &DbError) -> Failure {
    let code = said.code();
    let words = || said.to_string();
    // After these the server closes the connection. Classes: 08 connection, 57P administrator's orders.
    if matches!(said.severity(), "FATAL" | "PANIC") || code.code().starts_with("08") {
        return Failure::Lost(words());
    }
    match code.code() {
        NOT_THE_NEXT_BATCH => Failure::NotTheNextBatch,
        _ if *code == SqlState::IN_FAILED_SQL_TRANSACTION => Failure::Aborted,
        _ if *code == SqlState::DISK_FULL => Failure::Store(StoreError::DiskFull),
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Failure::Store(StoreError::ReadOnly),
        // Class 23: a constraint; 22: a value that is none of its type; 54: larger than the database takes.
        code if code.starts_with("23") => Failure::Rejected(Rejection::Conflict(words())),
        code if code.starts_with("22") || code.starts_with("54") => {
            Failure::Rejected(Rejection::Invalid(words()))
        }
        code if code.starts_with("XX") => Failure::Store(StoreError::Corrupt(words())),
        _ => Failure::Store(StoreError::Database(words())),
    }
}

/// The error with its causes: its own words are often only "db error".
pub(super) fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
