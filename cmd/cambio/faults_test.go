package main

import (
	"context"
	"database/sql"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// fault is something that happens to a database while it is in use. begin
// starts it and gives what ends it.
type fault struct {
	name       string
	begin      func(t *testing.T, db *sql.DB) (end func())
	introspect int // the status of an introspection meanwhile
}

// statements are a fault made of SQL, and its end.
func statements(begin, end string) func(*testing.T, *sql.DB) func() {
	return func(t *testing.T, db *sql.DB) func() {
		execute(t, db, begin)
		return func() { execute(t, db, end) }
	}
}

// locked is a transaction that stays open.
func locked(begin string) func(*testing.T, *sql.DB) func() {
	return func(t *testing.T, db *sql.DB) func() {
		t.Helper()
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), begin); err != nil {
			t.Fatal(err)
		}
		return func() {
			if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
				t.Error(err)
			}
			_ = conn.Close()
		}
	}
}

func execute(t testing.TB, db *sql.DB, text string) {
	t.Helper()
	for _, statement := range strings.Split(text, ";;") {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// sideDoor opens a database beside the server.
func sideDoor(t testing.TB, databaseURL string) *sql.DB {
	t.Helper()
	driver, name := "pgx", databaseURL
	if path, ok := storage.Path(databaseURL); ok {
		driver, name = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func sqliteFaults() []fault {
	trigger := func(when string) string {
		return "CREATE TRIGGER broken " + when + " INSERT ON revoked_tokens BEGIN SELECT RAISE(ABORT, 'broken'); END"
	}
	return []fault{
		{"the row is refused", statements(trigger("BEFORE"), "DROP TRIGGER broken"), 200},
		{"the row is taken back", statements(trigger("AFTER"), "DROP TRIGGER broken"), 200},
		{"somebody else writes, for longer than anybody waits", locked("BEGIN IMMEDIATE"), 200},
		{"the table is gone", statements("ALTER TABLE revoked_tokens RENAME TO gone", "ALTER TABLE gone RENAME TO revoked_tokens"), 503},
	}
}

func postgresFaults() []fault {
	const function = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''broken''; END';;"
	const reconnect = ";;SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	const readOnly = "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET default_transaction_read_only = on'', current_database()); END'"
	const writable = "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I RESET default_transaction_read_only'', current_database()); END'"
	return []fault{
		{"the row is refused", statements(function+"CREATE TRIGGER broken BEFORE INSERT ON revoked_tokens FOR EACH ROW EXECUTE FUNCTION broken()", "DROP FUNCTION broken CASCADE"), 200},
		{"the commit fails", statements(function+"CREATE CONSTRAINT TRIGGER broken AFTER INSERT ON revoked_tokens DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION broken()", "DROP FUNCTION broken CASCADE"), 200},
		{"the table is locked, for longer than anybody waits", locked("BEGIN; LOCK TABLE revoked_tokens IN ACCESS EXCLUSIVE MODE"), 503},
		{"the database is read-only", statements(readOnly+reconnect, writable+reconnect), 200},
		{"the table is gone", statements("ALTER TABLE revoked_tokens RENAME TO gone", "ALTER TABLE gone RENAME TO revoked_tokens"), 503},
	}
}

// REV-05, RFC 7009 §2.2.1, CVE-2020-15223; INT-10: what cannot be stored is 503
// and has no effect, what cannot be looked up is 503 and never active:false.
// Once the fault is over the client's second try holds.
func TestRevocationAndIntrospectionThroughFaults(t *testing.T) {
	for name, database := range map[string]struct {
		open   func(testing.TB) string
		faults []fault
	}{"sqlite": {storagetest.SQLite, sqliteFaults()}, "postgres": {storagetest.Postgres, postgresFaults()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databaseURL := database.open(t)
			s := startServer(t, databaseURL, nil)
			acme := s.newParty("Acme")
			acme.manage("919424508", "east")
			db := sideDoor(t, databaseURL)
			db.SetMaxOpenConns(1) // a database that became read-only is mended by who was there before
			for _, f := range database.faults {
				t.Run(f.name, func(t *testing.T) {
					token := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
					form := url.Values{"token": {token}}
					end := f.begin(t, db)
					introspected := s.introspectAgain(token, f.introspect)
					revoked := s.post(revokeEndpoint, acme.authenticated(), form)
					end()
					revoked.mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
					if introspected.mustBe(t, f.introspect); f.introspect == http.StatusOK && introspected.json["active"] != true {
						t.Errorf("meanwhile: %s", introspected.body)
					}
					eventually(t, "it works again", func() bool { return s.introspect(token).status == http.StatusOK })
					s.mustBeActive(token, true)
					s.post(revokeEndpoint, acme.authenticated(), form).mustBe(t, http.StatusOK)
					s.mustBeActive(token, false)
				})
			}
		})
	}
}

// introspectAgain asks until the status is the one that is wanted: connections
// that were cut are 503 for a moment.
func (s *server) introspectAgain(token string, want int) answer {
	a := s.introspect(token)
	for deadline := time.Now().Add(5 * time.Second); a.status == http.StatusServiceUnavailable && want == http.StatusOK && time.Now().Before(deadline); a = s.introspect(token) {
		time.Sleep(50 * time.Millisecond)
	}
	return a
}

// wire carries bytes between a server and its database. While it is mute the
// database hears, and what it answers is lost; cut at the n-th message, the
// database does not hear it.
type wire struct {
	listener net.Listener
	database string
	mute     atomic.Bool
	cut      atomic.Int64 // messages until then; 0: never
	muteAt   atomic.Int64 // likewise
	happened atomic.Int64 // cuts
}

func newWire(t *testing.T, database string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, database: database}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			server, err := listener.Accept()
			if err != nil {
				return
			}
			go w.join(server)
		}
	}()
	return w
}

