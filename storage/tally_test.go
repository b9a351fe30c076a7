package storage

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
)

func grantedTo(integratorID string) *registry.Exchange {
	return &registry.Exchange{At: time.Now(), Result: registry.ResultGranted, IntegratorID: integratorID}
}

// sumOf adds up what is stored of an integrator.
func sumOf(t *testing.T, store *Store, integratorID string) (n int64) {
	t.Helper()
	counts, err := store.ExchangeCounts(t.Context(), integratorID, time.Time{}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range counts {
		n += count.Count
	}
	return n
}

// While nothing can be stored memory is bounded, and the sum stays right.
func TestATallyIsBounded(t *testing.T) {
	const more = 1000
	tally := NewTally(nil, slog.New(slog.DiscardHandler))
	now := grantedTo("")
	for i := range maxCounts + more {
		e := *now // of one hour
		e.IntegratorID = fmt.Sprint("integrator-", i)
		tally.Count(&e)
	}
	known := *now
	known.IntegratorID = "integrator-0"
	tally.Count(&known)
	if n := len(tally.counts); n != maxCounts {
		t.Errorf("%d counts are kept, want %d", n, maxCounts)
	}
	hour := now.At.Unix() / 3600
	for id, want := range map[string]int64{"": maxCounts + more + 1, "integrator-0": 2} {
		if got := tally.counts[countKey{integratorID: id, hour: hour}]; got != want {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
}

// What was stored before a batch failed is not stored again.
func TestABatchThatFails(t *testing.T) {
	const integrators = logBatch + 10
	store := newSQLite(t)
	tally := NewTally(store, slog.New(slog.DiscardHandler))
	last := fmt.Sprintf("integrator-%04d", integrators-1) // in the second batch
	for i := range integrators {
		tally.Count(grantedTo(fmt.Sprintf("integrator-%04d", i)))
	}
	if err := store.writer.Exec("CREATE TRIGGER broken BEFORE INSERT ON exchange_counts WHEN NEW.integrator_id = '" + last + "' BEGIN SELECT RAISE(ABORT, 'broken'); END").Error; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := tally.Flush(t.Context()); err == nil {
			t.Fatal("it did not fail")
		}
		if n := sumOf(t, store, ""); n != integrators { // the sum stands in the first batch
			t.Errorf("the sum is %d, want %d", n, integrators)
		}
	}
	tally.Count(grantedTo(last))
	if err := store.writer.Exec("DROP TRIGGER broken").Error; err != nil {
		t.Fatal(err)
	}
	if err := tally.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int64{"": integrators + 1, "integrator-0000": 1, last: 2} {
		if n := sumOf(t, store, id); n != want {
			t.Errorf("%q: %d, want %d", id, n, want)
		}
	}
	if n := len(tally.counts); n != 0 {
		t.Errorf("%d counts are left", n)
	}
}

// Nothing is lost between counting and storing.
func TestCountingWhileStoring(t *testing.T) {
	const counters, each = 4, 5000
	store := newSQLite(t)
	tally := NewTally(store, slog.New(slog.DiscardHandler))
	var counting, storing sync.WaitGroup
	for range counters {
		counting.Go(func() {
			for range each {
				tally.Count(grantedTo("acme"))
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		storing.Go(func() {
			for {
				if err := tally.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	counting.Wait()
	close(done)
	storing.Wait()
	if err := tally.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "acme"} {
		if n := sumOf(t, store, id); n != counters*each {
			t.Errorf("%q: %d, want %d", id, n, counters*each)
		}
	}
}
