package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// clock is moved by hand; between the moves it goes as the machine's does.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// fleet is two replicas on one PostgreSQL, with one clock and one integrator.
type fleet struct {
	t      *testing.T
	clock  *clock
	url    string
	first  *server
	second *server
	acme   *party
	idp    *testIDP
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, clock: &clock{}, url: storagetest.Postgres(t)}
	f.first = startServerAt(t, f.clock.now, f.url, map[string]string{"issuer": "https://cambio.example"})
	f.second = startServerAt(t, f.clock.now, f.url, map[string]string{"issuer": "https://cambio.example"})
	f.acme = f.first.newParty("Acme")
	f.acme.manage("919424508", "east")
	f.idp = f.acme.idp
	f.idp.now = f.clock.now
	f.settle()
	return f
}

// settle has the second replica know all that was made on the first: it hears of
// some of it sooner, and what is found in memory is not looked for again.
func (f *fleet) settle() {
	f.t.Helper()
	if err := f.second.p.directory.Refresh(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// at sends a token to one replica.
func (f *fleet) at(s *server, token string) answer {
	f.t.Helper()
	return s.post(tokenEndpoint, f.acme.authenticated(), exchangeForm(token))
}

func (f *fleet) both(check func(name string, s *server)) {
	f.t.Helper()
	check("first", f.first)
	check("second", f.second)
}

// rotate makes the provider sign with another key, and publish so many of the
// last ones.
func (i *testIDP) rotate(kid string, published ...jose.JSONWebKey) {
	i.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.t.Fatal(err)
	}
	i.key, i.kid = key, kid
	i.publishKeys(append(published, i.jwk())...)
}

func (i *testIDP) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: &i.key.PublicKey, KeyID: i.kid, Algorithm: "RS256", Use: "sig"}
}

func (i *testIDP) publishKeys(keys ...jose.JSONWebKey) {
	i.t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: append([]jose.JSONWebKey{}, keys...)})
	if err != nil {
		i.t.Fatal(err)
	}
	i.publish.Store(string(data))
}

// KEY-14, KEY-18, KEY-19: an outage of the key URL, seen by a replica that
// fetched, one that never did, and one that was restarted in the middle of it.
func TestAnOutageOfTheKeyURL(t *testing.T) {
	f := newFleet(t)
	f.at(f.first, f.idp.token(nil)).mustBe(t, http.StatusOK)
	eventually(t, "the keys are remembered, for which no answer waits", func() bool {
		documents, err := f.first.p.store.KeyDocuments(t.Context(), f.acme.id)
		return err == nil && len(documents) > 0
	})
	f.idp.broken.Store(true)
	f.clock.advance(23*time.Hour + 59*time.Minute)
	f.both(func(name string, s *server) {
		if a := f.at(s, f.idp.token(nil)); a.status != http.StatusOK {
			t.Errorf("after 23 h 59 the %s replica answers %s", name, a.body)
		}
	})
	restarted := startServerAt(t, f.clock.now, f.url, map[string]string{"issuer": "https://cambio.example"})
	f.at(restarted, f.idp.token(nil)).mustBe(t, http.StatusOK)
	health := restarted.admin("GET", "/integrators/"+f.acme.id+"/key-urls/"+f.acme.keyURL, nil).mustBe(t, http.StatusOK).json["health"].(object)
	list, _ := restarted.admin("GET", "/failing-key-urls", nil).mustBe(t, http.StatusOK).json["items"].([]any)
	if len(list) != 1 || list[0].(object)["status"] != "failing" || list[0].(object)["failure"].(object)["code"] != "status" {
		t.Errorf("failing: %v", list)
	}
	if health["status"] != "failing" || health["failing_since"] == nil || health["failure"].(object)["code"] != "status" {
		t.Errorf("health: %v", health)
	}
	f.clock.advance(2 * time.Minute)
	for name, s := range map[string]*server{"first": f.first, "second": f.second, "restarted": restarted} {
		a := f.at(s, f.idp.token(nil))
		a.mustRefuse(t, http.StatusServiceUnavailable, grants.TemporarilyUnavailable, "") // no reason: the token is not at fault
		if !strings.Contains(a.text("error_description"), "keys") {
			t.Errorf("after 24 h 01 the %s replica answers %s", name, a.body)
		}
	}
	f.idp.broken.Store(false)
	f.clock.advance(30 * time.Second)
	f.both(func(_ string, s *server) { f.at(s, f.idp.token(nil)).mustBe(t, http.StatusOK) })
}

