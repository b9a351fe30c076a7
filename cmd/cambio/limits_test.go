package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// What handlers/limits.go promises, as a client sees it: so many failures or
// exchanges at once, and what comes back in a second.
const (
	guessesAtOnce, guessesASecond               = 100, 2 // wrong secrets for a client from an address
	failuresAtOnce                              = 500    // of an address
	clientFailuresAtOnce, clientFailuresASecond = 500, 50
	exchangesOfSubject                          = 200 // without a client
	exchangesFromAddress                        = 500
	exchangesAtIssuer                           = 2000
)

// standing is a clock that goes only when it is moved, so that no bucket fills
// while a test empties it.
type standing struct{ clock }

func (s *standing) now() time.Time { return time.Unix(1_800_000_000, s.ahead.Load()) }

// startLimited starts a server behind a proxy on this machine.
func startLimited(t *testing.T) (*server, *standing) {
	t.Helper()
	clock := &standing{}
	return startServerAt(t, clock.now, storagetest.SQLite(t), map[string]string{"trusted_proxies": "127.0.0.0/8", "exchange_log": "off"}), clock
}

// newLimitedParty is an integrator whose provider goes by the same clock.
func newLimitedParty(s *server, clock *standing, name string) *party {
	s.t.Helper()
	p := s.newParty(name)
	p.idp.now = clock.now
	p.manage("919424508", name)
	s.admin("PATCH", "/integrators/"+p.id+"/key-urls/"+p.keyURL, object{"clientless": true}).mustBe(s.t, http.StatusOK)
	return p
}

// user is a good subject token of one user of the party called name.
func (p *party) user(name, sub string) string {
	return p.idp.token(object{"sub": sub, "permissions": []string{"lockHolder.identifier:NO.919424508." + name}})
}

func from(address string) option { return header("X-Forwarded-For", address) }

func (a answer) mustBeTooMany(t *testing.T) {
	t.Helper()
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusTooManyRequests || a.text("error") != string(grants.TemporarilyUnavailable) || err != nil || wait < 1 || wait > 60 {
		t.Fatalf("got %d %s with Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
	}
	if len(a.json) != 2 || a.text("error_description") == "" {
		t.Errorf("the answer is %s", a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("headers %v", a.header)
	}
}

// CAU-10: a secret cannot be guessed, and the client whose secret it is works
// on, from everywhere else.
func TestWrongSecretsAreLimited(t *testing.T) {
	s, clock := startLimited(t)
	acme := newLimitedParty(s, clock, "acme")
	other, otherSecret := acme.newClient(object{"client_name": "other"})
	token := acme.user("acme", "jane")
	guess := func(secret, address string) answer {
		return s.post(tokenEndpoint, basic(acme.clientID, secret), exchangeForm(token), from(address))
	}
	for range guessesAtOnce {
		guess("wrong", "198.51.100.1").mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	}
	guess("wrong", "198.51.100.1").mustBeTooMany(t)
	guess(acme.secret, "198.51.100.1").mustBeTooMany(t) // or every answer would tell whether a guess was right
	for _, endpoint := range []string{introspectEndpoint, revokeEndpoint} {
		s.post(endpoint, acme.authenticated(), url.Values{"token": {"x"}}, from("198.51.100.1")).mustBeTooMany(t)
	}
	s.post(dialectEndpoint, anonymous, exchangeForm(token, "client_id", acme.clientID, "client_secret", acme.secret), from("198.51.100.1")).mustBeTooMany(t)
	guess(acme.secret, "198.51.100.2").mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, basic(other, otherSecret), exchangeForm(token), from("198.51.100.1")).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, exchangeForm(token), from("198.51.100.1")).mustBe(t, http.StatusOK)

	clock.advance(time.Second)
	for range 2 * guessesAtOnce { // what is right costs nothing
		guess(acme.secret, "198.51.100.1").mustBe(t, http.StatusOK)
	}
	for range guessesASecond {
		guess("wrong", "198.51.100.1").mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	}
	guess("wrong", "198.51.100.1").mustBeTooMany(t)
	for i := range 2 * guessesAtOnce { // an IPv6 host has a whole /64
		a := guess("wrong", "2001:db8::"+strconv.Itoa(i))
		if (a.status == http.StatusTooManyRequests) != (i >= guessesAtOnce) {
			t.Fatalf("guess %d: %d", i, a.status)
		}
	}
	guess(acme.secret, "2001:db8:0:1::1").mustBe(t, http.StatusOK)
	if strings.Contains(s.log.String(), "198.51.100.") {
		t.Error("an address is in the log")
	}
}

// A client that fails honestly, once a second for five minutes, and sends every
// request that fails twice, or four times: the right secret works at once.
func TestRetriesOfAClientWithAnOldSecret(t *testing.T) {
	s, clock := startLimited(t)
	acme := newLimitedParty(s, clock, "acme")
	old := basic(acme.clientID, acme.secret+"x")
	form := exchangeForm(acme.user("acme", "jane"))
	for range 300 {
		clock.advance(time.Second)
		s.post(tokenEndpoint, old, form).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
		s.post(tokenEndpoint, old, form).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	}
	for range 25 {
		for range 4 {
			s.post(tokenEndpoint, old, form).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
		}
		s.post(tokenEndpoint, acme.authenticated(), form).mustBe(t, http.StatusOK)
		clock.advance(2 * time.Second)
	}
}

