-- +goose Up

-- URL of the client's member, as its certificate gave it: what relies on the relay's own member goes by this, never by a name.
-- '' where the permission is older than this column: it is filled when the client next shows its certificate with a token of it, which
-- it does at least every hour to use the permission; links that were made by a name, and by this turn out to be wrong, are dropped then.
ALTER TABLE permissions ADD COLUMN member TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_requests ADD COLUMN member TEXT NOT NULL DEFAULT '';

-- When a renewal last took something out of what the permission covers, until the data of it is deleted for good; 0: nothing is due.
ALTER TABLE permissions ADD COLUMN narrowed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX permissions_narrowed ON permissions (narrowed) WHERE narrowed <> 0;

-- +goose Down
DROP INDEX permissions_narrowed;
ALTER TABLE permissions DROP COLUMN narrowed;
ALTER TABLE oauth_requests DROP COLUMN member;
ALTER TABLE permissions DROP COLUMN member;
