package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// authWorld is who may authenticate. Clientless is open: whoever slips through
// as "no client" gets a token.
type authWorld struct {
	s                        *server
	acme, other              *party
	public                   string
	disabled, disabledSecret string
	post, postSecret         string // registered for client_secret_post
}

func newAuthWorld(t *testing.T) *authWorld {
	s := startServer(t, storagetest.SQLite(t), nil)
	w := &authWorld{s: s, acme: s.newParty("Acme"), other: s.newParty("Other")}
	w.acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+w.acme.id+"/key-urls/"+w.acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	w.public, _ = w.acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	w.disabled, w.disabledSecret = w.acme.newClient(object{"client_name": "old", "status": "disabled"})
	w.post, w.postSecret = w.acme.newClient(object{"client_name": "post", "token_endpoint_auth_method": "client_secret_post"})
	return w
}

// credential is one way to present oneself, with a header or in the body.
type credential struct {
	rule string
	who  option
	body []string
}

// mustBe sends an exchange and a client credentials request. Without a code a
// token is wanted.
func (w *authWorld) mustBe(t *testing.T, c credential, exchange, credentials grants.Code) {
	t.Helper()
	check := func(form url.Values, code grants.Code) {
		t.Helper()
		switch a := w.s.post(tokenEndpoint, c.who, form); code {
		case "":
			a.mustBe(t, http.StatusOK)
		case grants.InvalidClient:
			a.mustRefuse(t, http.StatusUnauthorized, code, "")
		default:
			a.mustRefuse(t, http.StatusBadRequest, code, "")
		}
	}
	check(exchangeForm(w.acme.idp.token(nil), c.body...), exchange)
	form := exchangeForm("", c.body...)
	form.Set("grant_type", grants.ClientCredentials)
	form.Del("subject_token")
	form.Del("subject_token_type")
	check(form, credentials)
}

// RFC 6749 §2.3 and RFC 7521 §4.1: credentials that are presented are
// validated, and what is right is right in every way it may be sent.
func TestClientAuthentication(t *testing.T) {
	w := newAuthWorld(t)
	const ok, refused, unauthorized, noScope = grants.Code(""), grants.InvalidClient, grants.UnauthorizedClient, grants.InvalidScope
	for _, c := range []struct {
		credential
		exchange grants.Code
		cc       grants.Code
	}{
		{credential{"nothing presented", anonymous, nil}, ok, refused},
		{credential{"CAU-01: client_secret_basic", w.acme.authenticated(), nil}, ok, noScope},
		{credential{"CAU-01: client_secret_post", anonymous, []string{"client_id", w.post, "client_secret", w.postSecret}}, ok, noScope},
		// interface.md §2 accepts both for any client with a secret, where CAU-01 refuses the other.
		{credential{"CAU-01: client_secret_post of a client registered for basic", anonymous, []string{"client_id", w.acme.clientID, "client_secret", w.acme.secret}}, ok, noScope},
		{credential{"CAU-01: client_secret_basic of a client registered for post", basic(w.post, w.postSecret), nil}, ok, noScope},
		{credential{"CAU-05: basic in lower case", rawBasic("basic ", w.acme.clientID+":"+w.acme.secret), nil}, ok, noScope},
		{credential{"CAU-05: basic in capitals", rawBasic("BASIC ", w.acme.clientID+":"+w.acme.secret), nil}, ok, noScope},
		{credential{"CAU-05: basic and two spaces", rawBasic("Basic  ", w.acme.clientID+":"+w.acme.secret), nil}, ok, noScope},
		{credential{"a public client", anonymous, []string{"client_id", w.public}}, ok, unauthorized},
		{credential{"basic and its own client_id", w.acme.authenticated(), []string{"client_id", w.acme.clientID}}, ok, noScope},
		{credential{"empty parameters are none (RFC 6749 §3.2)", anonymous, []string{"client_id", "", "client_secret", "", "client_assertion", "", "client_assertion_type", ""}}, ok, refused},
		{credential{"basic and empty parameters", w.acme.authenticated(), []string{"client_id", "", "client_secret", ""}}, ok, noScope},
	} {
		t.Run(c.rule, func(t *testing.T) { w.mustBe(t, c.credential, c.exchange, c.cc) })
	}
	w.s.mustNotLog(w.acme.secret, w.postSecret)
}

