-- +goose Up
-- Where the permissions of a subject token are: further claims beside the
-- first, and how they hold them.

ALTER TABLE key_urls ADD COLUMN more_permissions_claims TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE key_urls ADD COLUMN permissions_format TEXT NOT NULL DEFAULT 'array';
