package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// third starts one more replica of a fleet.
func (f *fleet) third() *server {
	f.t.Helper()
	return startServerAt(f.t, f.clock.now, f.url, map[string]string{"issuer": "https://cambio.example"})
}

// INT-14, XTI-09: what a token came from ends, and so does the token, on every
// replica, at once: nobody remembers that it was alive.
func TestTokensDieOnEveryReplica(t *testing.T) {
	f := newFleet(t)
	holder := f.acme.lockHolder()
	for rule, end := range map[string]func(p *party){
		"the client is disabled":     func(p *party) { f.disable("/integrators/" + p.id + "/clients/" + p.clientID) },
		"the client is deleted":      func(p *party) { f.remove("/integrators/" + p.id + "/clients/" + p.clientID) },
		"the integrator is disabled": func(p *party) { f.disable("/integrators/" + p.id) },
		"the integrator is deleted":  func(p *party) { f.remove("/integrators/" + p.id) },
	} {
		t.Run("XTI-09: "+rule, func(t *testing.T) {
			p := f.first.newParty(rule)
			f.first.admin("PUT", "/integrators/"+p.id+"/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent)
			token := p.exchange(p.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
			f.both(func(_ string, s *server) { s.mustBeActive(token, true) })
			end(p)
			f.both(func(_ string, s *server) { s.mustBeActive(token, false) })
		})
	}
}

func (f *fleet) disable(path string) {
	f.t.Helper()
	f.first.admin("PATCH", path, object{"status": "disabled"}).mustBe(f.t, http.StatusOK)
}

func (f *fleet) remove(path string) {
	f.t.Helper()
	f.first.admin("DELETE", path, nil).mustBe(f.t, http.StatusNoContent)
}

// INT-14 for the issuer: a key URL that is disabled yields no token more, and
// those it yielded are inactive with it.
func TestADisabledKeyURLYieldsNothingMore(t *testing.T) {
	f := newFleet(t)
	path := "/integrators/" + f.acme.id
	token := f.at(f.second, f.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
	f.disable(path + "/key-urls/" + f.acme.keyURL)
	began := time.Now()
	eventually(t, "the second replica hears of it", func() bool { return f.at(f.second, f.idp.token(nil)).status == http.StatusBadRequest })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	f.both(func(_ string, s *server) {
		f.at(s, f.idp.token(nil)).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.IssuerUnknown)
		s.mustBeActive(token, false)
	})
}

// A resource server that is gone asks nothing more.
func TestADeletedResourceServerLearnsNothing(t *testing.T) {
	f := newFleet(t)
	locks := f.first.admin("POST", "/resource-servers", object{"name": "Locks", "audience": apiAudience}).mustBe(t, http.StatusCreated)
	token := f.acme.exchange(f.idp.token(nil), "audience", apiAudience).mustBe(t, http.StatusOK).text("access_token")
	ask := func(s *server) answer {
		return s.post(introspectEndpoint, basic(locks.text("client_id"), locks.text("client_secret")), url.Values{"token": {token}})
	}
	f.both(func(name string, s *server) { // a client that was made a moment ago is no stranger anywhere
		if a := ask(s).mustBe(t, http.StatusOK); a.json["active"] != true {
			t.Errorf("the %s replica says %s", name, a.body)
		}
	})
	f.remove("/resource-servers/" + locks.text("id"))
	ask(f.first).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	began := time.Now()
	eventually(t, "the second replica hears of it", func() bool { return ask(f.second).status == http.StatusUnauthorized })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// INT-15, Keycloak CVE-2026-8922: revoked on one replica, inactive on the others
// with the next question.
func TestRevokedOnEveryReplicaAtOnce(t *testing.T) {
	f := newFleet(t)
	replicas := []*server{f.first, f.second, f.third()}
	for n := range 60 {
		at := func(offset int) *server { return replicas[(n+offset)%len(replicas)] }
		token := f.at(at(0), f.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
		for _, s := range replicas { // whoever remembers answers has one to remember now
			s.mustBeActive(token, true)
		}
		at(1).post(revokeEndpoint, f.acme.authenticated(), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
		at(2).mustBeActive(token, false)
		at(0).mustBeActive(token, false)
	}
}

// INT-17, Keycloak CVE-2026-9802: a restart and a clock that is set do not bring
// a revoked token back, nor does what is deleted meanwhile.
func TestRevokedStaysRevoked(t *testing.T) {
	for name, database := range map[string]func(testing.TB) string{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			c := &clock{}
			databaseURL := database(t)
			s := startServerAt(t, c.now, databaseURL, map[string]string{"issuer": "https://cambio.example"})
			acme := s.newParty("Acme")
			acme.manage("919424508", "east")
			acme.idp.now = c.now
			issue := func() string { return acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token") }
			revoked, spared := issue(), issue()
			s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {revoked}}).mustBe(t, http.StatusOK)
			if err := s.p.store.Close(); err != nil { // it ends without a word
				t.Fatal(err)
			}
			c.advance(-25 * time.Hour)
			s = startServerAt(t, c.now, databaseURL, map[string]string{"issuer": "https://cambio.example"})
			s.mustBeActive(revoked, false)
			s.mustBeActive(spared, true)
			// Never before the start: intervals go by the monotonic clock, which
			// nobody sets and this one would.
			for _, step := range []time.Duration{time.Second, 25 * time.Hour, 58 * time.Minute, -time.Hour, 25 * time.Hour, -24*time.Hour - 30*time.Minute} {
				c.advance(step)
				if err := s.p.clean(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.mustBeActive(revoked, false)
			}
			s.mustBeActive(spared, true)
		})
	}
}

// A key that another replica has just made is not unknown here: its tokens are
// neither inactive nor past revoking.
func TestTokensOfAKeyThatWasMadeAMomentAgo(t *testing.T) {
	f := newFleet(t)
	for range 2 { // the key that signs now was not there when the second replica looked
		if err := f.first.p.ring.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	token := f.at(f.first, f.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
	f.second.post(revokeEndpoint, f.acme.authenticated(), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
	f.first.mustBeActive(token, false)
}
