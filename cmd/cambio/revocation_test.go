package main

import (
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// REV-09: a thousand revocations, in the middle of introspections, of issues to
// the same client and of the janitor's work. Whoever asks after the 200 learns
// that the token is dead, and its siblings live.
func TestRevocationsInTheMiddleOfEverything(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, map[string]string{"exchange_log": "off"})
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		subject := acme.idp.token(nil)
		issue := func() string { return acme.exchange(subject).mustBe(t, http.StatusOK).text("access_token") }
		const workers, each = 4, 250
		var dead, siblings [workers][each]string
		ctx, stop := context.WithCancel(t.Context())
		var janitor, all sync.WaitGroup
		janitor.Go(func() {
			for ctx.Err() == nil {
				if err := s.p.clean(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("the janitor: %v", err)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
		for worker := range workers {
			all.Go(func() {
				for n := range each {
					token := issue()
					s.mustBeActive(token, true)
					dead[worker][n] = token
					siblings[worker][n] = revokeWhileOthersAsk(s, acme, token, issue)
				}
			})
		}
		all.Wait()
		stop()
		janitor.Wait()
		for worker := range workers {
			for n := range each {
				s.mustBeActive(dead[worker][n], false)
			}
			s.mustBeActive(siblings[worker][each-1], true)
		}
	})
}

// revokeWhileOthersAsk revokes a token while it is introspected again and again
// and a sibling is issued. A question that began after the answer to the
// revocation must find it dead.
func revokeWhileOthersAsk(s *server, acme *party, token string, issue func() string) (sibling string) {
	var acknowledged atomic.Bool
	var others sync.WaitGroup
	others.Go(func() { sibling = issue() })
	others.Go(func() {
		for done := false; !done; {
			done = acknowledged.Load()
			a := s.introspect(token)
			if active := a.json["active"]; a.status != http.StatusOK || done && active != false {
				s.t.Errorf("acknowledged: %v, answered: %d %s", done, a.status, a.body)
			}
			time.Sleep(200 * time.Microsecond) // and leave some time to the others
		}
	})
	s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {token}}).mustBe(s.t, http.StatusOK)
	acknowledged.Store(true)
	s.mustBeActive(token, false)
	others.Wait()
	return sibling
}

// REV-08: tokens are not stored, so that revoking all of them is one number: it
// takes no longer with 100,000 revocations in the database.
func TestRevokingEverything(t *testing.T) {
	for name, c := range map[string]struct {
		open func(testing.TB) string
		seed string
	}{
		"sqlite": {storagetest.SQLite, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) " +
			"INSERT INTO revoked_tokens (jti, expires_at, revoked_at) SELECT 'seed-' || i, 4102444800000000, 0 FROM n"},
		"postgres": {storagetest.Postgres, "INSERT INTO revoked_tokens (jti, expires_at, revoked_at) " +
			"SELECT 'seed-' || i, 4102444800000000, 0 FROM generate_series(1, 100000) AS i"},
	} {
		t.Run(name, func(t *testing.T) {
			databaseURL := c.open(t)
			s := startServer(t, databaseURL, nil)
			acme := s.newParty("Acme")
			acme.manage("919424508", "east")
			execute(t, sideDoor(t, databaseURL), c.seed)
			path := "/integrators/" + acme.id
			all := map[string]func(){
				"a subject": func() {
					s.admin("POST", path+"/tokens/revoke", object{"subject": "a subject"}).mustBe(t, http.StatusNoContent)
				},
				"the integrator": func() { s.admin("POST", path+"/tokens/revoke", nil).mustBe(t, http.StatusNoContent) },
				"the client": func() {
					s.admin("PATCH", path+"/clients/"+acme.clientID, object{"status": "disabled"}).mustBe(t, http.StatusOK)
				},
			}
			for _, whose := range []string{"a subject", "the integrator", "the client"} {
				token := acme.exchange(acme.idp.token(object{"sub": whose})).mustBe(t, http.StatusOK).text("access_token")
				s.mustBeActive(token, true)
				began := time.Now()
				all[whose]()
				s.mustBeActive(token, false)
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("all tokens of %s: %v", whose, took)
				}
			}
		})
	}
}

// 200 says that the token is dead for good (RFC 7009 §2.2), by every clock: one
// that has expired by this replica's may live by another's, or again.
func TestRevocationByAClockThatIsAhead(t *testing.T) {
	c := &clock{}
	s := startServerAt(t, c.now, storagetest.SQLite(t), map[string]string{"issuer": "https://cambio.example"})
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	issue := func() string { return acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token") }
	revoke := func(token string) {
		t.Helper()
		s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
	}
	revoked, spared := issue(), issue()
	c.advance(24*time.Hour + 30*time.Minute)
	s.mustBeActive(revoked, false) // expired
	s.mustBeActive(spared, false)
	revoke(revoked)
	if err := s.p.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.advance(-24 * time.Hour)
	s.mustBeActive(revoked, false)
	s.mustBeActive(spared, true)
}

// F8: an ECDSA signature has a twin (RFC 7518 §3.4), so a token of ours has two
// texts. They are one token: revocation goes by jti.
func TestBothTextsOfATokenDieTogether(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
	parts := splitDots(token)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		t.Fatalf("signature %x, %v", signature, err)
	}
	half := new(big.Int).SetBytes(signature[32:])
	half.Sub(elliptic.P256().Params().N, half).FillBytes(signature[32:])
	twin := parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
	s.mustBeActive(twin, true)
	s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {twin}}).mustBe(t, http.StatusOK)
	s.mustBeActive(twin, false)
	s.mustBeActive(token, false)
}
