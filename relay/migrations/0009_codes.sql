-- +goose Up

-- Codes by which a business recognises its site, besides the one that its gateway shows: printed on a bill or a letter.
CREATE TABLE permission_codes (
    hash    BYTEA  PRIMARY KEY, -- SHA-256 of the code in the form of identity.ParseCode
    gateway TEXT   NOT NULL REFERENCES site (gateway),
    note    TEXT   NOT NULL,    -- where it was printed
    made    BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX permission_codes_gateway ON permission_codes (gateway);

-- How the business was recognised when it agreed: 'gateway' (the code that the gateway shows) or 'printed'.
ALTER TABLE permission_grants ADD COLUMN how TEXT NOT NULL DEFAULT 'gateway';

-- +goose Down
ALTER TABLE permission_grants DROP COLUMN how;
DROP TABLE permission_codes;
