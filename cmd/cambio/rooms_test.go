package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/cambio-oauth/cambio/"

// room is one row of the import law: what a package may import of this
// repository and of the libraries that are walls (gorm, fosite, …). Whatever
// is not allowed is forbidden, and why says why.
type room struct {
	name string
	ours []string // packages of this repository; a trailing /... takes the tree
	libs []string // of the walled libraries
	why  string
}

// walled are the libraries that may not be everywhere.
func walled() []string {
	return []string{"github.com/ory/fosite", "gorm.io", "github.com/jackc/pgx", "modernc.org", "database/sql", "net/http",
		"github.com/go-jose/go-jose", "github.com/gorilla/mux", "github.com/spf13/cobra", "github.com/knadh/koanf",
		"github.com/prometheus", "github.com/pressly/goose", "code.dny.dev/ssrf", "cel.dev/cel-go", "go.opentelemetry.io",
		"github.com/coreos/go-oidc", "golang.org/x/oauth2"}
}

const (
	libSQL, libHTTP, libJOSE, libFosite = "database/sql", "net/http", "github.com/go-jose/go-jose", "github.com/ory/fosite"
)

func importLaw() []room {
	return []room{
		{"registry", nil, nil, "the words every room speaks know nobody, or nobody could speak them"},
		{"migrations", nil, []string{libSQL, "github.com/pressly/goose"}, "the history of the schema is SQL, and knows no room that uses it"},
		{"grants", nil, nil, "the vocabulary is the ground floor of all grants"},
		{"grants/strictjson", nil, nil, "reading strangers' JSON is nobody's business but its own"},
		{"grants/jws", []string{"grants/strictjson"}, []string{libJOSE}, "a signature is checked without knowing what it is for"},
		{"grants/assertion", []string{"grants", "grants/jws"}, nil, "a stranger's JWT is judged without fosite, HTTP and SQL, so that any server can judge so"},
		{"grants/clientassertion", []string{"grants", "grants/assertion", "grants/jws"}, nil, "who a client is, is judged by the same rules on any server"},
		{"grants/condition", []string{"grants"}, []string{"cel.dev/cel-go"}, "expressions that integrators write run in one place, which knows only claims"},
		{"grants/permissions", []string{"grants"}, nil, "permissions become scopes by pure functions"},
		{"grants/tokenexchange", []string{"grants", "grants/assertion", "grants/permissions"}, nil, "the decision is RFC 8693 and nothing else: no fosite, no HTTP, no SQL"},
		{"grants/tokenexchange/fositegrant", []string{"grants/..."}, []string{libFosite}, "the adapter serves any server on fosite, so it knows no other room of this one"},
		{"grants/clientcredentials", []string{"grants"}, []string{libFosite}, "a grant on fosite's interface, for any server on fosite"},
		{"grants/accesstoken", []string{"grants", "grants/jws"}, nil, "tokens are minted through a port: the keys are in keys/signing"},
		{"keys/remote", []string{"registry", "grants/assertion", "grants/strictjson"}, []string{libHTTP, libJOSE, "code.dny.dev/ssrf"}, "the room of hostile bytes holds no secret, and remembers through a port"},
		{"keys/signing", []string{"registry"}, []string{libJOSE}, "the room of secrets never dials"},
		{"handlers", []string{"grants/..."}, []string{libFosite, libHTTP, "github.com/gorilla/mux"}, "the doors decide nothing and store nothing: they have ports"},
		{"admin", []string{"registry", "admin/presets", "grants", "grants/accesstoken", "grants/jws", "grants/permissions", "grants/strictjson"}, []string{libHTTP, "github.com/gorilla/mux"}, "the service's rules must hold whatever stores and serves them"},
		{"admin/panel", []string{"admin", "grants/accesstoken", "registry"}, []string{libHTTP}, "the panel asks the admin API as whoever is signed in, so that it can do nothing else"},
		{"admin/panel/oidc", []string{"admin", "admin/panel", "grants/strictjson", "registry"}, []string{libHTTP, "github.com/coreos/go-oidc", "golang.org/x/oauth2"}, "who somebody is at an identity provider is asked in one place, which stores nothing and asks the API nothing"},
		{"admin/presets", []string{"registry"}, nil, "what is known of identity providers is data and pure functions: it fetches, stores and decides nothing"},
		{"storage", []string{"registry", "grants", "grants/permissions", "migrations", "storage/sqlite"}, []string{libSQL, "gorm.io", "github.com/jackc/pgx"}, "the database alone says gorm, and knows no room above it"},
		{"storage/sqlite", nil, []string{libSQL, "gorm.io", "modernc.org"}, "a dialector knows gorm and SQLite"},
		{"storage/storagetest", []string{"storage", "registry", "grants", "migrations"}, []string{libSQL, "github.com/jackc/pgx"}, "the suite sees what every user of the store sees"},
		{"cmd/cambio", []string{"..."}, []string{libHTTP, libJOSE, "github.com/gorilla/mux", "github.com/spf13/cobra", "github.com/knadh/koanf", "github.com/prometheus", "go.opentelemetry.io"}, "the one place where everything meets says neither gorm nor fosite"},
	}
}

