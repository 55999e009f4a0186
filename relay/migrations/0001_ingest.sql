-- +goose Up

-- A gateway as it last described itself.
CREATE TABLE site (
    gateway     TEXT PRIMARY KEY,   -- the gateway's URL
    member      TEXT NOT NULL,      -- URL of the member that runs it
    name        TEXT NOT NULL,
    outcode     TEXT NOT NULL,
    code_hash   BYTEA NOT NULL UNIQUE, -- SHA-256 of the normalised code on the gateway's page
    registered  BIGINT NOT NULL,
    updated     BIGINT NOT NULL
);

-- The end of a gateway's chain of batches. Its row is the lock under which
-- anything of the gateway is stored or deleted.
CREATE TABLE head (
    gateway     TEXT PRIMARY KEY REFERENCES site (gateway),
    sequence    BIGINT NOT NULL,
    hash        BYTEA NOT NULL
);

-- Every signing certificate that a gateway ever registered: the batches that
-- are kept as evidence are checked against them.
CREATE TABLE signing_certificate (
    gateway     TEXT NOT NULL REFERENCES site (gateway),
    serial      TEXT NOT NULL,      -- decimal
    chain       TEXT NOT NULL,      -- PEM, leaf first
    registered  BIGINT NOT NULL,
    PRIMARY KEY (gateway, serial)
);

CREATE TABLE meter (
    gateway     TEXT NOT NULL REFERENCES site (gateway),
    meter       TEXT NOT NULL,      -- the gateway's name for it
    type        TEXT NOT NULL,      -- electricity or gas
    measures    TEXT NOT NULL,      -- names with a comma between
    source      TEXT NOT NULL UNIQUE, -- random; the name by which others know the meter
    listed      BOOLEAN NOT NULL,   -- in the gateway's latest description
    PRIMARY KEY (gateway, meter)
);

-- A short number for each register, so that a day's row stays small.
CREATE TABLE register (
    id          BIGINT PRIMARY KEY,
    gateway     TEXT NOT NULL REFERENCES site (gateway),
    meter       TEXT NOT NULL,
    measure     BIGINT NOT NULL,
    UNIQUE (gateway, meter, measure)
);

-- The half-hours of one register and UTC day, packed.
CREATE TABLE day (
    register    BIGINT NOT NULL REFERENCES register (id),
    day         BIGINT NOT NULL,    -- days since 1970-01-01 UTC
    data        BYTEA NOT NULL,
    PRIMARY KEY (register, day)
);

-- The signed batches as they came. body is NULL once it had to be deleted; the
-- hash stays, so that the chain stays whole.
CREATE TABLE batch (
    gateway     TEXT NOT NULL REFERENCES site (gateway),
    sequence    BIGINT NOT NULL,
    hash        BYTEA NOT NULL,
    received    BIGINT NOT NULL,
    body        BYTEA,
    PRIMARY KEY (gateway, sequence)
);

-- +goose Down
DROP TABLE batch;
DROP TABLE day;
DROP TABLE register;
DROP TABLE meter;
DROP TABLE signing_certificate;
DROP TABLE head;
DROP TABLE site;
