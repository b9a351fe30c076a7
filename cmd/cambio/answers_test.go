package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/grants/tokenexchange"
	"github.com/cambio-oauth/cambio/handlers"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// mustBeSafe asserts what every answer of the OAuth endpoints has (PRO-26, RFC
// 6749 §5.1), and what it never has (PRO-28, PRO-29).
func (a answer) mustBeSafe(t *testing.T) {
	t.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff", "Server": "", "X-Powered-By": ""} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := a.header.Get("Content-Type"); a.body != "" && got != "application/json" {
		t.Errorf("Content-Type: %q", got)
	}
	if a.status < 400 {
		return
	}
	for name := range a.json {
		if !slices.Contains([]string{"error", "error_description", "reason"}, name) {
			t.Errorf("a refusal has a member %s", name)
		}
	}
	for _, inner := range []string{"goroutine", ".go:", "fosite", "gorm", "sql", "database is closed", "panic", "error_hint", "debug", "status code"} {
		if strings.Contains(strings.ToLower(a.body), inner) {
			t.Errorf("a refusal tells of %s: %s", inner, a.body)
		}
	}
	if a.status >= 500 && strings.Contains(a.body, "127.0.0.1") { // peers.md §5.3: what a fetch found is for its owner
		t.Errorf("a fault of ours tells where it happened: %s", a.body)
	}
	// RFC 6749 §5.2.
	if code := a.text("error"); !regexp.MustCompile(`^[a-z_]+$`).MatchString(code) {
		t.Errorf("error %q", code)
	}
	description := a.text("error_description")
	if !regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]*$`).MatchString(description) {
		t.Errorf("error_description %q holds a character that RFC 6749 section 5.2 does not allow", description)
	}
	challenge := a.header.Get("WWW-Authenticate")
	if want := `Basic realm="cambio", error="` + a.text("error") + `", error_description="` + description + `"`; a.status == 401 && challenge != want {
		t.Errorf("WWW-Authenticate %s, want %s", challenge, want)
	}
}

// PRO-26, PRO-29: the headers of all answers, good and bad, of every endpoint.
func TestHeadersOfEveryAnswer(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, cold := s.newParty("Acme"), s.newParty("Cold")
	acme.manage("919424508", "east")
	cold.idp.broken.Store(true)
	operator := basic(testOperator, testOperatorSecret)
	large := url.Values{"x": {strings.Repeat("a", grants.MaxBodyBytes)}}
	for _, path := range []string{tokenEndpoint, introspectEndpoint, revokeEndpoint, dialectEndpoint, dialectEndpoint + "/"} {
		token := path != introspectEndpoint && path != revokeEndpoint
		good := url.Values{"token": {"x"}}
		if token {
			good = exchangeForm(acme.idp.token(nil))
		}
		who := acme.authenticated()
		for rule, c := range map[string]struct {
			status int
			do     func() answer
		}{
			"what is good":   {200, func() answer { return s.post(path, who, good) }},
			"nothing":        {400, func() answer { return s.post(path, who, nil) }},
			"a wrong secret": {401, func() answer { return s.post(path, basic(acme.clientID, "x"), good) }},
			"an unknown client": {401, func() answer {
				return s.post(path, anonymous, url.Values{"client_id": {"x"}, "token": {"x"}, "grant_type": {grants.ClientCredentials}})
			}},
			"another method": {405, func() answer { return s.do("GET", path, "", who) }},
			"a large body":   {413, func() answer { return s.post(path, who, large) }},
			"HTML, please":   {401, func() answer { return s.post(path, basic("x", "y"), good, header("Accept", "text/html")) }},
		} {
			t.Run(rule+" at "+path, func(t *testing.T) { c.do().mustBe(t, c.status).mustBeSafe(t) })
		}
		if token {
			t.Run("keys that are not there at "+path, func(t *testing.T) {
				a := s.post(path, cold.authenticated(), exchangeForm(cold.idp.token(nil))).mustBe(t, 503)
				if a.mustBeSafe(t); a.header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			})
		}
	}
	if err := s.p.store.Close(); err != nil {
		t.Fatal(err)
	}
	for path, form := range map[string]url.Values{tokenEndpoint: {"grant_type": {grants.ClientCredentials}}, introspectEndpoint: {"token": {s.token}},
		revokeEndpoint: {"token": {s.token}}, dialectEndpoint: {"grant": {grants.ClientCredentials}}} {
		t.Run("no database at "+path, func(t *testing.T) { s.post(path, operator, form).mustBe(t, 503).mustBeSafe(t) })
	}
}

// hostile texts: markup, quotes, controls, line breaks, other scripts, what is
// invisible, and what terminals and logs act upon.
func hostileTexts() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `\"}, {"error":"none"`, "a\tb\x01\x7f", "x\r\nSet-Cookie: a=b",
		"ключ\u202eévil\u2028\u0000", "\x1b[2J\x1b]0;owned\a", "😀\ufeff\u200b", `', "; DROP TABLE clients; --`, "%0d%0a%22%5c{{7*7}}${7*7}", strings.Repeat(`"\`, 2000),
	}
}

// hostilePlaces are the places of a request whose text an answer could repeat.
func hostilePlaces(acme *party) map[string]func(text string) url.Values {
	signed := func(header, claims object) url.Values {
		whole := object{"alg": "RS256", "typ": "JWT", "kid": acme.idp.kid}
		for name, value := range header {
			whole[name] = value
		}
		return exchangeForm(acme.idp.sign(whole, acme.idp.claims(claims)))
	}
	claim := func(name string) func(string) url.Values {
		return func(x string) url.Values { return signed(nil, object{name: x}) } // refused for its jti, at the latest
	}
	field := func(name string) func(string) url.Values {
		return func(x string) url.Values { return signed(object{name: x}, object{"jti": "h"}) }
	}
	parameter := func(name string) func(string) url.Values {
		return func(x string) url.Values {
			form := exchangeForm("x")
			form.Set(name, x)
			return form
		}
	}
	asserted := func(header, claims object) url.Values {
		form := signed(header, claims)
		return withAssertion(exchangeForm("x"), form.Get("subject_token"))
	}
	places := map[string]func(text string) url.Values{
		"jti, the second time": func(x string) url.Values {
			form := signed(nil, object{"jti": x})
			acme.s.post(tokenEndpoint, acme.authenticated(), form)
			return form
		},
		"a permission":           func(x string) url.Values { return signed(nil, object{"jti": x + "q", "permissions": []string{x}}) },
		"permissions":            func(x string) url.Values { return signed(nil, object{"jti": "p", "permissions": x}) },
		"crit":                   func(x string) url.Values { return signed(object{"crit": []string{x}}, nil) },
		"the name of a claim":    func(x string) url.Values { return signed(nil, object{x + "\u0456ss": 1, "\u0456ss": 1}) },
		"the name of a header":   func(x string) url.Values { return signed(object{x: 1}, object{"aud": "x"}) },
		"a part of the token":    func(x string) url.Values { return exchangeForm("e30." + x + ".e30") },
		"a parameter's name":     func(x string) url.Values { return exchangeForm("x", x, "1", x, "2") },
		"iss of an assertion":    func(x string) url.Values { return asserted(nil, object{"iss": x, "sub": x}) },
		"aud of an assertion":    func(x string) url.Values { return asserted(nil, object{"aud": x}) },
		"header of an assertion": func(x string) url.Values { return asserted(object{"alg": x, "typ": x, "kid": x}, nil) },
	}
	for _, name := range []string{"iss", "aud", "sub", "exp"} {
		places[name] = claim(name)
	}
	for _, name := range []string{"kid", "alg", "typ"} {
		places[name] = field(name)
	}
	for _, name := range []string{"subject_token", "subject_token_type", "requested_token_type", "actor_token", "scope", "audience", "resource", "grant_type",
		"client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		places[name] = parameter(name)
	}
	return places
}

// PRO-28: a stranger is told nothing of what it said, in JSON whatever it likes
// to read.
func TestNothingIsEchoed(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	for place, form := range hostilePlaces(acme) {
		t.Run(place, func(t *testing.T) {
			for _, text := range []string{"<script>alert(1)</script>", "alert"} {
				a := s.post(tokenEndpoint, anonymous, form(text), header("Accept", "text/html"))
				if a.status != 400 && a.status != 401 || strings.Contains(a.body, "alert") || strings.Contains(a.header.Get("WWW-Authenticate"), "alert") {
					t.Errorf("%q: %d %s %v", text, a.status, a.body, a.header)
				}
				a.mustBeSafe(t)
			}
		})
	}
}

// PRO-28: the contract has an answer say what was found, to a client that
// authenticated (a difference from PRO-28). What was found is a stranger's, so
// it is said in the characters of RFC 6749 §5.2, and briefly.
func TestHostileTextInEveryEchoedPlace(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, 200)
	for place, form := range hostilePlaces(acme) {
		t.Run(place, func(t *testing.T) {
			for _, text := range hostileTexts() {
				a := s.post(tokenEndpoint, acme.authenticated(), form(text), header("Accept", "text/html"))
				if a.status != 400 && a.status != 401 {
					t.Fatalf("%q: %d %s", text, a.status, a.body)
				}
				a.mustBeSafe(t)
				if strings.ContainsAny(a.body, "<>") || a.header.Get("Set-Cookie") != "" || len(a.body) > 1200 {
					t.Errorf("%q: %s %v", text, a.body, a.header)
				}
			}
		})
	}
}

// noDoors are doors with nothing behind them but what a test puts there.
func noDoors(change func(*handlers.Config)) http.Handler {
	config := handlers.Config{
		Issuer: "https://cambio.example", Now: time.Now, Log: slog.New(slog.DiscardHandler), Observe: func(context.Context, handlers.Event) {},
		Record: func(context.Context, handlers.Attempt) error { return nil }, JWKS: func() []byte { return nil }, Algorithms: func() []string { return nil },
	}
	change(&config)
	router := mux.NewRouter()
	handlers.New(config).Mount(router)
	return router
}

// PRO-26, PRO-29, fosite.md §1.2: a fault of ours, and a panic, are a
// server_error and say no more; fosite says {"error":"error"} and its cause.
func TestFaultsSayNothing(t *testing.T) {
	for rule, fault := range map[string]func() error{
		"an error": func() error { return errors.New(`pq: syntax error at "SELECT secret"`) },
		"a panic":  func() error { panic(`pq: syntax error at "SELECT secret"`) },
	} {
		for _, path := range []string{tokenEndpoint, dialectEndpoint} {
			t.Run(rule+" at "+path, func(t *testing.T) {
				log := &logBuffer{}
				doors := noDoors(func(c *handlers.Config) {
					c.Log = slog.New(slog.NewJSONHandler(log, nil))
					c.Exchange = func(context.Context, tokenexchange.Request) (*tokenexchange.Decision, error) {
						return &tokenexchange.Decision{}, fault()
					}
				})
				w := httptest.NewRecorder()
				r := httptest.NewRequest("POST", path, strings.NewReader(exchangeForm("x").Encode()))
				r.Header.Set("Content-Type", formType)
				doors.ServeHTTP(w, r)
				a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
				_ = json.Unmarshal(w.Body.Bytes(), &a.json)
				a.mustBe(t, 500).mustBeSafe(t)
				if a.text("error") != "server_error" || strings.Contains(a.body, "pq") {
					t.Errorf("%s", a.body)
				}
				// The log has the error, and of a panic its type alone.
				if panicked := rule == "a panic"; strings.Contains(log.String(), "SELECT secret") == panicked || strings.Contains(log.String(), `"msg":"panic"`) != panicked {
					t.Errorf("log: %s", log)
				}
			})
		}
	}
}
