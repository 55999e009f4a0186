-- +goose Up
-- The ACME server's accounts, orders and challenges. Times are Unix seconds.
-- The key under which nonces are made; used nonces for as long as they would
-- otherwise be good.
CREATE TABLE directory_acme_secret (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    secret BYTEA NOT NULL
);
CREATE TABLE directory_acme_nonces (
    nonce   TEXT PRIMARY KEY,
    used_at BIGINT NOT NULL
);
CREATE INDEX directory_acme_nonces_used ON directory_acme_nonces (used_at);

-- jwk is the public key, contacts a JSON list, address where it was made from
-- (IPv6: the /64). status is valid or deactivated.
CREATE TABLE directory_acme_accounts (
    id         TEXT PRIMARY KEY,
    thumbprint TEXT NOT NULL UNIQUE,
    jwk        TEXT NOT NULL,
    status     TEXT NOT NULL,
    contacts   TEXT NOT NULL,
    address    TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX directory_acme_accounts_address ON directory_acme_accounts (address, created_at);

-- serial and chain (PEM) come with the certificate, both empty before. hosts is
-- in the order's order, with spaces between; hosts_sorted is for counting.
-- replaces is the identifier (RFC 9773) of the certificate that it renews.
CREATE TABLE directory_acme_orders (
    id           TEXT PRIMARY KEY,
    account      TEXT NOT NULL REFERENCES directory_acme_accounts(id),
    hosts        TEXT NOT NULL,
    hosts_sorted TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    issued_at    BIGINT NOT NULL DEFAULT 0,
    serial       TEXT NOT NULL DEFAULT '',
    chain        TEXT NOT NULL DEFAULT '',
    replaces     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX directory_acme_orders_account ON directory_acme_orders (account, created_at);
CREATE INDEX directory_acme_orders_hosts ON directory_acme_orders (hosts_sorted, issued_at);
CREATE INDEX directory_acme_orders_serial ON directory_acme_orders (serial);
CREATE INDEX directory_acme_orders_expires ON directory_acme_orders (expires_at);

-- An authorisation and its one challenge, http-01. status is pending, valid,
-- invalid or deactivated; error is the problem document of an invalid one.
CREATE TABLE directory_acme_authorizations (
    id       TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES directory_acme_orders(id) ON DELETE CASCADE,
    account  TEXT NOT NULL REFERENCES directory_acme_accounts(id),
    place    BIGINT NOT NULL,
    host     TEXT NOT NULL,
    token    TEXT NOT NULL,
    status   TEXT NOT NULL,
    tried_at BIGINT NOT NULL DEFAULT 0,
    error    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX directory_acme_authorizations_order ON directory_acme_authorizations (order_id, place);
CREATE INDEX directory_acme_authorizations_account ON directory_acme_authorizations (account, host, status, tried_at);

-- A catalogue entry's assurance level, a URL (data-catalog-records 1.0).
ALTER TABLE directory_data_services ADD COLUMN assurance TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE directory_data_services DROP COLUMN assurance;
DROP TABLE directory_acme_authorizations;
DROP TABLE directory_acme_orders;
DROP TABLE directory_acme_accounts;
DROP TABLE directory_acme_nonces;
DROP TABLE directory_acme_secret;
