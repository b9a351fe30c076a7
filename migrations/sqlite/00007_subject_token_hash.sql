-- +goose Up
-- Which subject token an attempt was made with, as its SHA-256 in hex; empty
-- when there was none, and of attempts from before. No token is stored.

ALTER TABLE exchanges ADD COLUMN subject_token_hash TEXT NOT NULL DEFAULT '';
