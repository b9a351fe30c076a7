-- +goose Up
-- Who is signed in at the panel, by the hash of the token that the browser has.

CREATE TABLE panel_sessions (
    token_hash BLOB NOT NULL PRIMARY KEY,
    person     TEXT NOT NULL, -- JSON
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX panel_sessions_expires ON panel_sessions (expires_at);
