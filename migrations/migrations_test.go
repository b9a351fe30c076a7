package migrations_test

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/cambio-oauth/cambio/migrations"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func open(t *testing.T, dialect migrations.Dialect, url string) *sql.DB {
	t.Helper()
	driver := "pgx"
	if dialect == migrations.SQLite {
		driver, url = "sqlite", "file:"+strings.TrimPrefix(url, "sqlite://")
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func migrated(t *testing.T, dialect migrations.Dialect, url string) *sql.DB {
	t.Helper()
	db := open(t, dialect, url)
	if applied, err := migrations.Up(t.Context(), db, dialect); err != nil || len(applied) == 0 {
		t.Fatalf("%v %v", applied, err)
	}
	return db
}

// Both histories end in one schema: the same tables, columns and nullability.
func TestDialectsAgree(t *testing.T) {
	lite := columns(t, migrated(t, migrations.SQLite, storagetest.SQLite(t)), `SELECT m.name || '.' || p.name, CASE WHEN p."notnull" = 1 OR m.name = 'changes' THEN 'NOT NULL' ELSE 'NULL' END
		FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%'`)
	post := columns(t, migrated(t, migrations.Postgres, storagetest.Postgres(t)), `SELECT table_name || '.' || column_name, CASE is_nullable WHEN 'NO' THEN 'NOT NULL' ELSE 'NULL' END
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose_%'
		AND table_name NOT IN (SELECT relname FROM pg_class WHERE relispartition)`)
	if !maps.Equal(lite, post) {
		for _, name := range slices.Sorted(maps.Keys(lite)) {
			if lite[name] != post[name] {
				t.Errorf("%s: SQLite %q, PostgreSQL %q", name, lite[name], post[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(post)) {
			if _, ok := lite[name]; !ok {
				t.Errorf("%s: PostgreSQL only", name)
			}
		}
	}
	if len(lite) < 80 {
		t.Errorf("only %d columns were compared", len(lite))
	}
}

func columns(t *testing.T, db *sql.DB, query string) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var name, nullable string
		if err := rows.Scan(&name, &nullable); err != nil {
			t.Fatal(err)
		}
		found[name] = nullable
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestUpTwiceIsNothing(t *testing.T) {
	for dialect, url := range map[migrations.Dialect]string{migrations.SQLite: storagetest.SQLite(t), migrations.Postgres: storagetest.Postgres(t)} {
		t.Run(string(dialect), func(t *testing.T) {
			db := open(t, dialect, url)
			if steps, err := migrations.Status(t.Context(), db, dialect); err != nil || len(steps) == 0 || !steps[0].AppliedAt.IsZero() {
				t.Fatalf("before: %v %v", steps, err)
			}
			for want := range []int{1, 0} {
				applied, err := migrations.Up(t.Context(), db, dialect)
				if err != nil || (len(applied) == 0) != (want == 1) {
					t.Errorf("applied %v: %v", applied, err)
				}
			}
			if steps, err := migrations.Status(t.Context(), db, dialect); err != nil || steps[0].AppliedAt.IsZero() {
				t.Errorf("after: %v %v", steps, err)
			}
		})
	}
}

// Replicas that start together: one applies, the others wait.
func TestReplicasMigrateAtOnce(t *testing.T) {
	url := storagetest.Postgres(t)
	var group sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 4 {
		db := open(t, migrations.Postgres, url)
		group.Go(func() {
			applied, err := migrations.Up(context.WithoutCancel(t.Context()), db, migrations.Postgres)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += len(applied)
		})
	}
	group.Wait()
	if steps, err := migrations.Status(t.Context(), open(t, migrations.Postgres, url), migrations.Postgres); err != nil || total != len(steps) {
		t.Errorf("%d applied of %d: %v", total, len(steps), err)
	}
}
