-- +goose Up
-- The revision of the public listing: one more with each change to a member,
-- its roles, its applications or their services, in the change's transaction.
-- A member carries the revision of its last change; wiped is the last one after
-- which everything must be read anew (a member was taken out).
CREATE TABLE directory_listing (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    revision   BIGINT NOT NULL,
    wiped      BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
INSERT INTO directory_listing (one, revision, wiped, changed_at) VALUES (1, 0, 0, 0);
ALTER TABLE directory_members ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
CREATE INDEX directory_members_revision ON directory_members (revision);

-- +goose Down
DROP INDEX directory_members_revision;
ALTER TABLE directory_members DROP COLUMN revision;
DROP TABLE directory_listing;
