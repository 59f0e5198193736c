-- Ended updates are pruned by when they ended; of those from before nothing is known, so they count as just changed.
ALTER TABLE firmware_update ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
UPDATE firmware_update SET changed_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
CREATE INDEX firmware_update_ended ON firmware_update (changed_at) WHERE ended;
CREATE INDEX operation_ended ON operation (changed_at) WHERE ended;
CREATE INDEX idempotency_key_by_time ON idempotency_key (at);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    principal TEXT NOT NULL,
    origin TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE INDEX audit_of_target ON audit (target, id);
CREATE INDEX audit_of_principal ON audit (principal, id);
