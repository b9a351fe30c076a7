package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// midHour is a clock that is far from the end of an hour. It is less ahead than
// any token lives.
func midHour() *clock {
	c := &clock{}
	if minute := time.Now().Minute(); minute < 5 || minute >= 45 {
		c.advance(time.Until(time.Now().Add(15 * time.Minute).Truncate(time.Hour).Add(5 * time.Minute)))
	}
	return c
}

// statistics reads the counts of an integrator, or of all together.
func (s *server) statistics(integrator, query string) answer {
	s.t.Helper()
	path := "/exchange-statistics"
	if integrator != "" {
		path = "/integrators/" + integrator + path
	}
	return s.admin("GET", path+query, nil)
}

// mustCount holds the counts of an integrator against what is wanted: granted
// ones, and refused ones by reason, in the last 24 hours and in the last one.
func (s *server) mustCount(integrator string, granted int, reasons map[string]int) {
	s.t.Helper()
	for _, hours := range []int{24, 1} {
		a := s.statistics(integrator, fmt.Sprint("?hours=", hours)).mustBe(s.t, http.StatusOK)
		refused, listed := 0, a.json["reasons"].(object)
		for reason, n := range reasons {
			refused += n
			if listed[reason] != float64(n) {
				s.t.Errorf("%d hours: %s is %v, want %d", hours, reason, listed[reason], n)
			}
		}
		if a.json["granted"] != float64(granted) || a.json["refused"] != float64(refused) || len(listed) != len(reasons) {
			s.t.Errorf("%d hours: want %d granted, refused %v, got %s", hours, granted, reasons, a.body)
		}
	}
}

// Three exchanges and two refusals give these counts, whatever is recorded.
func TestExchangeStatistics(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		c := midHour()
		s := startServerAt(t, c.now, databaseURL, map[string]string{"exchange_log": "off", "access_token_ttl": "24h"})
		acme, other := s.newParty("Acme"), s.newParty("Other")
		acme.idp.now = c.now
		acme.manage("919424508", "east")
		s.flush() // the operator's token
		before := s.statistics("", "").mustBe(t, http.StatusOK).json["granted"].(float64)
		for range 3 {
			acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
		}
		acme.exchange(acme.idp.token(object{"exp": 1, "iat": 1})).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.TokenExpired)
		acme.exchange(acme.idp.token(nil), "scope", "not.granted").mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
		s.post(tokenEndpoint, anonymous, exchangeForm(acme.idp.token(nil))).mustBe(t, http.StatusBadRequest) // nobody's: no key URL is clientless
		s.flush()
		refused := map[string]int{"token_expired": 1, "invalid_scope": 1}
		s.mustCount(acme.id, 3, refused)
		s.mustCount(other.id, 0, nil)
		s.mustCount("", int(before)+3, map[string]int{"token_expired": 1, "invalid_scope": 1, "issuer_unknown": 1})
		if list := acme.exchanges(""); len(list) != 0 {
			t.Errorf("the record is off and has %v", list)
		}

		c.advance(2 * time.Hour)
		a := s.statistics(acme.id, "?hours=4").mustBe(t, http.StatusOK)
		now := c.now().UTC().Truncate(time.Hour)
		var got []string
		for _, hour := range a.json["hours"].([]any) {
			got = append(got, fmt.Sprint(hour.(object)["at"], " ", hour.(object)["granted"], " ", hour.(object)["refused"], " ", len(hour.(object)["reasons"].(object))))
		}
		want := []string{}
		for ago, counts := range []string{"0 0 0", "3 2 2", "0 0 0", "0 0 0"} {
			want = append(want, now.Add(time.Duration(ago-3)*time.Hour).Format(time.RFC3339)+" "+counts)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("by the hour: got %q, want %q", got, want)
		}
		if a.text("from") != now.Add(-3*time.Hour).Format(time.RFC3339) || a.text("to") != now.Add(time.Hour).Format(time.RFC3339) {
			t.Errorf("from %s to %s", a.text("from"), a.text("to"))
		}
		if a := s.statistics(acme.id, "?hours=2").mustBe(t, http.StatusOK); a.json["granted"] != 0.0 {
			t.Errorf("what was before the window counts: %s", a.body)
		}
	})
}

func TestHoursOfStatistics(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for query, want := range map[string]int{"": 24, "?hours=1": 1, "?hours=744": 744, "?hours=024": 24} {
		for _, integrator := range []string{"", acme.id} {
			if got := len(s.statistics(integrator, query).mustBe(t, http.StatusOK).json["hours"].([]any)); got != want {
				t.Errorf("%q: %d hours, want %d", query, got, want)
			}
		}
	}
	for _, query := range []string{"?hours=0", "?hours=745", "?hours=-1", "?hours=1.5", "?hours=", "?hours", "?hours=x", "?hours=24&hours=24", "?limit=1", "?hours=24&limit=1", "?hours=99999999999999999999", "?%zz"} {
		for _, integrator := range []string{"", acme.id} {
			s.statistics(integrator, query).mustBeProblem(t, http.StatusBadRequest, "invalid_hours")
		}
	}
}

