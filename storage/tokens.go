package storage

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
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
	return s.ask(ctx, func(ctx context.Context) error {
		return translate(s.writer.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error)
	})
}

// TokenQuery names a token and what it came from. An id that is empty asks for
// nothing.
type TokenQuery struct {
	ID           string // jti
	IntegratorID string
	ClientID     string
	Subjects     [2]string // the names its subject goes by
	Issuer       string    // of the subject token it came from
}

// TokenState is what decides whether a token that verifies is alive.
type TokenState struct {
	Revoked     bool
	Generations grants.Generations // -1 for an integrator or client that is gone or disabled; 0 for one not asked for
	// Distrusted: the integrator has no active key URL for the issuer any more.
	Distrusted bool
	// NotBefore: tokens of the subject that were issued up to then are dead.
	// Zero: none are.
	NotBefore time.Time
}

// tokenState asks for all of it at once, by primary keys.
const tokenState = `SELECT
	(SELECT COUNT(*) FROM revoked_tokens WHERE jti = ?),
	(SELECT generation FROM integrators WHERE id = ? AND status = 'active'),
	(SELECT generation FROM clients WHERE client_id = ? AND status = 'active'),
	(SELECT COUNT(*) FROM key_urls WHERE integrator_id = ? AND issuer = ? AND status = 'active'),
	(SELECT MAX(not_before) FROM subject_epochs WHERE integrator_id = ? AND (subject_hash = ? OR subject_hash = ? OR subject_hash = ?))`

// TokenState reads the state of a token in one statement over primary keys,
// from the primary, on every call.
func (s *Store) TokenState(ctx context.Context, q TokenQuery) (TokenState, error) {
	var revoked, trusted int64
	var integrator, client, notBefore sql.NullInt64
	err := s.ask(ctx, func(ctx context.Context) error {
		return s.tokenState.scan(ctx, []any{
			q.ID, q.IntegratorID, q.ClientID, q.IntegratorID, q.Issuer, q.IntegratorID, subjectHash(q.Subjects[0]), subjectHash(q.Subjects[1]), issuerHash(q.Issuer),
		}, &revoked, &integrator, &client, &trusted, &notBefore)
	})
	if err != nil {
		return TokenState{}, err
	}
	state := TokenState{
		Revoked:     revoked > 0,
		Distrusted:  q.Issuer != "" && trusted == 0,
		Generations: grants.Generations{Integrator: generation(q.IntegratorID, integrator), Client: generation(q.ClientID, client)},
	}
	if notBefore.Valid {
		state.NotBefore = fromMicros(notBefore.Int64)
	}
	return state, nil
}

func subjectHash(subject string) []byte {
	hash := sha256.Sum256([]byte(subject))
	return hash[:]
}

// RevokeSubjectTokens kills the tokens of one subject of an integrator that
// were issued up to now. subject is the sub of the subject tokens, or of ours.
func (s *Store) RevokeSubjectTokens(ctx context.Context, integratorID, subject string) error {
	if subject == "" {
		return registry.ErrNotFound
	}
	return translate(s.writer.WithContext(ctx).Transaction(s.answered(ctx, s.noted(ctx, func(tx *gorm.DB) error {
		return s.endSubject(tx, integratorID, subjectHash(subject), "1 = 1")
	}))))
}

// endSubject kills the tokens of a subject that were issued up to now, if a
// condition holds. The later moment stays: a replica whose clock is behind
// revives nobody.
func (s *Store) endSubject(db *gorm.DB, integratorID string, hash []byte, condition string, args ...any) error {
	now := s.now()
	values := []any{integratorID, hash, micros(now), micros(now.Add(registry.MaxAccessTokenTTL + time.Hour))}
	return db.Exec(`INSERT INTO subject_epochs (integrator_id, subject_hash, not_before, expires_at) SELECT ?, ?, ?, ? WHERE `+condition+`
		ON CONFLICT (integrator_id, subject_hash) DO UPDATE SET not_before = excluded.not_before, expires_at = excluded.expires_at
		WHERE excluded.not_before > subject_epochs.not_before`, append(values, args...)...).Error
}

// endIssuer kills the tokens of an issuer that has no active key URL left, for
// good.
func (s *Store) endIssuer(tx *gorm.DB, integratorID, issuer string) error {
	return s.endSubject(tx, integratorID, issuerHash(issuer),
		"NOT EXISTS (SELECT 1 FROM key_urls WHERE integrator_id = ? AND issuer = ? AND status = 'active')", integratorID, issuer)
}

// issuerHash names an issuer among the subjects: no subject holds a NUL.
func issuerHash(issuer string) []byte { return subjectHash("issuer\x00" + issuer) }

// Consume uses up a subject token, by the names it is unique under (RFC 7519
// §4.1.7). It tells whether this was the first time; of any number at once, on
// any replicas, one is told so.
func (s *Store) Consume(ctx context.Context, integratorID, issuer, tokenID string, expiresAt time.Time) (first bool, err error) {
	err = s.ask(ctx, func(ctx context.Context) error {
		result := s.writer.WithContext(ctx).Exec(
			"INSERT INTO consumed_tokens (expires_at, token_hash) VALUES (?, ?) ON CONFLICT (token_hash) DO NOTHING",
			micros(expiresAt), consumedHash(integratorID, issuer, tokenID))
		first = result.RowsAffected == 1
		return translate(result.Error)
	})
	return first, err
}

// Consumed tells whether a subject token was used up.
func (s *Store) Consumed(ctx context.Context, integratorID, issuer, tokenID string) (bool, error) {
	var n int64
	err := s.ask(ctx, func(ctx context.Context) error {
		return s.reader.WithContext(ctx).Raw("SELECT COUNT(*) FROM consumed_tokens WHERE token_hash = ?", consumedHash(integratorID, issuer, tokenID)).Scan(&n).Error
	})
	return n > 0, translate(err)
}

func consumedHash(integratorID, issuer, tokenID string) []byte {
	hash := sha256.New()
	for _, part := range []string{integratorID, issuer, tokenID} {
		fmt.Fprintf(hash, "%d:%s,", len(part), part) // lengths, so that no two triples are one text
	}
	return hash.Sum(nil)
}

func generation(id string, found sql.NullInt64) int64 {
	switch {
	case id == "":
		return 0
	case !found.Valid:
		return -1
	}
	return found.Int64
}
