package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

func splitDots(token string) []string { return strings.Split(token, ".") }

// The whole main road, over HTTP, on every database.
func TestMainRoad(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		holder := acme.manage("919424508", "east")
		api := s.admin("POST", "/resource-servers", object{"name": "Lock API", "audience": apiAudience}).mustBe(t, http.StatusCreated)

		exchanged := acme.exchange(acme.idp.token(nil), "audience", apiAudience).mustBe(t, http.StatusOK)
		checkExchangeAnswer(t, exchanged)
		token := exchanged.text("access_token")
		checkIssuedToken(t, s, acme, token, holder)

		introspected := s.post(introspectEndpoint, basic(api.text("client_id"), api.text("client_secret")), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
		checkIntrospection(t, introspected, token)

		s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {token}}).mustBe(t, http.StatusOK)
		s.mustBeActive(token, false)
		s.mustNotLog(token, acme.secret, testOperatorSecret, s.token)
	})
}

// RFC 8693 §2.2.1 and the contract: these members, no more, no nulls.
func checkExchangeAnswer(t *testing.T, a answer) {
	t.Helper()
	want := []string{"access_token", "expires_in", "issued_token_type", "scope", "token_type"}
	if got := slices.Sorted(keysOf(a.json)); !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	if a.text("issued_token_type") != grants.TokenTypeAccessToken || a.text("token_type") != "Bearer" || a.text("scope") != lockScope {
		t.Errorf("answer %s", a.body)
	}
	if a.json["expires_in"] != float64(3600) {
		t.Errorf("expires_in %v, want 3600", a.json["expires_in"])
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// RFC 9068 §2, verified by another library with nothing but the published JWKS.
func checkIssuedToken(t *testing.T, s *server, acme *party, token, holder string) {
	t.Helper()
	var published jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(s.do("GET", "/.well-known/jwks.json", "").mustBe(t, http.StatusOK).body), &published); err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var verified object
	if err := parsed.Claims(published, &verified); err != nil {
		t.Fatalf("the token does not verify with our JWKS: %v", err)
	}
	header, claims := decodeToken(t, token)
	if header["typ"] != "at+jwt" || header["kid"] == "" || header["alg"] != "ES256" {
		t.Errorf("header %v", header)
	}
	want := object{
		"iss": s.url, "sub": acme.idp.issuer + "#auth0|5934aafe4e52d93452b1c90", "aud": apiAudience, "client_id": acme.clientID,
		"scope": lockScope, "integrator_id": acme.id, "subject_issuer": acme.idp.issuer, "subject": "auth0|5934aafe4e52d93452b1c90",
	}
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("claim %s: %v, want %v", name, claims[name], value)
		}
	}
	if ids, _ := claims["lock_holder_ids"].([]any); len(ids) != 1 || ids[0] != holder {
		t.Errorf("lock_holder_ids %v, want [%s]", claims["lock_holder_ids"], holder)
	}
	if claims["jti"] == "" || claims["exp"].(float64)-claims["iat"].(float64) != 3600 || claims["nbf"] != nil {
		t.Errorf("jti, exp, iat or nbf: %v", claims)
	}
}

func checkIntrospection(t *testing.T, a answer, token string) {
	t.Helper()
	want := []string{"active", "aud", "client_id", "exp", "iat", "integrator_id", "iss", "jti", "lock_holder_ids", "scope", "sub", "token_type"}
	if got := slices.Sorted(keysOf(a.json)); !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
	_, claims := decodeToken(t, token)
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "integrator_id"} {
		if a.json[name] != claims[name] {
			t.Errorf("%s: %v, want the token's %v", name, a.json[name], claims[name])
		}
	}
}

func (s *server) mustNotLog(secrets ...string) {
	s.t.Helper()
	log := s.log.String()
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			s.t.Errorf("the log holds a secret that begins with %q", secret[:min(8, len(secret))])
		}
	}
}

// Key documents: JWKS or plain-text PEM, found out by content.
func TestKeyURLFormats(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	for _, path := range []string{"/jwks.json", "/spki.pem", "/pkcs1.pem", "/certificate.pem"} {
		for _, kid := range []string{acme.idp.kid, ""} {
			t.Run(path+" and kid "+kid, func(t *testing.T) {
				s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"url": acme.idp.url(path)}).mustBe(t, http.StatusOK)
				header := object{"alg": "RS256"}
				if kid != "" {
					header["kid"] = kid
				}
				acme.exchange(acme.idp.sign(header, acme.idp.claims(nil))).mustBe(t, http.StatusOK)
				forged := newTestIDP(t, acme.idp.aud)
				acme.exchange(forged.sign(header, acme.idp.claims(nil))).mustRefuse(t, 400, grants.InvalidRequest, grants.SignatureInvalid)
			})
		}
	}
}

// CAMBIO_SIGNING_ALG.
func TestSigningAlgorithms(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			s := startServer(t, storagetest.SQLite(t), map[string]string{"signing_alg": algorithm})
			header, _ := decodeToken(t, s.token)
			if header["alg"] != algorithm {
				t.Errorf("alg %v", header["alg"])
			}
			s.mustBeActive(s.token, true)
			metadata := s.do("GET", "/.well-known/openid-configuration", "")
			if got := metadata.json["id_token_signing_alg_values_supported"].([]any); got[0] != algorithm {
				t.Errorf("id_token_signing_alg_values_supported %v", got)
			}
		})
	}
}

// The life of an issued token: min(server's, client's, what is left of the
// subject token).
func TestLifetime(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), map[string]string{"access_token_ttl": "10m"})
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	short, secret := acme.newClient(object{"client_name": "short", "access_token_ttl": 60})
	cases := []struct {
		rule string
		who  option
		left time.Duration
		most float64
	}{
		{"the server's ceiling", acme.authenticated(), time.Hour, 600},
		{"the client's ceiling", basic(short, secret), time.Hour, 60},
		{"never past the subject token", acme.authenticated(), 10 * time.Second, 10},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			token := acme.idp.token(object{"exp": time.Now().Add(c.left).Unix()})
			a := s.post(tokenEndpoint, c.who, exchangeForm(token)).mustBe(t, http.StatusOK)
			if got := a.json["expires_in"].(float64); got > c.most || got < c.most-5 {
				t.Errorf("expires_in %v, want %v", got, c.most)
			}
		})
	}
}

func keysOf(m object) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}
