package storage_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// One process serves a SQLite file, whatever the path it took; commands may use
// it beside. Any number serves a PostgreSQL.
func TestOneProcessServesAFile(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(filepath.Join(dir, "cambio.db"), link); err != nil {
		t.Fatal(err)
	}
	first := migrated(t, "sqlite://"+filepath.Join(dir, "cambio.db"))
	for range 2 { // twice does no harm
		if err := first.Serve(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	second := opened(t, "sqlite://"+link)
	if err := second.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "another cambio") {
		t.Errorf("a second server: %v", err)
	}
	newIntegrator(t, second) // a command
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Serve(t.Context()); err != nil {
		t.Errorf("after the first: %v", err)
	}
	checkModes(t, dir)

	databaseURL := storagetest.Postgres(t)
	for range 2 {
		if err := migrated(t, databaseURL).Serve(t.Context()); err != nil {
			t.Errorf("PostgreSQL: %v", err)
		}
	}
}

// R20: what was a database and is none any more is neither served nor
// overwritten, and the error says what to do.
func TestADamagedFileIsRefused(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, path string, content []byte){
		"empty":             func(t *testing.T, path string, _ []byte) { write(t, path, nil) },
		"another file":      func(t *testing.T, path string, _ []byte) { write(t, path, []byte(strings.Repeat("text ", 2000))) },
		"a few bytes":       func(t *testing.T, path string, content []byte) { write(t, path, content[:7]) },
		"half of it":        func(t *testing.T, path string, content []byte) { write(t, path, content[:len(content)/2]) },
		"its second half":   func(t *testing.T, path string, content []byte) { write(t, path, content[len(content)/2:]) },
		"zeros in a page":   func(t *testing.T, path string, content []byte) { write(t, path, overwritten(content, 4096, 0)) },
		"noise in a page":   func(t *testing.T, path string, content []byte) { write(t, path, overwritten(content, 2*4096, 0xa5)) },
		"gone but its -wal": func(t *testing.T, path string, content []byte) { write(t, path+"-wal", content); remove(t, path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cambio.db")
			store := migrated(t, "sqlite://"+path)
			newIntegrator(t, store)
			if err := store.Close(); err != nil { // and all is in the one file
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, path, content)
			store, err = storage.Open(t.Context(), "sqlite://"+path)
			if err == nil {
				err = store.Serve(t.Context())
				_ = store.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "backup") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// overwritten is a file with one page of other bytes.
func overwritten(content []byte, at int, with byte) []byte {
	for i := range 4096 {
		content[at+i] = with
	}
	return content
}

// A file that is whole is served, however often.
func TestAWholeFileIsServedAgain(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	for range 3 {
		store := migrated(t, databaseURL)
		if err := store.Serve(t.Context()); err != nil {
			t.Fatal(err)
		}
		newIntegrator(t, store)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
