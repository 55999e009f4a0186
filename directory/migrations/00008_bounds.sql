-- +goose Up
-- How many good certificates the applications of a member have, and which of a
-- member's keys were taken away.
CREATE INDEX directory_certificates_member ON directory_certificates (member, not_after) WHERE gateway IS NULL;
CREATE INDEX directory_certificates_taken ON directory_certificates (member) WHERE revoked_at IS NOT NULL;

-- +goose Down
DROP INDEX directory_certificates_taken;
DROP INDEX directory_certificates_member;
