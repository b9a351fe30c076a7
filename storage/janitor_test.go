package storage_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const janitorLock = 0x63616d62696f

// One replica cleans at a time: while another one does, nothing is done and
// nothing fails.
func TestOneReplicaCleansAtATime(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	store := migrated(t, databaseURL)
	now := time.Now()
	if err := store.Revoke(t.Context(), "old", now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	another, err := raw(t, databaseURL).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := another.ExecContext(t.Context(), fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(janitorLock))); err != nil {
		t.Fatal(err)
	}
	if n, err := store.PurgeRevoked(t.Context(), now); err != nil || n != 0 {
		t.Errorf("while another one cleans: %d, %v", n, err)
	}
	if err := another.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n, err := store.PurgeRevoked(t.Context(), now); err != nil || n != 1 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// Two that clean at once delete everything between them, each row once.
func TestTwoJanitors(t *testing.T) {
	const rows = 2000
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		stores := []*storage.Store{migrated(t, databaseURL), opened(t, databaseURL)}
		now := time.Now()
		db := raw(t, databaseURL)
		for i := range rows {
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO revoked_tokens (jti, expires_at, revoked_at) VALUES ('old-%d', 1, 1)", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := stores[0].Revoke(t.Context(), "alive", now); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var deleted int64
		for _, store := range stores {
			all.Go(func() {
				for range rows { // more often than there are batches
					n, err := store.PurgeRevoked(context.WithoutCancel(t.Context()), now)
					mu.Lock()
					deleted += n
					done := deleted == rows || err != nil
					mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					if done {
						return
					}
				}
			})
		}
		all.Wait()
		if state, err := stores[0].TokenState(t.Context(), storage.TokenQuery{ID: "alive"}); err != nil || !state.Revoked || deleted != rows {
			t.Errorf("deleted %d, want %d; what is alive: %+v, %v", deleted, rows, state, err)
		}
	})
}
