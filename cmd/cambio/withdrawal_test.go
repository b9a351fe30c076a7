package main

import (
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// withdrawal is one case of XTI-09: what is taken away, and what the next
// exchange is told.
type withdrawal struct {
	rule   string
	act    func(s *server, p *party)
	status int
	code   grants.Code
	reason grants.Reason
	midway grants.Reason // of a request whose client was still there when it authenticated
}

func withdrawals() []withdrawal {
	set := func(path func(p *party) string) func(*server, *party) {
		return func(s *server, p *party) { s.admin("PATCH", path(p), object{"status": "disabled"}).mustBe(s.t, 200) }
	}
	remove := func(path func(p *party) string) func(*server, *party) {
		return func(s *server, p *party) { s.admin("DELETE", path(p), nil).mustBe(s.t, 204) }
	}
	integrator := func(p *party) string { return "/integrators/" + p.id }
	client := func(p *party) string { return "/integrators/" + p.id + "/clients/" + p.clientID }
	keyURL := func(p *party) string { return "/integrators/" + p.id + "/key-urls/" + p.keyURL }
	move := func(s *server, p *party) {
		s.admin("PATCH", keyURL(p), object{"issuer": p.idp.issuer + "moved"}).mustBe(s.t, 200)
	}
	return []withdrawal{
		{"the integrator is disabled", set(integrator), 400, grants.InvalidRequest, grants.IntegratorDisabled, ""},
		{"the integrator is deleted", remove(integrator), 401, grants.InvalidClient, "", grants.IssuerUnknown},
		{"the client is disabled", set(client), 401, grants.InvalidClient, "", ""},
		{"the client is deleted", remove(client), 401, grants.InvalidClient, "", ""},
		{"the key URL is disabled", set(keyURL), 400, grants.InvalidRequest, grants.IssuerUnknown, ""},
		{"the key URL is deleted", remove(keyURL), 400, grants.InvalidRequest, grants.IssuerUnknown, ""},
		{"the key URL is another issuer's", move, 400, grants.InvalidRequest, grants.IssuerUnknown, ""},
	}
}

// XTI-09, RFC 8693 §2.2.2: what is taken away while its keys are in memory and
// exchanges are under way is refused within 5 s on every replica, and not one
// of the tokens is alive afterwards: neither those from before nor those that a
// replica issued before it heard. A client cannot be moved to another
// integrator, which XTI-09 asks about too.
func TestWithdrawalReachesEveryReplica(t *testing.T) {
	// A replica looks every PollInterval, and one that cannot look says so
	// after MaxStaleness, so these make the 5 s.
	if storage.PollInterval >= 5*time.Second || storage.MaxStaleness >= 5*time.Second {
		t.Errorf("a replica may be behind for %s, or %s without the database", storage.PollInterval, storage.MaxStaleness)
	}
	f := newFleet(t)
	holder := f.acme.lockHolder()
	for _, w := range withdrawals() {
		t.Run("XTI-09: "+w.rule, func(t *testing.T) {
			p := f.first.newParty(w.rule)
			p.share(holder)
			f.settle()
			before := len(f.acme.s.log.String())
			traffic := startTraffic(f, p)
			w.act(f.first, p)
			p.mustBeRefused(t, f.first, w) // its own replica knows before it answers
			refused, tokens := traffic.end()
			for _, a := range refused {
				if w.midway != "" && a.text("reason") == string(w.midway) {
					continue // it authenticated a moment before
				}
				a.mustRefuse(t, w.status, w.code, w.reason)
			}
			if len(refused) != 4 || len(tokens) < 4 {
				t.Fatalf("%d refused and %d granted: %.200s", len(refused), len(tokens), f.first.log.String()[before:])
			}
			f.both(func(_ string, s *server) {
				p.mustBeRefused(t, s, w)
				for _, token := range tokens {
					s.mustBeActive(token, false)
				}
			})
		})
	}
}

func (p *party) mustBeRefused(t *testing.T, s *server, w withdrawal) {
	t.Helper()
	s.post(tokenEndpoint, p.authenticated(), exchangeForm(p.idp.token(nil))).mustRefuse(t, w.status, w.code, w.reason)
}

// traffic is exchanges one after the other, two at a time at every replica,
// until the first refusal.
type traffic struct {
	workers sync.WaitGroup
	mu      sync.Mutex
	tokens  []string
	refused []answer
}

// startTraffic returns when every worker has had a token: the keys are in the
// memory of both replicas.
func startTraffic(f *fleet, p *party) *traffic {
	f.t.Helper()
	tr := &traffic{}
	subject := p.idp.token(nil)
	var warm sync.WaitGroup
	for n := range 4 {
		s := []*server{f.first, f.second}[n%2]
		warm.Add(1)
		tr.workers.Go(func() {
			first := true
			for {
				a := s.post(tokenEndpoint, p.authenticated(), exchangeForm(subject))
				tr.note(a)
				if first {
					warm.Done()
				}
				if first = false; a.status != 200 {
					return
				}
			}
		})
	}
	warm.Wait()
	return tr
}

func (tr *traffic) note(a answer) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if a.status == 200 {
		tr.tokens = append(tr.tokens, a.text("access_token"))
		return
	}
	tr.refused = append(tr.refused, a)
}

func (tr *traffic) end() (refused []answer, tokens []string) {
	tr.workers.Wait()
	return tr.refused, tr.tokens
}

// A token is trusted for as long as its issuer is: it ends with the last active
// key URL of the issuer, not with the first of two while an integrator moves.
func TestTokensEndWithTheirIssuer(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		path := "/integrators/" + acme.id + "/key-urls"
		console := acme.adminToken("integrator.admin")
		token := acme.exchange(acme.idp.token(nil)).mustBe(t, 200).text("access_token")
		second := s.admin("POST", path, object{"issuer": acme.idp.issuer, "url": acme.idp.url("/spki.pem")}).mustBe(t, 201).text("id")
		s.admin("DELETE", path+"/"+acme.keyURL, nil).mustBe(t, 204)
		s.mustBeActive(token, true)
		s.admin("PATCH", path+"/"+second, object{"status": "disabled"}).mustBe(t, 200)
		s.mustBeActive(token, false)
		s.admin("DELETE", path+"/"+second, nil).mustBe(t, 204)
		s.mustBeActive(token, false)
		s.mustBeActive(console, true) // it came from no issuer
		s.admin("POST", path, object{"issuer": acme.idp.issuer, "url": acme.idp.url("/spki.pem")}).mustBe(t, 201)
		s.mustBeActive(token, false) // what has ended does not come back
	})
}
