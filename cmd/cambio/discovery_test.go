package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// metadata reads the document of RFC 8414.
func (s *server) metadata() answer {
	s.t.Helper()
	return s.do("GET", "/.well-known/openid-configuration", "").mustBe(s.t, http.StatusOK)
}

// lists tells whether a member of the metadata names a value.
func (a answer) lists(member, value string) bool {
	values, _ := a.json[member].([]any)
	return slices.Contains(values, any(value))
}

// PRO-31, RFC 8414 §2: a grant is listed if and only if it can be tried.
func TestEveryGrantIsListed(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	metadata := s.metadata()
	candidates := []string{
		"authorization_code", "implicit", "password", "client_credentials", "refresh_token",
		"urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:saml2-bearer",
		"urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange",
		"urn:openid:params:grant-type:ciba", "urn:ietf:params:oauth:grant-type:pre-authorized_code", "urn:ietf:params:oauth:grant-type:uma-ticket",
	}
	for _, grant := range candidates {
		a := s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), url.Values{"grant_type": {grant}})
		if exists := a.text("error") != string(grants.UnsupportedGrantType); exists != metadata.lists("grant_types_supported", grant) {
			t.Errorf("%s exists: %v, listed: %v", grant, exists, !exists)
		}
	}
	for _, listed := range metadata.json["grant_types_supported"].([]any) {
		if !slices.Contains(candidates, listed.(string)) {
			t.Errorf("nothing tries %s", listed)
		}
	}
}

// authMethod is a way to authenticate: it adds itself to a form or a request.
type authMethod struct {
	name  string // RFC 7591 §2
	apply func(url.Values) option
}

func authMethods(acme *party) []authMethod {
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	keyed := acme.newKeyed("ES256", nil)
	return []authMethod{
		{"client_secret_basic", func(url.Values) option { return acme.authenticated() }},
		{"client_secret_post", func(form url.Values) option {
			form.Set("client_id", acme.clientID)
			form.Set("client_secret", acme.secret)
			return anonymous
		}},
		{"client_secret_jwt", func(form url.Values) option {
			withAssertion(form, macAssertion(acme))
			return anonymous
		}},
		{"private_key_jwt", func(form url.Values) option {
			withAssertion(form, keyed.assertion(nil, nil))
			return anonymous
		}},
		{"none", func(form url.Values) option {
			form.Set("client_id", public)
			return anonymous
		}},
		{"bearer", func(url.Values) option { return header("Authorization", "Bearer "+acme.s.token) }},
	}
}

