package storagetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

func granted(integratorID string) registry.Exchange {
	now := time.Now().Truncate(time.Microsecond).UTC()
	return registry.Exchange{
		At: now, GrantType: "urn:ietf:params:oauth:grant-type:token-exchange", Result: registry.ResultGranted,
		IntegratorID: integratorID, ClientID: "client", Issuer: "https://idp.example/", Subject: "Zoë \u00a0 鍵 'quoted' \\ %_",
		KeyID: "kid", Granted: []string{"DK.holder"}, TokenID: unlike("jti"), ExpiresAt: now.Add(time.Hour),
		SubjectTokenHash: strings.Repeat("0af9", 16),
		Dropped:          []registry.Dropped{{Permission: "nul \x00, quote \", <&>", Reason: "malformed"}},
	}
}

func refused(integratorID string) registry.Exchange {
	e := granted(integratorID)
	e.Result, e.Code, e.Reason = registry.ResultRefused, "invalid_request", "signature_invalid"
	e.Granted, e.Dropped, e.TokenID, e.ExpiresAt = []string{}, []registry.Dropped{}, "", time.Time{}
	return e
}

// recorded lists all records of an integrator.
func recorded(t *testing.T, s *storage.Store, integratorID string) []registry.Exchange {
	t.Helper()
	var all []registry.Exchange
	for page := (registry.Page{Limit: registry.MaxPage}); len(all) < 10_000; page.After = all[len(all)-1].ID {
		part, err := s.Exchanges(t.Context(), integratorID, registry.ExchangeFilter{}, page)
		ok(t, err)
		if all = append(all, part...); len(part) < registry.MaxPage {
			return all
		}
	}
	t.Fatal("the pages have no end")
	return nil
}

func newLog(t *testing.T, s *storage.Store, mode storage.LogMode) *storage.ExchangeLog {
	return storage.NewExchangeLog(s, mode, quiet())
}

func testExchangeLog(t *testing.T, s *storage.Store) {
	t.Run("durable: what is recorded can be read at once, as it was", func(t *testing.T) { testDurable(t, s) })
	t.Run("durable: no success without a record", func(t *testing.T) { testNoSuccessWithoutRecord(t, s) })
	t.Run("async: all is there after Close, in order", func(t *testing.T) { testAsync(t, s) })
	t.Run("a change that is on trial stands in its own record, and in no other of the batch", func(t *testing.T) { testAuditedRecords(t, s) })
	t.Run("off: nothing", func(t *testing.T) { testOff(t, s) })
	t.Run("old records go in batches", func(t *testing.T) { testPurgeExchanges(t, s) })
	t.Run("pages go from the newest to the oldest and show one integrator", func(t *testing.T) { testPagesOfRecords(t, s) })
}

func testDurable(t *testing.T, s *storage.Store) {
	log := newLog(t, s, storage.LogDurable)
	defer log.Close()
	id := unlike("integrator") // which need not exist
	for _, want := range []registry.Exchange{granted(id), refused(id)} {
		ok(t, log.Record(t.Context(), want, false))
		got := recorded(t, s, id)[0]
		if !uuid7.MatchString(got.ID) {
			t.Errorf("id %q", got.ID)
		}
		want.ID = got.ID
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v, want\n%+v", got, want)
		}
	}
}

func testNoSuccessWithoutRecord(t *testing.T, s *storage.Store) {
	log := newLog(t, s, storage.LogDurable)
	defer log.Close()
	id := unlike("integrator")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, e := range []registry.Exchange{granted(id), refused(id)} {
		if err := log.Record(gone, e, false); err == nil || domain(err) {
			t.Errorf("got %v", err)
		}
	}
	if got := recorded(t, s, id); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
	if dropped := log.Dropped(); dropped[storage.DroppedByDatabase] != 2 {
		t.Errorf("counted %v", dropped)
	}
}

