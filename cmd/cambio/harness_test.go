package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
)

const (
	testOperator       = "operator"
	testOperatorSecret = "an operator secret of more than 32 characters: +%/"
	testSecretKey      = "9IWxj+ymKZgJCUpBR8ci6USmiS7/eyo0Jb8Tp8p0Ae0="
	lockScope          = "lockHolder.identifier:NO.919424508.east"
	otherLockScope     = "lockHolder.identifier:NO.425234653.north"
	apiAudience        = "https://locks.example"
)

// server is a whole Cambio, started by the production wiring, seen over HTTP.
type server struct {
	t     testing.TB
	p     *program
	url   string
	log   *logBuffer
	token string // the operator's

	document *apiDocument // of the admin API
}

// logBuffer keeps the log, in which no secret may ever stand.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startServer starts a server; settings override the defaults of the tests.
func startServer(t testing.TB, databaseURL string, overrides map[string]string) *server {
	t.Helper()
	return startServerAt(t, time.Now, databaseURL, overrides)
}

// startServerAt starts a server by another clock than the machine's.
func startServerAt(t testing.TB, now func() time.Time, databaseURL string, overrides map[string]string) *server {
	t.Helper()
	operator := map[string]string{"operator_client_id": testOperator, "operator_client_secret": testOperatorSecret}
	maps.Copy(operator, overrides)
	s := startWithoutOperator(t, now, databaseURL, operator)
	answer := s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}})
	answer.mustBe(t, http.StatusOK)
	s.token = answer.text("access_token")
	s.readDocument()
	return s
}

// startWithoutOperator starts a server that nobody can do anything with yet.
func startWithoutOperator(t testing.TB, now func() time.Time, databaseURL string, overrides map[string]string) *server {
	t.Helper()
	flags := map[string]string{
		"listen": "127.0.0.1:0", "ops_listen": "127.0.0.1:0", "database_url": databaseURL, "secret_key": testSecretKey,
		"key_url_allow": "127.0.0.0/8", "shutdown_delay": "0s",
	}
	for key, value := range overrides {
		flags[key] = value
	}
	values, err := load("", flags, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newConfig(values)
	if err != nil {
		t.Fatal(err)
	}
	c.now = now
	log := &logBuffer{}
	p, err := start(t.Context(), c, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, p: p, url: "http://" + p.public.Addr().String(), log: log}
	t.Cleanup(func() {
		if s.p != nil { // not stopped before
			_ = s.p.shutdown()
		}
	})
	return s
}

const (
	tokenEndpoint      = "/oauth2/token"
	introspectEndpoint = "/oauth2/introspect"
	revokeEndpoint     = "/oauth2/revoke"
	dialectEndpoint    = "/auth/v1/token"
)

// answer is one HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (a answer) text(member string) string {
	text, _ := a.json[member].(string)
	return text
}

func (a answer) mustBe(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// mustRefuse asserts an OAuth error, its reason, and what every error has.
func (a answer) mustRefuse(t testing.TB, status int, code grants.Code, reason grants.Reason) {
	t.Helper()
	if a.status != status || a.text("error") != string(code) || a.text("reason") != string(reason) {
		t.Fatalf("got %d %s, want %d %s reason %q", a.status, a.body, status, code, reason)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers of an error: %v", a.header)
	}
	if a.json["access_token"] != nil {
		t.Fatal("an error carries a token")
	}
	if (status == http.StatusServiceUnavailable) != (a.header.Get("Retry-After") != "") {
		t.Errorf("Retry-After %q with status %d", a.header.Get("Retry-After"), status)
	}
	if (status == http.StatusUnauthorized) != (a.header.Get("WWW-Authenticate") != "") {
		t.Errorf("WWW-Authenticate %q with status %d", a.header.Get("WWW-Authenticate"), status)
	}
}

type option func(*http.Request)

func basic(id, secret string) option {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func anonymous(*http.Request) {}

// do sends one request.
func (s *server) do(method, path, body string, options ...option) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, option := range options {
		option(r)
	}
	response, err := http.DefaultTransport.RoundTrip(r) // no redirect is followed
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(data)}
	_ = json.Unmarshal(data, &a.json)
	if s.document != nil && strings.HasPrefix(r.URL.Path, "/admin/v1/") {
		s.document.checkAnswer(s.t, r, response, data)
	}
	return a
}

