-- +goose Up
-- People who sign in. There is no account without a password and a second
-- factor: totp (sealed, empty: none) or a row of directory_passkeys. totp_step
-- is the last time step whose code was taken. A session of an earlier epoch has
-- ended.
CREATE TABLE directory_accounts (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    administrator BOOLEAN NOT NULL,
    password      TEXT NOT NULL,
    totp          BYTEA NOT NULL,
    totp_step     BIGINT NOT NULL,
    epoch         BIGINT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE directory_passkeys (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL REFERENCES directory_accounts(id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX directory_passkeys_account ON directory_passkeys (account);

CREATE TABLE directory_recovery_codes (
    hash    TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES directory_accounts(id) ON DELETE CASCADE
);
CREATE INDEX directory_recovery_codes_account ON directory_recovery_codes (account);

-- Which organisations a person acts for.
CREATE TABLE directory_account_members (
    account    TEXT NOT NULL REFERENCES directory_accounts(id) ON DELETE CASCADE,
    member     TEXT NOT NULL REFERENCES directory_members(id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, member)
);
CREATE INDEX directory_account_members_member ON directory_account_members (member, account);

-- One-time links. kind is invite (email; member or administrator), restore or
-- password (account). made_by is the account that made it, empty: a command.
CREATE TABLE directory_links (
    hash          TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,
    email         TEXT NOT NULL,
    account       TEXT REFERENCES directory_accounts(id) ON DELETE CASCADE,
    member        TEXT REFERENCES directory_members(id) ON DELETE CASCADE,
    administrator BOOLEAN NOT NULL,
    made_by       TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    used_at       BIGINT
);
CREATE INDEX directory_links_member ON directory_links (member);
CREATE INDEX directory_links_account ON directory_links (account);

CREATE TABLE directory_sessions (
    hash       TEXT PRIMARY KEY,
    data       BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);
CREATE INDEX directory_sessions_expires ON directory_sessions (expires_at);

-- Limits on guessing, shared by all processes: full_at is when (Unix
-- milliseconds) the whole allowance of key is there again.
CREATE TABLE directory_allowances (
    key     TEXT PRIMARY KEY,
    full_at BIGINT NOT NULL
);
CREATE INDEX directory_allowances_full_at ON directory_allowances (full_at);

-- What an organisation calls a token of its own.
ALTER TABLE directory_tokens ADD COLUMN label TEXT NOT NULL DEFAULT '';
CREATE INDEX directory_tokens_member ON directory_tokens (member);

-- +goose Down
DROP INDEX directory_tokens_member;
ALTER TABLE directory_tokens DROP COLUMN label;
DROP TABLE directory_allowances;
DROP TABLE directory_sessions;
DROP TABLE directory_links;
DROP TABLE directory_account_members;
DROP TABLE directory_recovery_codes;
DROP TABLE directory_passkeys;
DROP TABLE directory_accounts;
