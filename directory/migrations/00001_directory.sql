-- +goose Up
-- Times are Unix seconds, lists are rows of their own, secrets are hashes only.
CREATE TABLE directory_members (
    id         TEXT PRIMARY KEY,
    legal_name TEXT NOT NULL,
    brand_name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE directory_member_roles (
    member TEXT NOT NULL REFERENCES directory_members(id) ON DELETE CASCADE,
    role   TEXT NOT NULL,
    PRIMARY KEY (member, role)
);
CREATE INDEX directory_member_roles_role ON directory_member_roles (role, member);

CREATE TABLE directory_applications (
    id               TEXT PRIMARY KEY,
    member           TEXT NOT NULL REFERENCES directory_members(id),
    name             TEXT NOT NULL,
    home_page        TEXT NOT NULL,
    message_delivery TEXT NOT NULL,
    created_at       BIGINT NOT NULL
);
CREATE INDEX directory_applications_member ON directory_applications (member, id);

CREATE TABLE directory_application_roles (
    application TEXT NOT NULL REFERENCES directory_applications(id) ON DELETE CASCADE,
    role        TEXT NOT NULL,
    PRIMARY KEY (application, role)
);

CREATE TABLE directory_data_services (
    id           TEXT PRIMARY KEY,
    application  TEXT NOT NULL REFERENCES directory_applications(id) ON DELETE CASCADE,
    title        TEXT NOT NULL,
    conforms_to  TEXT NOT NULL,
    endpoint_url TEXT NOT NULL,
    oauth_issuer TEXT NOT NULL
);
CREATE INDEX directory_data_services_standard ON directory_data_services (conforms_to, id);

CREATE TABLE directory_gateways (
    id          TEXT PRIMARY KEY,
    member      TEXT NOT NULL REFERENCES directory_members(id),
    application TEXT REFERENCES directory_applications(id),
    name        TEXT NOT NULL,
    site        TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    enrolled_at BIGINT
);
CREATE INDEX directory_gateways_member ON directory_gateways (member, id);

CREATE TABLE directory_codes (
    hash       TEXT PRIMARY KEY,
    gateway    TEXT NOT NULL REFERENCES directory_gateways(id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX directory_codes_gateway ON directory_codes (gateway);

CREATE TABLE directory_certificates (
    serial      TEXT PRIMARY KEY,
    hierarchy   TEXT NOT NULL,
    member      TEXT REFERENCES directory_members(id),
    application TEXT REFERENCES directory_applications(id),
    gateway     TEXT REFERENCES directory_gateways(id),
    hosts       TEXT NOT NULL,
    not_before  BIGINT NOT NULL,
    not_after   BIGINT NOT NULL,
    revoked_at  BIGINT,
    pem         TEXT NOT NULL
);
CREATE INDEX directory_certificates_revoked ON directory_certificates (hierarchy, revoked_at);
CREATE INDEX directory_certificates_application ON directory_certificates (application);
CREATE INDEX directory_certificates_gateway ON directory_certificates (gateway);

CREATE TABLE directory_tokens (
    hash       TEXT PRIMARY KEY,
    member     TEXT REFERENCES directory_members(id) ON DELETE CASCADE,
    access     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE directory_crls (
    hierarchy   TEXT PRIMARY KEY,
    number      BIGINT NOT NULL,
    issuer      TEXT NOT NULL,
    stale       BOOLEAN NOT NULL,
    this_update BIGINT NOT NULL,
    der         BYTEA NOT NULL
);
INSERT INTO directory_crls (hierarchy, number, issuer, stale, this_update, der)
VALUES ('client', 0, '', TRUE, 0, ''), ('signing', 0, '', TRUE, 0, ''), ('server', 0, '', TRUE, 0, '');

-- +goose Down
DROP TABLE directory_crls;
DROP TABLE directory_tokens;
DROP TABLE directory_certificates;
DROP TABLE directory_codes;
DROP TABLE directory_gateways;
DROP TABLE directory_data_services;
DROP TABLE directory_application_roles;
DROP TABLE directory_applications;
DROP TABLE directory_member_roles;
DROP TABLE directory_members;
