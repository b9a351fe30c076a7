package storagetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
)

func countRules() map[string]func(*testing.T, *storage.Store) {
	return map[string]func(*testing.T, *storage.Store){
		"attempts are counted by the hour":        testCounts,
		"replicas add up, none waits for another": testCountsAtOnce,
		"old counts go in batches":                testPurgeCounts,
	}
}

// tallied counts attempts, stores them and gives the tally.
func tallied(t *testing.T, s *storage.Store, attempts ...registry.Exchange) *storage.Tally {
	t.Helper()
	tally := storage.NewTally(s, quiet())
	for _, e := range attempts {
		tally.Count(&e)
	}
	ok(t, tally.Flush(t.Context()))
	return tally
}

// attempt is one that was refused for a reason, or granted without one.
func attempt(integratorID, word string, at time.Time) registry.Exchange {
	e := granted(integratorID)
	e.At = at
	if word != "" {
		e.Result, e.Code, e.Reason = registry.ResultRefused, "invalid_request", word
	}
	return e
}

// counted lists the counts of a window, one a line.
func counted(t *testing.T, s *storage.Store, integratorID string, from, to time.Time) []string {
	t.Helper()
	counts, err := s.ExchangeCounts(t.Context(), integratorID, from, to)
	ok(t, err)
	lines := []string{}
	for _, c := range counts {
		lines = append(lines, fmt.Sprintf("%s %s %s %d", c.Hour.Format("15:04:05"), c.Result, c.Reason, c.Count))
	}
	return lines
}

func testCounts(t *testing.T, s *storage.Store) {
	day := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	clock := func(text string) time.Time {
		at, err := time.Parse(time.TimeOnly, text)
		ok(t, err)
		return day.Add(at.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
	}
	scope := attempt("acme", "x", clock("10:30:00"))
	scope.Code, scope.Reason = "invalid_scope", ""
	elsewhere := attempt("acme", "", clock("10:59:59").In(time.FixedZone("half an hour off", 5*3600+1800)))
	tally := tallied(t, s, attempt("acme", "", clock("10:00:00")), elsewhere, scope,
		attempt("acme", "token_expired", clock("10:00:01")), attempt("acme", "token_expired", clock("11:00:00")),
		attempt("acme", "what no grant says", clock("11:00:00")), attempt("other", "", clock("10:00:00")), attempt("", "malformed", clock("10:20:00")))
	acme := []string{"10:00:00 granted  2", "10:00:00 refused invalid_scope 1", "10:00:00 refused token_expired 1", "11:00:00 refused other 1", "11:00:00 refused token_expired 1"}
	all := []string{"10:00:00 granted  3", "10:00:00 refused invalid_scope 1", "10:00:00 refused malformed 1", "10:00:00 refused token_expired 1",
		"11:00:00 refused other 1", "11:00:00 refused token_expired 1"}
	for _, c := range []struct {
		name, integratorID, from, to string
		want                         []string
	}{
		{"an integrator's", "acme", "00:00:00", "23:00:00", acme},
		{"another's", "other", "00:00:00", "23:00:00", []string{"10:00:00 granted  1"}},
		{"nobody's", "nobody", "00:00:00", "23:00:00", []string{}},
		{"all together, with those of nobody", "", "00:00:00", "23:00:00", all},
		{"from is included, to is not", "acme", "10:00:00", "11:00:00", acme[:3]},
		{"an hour that began before is not", "acme", "10:00:01", "23:00:00", acme[3:]},
	} {
		if got := counted(t, s, c.integratorID, clock(c.from), clock(c.to)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	ok(t, tally.Flush(t.Context())) // nothing is stored twice
	e := attempt("other", "", clock("10:00:00"))
	tally.Count(&e)
	ok(t, tally.Flush(t.Context()))
	if got := counted(t, s, "other", clock("10:00:00"), clock("11:00:00")); !slices.Equal(got, []string{"10:00:00 granted  2"}) {
		t.Errorf("once more: %q", got)
	}
}

// Replicas store the same counts at once, and come to them in another order.
func testCountsAtOnce(t *testing.T, s *storage.Store) {
	const replicas, integrators, rounds = 4, 300, 5 // more than a statement takes
	hour := time.Now().Truncate(time.Hour)
	var all sync.WaitGroup
	for range replicas {
		tally := storage.NewTally(s, quiet())
		all.Go(func() {
			for range rounds {
				for i := range integrators {
					for _, word := range []string{"", "token_expired"} {
						e := attempt(fmt.Sprint("i-", i), word, hour)
						tally.Count(&e)
					}
				}
				if err := tally.Flush(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for id, want := range map[string]int64{"": replicas * integrators * rounds, "i-0": replicas * rounds, "i-299": replicas * rounds} {
		counts, err := s.ExchangeCounts(t.Context(), id, hour, hour.Add(time.Hour))
		ok(t, err)
		if len(counts) != 2 || counts[0].Count != want || counts[1].Count != want {
			t.Errorf("%q: got %v, want %d twice", id, counts, want)
		}
	}
}

func testPurgeCounts(t *testing.T, s *storage.Store) {
	const batch, old = 500, 700
	now := time.Now()
	var attempts []registry.Exchange
	for i := range old {
		attempts = append(attempts, attempt(fmt.Sprint("i-", i), "", now.Add(-2*time.Hour)))
	}
	tallied(t, s, append(attempts, attempt("i-0", "", now))...)
	before := now.Add(-time.Hour)
	var deleted []int64
	for n := int64(1); n > 0; {
		var err error
		n, err = s.PurgeExchangeCounts(t.Context(), before)
		ok(t, err)
		deleted = append(deleted, n)
	}
	if !slices.Equal(deleted, []int64{batch, old + 1 - batch, 0}) { // and the sum
		t.Errorf("deleted %v", deleted)
	}
	for _, id := range []string{"", "i-0"} {
		if got := counted(t, s, id, now.Add(-24*time.Hour), now.Add(time.Hour)); len(got) != 1 {
			t.Errorf("%q has %q", id, got)
		}
	}
}
