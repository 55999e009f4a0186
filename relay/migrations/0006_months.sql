-- +goose Up

-- The gateways' own signed statements of a register's half-hours in a month
-- (uplink/month), each version once, by the batch that brought it. proof opens
-- them as far as their half-hours are still here; it is empty when none is.
CREATE TABLE month_statement (
    register    BIGINT NOT NULL REFERENCES register (id),
    month       BIGINT NOT NULL,    -- its first instant, unix seconds
    batch       BIGINT NOT NULL,    -- sequence
    signed      TEXT   NOT NULL,    -- JSON: step and signature, as the gateway made them
    proof       TEXT   NOT NULL,    -- JSON list of nodes; '' when nothing can be opened
    state       TEXT   NOT NULL,    -- good: it is of the half-hours that are stored; behind: they have changed since;
                                    -- replaced: a newer version is good; refused: it was not of the half-hours stored
    received    BIGINT NOT NULL,    -- unix seconds
    PRIMARY KEY (register, month, batch)
);

-- What was deleted, and why: a row for each deletion, which is counted up in
-- the very transactions that delete. Rows are never removed.
CREATE TABLE deletion (
    id          TEXT   PRIMARY KEY,
    gateway     TEXT   NOT NULL REFERENCES site (gateway),
    reason      TEXT   NOT NULL,    -- withdrawal: no live permission covers it; retention: it was kept long enough
    started     BIGINT NOT NULL,    -- unix seconds
    finished    BIGINT NOT NULL DEFAULT 0,
    collected   BIGINT NOT NULL DEFAULT 0, -- retention: what was collected before this instant went
    half_hours  BIGINT NOT NULL DEFAULT 0,
    bodies      BIGINT NOT NULL DEFAULT 0, -- signed batches whose body went
    first       BIGINT NOT NULL DEFAULT 0, -- start of the first half-hour that went
    last        BIGINT NOT NULL DEFAULT 0, -- and of the last
    record      TEXT   NOT NULL DEFAULT '' -- the relay's signed word for it, a provenance record
);
CREATE INDEX deletion_gateway ON deletion (gateway, started);

-- +goose Down
DROP TABLE deletion;
DROP TABLE month_statement;
