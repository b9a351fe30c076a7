package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
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
		{"client_secret_basic", acme.authenticated(), nil, ok, noScope},
		{"client_secret_post of the same client", anonymous, withBody("client_id", acme.clientID, "client_secret", acme.secret), ok, noScope},
		{"basic in lower case", header("Authorization", "basic "+base64.StdEncoding.EncodeToString([]byte(acme.clientID+":"+acme.secret))), nil, ok, noScope},
		{"a public client", anonymous, withBody("client_id", public), ok, unauthorized},
		{"a public client with a secret", anonymous, withBody("client_id", public, "client_secret", "x"), refused, refused},
		{"a wrong secret by basic", basic(acme.clientID, acme.secret+"x"), nil, refused, refused},
		{"a wrong secret by post", anonymous, withBody("client_id", acme.clientID, "client_secret", "x"), refused, refused},
		{"an empty secret by basic", basic(acme.clientID, ""), nil, refused, refused},
		{"a secret cut short", basic(acme.clientID, acme.secret[:len(acme.secret)-1]), nil, refused, refused},
		{"another client's secret", basic(acme.clientID, other.secret), nil, refused, refused},
		{"an unknown client", basic("unknown", acme.secret), nil, refused, refused},
		{"a client id in other case", basic(strings.ToUpper(acme.clientID), acme.secret), nil, refused, refused},
		{"a confidential client without its secret", anonymous, withBody("client_id", acme.clientID), refused, refused},
		{"a secret without client_id", anonymous, withBody("client_secret", acme.secret), refused, refused},
		{"a disabled client", basic(disabled, disabledSecret), nil, refused, refused},
		{"a bearer token", header("Authorization", "Bearer "+s.token), nil, refused, refused},
		{"garbage after Basic", header("Authorization", "Basic !!!"), nil, refused, refused},
		{"a client assertion", anonymous, withBody("client_assertion", "x.y.z", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), refused, refused},
		{"basic and post at once", acme.authenticated(), withBody("client_id", acme.clientID, "client_secret", acme.secret), mixed, mixed},
		{"basic and another client_id", acme.authenticated(), withBody("client_id", public), mixed, mixed},
		{"two Authorization headers", func(r *http.Request) { acme.authenticated()(r); r.Header.Add("Authorization", "Bearer x") }, nil, mixed, mixed},
		{"basic and its own client_id", acme.authenticated(), withBody("client_id", acme.clientID), ok, noScope},
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

// CAU-06: one answer for an unknown client, a wrong secret and a disabled one.
func TestUnknownClientAndWrongSecretLookAlike(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	form := exchangeForm("x")
	unknown := s.post(tokenEndpoint, basic("unknown", "x"), form)
	wrong := s.post(tokenEndpoint, basic(acme.clientID, "x"), form)
	unknown.mustRefuse(t, http.StatusUnauthorized, grants.InvalidClient, "")
	if unknown.body != wrong.body || unknown.header.Get("WWW-Authenticate") != wrong.header.Get("WWW-Authenticate") {
		t.Errorf("%s\n%s", unknown.body, wrong.body)
	}
	// Some client libraries show nothing but the challenge.
	if got := unknown.header.Get("WWW-Authenticate"); got != `Basic realm="cambio", error="invalid_client", error_description="client authentication failed"` {
		t.Errorf("WWW-Authenticate: %s", got)
	}
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

// A secret is shown once, and what is stored is a keyed hash.
func TestSecretIsShownOnce(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
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
