package storage

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// R4: of two primaries of one cluster the one that was promoted last is
// believed, whoever was seen first.
func TestOldPrimariesAreRefused(t *testing.T) {
	first, second := origin{"cluster", 1}, origin{"cluster", 2}
	for _, c := range []struct {
		name    string
		seen    []origin
		next    origin
		refused bool
	}{
		{"the only one", nil, first, false},
		{"the same again", []origin{first}, first, false},
		{"its successor", []origin{first}, second, false},
		{"its predecessor", []origin{second}, first, true},
		{"a predecessor seen before", []origin{first, second}, first, true},
		{"the newest after a predecessor", []origin{second, first}, second, false},
		{"a standby", []origin{second}, origin{"cluster", 0}, false},
		{"one that does not tell", []origin{second}, origin{}, false},
		{"nobody is older than one that does not tell", []origin{second, {}}, first, true},
		{"nobody is older than a standby", []origin{second, {"cluster", 0}}, first, true},
		{"another cluster, restored from a dump", []origin{second}, origin{"another", 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &primary{}
			for _, from := range c.seen {
				_ = p.accept(from)
			}
			if err := p.accept(c.next); errors.Is(err, errOldPrimary) != c.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Only a server that cannot tell is taken as it is: a busy one is not.
func TestUntold(t *testing.T) {
	for code, want := range map[string]bool{"42501": true, "42883": true, "0A000": true, "57014": false, "57P01": false, "53300": false, "XX000": false} {
		if got := untold(fmt.Errorf("ask: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
	if untold(nil) || untold(errors.New("connection reset")) {
		t.Error("an error that is not PostgreSQL's, or none, is taken for its answer")
	}
}

// A host is asked once, however many ways to it there are, and one alone not at
// all.
func TestHosts(t *testing.T) {
	for databaseURL, want := range map[string]int{
		"postgres://u@one/db":                                  0,
		"postgres://u@one/db?sslmode=prefer":                   0,
		"postgres://u@one,two/db?sslmode=disable":              2,
		"postgres://u@one,two,three/db?sslmode=prefer":         3,
		"postgres://u@one,two,one/db?sslmode=prefer":           2,
		"postgres://u@one:1,one:2/db?sslmode=verify-full":      2,
		"postgres://u@one,two/db?target_session_attrs=primary": 2,
	} {
		config, err := pgx.ParseConfig(databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		ways := 1 + len(config.Fallbacks)
		each := hosts(config)
		if len(each) != want {
			t.Errorf("%s: %d hosts, want %d", databaseURL, len(each), want)
		}
		for _, host := range each {
			ways -= 1 + len(host.Fallbacks)
		}
		if want > 0 && ways != 0 {
			t.Errorf("%s: %d ways to a host are lost", databaseURL, ways)
		}
	}
}

// Every connection is asked where it comes from, and whoever may connect may
// ask. (Nobody asks on SQLite, so this needs no suite.)
func TestOriginNeedsNoPrivileges(t *testing.T) {
	databaseURL := os.Getenv("CAMBIO_TEST_POSTGRES_URL")
	if databaseURL == "" {
		t.Fatal("no PostgreSQL for tests: run `make test`, or `e2e/postgres.sh run go test ./...`, or set CAMBIO_TEST_POSTGRES_URL")
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("role", "pg_signal_backend") // comes with PostgreSQL, and may read nothing
	u.RawQuery = query.Encode()
	store, err := openPostgres(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if newest := store.primary.newest.Load(); newest == nil || newest.system == "" || newest.timeline < 1 {
		t.Fatalf("the primary was not asked: %v", newest)
	}
	// As after a promotion: what the pool holds is thrown away, and nobody else
	// takes its place.
	store.primary.newest.Store(&origin{store.primary.newest.Load().system, 1 << 30})
	if err := store.Ping(t.Context()); !errors.Is(err, errOldPrimary) {
		t.Errorf("an old primary: %v", err)
	}
}
