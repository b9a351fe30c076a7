package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// discovering is a host whose discovery document names keys that are elsewhere.
type discovering struct {
	*httptest.Server
	jwksURI atomic.Value
	fetches atomic.Int64
}

func discover(t *testing.T, jwksURI string) *discovering {
	t.Helper()
	d := &discovering{}
	d.jwksURI.Store(jwksURI)
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.fetches.Add(1)
		if r.URL.Path != "/.well-known/openid-configuration" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(object{"issuer": d.URL, "jwks_uri": d.jwksURI.Load()})
	}))
	t.Cleanup(d.Close)
	return d
}

// propose shows a token to the admin API.
func (p *party) propose(subjectToken string) answer {
	p.s.t.Helper()
	return p.s.admin("POST", "/integrators/"+p.id+"/key-urls/from-token", object{"subject_token": subjectToken})
}

// values gives a member of the objects of a list, "code" of warnings for one.
func (a answer) values(list, member string) (values []string) {
	for _, item := range a.json[list].([]any) {
		values = append(values, item.(object)[member].(string))
	}
	return values
}

func TestPresetsAreListed(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for _, token := range []string{s.token, acme.adminToken("integrator.admin")} {
		a := s.adminAs(token, "GET", "/provider-presets", nil).mustBe(t, http.StatusOK)
		ids := a.values("items", "id")
		if len(ids) != 12 || ids[0] != "auth0" || ids[11] != "generic" {
			t.Errorf("got %v", ids)
		}
		auth0 := a.json["items"].([]any)[0].(object)
		if auth0["templates"].([]any)[0].(object)["issuer"] != "https://{domain}/" || auth0["help"].(object)["no_permissions"] == "" || len(auth0["inputs"].([]any)) == 0 {
			t.Errorf("got %v", auth0)
		}
	}
	s.adminAs("nonsense", "GET", "/provider-presets", nil).mustBeProblem(t, http.StatusUnauthorized, "invalid_token")
	s.admin("POST", "/provider-presets", object{}).mustBeProblem(t, http.StatusMethodNotAllowed, "method_not_allowed")
}

// A token of a provider that nobody knows becomes a key URL that exchanges such
// tokens, and leaves no trace.
func TestKeyURLFromAToken(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.rule("*", "acme.$1")
		host := discover(t, acme.idp.url("/jwks.json"))
		token := acme.idp.token(object{"iss": host.URL, "sub": "a-very-private-subject", "aud": []string{"locks", host.URL + "/userinfo"}, "permissions": nil, "roles": "read write"})

		a := acme.propose(token).mustBe(t, http.StatusOK)
		keys := a.json["keys"].(object)
		if a.json["preset"] != "generic" || keys["ok"] != true || keys["kid_found"] != true || a.json["refused"] != nil {
			t.Errorf("got %s", a.body)
		}
		want, _ := json.Marshal(object{"issuer": host.URL, "url": acme.idp.url("/jwks.json"), "audiences": []string{"locks"}, "permissions_claim": "roles", "permissions_format": "space"})
		if got, _ := json.Marshal(a.json["key_url"]); string(got) != string(want) {
			t.Errorf("got %s, want %s", got, want)
		}
		list := s.admin("GET", "/integrators/"+acme.id+"/key-urls", nil).json["items"].([]any)
		if len(list) != 1 {
			t.Errorf("a proposal saved something: %v", list)
		}
		if log := s.log.String(); strings.Contains(log, token[:40]) || strings.Contains(log, "a-very-private-subject") {
			t.Error("the token is in the log")
		}

		created := s.admin("POST", "/integrators/"+acme.id+"/key-urls", a.json["key_url"]).mustBe(t, http.StatusCreated)
		if got := acme.exchange(token).mustBe(t, http.StatusOK).text("scope"); got != "acme.read acme.write" {
			t.Errorf("scope %q", got)
		}
		again := acme.propose(token).mustBe(t, http.StatusOK)
		if ids := again.json["registered"].([]any); len(ids) != 1 || ids[0] != created.text("id") {
			t.Errorf("registered: %v", ids)
		}
		slash := acme.propose(acme.idp.token(object{"iss": strings.ToUpper(host.URL[:4]) + host.URL[4:] + "/"})).mustBe(t, http.StatusOK)
		if len(slash.json["registered"].([]any)) != 0 || !slices.Contains(slash.values("warnings", "code"), "issuer_near_miss") {
			t.Errorf("an issuer that reads almost the same: %s", slash.body)
		}
		other := acme.propose(acme.idp.token(object{"iss": host.URL + "/"})).mustBe(t, http.StatusOK)
		if !strings.Contains(other.body, "is of the issuer "+host.URL+",") || strings.Contains(other.body, `"url":"`) {
			t.Errorf("keys of another issuer's discovery document: %s", other.body)
		}
	})
}

