-- Each entry of the audit log has a hash that covers it and the hash of the entry before it. Entries of before have none.
ALTER TABLE audit ADD COLUMN hash bytea;
-- The last entry. No row: there is none with a hash yet.
CREATE TABLE audit_head (
    is_only bigint PRIMARY KEY CHECK (is_only = 1),
    last bigint NOT NULL,
    hash bytea NOT NULL
);

-- Appends an entry. The hash is that of `AuditRow::hash` in store/src/audit.rs.
CREATE FUNCTION append_audit(
    at bigint, principal text, origin text, action text, target text, detail text, result text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    next bigint;
    before bytea;
    link bytea;
    field text;
BEGIN
    SELECT head.last + 1, head.hash INTO next, before FROM audit_head AS head WHERE head.is_only = 1;
    IF NOT FOUND THEN
        SELECT coalesce(max(id), 0) + 1, decode(repeat('00', 32), 'hex') INTO next, before FROM audit;
    END IF;
    link := before || int8send(next) || int8send(at);
    FOREACH field IN ARRAY ARRAY[principal, origin, action, target, detail, result] LOOP
        link := link || int4send(octet_length(field)) || convert_to(field, 'UTF8');
    END LOOP;
    link := sha256(link);
    INSERT INTO audit VALUES (next, at, principal, origin, action, target, detail, result, link);
    INSERT INTO audit_head VALUES (1, next, link)
        ON CONFLICT (is_only) DO UPDATE SET last = excluded.last, hash = excluded.hash;
END
$$;
