-- +goose Up
-- What a change of rules that is on trial would have done in an attempt.

ALTER TABLE exchanges ADD COLUMN audit_change TEXT NOT NULL DEFAULT ''; -- empty: no change was on trial
ALTER TABLE exchanges ADD COLUMN audit_result TEXT NOT NULL DEFAULT '';
ALTER TABLE exchanges ADD COLUMN audit_code TEXT NOT NULL DEFAULT '';
ALTER TABLE exchanges ADD COLUMN audit_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE exchanges ADD COLUMN audit_lost TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE exchanges ADD COLUMN audit_gained TEXT NOT NULL DEFAULT '[]'; -- JSON
CREATE INDEX exchanges_audit ON exchanges (integrator_id, audit_change) WHERE audit_change <> '';
