package storage_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func must(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// with gives a URL with another parameter.
func with(t *testing.T, databaseURL, name, value string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// failing makes the first n writes of a table be undone with an SQLSTATE, and
// gives how many there were. (A sequence does not go back with them.)
func failing(t *testing.T, db *sql.DB, table, event, state string, n int) func() int {
	t.Helper()
	must(t, db, "DROP SEQUENCE IF EXISTS tries CASCADE", "CREATE SEQUENCE tries",
		fmt.Sprintf(`CREATE OR REPLACE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN IF nextval('tries') <= %d THEN RAISE EXCEPTION 'undone' USING ERRCODE = '%s'; END IF; RETURN NEW; END $$`, n, state),
		"CREATE OR REPLACE TRIGGER failing BEFORE "+event+" ON "+table+" FOR EACH ROW EXECUTE FUNCTION failing()")
	return func() (tries int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tries").Scan(&tries); err != nil {
			t.Fatal(err)
		}
		must(t, db, "DROP TRIGGER failing ON "+table)
		return tries
	}
}

// STO-11: what PostgreSQL undid before it began is begun again, twice; what had
// begun is not, for it is not ours to say that it can be; nor is anything that
// failed for another reason.
func TestChangesThatAreUndone(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	store, db := migrated(t, databaseURL), raw(t, databaseURL)
	for _, c := range []struct {
		table, event, state string
		n, tries            int
		stored              bool
	}{
		{"changes", "UPDATE", "40001", 2, 3, true},
		{"changes", "UPDATE", "40P01", 2, 3, true},
		{"changes", "UPDATE", "40001", 3, 3, false},
		{"changes", "UPDATE", "57014", 1, 1, false},
		{"integrators", "INSERT", "40001", 1, 1, false},
	} {
		t.Run(fmt.Sprint(c.n, " times ", c.state, " at ", c.table), func(t *testing.T) {
			tries := failing(t, db, c.table, c.event, c.state, c.n)
			i := &registry.Integrator{Name: "x", Status: registry.Active}
			err := store.CreateIntegrator(t.Context(), i)
			if (err == nil) != c.stored || isDomain(err) {
				t.Errorf("got %v", err)
			}
			if n := tries(); n != c.tries {
				t.Errorf("tried %d times, want %d", n, c.tries)
			}
			if _, err := store.Integrator(t.Context(), i.ID); (err == nil) != c.stored {
				t.Errorf("read: %v", err)
			}
		})
	}
}

// Changes wait for each other whatever the database's default is.
func TestChangesOfAStricterDatabase(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	migrated(t, databaseURL)
	must(t, raw(t, databaseURL), "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET default_transaction_isolation = serializable'', current_database()); END'")
	store := opened(t, databaseURL)
	id := newIntegrator(t, store)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if err := store.RevokeIntegratorTokens(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if i, err := store.Integrator(t.Context(), id); err != nil || i.Generation != 161 {
		t.Errorf("generation %d, want 161 (%v)", i.Generation, err)
	}
}

// After a fail-over the connections lead to a server that takes no writes. One
// change fails, and all of them are gone.
func TestConnectionsToADemotedServer(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	migrated(t, databaseURL)
	admin := raw(t, with(t, databaseURL, "default_transaction_read_only", "off"))
	must(t, admin, "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET default_transaction_read_only = on'', current_database()); END'")
	store := opened(t, databaseURL)
	const connections = 16
	var all sync.WaitGroup
	atOnce := func(do func(context.Context) error, want bool) {
		t.Helper()
		for range connections {
			all.Go(func() {
				if err := do(t.Context()); (err == nil) != want || isDomain(err) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
	}
	lock, err := admin.BeginTx(t.Context(), nil) // so that each question has its own connection
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.ExecContext(t.Context(), "LOCK TABLE integrators IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, func() { _ = lock.Rollback() })
	atOnce(func(ctx context.Context) error { return second(store.Integrators(ctx, registry.Page{Limit: 1})) }, true)

	must(t, admin, "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I RESET default_transaction_read_only'', current_database()); END'")
	revoke := func(ctx context.Context) error { return store.Revoke(ctx, "jti", time.Now()) }
	if err := revoke(t.Context()); err == nil || isDomain(err) {
		t.Errorf("the first: %v", err)
	}
	atOnce(revoke, true)
}

func second[T any](_ T, err error) error { return err }

// Several hosts: the one that takes writes is found, for requests, migrations
// and the listener.
func TestSeveralHosts(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	several := strings.Replace(with(t, databaseURL, "target_session_attrs", "read-write"), u.Host, "127.0.0.1:1,"+u.Host, 1)
	store := migrated(t, several)
	heard := listening(t, store, func(context.Context) {})
	eventually(t, "it listens", func() bool { return heard.Load() > 0 })
	newIntegrator(t, store)

	admin := raw(t, with(t, databaseURL, "default_transaction_read_only", "off"))
	must(t, admin, "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET default_transaction_read_only = on'', current_database()); END'")
	if store, err := storage.Open(t.Context(), several); err == nil {
		_ = store.Close()
		t.Error("a server that takes no writes was taken")
	}
}

// Values never become text of a statement; behind PgBouncer in transaction mode
// there is another way.
func TestQueryModes(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	if store, err := storage.Open(t.Context(), with(t, databaseURL, "default_query_exec_mode", "simple_protocol")); err == nil {
		_ = store.Close()
		t.Error("the simple protocol was taken")
	} else if !strings.Contains(err.Error(), "default_query_exec_mode=exec") {
		t.Errorf("it does not say what to do: %v", err)
	}
}

// The whole suite without a statement that is prepared.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) *storage.Store {
		return storagetest.Open(t, with(t, storagetest.Postgres(t), "default_query_exec_mode", "exec"))
	})
}
