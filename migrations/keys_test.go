package migrations_test

import (
	"strings"
	"testing"
)

// SQLite lets a PRIMARY KEY be NULL, any number of times, unless it is NOT NULL
// or an INTEGER.
func TestPrimaryKeysAreNotNull(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		db.up(t)
		for _, statement := range []string{
			"INSERT INTO integrators (id, name, status, generation, revision, created_at, updated_at) VALUES (NULL, 'x', 'active', 1, 1, 1, 1)",
			"INSERT INTO revoked_tokens (jti, expires_at, revoked_at) VALUES (NULL, 1, 1)",
			"INSERT INTO exchanges (id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at) " +
				"VALUES (NULL, 1, '', '', '', '', '', '', '', '', '', '', '', '', 1)",
		} {
			if _, err := db.ExecContext(t.Context(), statement); err == nil || !strings.Contains(strings.ToUpper(err.Error()), "NULL") {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
}
