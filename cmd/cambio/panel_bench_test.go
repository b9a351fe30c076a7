package main

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// Sizes of a large platform.
const (
	benchIntegrators = 10_000
	benchExchanges   = 1_000_000
	benchHolders     = 20_000
)

// BenchmarkPanel measures every page of the panel beside ten thousand
// integrators and a million exchanges on SQLite: at most 100 ms, and 60 KB the
// first time. All exchanges are of the integrator that is looked at.
func BenchmarkPanel(b *testing.B) {
	url := storagetest.SQLite(b)
	s := startServer(b, url, map[string]string{"exchange_log": "off"})
	s.document = nil
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	path, _ := storage.Path(url)
	crowd(b, path, acme)
	s.p.changed(b.Context())
	operator := s.operatorAtPanel()
	for _, page := range append(panelPages(acme), "/panel/integrators?search=9999", "/panel/integrators/"+acme.id+"/exchanges?subject=user%7C999999", "/panel/integrators/"+acme.id+"/exchanges?reason=replayed") {
		name := strings.NewReplacer(acme.id, "1", acme.keyURL, "1", acme.clientID, "1", "/panel", "", "/", " ").Replace(page)
		b.Run(name, func(b *testing.B) {
			var slowest time.Duration
			var body string
			for b.Loop() {
				began := time.Now()
				body = operator.get(page).mustBe(b, http.StatusOK).body
				slowest = max(slowest, time.Since(began))
			}
			b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest")
			b.ReportMetric(float64(len(body))/1000, "KB")
		})
	}
	var once bytes.Buffer
	for _, file := range []string{"panel.css", "panel.js", "icon.svg"} {
		once.WriteString(operator.get("/panel/assets/"+file).mustBe(b, http.StatusOK).body)
	}
	b.Run("assets", func(b *testing.B) {
		var packed bytes.Buffer
		for b.Loop() {
			packed.Reset()
			w := gzip.NewWriter(&packed)
			_, _ = w.Write(once.Bytes())
			_ = w.Close()
		}
		b.ReportMetric(float64(once.Len())/1000, "KB")
		b.ReportMetric(float64(packed.Len())/1000, "KB-gzip")
	})
}

// crowd fills a database with what many years would bring.
func crowd(b *testing.B, path string, acme *party) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	hour := time.Now().UTC().Truncate(time.Hour).UnixMicro()
	first := fmt.Sprintf("%012x", time.Now().Add(-24*time.Hour).UnixMilli())
	for _, statement := range []string{
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO integrators (id, name, status, generation, created_at, updated_at, revision)
			SELECT printf('00000000-0000-7000-8000-%%012x', i), 'Integrator ' || i, 'active', 1, 0, 0, 1 FROM n`, benchIntegrators),
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO lock_holders (id, name, country_iso, organization_id, organization_id_suffix, created_at, updated_at, revision)
			SELECT printf('00000000-0000-7000-8000-%%012x', i), 'Lock holder ' || i, 'SE', 'org-' || i, '', 0, 0, 1 FROM n`, benchHolders),
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO exchanges (id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at, subject_token_hash)
			SELECT printf('%s-%s-7000-8000-%%012x', i), %d + i * 80000, 'urn:ietf:params:oauth:grant-type:token-exchange',
				CASE WHEN i %% 20 = 0 THEN 'refused' ELSE 'granted' END, '', CASE WHEN i %% 20 = 0 THEN 'token_expired' ELSE '' END, '%s', '%s', 'https://idp.example', 'user|' || i, 'k', '["lockHolder.identifier:NO.919424508.east"]', '[]', 'j' || i, %d, ''
			FROM n`, benchExchanges, first[:8], first[8:], hour-86_400_000_000, acme.id, acme.clientID, hour+3_600_000_000),
		fmt.Sprintf(`WITH RECURSIVE h(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM h WHERE i < 167)
			INSERT INTO exchange_counts (hour, integrator_id, result, reason, count)
			SELECT %d - h.i * 3600000000, x.id, 'granted', '', 1000 + h.i FROM h, (SELECT id FROM integrators LIMIT 2000) x`, hour),
	} {
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := db.Exec("UPDATE changes SET seq = seq + 1"); err != nil {
		b.Fatal(err)
	}
}