// macAssertion is client_secret_jwt (OpenID Connect Core §9).
func macAssertion(p *party) string {
	now := time.Now()
	claims := object{"iss": p.clientID, "sub": p.clientID, "aud": p.s.url, "jti": "j", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	input := encodePart(p.s.t, object{"alg": "HS256", "typ": "JWT"}) + "." + encodePart(p.s.t, claims)
	mac := hmac.New(sha256.New, []byte(p.secret))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// PRO-31: a method of client authentication is listed for an endpoint if and
// only if it works there. Introspection takes them all but none (RFC 7662 §2.1).
func TestEveryAuthenticationMethodIsListed(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	metadata := s.metadata()
	methods := authMethods(acme)
	for member, request := range map[string]struct {
		path string
		form func() url.Values
	}{
		"token_endpoint_auth_methods_supported":         {tokenEndpoint, func() url.Values { return exchangeForm(acme.idp.token(nil)) }},
		"introspection_endpoint_auth_methods_supported": {introspectEndpoint, func() url.Values { return url.Values{"token": {"x"}} }},
		"revocation_endpoint_auth_methods_supported":    {revokeEndpoint, func() url.Values { return url.Values{"token": {"x"}} }},
	} {
		t.Run(member, func(t *testing.T) {
			for _, method := range methods {
				form := request.form()
				a := s.post(request.path, method.apply(form), form)
				if works := a.status == http.StatusOK; works != metadata.lists(member, method.name) {
					t.Errorf("%s works: %v, listed: %v (%s)", method.name, works, !works, a.body)
				}
			}
			for _, listed := range metadata.json[member].([]any) {
				if !slices.ContainsFunc(methods, func(m authMethod) bool { return m.name == listed }) {
					t.Errorf("nothing tries %s", listed)
				}
			}
		})
	}
}

// PRO-31: an endpoint is listed if and only if it exists. The old dialect has no
// member in RFC 8414, nor has the place where a document itself is.
func TestEveryEndpointIsListed(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	metadata := s.metadata()
	listed := map[string]bool{}
	for name, value := range metadata.json {
		path, ours := strings.CutPrefix(metadata.text(name), s.url+"/")
		if value != s.url && (strings.HasSuffix(name, "_endpoint") || strings.HasSuffix(name, "_uri")) {
			if !ours {
				t.Errorf("%s is elsewhere: %v", name, value)
			}
			listed["/"+path] = true
		}
	}
	unlisted := []string{"/panel", "/panel/", "/auth/v1/token", "/auth/v1/token/", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}
	router, err := s.p.router()
	if err != nil {
		t.Fatal(err)
	}
	err = router.(*mux.Router).Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err == nil && !strings.HasPrefix(path, "/admin/v1") && !listed[path] && !slices.Contains(unlisted, path) {
			t.Errorf("%s exists and is not listed", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range listed {
		get, post := s.do("GET", path, ""), s.do("POST", path, "")
		if strings.HasPrefix(path, "/oauth2/") && (get.status != http.StatusMethodNotAllowed || post.status != http.StatusBadRequest) ||
			strings.HasPrefix(path, "/.well-known/") && (get.status != http.StatusOK || post.status != http.StatusMethodNotAllowed) {
			t.Errorf("%s: GET %d, POST %d", path, get.status, post.status)
		}
	}
}

// PRO-31: the algorithms that are listed are those of the published keys, after
// a change of algorithm too: what the old one signed must go on verifying.
func TestEveryAlgorithmIsListed(t *testing.T) {
	databaseURL := storagetest.Postgres(t)
	issuer := map[string]string{"issuer": "https://cambio.example"}
	old := startServer(t, databaseURL, issuer)
	s := startServer(t, databaseURL, map[string]string{"issuer": "https://cambio.example", "signing_alg": "RS256"})
	if err := old.p.ring.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, replica := range []*server{old, s} {
		var published jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(replica.do("GET", "/.well-known/jwks.json", "").body), &published); err != nil {
			t.Fatal(err)
		}
		metadata := replica.metadata()
		for _, member := range []string{"introspection_signing_alg_values_supported", "id_token_signing_alg_values_supported"} {
			for _, key := range published.Keys {
				if !metadata.lists(member, key.Algorithm) {
					t.Errorf("%s: %v, without %s of key %s", member, metadata.json[member], key.Algorithm, key.KeyID)
				}
			}
			if n := len(metadata.json[member].([]any)); n != 2 {
				t.Errorf("%s has %d", member, n)
			}
		}
	}
	for _, replica := range []*server{old, s} { // an answer of either verifies by the metadata and keys of both
		signed := replica.post(introspectEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {s.token}}, signedAnswer()).mustBe(t, http.StatusOK)
		for _, other := range []*server{old, s} {
			headers, _ := other.verified(signed.body)
			if !other.metadata().lists("introspection_signing_alg_values_supported", headers.Algorithm) {
				t.Errorf("an answer is signed with %s", headers.Algorithm)
			}
		}
	}
}

// RFC 8414 §3, RFC 6749 §5.1: documents may be kept for a while, anything else
// by nobody.
func TestCacheHeaders(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	const aWhile, never = "public, max-age=300", "no-store"
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/.well-known/oauth-authorization-server", aWhile},
		{"GET", "/.well-known/openid-configuration", aWhile},
		{"GET", "/.well-known/jwks.json", aWhile},
		{"HEAD", "/.well-known/jwks.json", aWhile},
		{"POST", "/.well-known/jwks.json", never},
		{"POST", tokenEndpoint, never},
		{"POST", introspectEndpoint, never},
		{"POST", revokeEndpoint, never},
		{"GET", tokenEndpoint, never},
	} {
		a := s.do(c.method, c.path, "")
		if got := a.header.Get("Cache-Control"); got != c.want || a.header.Get("Content-Type") != "application/json" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v, want %s", c.method, c.path, a.header, c.want)
		}
	}
}