// The failures of one address stop its strangers, and nobody who authenticates.
func TestFailuresOfAnAddressAreLimited(t *testing.T) {
	s, clock := startLimited(t)
	acme := newLimitedParty(s, clock, "acme")
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	good, bad := exchangeForm(acme.user("acme", "jane")), exchangeForm("garbage")
	here := from("198.51.100.1")
	fail := []func() answer{
		func() answer { return s.post(tokenEndpoint, anonymous, bad, here) },
		func() answer {
			return s.post(tokenEndpoint, anonymous, exchangeForm("garbage", "client_id", public), here)
		},
		func() answer { return s.post(tokenEndpoint, anonymous, url.Values{"grant_type": {"password"}}, here) },
		func() answer { return s.post(introspectEndpoint, anonymous, url.Values{"token": {"x"}}, here) },
		func() answer { return s.post(revokeEndpoint, anonymous, url.Values{}, here) },
		func() answer {
			return s.do(http.MethodPost, dialectEndpoint, "{", header("Content-Type", "application/json"), here)
		},
		func() answer {
			return s.do(http.MethodPost, tokenEndpoint, strings.Repeat("x", 65<<10), header("Content-Type", formType), here)
		},
	}
	for i := range failuresAtOnce - len(fail) {
		s.post(tokenEndpoint, basic("client"+strconv.Itoa(i), "x"), bad, here).mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	}
	for i, request := range fail {
		if a := request(); a.status >= http.StatusInternalServerError || a.status == http.StatusTooManyRequests {
			t.Fatalf("%d: %d %s", i, a.status, a.body)
		}
	}
	for _, request := range fail {
		request().mustBeTooMany(t)
	}
	s.post(tokenEndpoint, basic("unknown", "x"), bad, here).mustBeTooMany(t)
	s.post(tokenEndpoint, anonymous, good, here).mustBeTooMany(t) // its signature is not even looked at
	s.post(tokenEndpoint, anonymous, good, from("198.51.100.2")).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, acme.authenticated(), good, here).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, acme.authenticated(), bad, here).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.Malformed)
	s.post(introspectEndpoint, acme.authenticated(), url.Values{"token": {"x"}}, here).mustBe(t, http.StatusOK)
	clock.advance(time.Second)
	s.post(tokenEndpoint, anonymous, good, here).mustBe(t, http.StatusOK)
}

// DOS-02: a client that has tokens verified which nobody signed.
func TestRefusedSubjectTokensAreLimited(t *testing.T) {
	s, clock := startLimited(t)
	acme, other := newLimitedParty(s, clock, "acme"), newLimitedParty(s, clock, "other")
	second, secondSecret := acme.newClient(object{"client_name": "second", "scope": "read"})
	good := acme.user("acme", "jane")
	forged := newTestIDP(t, s.url).sign(object{"alg": "RS256", "kid": acme.idp.kid}, acme.idp.claims(nil))
	for range 60 { // twenty mistakes a second, each sent twice
		for range 40 {
			acme.exchange(forged).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.SignatureInvalid)
		}
		acme.exchange(good).mustBe(t, http.StatusOK)
		clock.advance(time.Second)
	}
	for range clientFailuresAtOnce {
		acme.exchange(forged).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.SignatureInvalid)
	}
	acme.exchange(forged).mustBeTooMany(t)
	acme.exchange(good).mustBeTooMany(t) // which one is good costs a signature
	s.post(tokenEndpoint, acme.authenticated(), exchangeForm(good), from("198.51.100.2")).mustBeTooMany(t)
	s.post(tokenEndpoint, basic(second, secondSecret), url.Values{"grant_type": {grants.ClientCredentials}}).mustBe(t, http.StatusOK)
	third, thirdSecret := acme.newClient(object{"client_name": "third"})
	s.post(tokenEndpoint, basic(third, thirdSecret), exchangeForm(good)).mustBe(t, http.StatusOK)
	other.exchange(other.user("other", "jane")).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, exchangeForm(good)).mustBe(t, http.StatusOK)

	clock.advance(time.Second)
	acme.exchange(good).mustBe(t, http.StatusOK)
	for range clientFailuresASecond {
		acme.exchange(forged).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, grants.SignatureInvalid)
	}
	acme.exchange(forged).mustBeTooMany(t)
}

