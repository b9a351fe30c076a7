package storagetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/cambio-oauth/cambio/storage"
)

// SQLite gives the URL of a database that lives as long as the test.
func SQLite(t testing.TB) string {
	return "sqlite://" + filepath.Join(t.TempDir(), "cambio.db")
}

// Postgres makes an empty database on the server of CAMBIO_TEST_POSTGRES_URL,
// gives its URL and drops it after the test. Without a server the test fails:
// a skipped test would look like a passed one.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("CAMBIO_TEST_POSTGRES_URL")
	if server == "" {
		t.Fatal("no PostgreSQL for tests: run `make test`, or `e2e/postgres.sh run go test ./...`, or set CAMBIO_TEST_POSTGRES_URL")
	}
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	name := "cambio_test_" + hex.EncodeToString(random[:])
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	target.Path = "/" + name
	return target.String()
}

// Each runs a test on every kind of database.
func Each(t *testing.T, run func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { run(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { run(t, Postgres(t)) })
}

// Open opens a database with the schema applied.
func Open(t testing.TB, databaseURL string) *storage.Store {
	t.Helper()
	store, err := storage.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}
