package migrations_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/cambio-oauth/cambio/migrations"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// What was recorded before there were partitions is there afterwards, and what
// an older replica writes meanwhile finds its place.
func TestRecordsFromBeforePartitions(t *testing.T) {
	db := pool(t, storagetest.Postgres(t))
	older, err := goose.NewProvider(goose.DialectPostgres, db.DB, os.DirFS("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := older.UpTo(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	record := func(id string) {
		t.Helper()
		db.must(t, fmt.Sprintf(`INSERT INTO exchanges (id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at)
			VALUES ('%s', 1, '', '', '', '', 'i', '', '', '', '', '[]', '[]', '', 0)`, id))
	}
	at := func(t time.Time) string {
		return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", t.UnixMilli()>>16, t.UnixMilli()&0xffff)
	}
	now := time.Now()
	ids := []string{"", at(now.Add(-1000 * 24 * time.Hour)), at(now), at(now.Add(100 * 24 * time.Hour)), "no id at all"}
	for _, id := range ids {
		record(id)
	}
	if applied, err := migrations.Up(t.Context(), db.DB, migrations.Postgres); err != nil || !slices.Contains(applied, "00009_partitions.sql") {
		t.Fatal(applied, err)
	}
	for _, id := range []string{at(now.Add(time.Hour)), at(now.Add(200 * 24 * time.Hour))} {
		record(id)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if got := column(t, db.DB, `SELECT id FROM exchanges ORDER BY id COLLATE "C"`); !slices.Equal(got, ids) {
		t.Errorf("got %q, want %q", got, ids)
	}
	want := []string{"exchanges_before 4", "exchanges_default 3"}
	if got := column(t, db.DB, "SELECT tableoid::regclass || ' ' || COUNT(*) FROM exchanges GROUP BY tableoid ORDER BY 1"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
