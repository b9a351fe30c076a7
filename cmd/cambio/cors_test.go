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

// corsWorld is clients that pages of some origins may use.
type corsWorld struct {
	s               *server
	acme            *party
	app, closed     string // public: of three origins, of none
	disabled        string
	backend, secret string
}

const (
	ownOrigin  = "https://app.example"
	evilOrigin = "https://evil.example"
)

func newCORSWorld(t *testing.T) *corsWorld {
	s := startServer(t, storagetest.SQLite(t), nil)
	w := &corsWorld{s: s, acme: openClientless(t, s, "/jwks.json")}
	w.app, _ = w.acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none", "allowed_origins": []string{ownOrigin, "http://localhost:5173", "http://[::1]:8080"}})
	w.closed, _ = w.acme.newClient(object{"client_name": "closed", "token_endpoint_auth_method": "none"})
	w.disabled, _ = w.acme.newClient(object{"client_name": "disabled", "token_endpoint_auth_method": "none", "allowed_origins": []string{ownOrigin}, "status": "disabled"})
	w.backend, w.secret = w.acme.newClient(object{"client_name": "backend", "allowed_origins": []string{ownOrigin}})
	return w
}

// asked is a request of a page: its origin is still to be said.
type asked func(origin option) answer

func (w *corsWorld) exchange(path string, who option, members ...string) asked {
	return func(origin option) answer {
		return w.s.post(path, who, exchangeForm(guideToken(w.acme), members...), origin)
	}
}

// of exchanges as a public client.
func (w *corsWorld) of(client string, members ...string) asked {
	return w.exchange(tokenEndpoint, anonymous, append(members, "client_id", client)...)
}

func (w *corsWorld) post(path string, form url.Values) asked {
	return func(origin option) answer { return w.s.post(path, anonymous, form, origin) }
}

func (w *corsWorld) get(path string, options ...option) asked {
	return func(origin option) answer { return w.s.do("GET", path, "", append(options, origin)...) }
}

// corsCase is a page of an origin that asks, and who is told that it may read
// the answer.
type corsCase struct {
	rule   string
	do     asked
	origin string
	status int
	want   string
}

func checkCORS(t *testing.T, cases []corsCase) {
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a := c.do(header("Origin", c.origin)).mustBe(t, c.status)
			a.mustAllow(t, c.want)
			if exposed := a.header.Get("Access-Control-Expose-Headers"); c.want != "" && a.status >= 400 && exposed != "Retry-After, WWW-Authenticate, X-Request-Id" {
				t.Errorf("Access-Control-Expose-Headers %q", exposed)
			}
			// Whatever depends on Origin must not be given to another (RFC 9110 §12.5.5).
			if a.header.Get("Vary") != "Origin" && c.want != "" && c.want != "*" {
				t.Errorf("Vary %q", a.header.Get("Vary"))
			}
		})
	}
}

// interface.md §6, PRO-27: with a client, the origins it lists, as a browser
// sends them.
func TestCORSOfAClient(t *testing.T) {
	w := newCORSWorld(t)
	checkCORS(t, []corsCase{
		{"a client, its origin", w.of(w.app), ownOrigin, 200, ownOrigin},
		{"a client, another of its origins", w.of(w.app), "http://localhost:5173", 200, "http://localhost:5173"},
		{"a client, an origin by address", w.of(w.app), "http://[::1]:8080", 200, "http://[::1]:8080"},
		{"a client, its origin, refused", w.of(w.app, "scope", "x"), ownOrigin, 400, ownOrigin},
		{"a client, another origin", w.of(w.app), evilOrigin, 200, ""},
		{"a client, no origin to speak of", w.of(w.app), "null", 200, ""},
		{"a client, its origin with a slash", w.of(w.app), ownOrigin + "/", 200, ""},
		{"a client, its origin in capitals", w.of(w.app), "https://APP.example", 200, ""},
		{"a client, its origin over http", w.of(w.app), "http://app.example", 200, ""},
		{"a client, its origin at another port", w.of(w.app), ownOrigin + ":8443", 200, ""},
		{"a client, an origin that begins like its own", w.of(w.app), ownOrigin + ".evil.example", 200, ""},
		{"a client, an origin below its own", w.of(w.app), "https://x.app.example", 200, ""},
		{"a client, two origins in one header", w.of(w.app), ownOrigin + " " + evilOrigin, 200, ""},
		{"a client at the dialect, its origin", w.exchange(dialectEndpoint, anonymous, "client_id", w.app), ownOrigin, 200, ownOrigin},
		{"a client at the dialect, another origin", w.exchange(dialectEndpoint, anonymous, "client_id", w.app), evilOrigin, 200, ""},
		{"a client without origins", w.of(w.closed), ownOrigin, 200, ""},
		{"a client with a w.secret, its origin", w.exchange(tokenEndpoint, basic(w.backend, w.secret)), ownOrigin, 200, ownOrigin},
		{"a client with a w.secret, another origin", w.exchange(tokenEndpoint, basic(w.backend, w.secret)), evilOrigin, 200, ""},
		{"a wrong w.secret, its origin, so that it can read why", w.exchange(tokenEndpoint, basic(w.backend, "x")), ownOrigin, 401, ownOrigin},
		{"a wrong w.secret, another origin", w.exchange(tokenEndpoint, basic(w.backend, "x")), evilOrigin, 401, ""},
		{"an unknown client", w.of("unknown"), ownOrigin, 401, ""},
		{"a disabled client, which is none", w.of(w.disabled), ownOrigin, 401, ""},
		{"two methods of authentication", w.exchange(tokenEndpoint, basic(w.backend, w.secret), "client_secret", w.secret), evilOrigin, 400, ""},
		{"a bearer token", w.exchange(tokenEndpoint, header("Authorization", "Bearer x")), evilOrigin, 401, ""},
	})
}

