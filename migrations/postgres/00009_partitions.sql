-- +goose Up
-- Records of exchanges by day, so that retention drops whole days. A record's
-- id is a UUIDv7, which begins with its time: by id, and not by the time of the
-- attempt, the primary key stays one, and pages in the order of ids merge the
-- indexes of the days without sorting. What is there becomes one partition up to the day after
-- tomorrow; the janitor makes one for each day after that. Whatever has no
-- partition of its own goes into the last one.

SET LOCAL lock_timeout = '2s'; -- exchanges wait behind this for no longer; it is tried again

ALTER TABLE exchanges RENAME TO exchanges_before;
ALTER INDEX exchanges_pkey RENAME TO exchanges_before_pkey;
ALTER INDEX exchanges_integrator RENAME TO exchanges_before_integrator;
ALTER INDEX exchanges_audit RENAME TO exchanges_before_audit;

CREATE TABLE exchanges (LIKE exchanges_before INCLUDING DEFAULTS) PARTITION BY RANGE (id);
ALTER TABLE exchanges ADD PRIMARY KEY (id);
CREATE INDEX exchanges_integrator ON exchanges (integrator_id, id);
CREATE INDEX exchanges_audit ON exchanges (integrator_id, audit_change) WHERE audit_change <> '';
CREATE TABLE exchanges_default PARTITION OF exchanges DEFAULT;

-- +goose StatementBegin
DO $$
DECLARE
    day timestamptz := (date_trunc('day', now() AT TIME ZONE 'UTC') + interval '2 days') AT TIME ZONE 'UTC';
    hex text := lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0');
    bound text := left(hex, 8) || '-' || right(hex, 4) || '-0000-0000-000000000000';
BEGIN
    WITH later AS (DELETE FROM exchanges_before WHERE id >= bound RETURNING *)
        INSERT INTO exchanges SELECT * FROM later;
    EXECUTE format('ALTER TABLE exchanges ATTACH PARTITION exchanges_before FOR VALUES FROM (MINVALUE) TO (%L)', bound);
END
$$;
-- +goose StatementEnd