// Keys are fetched where the preset has them, and the token's is looked for.
func TestProposalByAPreset(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	jwks := s.do("GET", "/.well-known/jwks.json", "").body // of other keys than acme.idp's
	acme.idp.publish.Store(jwks)
	issuer := strings.TrimSuffix(acme.idp.issuer, "/") + "/realms/acme"
	a := acme.propose(acme.idp.token(object{"iss": issuer, "aud": "account", "typ": "Bearer", "permissions": nil, "realm_access": object{"roles": []string{"janitor"}}})).mustBe(t, http.StatusOK)
	keyURL, keys := a.json["key_url"].(object), a.json["keys"].(object)
	if a.json["preset"] != "keycloak" || keyURL["url"] != issuer+"/protocol/openid-connect/certs" || keyURL["permissions_claim"] != "/realm_access/roles" {
		t.Errorf("got %s", a.body)
	}
	if missing := a.values("missing", "member"); !slices.Equal(missing, []string{"audiences"}) || !strings.Contains(a.body, "Audience") {
		t.Errorf("missing: %s", a.body)
	}
	if keys["ok"] != true || keys["kid_found"] != false || !slices.Contains(a.values("warnings", "code"), "key_not_found") {
		t.Errorf("keys without the token's: %s", a.body)
	}
	if n := acme.idp.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	acme.idp.broken.Store(true)
	a = acme.propose(acme.idp.token(object{"iss": issuer, "typ": "Bearer"})).mustBe(t, http.StatusOK)
	if failure := a.json["keys"].(object)["failure"].(object); failure["code"] != "status" {
		t.Errorf("got %s", a.body)
	}
	acme.idp.broken.Store(false)
	a = acme.propose(acme.idp.mac(acme.idp.claims(object{"iss": issuer}))).mustBe(t, http.StatusOK)
	if !strings.Contains(a.text("refused"), "Keycloak") || a.json["key_url"] != nil || a.json["keys"] != nil {
		t.Errorf("a shared secret: %s", a.body)
	}
	if n := acme.idp.fetches.Load(); n != 2 {
		t.Errorf("%d fetches: a token that can never work fetched something", n)
	}
}

