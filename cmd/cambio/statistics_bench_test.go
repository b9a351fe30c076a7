package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// BenchmarkExchangeStatistics answers beside the counts of 10,000 integrators
// in 168 hours, 3.4 million rows, which take a quarter of a minute to make. The target is
// 100 ms.
func BenchmarkExchangeStatistics(b *testing.B) {
	for name, database := range map[string]func(testing.TB) string{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			databaseURL := database(b)
			s := startServer(b, databaseURL, nil)
			s.document = nil // the check of the answer is not what is measured
			acme := s.newParty("Acme")
			makeCounts(b, databaseURL, acme.id)
			for of, integrator := range map[string]string{"one": acme.id, "all": ""} {
				for _, hours := range []int{24, 168, 744} {
					b.Run(fmt.Sprintf("%s/%d hours", of, hours), func(b *testing.B) {
						var slowest time.Duration
						for b.Loop() {
							began := time.Now()
							if a := s.statistics(integrator, fmt.Sprint("?hours=", hours)).mustBe(b, http.StatusOK); a.json["granted"] == 0.0 {
								b.Fatal("nothing is counted")
							}
							slowest = max(slowest, time.Since(began))
						}
						b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest")
					})
				}
			}
			b.Run("a batch of the janitor", func(b *testing.B) {
				for b.Loop() {
					if n, err := s.p.store.PurgeExchangeCounts(b.Context(), time.Now().Add(-24*time.Hour)); err != nil || n == 0 {
						b.Fatalf("%d deleted, %v", n, err)
					}
				}
			})
		})
	}
}

// makeCounts makes those of 10,000 integrators in 168 hours and, of one and of
// all together, with every reason in 744.
func makeCounts(b *testing.B, databaseURL, acme string) {
	b.Helper()
	db := sideDoor(b, databaseURL)
	now := time.Now().Truncate(time.Hour).UnixMicro()
	const numbers = "WITH RECURSIVE h(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM h WHERE n < %d), i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 9999) "
	const insert = "INSERT INTO exchange_counts (hour, integrator_id, result, reason, count) SELECT %d - CAST(h.n AS BIGINT) * 3600000000, "
	for _, outcome := range []string{"'granted', ''", "'refused', 'token_expired'"} {
		execute(b, db, fmt.Sprintf(numbers+insert+"'01a20da3-465c-78e8-a463-' || i.n, "+outcome+", 7 FROM h, i", 167, now))
	}
	for _, of := range []string{acme, ""} {
		execute(b, db, "DELETE FROM exchange_counts WHERE integrator_id = '"+of+"'")
		execute(b, db, fmt.Sprintf(numbers+insert+"'"+of+"', 'granted', '', 7 FROM h", 743, now))
		for _, reason := range grants.Reasons() {
			execute(b, db, fmt.Sprintf(numbers+insert+"'"+of+"', 'refused', '"+string(reason)+"', 7 FROM h", 743, now))
		}
	}
}
