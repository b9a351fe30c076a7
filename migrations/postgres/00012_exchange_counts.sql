-- +goose Up
-- How many attempts were granted and refused in each hour, and when clients
-- last got a token. Both are added up in memory and stored every few seconds.

-- The integrator stands first, because one is read at a time. Rows of one that
-- is gone go with their hour.
CREATE TABLE exchange_counts (
    hour          BIGINT NOT NULL, -- when it began
    integrator_id TEXT NOT NULL, -- empty: all together
    result        TEXT NOT NULL,
    reason        TEXT NOT NULL, -- or else the error code; empty when granted
    count         BIGINT NOT NULL,
    PRIMARY KEY (integrator_id, hour, result, reason)
);
CREATE INDEX exchange_counts_hour ON exchange_counts (hour);

-- Beside the clients, whose revision is for what somebody changed.
CREATE TABLE client_uses (
    client_id TEXT NOT NULL PRIMARY KEY REFERENCES clients (client_id) ON DELETE CASCADE,
    used_at   BIGINT NOT NULL
);
