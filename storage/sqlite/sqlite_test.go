package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/cambio-oauth/cambio/storage/sqlite"
)

func newPool(t *testing.T) *sql.DB {
	t.Helper()
	pool, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "x.db")+"?_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	pool.SetMaxOpenConns(1)
	_, err = pool.ExecContext(t.Context(), `
		CREATE TABLE parents (id TEXT PRIMARY KEY, name TEXT UNIQUE, n INTEGER CHECK (n > 0), must TEXT NOT NULL DEFAULT '');
		CREATE TABLE children (id INTEGER PRIMARY KEY, parent TEXT REFERENCES parents (id));
		INSERT INTO parents (id, name, n) VALUES ('a', 'a', 1);
		INSERT INTO children VALUES (1, 'a');`)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// What a constraint refuses is told in gorm's words; whatever else fails stays
// what it is, so that no fault of the database looks like an answer.
func TestTranslate(t *testing.T) {
	pool := newPool(t)
	db, err := gorm.Open(sqlite.Dialector{Pool: pool}, &gorm.Config{TranslateError: true})
	if err != nil {
		t.Fatal(err)
	}
	db.Logger = db.Logger.LogMode(1)
	for _, rule := range []struct {
		statement string
		want      error
	}{
		{"INSERT INTO parents (id, n) VALUES ('a', 1)", gorm.ErrDuplicatedKey},
		{"INSERT INTO parents (id, name, n) VALUES ('b', 'a', 1)", gorm.ErrDuplicatedKey},
		{"UPDATE parents SET name = 'a' WHERE id = 'a'", nil},
		{"INSERT INTO children VALUES (2, 'nobody')", gorm.ErrForeignKeyViolated},
		{"DELETE FROM parents", gorm.ErrForeignKeyViolated},
		{"INSERT INTO parents (id, n) VALUES ('c', 0)", gorm.ErrCheckConstraintViolated},
	} {
		if err := db.Exec(rule.statement).Error; !errors.Is(err, rule.want) {
			t.Errorf("%s: got %v, want %v", rule.statement, err, rule.want)
		}
	}
	for _, other := range []string{
		"INSERT INTO parents (id, n, must) VALUES ('d', 1, NULL)",
		"SELECT * FROM nothing",
		"this is not SQL: UNIQUE constraint failed", // the text decides nothing
	} {
		err := db.Exec(other).Error
		for _, word := range []error{gorm.ErrDuplicatedKey, gorm.ErrForeignKeyViolated, gorm.ErrCheckConstraintViolated, gorm.ErrRecordNotFound} {
			if err == nil || errors.Is(err, word) {
				t.Errorf("%s: got %v", other, err)
			}
		}
	}
	for _, foreign := range []error{nil, sql.ErrNoRows, errors.New("UNIQUE constraint failed"), fmt.Errorf("wrapped: %w", sql.ErrConnDone)} {
		if got := (sqlite.Dialector{}).Translate(foreign); got != foreign { //nolint:errorlint // the very same
			t.Errorf("%v became %v", foreign, got)
		}
	}
}

// A name cannot end its own quotes.
func TestQuoteTo(t *testing.T) {
	for name, want := range map[string]string{
		"clients":        `"clients"`,
		"clients.id":     `"clients"."id"`,
		`a"; DROP TABLE`: `"a; DROP TABLE"`,
		"":               `""`,
		"order":          `"order"`,
		"übergröße":      `"übergröße"`,
	} {
		var text strings.Builder
		sqlite.Dialector{}.QuoteTo(&text, name)
		if text.String() != want {
			t.Errorf("%q: got %s, want %s", name, text.String(), want)
		}
		if strings.Count(text.String(), `"`)%2 != 0 {
			t.Errorf("%q: the quotes of %s do not close", name, text.String())
		}
	}
}

// What gorm writes for a row is what is in the row.
func TestRoundTrip(t *testing.T) {
	type parent struct {
		ID   string `gorm:"primaryKey"`
		Name *string
		N    int64
		Must string
	}
	db, err := gorm.Open(sqlite.Dialector{Pool: newPool(t)}, &gorm.Config{SkipDefaultTransaction: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "'", `"`, "?", "\x00", "a\x00b", "\xff", "鍵", strings.Repeat("x", 1<<16)} {
		want := parent{ID: "id of " + text, Name: &text, N: 1 << 62, Must: text}
		if err := db.Create(&want).Error; err != nil {
			t.Fatal(err)
		}
		var got parent
		if err := db.Where("id = ?", want.ID).Take(&got).Error; err != nil {
			t.Fatalf("%.20q: %v", text, err)
		}
		if *got.Name != text || got.Must != text || got.N != want.N {
			t.Errorf("%.20q came back as %.20q and %.20q", text, *got.Name, got.Must)
		}
		if err := db.Exec("DELETE FROM parents WHERE id = ?", want.ID).Error; err != nil {
			t.Fatal(err)
		}
	}
}
