package storage_test

import (
	"database/sql"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// One suite, every backend.
func TestStore(t *testing.T) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) *storage.Store { return storagetest.Open(t, url(t)) })
		})
	}
}

// Two stores on one database, as two replicas have it: the other one's change
// is in a confirmed configuration at once.
func TestReplicasAgree(t *testing.T) {
	url := storagetest.Postgres(t)
	first, second := storagetest.Open(t, url), storagetest.Open(t, url)
	d, err := storage.NewDirectory(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	i := newIntegrator(t, first)
	snapshot, err := d.Confirmed(t.Context())
	if err != nil || snapshot.Integrator(i) == nil {
		t.Errorf("the second replica does not know: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for _, url := range []string{"", "cambio.db", "mysql://x", "sqlite://", "sqlite://a?mode=memory", "sqlite://a#b", "sqlite://a%20b", "postgres://user:hunter2@%zz/"} {
		_, err := storage.Open(t.Context(), url)
		if err == nil {
			t.Errorf("%q is opened", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

// Durability and mode of the file are not left to chance.
func TestSQLiteSettings(t *testing.T) {
	url := storagetest.SQLite(t)
	store := storagetest.Open(t, url)
	newIntegrator(t, store)
	path, _ := storage.Path(url)
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s%s: %v %v", path, suffix, info, err)
		}
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var mode string
	if err := db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal_mode %q %v", mode, err)
	}
}

// gorm stays inside: no exported declaration names one of its types.
func TestGormStaysInside(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	exported := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.FileExports(file) // removes all that is not exported, bodies aside
		for _, declaration := range file.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok {
				function.Body = nil
			}
			exported++
			ast.Inspect(declaration, func(n ast.Node) bool {
				if selector, ok := n.(*ast.SelectorExpr); ok {
					if base, ok := selector.X.(*ast.Ident); ok && base.Name == "gorm" {
						t.Errorf("%s exports %s", name, selector.Sel.Name)
					}
				}
				return true
			})
		}
	}
	if exported < 40 {
		t.Errorf("only %d declarations were looked at", exported)
	}
}
