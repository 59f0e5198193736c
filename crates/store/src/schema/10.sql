-- Each entry of the audit log has a hash that covers it and the hash of the entry before it. Entries of before have none.
ALTER TABLE audit ADD COLUMN hash BLOB;
-- The last entry. No row: there is none with a hash yet.
CREATE TABLE audit_head (
    is_only INTEGER PRIMARY KEY CHECK (is_only = 1),
    last INTEGER NOT NULL,
    hash BLOB NOT NULL
);
