-- +goose Up

-- Which permission a withdrawal took along ('' where it was withdrawn itself).
-- revoked_by is 'user', 'client', 'message' (the issuer of a permission that this one relied on), 'linked' or 'operator'.
ALTER TABLE permissions ADD COLUMN revoked_with TEXT NOT NULL DEFAULT '';

-- Linked permissions: permission falls when relies_on is withdrawn. Both are of the same gateway, and relies_on is the older one,
-- so that links never go round in circles.
CREATE TABLE permission_links (
    permission TEXT   NOT NULL REFERENCES permissions (id),
    relies_on  TEXT   NOT NULL REFERENCES permissions (id),
    made       BIGINT NOT NULL,
    PRIMARY KEY (permission, relies_on)
);
CREATE INDEX permission_links_relies_on ON permission_links (relies_on);

-- Permissions that rely on one which another provider issued to us: the message that withdraws it names its refresh token.
CREATE TABLE permission_held (
    permission TEXT   NOT NULL REFERENCES permissions (id),
    hash       BYTEA  NOT NULL, -- SHA-256 of that refresh token
    issuer     TEXT   NOT NULL, -- application URL that may withdraw it
    made       BIGINT NOT NULL,
    PRIMARY KEY (permission, hash)
);
CREATE INDEX permission_held_hash ON permission_held (hash);

-- Messages of withdrawal to clients: one for each refresh token that ended. What they say is made when they are sent, from the sealed copy of the token.
-- Processes that share the database take them one by one, each for the time of its lease.
CREATE TABLE messages (
    id          TEXT   PRIMARY KEY,
    permission  TEXT   NOT NULL REFERENCES permissions (id),
    token       BYTEA  NOT NULL UNIQUE, -- oauth_tokens.hash
    client      TEXT   NOT NULL,        -- application URL of the recipient
    created     BIGINT NOT NULL,
    due         BIGINT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    lease       TEXT   NOT NULL DEFAULT '',
    lease_until BIGINT NOT NULL DEFAULT 0,
    sent        BIGINT NOT NULL DEFAULT 0,
    dead        BIGINT NOT NULL DEFAULT 0, -- when it was given up
    problem     TEXT   NOT NULL DEFAULT '' -- what stood in the way the last time
);
CREATE INDEX messages_due ON messages (due) WHERE sent = 0 AND dead = 0;
CREATE INDEX messages_dead ON messages (dead) WHERE dead <> 0;
CREATE INDEX messages_permission ON messages (permission);

-- +goose Down
DROP TABLE messages;
DROP TABLE permission_held;
DROP TABLE permission_links;
ALTER TABLE permissions DROP COLUMN revoked_with;
