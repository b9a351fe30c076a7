package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// STO-14: a replica whose clock is a day ahead forgets no revocation that
// counts by the others' clocks.
func TestACleanByAClockThatIsADayAhead(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		c := &clock{}
		s := startServerAt(t, c.now, databaseURL, map[string]string{"issuer": "https://cambio.example", "access_token_ttl": "24h"})
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		acme.idp.now = c.now
		s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"max_lifetime": 86400}).mustBe(t, http.StatusOK)
		issued := acme.exchange(acme.idp.token(object{"sub": "revoked", "exp": c.now().Add(24 * time.Hour).Unix()})).mustBe(t, http.StatusOK)
		if issued.json["expires_in"].(float64) < 80_000 {
			t.Fatalf("a token that lives too short for this: %s", issued.body)
		}
		s.admin("POST", "/integrators/"+acme.id+"/tokens/revoke", object{"subject": "revoked"}).mustBe(t, http.StatusNoContent)
		c.advance(25*time.Hour + 30*time.Minute)
		if err := s.p.clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.advance(-24 * time.Hour)
		s.mustBeActive(issued.text("access_token"), false)
	})
}

// Records are kept as long as CAMBIO_EXCHANGE_RETENTION says, by the day.
func TestRetentionOfRecords(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		for days, want := range map[string]int{"0": 3, "30": 2, "1": 1} {
			t.Run(days+" days", func(t *testing.T) {
				s := startServer(t, databaseURL, map[string]string{"exchange_retention": days})
				db := sideDoor(t, databaseURL)
				execute(t, db, "DELETE FROM exchanges")
				for _, age := range []time.Duration{time.Hour, 20 * 24 * time.Hour, 40 * 24 * time.Hour} {
					recordedBefore(t, db, age)
				}
				if err := s.p.clean(t.Context()); err != nil {
					t.Fatal(err)
				}
				records, err := s.p.store.Exchanges(t.Context(), "i", registry.ExchangeFilter{}, page(10))
				if err != nil || len(records) != want {
					t.Errorf("%d records are left, want %d (%v)", len(records), want, err)
				}
			})
		}
	})
}

// recordedBefore writes a record as if it were of some time ago.
func recordedBefore(t *testing.T, db *sql.DB, age time.Duration) {
	t.Helper()
	at := time.Now().Add(-age)
	id := fmt.Sprintf("%08x-%04x-7000-8000-000000000000", at.UnixMilli()>>16, at.UnixMilli()&0xffff)
	execute(t, db, fmt.Sprintf(`INSERT INTO exchanges (id, at, grant_type, result, code, reason, integrator_id, client_id, issuer, subject, key_id, granted, dropped, token_id, expires_at)
		VALUES ('%s', %d, '', 'granted', '', '', 'i', '', '', '', '', '[]', '[]', '', 0)`, id, at.UnixMicro()))
}
