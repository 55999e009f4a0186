-- +goose Up

-- Without the reference to register that it had: PostgreSQL looked each row's
-- register up again, which took longer than to store it. The numbers come from
-- register in the same transaction, under the lock of the gateway's head, and
-- no register is ever removed.
CREATE TABLE day_packed (
    register    BIGINT NOT NULL,    -- register.id
    day         BIGINT NOT NULL,    -- days since 1970-01-01 UTC
    data        BYTEA NOT NULL,
    PRIMARY KEY (register, day)
);
INSERT INTO day_packed (register, day, data) SELECT register, day, data FROM day ORDER BY register, day;
DROP TABLE day;
ALTER TABLE day_packed RENAME TO day;

-- +goose Down
CREATE TABLE day_referring (
    register    BIGINT NOT NULL REFERENCES register (id),
    day         BIGINT NOT NULL,
    data        BYTEA NOT NULL,
    PRIMARY KEY (register, day)
);
INSERT INTO day_referring (register, day, data) SELECT register, day, data FROM day ORDER BY register, day;
DROP TABLE day;
ALTER TABLE day_referring RENAME TO day;
