-- +goose Up
-- Answers to requests with an idempotency key, to be given again for a day.

CREATE TABLE answers (
    client_id       TEXT NOT NULL, -- who called
    idempotency_key TEXT NOT NULL,
    fingerprint     BLOB NOT NULL, -- of the request
    sealed          BLOB NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (client_id, idempotency_key)
);
CREATE INDEX answers_created ON answers (created_at);
