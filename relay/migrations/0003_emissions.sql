-- +goose Up

-- The grid's carbon intensity where a meter is, half-hour by half-hour, as the
-- National Energy System Operator gave it. gco2 is null where it had no value:
-- unknown, never zero. A value is provisional until its half-hour is a day
-- old, is then asked for once more, and is frozen.
CREATE TABLE intensity (
    outcode    TEXT    NOT NULL,
    start      BIGINT  NOT NULL, -- unix seconds, a multiple of 1800
    gco2       BIGINT,           -- gCO2/kWh
    fetched_at BIGINT  NOT NULL, -- unix seconds
    frozen     BOOLEAN NOT NULL,
    PRIMARY KEY (outcode, start)
);

-- What a frozen value was before, where it changed.
CREATE TABLE intensity_superseded (
    outcode    TEXT   NOT NULL,
    start      BIGINT NOT NULL,
    gco2       BIGINT,
    fetched_at BIGINT NOT NULL,
    PRIMARY KEY (outcode, start, fetched_at)
);

-- Complete months. Derived data, kept when the readings are deleted. A month
-- is computed once and never again: the difference between two versions would
-- tell a bank about the half-hours between them.
CREATE TABLE monthly_emissions (
    subject     TEXT   NOT NULL, -- whose: a hash of the gateway and its meters of this kind
    kind        TEXT   NOT NULL, -- electricity or gas
    month       BIGINT NOT NULL, -- its first instant, unix seconds
    micrograms  BIGINT NOT NULL, -- CO2e, exact
    computed_at BIGINT NOT NULL, -- unix seconds
    permission  TEXT   NOT NULL, -- the permission it was computed under
    inputs      TEXT   NOT NULL, -- JSON: counts, qualities, batches, grid, factor
    PRIMARY KEY (subject, kind, month)
);

-- +goose Down
DROP TABLE monthly_emissions;
DROP TABLE intensity_superseded;
DROP TABLE intensity;
