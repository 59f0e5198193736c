-- What operators set up, by its kind and its name.
CREATE TABLE document (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    changed_at bigint NOT NULL,
    PRIMARY KEY (kind, key)
);
