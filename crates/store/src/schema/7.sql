CREATE TABLE device (
    endpoint TEXT PRIMARY KEY,
    first_contact INTEGER NOT NULL,
    last_contact INTEGER NOT NULL,
    proved INTEGER NOT NULL,
    manufacturer TEXT,
    model TEXT,
    serial TEXT,
    firmware TEXT,
    hardware TEXT,
    software TEXT,
    read_at INTEGER
) WITHOUT ROWID;
