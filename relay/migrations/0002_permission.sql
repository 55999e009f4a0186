-- +goose Up

-- A permission: one business (gateway) lets one application use its data under one licence.
-- Times are unix seconds; 0 stands for "not yet". granted, last_granted, expires and revoked are kept apart:
-- they are the evidence.
CREATE TABLE permissions (
    id             TEXT   PRIMARY KEY,
    client         TEXT   NOT NULL, -- application URL
    client_name    TEXT   NOT NULL, -- its member's name, as its certificate gave it when last granted
    parts          TEXT   NOT NULL, -- the parts that the client takes: 'cap', 'fsp' or 'cap fsp'
    license        TEXT   NOT NULL,
    gateway        TEXT   NOT NULL,
    account        TEXT   NOT NULL, -- opaque, differs from client to client
    evidence       TEXT   NOT NULL UNIQUE,
    covers         TEXT   NOT NULL, -- JSON [{"meter","measure"}]
    available_from BIGINT NOT NULL,
    granted        BIGINT NOT NULL,
    last_granted   BIGINT NOT NULL,
    expires        BIGINT NOT NULL,
    revoked        BIGINT NOT NULL DEFAULT 0,
    revoked_by     TEXT   NOT NULL DEFAULT '', -- 'user' or 'client'
    purged         BIGINT NOT NULL DEFAULT 0   -- when the data that it alone covered was deleted
);
CREATE INDEX permissions_gateway ON permissions (gateway);
-- A new grant of a permission that was not withdrawn renews it.
CREATE UNIQUE INDEX permissions_live ON permissions (client, license, gateway) WHERE revoked = 0;
CREATE INDEX permissions_unpurged ON permissions (revoked) WHERE revoked <> 0 AND purged = 0;

-- The log of every grant and renewal, word for word. Rows are never changed.
CREATE TABLE permission_grants (
    id          TEXT   PRIMARY KEY,
    permission  TEXT   NOT NULL REFERENCES permissions (id),
    granted     BIGINT NOT NULL,
    expires     BIGINT NOT NULL,
    license     TEXT   NOT NULL,
    client_name TEXT   NOT NULL,
    site_name   TEXT   NOT NULL,
    outcode     TEXT   NOT NULL,
    address     TEXT   NOT NULL, -- IP address of the browser
    user_agent  TEXT   NOT NULL,
    words       TEXT   NOT NULL, -- the permission text as it was shown
    covers      TEXT   NOT NULL
);
CREATE INDEX permission_grants_permission ON permission_grants (permission, granted);

-- Pushed authorisation requests, until they are decided. Only hashes of what a client or browser holds are stored.
CREATE TABLE oauth_requests (
    hash         BYTEA  PRIMARY KEY, -- SHA-256 of the request_uri
    client       TEXT   NOT NULL,
    client_name  TEXT   NOT NULL,
    parts        TEXT   NOT NULL,
    license      TEXT   NOT NULL,
    redirect_uri TEXT   NOT NULL,
    state        TEXT   NOT NULL,
    challenge    TEXT   NOT NULL,    -- PKCE S256
    expires      BIGINT NOT NULL
);
CREATE INDEX oauth_requests_expires ON oauth_requests (expires);

CREATE TABLE oauth_codes (
    hash         BYTEA  PRIMARY KEY, -- SHA-256 of the authorisation code
    grant_id     TEXT   NOT NULL REFERENCES permission_grants (id),
    permission   TEXT   NOT NULL REFERENCES permissions (id),
    client       TEXT   NOT NULL,
    redirect_uri TEXT   NOT NULL,
    challenge    TEXT   NOT NULL,
    expires      BIGINT NOT NULL,
    used         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX oauth_codes_expires ON oauth_codes (expires);

-- Refresh tokens outlive their end by a year and more: they still fetch the permission record.
CREATE TABLE oauth_tokens (
    hash       BYTEA  PRIMARY KEY, -- SHA-256 of the token
    kind       TEXT   NOT NULL,    -- 'refresh' or 'access'
    grant_id   TEXT   NOT NULL REFERENCES permission_grants (id),
    permission TEXT   NOT NULL REFERENCES permissions (id),
    client     TEXT   NOT NULL,
    issued     BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    revoked    BIGINT NOT NULL DEFAULT 0,
    sealed     BYTEA               -- refresh tokens only: AES-GCM, additional data = permission id
);
CREATE INDEX oauth_tokens_permission ON oauth_tokens (permission, kind);
CREATE INDEX oauth_tokens_grant ON oauth_tokens (grant_id);
CREATE INDEX oauth_tokens_expires ON oauth_tokens (kind, expires);

-- Counts the changes of each gateway's grants, so that every process notices those that another made.
CREATE TABLE grant_versions (
    gateway TEXT   PRIMARY KEY,
    version BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX grant_versions_changed ON grant_versions (changed);

-- +goose Down
DROP TABLE grant_versions;
DROP TABLE oauth_tokens;
DROP TABLE oauth_codes;
DROP TABLE oauth_requests;
DROP TABLE permission_grants;
DROP TABLE permissions;