// Exchanges without a client have ceilings of their own: a user's, an
// address's, an issuer's. Nobody else is below them, and nobody without a good
// token can reach them.
func TestCeilingsOfClientlessExchange(t *testing.T) {
	s, clock := startLimited(t)
	acme, other := newLimitedParty(s, clock, "acme"), newLimitedParty(s, clock, "other")
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	var users []url.Values
	for i := range exchangesAtIssuer/exchangesOfSubject + 1 {
		users = append(users, exchangeForm(acme.user("acme", "user"+strconv.Itoa(i))))
	}
	exchange := func(user int, address string) answer {
		return s.post(tokenEndpoint, anonymous, users[user], from(address))
	}
	forged := exchangeForm(newTestIDP(t, s.url).sign(object{"alg": "RS256", "kid": acme.idp.kid}, acme.idp.claims(object{"sub": "user0"})))
	for range 3 * exchangesOfSubject / 2 { // below the limit of an address
		s.post(tokenEndpoint, anonymous, forged, from("203.0.113.9")).mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, "")
	}
	granted := 0
	grant := func(user int, address string, times int) {
		t.Helper()
		for range times {
			exchange(user, address).mustBe(t, http.StatusOK)
			granted++
		}
	}
	grant(0, "198.51.100.1", exchangesOfSubject)
	exchange(0, "198.51.100.1").mustBeTooMany(t)
	exchange(0, "198.51.100.2").mustBeTooMany(t) // one user, wherever
	grant(1, "198.51.100.1", exchangesOfSubject)
	grant(2, "198.51.100.1", exchangesFromAddress-2*exchangesOfSubject)
	exchange(3, "198.51.100.1").mustBeTooMany(t)
	s.post(tokenEndpoint, anonymous, exchangeForm(other.user("other", "jane")), from("198.51.100.1")).mustBe(t, http.StatusOK)
	grant(2, "198.51.100.2", 3*exchangesOfSubject-exchangesFromAddress)
	for user := 3; user < exchangesAtIssuer/exchangesOfSubject; user++ {
		grant(user, "198.51.100."+strconv.Itoa(user), exchangesOfSubject)
	}
	if granted != exchangesAtIssuer {
		t.Fatalf("%d granted", granted)
	}
	last := len(users) - 1
	a := s.post(tokenEndpoint, anonymous, users[last], from("198.51.100.99"), header("Origin", "https://app.example"))
	a.mustBeTooMany(t)
	if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("a page cannot read it: %v", a.header)
	}
	s.post(tokenEndpoint, anonymous, exchangeForm(other.user("other", "jane")), from("198.51.100.99")).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, acme.authenticated(), users[last], from("198.51.100.99")).mustBe(t, http.StatusOK)
	withPublic := exchangeForm(users[last].Get("subject_token"), "client_id", public)
	s.post(tokenEndpoint, anonymous, withPublic, from("198.51.100.99")).mustBe(t, http.StatusOK)
	clock.advance(time.Second)
	exchange(last, "198.51.100.99").mustBe(t, http.StatusOK)
}

// A request that was told to wait has not used anything up.
func TestALimitUsesNothingUp(t *testing.T) {
	s, clock := startLimited(t)
	acme := newLimitedParty(s, clock, "acme")
	once := exchangeForm(acme.idp.token(object{"sub": "jane", "jti": "once", "permissions": []string{"lockHolder.identifier:NO.919424508.acme"}}))
	for range exchangesOfSubject {
		s.post(tokenEndpoint, anonymous, exchangeForm(acme.user("acme", "jane"))).mustBe(t, http.StatusOK)
	}
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, http.StatusOK)
	s.post(tokenEndpoint, anonymous, once).mustBeTooMany(t)
	clock.advance(time.Second)
	s.post(tokenEndpoint, anonymous, once).mustBe(t, http.StatusOK)
}

// INT-06 asks for a limit of misses. Strangers choose the tokens that a
// resource server is sent, and could stop it with one.
func TestMissesOfAResourceServerAreNotLimited(t *testing.T) {
	s, _ := startLimited(t)
	for range 1000 {
		s.introspect("a.b.c").mustBe(t, http.StatusOK)
	}
}

func TestMetricsOfLimits(t *testing.T) {
	s, _ := startLimited(t)
	for range guessesAtOnce + 1 {
		s.post(tokenEndpoint, basic("unknown", "x"), exchangeForm("x"))
	}
	ops := &server{t: t, url: "http://" + s.p.ops.Addr().String()}
	metrics := ops.do("GET", "/metrics", "").mustBe(t, http.StatusOK).body
	want := `cambio_requests_total{endpoint="token",error="temporarily_unavailable",grant_type="` + grants.TokenExchange + `",reason="",status="429"} 1`
	if !strings.Contains(metrics, want) {
		t.Errorf("no %s", want)
	}
}

func TestTrustedProxiesAreConfigured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cambio.yaml")
	if err := os.WriteFile(file, []byte("trusted_proxies: [10.0.0.0/8, fd00::/8]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readAll(t, file, nil)
	if err != nil || len(c.trustedProxies) != 2 || c.trustedProxies[1].String() != "fd00::/8" {
		t.Errorf("%v %v", c, err)
	}
	if _, err := readAll(t, "", nil, "CAMBIO_TRUSTED_PROXIES=10.0.0.1"); err == nil || !strings.Contains(err.Error(), "CAMBIO_TRUSTED_PROXIES") {
		t.Errorf("a network that is none: %v", err)
	}
	if c, err := readAll(t, "", nil); err != nil || c.trustedProxies != nil {
		t.Errorf("trusted by default: %v %v", c.trustedProxies, err)
	}
}
