package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const signedType = "application/token-introspection+jwt"

func signedAnswer() option { return header("Accept", signedType) }

// verified reads a JWS with another library and nothing but the published JWKS.
func (s *server) verified(token string) (headers jose.Header, claims object) {
	s.t.Helper()
	var published jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(s.do("GET", "/.well-known/jwks.json", "").mustBe(s.t, http.StatusOK).body), &published); err != nil {
		s.t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.EdDSA})
	if err == nil {
		err = parsed.Claims(published, &claims)
	}
	if err != nil {
		s.t.Fatalf("%v: %s", err, token)
	}
	return parsed.Headers[0], claims
}

// RFC 9701 §5: iss, aud, iat and what the JSON answer says, in a JWS of its own
// typ. Nothing beside them: no sub, exp or jti, so that it is no access token.
func TestSignedIntrospection(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			s := startServer(t, storagetest.SQLite(t), map[string]string{"signing_alg": algorithm})
			locks := s.admin("POST", "/resource-servers", object{"name": "Locks", "audience": apiAudience}).mustBe(t, http.StatusCreated)
			acme := s.newParty("Acme")
			acme.manage("919424508", "east")
			token := acme.exchange(acme.idp.token(nil), "audience", apiAudience).mustBe(t, http.StatusOK).text("access_token")
			ask := func(id, secret, token string) {
				t.Helper()
				plain := s.post(introspectEndpoint, basic(id, secret), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
				before := time.Now().Unix()
				signed := s.post(introspectEndpoint, basic(id, secret), url.Values{"token": {token}}, signedAnswer()).mustBe(t, http.StatusOK)
				checkSignedAnswer(t, s, signed, plain, algorithm)
				_, claims := s.verified(signed.body)
				if iat := claims["iat"].(float64); claims["iss"] != s.url || claims["aud"] != id || iat < float64(before) || iat > float64(time.Now().Unix()) {
					t.Errorf("iss, aud or iat: %v", claims)
				}
			}
			ask(locks.text("client_id"), locks.text("client_secret"), token)
			ask(acme.clientID, acme.secret, token)
			ask(testOperator, testOperatorSecret, token)
			ask(locks.text("client_id"), locks.text("client_secret"), s.token) // not meant for it
			ask(acme.clientID, acme.secret, "unknown")
		})
	}
}

func checkSignedAnswer(t *testing.T, s *server, signed, plain answer, algorithm string) {
	t.Helper()
	for name, want := range map[string]string{"Content-Type": signedType, "Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"} {
		if got := signed.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	headers, claims := s.verified(signed.body)
	raw, _ := decodeToken(t, signed.body)
	if headers.Algorithm != algorithm || headers.ExtraHeaders["typ"] != "token-introspection+jwt" || headers.KeyID == "" || len(raw) != 3 {
		t.Errorf("header %v", raw)
	}
	if got := slices.Sorted(keysOf(claims)); !slices.Equal(got, []string{"aud", "iat", "iss", "token_introspection"}) {
		t.Errorf("claims %v", got)
	}
	found, _ := json.Marshal(claims["token_introspection"])
	want, _ := json.Marshal(plain.json)
	if string(found) != string(want) {
		t.Errorf("it says %s, the JSON answer %s", found, want)
	}
}

// RFC 9701 §4, RFC 9110 §12.5.1: signed for those who name it and do not like
// JSON better. A star means JSON.
func TestAcceptOfIntrospection(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	operator := basic(testOperator, testOperatorSecret)
	cases := []struct {
		accept []string
		signed bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"*/*"}, false},
		{[]string{"application/*"}, false},
		{[]string{"application/json"}, false},
		{[]string{"application/jwt"}, false},
		{[]string{"text/html"}, false},
		{[]string{signedType}, true},
		{[]string{"Application/Token-Introspection+JWT"}, true},
		{[]string{signedType + ", application/json"}, true},
		{[]string{"application/json, " + signedType}, true},
		{[]string{"application/json", signedType}, true},
		{[]string{signedType + ", */*"}, true},
		{[]string{"*/*, " + signedType + ";q=0.9"}, false},
		{[]string{signedType + ", */*;q=0.1"}, true},
		{[]string{signedType + ";q=0.5, application/json;q=0.4"}, true},
		{[]string{signedType + ";q=0.5, application/json"}, false},
		{[]string{signedType + ";q=0.5, application/json;q=0.5"}, true},
		{[]string{signedType + ";q=0.5, application/*;q=0.6, */*;q=0.1"}, false},
		{[]string{signedType + ";q=0.5, application/json;q=0.1, */*"}, true},
		{[]string{signedType + ";q=0"}, false},
		{[]string{signedType + ";q=0, application/json;q=0"}, false},
		{[]string{signedType + " ; Q=1.000"}, true},
		{[]string{signedType + ";q=2"}, false},
		{[]string{signedType + ";q=-1"}, false},
		{[]string{signedType + ";q=NaN"}, false},
		{[]string{signedType + ";q=x"}, false},
		{[]string{signedType + "x"}, false},
		{[]string{",;,/, " + signedType + ", ;q=1"}, true},
	}
	for _, c := range cases {
		options := []option{}
		for _, value := range c.accept {
			options = append(options, header("Accept", value))
		}
		a := s.post(introspectEndpoint, operator, url.Values{"token": {s.token}}, options...).mustBe(t, http.StatusOK)
		want := "application/json"
		if c.signed {
			want = signedType
		}
		if got := a.header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q: %s, want %s", c.accept, got, want)
		}
	}
}

