package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// interface.md §6, PRO-27: who may read an answer in a browser.
func TestCORS(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	const mine, evil = "https://app.example", "https://evil.example"
	app, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none", "allowed_origins": []string{mine, "http://localhost:5173", "http://[::1]:8080"}})
	closed, _ := acme.newClient(object{"client_name": "closed", "token_endpoint_auth_method": "none"})
	disabled, _ := acme.newClient(object{"client_name": "disabled", "token_endpoint_auth_method": "none", "allowed_origins": []string{mine}, "status": "disabled"})
	backend, secret := acme.newClient(object{"client_name": "backend", "allowed_origins": []string{mine}})
	exchange := func(path string, who option, members ...string) func(option) answer {
		return func(origin option) answer {
			return s.post(path, who, exchangeForm(guideToken(acme), members...), origin)
		}
	}
	of := func(client string, members ...string) func(option) answer {
		return exchange(tokenEndpoint, anonymous, append(members, "client_id", client)...)
	}
	revoke := func(who option, members url.Values) func(option) answer {
		return func(origin option) answer { return s.post(revokeEndpoint, who, members, origin) }
	}
	get := func(path string, options ...option) func(option) answer {
		return func(origin option) answer { return s.do("GET", path, "", append(options, origin)...) }
	}
	cases := []struct {
		rule   string
		do     func(origin option) answer
		origin string
		status int
		want   string
	}{
		{"clientless, any origin", exchange(tokenEndpoint, anonymous), evil, 200, "*"},
		{"clientless, no origin to speak of", exchange(tokenEndpoint, anonymous), "null", 200, "*"},
		{"clientless, refused", exchange(tokenEndpoint, anonymous, "scope", "x"), evil, 400, "*"},
		{"clientless at the dialect", exchange(dialectEndpoint, anonymous), evil, 200, "*"},
		{"clientless at the dialect, with a slash", exchange(dialectEndpoint+"/", anonymous), evil, 200, "*"},
		{"a client, its origin", of(app), mine, 200, mine},
		{"a client, another of its origins", of(app), "http://localhost:5173", 200, "http://localhost:5173"},
		{"a client, an origin by address", of(app), "http://[::1]:8080", 200, "http://[::1]:8080"},
		{"a client, its origin, refused", of(app, "scope", "x"), mine, 400, mine},
		{"a client, another origin", of(app), evil, 200, ""},
		{"a client, no origin to speak of", of(app), "null", 200, ""},
		{"a client, its origin with a slash", of(app), mine + "/", 200, ""},
		{"a client, its origin in capitals", of(app), "https://APP.example", 200, ""},
		{"a client, its origin over http", of(app), "http://app.example", 200, ""},
		{"a client, its origin at another port", of(app), mine + ":8443", 200, ""},
		{"a client, an origin that begins like its own", of(app), mine + ".evil.example", 200, ""},
		{"a client, an origin below its own", of(app), "https://x.app.example", 200, ""},
		{"a client, two origins in one header", of(app), mine + " " + evil, 200, ""},
		{"a client at the dialect, its origin", exchange(dialectEndpoint, anonymous, "client_id", app), mine, 200, mine},
		{"a client at the dialect, another origin", exchange(dialectEndpoint, anonymous, "client_id", app), evil, 200, ""},
		{"a client without origins", of(closed), mine, 200, ""},
		{"a client with a secret, its origin", exchange(tokenEndpoint, basic(backend, secret)), mine, 200, mine},
		{"a client with a secret, another origin", exchange(tokenEndpoint, basic(backend, secret)), evil, 200, ""},
		{"a wrong secret, its origin, so that it can read why", exchange(tokenEndpoint, basic(backend, "x")), mine, 401, mine},
		{"a wrong secret, another origin", exchange(tokenEndpoint, basic(backend, "x")), evil, 401, ""},
		{"an unknown client", of("unknown"), mine, 401, ""},
		{"a disabled client, which is none", of(disabled), mine, 401, ""},
		{"two methods of authentication", exchange(tokenEndpoint, basic(backend, secret), "client_secret", secret), evil, 400, ""},
		{"a bearer token", exchange(tokenEndpoint, header("Authorization", "Bearer x")), evil, 401, ""},
		{"revocation by a client, its origin", revoke(anonymous, url.Values{"token": {"x"}, "client_id": {app}}), mine, 200, mine},
		{"revocation by a client, another origin", revoke(anonymous, url.Values{"token": {"x"}, "client_id": {app}}), evil, 200, ""},
		{"revocation by nobody, refused", revoke(anonymous, url.Values{"token": {"x"}}), evil, 401, "*"},
		{"introspection", func(o option) answer { return s.post(introspectEndpoint, anonymous, url.Values{"token": {"x"}}, o) }, mine, 401, ""},
		{"the admin API", get("/admin/v1/integrators"), mine, 401, ""},
		{"the admin API with a token", get("/admin/v1/integrators", header("Authorization", "Bearer "+s.token)), mine, 200, ""},
		{"the admin API's description", get("/admin/v1/openapi.yaml"), mine, 200, ""},
		{"JWKS", get("/.well-known/jwks.json"), evil, 200, "*"},
		{"metadata", get("/.well-known/oauth-authorization-server"), evil, 200, "*"},
		{"metadata at the other place", get("/.well-known/openid-configuration"), evil, 200, "*"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a := c.do(header("Origin", c.origin)).mustBe(t, c.status)
			a.mustAllow(t, c.want)
			if exposed := a.header.Get("Access-Control-Expose-Headers"); c.want != "" && a.status >= 400 && exposed != "Retry-After, WWW-Authenticate" {
				t.Errorf("Access-Control-Expose-Headers %q", exposed)
			}
			// Whatever depends on Origin must not be given to another (RFC 9110 §12.5.5).
			if a.header.Get("Vary") != "Origin" && c.want != "" && c.want != "*" {
				t.Errorf("Vary %q", a.header.Get("Vary"))
			}
		})
	}
	t.Run("no Origin, no header, and Vary all the same", func(t *testing.T) {
		a := exchange(tokenEndpoint, anonymous)(anonymous).mustBe(t, 200)
		a.mustAllow(t, "")
		if a.header.Get("Vary") != "Origin" {
			t.Errorf("Vary %q", a.header.Get("Vary"))
		}
	})
}

