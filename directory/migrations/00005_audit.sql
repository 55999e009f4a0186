-- +goose Up
-- The audit log, a chain of hashes (package audit). The head is one row, which
-- every writer holds until its transaction ends: so there is one chain, however
-- many processes write.
CREATE TABLE directory_audit (
    seq         BIGINT PRIMARY KEY,
    at          BIGINT NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    member      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    before_hash TEXT NOT NULL,
    after_hash  TEXT NOT NULL,
    prev        TEXT NOT NULL,
    hash        TEXT NOT NULL
);
CREATE INDEX directory_audit_member ON directory_audit (member, seq);
CREATE INDEX directory_audit_subject ON directory_audit (subject, seq);
CREATE TABLE directory_audit_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO directory_audit_head (one, seq, hash) VALUES (1, 0, '');

-- A warning of the end of a certificate is sent once for each threshold and way,
-- by whichever process claims it first. One that could not be sent is claimed
-- again once the claim has run out.
CREATE TABLE directory_warnings (
    subject    TEXT NOT NULL,
    days       INTEGER NOT NULL,
    way        TEXT NOT NULL,
    ends       BIGINT NOT NULL,
    claimed_to BIGINT NOT NULL,
    attempts   INTEGER NOT NULL,
    sent       BOOLEAN NOT NULL,
    PRIMARY KEY (subject, days, way)
);
CREATE INDEX directory_certificates_end ON directory_certificates (not_after);

-- +goose Down
DROP INDEX directory_certificates_end;
DROP TABLE directory_warnings;
DROP TABLE directory_audit_head;
DROP TABLE directory_audit;
