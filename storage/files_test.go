package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cambio-oauth/cambio/storage"
)

// A database in memory is another one for each connection, and ends with us.
func TestOpenRefusesMemory(t *testing.T) {
	t.Chdir(t.TempDir())
	store, err := storage.Open(t.Context(), "sqlite://:memory:")
	if err == nil {
		_ = store.Close()
		t.Error("it was opened")
	}
}

// Nobody else on the machine reads the database or what stands beside it.
func TestFileModesOfWhatWasThere(t *testing.T) {
	for _, rule := range []struct {
		name string
		path func(t *testing.T, dir string) string
	}{
		{"a file that all could read", func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "cambio.db")
			store, err := storage.Open(t.Context(), "sqlite://"+path)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o644); err != nil { //nolint:gosec // that is the case
				t.Fatal(err)
			}
			return path
		}},
		{"a path through a link and back", func(t *testing.T, dir string) string {
			if err := os.MkdirAll(filepath.Join(dir, "elsewhere", "deep"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(dir, "elsewhere", "deep"), filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			return dir + "/link/../cambio.db"
		}},
	} {
		t.Run(rule.name, func(t *testing.T) {
			dir := t.TempDir()
			store, err := storage.Open(t.Context(), "sqlite://"+rule.path(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			if _, err := store.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkModes(t, dir)
		})
	}
}