// fosite.md §1.3: a wrong secret and an unknown client must never be "no
// client", which could even be granted more.
func TestWrongCredentialsAreNotNoCredentials(t *testing.T) {
	w := newAuthWorld(t)
	for _, c := range []credential{
		{"CAU-05: a tab behind Basic", rawBasic("Basic\t", w.acme.clientID+":"+w.acme.secret), nil},
		{"CAU-05: nothing behind Basic", header("Authorization", "Basic"), nil},
		{"CAU-05: a bearer token", header("Authorization", "Bearer "+w.s.token), nil},
		{"an empty Authorization header", header("Authorization", ""), nil},
		{"a public client with a secret", anonymous, []string{"client_id", w.public, "client_secret", "x"}},
		{"a public client by basic", rawBasic("Basic ", w.public+":x"), nil},
		{"a wrong secret by basic", basic(w.acme.clientID, w.acme.secret+"x"), nil},
		{"a wrong secret by post", anonymous, []string{"client_id", w.acme.clientID, "client_secret", "x"}},
		{"an empty secret by basic", basic(w.acme.clientID, ""), nil},
		{"no colon", rawBasic("Basic ", w.acme.clientID), nil},
		{"a secret cut short", basic(w.acme.clientID, w.acme.secret[:len(w.acme.secret)-1]), nil},
		{"CAU-11: a secret and a byte", basic(w.acme.clientID, w.acme.secret+"x"), nil},
		{"CAU-11: a secret and a NUL", rawBasic("Basic ", w.acme.clientID+":"+w.acme.secret+"\x00"), nil},
		{"CAU-11: 72 bytes that begin with the secret", basic(w.acme.clientID, fill(w.acme.secret, 72)), nil},
		{"CAU-11: 73 bytes that begin with the secret", basic(w.acme.clientID, fill(w.acme.secret, 73)), nil},
		{"CAU-11: 200 bytes that begin with the secret", basic(w.acme.clientID, fill(w.acme.secret, 200)), nil},
		{"CAU-11: 40,000 bytes of secret", anonymous, []string{"client_id", w.acme.clientID, "client_secret", fill(w.acme.secret, 40_000)}},
		{"another client's secret", basic(w.acme.clientID, w.other.secret), nil},
		{"an unknown client", basic("unknown", w.acme.secret), nil},
		{"CAU-14: a client id in other case", basic(strings.ToUpper(w.acme.clientID), w.acme.secret), nil},
		{"CAU-14: a space behind the client id", basic(w.acme.clientID+" ", w.acme.secret), nil},
		{"CAU-14: a space before the client id, by post", anonymous, []string{"client_id", " " + w.acme.clientID, "client_secret", w.acme.secret}},
		{"CAU-14: a line end behind the client id", basic(w.acme.clientID+"\n", w.acme.secret), nil},
		{"CAU-14: a NUL behind the client id", basic(w.acme.clientID+"\x00", w.acme.secret), nil},
		{"CAU-14: a zero of another width", basic(strings.Replace(w.acme.clientID, "0", "\uff10", 1), w.acme.secret), nil},
		{"CAU-14: a dash that looks the same", basic(strings.Replace(w.acme.clientID, "-", "\u2010", 1), w.acme.secret), nil},
		{"CAU-14: a client id in braces", basic("{"+w.acme.clientID+"}", w.acme.secret), nil},
		{"CAU-14: a client id without its dashes", basic(strings.ReplaceAll(w.acme.clientID, "-", ""), w.acme.secret), nil},
		{"CAU-14: a client id encoded twice", anonymous, []string{"client_id", "%" + hex.EncodeToString([]byte(w.acme.clientID[:1])) + w.acme.clientID[1:], "client_secret", w.acme.secret}},
		{"a confidential client without its secret", anonymous, []string{"client_id", w.acme.clientID}},
		{"a secret without client_id", anonymous, []string{"client_secret", w.acme.secret}},
		{"a disabled client", basic(w.disabled, w.disabledSecret), nil},
		{"garbage after Basic", header("Authorization", "Basic !!!"), nil},
		{"a client assertion", anonymous, []string{"client_assertion", "x.y.z", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}},
	} {
		t.Run(c.rule, func(t *testing.T) { w.mustBe(t, c, grants.InvalidClient, grants.InvalidClient) })
	}
	w.s.mustNotLog(w.acme.secret, w.other.secret, w.disabledSecret)
}

