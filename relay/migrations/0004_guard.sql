-- +goose Up

-- Limits that hold over every process that shares this database: one row for
-- each thing that is counted (an address, a client, everyone together), with
-- the instant at which its whole allowance is back. Rows of the past are
-- deleted: nothing is owed.
CREATE TABLE limits (
    name    TEXT   PRIMARY KEY,
    full_at BIGINT NOT NULL -- unix milliseconds
);
CREATE INDEX limits_full_at ON limits (full_at);

-- +goose Down
DROP TABLE limits;
