package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/registry"
)

type sessionRow struct {
	TokenHash []byte `gorm:"primaryKey"`
	Person    string
	SeenAt    int64
	ExpiresAt int64
}

// TableName implements gorm's tabler.
func (sessionRow) TableName() string { return "panel_sessions" }

// CreateSession keeps who signed in.
func (s *Store) CreateSession(ctx context.Context, session registry.Session) error {
	return s.ask(ctx, func(ctx context.Context) error {
		return translate(s.writer.WithContext(ctx).Create(&sessionRow{
			TokenHash: session.TokenHash, Person: string(session.Person), SeenAt: micros(session.SeenAt), ExpiresAt: micros(session.ExpiresAt),
		}).Error)
	})
}

// Session gives the session of a token. It is read from the primary, so that
// one that was ended on another replica is over here, too.
func (s *Store) Session(ctx context.Context, tokenHash []byte) (*registry.Session, error) {
	var row sessionRow
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		row, err = take[sessionRow](s.reader.WithContext(ctx), "token_hash = ?", tokenHash)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &registry.Session{TokenHash: row.TokenHash, Person: []byte(row.Person), SeenAt: fromMicros(row.SeenAt), ExpiresAt: fromMicros(row.ExpiresAt)}, nil
}

// TouchSession notes when a session was last used. One that has ended meanwhile
// stays ended.
func (s *Store) TouchSession(ctx context.Context, tokenHash []byte, at time.Time) error {
	return s.ask(ctx, func(ctx context.Context) error {
		return translate(s.writer.WithContext(ctx).Exec("UPDATE panel_sessions SET seen_at = ? WHERE token_hash = ? AND seen_at < ?", micros(at), tokenHash, micros(at)).Error)
	})
}

// EndSession ends a session. One that is not there has ended.
func (s *Store) EndSession(ctx context.Context, tokenHash []byte) error {
	return s.ask(ctx, func(ctx context.Context) error {
		return translate(s.writer.WithContext(ctx).Exec("DELETE FROM panel_sessions WHERE token_hash = ?", tokenHash).Error)
	})
}

// PurgeSessions deletes sessions that expired before a moment, in a batch. It
// tells how many there were.
func (s *Store) PurgeSessions(ctx context.Context, expiredBefore time.Time) (int64, error) {
	return s.purge(ctx, "DELETE FROM panel_sessions WHERE expires_at < ? AND token_hash IN (SELECT token_hash FROM panel_sessions WHERE expires_at < ? LIMIT ?)", micros(expiredBefore), micros(expiredBefore))
}

// HasOperator tells whether there is, or was, a client of the operator's.
func (s *Store) HasOperator(ctx context.Context) (found bool, err error) {
	err = s.ask(ctx, func(ctx context.Context) (err error) {
		found, err = hasOperator(s.reader.WithContext(ctx))
		return err
	})
	return found, err
}

// HasSecretSince tells whether a client has a secret that it had at a moment,
// and that works: if it has none, whoever signed in with one then must not stay.
func (s *Store) HasSecretSince(ctx context.Context, clientID string, at time.Time) (bool, error) {
	var n int64
	err := s.ask(ctx, func(ctx context.Context) error {
		return s.reader.WithContext(ctx).Raw("SELECT COUNT(*) FROM client_secrets WHERE client_id = ? AND created_at <= ? AND (expires_at = 0 OR expires_at > ?)",
			clientID, micros(at), micros(s.now())).Scan(&n).Error
	})
	return n > 0, translate(err)
}

func hasOperator(db *gorm.DB) (bool, error) {
	var n int64
	err := db.Raw("SELECT COUNT(*) FROM clients WHERE owner = ?", string(registry.OwnerOperator)).Scan(&n).Error
	return n > 0, translate(err)
}

// CreateFirstOperator makes the operator's client where none ever was, and is
// ErrConflict otherwise: of two who follow the link for setting up, one succeeds.
func (s *Store) CreateFirstOperator(ctx context.Context, c *registry.Client) error {
	return s.change(ctx, func(tx *gorm.DB) error {
		found, err := hasOperator(tx)
		if err != nil {
			return err
		}
		if found {
			return registry.Conflict("there is a client of the operator's already")
		}
		return s.insertOperator(tx, c)
	})
}
