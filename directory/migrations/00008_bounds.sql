-- +goose Up
-- How many good certificates the applications of a member have, and which of a
-- member's keys were taken away.
CREATE INDEX directory_certificates_member ON directory_certificates (member, not_after) WHERE gateway IS NULL;
CREATE INDEX directory_certificates_taken ON directory_certificates (member) WHERE revoked_at IS NOT NULL;

-- The allowance of signed ACME requests, by network address (an IPv6 one by its
-- /64): the instant in Unix milliseconds from which it is whole again.
CREATE TABLE directory_acme_requests (
    address  TEXT PRIMARY KEY,
    whole_at BIGINT NOT NULL
);
CREATE INDEX directory_acme_requests_whole ON directory_acme_requests (whole_at);

-- When an account last got a certificate; 0: never. Of the accounts from before it is
-- not known any more, so they stay.
ALTER TABLE directory_acme_accounts ADD COLUMN certified_at BIGINT NOT NULL DEFAULT 0;
UPDATE directory_acme_accounts SET certified_at = created_at;
CREATE INDEX directory_acme_accounts_unused ON directory_acme_accounts (created_at) WHERE certified_at = 0;

-- +goose Down
DROP INDEX directory_acme_accounts_unused;
ALTER TABLE directory_acme_accounts DROP COLUMN certified_at;
DROP TABLE directory_acme_requests;
DROP INDEX directory_certificates_taken;
DROP INDEX directory_certificates_member;
