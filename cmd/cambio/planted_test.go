package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// planter makes secrets that are found again, each another one.
type planter struct{ all []string }

func (p *planter) text() string {
	p.all = append(p.all, fmt.Sprintf("planted%03dSecret", len(p.all)))
	return p.all[len(p.all)-1]
}

// jwt is the form of a token, with a secret in each part.
func (p *planter) jwt() string {
	return b64([]byte(`{"alg":"RS256","x":"`+p.text()+`"}`)) + "." + b64([]byte(`{"sub":"`+p.text()+`"}`)) + "." + p.text()
}

// keep remembers a real token: its signature makes the rest worth something.
func (p *planter) keep(token string) string {
	p.all = append(p.all, token[strings.LastIndexByte(token, '.')+1:])
	return token
}

// plantAtTheDoors sends secrets wherever a careless client could put one: at
// every OAuth endpoint, in every place of a request.
func plantAtTheDoors(s *server, acme *party, p *planter) {
	for _, path := range []string{tokenEndpoint, dialectEndpoint, introspectEndpoint, revokeEndpoint, "/.well-known/jwks.json", "/.well-known/openid-configuration", "/" + p.text()} {
		s.post(path, basic(acme.clientID, p.text()), url.Values{"token": {p.text()}, "grant_type": {p.text()}})
		s.post(path, basic(p.text(), p.text()), url.Values{"client_secret": {p.text()}, "password": {p.text()}})
		s.post(path, header("Authorization", "Bearer "+p.jwt()), url.Values{"token": {p.jwt()}})
		s.post(path, header("Authorization", p.text()), url.Values{"x" + p.text(): {"y"}})
		s.post(path, anonymous, url.Values{"client_id": {acme.clientID}, "client_secret": {p.text()}, "grant_type": {grants.ClientCredentials}, "token": {p.keep(s.token)}})
		s.post(path+"?client_secret="+p.text()+"&token="+p.jwt(), acme.authenticated(), url.Values{})
		s.post(path, acme.authenticated(), url.Values{"token": {p.jwt()}, "token_type_hint": {p.text()}})
		s.post(path, anonymous, withAssertion(url.Values{"grant_type": {grants.ClientCredentials}, "token": {"x"}}, p.jwt()))
		s.post(path, acme.authenticated(), exchangeForm(p.jwt(), "actor_token", p.jwt(), "scope", p.text(), "audience", p.text(), "resource", "https://x/"+p.text()))
		s.do("POST", path, `{"grant_type":"token_exchange","subjectToken":"`+p.jwt()+`","client_secret":"`+p.text()+`"`, header("Content-Type", "application/json"))
		s.do("POST", path, p.text()+"%zz", header("Content-Type", formType), header("Cookie", "session="+p.text()), header("User-Agent", p.text()))
		s.do("GET", path, "", header("Authorization", "Bearer "+p.jwt()), header("Origin", "https://"+p.text()), header("X-Request-Id", p.text()))
	}
	for _, claims := range []object{nil, {"aud": "https://" + p.text()}, {"iss": "https://" + p.text() + ".example"}, {"exp": 1}, {"permissions": p.text()}, {"sub": p.text()}} {
		acme.exchange(p.keep(acme.idp.token(claims)))
	}
	issued := acme.exchange(acme.idp.token(nil)).text("access_token")
	if issued != "" {
		s.introspect(p.keep(issued))
		s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {issued}})
	}
}

