package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type answerRow struct {
	ClientID       string
	IdempotencyKey string
	Fingerprint    []byte
	Sealed         []byte
	CreatedAt      int64 `gorm:"autoCreateTime:false"`
}

// TableName implements gorm's tabler.
func (answerRow) TableName() string { return "answers" }

const ofAnswer = "client_id = ? AND idempotency_key = ?"

// answered runs a change whose answer is to be kept, if the context says so. The
// key is taken before anything else happens: whoever comes second waits for the
// first, and is told ErrAnswered instead of what its own change would conflict
// with.
func (s *Store) answered(ctx context.Context, apply func(tx *gorm.DB) error) func(tx *gorm.DB) error {
	pending := registry.AnswerOf(ctx)
	if pending == nil {
		return apply
	}
	return func(tx *gorm.DB) error {
		now := s.now()
		err := tx.Exec("DELETE FROM answers WHERE "+ofAnswer+" AND created_at <= ?", pending.Caller, pending.Key, micros(now.Add(-registry.AnswersKept))).Error
		if err != nil {
			return err
		}
		taken := tx.Exec("INSERT INTO answers (client_id, idempotency_key, fingerprint, sealed, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (client_id, idempotency_key) DO NOTHING",
			pending.Caller, pending.Key, pending.Fingerprint, []byte{}, micros(now))
		if taken.Error != nil {
			return taken.Error
		}
		if taken.RowsAffected == 0 {
			return registry.ErrAnswered
		}
		if err := apply(tx); err != nil {
			return err
		}
		sealed, err := pending.Complete(ctx, s.inside(tx))
		if err != nil {
			return err
		}
		pending.Written = true // or the transaction fails, and the request with it
		return tx.Exec("UPDATE answers SET sealed = ? WHERE "+ofAnswer, sealed, pending.Caller, pending.Key).Error
	}
}

// inside is the store as a transaction sees it.
func (s *Store) inside(tx *gorm.DB) *Store {
	return &Store{dialect: s.dialect, writer: tx, reader: tx, now: s.now, within: true}
}

// Answer reads what was answered to a caller's request with a key. ErrNotFound:
// nothing, or too long ago.
func (s *Store) Answer(ctx context.Context, caller, key string) (*registry.Answer, error) {
	row, err := take[answerRow](s.reader.WithContext(ctx), ofAnswer+" AND created_at > ?", caller, key, micros(s.now().Add(-registry.AnswersKept)))
	if err != nil {
		return nil, err
	}
	return &registry.Answer{Caller: row.ClientID, Key: row.IdempotencyKey, Fingerprint: row.Fingerprint, Sealed: row.Sealed}, nil
}

// PurgeAnswers deletes answers of before a moment, in a batch. It tells how many
// there were.
func (s *Store) PurgeAnswers(ctx context.Context, before time.Time) (int64, error) {
	return s.purge(ctx, `DELETE FROM answers WHERE created_at < ? AND (client_id, idempotency_key) IN
		(SELECT client_id, idempotency_key FROM answers WHERE created_at < ? LIMIT ?)`, micros(before), micros(before))
}
