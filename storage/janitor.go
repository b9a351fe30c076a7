package storage

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/migrations"
)

const (
	// purgeBatch holds the one writer of SQLite for a blink.
	purgeBatch = 500
	// janitorLock is held by whoever cleans: "cambio" in ASCII.
	janitorLock = 0x63616d62696f
)

// exclusively cleans in a transaction of its own, unless another replica is at
// it: then it does nothing. The lock ends with the transaction, so a replica
// that dies holds up nobody, two can never be at work, and PgBouncer's
// transaction mode, which hands connections round, does no harm.
func (s *Store) exclusively(ctx context.Context, clean func(tx *gorm.DB) error) error {
	return translate(s.writer.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		free := s.dialect == migrations.SQLite // one writer anyway
		if !free {
			if err := tx.Raw("SELECT pg_try_advisory_xact_lock(?)", janitorLock).Scan(&free).Error; err != nil {
				return err
			}
		}
		if !free {
			return nil
		}
		return clean(tx)
	}))
}

// purge deletes a batch and tells how many rows there were: none, too, if
// another replica is at work.
func (s *Store) purge(ctx context.Context, statement string, args ...any) (deleted int64, err error) {
	err = s.exclusively(ctx, func(tx *gorm.DB) error {
		result := tx.Exec(statement, append(args, purgeBatch)...)
		deleted = result.RowsAffected
		return result.Error
	})
	if err != nil {
		return 0, err // taken back
	}
	return deleted, nil
}

// The condition stands outside as well: of a row that was renewed meanwhile
// PostgreSQL looks at that one alone again.

// PurgeRevoked deletes revocations of tokens that expired before a moment, in
// a batch. It tells how many there were.
func (s *Store) PurgeRevoked(ctx context.Context, expiredBefore time.Time) (int64, error) {
	return s.purge(ctx, "DELETE FROM revoked_tokens WHERE expires_at < ? AND jti IN (SELECT jti FROM revoked_tokens WHERE expires_at < ? LIMIT ?)", micros(expiredBefore), micros(expiredBefore))
}

// PurgeConsumed forgets used tokens that expired before a moment, in a batch. It
// tells how many there were.
func (s *Store) PurgeConsumed(ctx context.Context, expiredBefore time.Time) (int64, error) {
	return s.purge(ctx, "DELETE FROM consumed_tokens WHERE expires_at < ? AND token_hash IN (SELECT token_hash FROM consumed_tokens WHERE expires_at < ? LIMIT ?)", micros(expiredBefore), micros(expiredBefore))
}

// PurgeSubjectEpochs deletes epochs that no token can be as old as any more, in
// a batch. It tells how many there were.
func (s *Store) PurgeSubjectEpochs(ctx context.Context, expiredBefore time.Time) (int64, error) {
	return s.purge(ctx, `DELETE FROM subject_epochs WHERE expires_at < ? AND (integrator_id, subject_hash) IN
		(SELECT integrator_id, subject_hash FROM subject_epochs WHERE expires_at < ? LIMIT ?)`, micros(expiredBefore), micros(expiredBefore))
}

// DeleteSigningKeys deletes the keys that retired before a moment.
func (s *Store) DeleteSigningKeys(ctx context.Context, retiredBefore time.Time) error {
	return s.exclusively(ctx, func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM signing_keys WHERE state = 'retired' AND retired_at < ?", micros(retiredBefore)).Error
	})
}

// PurgeExchanges deletes records from before a moment, in a batch. It tells how
// many there were. Their age is that of their id, a UUIDv7, for which there is
// an index: one on the time of the attempt would cost every exchange. PostgreSQL
// keeps the whole day, and drops whole days, which are not counted.
func (s *Store) PurgeExchanges(ctx context.Context, before time.Time) (int64, error) {
	if s.dialect == migrations.Postgres {
		return s.purgePartitions(ctx, before)
	}
	return s.purge(ctx, "DELETE FROM exchanges WHERE id IN (SELECT id FROM exchanges WHERE id < ? ORDER BY id LIMIT ?)", firstID(before))
}

// firstID is no greater than any UUIDv7 of a moment and later.
func firstID(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16, ms&0xffff)
}
