package migrations_test

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/cambio-oauth/cambio/migrations"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// database is an empty database with a pool of its own.
type database struct {
	*sql.DB
	dialect migrations.Dialect
	url     string
}

func each(t *testing.T, run func(t *testing.T, db database)) {
	t.Helper()
	storagetest.Each(t, func(t *testing.T, databaseURL string) { run(t, pool(t, databaseURL)) })
}

func pool(t *testing.T, databaseURL string) database {
	t.Helper()
	dialect, driver, source := migrations.Postgres, "pgx", databaseURL
	if path, isFile := storage.Path(databaseURL); isFile {
		dialect, driver, source = migrations.SQLite, "sqlite", "file:"+path+"?_pragma=foreign_keys(1)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return database{db, dialect, databaseURL}
}

func (d database) up(t *testing.T) []string {
	t.Helper()
	applied, err := migrations.Up(t.Context(), d.DB, d.dialect)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func (d database) must(t *testing.T, statement string) {
	t.Helper()
	if _, err := d.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// tables lists the tables but goose's own, each with its partitions as one.
func (d database) tables(t *testing.T) []string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
	if d.dialect == migrations.Postgres {
		query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"
	}
	return slices.DeleteFunc(column(t, d.DB, query), func(name string) bool { return name == "goose_db_version" })
}

// column reads the first column of a query.
func column(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	list := []string{}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		list = append(list, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestUpAndStatus(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		status := func() (names []string, applied int) {
			steps, err := migrations.Status(t.Context(), db.DB, db.dialect)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range steps {
				names = append(names, step.Name)
				if !step.AppliedAt.IsZero() {
					applied++
				}
			}
			return names, applied
		}
		names, applied := status()
		if len(names) == 0 || applied != 0 || !slices.IsSorted(names) {
			t.Errorf("before: %v, %d applied", names, applied)
		}
		if got := db.up(t); !slices.Equal(got, names) {
			t.Errorf("applied %v, want %v", got, names)
		}
		if _, applied = status(); applied != len(names) {
			t.Errorf("after: %d of %d applied", applied, len(names))
		}
		before := db.tables(t)
		if got := db.up(t); len(got) != 0 {
			t.Errorf("the second time applied %v", got)
		}
		if after := db.tables(t); !slices.Equal(after, before) {
			t.Errorf("the second time made %v of %v", after, before)
		}
		if got := column(t, db.DB, "SELECT seq FROM changes"); !slices.Equal(got, []string{"1"}) {
			t.Errorf("the counter of changes is %v", got)
		}
	})
}

// A migration that fails leaves nothing of itself, and can be tried again.
func TestFailedMigrationLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		db.must(t, "CREATE TABLE exchanges (in_the_way INTEGER)") // one of the last to be made
		if _, err := migrations.Up(t.Context(), db.DB, db.dialect); err == nil {
			t.Fatal("it did not fail")
		}
		if got := db.tables(t); !slices.Equal(got, []string{"exchanges"}) {
			t.Errorf("it left %v", got)
		}
		db.must(t, "DROP TABLE exchanges")
		if got := db.up(t); len(got) == 0 {
			t.Error("it was not tried again")
		}
	})
}

func TestUpFails(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := migrations.Up(gone, db.DB, db.dialect); err == nil {
			t.Error("given up: no error")
		}
		if got := db.tables(t); len(got) != 0 {
			t.Errorf("given up: it left %v", got)
		}
		if _, err := migrations.Up(t.Context(), db.DB, "mysql"); err == nil {
			t.Error("another dialect: no error")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := migrations.Up(t.Context(), db.DB, db.dialect); err == nil {
			t.Error("closed: no error")
		}
		if _, err := migrations.Status(t.Context(), db.DB, db.dialect); err == nil {
			t.Error("closed: status without an error")
		}
	})
}

// A database of a newer version is left as it is: its data are not ours to judge.
func TestNewerDatabaseIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		db.up(t)
		db.must(t, "ALTER TABLE integrators ADD COLUMN from_the_future TEXT")
		db.must(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, "+map[migrations.Dialect]string{migrations.SQLite: "1", migrations.Postgres: "true"}[db.dialect]+")")
		applied, err := migrations.Up(t.Context(), db.DB, db.dialect)
		if len(applied) != 0 {
			t.Errorf("applied %v (%v)", applied, err)
		}
		db.must(t, "SELECT from_the_future FROM integrators")
	})
}

// The files of the two dialects belong together, one by one.
func TestDialectsHaveTheSameSteps(t *testing.T) {
	var lists [][]string
	each(t, func(t *testing.T, db database) {
		steps, err := migrations.Status(t.Context(), db.DB, db.dialect)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, step := range steps {
			names = append(names, step.Name)
			if !strings.HasSuffix(step.Name, ".sql") {
				t.Errorf("%s is no SQL", step.Name)
			}
		}
		lists = append(lists, names)
	})
	if len(lists) != 2 || !slices.Equal(lists[0], lists[1]) {
		t.Errorf("the dialects have %v", lists)
	}
}

// A program can tell whether a database is where it needs it, and asking
// changes nothing.
func TestVersions(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		if _, _, err := migrations.Versions(t.Context(), db.DB, db.dialect); err == nil {
			t.Error("a database without a history has a version")
		}
		if got := db.tables(t); len(got) != 0 {
			t.Errorf("asking made %v", got)
		}
		names := db.up(t)
		version := func(i int) int64 { // numbers may be left out
			n, err := goose.NumericComponent(names[i])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		last := version(len(names) - 1)
		applied, known, err := migrations.Versions(t.Context(), db.DB, db.dialect)
		if err != nil || applied != known || known != last {
			t.Errorf("%d of %d, want %d (%v)", applied, known, last, err)
		}
		db.must(t, "DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)")
		if applied, _, err = migrations.Versions(t.Context(), db.DB, db.dialect); err != nil || applied != version(len(names)-2) {
			t.Errorf("one step back it is at %d (%v)", applied, err)
		}
	})
}
