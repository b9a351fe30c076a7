package main

import (
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

// RFC 6749 §2.3 and RFC 7521 §4.1: credentials that are presented are
// validated. fosite §1.3: a wrong secret, an unknown client or a dead database
// must never be "no client", which could even be granted more.
func TestClientAuthentication(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	// Clientless is open: whoever slips through as "no client" gets a token.
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, http.StatusOK)
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	disabled, disabledSecret := acme.newClient(object{"client_name": "old", "status": "disabled"})
	post, postSecret := acme.newClient(object{"client_name": "post", "token_endpoint_auth_method": "client_secret_post"})

	type outcome struct {
		status int
		code   grants.Code
	}
	ok, refused, mixed := outcome{200, ""}, outcome{401, grants.InvalidClient}, outcome{400, grants.InvalidRequest}
	unauthorized, noScope := outcome{400, grants.UnauthorizedClient}, outcome{400, grants.InvalidScope}
	withBody := func(members ...string) []string { return members }
	cases := []struct {
		rule     string
		who      option
		body     []string
		exchange outcome
		cc       outcome
	}{
		{"nothing presented", anonymous, nil, ok, refused},
		{"CAU-01: client_secret_basic", acme.authenticated(), nil, ok, noScope},
		{"CAU-01: client_secret_post", anonymous, withBody("client_id", post, "client_secret", postSecret), ok, noScope},
		// interface.md §2 accepts both for any client with a secret, where CAU-01 refuses the other.
		{"CAU-01: client_secret_post of a client registered for basic", anonymous, withBody("client_id", acme.clientID, "client_secret", acme.secret), ok, noScope},
		{"CAU-01: client_secret_basic of a client registered for post", basic(post, postSecret), nil, ok, noScope},
		{"CAU-05: basic in lower case", rawBasic("basic ", acme.clientID+":"+acme.secret), nil, ok, noScope},
		{"CAU-05: basic in capitals", rawBasic("BASIC ", acme.clientID+":"+acme.secret), nil, ok, noScope},
		{"CAU-05: a tab behind Basic", rawBasic("Basic\t", acme.clientID+":"+acme.secret), nil, refused, refused},
		{"CAU-05: nothing behind Basic", header("Authorization", "Basic"), nil, refused, refused},
		{"CAU-05: a bearer token", header("Authorization", "Bearer "+s.token), nil, refused, refused},
		{"an empty Authorization header", header("Authorization", ""), nil, refused, refused},
		{"a public client", anonymous, withBody("client_id", public), ok, unauthorized},
		{"a public client with a secret", anonymous, withBody("client_id", public, "client_secret", "x"), refused, refused},
		{"a public client by basic", rawBasic("Basic ", public+":x"), nil, refused, refused},
		{"a wrong secret by basic", basic(acme.clientID, acme.secret+"x"), nil, refused, refused},
		{"a wrong secret by post", anonymous, withBody("client_id", acme.clientID, "client_secret", "x"), refused, refused},
		{"an empty secret by basic", basic(acme.clientID, ""), nil, refused, refused},
		{"no colon", rawBasic("Basic ", acme.clientID), nil, refused, refused},
		{"a secret cut short", basic(acme.clientID, acme.secret[:len(acme.secret)-1]), nil, refused, refused},
		{"CAU-11: a secret and a byte", basic(acme.clientID, acme.secret+"x"), nil, refused, refused},
		{"CAU-11: a secret and a NUL", rawBasic("Basic ", acme.clientID+":"+acme.secret+"\x00"), nil, refused, refused},
		{"CAU-11: 72 bytes that begin with the secret", basic(acme.clientID, fill(acme.secret, 72)), nil, refused, refused},
		{"CAU-11: 73 bytes that begin with the secret", basic(acme.clientID, fill(acme.secret, 73)), nil, refused, refused},
		{"CAU-11: 200 bytes that begin with the secret", basic(acme.clientID, fill(acme.secret, 200)), nil, refused, refused},
		{"CAU-11: 40,000 bytes of secret", anonymous, withBody("client_id", acme.clientID, "client_secret", fill(acme.secret, 40_000)), refused, refused},
		{"another client's secret", basic(acme.clientID, other.secret), nil, refused, refused},
		{"an unknown client", basic("unknown", acme.secret), nil, refused, refused},
		{"CAU-14: a client id in other case", basic(strings.ToUpper(acme.clientID), acme.secret), nil, refused, refused},
		{"CAU-14: a space behind the client id", basic(acme.clientID+" ", acme.secret), nil, refused, refused},
		{"CAU-14: a space before the client id, by post", anonymous, withBody("client_id", " "+acme.clientID, "client_secret", acme.secret), refused, refused},
		{"CAU-14: a line end behind the client id", basic(acme.clientID+"\n", acme.secret), nil, refused, refused},
		{"CAU-14: a NUL behind the client id", basic(acme.clientID+"\x00", acme.secret), nil, refused, refused},
		{"CAU-14: a zero of another width", basic(strings.Replace(acme.clientID, "0", "\uff10", 1), acme.secret), nil, refused, refused},
		{"CAU-14: a dash that looks the same", basic(strings.Replace(acme.clientID, "-", "\u2010", 1), acme.secret), nil, refused, refused},
		{"CAU-14: a client id in braces", basic("{"+acme.clientID+"}", acme.secret), nil, refused, refused},
		{"CAU-14: a client id without its dashes", basic(strings.ReplaceAll(acme.clientID, "-", ""), acme.secret), nil, refused, refused},
		{"CAU-14: a client id encoded twice", anonymous, withBody("client_id", "%"+hex.EncodeToString([]byte(acme.clientID[:1]))+acme.clientID[1:], "client_secret", acme.secret), refused, refused},
		{"a confidential client without its secret", anonymous, withBody("client_id", acme.clientID), refused, refused},
		{"a secret without client_id", anonymous, withBody("client_secret", acme.secret), refused, refused},
		{"a disabled client", basic(disabled, disabledSecret), nil, refused, refused},
		{"garbage after Basic", header("Authorization", "Basic !!!"), nil, refused, refused},
		{"a client assertion", anonymous, withBody("client_assertion", "x.y.z", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), refused, refused},
		{"CAU-02: basic and post at once", acme.authenticated(), withBody("client_id", acme.clientID, "client_secret", acme.secret), mixed, mixed},
		{"CAU-02: basic and post of different clients", acme.authenticated(), withBody("client_id", other.clientID, "client_secret", other.secret), mixed, mixed},
		{"CAU-02: basic and a secret alone", acme.authenticated(), withBody("client_secret", acme.secret), mixed, mixed},
		{"CAU-02: basic with an empty secret, and post", basic(acme.clientID, ""), withBody("client_id", acme.clientID, "client_secret", acme.secret), mixed, mixed},
		{"CAU-02: garbage in the header, and post", header("Authorization", "x"), withBody("client_id", acme.clientID, "client_secret", acme.secret), mixed, mixed},
		{"CAU-02: a bearer token, and post", header("Authorization", "Bearer "+s.token), withBody("client_id", acme.clientID, "client_secret", acme.secret), mixed, mixed},
		{"CAU-02: basic and another client_id", acme.authenticated(), withBody("client_id", public), mixed, mixed},
		{"CAU-02: two Authorization headers", func(r *http.Request) { acme.authenticated()(r); r.Header.Add("Authorization", "Bearer x") }, nil, mixed, mixed},
		{"CAU-02: the same Authorization header twice", func(r *http.Request) {
			acme.authenticated()(r)
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
		}, nil, mixed, mixed},
		{"basic and its own client_id", acme.authenticated(), withBody("client_id", acme.clientID), ok, noScope},
		{"empty parameters are none (RFC 6749 §3.2)", anonymous, withBody("client_id", "", "client_secret", "", "client_assertion", "", "client_assertion_type", ""), ok, refused},
		{"basic and empty parameters", acme.authenticated(), withBody("client_id", "", "client_secret", ""), ok, noScope},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			check := func(form url.Values, want outcome) {
				a := s.post(tokenEndpoint, c.who, form)
				if want.status == http.StatusOK {
					a.mustBe(t, http.StatusOK)
					return
				}
				a.mustRefuse(t, want.status, want.code, "")
			}
			check(exchangeForm(acme.idp.token(nil), c.body...), c.exchange)
			credentials := exchangeForm("", c.body...)
			credentials.Set("grant_type", grants.ClientCredentials)
			credentials.Del("subject_token")
			credentials.Del("subject_token_type")
			check(credentials, c.cc)
		})
	}
	s.mustNotLog(acme.secret, other.secret, disabledSecret)
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
	if len(stored) != 1 || strings.Contains(string(stored[0].Hash), acme.secret) || len(stored[0].Hash) != 32 {
		t.Errorf("stored: %v", stored)
	}
}
