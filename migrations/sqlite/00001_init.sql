-- +goose Up
-- Times are microseconds since 1970, UTC. Lists are JSON arrays.

CREATE TABLE integrators (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    generation BIGINT NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE key_urls (
    id                TEXT NOT NULL PRIMARY KEY,
    integrator_id     TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    issuer            TEXT NOT NULL,
    url               TEXT NOT NULL,
    format            TEXT NOT NULL,
    algorithms        TEXT NOT NULL,
    audiences         TEXT NOT NULL,
    permissions_claim TEXT NOT NULL,
    allow_id_token    BOOLEAN NOT NULL,
    clientless        BOOLEAN NOT NULL,
    max_lifetime      BIGINT NOT NULL, -- seconds
    status            TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    revision          BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    UNIQUE (integrator_id, issuer, url)
);
CREATE INDEX key_urls_issuer ON key_urls (issuer);

-- Which integrator a token without a client belongs to is unique by
-- construction: one owner for each issuer and audience.
CREATE TABLE clientless_audiences (
    issuer        TEXT NOT NULL,
    audience      TEXT NOT NULL,
    integrator_id TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, audience)
);
CREATE INDEX clientless_audiences_integrator ON clientless_audiences (integrator_id);

CREATE TABLE resource_servers (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    audience   TEXT NOT NULL UNIQUE,
    client_id  TEXT NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE clients (
    id                 TEXT NOT NULL PRIMARY KEY,
    client_id          TEXT NOT NULL UNIQUE,
    owner              TEXT NOT NULL CHECK (owner IN ('integrator', 'operator', 'resource_server')),
    integrator_id      TEXT REFERENCES integrators (id) ON DELETE CASCADE,
    resource_server_id TEXT REFERENCES resource_servers (id) ON DELETE CASCADE,
    name               TEXT NOT NULL,
    auth_method        TEXT NOT NULL,
    grant_types        TEXT NOT NULL,
    scopes             TEXT, -- NULL: none set
    access_token_ttl   BIGINT NOT NULL, -- seconds, 0: the server's
    allowed_origins    TEXT NOT NULL,
    status             TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    generation         BIGINT NOT NULL,
    revision           BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    CHECK ((owner = 'integrator') = (integrator_id IS NOT NULL)),
    CHECK ((owner = 'resource_server') = (resource_server_id IS NOT NULL))
);
CREATE INDEX clients_integrator ON clients (integrator_id);
CREATE INDEX clients_resource_server ON clients (resource_server_id);

CREATE TABLE client_secrets (
    client_id  TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    hash       BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- 0: does not end
    PRIMARY KEY (client_id, hash)
);

CREATE TABLE lock_holders (
    id                     TEXT NOT NULL PRIMARY KEY,
    name                   TEXT NOT NULL,
    country_iso            TEXT NOT NULL,
    organization_id        TEXT NOT NULL,
    organization_id_suffix TEXT NOT NULL,
    revision               BIGINT NOT NULL,
    created_at             BIGINT NOT NULL,
    updated_at             BIGINT NOT NULL,
    UNIQUE (country_iso, organization_id, organization_id_suffix)
);

CREATE TABLE lock_holder_links (
    integrator_id  TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    lock_holder_id TEXT NOT NULL REFERENCES lock_holders (id) ON DELETE CASCADE,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (integrator_id, lock_holder_id)
);
CREATE INDEX lock_holder_links_lock_holder ON lock_holder_links (lock_holder_id);

CREATE TABLE signing_keys (
    id         TEXT NOT NULL PRIMARY KEY,
    algorithm  TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public     BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT NOT NULL -- 0: not retired
);
-- However many replicas start or rotate at once, one key of each kind remains.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (algorithm) WHERE state = 'next';

-- Revocation is the only state of a token: by its jti, never by its text.
CREATE TABLE revoked_tokens (
    jti        TEXT NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_expires ON revoked_tokens (expires_at);

-- "All tokens of this subject": those issued up to a moment. The subject is
-- hashed, and the row is needed no longer than the longest token lives.
CREATE TABLE subject_epochs (
    integrator_id TEXT NOT NULL REFERENCES integrators (id) ON DELETE CASCADE,
    subject_hash  BLOB NOT NULL,
    not_before    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (integrator_id, subject_hash)
);
CREATE INDEX subject_epochs_expires ON subject_epochs (expires_at);

-- No foreign keys: the record outlives what it tells of.
CREATE TABLE exchanges (
    id            TEXT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    grant_type    TEXT NOT NULL,
    result        TEXT NOT NULL,
    code          TEXT NOT NULL,
    reason        TEXT NOT NULL,
    integrator_id TEXT NOT NULL,
    client_id     TEXT NOT NULL,
    issuer        TEXT NOT NULL,
    subject       TEXT NOT NULL,
    key_id        TEXT NOT NULL,
    granted       TEXT NOT NULL,
    dropped       TEXT NOT NULL,
    token_id      TEXT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX exchanges_integrator ON exchanges (integrator_id, id);

-- Moves with every change of configuration; replicas compare it.
CREATE TABLE changes (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL
);
INSERT INTO changes (id, seq) VALUES (1, 1);