func testAsync(t *testing.T, s *storage.Store) {
	log := newLog(t, s, storage.LogAsync)
	id := unlike("integrator")
	var want []string
	for range 1000 {
		e := granted(id)
		want = append(want, e.TokenID)
		ok(t, log.Record(t.Context(), e, false))
	}
	log.Close()
	slices.Reverse(want)
	var got []string
	for _, e := range recorded(t, s, id) {
		got = append(got, e.TokenID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d records, want %d, newest first", len(got), len(want))
	}
}

func testAuditedRecords(t *testing.T, s *storage.Store) {
	log := newLog(t, s, storage.LogAsync)
	id := unlike("integrator")
	trial := &registry.Audit{ChangeID: "change", Result: registry.ResultRefused, Code: "invalid_request", Reason: "expired", Lost: []string{"a"}, Gained: []string{"b"}}
	for i := range 40 { // more than one statement
		e := granted(id)
		e.Audit = nil
		if i == 1 {
			e.Audit = trial
		}
		ok(t, log.Record(t.Context(), e, false))
	}
	log.Close()
	got := recorded(t, s, id)
	if len(got) != 40 {
		t.Fatalf("%d records", len(got))
	}
	slices.Reverse(got)
	for i, e := range got {
		if want := i == 1; (e.Audit != nil) != want || want && !reflect.DeepEqual(e.Audit, trial) {
			t.Errorf("record %d: %+v", i, e.Audit)
		}
	}
}

func testOff(t *testing.T, s *storage.Store) {
	log := newLog(t, s, storage.LogOff)
	id := unlike("integrator")
	ok(t, log.Record(t.Context(), granted(id), false))
	ok(t, log.Record(t.Context(), refused(id), false))
	log.Close()
	if got := recorded(t, s, id); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
	for cause, n := range log.Dropped() {
		if n != 0 {
			t.Errorf("%d dropped by %s, of which nobody wanted a record", n, cause)
		}
	}
}

func testPagesOfRecords(t *testing.T, s *storage.Store) {
	log := newLog(t, s, storage.LogDurable)
	defer log.Close()
	id := unlike("integrator")
	var want []string
	for range 5 {
		e := granted(id)
		want = append(want, e.TokenID)
		ok(t, log.Record(t.Context(), e, false))
		ok(t, log.Record(t.Context(), granted(unlike("another")), false))
	}
	slices.Reverse(want)
	for limit := 1; limit <= 6; limit++ {
		var got []string
		page := registry.Page{Limit: limit}
		for range len(want) + 1 { // one page more than there can be
			part, err := s.Exchanges(t.Context(), id, registry.ExchangeFilter{}, page)
			ok(t, err)
			if len(part) == 0 {
				break
			}
			if len(part) > limit {
				t.Fatalf("limit %d gives %d", limit, len(part))
			}
			for _, e := range part {
				got, page.After = append(got, e.TokenID), e.ID
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("limit %d: got %v, want %v", limit, got, want)
		}
	}
	for _, nobody := range []string{"", "nobody"} {
		if got := recorded(t, s, nobody); len(got) != 0 {
			t.Errorf("%q has %v", nobody, got)
		}
	}
}

// testPurgeExchanges: young records stay, old ones go, never many at a time.
func testPurgeExchanges(t *testing.T, s *storage.Store) {
	const batch = 500
	log := newLog(t, s, storage.LogAsync)
	id := unlike("integrator")
	for range 2*batch + 2 {
		ok(t, log.Record(t.Context(), granted(id), false))
	}
	log.Close()
	if n, err := s.PurgeExchanges(t.Context(), time.Now().Add(-time.Hour)); err != nil || n != 0 {
		t.Errorf("deleted %d young ones (%v)", n, err)
	}
	if got := recorded(t, s, id); len(got) != 2*batch+2 {
		t.Errorf("%d are left", len(got))
	}
	tomorrow := time.Now().Add(24 * time.Hour) // whatever the zone, all of today is before it
	for n := int64(1); n > 0; {
		var err error
		n, err = s.PurgeExchanges(t.Context(), tomorrow)
		ok(t, err)
		if left := len(recorded(t, s, id)); n > batch || n == 0 && left != 0 {
			t.Fatalf("deleted %d, %d are left", n, left)
		}
	}
}

// testExchangeQuota: strangers cannot fill the disk, nor keep anybody else's
// attempts or what was granted from being recorded.
func testExchangeQuota(t *testing.T, s *storage.Store) {
	const burst, perSecond, attempts = 100, 5, 300
	log := newLog(t, s, storage.LogAsync)
	flooded, quiet := unlike("flooded"), unlike("quiet")
	began := time.Now()
	for range attempts {
		if err := log.Record(t.Context(), refused(flooded), false); err != nil && !errors.Is(err, storage.ErrLogFull) {
			t.Fatal(err)
		}
	}
	most := burst + 1 + int(perSecond*time.Since(began).Seconds())
	for range 10 {
		ok(t, log.Record(t.Context(), granted(flooded), false))
		ok(t, log.Record(t.Context(), refused(quiet), false))
	}
	log.Close()
	count := map[string]int{}
	for _, e := range recorded(t, s, flooded) {
		count[e.Result]++
	}
	dropped := log.Dropped()
	if n := attempts - count[registry.ResultRefused]; dropped[storage.DroppedByQuota]+dropped[storage.DroppedByQueue] != int64(n) || dropped[storage.DroppedByQuota] == 0 {
		t.Errorf("counted %v, %d were not recorded", dropped, n)
	}
	if n := count[registry.ResultRefused]; n < burst || n > most {
		t.Errorf("%d of %d refused attempts were recorded, want %d to %d", n, attempts, burst, most)
	}
	if n := count[registry.ResultGranted]; n != 10 {
		t.Errorf("%d of 10 granted ones were recorded", n)
	}
	if n := len(recorded(t, s, quiet)); n != 10 {
		t.Errorf("%d of 10 attempts of another integrator were recorded", n)
	}
}
