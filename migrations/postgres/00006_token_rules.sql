-- +goose Up
-- What a key URL asks of a subject token besides its audience, and a change to
-- its rules that is on trial.

ALTER TABLE key_urls ADD COLUMN audience_claims TEXT NOT NULL DEFAULT '["aud"]'; -- JSON
ALTER TABLE key_urls ADD COLUMN required_claims TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE key_urls ADD COLUMN condition TEXT NOT NULL DEFAULT ''; -- CEL
ALTER TABLE key_urls ADD COLUMN audited_change TEXT NOT NULL DEFAULT ''; -- JSON; empty: none
