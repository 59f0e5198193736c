CREATE TABLE device (
    endpoint text COLLATE "C" PRIMARY KEY,
    first_contact bigint NOT NULL,
    last_contact bigint NOT NULL,
    proved boolean NOT NULL,
    manufacturer text,
    model text,
    serial text,
    firmware text,
    hardware text,
    software text,
    read_at bigint
);
