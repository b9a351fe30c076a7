package main

import (
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Notifications are a hint: what nobody announces is found by looking.
func TestAChangeThatNobodyAnnounces(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		id := s.admin("POST", "/integrators", object{"name": "Acme"}).text("id")
		execute(t, sideDoor(t, databaseURL), "UPDATE integrators SET name = 'renamed';;UPDATE changes SET seq = seq + 1")
		eventually(t, "the change is found", func() bool {
			snapshot, err := s.p.directory.Snapshot()
			return err == nil && snapshot.Integrator(id).Name == "renamed"
		})
	})
}

// A server listens as long as it runs, and no longer.
func TestAServerListens(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	db := sideDoor(t, databaseURL)
	listeners := func(want int) func() bool {
		return func() bool {
			var n int
			err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'cambio listener' AND query LIKE 'LISTEN %'`).Scan(&n)
			return err == nil && n == want
		}
	}
	t.Run("running", func(t *testing.T) {
		startServer(t, databaseURL, nil)
		eventually(t, "it listens", listeners(1))
	})
	eventually(t, "it has gone", listeners(0))
}
