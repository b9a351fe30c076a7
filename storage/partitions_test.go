package storage_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const day = 24 * time.Hour

// recordAt writes a record as if it were of some time.
func recordAt(t *testing.T, db *sql.DB, at time.Time) {
	t.Helper()
	id := fmt.Sprintf("%08x-%04x-7000-8000-%012x", at.UnixMilli()>>16, at.UnixMilli()&0xffff, at.Nanosecond()%1000)
	_, err := db.ExecContext(t.Context(), `INSERT INTO exchanges (id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at)
		VALUES ($1, $2, '', 'granted', '', '', 'i', '', '', '', '', '[]', '[]', '', 0)`, id, at.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
}

// counts gives the number of records of each partition that has some.
func counts(t *testing.T, db *sql.DB) map[string]int {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT tableoid::regclass::text, COUNT(*) FROM exchanges GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		found[name] = n
	}
	return found
}

func exists(t *testing.T, db *sql.DB, table string) (is bool) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT to_regclass($1) IS NOT NULL", table).Scan(&is); err != nil {
		t.Fatal(err)
	}
	return is
}

// Each day has its partition, which is there before the day and goes as a
// whole; a record of any time finds a place, and pages go on from one to the
// next.
func TestRecordsByDay(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	store, db := migrated(t, databaseURL), raw(t, databaseURL)
	now := time.Now().UTC().Truncate(day).Add(12 * time.Hour)
	name := func(ahead int) string { return "exchanges_" + now.Add(time.Duration(ahead)*day).Format("20060102") }
	for range 2 { // the second time all is there
		if err := store.PrepareExchanges(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	for ahead, want := range map[int]bool{1: false, 2: true, 7: true, 8: false} { // today and tomorrow are with what was before
		if exists(t, db, name(ahead)) != want {
			t.Errorf("%s: exists is %v", name(ahead), !want)
		}
	}
	var want []int64
	for ahead := -3; ahead <= 9; ahead++ {
		at := now.Add(time.Duration(ahead) * day)
		recordAt(t, db, at)
		want = append(want, at.UnixMicro())
	}
	if got := counts(t, db); got["exchanges_before"] != 5 || got[name(2)] != 1 || got[name(7)] != 1 || got["exchanges_default"] != 2 {
		t.Errorf("records by partition: %v", got)
	}
	slices.Reverse(want)
	if got := paged(t, store); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	purgeTo := func(before time.Time, left int) {
		t.Helper()
		for n := int64(1); n > 0; {
			var err error
			if n, err = store.PurgeExchanges(t.Context(), before); err != nil {
				t.Fatal(err)
			}
		}
		if got := paged(t, store); !slices.Equal(got, want[:left]) {
			t.Errorf("left %v, want %v", got, want[:left])
		}
	}
	purgeTo(now, 10) // by the day: of what was before, the three days are deleted
	purgeTo(now.Add(4*day), 6)
	for table, want := range map[string]bool{"exchanges_before": false, name(3): false, name(4): true} {
		if exists(t, db, table) != want {
			t.Errorf("%s: exists is %v", table, !want)
		}
	}
	if err := store.PrepareExchanges(t.Context(), now.Add(4*day)); err != nil { // two days of which are in the default
		t.Errorf("with records in the default partition: %v", err)
	}
	if exists(t, db, name(9)) || !exists(t, db, name(10)) {
		t.Error("a day with records in the default partition stands in the way of the others")
	}
	purgeTo(now.Add(20*day), 0)
}

// paged reads all records a few at a time.
func paged(t *testing.T, store *storage.Store) (times []int64) {
	t.Helper()
	for after := ""; ; {
		part, err := store.Exchanges(t.Context(), "i", registry.ExchangeFilter{}, registry.Page{Limit: 3, After: after})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range part {
			times, after = append(times, e.At.UnixMicro()), e.ID
		}
		if len(part) == 0 {
			return times
		}
	}
}

// Somebody who reads for long holds up neither the janitor for ever nor, behind
// it, the exchanges.
func TestDroppingADayWaitsForNobody(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	store, db := migrated(t, databaseURL), raw(t, databaseURL)
	now := time.Now()
	if err := store.PrepareExchanges(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	reader, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ExecContext(t.Context(), "SELECT COUNT(*) FROM exchanges"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PurgeExchanges(t.Context(), now.Add(5*day)); err == nil || !strings.Contains(err.Error(), "55P03") { // lock_not_available
		t.Errorf("got %v", err)
	}
	log := storage.NewExchangeLog(store, storage.LogDurable, slog.New(slog.DiscardHandler))
	defer log.Close()
	if err := log.Record(t.Context(), registry.Exchange{At: now, Result: registry.ResultGranted, IntegratorID: "i"}, false); err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.PurgeExchanges(t.Context(), now.Add(5*day)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