// KEY-08: K1 → K1 and K2 → K2, with tokens of both on their way.
func TestRotationOfTheProvidersKeys(t *testing.T) {
	f := newFleet(t)
	old, oldToken := f.idp.jwk(), f.idp.token(nil)
	f.both(func(_ string, s *server) { f.at(s, oldToken).mustBe(t, http.StatusOK) })
	f.clock.advance(time.Minute)
	f.idp.rotate("key-2", old)
	newToken := f.idp.token(nil)
	fetches := f.idp.fetches.Load()
	f.both(func(_ string, s *server) {
		f.at(s, newToken).mustBe(t, http.StatusOK) // before any refresh
		f.at(s, oldToken).mustBe(t, http.StatusOK)
	})
	if n := f.idp.fetches.Load() - fetches; n < 1 || n > 2 {
		t.Errorf("%d fetches for a new key, want one of each replica at the most", n)
	}
	f.idp.publishKeys(f.idp.jwk())
	f.clock.advance(10*time.Minute + time.Second)
	f.both(func(_ string, s *server) {
		f.at(s, newToken).mustBe(t, http.StatusOK)
		f.at(s, oldToken).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.KeyNotFound)
	})
}

// KEY-09: a key was stolen. Its owner takes it down and presses the button.
func TestRefreshStopsRemovedKeysOnEveryReplica(t *testing.T) {
	f := newFleet(t)
	stolen := f.idp.token(nil)
	f.both(func(_ string, s *server) { f.at(s, stolen).mustBe(t, http.StatusOK) })
	f.idp.rotate("key-2")
	f.both(func(_ string, s *server) { f.at(s, stolen).mustBe(t, http.StatusOK) }) // nobody has told them
	path := "/integrators/" + f.acme.id + "/key-urls/" + f.acme.keyURL
	refreshed := f.first.admin("POST", path+"/refresh", nil).mustBe(t, http.StatusOK)
	f.at(f.first, stolen).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.KeyNotFound)
	eventually(t, "the second replica hears of it", func() bool { return f.at(f.second, stolen).status == http.StatusBadRequest })
	f.at(f.second, stolen).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.KeyNotFound)
	f.both(func(_ string, s *server) { f.at(s, f.idp.token(nil)).mustBe(t, http.StatusOK) })
	keys := refreshed.json["health"].(object)["keys"].([]any)
	if len(keys) != 2 || keys[0].(object)["kid"] != "key-2" || keys[0].(object)["status"] != "usable" || keys[1].(object)["status"] != "removed" {
		t.Errorf("health shows %v", keys)
	}
	f.idp.broken.Store(true)
	f.first.admin("POST", path+"/refresh", nil).mustBeProblem(t, http.StatusBadGateway, "keys_status")
	f.both(func(_ string, s *server) { f.at(s, f.idp.token(nil)).mustBe(t, http.StatusOK) })
}

// eventually waits for what another replica does by itself.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if happened() {
			return
		}
	}
	t.Fatalf("it never happened that %s", what)
}

