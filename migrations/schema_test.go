package migrations_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/migrations"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// The two histories end in the same schema: a column that one has and the
// other lacks, or that only one lets be NULL, is a bug that shows on one
// backend only.
func TestSchemasAgree(t *testing.T) {
	sqlite, postgres := pool(t, storagetest.SQLite(t)), pool(t, storagetest.Postgres(t))
	sqlite.up(t)
	postgres.up(t)
	if a, b := sqlite.tables(t), postgres.tables(t); !slices.Equal(a, b) || len(a) < 10 {
		t.Fatalf("tables: SQLite has\n%v, PostgreSQL\n%v", a, b)
	}
	for _, table := range sqlite.tables(t) {
		for what, read := range map[string]func(*testing.T, database, string) []string{
			"columns": columnsOf, "unique keys": uniqueKeys, "foreign keys": foreignKeys, "indexes": indexes,
		} {
			a, b := read(t, sqlite, table), read(t, postgres, table)
			if what == "columns" && len(a) == 0 {
				t.Errorf("%s: no columns were found", table)
			}
			for _, line := range difference(a, b) {
				t.Errorf("%s, %s: only SQLite has %s", table, what, line)
			}
			for _, line := range difference(b, a) {
				t.Errorf("%s, %s: only PostgreSQL has %s", table, what, line)
			}
		}
	}
}

func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
}

// columnsOf gives name, kind and whether NULL may be in it, in the order of the
// table.
func columnsOf(t *testing.T, db database, table string) []string {
	t.Helper()
	if db.dialect == migrations.Postgres {
		return column(t, db.DB, `SELECT ordinal_position || ' ' || column_name || ' ' ||
			CASE data_type WHEN 'bytea' THEN 'bytes' ELSE data_type END || CASE is_nullable WHEN 'YES' THEN ' NULL' ELSE '' END
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`, table)
	}
	return column(t, db.DB, `SELECT (cid + 1) || ' ' || name || ' ' ||
		CASE type WHEN 'BLOB' THEN 'bytes' ELSE lower(type) END ||
		CASE WHEN "notnull" OR pk THEN '' ELSE ' NULL' END FROM pragma_table_info(?) ORDER BY cid`, table)
}

// uniqueKeys gives the columns of each unique index, with its condition.
func uniqueKeys(t *testing.T, db database, table string) []string { return keys(t, db, table, true) }

// indexes gives the columns of each index that is there for speed only.
func indexes(t *testing.T, db database, table string) []string { return keys(t, db, table, false) }

func keys(t *testing.T, db database, table string, unique bool) []string {
	t.Helper()
	var list []string
	if db.dialect == migrations.Postgres {
		list = column(t, db.DB, `SELECT (SELECT string_agg(a.attname, ' ' ORDER BY k.ord)
				FROM unnest(i.indkey) WITH ORDINALITY k (attnum, ord) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
				|| COALESCE(' WHERE ' || pg_get_expr(i.indpred, i.indrelid), '')
			FROM pg_index i WHERE i.indrelid = ('public.' || $1)::regclass AND i.indisunique = $2`, table, unique)
		for i := range list {
			list[i] = strings.NewReplacer("(", "", ")", "", "::text", "").Replace(list[i])
		}
	} else {
		list = column(t, db.DB, `SELECT (SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno))
				|| COALESCE((SELECT substr(sql, instr(sql, ' WHERE ')) FROM sqlite_master m WHERE m.name = l.name AND instr(sql, ' WHERE ') > 0), '')
			FROM pragma_index_list(?) l WHERE l."unique" = ?`, table, unique)
		if unique { // SQLite keeps no index for an INTEGER PRIMARY KEY
			list = append(list, column(t, db.DB, `SELECT name FROM pragma_table_info(?) WHERE pk AND type = 'INTEGER'`, table)...)
		}
	}
	slices.Sort(list)
	return list
}