// CAU-02, RFC 6749 §2.3: a client MUST NOT use more than one method.
func TestOneMethodAtATime(t *testing.T) {
	w := newAuthWorld(t)
	for _, c := range []credential{
		{"CAU-02: basic and post at once", w.acme.authenticated(), []string{"client_id", w.acme.clientID, "client_secret", w.acme.secret}},
		{"CAU-02: basic and post of different clients", w.acme.authenticated(), []string{"client_id", w.other.clientID, "client_secret", w.other.secret}},
		{"CAU-02: basic and a secret alone", w.acme.authenticated(), []string{"client_secret", w.acme.secret}},
		{"CAU-02: basic with an empty secret, and post", basic(w.acme.clientID, ""), []string{"client_id", w.acme.clientID, "client_secret", w.acme.secret}},
		{"CAU-02: garbage in the header, and post", header("Authorization", "x"), []string{"client_id", w.acme.clientID, "client_secret", w.acme.secret}},
		{"CAU-02: a bearer token, and post", header("Authorization", "Bearer "+w.s.token), []string{"client_id", w.acme.clientID, "client_secret", w.acme.secret}},
		{"CAU-02: basic and another client_id", w.acme.authenticated(), []string{"client_id", w.public}},
		{"CAU-02: two Authorization headers", func(r *http.Request) { w.acme.authenticated()(r); r.Header.Add("Authorization", "Bearer x") }, nil},
		{"CAU-02: the same Authorization header twice", func(r *http.Request) {
			w.acme.authenticated()(r)
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
		}, nil},
	} {
		t.Run(c.rule, func(t *testing.T) { w.mustBe(t, c, grants.InvalidRequest, grants.InvalidRequest) })
	}
	w.s.mustNotLog(w.acme.secret, w.other.secret)
}

func rawBasic(scheme, text string) option {
	return header("Authorization", scheme+base64.StdEncoding.EncodeToString([]byte(text)))
}

// fill makes a longer text of one.
func fill(text string, length int) string { return text + strings.Repeat("x", length-len(text)) }

// CAU-06: one answer for a client that is unknown, disabled, deleted, or of a
// disabled integrator, and for a wrong secret.
func TestUnknownClientAndWrongSecretLookAlike(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, closed := s.newParty("Acme"), s.newParty("Closed")
	s.admin("PATCH", "/integrators/"+closed.id, object{"status": "disabled"}).mustBe(t, 200)
	disabled, disabledSecret := acme.newClient(object{"client_name": "disabled", "status": "disabled"})
	deleted, deletedSecret := acme.newClient(object{"client_name": "deleted"})
	s.admin("DELETE", "/integrators/"+acme.id+"/clients/"+deleted, nil).mustBe(t, 204)
	counted := &countingClients{Clients: s.p.directory}
	doors := noDoors(func(c *handlers.Config) { c.Clients = counted })
	// Some client libraries show nothing but the challenge.
	const challenge = `Basic realm="cambio", error="invalid_client", error_description="client authentication failed"`
	const body = `{"error":"invalid_client","error_description":"client authentication failed"}`
	for rule, who := range map[string]option{
		"a wrong secret": basic(acme.clientID, "x"), "an unknown client": basic("unknown", "x"), "a disabled client": basic(disabled, "x"),
		"a deleted client": basic(deleted, "x"), "a disabled client and its secret": basic(disabled, disabledSecret),
		"a deleted client and its secret": basic(deleted, deletedSecret), "a client of a disabled integrator": basic(closed.clientID, "x"),
	} {
		t.Run(rule, func(t *testing.T) {
			for _, form := range []url.Values{exchangeForm("x"), {"grant_type": {grants.ClientCredentials}}} {
				a := s.post(tokenEndpoint, who, form)
				a.mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
				if a.body != body || a.header.Get("WWW-Authenticate") != challenge {
					t.Errorf("%s\n%v", a.body, a.header)
				}
			}
			// Nor does the time tell: as much is hashed for each of them.
			counted.matches.Store(0)
			r := httptest.NewRequest("POST", tokenEndpoint, strings.NewReader(exchangeForm("x").Encode()))
			r.Header.Set("Content-Type", formType)
			who(r)
			doors.ServeHTTP(httptest.NewRecorder(), r)
			if n := counted.matches.Load(); n != 2 { // as known, and as confirmed
				t.Errorf("%d secrets were hashed, want 2", n)
			}
		})
	}
	t.Run("the right secret of a client of a disabled integrator is told what is the matter", func(t *testing.T) { // a difference: interface.md §2
		closed.exchange(closed.idp.token(nil)).mustRefuse(t, 400, grants.InvalidRequest, grants.IntegratorDisabled)
		s.post(tokenEndpoint, closed.authenticated(), url.Values{"grant_type": {grants.ClientCredentials}}).mustRefuse(t, 400, grants.UnauthorizedClient, "")
	})
}

