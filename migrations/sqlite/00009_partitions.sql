-- +goose Up
-- SQLite has no partitions: retention deletes records in small batches, by the
-- primary key. The step is here for both dialects to have the same ones.

SELECT 1;
