package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type signingKeyRow struct {
	ID        string `gorm:"primaryKey"`
	Algorithm string
	State     string
	Public    []byte
	Sealed    []byte
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	RetiredAt int64
}

// TableName implements gorm's tabler.
func (signingKeyRow) TableName() string { return "signing_keys" }

func (r signingKeyRow) signingKey() registry.SigningKey {
	return registry.SigningKey{
		ID: r.ID, Algorithm: r.Algorithm, State: r.State, Public: r.Public, Sealed: r.Sealed,
		CreatedAt: fromMicros(r.CreatedAt), RetiredAt: fromMicros(r.RetiredAt),
	}
}

// SigningKeys lists all signing keys, oldest first.
func (s *Store) SigningKeys(ctx context.Context) ([]registry.SigningKey, error) {
	var rows []signingKeyRow
	err := s.ask(ctx, func(ctx context.Context) error { // one who verifies a token may wait for it
		return s.reader.WithContext(ctx).Order("created_at, id").Find(&rows).Error
	})
	if err != nil {
		return nil, translate(err)
	}
	return convertAll(rows, signingKeyRow.signingKey), nil
}

// AddSigningKey stores a key. ErrConflict: one of that algorithm and state
// exists already.
func (s *Store) AddSigningKey(ctx context.Context, k registry.SigningKey) error {
	return s.change(ctx, func(tx *gorm.DB) error { return insertSigningKey(tx, k) })
}

func insertSigningKey(tx *gorm.DB, k registry.SigningKey) error {
	return tx.Create(&signingKeyRow{
		ID: k.ID, Algorithm: k.Algorithm, State: k.State, Public: k.Public, Sealed: k.Sealed, CreatedAt: micros(k.CreatedAt),
	}).Error
}

// RotateSigningKeys retires the active key, makes the next one active and adds
// another next one, all or nothing. ErrConflict: next is no longer the next
// key, because somebody else rotated.
func (s *Store) RotateSigningKeys(ctx context.Context, active, next string, following registry.SigningKey, at time.Time) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		retired := tx.Exec("UPDATE signing_keys SET state = 'retired', retired_at = ? WHERE id = ? AND state = 'active'", micros(at), active)
		if retired.Error != nil {
			return retired.Error
		}
		activated := tx.Exec("UPDATE signing_keys SET state = 'active' WHERE id = ? AND state = 'next'", next)
		if activated.Error != nil {
			return activated.Error
		}
		if retired.RowsAffected != 1 || activated.RowsAffected != 1 {
			return registry.ErrConflict
		}
		return insertSigningKey(tx, following)
	})
}

// ResealSigningKey replaces what is sealed, if it is still what it was.
func (s *Store) ResealSigningKey(ctx context.Context, id string, was, sealed []byte) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		result := tx.Exec("UPDATE signing_keys SET sealed = ? WHERE id = ? AND sealed = ?", sealed, id, was)
		if result.Error == nil && result.RowsAffected == 0 {
			return registry.ErrNotFound
		}
		return result.Error
	})
}
