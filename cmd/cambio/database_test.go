package main

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// mustNotStart wants a start to be refused with a line that names the setting
// and says what else it wants said.
func mustNotStart(t *testing.T, databaseURL, says string) {
	t.Helper()
	values, err := load("", map[string]string{"listen": "127.0.0.1:0", "ops_listen": "", "database_url": databaseURL, "secret_key": testSecretKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConfig(values)
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = p.shutdown()
		t.Fatal("it started")
	}
	if text := err.Error(); !strings.HasPrefix(text, "CAMBIO_DATABASE_URL: ") || !strings.Contains(text, says) || strings.Contains(text, "\n") {
		t.Errorf("it says %s", text)
	}
}

// One process serves a SQLite file.
func TestASecondServerOnOneFile(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	t.Run("while the first runs", func(t *testing.T) {
		startServer(t, databaseURL, nil)
		mustNotStart(t, databaseURL, "another cambio serves")
	})
	startServer(t, databaseURL, nil) // when it has ended
}

// R20: nothing is served from what is left of a file.
func TestATruncatedFile(t *testing.T) {
	databaseURL := storagetest.SQLite(t)
	t.Run("whole", func(t *testing.T) { startServer(t, databaseURL, nil) })
	path, _ := storage.Path(databaseURL)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{info.Size() / 2, 10, 0} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		mustNotStart(t, databaseURL, "backup")
	}
}
