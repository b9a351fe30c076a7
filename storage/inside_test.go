package storage

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

// newSQLite is a migrated store. What is tested here does not depend on the
// backend; what does is in storagetest.
func newSQLite(t *testing.T) *Store {
	t.Helper()
	store, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "cambio.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func newDirectory(t *testing.T, store *Store) *Directory {
	t.Helper()
	directory, err := NewDirectory(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return directory
}

// What SQLite was asked for it really does, on every connection of a pool.
func TestSQLiteDoesWhatItWasAskedFor(t *testing.T) {
	store := newSQLite(t)
	for number, pool := range store.pools {
		name := []string{"writer", "reader"}[number]
		for connection := range pool.Stats().MaxOpenConnections {
			conn, err := pool.Conn(t.Context()) // held, so that the next one is another
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			for pragma, want := range map[string]string{
				"journal_mode": "wal",
				"synchronous":  "2", // FULL
				"foreign_keys": "1",
				"busy_timeout": "5000",
				"query_only":   []string{"0", "1"}[number],
			} {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s %d: %s is %q, want %q (%v)", name, connection, pragma, got, want, err)
				}
			}
		}
	}
	if n := store.pools[0].Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections write, want 1", n)
	}
}

// A transaction that only reads at first has its turn to write from the start:
// to ask for it later would fail at once, however long it may wait.
func TestTransactionsOfTheWriterAreImmediate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cambio.db")
	store, err := Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", "file:"+path) // it does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	const write = "UPDATE changes SET seq = seq + 1"
	tx, err := store.pools[0].BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), write); err == nil {
		t.Error("somebody else wrote in the middle of a transaction")
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.ExecContext(t.Context(), write); err != nil {
		t.Error(err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	store := newSQLite(t)
	if _, err := store.pools[1].ExecContext(t.Context(), "DELETE FROM changes"); err == nil {
		t.Error("a reader wrote")
	}
}

// A replica that lost the database goes on for MaxStaleness and not longer.
func TestSnapshotEndsWithTheDatabase(t *testing.T) {
	store := newSQLite(t)
	now := time.Now()
	store.now = func() time.Time { return now }
	directory := newDirectory(t, store)
	snapshot := func(want error) {
		t.Helper()
		got, err := directory.Snapshot()
		if !errors.Is(err, want) || (got != nil) != (want == nil) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	snapshot(nil)
	now = now.Add(MaxStaleness)
	snapshot(nil)
	now = now.Add(1)
	snapshot(ErrOutdated)
	if err := directory.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	snapshot(nil) // it came back
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	snapshot(nil)
	if err := directory.Refresh(t.Context()); err == nil {
		t.Error("a closed database was read")
	}
	now = now.Add(MaxStaleness + 1)
	snapshot(ErrOutdated)
}

// Age is counted from before the database was asked, not from its answer.
func TestAgeIsCountedFromTheQuestion(t *testing.T) {
	store := newSQLite(t)
	now := time.Now()
	asked := now.Add(time.Hour) // the second look: at the first it was not its turn
	store.now = func() time.Time {
		defer func() { now = now.Add(time.Hour) }() // every look at the clock takes an hour
		return now
	}
	directory := newDirectory(t, store)
	if got := directory.current.Load().confirmedAt; !got.Equal(asked) {
		t.Errorf("confirmed at %v, asked at %v", got, asked)
	}
}

// failures counts what is logged, and adds up what it says was lost.
type failures struct {
	slog.Handler
	n, lost atomic.Int64
}

// Enabled implements slog.Handler.
func (f *failures) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (f *failures) Handle(_ context.Context, r slog.Record) error {
	f.n.Add(1)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "count" {
			f.lost.Add(a.Value.Int64())
		}
		return true
	})
	return nil
}

// When records come in faster than they can be written, whoever exchanges is
// told so at once; what was taken is written, or its loss is.
func TestAsyncLogIsBounded(t *testing.T) {
	store := newSQLite(t)
	failures := &failures{}
	log := NewExchangeLog(store, LogAsync, slog.New(failures))
	conn, err := store.pools[0].Conn(t.Context()) // the one that writes
	if err != nil {
		t.Fatal(err)
	}
	taken := int64(0)
	for err == nil {
		if taken > 2*logQueue {
			t.Fatal("the queue has no end")
		}
		if err = log.Record(t.Context(), registry.Exchange{Result: registry.ResultGranted, IntegratorID: "i"}, false); err == nil {
			taken++
		}
	}
	if !errors.Is(err, ErrLogFull) {
		t.Errorf("got %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	log.Close()
	var written int64
	if err := store.pools[1].QueryRowContext(t.Context(), "SELECT COUNT(*) FROM exchanges").Scan(&written); err != nil {
		t.Fatal(err)
	}
	if dropped := log.Dropped(); dropped[DroppedByQueue] != 1 || dropped[DroppedByDatabase] != failures.lost.Load() || dropped[DroppedByQuota] != 0 {
		t.Errorf("counted %v, reported lost %d", dropped, failures.lost.Load())
	}
	if written+failures.lost.Load() != taken {
		t.Errorf("of %d records %d were written and %d reported lost", taken, written, failures.lost.Load())
	}
}
