-- At most one row: where all of this was moved, and when.
CREATE TABLE moved (
    is_only INTEGER PRIMARY KEY CHECK (is_only = 1),
    target TEXT NOT NULL,
    at INTEGER NOT NULL
);
