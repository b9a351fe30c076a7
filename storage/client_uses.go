package storage

import (
	"context"
	"strings"

	"github.com/cambio-oauth/cambio/migrations"
)

// clientUse says when a client last got a token, in microseconds since 1970.
type clientUse struct {
	clientID string
	usedAt   int64
}

// clientsUsed stores when clients last got a token; the latest moment stays. Of
// clients that are gone nothing is stored. Uses have to be in one order
// everywhere, or two replicas would wait for each other.
//
// A client that is just being deleted is passed over on PostgreSQL: who deletes
// it takes its use along, and the two could wait for each other.
func (s *Store) clientsUsed(ctx context.Context, uses []clientUse) error {
	values, args := make([]string, len(uses)), make([]any, 0, 2*len(uses))
	for i, use := range uses {
		values[i] = "(CAST(? AS TEXT), CAST(? AS BIGINT))"
		args = append(args, use.clientID, use.usedAt)
	}
	lock := ""
	if s.dialect == migrations.Postgres {
		lock = " FOR KEY SHARE OF c SKIP LOCKED"
	}
	return translate(s.writer.WithContext(ctx).Exec(`INSERT INTO client_uses (client_id, used_at)
		SELECT c.client_id, u.column2 FROM (VALUES `+strings.Join(values, ", ")+`) AS u JOIN clients c ON c.client_id = u.column1
		WHERE 1 = 1 ORDER BY c.client_id`+lock+`
		ON CONFLICT (client_id) DO UPDATE SET used_at = excluded.used_at WHERE excluded.used_at > client_uses.used_at`, args...).Error)
}
