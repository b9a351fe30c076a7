package storage

import (
	"context"
	"time"

	"gorm.io/gorm/clause"

	"github.com/cambio-oauth/cambio/grants"
)

type revokedRow struct {
	JTI       string `gorm:"column:jti;primaryKey"`
	ExpiresAt int64
	RevokedAt int64
}

// TableName implements gorm's tabler.
func (revokedRow) TableName() string { return "revoked_tokens" }

// Revoke makes a token dead by its jti. When it returns nil that is durable.
func (s *Store) Revoke(ctx context.Context, jti string, expiresAt time.Time) error {
	row := revokedRow{JTI: jti, ExpiresAt: micros(expiresAt), RevokedAt: micros(s.now())}
	return translate(s.writer.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error)
}

// TokenState is what decides whether a token that verifies is alive.
type TokenState struct {
	Revoked     bool
	Generations grants.Generations // -1 for an integrator or client that is gone or disabled
}

// TokenState reads the state of a token in one statement over primary keys,
// from the primary, on every call. An id that is empty asks for nothing, and
// its generation is 0.
func (s *Store) TokenState(ctx context.Context, jti, integratorID, clientID string) (TokenState, error) {
	var row struct {
		Revoked    int64
		Integrator *int64
		Client     *int64
	}
	err := s.reader.WithContext(ctx).Raw(`SELECT
		(SELECT COUNT(*) FROM revoked_tokens WHERE jti = ?) AS revoked,
		(SELECT generation FROM integrators WHERE id = ? AND status = 'active') AS integrator,
		(SELECT generation FROM clients WHERE client_id = ? AND status = 'active') AS client`,
		jti, integratorID, clientID).Scan(&row).Error
	if err != nil {
		return TokenState{}, translate(err)
	}
	return TokenState{
		Revoked:     row.Revoked > 0,
		Generations: grants.Generations{Integrator: generation(integratorID, row.Integrator), Client: generation(clientID, row.Client)},
	}, nil
}

func generation(id string, found *int64) int64 {
	switch {
	case id == "":
		return 0
	case found == nil:
		return -1
	}
	return *found
}

// PurgeRevoked deletes revocations of tokens that expired before a moment, in
// a batch that holds the writer for a blink. It tells how many there were.
func (s *Store) PurgeRevoked(ctx context.Context, expiredBefore time.Time) (int64, error) {
	const batch = 500
	result := s.writer.WithContext(ctx).Exec(
		"DELETE FROM revoked_tokens WHERE jti IN (SELECT jti FROM revoked_tokens WHERE expires_at < ? LIMIT ?)", micros(expiredBefore), batch)
	return result.RowsAffected, translate(result.Error)
}
