-- At most one row: where all of this was moved, and when.
CREATE TABLE moved (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    target text NOT NULL,
    at bigint NOT NULL
);