func (w *wire) join(server net.Conn) {
	defer server.Close()
	database, err := net.Dial("tcp", w.database)
	if err != nil {
		return
	}
	defer database.Close()
	var deaf atomic.Bool // to what the database answers
	go w.listen(database, server, &deaf)
	buffer := make([]byte, 64<<10)
	for {
		n, err := database.Read(buffer)
		if err != nil || w.mute.Load() || deaf.Load() {
			return
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// listen carries what the server says, message by message: it sends each in one
// piece and waits for the answer.
func (w *wire) listen(database, server net.Conn, deaf *atomic.Bool) {
	buffer := make([]byte, 256<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			_ = database.Close()
			return
		}
		if w.cut.Load() > 0 && w.cut.Add(-1) == 0 {
			w.happened.Add(1)
			_, _ = server.Close(), database.Close()
			return
		}
		if w.muteAt.Load() > 0 && w.muteAt.Add(-1) == 0 {
			w.happened.Add(1)
			deaf.Store(true)
		}
		if _, err := database.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// REV-05, after commit: the database did it and could not say so. That is 503,
// and doing it again is 200.
func TestARevocationOfWhichNobodyHears(t *testing.T) {
	target, err := url.Parse(storagetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, target.Host)
	target.Host = w.listener.Addr().String()
	s := startServer(t, target.String(), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	issue := func() url.Values {
		return url.Values{"token": {acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")}}
	}
	committed := 0
	for range 20 {
		s.post(revokeEndpoint, acme.authenticated(), issue()).mustBe(t, http.StatusOK) // so that the connection knows the statement
		form := issue()
		w.mute.Store(true)
		s.post(revokeEndpoint, acme.authenticated(), form).mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "")
		w.mute.Store(false)
		var a answer
		eventually(t, "the wire is mended", func() bool { a = s.introspect(form.Get("token")); return a.status == http.StatusOK })
		if a.json["active"] == false {
			committed++
		}
		s.post(revokeEndpoint, acme.authenticated(), form).mustBe(t, http.StatusOK)
		s.mustBeActive(form.Get("token"), false)
	}
	if committed == 0 {
		t.Error("no answer was lost after the commit: this proves nothing")
	}
}

// INT-10: a question that is given up is not answered with a guess.
func TestAQuestionThatIsGivenUpIsNotInactive(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		for _, path := range []string{introspectEndpoint, revokeEndpoint} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(url.Values{"token": {s.token}}.Encode()))
			basic(testOperator, testOperatorSecret)(r)
			r.Header.Set("Content-Type", formType)
			w := httptest.NewRecorder()
			s.p.servers[0].Handler.ServeHTTP(w, r)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		s.mustBeActive(s.token, true)
	})
}