// KEY-13: a thousand exchanges find no keys at once, and one asks for them.
func TestAThousandColdExchangesFetchOnce(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.idp.token(nil)
	answers := make(chan answer, 1000)
	for range cap(answers) {
		go func() { answers <- acme.exchange(token) }()
	}
	for range cap(answers) {
		(<-answers).mustBe(t, http.StatusOK)
	}
	if n := acme.idp.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// KEY-11 over HTTP, with two issuers behind one key set: strangers' tokens with
// random kids cost next to no fetch, and are not even recorded as ours.
func TestRandomKeyIDsCostNoFetches(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	path := "/integrators/" + acme.id + "/key-urls"
	s.admin("PATCH", path+"/"+acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	s.admin("POST", path, object{"issuer": acme.idp.issuer + "v2", "url": acme.idp.url("/jwks.json"), "clientless": true}).mustBe(t, http.StatusCreated)
	second := acme.idp.token(object{"iss": acme.idp.issuer + "v2"})
	acme.exchange(second).mustBe(t, http.StatusOK)
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	fetches := acme.idp.fetches.Load()
	for n := range 100 {
		forged := encodePart(t, object{"alg": "RS256", "kid": fmt.Sprint("random ", n)}) + "." + encodePart(t, acme.idp.claims(nil)) + ".AAAA"
		s.post(tokenEndpoint, anonymous, exchangeForm(forged)).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
	}
	if n := acme.idp.fetches.Load() - fetches; n > 1 {
		t.Errorf("%d fetches", n)
	}
	acme.exchange(second).mustBe(t, http.StatusOK)
}

// A key URL that moves, or is deleted and made again, starts from nothing.
func TestAKeyURLThatIsMadeAgainStartsFromNothing(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	old := acme.idp.token(nil)
	acme.exchange(old).mustBe(t, http.StatusOK)
	acme.idp.rotate("key-2")
	path := "/integrators/" + acme.id + "/key-urls"
	s.admin("DELETE", path+"/"+acme.keyURL, nil).mustBe(t, http.StatusNoContent)
	acme.exchange(old).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.IssuerUnknown)
	again := s.admin("POST", path, object{"issuer": acme.idp.issuer, "url": acme.idp.url("/jwks.json")}).mustBe(t, http.StatusCreated)
	if again.json["health"].(object)["status"] != "unknown" {
		t.Errorf("health: %v", again.json["health"])
	}
	acme.exchange(old).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.KeyNotFound)
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
}

func TestHealthOfAKeyURL(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	path := "/integrators/" + acme.id + "/key-urls"
	health := func() object {
		t.Helper()
		one := s.admin("GET", path+"/"+acme.keyURL, nil).mustBe(t, http.StatusOK).json["health"].(object)
		listed := s.admin("GET", path, nil).mustBe(t, http.StatusOK).json["items"].([]any)[0].(object)["health"].(object)
		if one["status"] != listed["status"] || one["fetched_at"] != listed["fetched_at"] {
			t.Errorf("the list says %v, the object %v", listed, one)
		}
		return one
	}
	if h := health(); h["status"] != "unknown" || len(h["keys"].([]any)) != 0 {
		t.Errorf("before the first token: %v", h)
	}
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	if err := s.p.keys.SaveUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := health()
	key := h["keys"].([]any)[0].(object)
	if h["status"] != "ok" || h["format"] != "jwks" || key["kid"] != "key-1" || key["kty"] != "RSA" || key["bits"] != 2048.0 || key["alg"] != "RS256" ||
		key["status"] != "usable" || key["first_seen_at"] == nil || key["last_seen_at"] == nil || key["last_used_at"] == nil {
		t.Errorf("after the first token: %v", h)
	}
	ops := &server{t: t, url: "http://" + s.p.ops.Addr().String()}
	metrics := ops.do("GET", "/metrics", "").mustBe(t, http.StatusOK).body
	if !strings.Contains(metrics, `cambio_key_urls{state="fresh"} 1`) || !strings.Contains(metrics, `cambio_key_urls{state="down"} 0`) {
		t.Errorf("metrics: %s", metrics)
	}
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: acme.idp.key, KeyID: "key-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	acme.idp.publish.Store(string(private))
	s.admin("POST", path+"/"+acme.keyURL+"/refresh", nil).mustBeProblem(t, http.StatusBadGateway, "keys_private_key")
	if h := health(); h["status"] != "failing" || h["failure"].(object)["code"] != "private_key" {
		t.Errorf("with a private key published: %v", h)
	}
	s.mustNotLog(b64(acme.idp.key.D.Bytes()))
}