// interface.md §6: without a client, every origin, where browsers may come at
// all.
func TestCORS(t *testing.T) {
	w := newCORSWorld(t)
	checkCORS(t, []corsCase{
		{"clientless, any origin", w.exchange(tokenEndpoint, anonymous), evilOrigin, 200, "*"},
		{"clientless, no origin to speak of", w.exchange(tokenEndpoint, anonymous), "null", 200, "*"},
		{"clientless, refused", w.exchange(tokenEndpoint, anonymous, "scope", "x"), evilOrigin, 400, "*"},
		{"clientless at the dialect", w.exchange(dialectEndpoint, anonymous), evilOrigin, 200, "*"},
		{"clientless at the dialect, with a slash", w.exchange(dialectEndpoint+"/", anonymous), evilOrigin, 200, "*"},
		{"revocation by a client, its origin", w.post(revokeEndpoint, url.Values{"token": {"x"}, "client_id": {w.app}}), ownOrigin, 200, ownOrigin},
		{"revocation by a client, another origin", w.post(revokeEndpoint, url.Values{"token": {"x"}, "client_id": {w.app}}), evilOrigin, 200, ""},
		{"revocation by nobody, refused", w.post(revokeEndpoint, url.Values{"token": {"x"}}), evilOrigin, 401, "*"},
		{"introspection", w.post(introspectEndpoint, url.Values{"token": {"x"}}), ownOrigin, 401, ""},
		{"the admin API", w.get("/admin/v1/integrators"), ownOrigin, 401, ""},
		{"the admin API with a token", w.get("/admin/v1/integrators", header("Authorization", "Bearer "+w.s.token)), ownOrigin, 200, ""},
		{"the admin API's description", w.get("/admin/v1/openapi.yaml"), ownOrigin, 200, ""},
		{"JWKS", w.get("/.well-known/jwks.json"), evilOrigin, 200, "*"},
		{"metadata", w.get("/.well-known/oauth-authorization-server"), evilOrigin, 200, "*"},
		{"metadata at the other place", w.get("/.well-known/openid-configuration"), evilOrigin, 200, "*"},
	})
	t.Run("no Origin, no header, and Vary all the same", func(t *testing.T) {
		a := w.exchange(tokenEndpoint, anonymous)(anonymous).mustBe(t, 200)
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
	s := startServer(t, storagetest.SQLite(t), map[string]string{"exchange_log": "async"})
	acme := openClientless(t, s, "/jwks.json")
	token := guideToken(acme)
	ask := func() answer {
		return s.post(tokenEndpoint, anonymous, exchangeForm(token), header("Origin", "https://any.example"))
	}
	mustSayWhen := func(t *testing.T, a answer) {
		a.mustAllow(t, "*")
		if !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Retry-After") || a.header.Get("Retry-After") == "" {
			t.Errorf("%v", a.header)
		}
	}
	t.Run("429", func(t *testing.T) {
		a := ask()
		for range 5000 { // more of one subject than a second and a pause allow
			if a = ask(); a.status != http.StatusOK {
				break
			}
		}
		mustSayWhen(t, a.mustBe(t, http.StatusTooManyRequests))
		a.mustBeSafe(t)
	})
	t.Run("503", func(t *testing.T) {
		if err := s.p.store.Close(); err != nil {
			t.Fatal(err)
		}
		a := s.post(tokenEndpoint, anonymous, exchangeForm(acme.idp.token(object{"iss": "https://unknown.example"})), header("Origin", "https://any.example"))
		mustSayWhen(t, a.mustBe(t, http.StatusServiceUnavailable))
	})
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
