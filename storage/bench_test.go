package storage_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// BenchmarkDurableRecords: 64 exchanges at once, each of which waits for its
// record. A log of its own for each commits every record alone, as it was
// before they shared commits; both kinds run in turn, in one run.
func BenchmarkDurableRecords(b *testing.B) {
	const waiters, each = 64, 8
	for name, url := range map[string]func(testing.TB) string{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			store := storagetest.Open(b, url(b))
			newLog := func() *storage.ExchangeLog {
				log := storage.NewExchangeLog(store, storage.LogDurable, slog.New(slog.DiscardHandler))
				b.Cleanup(log.Close)
				return log
			}
			shared, alone := newLog(), make([]*storage.ExchangeLog, waiters)
			for i := range alone {
				alone[i] = newLog()
			}
			record := func(logOf func(i int) *storage.ExchangeLog) time.Duration {
				began := time.Now()
				var all sync.WaitGroup
				for i := range waiters {
					all.Go(func() {
						for range each {
							e := registry.Exchange{At: time.Now(), Result: registry.ResultGranted, IntegratorID: "i", Subject: "sub"}
							if err := logOf(i).Record(b.Context(), e, false); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				return time.Since(began)
			}
			var together, apart time.Duration
			for b.Loop() {
				apart += record(func(i int) *storage.ExchangeLog { return alone[i] })
				together += record(func(int) *storage.ExchangeLog { return shared })
			}
			n := float64(b.N * waiters * each)
			b.ReportMetric(n/apart.Seconds(), "alone/s")
			b.ReportMetric(n/together.Seconds(), "together/s")
			b.ReportMetric(apart.Seconds()/together.Seconds(), "times")
		})
	}
}