// RFC 9701 §5 changes the answer; errors are those of RFC 7662 §2.3.
func TestErrorsOfIntrospectionAreNeverSigned(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	form := url.Values{"token": {s.token}}
	s.post(introspectEndpoint, anonymous, form, signedAnswer()).mustRefuse(t, 401, grants.InvalidClient, "")
	s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {""}}, signedAnswer()).mustRefuse(t, 400, grants.InvalidRequest, "")
	if err := s.p.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), form, signedAnswer()).mustRefuse(t, 503, grants.TemporarilyUnavailable, "")
}

// RFC 9701 §8.1, RFC 8725 §3.11 (INT-16): an answer is signed by the key that
// signs access tokens, and is none.
func TestASignedAnswerIsNoToken(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK).text("access_token")
	signed := s.post(introspectEndpoint, acme.authenticated(), url.Values{"token": {token}}, signedAnswer()).mustBe(t, http.StatusOK).body
	operators := s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {s.token}}, signedAnswer()).mustBe(t, http.StatusOK).body

	s.mustBeActive(signed, false)
	s.post(introspectEndpoint, header("Authorization", "Bearer "+operators), url.Values{"token": {token}}).mustRefuse(t, 401, grants.InvalidClient, "")
	s.adminAs(operators, "GET", "/integrators", nil).mustBe(t, http.StatusUnauthorized)
	s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {signed}}).mustBe(t, http.StatusOK)
	s.mustBeActive(token, true)
	for _, kind := range []string{grants.TokenTypeJWT, grants.TokenTypeAccessToken} {
		form := exchangeForm(signed)
		form.Set("subject_token_type", kind)
		s.post(tokenEndpoint, acme.authenticated(), form).mustRefuse(t, 400, grants.InvalidRequest, grants.WrongTokenKind)
	}
	bearer, secret := acme.newClient(object{"client_name": "bearer", "grant_types": []string{grants.JWTBearer}})
	s.post(tokenEndpoint, basic(bearer, secret), url.Values{"grant_type": {grants.JWTBearer}, "assertion": {signed}}).mustRefuse(t, 400, grants.InvalidGrant, grants.WrongTokenKind)
	s.post(tokenEndpoint, anonymous, withAssertion(exchangeForm(acme.idp.token(nil)), signed)).mustRefuse(t, 401, grants.InvalidClient, "")
	// Nor can our issuer be registered, nor is such an answer of another server taken.
	s.admin("POST", "/integrators/"+acme.id+"/key-urls", object{"issuer": s.url, "url": s.url + "/.well-known/jwks.json"}).mustBeProblem(t, 422, "invalid")
	foreign := acme.idp.sign(object{"alg": "RS256", "kid": acme.idp.kid, "typ": "token-introspection+jwt"}, acme.idp.claims(nil))
	acme.exchange(foreign).mustRefuse(t, 400, grants.InvalidRequest, grants.TypNotAllowed)
	s.mustNotLog(signed, operators)
}
