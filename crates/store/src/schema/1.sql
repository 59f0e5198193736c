CREATE TABLE registration (
    key INTEGER PRIMARY KEY,
    record BLOB NOT NULL
);

CREATE TABLE operation (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    ended INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX operation_of_endpoint ON operation (endpoint, id);
CREATE INDEX operation_open ON operation (id) WHERE NOT ended;

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    path TEXT NOT NULL,
    UNIQUE (endpoint, path)
);
CREATE TABLE sample (
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value,
    PRIMARY KEY (series, at)
) WITHOUT ROWID;

CREATE TABLE firmware (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    project TEXT NOT NULL,
    size INTEGER NOT NULL,
    uploaded_at INTEGER NOT NULL,
    signature BLOB
);

CREATE TABLE firmware_update (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    ended INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX firmware_update_of_endpoint ON firmware_update (endpoint, id);
CREATE INDEX firmware_update_open ON firmware_update (id) WHERE NOT ended;
