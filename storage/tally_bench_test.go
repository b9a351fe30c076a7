package storage_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// BenchmarkCount is what a tally takes of an exchange: one goroutine alone, and
// all of them at once.
func BenchmarkCount(b *testing.B) {
	const integrators = 10_000
	attempts := make([]registry.Exchange, integrators)
	for i := range attempts {
		attempts[i] = registry.Exchange{
			At: time.Now(), Result: registry.ResultGranted, IntegratorID: fmt.Sprintf("01a20da3-465c-78e8-a463-%012d", i), ClientID: fmt.Sprintf("01a20da4-465c-78e8-a463-%012d", i),
		}
		if i%4 == 0 {
			attempts[i].Result, attempts[i].Code, attempts[i].Reason = registry.ResultRefused, "invalid_request", "token_expired"
		}
	}
	for name, of := range map[string]int{"one integrator": 1, "10,000 integrators": integrators} {
		tally := storage.NewTally(nil, slog.New(slog.DiscardHandler))
		b.Run(name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				tally.Count(&attempts[i%of])
				i++
			}
		})
		b.Run(name+"/at once", func(b *testing.B) {
			var next atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for i := int(next.Add(1)) * 17; pb.Next(); i++ {
					tally.Count(&attempts[i%of])
				}
			})
		})
	}
}

// BenchmarkFlush stores what 10,000 integrators were granted and refused, and
// which of their clients were used.
func BenchmarkFlush(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			tally := storage.NewTally(storagetest.Open(b, url(b)), slog.New(slog.DiscardHandler))
			for b.Loop() {
				for i := range 20_000 {
					e := registry.Exchange{At: time.Now(), Result: registry.ResultGranted, IntegratorID: fmt.Sprint("integrator-", i/2), ClientID: fmt.Sprint("client-", i/2)}
					if i%2 == 0 {
						e.Result, e.Reason = registry.ResultRefused, "token_expired"
					}
					tally.Count(&e)
				}
				if err := tally.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
