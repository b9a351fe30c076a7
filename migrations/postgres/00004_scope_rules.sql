-- +goose Up
-- Which permissions become which scopes, outside lock holders: in the order in
-- which the rules were made.

CREATE TABLE scope_rules (
    id            TEXT NOT NULL PRIMARY KEY,
    integrator_id TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    permission    TEXT NOT NULL,
    scope         TEXT NOT NULL,
    revision      BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    UNIQUE (integrator_id, permission)
);
