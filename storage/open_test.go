package storage_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func TestOpenRefuses(t *testing.T) {
	t.Chdir(t.TempDir()) // what is opened by mistake is made here
	for name, databaseURL := range map[string]string{
		"nothing":                     "",
		"a path without a scheme":     "cambio.db",
		"a scheme without a path":     "sqlite://",
		"one slash":                   "sqlite:cambio.db",
		"SQLite's own kind of URL":    "file:cambio.db?mode=memory",
		"an unknown scheme":           "mysql://user:secret@localhost/cambio",
		"a scheme in capitals":        "SQLITE://cambio.db",
		"parameters":                  "sqlite://cambio.db?_pragma=synchronous(0)",
		"a fragment":                  "sqlite://cambio.db#x",
		"an escape":                   "sqlite://cambio%00.db",
		"NUL":                         "sqlite://cambio\x00.db",
		"a folder":                    "sqlite://.",
		"a file in no folder":         "sqlite://missing/cambio.db",
		"PostgreSQL's bad port":       "postgres://user:secret@localhost:port/cambio",
		"PostgreSQL's bad escape":     "postgres://user:sec%zzret@localhost/cambio",
		"PostgreSQL's bad mode":       "postgres://user:secret@localhost/cambio?sslmode=secret",
		"a PostgreSQL that is not up": "postgres://user:secret@127.0.0.1:1/cambio?sslmode=disable",
	} {
		t.Run(name, func(t *testing.T) {
			store, err := storage.Open(t.Context(), databaseURL)
			if err == nil {
				_ = store.Close()
				t.Fatal("it was opened")
			}
			if strings.Contains(err.Error(), "user:secret") || strings.Contains(err.Error(), "zzret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestOpenTakesAnyFileName(t *testing.T) {
	for _, name := range []string{"cambio.db", "with space.db", "a&b=c.db", "ünïcödé鍵.db", "semi;colon.db", "quote'.db", "file:x.db", "..db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			store := migrated(t, "sqlite://"+path)
			if err := store.CreateIntegrator(t.Context(), &registry.Integrator{Name: "x", Status: registry.Active}); err != nil {
				t.Fatal(err)
			}
			if list, err := store.Integrators(t.Context(), registry.Page{Limit: 9}); err != nil || len(list) != 1 {
				t.Errorf("read %v, %v", list, err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("the file is not where it was asked for: %v", err)
			}
		})
	}
}

// Nobody else on the machine reads the database or what stands beside it.
func TestFileModes(t *testing.T) {
	dir := t.TempDir()
	migrated(t, "sqlite://"+filepath.Join(dir, "cambio.db"))
	checkModes(t, dir)
}

// checkModes looks for the database and what stands beside it, wherever below
// dir, and wants its owner alone to read it.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	found := 0
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && strings.Contains(info.Name(), "cambio.db") {
			found++
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", strings.TrimPrefix(path, dir), info.Mode().Perm())
			}
		}
		return err
	})
	if err != nil || found < 3 {
		t.Errorf("found %d files, want the database, -wal and -shm (%v)", found, err)
	}
}

// A database that is not migrated is open, and says so to whoever asks.
func TestUnmigrated(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		store := opened(t, databaseURL)
		if err := store.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := store.Integrator(t.Context(), "x"); err == nil || isDomain(err) {
			t.Errorf("got %v", err)
		}
		steps, err := store.Migrations(t.Context())
		if err != nil || len(steps) == 0 || !steps[0].AppliedAt.IsZero() {
			t.Errorf("got %v, %v", steps, err)
		}
		applied, err := store.Migrate(t.Context())
		if err != nil || len(applied) != len(steps) {
			t.Errorf("applied %v, %v", applied, err)
		}
		if applied, err = store.Migrate(t.Context()); err != nil || len(applied) != 0 {
			t.Errorf("again: %v, %v", applied, err)
		}
		if steps, err = store.Migrations(t.Context()); err != nil || steps[0].AppliedAt.IsZero() {
			t.Errorf("got %v, %v", steps, err)
		}
	})
}

// Two programs may have one file open: the server and a command beside it.
func TestTwoStoresOnOneDatabase(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		first := migrated(t, databaseURL)
		second := opened(t, databaseURL)
		directory, err := storage.NewDirectory(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		i := &registry.Integrator{Name: "x", Status: registry.Active}
		if err := first.CreateIntegrator(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		snapshot, err := directory.Confirmed(t.Context())
		if err != nil || snapshot.Integrator(i.ID) == nil {
			t.Errorf("the other does not see it: %v", err)
		}
		if err := second.DeleteIntegrator(t.Context(), i.ID); err != nil {
			t.Error(err)
		}
		if _, err := first.Integrator(t.Context(), i.ID); !isNotFound(err) {
			t.Errorf("got %v", err)
		}
	})
}

// opened opens a database for the time of a test.
func opened(t *testing.T, databaseURL string) *storage.Store {
	t.Helper()
	store, err := storage.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func migrated(t *testing.T, databaseURL string) *storage.Store {
	t.Helper()
	return storagetest.Open(t, databaseURL)
}

// raw opens a database beside the store.
func raw(t *testing.T, databaseURL string) *sql.DB {
	t.Helper()
	driver, source := "pgx", databaseURL
	if path, isFile := storage.Path(databaseURL); isFile {
		driver, source = "sqlite", "file:"+path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
