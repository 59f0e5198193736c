CREATE TABLE credential (
    id INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    kind TEXT NOT NULL,
    identity BLOB NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL
);
CREATE UNIQUE INDEX credential_of_identity ON credential (purpose, kind, identity) WHERE length(identity) > 0;
CREATE INDEX credential_of_endpoint ON credential (endpoint, id);

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    record BLOB NOT NULL
);
