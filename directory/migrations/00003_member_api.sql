-- +goose Up
-- What the member API keeps of an organisation: how to reach it, who answers
-- for its data and its licences, and the people who own it. Empty is unknown.
ALTER TABLE directory_members ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN street_address TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN locality TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN region TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN state TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN postal_code TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN company_number TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN privacy_policy TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN data_protection TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_members ADD COLUMN effective_date TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_applications ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_applications ADD COLUMN support_url TEXT NOT NULL DEFAULT '';
ALTER TABLE directory_certificates ADD COLUMN label TEXT NOT NULL DEFAULT '';

-- duty is data or licence.
CREATE TABLE directory_officers (
    member TEXT NOT NULL REFERENCES directory_members(id) ON DELETE CASCADE,
    duty   TEXT NOT NULL,
    name   TEXT NOT NULL,
    email  TEXT NOT NULL,
    phone  TEXT NOT NULL,
    PRIMARY KEY (member, duty)
);

-- A person, by email address in lower case, may own several organisations. A
-- person's token (owner set, member NULL) acts for each of them.
CREATE TABLE directory_owners (
    email      TEXT NOT NULL,
    member     TEXT NOT NULL REFERENCES directory_members(id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (email, member)
);
CREATE INDEX directory_owners_member ON directory_owners (member, email);
ALTER TABLE directory_tokens ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- +goose Down
DELETE FROM directory_tokens WHERE owner <> '';
ALTER TABLE directory_tokens DROP COLUMN owner;
DROP TABLE directory_owners;
DROP TABLE directory_officers;
ALTER TABLE directory_certificates DROP COLUMN label;
ALTER TABLE directory_applications DROP COLUMN support_url;
ALTER TABLE directory_applications DROP COLUMN description;
ALTER TABLE directory_members DROP COLUMN effective_date;
ALTER TABLE directory_members DROP COLUMN data_protection;
ALTER TABLE directory_members DROP COLUMN privacy_policy;
ALTER TABLE directory_members DROP COLUMN company_number;
ALTER TABLE directory_members DROP COLUMN country;
ALTER TABLE directory_members DROP COLUMN postal_code;
ALTER TABLE directory_members DROP COLUMN state;
ALTER TABLE directory_members DROP COLUMN region;
ALTER TABLE directory_members DROP COLUMN locality;
ALTER TABLE directory_members DROP COLUMN street_address;
ALTER TABLE directory_members DROP COLUMN email;