// The import law: a wrong import is a failing test that says why.
func TestImportLaw(t *testing.T) {
	law := map[string]room{}
	for _, r := range importLaw() {
		law[r.name] = r
	}
	seen := map[string]bool{}
	for file, imports := range productionImports(t) {
		name := path.Dir(file)
		seen[name] = true
		r, ok := law[name]
		if !ok {
			t.Errorf("%s: a room without a row in the import law: give it one, with its reason", name)
			continue
		}
		for _, imported := range imports {
			if !r.allows(imported) {
				t.Errorf("%s imports %s, which %s must not: %s", file, imported, name, r.why)
			}
		}
	}
	for name := range law {
		if !seen[name] {
			t.Errorf("the import law has a row for %s, which does not exist", name)
		}
	}
}

func (r room) allows(imported string) bool {
	if ours, ok := strings.CutPrefix(imported, module); ok {
		return slices.ContainsFunc(r.ours, func(allowed string) bool {
			tree, isTree := strings.CutSuffix(allowed, "...")
			return ours == allowed || isTree && (strings.HasPrefix(ours+"/", tree))
		})
	}
	for _, wall := range walled() {
		if imported == wall || strings.HasPrefix(imported, wall+"/") {
			return slices.ContainsFunc(r.libs, func(lib string) bool { return imported == lib || strings.HasPrefix(imported, lib+"/") })
		}
	}
	return true
}

// productionImports reads the imports of every file that is not a test.
func productionImports(t *testing.T) map[string][]string {
	t.Helper()
	root := filepath.Join("..", "..")
	imports := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "e2e" || entry.Name() == "bench" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && file != root) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		list := []string{}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			list = append(list, imported)
		}
		imports[filepath.ToSlash(relative)] = list
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) < 50 {
		t.Fatalf("read only %d files: the law was held against next to nothing", len(imports))
	}
	return imports
}

// The law itself: it forbids what it says it forbids.
func TestImportLawForbids(t *testing.T) {
	law := map[string]room{}
	for _, r := range importLaw() {
		law[r.name] = r
	}
	for _, c := range []struct{ room, imported string }{
		{"registry", module + "grants"}, {"registry", "gorm.io/gorm"}, {"grants/assertion", libFosite}, {"grants/assertion", "net/http"},
		{"grants/tokenexchange", "net/http/httptest"}, {"grants/tokenexchange/fositegrant", module + "handlers"}, {"handlers", module + "storage"},
		{"handlers", module + "registry"}, {"handlers", module + "keys/remote"}, {"admin", module + "handlers"}, {"admin", "gorm.io/gorm"},
		{"keys/signing", "net/http"}, {"keys/remote", module + "storage"}, {"keys/remote", "database/sql"}, {"storage", module + "keys/signing"}, {"cmd/cambio", "gorm.io/gorm"},
		{"cmd/cambio", libFosite}, {"grants", module + "grants/jws"}, {"admin/panel", "golang.org/x/oauth2"}, {"admin/panel/oidc", module + "storage"}, {"cmd/cambio", "github.com/coreos/go-oidc/v3/oidc"},
	} {
		if law[c.room].allows(c.imported) {
			t.Errorf("%s may import %s", c.room, c.imported)
		}
	}
	if !law["cmd/cambio"].allows(module+"handlers") || !law["handlers"].allows(module+"grants") || !law["handlers"].allows("log/slog") {
		t.Error("the law forbids what it allows")
	}
}
