package storage_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func isNotFound(err error) bool { return errors.Is(err, registry.ErrNotFound) }

func isDomain(err error) bool {
	return isNotFound(err) || errors.Is(err, registry.ErrConflict) || errors.Is(err, registry.ErrStale)
}

// binary are texts that are no text. SQLite keeps them, PostgreSQL does not.
func binary() map[string]string {
	return map[string]string{
		"not UTF-8":         "\xff\xfe",
		"NUL":               "\x00",
		"an id and NUL":     "id\x00",
		"an overlong slash": "\xc0\xaf",
		"a lone surrogate":  "\xed\xa0\x80",
	}
}

// hostile are texts that a caller can write where an id is wanted.
func hostile() map[string]string {
	return map[string]string{
		"a condition":     "' OR 1=1 --",
		"a statement":     "'; DROP TABLE integrators; --",
		"a quoted name":   `" OR ""="`,
		"a pattern":       "%",
		"a place for one": "_",
		"a placeholder":   "?",
		"a number of one": "$1",
		"a name of one":   "@id",
		"a backslash":     `\`,
		"a dollar quote":  "$$ OR true $$",
		"a function":      "(SELECT id FROM integrators)",
		"64 KiB":          strings.Repeat("a", 64<<10),
	}
}

// Whatever stands where an id is wanted, it names nothing, and every backend
// says so in the same words.
func TestHostileIDs(t *testing.T) { testIDs(t, hostile()) }

func testIDs(t *testing.T, ids map[string]string) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := migrated(t, databaseURL)
		populate(t, s)
		db := raw(t, databaseURL)
		before := everything(t, db, databaseURL)
		for name, id := range ids {
			t.Run(name, func(t *testing.T) {
				otherwise := map[string]error{} // calls that said anything else, by what they said
				for call, err := range byID(t.Context(), s, id) {
					if !isNotFound(err) {
						otherwise[call] = err
					}
				}
				for call, list := range lists(t.Context(), s, id) {
					n, err := list()
					if n != 0 {
						t.Errorf("%s: got %d objects", call, n)
					}
					if err != nil {
						otherwise[call] = err
					}
				}
				if calls := slices.Sorted(maps.Keys(otherwise)); len(calls) > 0 {
					t.Errorf("%d calls do not say that there is nothing: %s says %.200v, and so %v", len(calls), calls[0], otherwise[calls[0]], calls[1:])
				}
				if after := everything(t, db, databaseURL); after != before {
					t.Errorf("the database was\n%s\nand is\n%s", before, after)
				}
			})
		}
	})
}

// What is written is what is read, or is refused: nothing in between.
func TestHostileValues(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := migrated(t, databaseURL)
		texts := hostile()
		maps.Copy(texts, binary())
		for name, text := range texts {
			t.Run(name, func(t *testing.T) {
				i := &registry.Integrator{Name: text, Status: registry.Active}
				if err := s.CreateIntegrator(t.Context(), i); err == nil {
					if got, err := s.Integrator(t.Context(), i.ID); err != nil || got.Name != text {
						t.Errorf("got %.20q, %v", got.Name, err)
					}
				} else if isDomain(err) || i.Validate() == nil {
					t.Errorf("refused by the database, not by the rules: %v", err)
				}
				err := s.Revoke(t.Context(), text, time.Now())
				if err == nil {
					state, failure := s.TokenState(t.Context(), storage.TokenQuery{ID: text})
					if failure != nil || !state.Revoked {
						t.Errorf("got %+v, %v", state, failure)
					}
				} else if isDomain(err) {
					t.Errorf("got %v", err)
				}
			})
		}
	})
}

func populate(t *testing.T, s *storage.Store) {
	t.Helper()
	i := &registry.Integrator{Name: "i", Status: registry.Active}
	h := &registry.LockHolder{Name: "h", CountryISO: "DK", OrganizationID: "org"}
	for _, err := range []error{
		s.CreateIntegrator(t.Context(), i),
		s.CreateLockHolder(t.Context(), h),
		s.Link(t.Context(), registry.Link{IntegratorID: i.ID, LockHolderID: h.ID}),
		s.CreateKeyURL(t.Context(), &registry.KeyURL{IntegratorID: i.ID, Clientless: true, Status: registry.Active}, registry.KeyURLTerms{Audiences: []string{"urn:server"}}),
		s.CreateClient(t.Context(), &registry.Client{Owner: registry.OwnerIntegrator, IntegratorID: i.ID, Status: registry.Active}, registry.ClientTerms{AnyScope: true}),
		s.CreateResourceServer(t.Context(), &registry.ResourceServer{Audience: "urn:api"}, &registry.Client{Owner: registry.OwnerResourceServer, Status: registry.Active}),
		s.AddSigningKey(t.Context(), registry.SigningKey{ID: "kid", Algorithm: "ES256", State: "active", Public: []byte{1}, Sealed: []byte{2}}),
		s.Revoke(t.Context(), "jti", time.Now()),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// byID calls whatever means one object, with an id that names none.
func byID(ctx context.Context, s *storage.Store, id string) map[string]error {
	object := registry.Object{ID: id, Revision: 1}
	link := registry.Link{IntegratorID: id, LockHolderID: id}
	integrator := &registry.Integrator{Object: object, Status: registry.Active}
	keyURL := &registry.KeyURL{Object: object, IntegratorID: id, Status: registry.Active}
	client := &registry.Client{Object: object, IntegratorID: id, ClientID: id, Status: registry.Active}
	_, failure := s.Integrator(ctx, id)
	_, failure2 := s.KeyURL(ctx, id, id)
	_, failure3 := s.Client(ctx, id, id)
	_, failure4 := s.LockHolder(ctx, id)
	_, failure5 := s.LinkedLockHolder(ctx, id, id)
	_, failure6 := s.ResourceServer(ctx, id)
	return map[string]error{
		"Integrator":             failure,
		"KeyURL":                 failure2,
		"Client":                 failure3,
		"LockHolder":             failure4,
		"LinkedLockHolder":       failure5,
		"ResourceServer":         failure6,
		"UpdateIntegrator":       s.UpdateIntegrator(ctx, integrator),
		"UpdateKeyURL":           s.UpdateKeyURL(ctx, keyURL, registry.KeyURLTerms{}),
		"UpdateClient":           s.UpdateClient(ctx, client, registry.ClientTerms{AnyScope: true}),
		"UpdateLockHolder":       s.UpdateLockHolder(ctx, &registry.LockHolder{Object: object}),
		"UpdateResourceServer":   s.UpdateResourceServer(ctx, &registry.ResourceServer{Object: object}),
		"DeleteIntegrator":       s.DeleteIntegrator(ctx, id),
		"DeleteKeyURL":           s.DeleteKeyURL(ctx, id, id, registry.KeyURLTerms{}),
		"DeleteClient":           s.DeleteClient(ctx, id, id),
		"DeleteLockHolder":       s.DeleteLockHolder(ctx, id),
		"DeleteResourceServer":   s.DeleteResourceServer(ctx, id),
		"RevokeIntegratorTokens": s.RevokeIntegratorTokens(ctx, id),
		"Link":                   s.Link(ctx, link),
		"Unlink":                 s.Unlink(ctx, link),
	}
}

// lists calls whatever gives the objects of somebody.
func lists(ctx context.Context, s *storage.Store, id string) map[string]func() (int, error) {
	page := registry.Page{Limit: 9}
	return map[string]func() (int, error){
		"KeyURLs":           func() (int, error) { return count(s.KeyURLs(ctx, id, page)) },
		"Clients":           func() (int, error) { return count(s.Clients(ctx, id, page)) },
		"LinkedLockHolders": func() (int, error) { return count(s.LinkedLockHolders(ctx, id, page)) },
		"Exchanges":         func() (int, error) { return count(s.Exchanges(ctx, id, registry.ExchangeFilter{}, page)) },
	}
}

func count[T any](list []T, err error) (int, error) { return len(list), err }

// everything is the schema and the number of rows of every table.
func everything(t *testing.T, db *sql.DB, databaseURL string) string {
	t.Helper()
	columns := `SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY 1, 2`
	if strings.HasPrefix(databaseURL, "postgres") {
		columns = `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2`
	}
	rows, err := db.QueryContext(t.Context(), columns)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	text := ""
	tables := []string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		text += table + "." + column + "\n"
		if len(tables) == 0 || tables[len(tables)-1] != table {
			tables = append(tables, table)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var n int
		if err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM "`+table+`"`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s: %d rows\n", table, n)
	}
	return text
}