// countingClients counts what is hashed.
type countingClients struct {
	handlers.Clients
	matches atomic.Int64
}

func (c *countingClients) Matches(client *handlers.Client, secret string) bool {
	c.matches.Add(1)
	return c.Clients.Matches(client, secret)
}

// RFC 6749 §2.3.1 wants both parts form-encoded; half of the libraries send
// them as they are. The operator's secret holds + % / and a space.
func TestBasicWithAndWithoutFormEncoding(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	for _, who := range []option{
		basic(testOperator, testOperatorSecret),
		func(r *http.Request) { r.SetBasicAuth(testOperator, testOperatorSecret) },
		func(r *http.Request) {
			r.SetBasicAuth(testOperator, strings.ReplaceAll(url.QueryEscape(testOperatorSecret), "+", "%20"))
		},
	} {
		s.post(tokenEndpoint, who, form).mustBe(t, http.StatusOK)
	}
}

// CAU-12: a secret is 256 random bits behind a prefix that scanners find (its
// checksum is left out: a difference), is shown once, and what is stored is a
// keyed hash.
func TestSecretIsShownOnce(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	_, another := acme.newClient(object{"client_name": "another"})
	for _, secret := range []string{acme.secret, another} {
		if !regexp.MustCompile(`^cbs_[A-Za-z0-9_-]{43}$`).MatchString(secret) || acme.secret == another {
			t.Errorf("secret %s", secret)
		}
	}
	path := "/integrators/" + acme.id + "/clients"
	for _, a := range []answer{s.admin("GET", path, nil), s.admin("GET", path+"/"+acme.clientID, nil), s.admin("PATCH", path+"/"+acme.clientID, object{"client_name": "renamed"})} {
		a.mustBe(t, http.StatusOK)
		if strings.Contains(a.body, "client_secret\"") || strings.Contains(a.body, acme.secret) {
			t.Errorf("the secret is shown again: %s", a.body)
		}
	}
	snapshot, err := s.p.directory.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	stored := snapshot.Client(acme.clientID).Secrets
	mac := hmac.New(sha256.New, s.p.directory.pepper) // which is not in the database
	mac.Write([]byte(acme.secret))
	if len(stored) != 1 || len(s.p.directory.pepper) < 32 || !bytes.Equal(stored[0].Hash, mac.Sum(nil)) {
		t.Errorf("stored: %v", stored)
	}
}

// CAU-11: a long secret counts to its last byte, where bcrypt stops at 72.
// Operators may choose one.
func TestALongSecretCountsToItsLastByte(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	secret := strings.Repeat("0123456789", 20)
	s.p.config.operatorID, s.p.config.operatorSecret = "long", secret
	if err := s.p.ensureOperator(t.Context(), s.p.directory.pepper, nil); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	s.post(tokenEndpoint, basic("long", secret), form).mustBe(t, 200)
	for _, wrong := range []string{secret[:72], secret[:73], secret[:199], secret[:199] + "x", secret + "0", secret[:72] + strings.Repeat("x", 128)} {
		s.post(tokenEndpoint, basic("long", wrong), form).mustRefuse(t, 401, grants.InvalidClient, "")
	}
}

// fosite.md §1.3: a client that cannot be looked up is not "no client", which
// an integrator may have opened its door to.
func TestADeadDatabaseIsNotNoClient(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), map[string]string{"exchange_log": "off"}) // or a token could not be recorded
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, 200)
	token := acme.idp.token(nil)
	s.post(tokenEndpoint, anonymous, exchangeForm(token)).mustBe(t, 200)
	if err := s.p.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, who := range []option{basic("unknown", "x"), basic(acme.clientID, "x")} {
		s.post(tokenEndpoint, who, exchangeForm(token)).mustRefuse(t, 503, grants.TemporarilyUnavailable, "")
	}
}
