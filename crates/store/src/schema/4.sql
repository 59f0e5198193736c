CREATE TABLE bootstrap_config (
    pattern TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    changed_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE bootstrap_claim (
    endpoint TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    first_asked INTEGER NOT NULL,
    last_asked INTEGER NOT NULL,
    accepted_at INTEGER
) WITHOUT ROWID;