// A subject token that may be used once is (PRO-33): whatever else is wrong
// with a request does not use it up.
func TestSingleUse(t *testing.T) {
	for name, database := range map[string]func(testing.TB) string{"sqlite": storagetest.SQLite, "postgres": storagetest.Postgres} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, database(t), nil)
			acme := s.newParty("Acme")
			acme.manage("919424508", "east")
			s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
			acme.exchange(acme.idp.token(nil)).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.ClaimMissing)
			token := acme.idp.token(object{"jti": "once"})
			forged := token[:len(token)-8] + "AAAAAAAA"
			acme.exchange(forged).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.SignatureInvalid)
			acme.exchange(token, "scope", "not.granted").mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
			acme.exchange(token, "audience", "https://unknown.example").mustRefuse(t, http.StatusBadRequest, grants.InvalidTarget, "")
			issued := acme.exchange(token).mustBe(t, http.StatusOK)
			acme.exchange(token).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Replayed)
			acme.exchange(acme.idp.token(object{"jti": "once", "sub": "another"})).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Replayed)
			s.mustBeActive(issued.text("access_token"), true)
			acme.exchange(acme.idp.token(object{"jti": "twice"})).mustBe(t, http.StatusOK)

			other := s.newParty("Other") // has its own tokens of the same jti (XTI-07)
			s.admin("PUT", "/integrators/"+other.id+"/lock-holders/"+acme.lockHolder(), nil).mustBe(t, http.StatusNoContent)
			s.admin("PATCH", "/integrators/"+other.id+"/key-urls/"+other.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
			other.exchange(other.idp.token(object{"jti": "once"})).mustBe(t, http.StatusOK)
		})
	}
}

// Nor can it be got round by naming no client, at another key URL of the issuer.
func TestSingleUseIsNotEscapedByNamingNoClient(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	path := "/integrators/" + acme.id + "/key-urls"
	s.admin("PATCH", path+"/"+acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	s.admin("POST", path, object{"issuer": acme.idp.issuer, "url": acme.idp.url("/certificate.pem"), "clientless": true, "audiences": []string{"https://web.example"}}).mustBe(t, http.StatusCreated)
	token := acme.idp.token(object{"jti": "one", "aud": []string{acme.idp.aud, "https://web.example"}})
	acme.exchange(token).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, exchangeForm(token)).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
}

// lockHolder gives the id of the first lock holder that the party manages.
func (p *party) lockHolder() string {
	p.s.t.Helper()
	list := p.s.admin("GET", "/integrators/"+p.id+"/lock-holders", nil).mustBe(p.s.t, http.StatusOK).json["items"].([]any)
	return list[0].(object)["id"].(string)
}

// 200 at once over two replicas: one is granted.
func TestSingleUseAtOnce(t *testing.T) {
	f := newFleet(t)
	f.first.admin("PATCH", "/integrators/"+f.acme.id+"/key-urls/"+f.acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	eventually(t, "the second replica hears of it", func() bool {
		return f.at(f.second, f.idp.token(nil)).text("reason") == string(grants.ClaimMissing)
	})
	token := f.idp.token(object{"jti": "once"})
	answers := make(chan answer, 200)
	for n := range cap(answers) {
		s := []*server{f.first, f.second}[n%2]
		go func() { answers <- f.at(s, token) }()
	}
	granted := 0
	for range cap(answers) {
		switch a := <-answers; {
		case a.status == http.StatusOK:
			granted++
		case a.text("reason") != string(grants.Replayed):
			t.Errorf("got %s", a.body)
		}
	}
	if granted != 1 {
		t.Errorf("granted %d times", granted)
	}
}
