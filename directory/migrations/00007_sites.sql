-- +goose Up
-- A site is the premises where a member's gateways stand. Until now a gateway
-- carried its site's name alone: each name becomes a site, its outcode unknown.
CREATE TABLE directory_sites (
    id         TEXT PRIMARY KEY,
    member     TEXT NOT NULL REFERENCES directory_members(id),
    name       TEXT NOT NULL,
    outcode    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (member, name)
);
INSERT INTO directory_sites (id, member, name, outcode, created_at)
    SELECT MIN(id), member, site, '', MIN(created_at) FROM directory_gateways GROUP BY member, site;
ALTER TABLE directory_gateways ADD COLUMN site_id TEXT REFERENCES directory_sites(id);
UPDATE directory_gateways SET site_id = (SELECT s.id FROM directory_sites s
    WHERE s.member = directory_gateways.member AND s.name = directory_gateways.site);
ALTER TABLE directory_gateways DROP COLUMN site;
CREATE INDEX directory_gateways_site ON directory_gateways (site_id, id);

-- The allowance of wrong codes, by network address (an IPv6 one by its /64):
-- the instant in Unix milliseconds from which it is whole again.
CREATE TABLE directory_guesses (
    address  TEXT PRIMARY KEY,
    whole_at BIGINT NOT NULL
);
CREATE INDEX directory_guesses_whole ON directory_guesses (whole_at);

-- +goose Down
DROP TABLE directory_guesses;
DROP INDEX directory_gateways_site;
ALTER TABLE directory_gateways ADD COLUMN site TEXT NOT NULL DEFAULT '';
UPDATE directory_gateways SET site = (SELECT s.name FROM directory_sites s WHERE s.id = directory_gateways.site_id);
ALTER TABLE directory_gateways DROP COLUMN site_id;
DROP TABLE directory_sites;