// post sends a form.
func (s *server) post(path string, who option, form url.Values, options ...option) answer {
	s.t.Helper()
	return s.do(http.MethodPost, path, form.Encode(), append(options, who, header("Content-Type", "application/x-www-form-urlencoded"))...)
}

// admin calls the admin API as the operator.
func (s *server) admin(method, path string, body any) answer {
	s.t.Helper()
	return s.adminAs(s.token, method, path, body)
}

func (s *server) adminAs(token, method, path string, body any) answer {
	s.t.Helper()
	text := ""
	options := []option{header("Authorization", "Bearer "+token)}
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(data)
		options = append(options, header("Content-Type", "application/json"))
	}
	return s.do(method, "/admin/v1"+path, text, options...)
}

type object = map[string]any

// party is an integrator with its identity provider and one client.
type party struct {
	s                *server
	id               string
	idp              *testIDP
	clientID, secret string
	keyURL           string // its id
}

// newParty registers an integrator that manages the lock holder of lockScope.
func (s *server) newParty(name string) *party {
	s.t.Helper()
	p := &party{s: s, idp: newTestIDP(s.t, s.p.config.issuer)}
	p.id = s.admin("POST", "/integrators", object{"name": name}).mustBe(s.t, http.StatusCreated).text("id")
	p.keyURL = s.admin("POST", "/integrators/"+p.id+"/key-urls", object{"issuer": p.idp.issuer, "url": p.idp.url("/jwks.json")}).
		mustBe(s.t, http.StatusCreated).text("id")
	p.clientID, p.secret = p.newClient(object{"client_name": "backend"})
	return p
}

func (p *party) newClient(members object) (id, secret string) {
	p.s.t.Helper()
	client := p.s.admin("POST", "/integrators/"+p.id+"/clients", members).mustBe(p.s.t, http.StatusCreated)
	return client.text("client_id"), client.text("client_secret")
}

// manage gives the integrator a lock holder, which is made when it is new.
func (p *party) manage(organization, suffix string) string {
	p.s.t.Helper()
	holder := p.s.admin("POST", "/lock-holders", object{
		"name": "Lock holder " + suffix, "country_iso": "NO", "organization_id": organization, "organization_id_suffix": suffix,
	}).mustBe(p.s.t, http.StatusCreated).text("id")
	p.s.admin("PUT", "/integrators/"+p.id+"/lock-holders/"+holder, nil).mustBe(p.s.t, http.StatusNoContent)
	return holder
}

func (p *party) authenticated() option { return basic(p.clientID, p.secret) }

// exchange sends a subject token as the party's client.
func (p *party) exchange(subjectToken string, members ...string) answer {
	p.s.t.Helper()
	return p.s.post(tokenEndpoint, p.authenticated(), exchangeForm(subjectToken, members...))
}

// exchangeForm makes a form; members are names and values in turn.
func exchangeForm(subjectToken string, members ...string) url.Values {
	form := url.Values{"grant_type": {grants.TokenExchange}, "subject_token": {subjectToken}, "subject_token_type": {grants.TokenTypeJWT}}
	for i := 0; i+1 < len(members); i += 2 {
		form.Add(members[i], members[i+1])
	}
	return form
}

// flush stores what the server has counted, which it does every 5 seconds.
func (s *server) flush() {
	s.t.Helper()
	if err := s.p.tally.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// introspect asks as the operator, to whom every token is known.
func (s *server) introspect(token string) answer {
	s.t.Helper()
	return s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), url.Values{"token": {token}})
}

func (s *server) mustBeActive(token string, active bool) {
	s.t.Helper()
	a := s.introspect(token).mustBe(s.t, http.StatusOK)
	if a.json["active"] != active {
		s.t.Fatalf("active is %v, want %v: %s", a.json["active"], active, a.body)
	}
	if !active && a.body != `{"active":false}` {
		s.t.Fatalf("an inactive token says more than that: %s", a.body)
	}
}

func everything() registry.ExchangeFilter { return registry.ExchangeFilter{} }

func page(limit int) registry.Page { return registry.Page{Limit: limit} }

func farFuture() time.Time { return time.Now().Add(24 * time.Hour) }
