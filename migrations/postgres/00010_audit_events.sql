-- +goose Up
-- Who changed what. Events outlive what they are about.

CREATE TABLE audit_events (
    id            TEXT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    client_id     TEXT NOT NULL,
    integrator_id TEXT NOT NULL, -- empty: the platform's
    action        TEXT NOT NULL,
    kind          TEXT NOT NULL,
    object_id     TEXT NOT NULL,
    old_value     TEXT NOT NULL, -- JSON; empty: nothing
    new_value     TEXT NOT NULL
);
CREATE INDEX audit_events_integrator ON audit_events (integrator_id, id);
