package storage_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// listening starts a listener for the time of a test and gives a count of what
// it heard.
func listening(t *testing.T, store *storage.Store, heard func(context.Context)) *atomic.Int64 {
	t.Helper()
	var n atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		store.Listen(ctx, slog.New(slog.DiscardHandler), func(ctx context.Context) { heard(ctx); n.Add(1) })
	})
	t.Cleanup(func() { cancel(); worker.Wait() })
	return &n
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// Nobody polls here: what arrives has been heard of. A listener that is cut off
// comes back, and finds what it missed.
func TestChangesAreHeardOf(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	here, elsewhere := migrated(t, databaseURL), opened(t, databaseURL)
	directory, err := storage.NewDirectory(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	heard := listening(t, here, func(ctx context.Context) {
		if err := directory.Refresh(ctx); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "it listens", func() bool { return heard.Load() > 0 })
	known := func(id string) func() bool {
		return func() bool {
			snapshot, err := directory.Snapshot()
			return err == nil && snapshot.Integrator(id) != nil
		}
	}
	eventually(t, "a change is heard of", known(newIntegrator(t, elsewhere)))

	var killed int
	err = raw(t, databaseURL).QueryRowContext(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'cambio listener'`).Scan(&killed)
	if err != nil || killed != 1 {
		t.Fatalf("%d listeners were cut off: %v", killed, err)
	}
	eventually(t, "what it missed is found", known(newIntegrator(t, elsewhere)))
	eventually(t, "it hears again", known(newIntegrator(t, elsewhere)))
}

// A change that is taken back is not announced.
func TestAFailedChangeIsNotHeardOf(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	store := migrated(t, databaseURL)
	heard := listening(t, store, func(context.Context) {})
	eventually(t, "it listens", func() bool { return heard.Load() == 1 })
	if err := store.DeleteIntegrator(t.Context(), "nobody"); !isNotFound(err) {
		t.Fatal(err)
	}
	if err := store.RevokeIntegratorTokens(t.Context(), newIntegrator(t, store)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was stored is heard of", func() bool { return heard.Load() >= 2 })
	if n := heard.Load(); n > 3 {
		t.Errorf("heard of %d changes, there were two", n-1)
	}
}

// Without another process there is nothing to hear.
func TestNobodyListensOnSQLite(t *testing.T) {
	migrated(t, storagetest.SQLite(t)).Listen(t.Context(), slog.New(slog.DiscardHandler), nil)
}
