package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// atOps asks the operator's listener.
func (s *server) atOps(path string) answer {
	s.t.Helper()
	ops := &server{t: s.t, url: "http://" + s.p.ops.Addr().String()}
	return ops.do("GET", path, "")
}

// /readyz says what is wrong, in one line without internals, and /healthz is
// not moved by it: a replica that waits for its database must not be killed.
func TestReadyzSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, s *server, databaseURL string)
		status int
		body   string
	}{
		{"nothing", func(*testing.T, *server, string) {}, 200, "ok\n"},
		{"the database is gone", func(t *testing.T, s *server, _ string) {
			if err := s.p.store.Close(); err != nil {
				t.Fatal(err)
			}
		}, 503, "not ready: database\n"},
		{"the schema is older", func(t *testing.T, _ *server, databaseURL string) {
			execute(t, sideDoor(t, databaseURL), "DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)")
		}, 503, "not ready: schema\n"},
		{"the history of the schema is gone", func(t *testing.T, _ *server, databaseURL string) {
			execute(t, sideDoor(t, databaseURL), "DROP TABLE goose_db_version")
		}, 503, "not ready: schema\n"},
		{"the schema is newer, as while a fleet is upgraded", func(t *testing.T, _ *server, databaseURL string) {
			execute(t, sideDoor(t, databaseURL), "INSERT INTO goose_db_version (version_id, is_applied) SELECT 99999, is_applied FROM goose_db_version WHERE version_id = 1")
		}, 200, "ok, the schema is newer than this program (99999, "},
		{"there is no signing key", func(t *testing.T, s *server, databaseURL string) {
			execute(t, sideDoor(t, databaseURL), "DELETE FROM signing_keys")
			if err := s.p.ring.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, 503, "not ready: signing key\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			storagetest.Each(t, func(t *testing.T, databaseURL string) {
				s := startServer(t, databaseURL, nil)
				c.spoil(t, s, databaseURL)
				a := s.atOps("/readyz").mustBe(t, c.status)
				if !strings.HasPrefix(a.body, c.body) || strings.Count(a.body, "\n") != 1 {
					t.Errorf("it says %q, want %q", a.body, c.body)
				}
				s.atOps("/healthz").mustBe(t, http.StatusOK)
			})
		})
	}
}

// While the last requests are answered the replica is asked for no new ones.
func TestReadyzSaysThatItIsShuttingDown(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	stopping := &program{draining: make(chan struct{}), log: s.p.log, metrics: s.p.metrics, store: s.p.store, directory: s.p.directory, ring: s.p.ring}
	ask := func() string {
		w := httptest.NewRecorder()
		stopping.opsHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
		return w.Body.String()
	}
	if said := ask(); said != "ok\n" {
		t.Errorf("before: %q", said)
	}
	close(stopping.draining)
	if said := ask(); said != "not ready: shutting down\n" {
		t.Errorf("then: %q", said)
	}
}