// mustAllow: this origin may read the answer, and never with credentials.
func (a answer) mustAllow(t *testing.T, origin string) {
	t.Helper()
	if got := a.header.Values("Access-Control-Allow-Origin"); strings.Join(got, "|") != origin || len(got) > 1 {
		t.Errorf("Access-Control-Allow-Origin %q, want %q", got, origin)
	}
	if got, ok := a.header["Access-Control-Allow-Credentials"]; ok {
		t.Errorf("Access-Control-Allow-Credentials %q", got)
	}
}

// interface.md §6: preflights are answered, for every origin: which client a
// request will name is not in them. PRO-27 would have none by default.
func TestPreflights(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for _, c := range []struct {
		path    string
		methods string // empty: none
	}{
		{tokenEndpoint, "POST"}, {revokeEndpoint, "POST"}, {dialectEndpoint, "POST"}, {dialectEndpoint + "/", "POST"},
		{"/.well-known/jwks.json", "GET, HEAD"}, {"/.well-known/oauth-authorization-server", "GET, HEAD"}, {"/.well-known/openid-configuration", "GET, HEAD"},
		{introspectEndpoint, ""}, {"/admin/v1/integrators", ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			a := s.do("OPTIONS", c.path, "", header("Origin", "https://any.example"), header("Access-Control-Request-Method", "POST"),
				header("Access-Control-Request-Headers", "authorization, content-type"))
			if c.methods == "" {
				if a.status < 400 {
					t.Errorf("status %d", a.status)
				}
				a.mustAllow(t, "")
				return
			}
			a.mustBe(t, http.StatusNoContent).mustAllow(t, "*")
			if a.header.Get("Access-Control-Allow-Methods") != c.methods || a.body != "" {
				t.Errorf("%v %s", a.header, a.body)
			}
			// "*" would not cover Authorization (Fetch, CORS-unsafe request headers).
			allowed := strings.Split(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), ", ")
			if !slices.Contains(allowed, "authorization") || !slices.Contains(allowed, "content-type") || a.header.Get("Access-Control-Max-Age") == "" {
				t.Errorf("%v", a.header)
			}
		})
	}
}

// interface.md §6: a page that is told to try later can read when.
func TestRetryAfterCanBeReadInABrowser(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	acme.idp.broken.Store(true)
	a := s.post(tokenEndpoint, anonymous, exchangeForm(guideToken(acme)), header("Origin", "https://any.example"))
	a.mustRefuse(t, 503, grants.TemporarilyUnavailable, "")
	a.mustAllow(t, "*")
	if !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Retry-After") {
		t.Errorf("%v", a.header)
	}
}

// What the gate refuses before anybody looks at credentials can be read
// anywhere: it says nothing but what the page itself did.
func TestCORSOfWhatIsRefusedAtTheGate(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	origin := header("Origin", "https://any.example")
	for rule, do := range map[string]func() answer{
		"a content type": func() answer {
			return s.do("POST", tokenEndpoint, "{}", origin, header("Content-Type", "application/json"))
		},
		"an unknown grant": func() answer {
			return s.post(tokenEndpoint, acme.authenticated(), url.Values{"grant_type": {"password"}}, origin)
		},
		"a large body": func() answer {
			return s.post(dialectEndpoint, acme.authenticated(), url.Values{"x": {strings.Repeat("x", grants.MaxBodyBytes)}}, origin)
		},
		"no token": func() answer { return s.post(revokeEndpoint, acme.authenticated(), nil, origin) },
	} {
		t.Run(rule, func(t *testing.T) {
			a := do()
			a.mustAllow(t, "*")
			if a.text("error") == "" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	t.Run("another method", func(t *testing.T) { s.do("GET", tokenEndpoint, "", origin).mustBe(t, 405).mustAllow(t, "") })
	t.Run("a panic", func(t *testing.T) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", tokenEndpoint, strings.NewReader(exchangeForm("x").Encode()))
		r.Header.Set("Content-Type", formType)
		r.Header.Set("Origin", "https://any.example")
		noDoors(func(*handlers.Config) {}).ServeHTTP(w, r) // there is no Exchange to call
		answer{status: w.Code, header: w.Header()}.mustBe(t, 500).mustAllow(t, "")
	})
}
