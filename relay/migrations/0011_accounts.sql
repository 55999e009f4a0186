-- +goose Up

-- An account that a business keeps here, so that it need not type a code each time. It holds no name and no address of anybody:
-- it is a number, ways to sign in, and the sites whose code was shown.
CREATE TABLE accounts (
    id       TEXT   PRIMARY KEY, -- random; its passkeys carry it
    number   TEXT   NOT NULL UNIQUE, -- 12 random digits, to sign in with a password
    password TEXT   NOT NULL,    -- Argon2id, PHC string; '' where passkeys are the only way
    app      BYTEA  NOT NULL,    -- sealed secret of the authenticator app that goes with the password; empty: none
    app_step BIGINT NOT NULL,    -- the last step whose code was used
    made     BIGINT NOT NULL,
    seen     BIGINT NOT NULL     -- the last signing in
);
CREATE INDEX accounts_seen ON accounts (seen);

CREATE TABLE account_passkeys (
    id         TEXT   PRIMARY KEY, -- base64url of the credential's identifier
    account    TEXT   NOT NULL REFERENCES accounts (id),
    credential TEXT   NOT NULL,    -- JSON: public key, counter, flags
    made       BIGINT NOT NULL
);
CREATE INDEX account_passkeys_account ON account_passkeys (account);

CREATE TABLE account_sessions (
    hash    BYTEA  PRIMARY KEY, -- SHA-256 of the browser's token
    account TEXT   NOT NULL REFERENCES accounts (id),
    begun   BIGINT NOT NULL,
    seen    BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX account_sessions_account ON account_sessions (account);
CREATE INDEX account_sessions_expires ON account_sessions (expires);

-- The sites that an account holds, by showing a code of theirs. version is that of the gateway's own code at the time: when the gateway
-- shows a new one (a new tenant), the hold is over.
CREATE TABLE account_sites (
    id      TEXT   PRIMARY KEY,
    account TEXT   NOT NULL REFERENCES accounts (id),
    gateway TEXT   NOT NULL,
    version TEXT   NOT NULL,
    name    TEXT   NOT NULL, -- as the site was called then
    how     TEXT   NOT NULL, -- 'gateway' or 'printed': which code it was
    made    BIGINT NOT NULL,
    UNIQUE (account, gateway)
);
CREATE INDEX account_sites_gateway ON account_sites (gateway);

-- Passkeys' challenges that were answered, until they would have run out: each is good once.
CREATE TABLE account_challenges (
    hash    BYTEA  PRIMARY KEY,
    expires BIGINT NOT NULL
);
CREATE INDEX account_challenges_expires ON account_challenges (expires);

-- Codes of gateways that stand for their sites no more, since somebody else has the site now.
CREATE TABLE permission_retired (
    version TEXT   PRIMARY KEY, -- of the code: see account_sites
    gateway TEXT   NOT NULL,
    made    BIGINT NOT NULL
);

-- The number of the account that was signed in when the business agreed; '' where a code was typed. how is then 'account'.
ALTER TABLE permission_grants ADD COLUMN signed_in TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE permission_grants DROP COLUMN signed_in;
DROP TABLE permission_retired;
DROP TABLE account_challenges;
DROP TABLE account_sites;
DROP TABLE account_sessions;
DROP TABLE account_passkeys;
DROP TABLE accounts;