// foreignKeys gives what refers to what, and what happens when that goes.
func foreignKeys(t *testing.T, db database, table string) []string {
	t.Helper()
	query := `SELECT "from" || ' → ' || "table" || ' ' || "to" || ' ' || on_delete FROM pragma_foreign_key_list(?) ORDER BY 1`
	if db.dialect == migrations.Postgres {
		query = `SELECT (SELECT attname FROM pg_attribute WHERE attrelid = c.conrelid AND attnum = c.conkey[1]) || ' → ' || c.confrelid::regclass || ' ' ||
			(SELECT attname FROM pg_attribute WHERE attrelid = c.confrelid AND attnum = c.confkey[1]) || ' ' ||
			CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'a' THEN 'NO ACTION' ELSE c.confdeltype::text END
			FROM pg_constraint c WHERE c.contype = 'f' AND c.conrelid = ('public.' || $1)::regclass ORDER BY 1`
	}
	return column(t, db.DB, query, table)
}

// The rules that the schema itself keeps, whoever writes: each statement is
// refused by both dialects.
func TestSchemaRefuses(t *testing.T) {
	const integrator = "INSERT INTO integrators (id, name, status, generation, revision, created_at, updated_at) VALUES "
	const client = `INSERT INTO clients (id, client_id, owner, integrator_id, resource_server_id, name, auth_method, grant_types,
		access_token_ttl, allowed_origins, status, generation, revision, created_at, updated_at) VALUES `
	const key = "INSERT INTO signing_keys (id, algorithm, state, public, sealed, created_at, retired_at) VALUES "
	refused := map[string]string{
		"a status that is none":                         integrator + "('x', 'x', 'paused', 1, 1, 1, 1)",
		"an object without a name":                      integrator + "('x', NULL, 'active', 1, 1, 1, 1)",
		"an id twice":                                   integrator + "('i', 'x', 'active', 1, 1, 1, 1)",
		"an integrator's client without one":            client + "('x', 'x', 'integrator', NULL, NULL, '', '', '[]', 0, '[]', 'active', 1, 1, 1, 1)",
		"an operator's client with an integrator":       client + "('x', 'x', 'operator', 'i', NULL, '', '', '[]', 0, '[]', 'active', 1, 1, 1, 1)",
		"a resource server's client with an integrator": client + "('x', 'x', 'resource_server', 'i', NULL, '', '', '[]', 0, '[]', 'active', 1, 1, 1, 1)",
		"a client of an owner that is none":             client + "('x', 'x', 'nobody', NULL, NULL, '', '', '[]', 0, '[]', 'active', 1, 1, 1, 1)",
		"a client of nobody known":                      client + "('x', 'x', 'integrator', 'unknown', NULL, '', '', '[]', 0, '[]', 'active', 1, 1, 1, 1)",
		"a secret of no client":                         "INSERT INTO client_secrets (client_id, hash, created_at, expires_at) SELECT 'unknown', public, 1, 0 FROM signing_keys",
		"a link to nobody":                              "INSERT INTO lock_holder_links (integrator_id, lock_holder_id, created_at) VALUES ('i', 'unknown', 1)",
		"a second active key":                           key + "('x', 'ES256', 'active', '', '', 1, 0)",
		"a key in a state that is none":                 key + "('x', 'RS256', 'lost', '', '', 1, 0)",
		"a second counter of changes":                   "INSERT INTO changes (id, seq) VALUES (2, 1)",
	}
	each(t, func(t *testing.T, db database) {
		db.up(t)
		db.must(t, integrator+"('i', 'i', 'active', 1, 1, 1, 1)")
		db.must(t, key+"('k', 'ES256', 'active', '', '', 1, 0)")
		for _, name := range slices.Sorted(maps.Keys(refused)) {
			t.Run(name, func(t *testing.T) {
				if _, err := db.ExecContext(t.Context(), refused[name]); err == nil {
					t.Error("it was taken")
				} else if text := fmt.Sprint(err); strings.Contains(text, "syntax") || strings.Contains(text, "no such") {
					t.Errorf("refused for another reason: %v", err)
				}
			})
		}
	})
}