// What is refused past the quota of the record is counted.
func TestStatisticsHaveNoQuota(t *testing.T) {
	const burst, sent = 100, 150
	s := startServerAt(t, midHour().now, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for range sent {
		acme.exchange("x").mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Malformed)
	}
	s.flush()
	s.mustCount(acme.id, 0, map[string]int{"malformed": sent})
}

// Replicas add up, and a replica that ends leaves what it counted behind.
func TestReplicasAddUp(t *testing.T) {
	f := newFleet(t)
	f.clock.advance(time.Duration(midHour().ahead.Load()))
	for _, s := range []*server{f.first, f.second, f.first, f.second, f.second} {
		f.at(s, f.idp.token(nil)).mustBe(t, http.StatusOK)
	}
	f.at(f.first, "x").mustBe(t, http.StatusBadRequest)
	f.first.flush()
	f.second.flush()
	f.both(func(_ string, s *server) { s.mustCount(f.acme.id, 5, map[string]int{"malformed": 1}) })
	f.at(f.second, f.idp.token(nil)).mustBe(t, http.StatusOK)
	if err := f.second.p.shutdown(); err != nil {
		t.Fatal(err)
	}
	f.first.mustCount(f.acme.id, 6, map[string]int{"malformed": 1})
}

// A restart keeps the counts, those of the last moment too.
func TestStatisticsAfterARestart(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		c := midHour()
		settings := map[string]string{"issuer": "https://cambio.example"}
		s := startServerAt(t, c.now, databaseURL, settings)
		acme := s.newParty("Acme")
		acme.idp.now = c.now
		acme.manage("919424508", "east")
		acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
		if err := s.p.shutdown(); err != nil {
			t.Fatal(err)
		}
		startServerAt(t, c.now, databaseURL, settings).mustCount(acme.id, 1, nil)
	})
}

// Counts that cannot be stored are made up for by the next that can, and the
// log says so once.
func TestCountsThatCannotBeStored(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		c := midHour()
		s := startServerAt(t, c.now, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.idp.now = c.now
		acme.manage("919424508", "east")
		db := sideDoor(t, databaseURL)
		execute(t, db, "ALTER TABLE exchange_counts RENAME TO gone;;ALTER TABLE client_uses RENAME TO gone_too")
		for range 3 {
			acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
			if err := s.p.tally.Flush(t.Context()); err == nil {
				t.Fatal("it was stored where nothing can be")
			}
		}
		s.statistics(acme.id, "").mustBeProblem(t, http.StatusServiceUnavailable, "unavailable")
		execute(t, db, "ALTER TABLE gone RENAME TO exchange_counts;;ALTER TABLE gone_too RENAME TO client_uses")
		eventually(t, "it can be stored", func() bool { return s.p.tally.Flush(t.Context()) == nil })
		s.mustCount(acme.id, 3, nil)
		if used := s.admin("GET", "/integrators/"+acme.id+"/clients/"+acme.clientID, nil).text("last_used_at"); used == "" {
			t.Error("the last use of the client is lost")
		}
		for text, want := range map[string]int{"counts of exchanges cannot be stored": 1, "counts of exchanges are stored again": 1} {
			if got := strings.Count(s.log.String(), text); got != want {
				t.Errorf("the log says %q %d times, want %d", text, got, want)
			}
		}
	})
}

// An exchange whose record cannot be written is refused, and counts as that.
func TestAnExchangeWithoutARecordIsNotGranted(t *testing.T) {
	c := midHour()
	databaseURL := storagetest.SQLite(t)
	s := startServerAt(t, c.now, databaseURL, nil)
	acme := s.newParty("Acme")
	acme.idp.now = c.now
	acme.manage("919424508", "east")
	execute(t, sideDoor(t, databaseURL), "ALTER TABLE exchanges RENAME TO gone")
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusServiceUnavailable)
	s.flush()
	s.mustCount(acme.id, 0, map[string]int{"database_unavailable": 1})
	if client := s.admin("GET", "/integrators/"+acme.id+"/clients/"+acme.clientID, nil); client.json["last_used_at"] != nil {
		t.Errorf("a client that got no token was used: %s", client.body)
	}
}

// Counts are kept for 31 days, however long records are.
func TestCountsAreKeptForAMonth(t *testing.T) {
	c := midHour()
	s := startServerAt(t, c.now, storagetest.SQLite(t), map[string]string{"exchange_retention": "0"})
	acme := s.newParty("Acme")
	acme.exchange("x").mustBe(t, http.StatusBadRequest)
	s.flush()
	total := func(ahead time.Duration) any {
		t.Helper()
		c.advance(ahead)
		if err := s.p.clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		counts, err := s.p.store.ExchangeCounts(t.Context(), acme.id, time.Time{}, c.now())
		if err != nil {
			t.Fatal(err)
		}
		return len(counts)
	}
	if got := total(743 * time.Hour); got != 1 { // in the window of 744 hours it is the first one
		t.Errorf("%v counts are left after 743 hours", got)
	}
	if got := total(time.Hour); got != 0 {
		t.Errorf("%v counts are left after 744 hours", got)
	}
}
