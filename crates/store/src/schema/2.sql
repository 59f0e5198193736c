CREATE TABLE idempotency_key (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    made INTEGER NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    registrations BLOB NOT NULL,
    samples BLOB NOT NULL
);
