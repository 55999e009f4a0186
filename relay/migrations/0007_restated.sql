-- +goose Up

-- When half-hours of a month that was over last changed, by register: what is
-- derived of the month is to be looked at again. Deletions do not count.
CREATE TABLE month_changed (
    register    BIGINT NOT NULL REFERENCES register (id),
    month       BIGINT NOT NULL,    -- its first instant, unix seconds
    changed     BIGINT NOT NULL,    -- unix seconds
    PRIMARY KEY (register, month)
);

-- A month's emissions have versions: a correction makes a new one, the figure
-- before it is kept. looked is when it was last found that a change of the
-- half-hours does not change the figure.
ALTER TABLE monthly_emissions ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE monthly_emissions ADD COLUMN looked BIGINT NOT NULL DEFAULT 0;
CREATE TABLE monthly_emissions_replaced (
    subject     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    month       BIGINT NOT NULL,
    version     BIGINT NOT NULL,
    micrograms  BIGINT NOT NULL,
    computed_at BIGINT NOT NULL,
    permission  TEXT   NOT NULL,
    inputs      TEXT   NOT NULL,
    replaced_at BIGINT NOT NULL,
    PRIMARY KEY (subject, kind, month, version)
);

-- The last batch that has been kept as long as it may be, with all that it brought.
ALTER TABLE head ADD COLUMN expired BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE head DROP COLUMN expired;
DROP TABLE monthly_emissions_replaced;
ALTER TABLE monthly_emissions DROP COLUMN looked;
ALTER TABLE monthly_emissions DROP COLUMN version;
DROP TABLE month_changed;