// plantAtTheAdminAPI does so at operations that take secrets, and those that
// take anything.
func plantAtTheAdminAPI(s *server, acme *party, p *planter) {
	at := "/integrators/" + acme.id
	s.adminAs(p.jwt(), "GET", "/integrators", nil)
	s.do("GET", "/admin/v1/integrators?access_token="+p.jwt(), "", header("Authorization", "Basic "+p.text()))
	s.admin("GET", "/integrators?cursor="+p.text(), nil)
	s.admin("GET", at+"/clients/"+p.text(), nil)
	s.admin("POST", at+"/clients", object{"client_name": "x", "client_secret": p.text()})
	s.admin("POST", at+"/clients", object{"client_name": "x", "token_endpoint_auth_method": "private_key_jwt", "jwks": object{"keys": []object{{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": p.text()}}}})
	s.admin("POST", at+"/clients", object{"client_name": "x", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://user:" + p.text() + "@127.0.0.1/?key=" + p.text()})
	s.admin("POST", at+"/key-urls", object{"issuer": "https://x.example", "url": "https://user:" + p.text() + "@x.example/"})
	s.admin("POST", at+"/key-urls/check", object{"url": "https://127.0.0.1:1/keys?token=" + p.text()})
	s.admin("POST", at+"/key-urls/from-token", object{"subject_token": p.keep(acme.idp.token(object{"sub": p.text()}))})
	s.admin("POST", at+"/exchanges/explain", object{"subject_token": p.keep(acme.idp.token(object{"aud": p.text()})), "scope": p.text()})
	s.admin("POST", at+"/exchanges/explain", object{"subject_token": p.jwt(), "client_id": p.text()})
	s.admin("POST", at+"/tokens/revoke", object{"subject": p.text()})
	second := s.admin("POST", at+"/clients/"+acme.clientID+"/secret?overlap=60", nil)
	if secret := second.text("client_secret"); secret != "" {
		p.all = append(p.all, secret)
	}
}

// A key URL whose address holds a secret: that of the fetch that fails in the
// background, too.
func plantInAKeyURL(t *testing.T, s *server, acme *party, p *planter) {
	t.Helper()
	s.admin("POST", "/integrators/"+acme.id+"/key-urls", object{"issuer": "https://keyed.example", "url": "http://127.0.0.1:1/keys?token=" + p.text()}).mustBe(t, http.StatusCreated)
	acme.exchange(p.keep(acme.idp.token(object{"iss": "https://keyed.example"}))).mustBe(t, http.StatusServiceUnavailable)
}

// ADM-12: whatever is sent, and wherever, nothing of it that is secret is in
// the log at debug or in the metrics; not when the database fails, either,
// whose errors tell what they were about.
func TestPlantedSecretsAreNowhere(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		p := &planter{all: []string{acme.secret, testOperatorSecret, testSecretKey}}
		plantAtTheDoors(s, acme, p)
		plantAtTheAdminAPI(s, acme, p)
		plantInAKeyURL(t, s, acme, p)
		before := len(s.log.String())
		db := sideDoor(t, databaseURL)
		for _, table := range []string{"revoked_tokens", "exchanges", "subject_epochs", "client_secrets"} {
			execute(t, db, "ALTER TABLE "+table+" RENAME TO gone_"+table)
		}
		plantAtTheDoors(s, acme, p)
		plantAtTheAdminAPI(s, acme, p)
		log := s.log.String()
		if !strings.Contains(log[before:], `"request failed"`) || !strings.Contains(log, `"audience_mismatch"`) || len(p.all) < 300 {
			t.Errorf("the log tells of no failure, or only %d secrets were planted: this proves nothing", len(p.all))
		}
		metrics := s.atOps("/metrics").body
		for _, secret := range p.all {
			for where, text := range map[string]string{"the log": log, "a metric": metrics} {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("%s holds %s: ...%s", where, secret, text[max(0, i-200):i+20])
				}
			}
		}
	})
}

// `cambio explain` has a token, a secret and, from the server, an access token
// in its hands, and prints none, however it ends.
func TestExplainCommandTellsNoSecret(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	id, secret := acme.newClient(object{"client_name": "administrator", "grant_types": []string{grants.ClientCredentials}, "scope": grants.ScopeIntegratorAdmin})
	file := filepath.Join(t.TempDir(), "secret")
	p := &planter{}
	wrong := p.text()
	for _, c := range []struct {
		name, secret, server, token string
		args                        []string
	}{
		{"granted", secret, s.url, acme.idp.token(nil), nil},
		{"granted, as JSON", secret, s.url, acme.idp.token(nil), []string{"--json"}},
		{"refused", secret, s.url, acme.idp.token(object{"aud": "https://elsewhere.example"}), nil},
		{"no token at all", secret, s.url, p.jwt(), nil},
		{"a wrong secret", wrong, s.url, acme.idp.token(nil), nil},
		{"no server", secret, "http://127.0.0.1:1", acme.idp.token(nil), nil},
		{"a server with a password", secret, "http://user:" + p.text() + "@127.0.0.1:1", acme.idp.token(nil), nil},
		{"a token for an argument", secret, s.url, "", []string{p.keep(acme.idp.token(nil))}},
	} {
		if err := os.WriteFile(file, []byte(c.secret), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runExplainCommand(t, c.token, append([]string{"--server", c.server, "--login-client-id", id, "--login-client-secret-file", file}, c.args...)...)
		said := out
		if err != nil {
			said += err.Error()
		}
		if len(said) < 10 {
			t.Errorf("%s: it says nothing: %q", c.name, said)
		}
		signature := c.token[strings.LastIndexByte(c.token, '.')+1:]
		for _, hidden := range append(p.all, secret, signature) {
			if hidden != "" && strings.Contains(said, hidden) {
				t.Errorf("%s: it tells %s", c.name, hidden)
			}
		}
	}
}

// A database that cannot be opened is named without its password.
func TestStartTellsNoPassword(t *testing.T) {
	p := &planter{}
	for _, databaseURL := range []string{"postgres://user:" + p.text() + "@127.0.0.1:1/x?sslmode=disable", "postgres://user:" + p.text() + "@[/x", "mysql://user:" + p.text() + "@h/d"} {
		_, err := readAll(t, "", map[string]string{"database_url": databaseURL})
		if err == nil {
			_, err = storage.Open(t.Context(), databaseURL)
		}
		if err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%v", err)
		}
	}
}
