-- +goose Up
-- Clients that authenticate with a key of their own (RFC 7523), and key URLs
-- that take identity assertions (ID-JAG).

ALTER TABLE clients ADD COLUMN jwks TEXT NOT NULL DEFAULT ''; -- JSON, public halves only
ALTER TABLE clients ADD COLUMN jwks_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE key_urls ADD COLUMN allow_id_jag BOOLEAN NOT NULL DEFAULT FALSE;
