-- +goose Up
-- Keys of other people: their last good documents outlive an outage and a
-- restart, and a new epoch makes every replica forget what it has.

ALTER TABLE key_urls ADD COLUMN single_use BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE key_urls ADD COLUMN keys_epoch BIGINT NOT NULL DEFAULT 0;

CREATE TABLE key_documents (
    integrator_id TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    url           TEXT NOT NULL,
    format        TEXT NOT NULL, -- as configured
    epoch         BIGINT NOT NULL,
    found_format  TEXT NOT NULL,
    keys          TEXT NOT NULL, -- JSON, public halves only
    warnings      TEXT NOT NULL, -- JSON
    fetched_at    BIGINT NOT NULL, -- 0: never
    failing_since BIGINT NOT NULL, -- 0: the last fetch succeeded
    failed_at     BIGINT NOT NULL,
    failure       TEXT NOT NULL,
    PRIMARY KEY (integrator_id, url, format)
);

CREATE TABLE key_uses (
    integrator_id TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    url           TEXT NOT NULL,
    format        TEXT NOT NULL,
    thumbprint    TEXT NOT NULL,
    used_at       BIGINT NOT NULL,
    PRIMARY KEY (integrator_id, url, format, thumbprint)
);

-- Subject tokens that may be used once, by a hash of integrator, issuer and jti.
CREATE TABLE consumed_tokens (
    token_hash BLOB NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX consumed_tokens_expires ON consumed_tokens (expires_at);
