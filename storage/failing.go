package storage

import (
	"context"

	"github.com/cambio-oauth/cambio/registry"
)

// FailingKeyURLs lists active key URLs of active integrators whose keys could
// not be fetched when that was last tried, the longest failing first.
func (s *Store) FailingKeyURLs(ctx context.Context, limit int) ([]registry.FailingKeyURL, error) {
	var rows []struct {
		ID, IntegratorID, IntegratorName, Issuer, URL, Failure string

		FetchedAt, FailingSince int64
	}
	err := s.reader.WithContext(ctx).Raw(`SELECT k.id, k.integrator_id, i.name AS integrator_name, k.issuer, k.url, d.failure, d.fetched_at, d.failing_since
		FROM key_documents d
		JOIN key_urls k ON k.integrator_id = d.integrator_id AND k.url = d.url AND k.format = d.format AND k.status = 'active'
		JOIN integrators i ON i.id = k.integrator_id AND i.status = 'active'
		WHERE d.failing_since > 0 ORDER BY d.failing_since, k.id LIMIT ?`, limit).Scan(&rows).Error
	if err != nil {
		return nil, translate(err)
	}
	failing := make([]registry.FailingKeyURL, len(rows))
	for i, r := range rows {
		failing[i] = registry.FailingKeyURL{
			ID: r.ID, IntegratorID: r.IntegratorID, IntegratorName: r.IntegratorName, Issuer: r.Issuer, URL: r.URL, Failure: r.Failure,
			FetchedAt: fromMicros(r.FetchedAt), FailingSince: fromMicros(r.FailingSince),
		}
	}
	return failing, nil
}
