package storage_test

import (
	"fmt"
	"log/slog"
	"strings"
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
							e := usualExchange()
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

// usualExchange is a record of the usual size.
func usualExchange() registry.Exchange {
	now := time.Now()
	e := registry.Exchange{
		At: now, GrantType: "urn:ietf:params:oauth:grant-type:token-exchange", Result: registry.ResultGranted, IntegratorID: "01a20de4-6cfd-7653-b428-1e18b2a920b5",
		ClientID: "01a20de4-6cfd-7653-b428-1e18b2a920b6", Issuer: "https://acme.eu.auth0.com/", Subject: "auth0|5934aafe4e52d93452b1c90", KeyID: "NEU2N0M2MzQyN",
		TokenID: "Bu0l46tNUwf4lhHPBLuLpN", ExpiresAt: now.Add(time.Hour), SubjectTokenHash: strings.Repeat("0f", 32),
	}
	for i := range 10 {
		e.Granted = append(e.Granted, fmt.Sprint("lockHolder.identifier:NO.91942450", i, ".part"))
	}
	return e
}
