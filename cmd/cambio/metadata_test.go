package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// RFC 8414: the same document at both places, with what exists and no more.
func TestMetadata(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	oauth := s.do("GET", "/.well-known/oauth-authorization-server", "").mustBe(t, http.StatusOK)
	oidc := s.do("GET", "/.well-known/openid-configuration", "").mustBe(t, http.StatusOK)
	if oauth.body != oidc.body || oauth.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s\n%s", oauth.body, oidc.body)
	}
	signed := []any{"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}
	want := map[string]any{
		"issuer": s.url, "token_endpoint": s.url + "/oauth2/token", "introspection_endpoint": s.url + "/oauth2/introspect",
		"revocation_endpoint": s.url + "/oauth2/revoke", "jwks_uri": s.url + "/.well-known/jwks.json",
		"grant_types_supported":                         []any{grants.ClientCredentials, grants.TokenExchange, grants.JWTBearer},
		"response_types_supported":                      []any{},
		"token_endpoint_auth_methods_supported":         []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		"introspection_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"revocation_endpoint_auth_methods_supported":    []any{"client_secret_basic", "client_secret_post", "private_key_jwt", "none"},
		// RFC 8414 §2: required where private_key_jwt is listed.
		"token_endpoint_auth_signing_alg_values_supported":         signed,
		"introspection_endpoint_auth_signing_alg_values_supported": signed,
		"revocation_endpoint_auth_signing_alg_values_supported":    signed,
		"introspection_signing_alg_values_supported":               []any{"ES256"}, // RFC 9701 §7
		"id_token_signing_alg_values_supported":                    []any{"ES256"},
	}
	if len(oauth.json) != len(want) {
		t.Errorf("members: %v", oauth.json)
	}
	for name, value := range want {
		if got, _ := json.Marshal(oauth.json[name]); string(got) != string(must(json.Marshal(value))) {
			t.Errorf("%s: %s, want %v", name, got, value)
		}
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// RFC 8414 §3.1: the well-known part goes between host and path, without the
// path's last slash. The endpoints are below the path, whether or not a proxy
// cuts it off.
func TestIssuerWithAPath(t *testing.T) {
	const here = "/.well-known/oauth-authorization-server"
	for _, c := range []struct{ issuer, base, document string }{
		{"https://auth.example", "", here},
		{"https://auth.example/", "", here},
		{"https://auth.example/a", "/a", here + "/a"},
		{"https://auth.example/tenants/a/", "/tenants/a", here + "/tenants/a"},
	} {
		t.Run(c.issuer, func(t *testing.T) {
			s := startServer(t, storagetest.SQLite(t), map[string]string{"issuer": c.issuer})
			for _, path := range []string{c.document, c.base + "/.well-known/openid-configuration", "/.well-known/openid-configuration"} {
				a := s.do("GET", path, "").mustBe(t, http.StatusOK)
				if a.text("issuer") != c.issuer { // §3.3: byte for byte
					t.Errorf("%s: %s", path, a.body)
				}
				for _, member := range []string{"token_endpoint", "introspection_endpoint", "revocation_endpoint"} {
					below, ok := strings.CutPrefix(a.text(member), "https://auth.example"+c.base+"/oauth2/")
					if !ok {
						t.Errorf("%s: %s", member, a.text(member))
					}
					for _, base := range []string{"", c.base} {
						s.do("POST", base+"/oauth2/"+below, "", header("Content-Type", formType)).mustRefuse(t, 400, grants.InvalidRequest, "")
					}
				}
				s.do("GET", strings.TrimPrefix(a.text("jwks_uri"), "https://auth.example"), "").mustBe(t, http.StatusOK)
			}
			if c.document != here {
				s.do("GET", here, "").mustBe(t, http.StatusNotFound)
			}
			if claims := decoded(t, s.token); claims["iss"] != c.issuer {
				t.Errorf("iss %v", claims["iss"])
			}
			if a := s.introspect(s.token); a.text("iss") != c.issuer {
				t.Errorf("introspection says %s", a.body)
			}
		})
	}
}

// RFC 7517: every key with kid, alg and use, and nothing private, ever.
func TestPublishedKeys(t *testing.T) {
	for _, algorithm := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			s := startServer(t, storagetest.SQLite(t), map[string]string{"signing_alg": algorithm})
			before := s.token
			if err := s.p.ring.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			a := s.do("GET", "/.well-known/jwks.json", "").mustBe(t, http.StatusOK)
			var kids []string
			for _, entry := range a.json["keys"].([]any) {
				key := entry.(object)
				kids = append(kids, key["kid"].(string))
				if key["alg"] != algorithm || key["use"] != "sig" {
					t.Errorf("key %v", key)
				}
				for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
					if _, ok := key[private]; ok {
						t.Errorf("the private member %s is published", private)
					}
				}
			}
			header, _ := decodeToken(t, before)
			if len(kids) != 3 || !slices.Contains(kids, header["kid"].(string)) {
				t.Errorf("kids %v: want the retired, the active and the next key", kids)
			}
			s.mustBeActive(before, true) // signed by the retired key
			after := startServerToken(s)
			if header, _ := decodeToken(t, after); header["kid"] == nil || !slices.Contains(kids, header["kid"].(string)) {
				t.Errorf("header %v", header)
			}
			s.mustBeActive(after, true)
		})
	}
}

func startServerToken(s *server) string {
	return s.do("POST", tokenEndpoint, "grant_type=client_credentials", basic(testOperator, testOperatorSecret), header("Content-Type", formType)).
		mustBe(s.t, http.StatusOK).text("access_token")
}

// The public listener has nothing of the operator's; the other has no tokens.
func TestOperationsAreApart(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/"} {
		s.do("GET", path, "").mustBe(t, http.StatusNotFound)
	}
	ops := *s
	ops.url = "http://" + s.p.ops.Addr().String()
	ops.do("GET", "/healthz", "").mustBe(t, http.StatusOK)
	ops.do("GET", "/readyz", "").mustBe(t, http.StatusOK)
	ops.do("POST", tokenEndpoint, "").mustBe(t, http.StatusNotFound)
	metrics := ops.do("GET", "/metrics", "").mustBe(t, http.StatusOK).body
	for _, want := range []string{`cambio_requests_total{endpoint="token",error="",grant_type="client_credentials",reason="",status="200"} 1`, "cambio_build_info", "go_goroutines", "process_open_fds"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}
