CREATE TABLE idempotency_key (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    made INTEGER NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sample_batch (
    id INTEGER PRIMARY KEY,
    samples BLOB NOT NULL
);