func TestTokensThatAreNoneToPropose(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	good := acme.idp.token(nil)
	part := encodePart(t, object{"alg": "RSA-OAEP", "enc": "A256GCM"})
	for _, c := range []struct{ code, token, says string }{
		{"invalid", "", "token"},
		{"opaque", "ya29.a0AfB_byC-not.a-jwt", "audience"},
		{"opaque", "IhzRkY2uZkDkPq", "audience"},
		{"opaque", strings.Repeat(".", 1000), "audience"},
		{"encrypted", part + ".key.iv.text.tag", "JWE"},
		{"malformed", "Bearer " + good, "Bearer"},
		{"malformed", good + "=", "base64"},
		{"malformed", encodePart(t, object{"alg": "RS256"}) + ".e30x.AA", "payload"},
		{"too_large", good + strings.Repeat("A", 33<<10), "32768"},
		{"header_not_allowed", acme.idp.sign(object{"alg": "RS256", "crit": []string{"x"}}, acme.idp.claims(nil)), "crit"},
		{"claim_missing", acme.idp.token(object{"iss": nil}), "iss"},
		{"claim_invalid", acme.idp.token(object{"iss": "https://a b/"}), "iss"},
		{"claim_invalid", acme.idp.token(object{"iss": 1}), "iss"},
		{"own_issuer", acme.idp.token(object{"iss": s.url}), "this server"},
	} {
		a := acme.propose(c.token).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
		fault := a.json["errors"].([]any)[0].(object)
		if fault["pointer"] != "/subject_token" || fault["code"] != c.code || !strings.Contains(fault["detail"].(string), c.says) {
			t.Errorf("%.40q: want %s, got %s", c.token, c.code, a.body)
		}
	}
	path := "/integrators/" + acme.id + "/key-urls/from-token"
	for pointer, body := range map[string]object{
		"/subject_token": {"subject_token": 1},
		"/url":           {"subject_token": good, "url": "https://idp.example/"},
	} {
		a := s.admin("POST", path, body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
		if a.json["errors"].([]any)[0].(object)["pointer"] != pointer {
			t.Errorf("%s: got %s", pointer, a.body)
		}
	}
	s.admin("GET", path, nil).mustBeProblem(t, http.StatusMethodNotAllowed, "method_not_allowed")
	other := s.newParty("Other")
	s.adminAs(other.adminToken("integrator.admin"), "POST", path, object{"subject_token": good}).mustBeProblem(t, http.StatusNotFound, "not_found")
	if n := acme.idp.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
}

// SSRF-12, -14, -16: an issuer is a stranger's text. It leads to no address that
// a key URL could not have, and counts as the checks do.
func TestProposalsFetchOnlyWhatKeyURLsMay(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	mine := acme.adminToken("integrator.admin")
	host := discover(t, acme.idp.url("/jwks.json"))
	propose := func(as, issuer string) answer {
		t.Helper()
		return s.adminAs(as, "POST", "/integrators/"+acme.id+"/key-urls/from-token", object{"subject_token": acme.idp.token(object{"iss": issuer})})
	}
	cases := map[string][]string{
		mine:    {host.URL, host.URL + "/realms/acme", "https://10.0.0.1", "https://169.254.169.254/latest", "https://[::1]"},
		s.token: {s.url + "/", s.url + "/realms/x", "http://10.0.0.1", "file:///etc/passwd", "https://user:password@idp.example"},
	}
	for as, issuers := range cases {
		for _, issuer := range issuers {
			a := propose(as, issuer).mustBe(t, http.StatusOK)
			if !slices.Contains(a.values("missing", "member"), "url") || a.json["keys"] != nil || a.json["key_url"].(object)["url"] != nil {
				t.Errorf("%s: got %s", issuer, a.body)
			}
		}
	}
	if n := host.fetches.Load() + acme.idp.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	for _, jwksURI := range []string{s.url + "/.well-known/jwks.json", "https://10.0.0.1/keys", "javascript:alert(1)", ""} {
		host.jwksURI.Store(jwksURI)
		a := propose(s.token, host.URL).mustBe(t, http.StatusOK)
		if !slices.Contains(a.values("missing", "member"), "url") || a.json["key_url"].(object)["url"] != nil {
			t.Errorf("%s: got %s", jwksURI, a.body)
		}
	}

	for range 6 {
		s.adminAs(mine, "POST", "/integrators/me/key-urls/"+acme.keyURL+"/refresh", nil).mustBe(t, http.StatusOK)
	}
	propose(mine, "https://idp.example").mustBeProblem(t, http.StatusTooManyRequests, "too_many_requests")
}

// What is proposed for a token of a provider's shape, and lacks nothing, can be
// registered as it is: also where keys are shared, and must be bound.
func TestGoldenProposalsCanBeRegistered(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	files, err := filepath.Glob(filepath.Join("..", "..", "admin", "presets", "testdata", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	registered := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Name string
			Want struct {
				KeyURL  object `json:"key_url"`
				Missing []string
			}
		}
		if err := json.Unmarshal(data, &cases); err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if c.Want.KeyURL == nil || c.Want.KeyURL["url"] == nil || len(c.Want.Missing) > 0 {
				continue
			}
			id := s.admin("POST", "/integrators", object{"name": c.Name}).mustBe(t, http.StatusCreated).text("id")
			if a := s.admin("POST", "/integrators/"+id+"/key-urls", c.Want.KeyURL); a.status != http.StatusCreated {
				t.Errorf("%s, %s: %s", filepath.Base(file), c.Name, a.body)
			}
			registered[filepath.Base(file)] = true
		}
	}
	if len(registered) != 11 { // all but generic, whose url comes by discovery
		t.Errorf("only of %v", registered)
	}
}
