package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// adminToken gives a token of one of the party's own clients.
func (p *party) adminToken(scope string) string {
	p.s.t.Helper()
	id, secret := p.newClient(object{"client_name": "console", "scope": scope})
	return p.s.post(tokenEndpoint, basic(id, secret), url.Values{"grant_type": {grants.ClientCredentials}, "scope": {scope}}).
		mustBe(p.s.t, http.StatusOK).text("access_token")
}

// mustBeProblem asserts RFC 9457.
func (a answer) mustBeProblem(t testing.TB, status int, code string) answer {
	t.Helper()
	if a.status != status || a.text("code") != code || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %d %s %s, want %d %s", a.status, a.header.Get("Content-Type"), a.body, status, code)
	}
	if a.json["status"] != float64(status) || a.text("title") == "" || a.text("type") == "" {
		t.Errorf("problem %s", a.body)
	}
	return a
}

// Who may do what: the operator everything, an integrator its own, everyone
// else nothing. What an integrator may not see is not there.
func TestAdminAuthorization(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	holder := acme.manage("919424508", "east")
	mine := acme.adminToken("integrator.admin")
	user := acme.exchange(acme.idp.token(nil)).mustBe(t, 200).text("access_token")
	plain := acme.adminToken("read:things")
	revoked := acme.adminToken("integrator.admin")
	_, claims := decodeToken(t, revoked)
	if err := s.p.store.Revoke(t.Context(), claims["jti"].(string), farFuture()); err != nil {
		t.Fatal(err)
	}
	elsewhere := s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), url.Values{"grant_type": {grants.ClientCredentials}, "resource": {s.audience(t)}}).
		mustBe(t, 200).text("access_token")

	t.Run("tokens that are none", func(t *testing.T) {
		for name, token := range map[string]string{"garbage": "x", "revoked": revoked, "for another audience": elsewhere, "foreign": acme.idp.token(nil)} {
			t.Run(name, func(t *testing.T) {
				a := s.adminAs(token, "GET", "/integrators/me", nil).mustBeProblem(t, 401, "invalid_token")
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
					t.Errorf("WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
				}
			})
		}
		s.do("GET", "/admin/v1/integrators", "").mustBeProblem(t, 401, "invalid_token")
		s.do("GET", "/admin/v1/integrators", "", basic(testOperator, testOperatorSecret)).mustBeProblem(t, 401, "invalid_token")
	})
	t.Run("tokens without the scope", func(t *testing.T) {
		for _, token := range []string{user, plain} {
			s.adminAs(token, "GET", "/integrators/me", nil).mustBeProblem(t, 403, "insufficient_scope")
		}
	})
	t.Run("an integrator's own", func(t *testing.T) {
		for _, path := range []string{"/integrators/me", "/integrators/" + acme.id, "/integrators/me/key-urls", "/integrators/me/key-urls/" + acme.keyURL,
			"/integrators/me/clients", "/integrators/me/clients/" + acme.clientID, "/integrators/me/lock-holders", "/integrators/me/lock-holders/" + holder} {
			s.adminAs(mine, "GET", path, nil).mustBe(t, http.StatusOK)
		}
		if got := s.adminAs(mine, "GET", "/integrators/me", nil).text("id"); got != acme.id {
			t.Errorf("me is %s", got)
		}
	})
	t.Run("everything else is not there", func(t *testing.T) {
		theirs := "/integrators/" + other.id
		for _, call := range []string{"GET /integrators", "POST /integrators", "GET " + theirs, "PATCH " + theirs, "DELETE " + theirs, "GET " + theirs + "/key-urls",
			"POST " + theirs + "/key-urls", "GET " + theirs + "/key-urls/" + other.keyURL, "PATCH " + theirs + "/key-urls/" + other.keyURL, "DELETE " + theirs + "/key-urls/" + other.keyURL,
			"GET /integrators/me/key-urls/" + other.keyURL, "PATCH /integrators/me/key-urls/" + other.keyURL, "DELETE /integrators/me/key-urls/" + other.keyURL,
			"GET /integrators/me/clients/" + other.clientID, "DELETE /integrators/me/clients/" + other.clientID, "GET /integrators/me/clients/" + testOperator,
			"GET /lock-holders", "POST /lock-holders", "GET /lock-holders/" + holder, "GET /resource-servers", "POST /resource-servers",
			"POST " + theirs + "/tokens/revoke", "GET " + theirs + "/lock-holders", "PUT " + theirs + "/lock-holders/" + holder, "GET /integrators/me/key-urls/%00"} {
			method, path, _ := strings.Cut(call, " ")
			s.adminAs(mine, method, path, object{}).mustBeProblem(t, 404, "not_found")
		}
		s.mustBeUntouched(other)
	})
	t.Run("seen but not changed", func(t *testing.T) {
		for _, call := range []string{"PATCH /integrators/me", "DELETE /integrators/me", "PUT /integrators/me/lock-holders/" + holder, "DELETE /integrators/me/lock-holders/" + holder} {
			method, path, _ := strings.Cut(call, " ")
			s.adminAs(mine, method, path, object{}).mustBeProblem(t, 403, "forbidden")
		}
	})
	t.Run("the operator has no me", func(t *testing.T) { s.admin("GET", "/integrators/me", nil).mustBeProblem(t, 404, "not_found") })
}

func (s *server) audience(t *testing.T) string {
	s.admin("POST", "/resource-servers", object{"name": "Elsewhere", "audience": "https://elsewhere.example"}).mustBe(t, 201)
	return "https://elsewhere.example"
}

func (s *server) mustBeUntouched(p *party) {
	s.t.Helper()
	s.admin("GET", "/integrators/"+p.id+"/key-urls/"+p.keyURL, nil).mustBe(s.t, 200)
	s.admin("GET", "/integrators/"+p.id+"/clients/"+p.clientID, nil).mustBe(s.t, 200)
}

// An integrator gives its clients no more than it has.
func TestClientScopeIsNoWayUp(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	mine := acme.adminToken("integrator.admin")
	for scope, code := range map[string]string{
		"admin": "forbidden_scope", "read admin": "forbidden_scope", otherLockScope: "not_entitled", "write:everything": "not_entitled",
	} {
		t.Run(scope, func(t *testing.T) {
			a := s.adminAs(mine, "POST", "/integrators/me/clients", object{"client_name": "x", "scope": scope}).mustBeProblem(t, 422, "invalid")
			if !strings.Contains(a.body, code) {
				t.Errorf("%s", a.body)
			}
			s.adminAs(mine, "PATCH", "/integrators/me/clients/"+acme.clientID, object{"scope": scope}).mustBeProblem(t, 422, "invalid")
		})
	}
	s.adminAs(mine, "POST", "/integrators/me/clients", object{"client_name": "x", "scope": lockScope + " integrator.admin"}).mustBe(t, 201)
	s.admin("POST", "/integrators/"+acme.id+"/clients", object{"client_name": "x", "scope": "admin"}).mustBeProblem(t, 422, "invalid")
	given := s.admin("POST", "/integrators/"+acme.id+"/clients", object{"client_name": "x", "scope": "write:everything"}).mustBe(t, 201)
	// What an operator gave may stay, so that its owner can rename and disable.
	path := "/integrators/me/clients/" + given.text("client_id")
	s.adminAs(mine, "PATCH", path, object{"client_name": "y", "status": "disabled"}).mustBe(t, 200)
	s.adminAs(mine, "PATCH", path, object{"scope": "write:everything read:everything"}).mustBeProblem(t, 422, "invalid")
}

// A scope that was taken away is gone from the tokens that are out, too.
func TestAnotherScopeEndsTheTokensOfAClient(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	id, secret := acme.newClient(object{"client_name": "console", "scope": "integrator.admin"})
	token := s.post(tokenEndpoint, basic(id, secret), url.Values{"grant_type": {grants.ClientCredentials}}).mustBe(t, 200).text("access_token")
	s.admin("PATCH", "/integrators/"+acme.id+"/clients/"+id, object{"client_name": "renamed"}).mustBe(t, 200)
	s.adminAs(token, "GET", "/integrators/me", nil).mustBe(t, 200)
	s.admin("PATCH", "/integrators/"+acme.id+"/clients/"+id, object{"scope": "read"}).mustBe(t, 200)
	s.adminAs(token, "GET", "/integrators/me", nil).mustBeProblem(t, 401, "invalid_token")
	s.mustBeActive(token, false)
}

// The rules of every member, and of the body around them.
func TestAdminRejects(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	keyURL := func(changes object) object {
		o := object{"issuer": "https://new.example/", "url": "https://idp.example/jwks.json"}
		for name, value := range changes {
			o[name] = value
		}
		return o
	}
	of := "/integrators/" + acme.id
	cases := []struct {
		rule, path string
		body       object
		pointer    string
		code       string
	}{
		{"an unknown member", "/integrators", object{"name": "x", "nmae": "y"}, "/nmae", "unknown_member"},
		{"a read-only member", "/integrators", object{"name": "x", "id": "y"}, "/id", "read_only"},
		{"a wrong type", "/integrators", object{"name": 1}, "/name", "type"},
		{"no name", "/integrators", object{}, "/name", "invalid"},
		{"a name with a line break", "/integrators", object{"name": "a\nb"}, "/name", "invalid"},
		{"a status that is none", "/integrators", object{"name": "x", "status": "deleted"}, "/status", "invalid"},
		{"our own issuer", of + "/key-urls", keyURL(object{"issuer": s.url}), "/issuer", "own_issuer"},
		{"no issuer", of + "/key-urls", keyURL(object{"issuer": ""}), "/issuer", "invalid"},
		{"an issuer with a space", of + "/key-urls", keyURL(object{"issuer": "a b"}), "/issuer", "invalid"},
		{"a file URL", of + "/key-urls", keyURL(object{"url": "file:///etc/passwd"}), "/url", "invalid"},
		{"credentials in the URL", of + "/key-urls", keyURL(object{"url": "https://a:b@idp.example/"}), "/url", "invalid"},
		{"a link-local address", of + "/key-urls", keyURL(object{"url": "https://169.254.169.254/latest"}), "/url", "invalid"},
		{"a private address", of + "/key-urls", keyURL(object{"url": "http://10.0.0.1/"}), "/url", "invalid"},
		{"HS256", of + "/key-urls", keyURL(object{"algorithms": []string{"HS256"}}), "/algorithms", "invalid"},
		{"none", of + "/key-urls", keyURL(object{"algorithms": []string{"RS256", "none"}}), "/algorithms", "invalid"},
		{"no algorithm", of + "/key-urls", keyURL(object{"algorithms": []string{}}), "/algorithms", "invalid"},
		{"a format that is none", of + "/key-urls", keyURL(object{"format": "xml"}), "/format", "invalid"},
		{"a life of nothing", of + "/key-urls", keyURL(object{"max_lifetime": 0}), "/max_lifetime", "invalid"},
		{"a life past all bounds", of + "/key-urls", keyURL(object{"max_lifetime": int64(1) << 60}), "/max_lifetime", "invalid"},
		{"a key URL of this server", of + "/key-urls", keyURL(object{"url": s.url + "/.well-known/jwks.json"}), "/url", "own_url"},
		{"a condition that is no CEL", of + "/key-urls", keyURL(object{"condition": "claims.tid ="}), "/condition", "invalid"},
		{"a condition that is neither true nor false", of + "/key-urls", keyURL(object{"condition": "claims.tid"}), "/condition", "invalid"},
		{"a condition on trial that is no CEL", of + "/key-urls", keyURL(object{"mode": "audit", "change": object{"condition": "("}}), "/change/condition", "invalid"},
		{"a trial of nothing", of + "/key-urls", keyURL(object{"mode": "audit"}), "/change", "required"},
		{"a trial of what is no rule", of + "/key-urls", keyURL(object{"mode": "audit", "change": object{"issuer": "x"}}), "/change", "invalid"},
		{"a change that was not tried", of + "/key-urls", keyURL(object{"change": object{"max_lifetime": 60}}), "/change", "invalid"},
		{"a mode that is none", of + "/key-urls", keyURL(object{"mode": "dry-run"}), "/mode", "invalid"},
		{"a required claim with a misspelt member", of + "/key-urls", keyURL(object{"required_claims": []object{{"claim": "tid", "value": "x"}}}), "/required_claims", "type"},
		{"a required claim twice", of + "/key-urls", keyURL(object{"required_claims": []object{{"claim": "tid"}, {"claim": "tid"}}}), "/required_claims", "invalid"},
		{"an audience claim without audiences", of + "/key-urls", keyURL(object{"audience_claims": []string{"client_id"}, "audiences": []string{}}), "/audiences", "required"},
		{"keys of everybody", of + "/key-urls", keyURL(object{"url": "https://www.googleapis.com/oauth2/v3/certs", "audiences": []string{}}), "/audiences", "shared_keys"},
		{"keys of everybody, for any audience", of + "/key-urls", keyURL(object{"url": "https://token.actions.githubusercontent.com/.well-known/jwks", "audiences": []string{"api"}}), "/required_claims", "shared_keys"},
		{"keys of everybody, with a claim of any value", of + "/key-urls", keyURL(object{"url": "https://gitlab.com/oauth/discovery/keys", "required_claims": []object{{"claim": "project_id"}}}), "/required_claims", "shared_keys"},
		{"a method that is none", of + "/clients", object{"client_name": "x", "token_endpoint_auth_method": "client_secret_jwt"}, "/token_endpoint_auth_method", "invalid"},
		{"a grant that is none", of + "/clients", object{"client_name": "x", "grant_types": []string{"password"}}, "/grant_types", "invalid"},
		{"client credentials without credentials", of + "/clients", object{"client_name": "x", "token_endpoint_auth_method": "none", "grant_types": []string{grants.ClientCredentials}}, "/grant_types", "invalid"},
		{"a scope outside the grammar", of + "/clients", object{"client_name": "x", "scope": "a\tb"}, "/scope", "invalid"},
		{"an origin with a path", of + "/clients", object{"client_name": "x", "allowed_origins": []string{"https://app.example/"}}, "/allowed_origins", "invalid"},
		{"an origin with its default port", of + "/clients", object{"client_name": "x", "allowed_origins": []string{"https://app.example:443"}}, "/allowed_origins", "invalid"},
		{"a scope of nothing, which must not become no limit", of + "/clients", object{"client_name": "x", "scope": " "}, "/scope", "invalid"},
		{"every origin", of + "/clients", object{"client_name": "x", "allowed_origins": []string{"*"}}, "/allowed_origins", "invalid"},
		{"a client's own id", of + "/clients", object{"client_name": "x", "client_id": "operator"}, "/client_id", "read_only"},
		{"a country in small letters", "/lock-holders", object{"name": "x", "country_iso": "no", "organization_id": "1234"}, "/country_iso", "invalid"},
		{"an organisation with a dot", "/lock-holders", object{"name": "x", "country_iso": "NO", "organization_id": "12.34"}, "/organization_id", "invalid"},
		{"an organisation of three", "/lock-holders", object{"name": "x", "country_iso": "NO", "organization_id": "123"}, "/organization_id", "invalid"},
		{"an audience with a space", "/resource-servers", object{"name": "x", "audience": "a b"}, "/audience", "invalid"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a := s.admin("POST", c.path, c.body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
			found := false
			for _, entry := range a.json["errors"].([]any) {
				fault := entry.(object)
				found = found || fault["pointer"] == c.pointer && fault["code"] == c.code && fault["detail"] != ""
			}
			if !found {
				t.Errorf("no error %s at %s: %s", c.code, c.pointer, a.body)
			}
		})
	}
}

func TestAdminBodies(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	bearer := header("Authorization", "Bearer "+s.token)
	cases := []struct {
		rule, body, contentType string
		status                  int
		code                    string
	}{
		{"a form", "name=x", formType, 415, "unsupported_media_type"},
		{"JSON as text", `{"name":"x"}`, "text/plain", 415, "unsupported_media_type"},
		{"no JSON", "x", "application/json", 400, "malformed"},
		{"an array", "[]", "application/json", 400, "malformed"},
		{"null", "null", "application/json", 400, "malformed"},
		{"a member twice", `{"name":"a","name":"b"}`, "application/json", 400, "malformed"},
		{"trailing data", `{"name":"a"} x`, "application/json", 400, "malformed"},
		{"deep nesting", `{"name":` + strings.Repeat("[", 30000), "application/json", 400, "malformed"},
		{"9 MB of brackets", strings.Repeat("[", 9<<20), "application/json", 413, "too_large"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			s.do("POST", "/admin/v1/integrators", c.body, bearer, header("Content-Type", c.contentType)).mustBeProblem(t, c.status, c.code)
		})
	}
	s.admin("DELETE", "/integrators", object{}).mustBeProblemMethod(t)
	s.do("GET", "/admin/v1/nothing", "", bearer).mustBeProblem(t, 404, "not_found")
	if a := s.do("GET", "/admin/v1/openapi.yaml", "").mustBe(t, 200); !strings.HasPrefix(a.body, "openapi: 3.1") {
		t.Errorf("%.40s", a.body)
	}
}

func (a answer) mustBeProblemMethod(t *testing.T) {
	t.Helper()
	a.mustBeProblem(t, http.StatusMethodNotAllowed, "method_not_allowed")
}

// One object through its life, on every database: 201 with Location, 200, 204,
// ETag and If-Match, merge patch with null, conflict, 404.
func TestObjectLife(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		path := "/integrators/" + acme.id + "/key-urls"
		body := object{"issuer": "https://new.example/", "url": "https://idp.example/jwks.json", "audiences": []string{"a", "b"}, "max_lifetime": 600}
		created := s.admin("POST", path, body).mustBe(t, http.StatusCreated)
		location := created.header.Get("Location")
		if location != "/admin/v1"+path+"/"+created.text("id") || created.header.Get("Cache-Control") != "no-store" {
			t.Errorf("Location %q", location)
		}
		s.admin("POST", path, body).mustBeProblem(t, http.StatusConflict, "conflict")
		one := path + "/" + created.text("id")
		read := s.admin("GET", one, nil).mustBe(t, http.StatusOK)
		if read.body != created.body || read.header.Get("ETag") != created.header.Get("ETag") {
			t.Errorf("created %s\nread %s", created.body, read.body)
		}
		match := func(etag string) option { return header("If-Match", etag) }
		patch := func(text string, options ...option) answer {
			return s.do("PATCH", "/admin/v1"+one, text, append(options, header("Authorization", "Bearer "+s.token), header("Content-Type", "application/merge-patch+json"))...)
		}
		changed := patch(`{"audiences":null,"max_lifetime":null,"status":"disabled"}`, match(read.header.Get("ETag"))).mustBe(t, http.StatusOK)
		if fmt.Sprint(changed.json["audiences"]) != "[]" || changed.json["max_lifetime"] != float64(86400) || changed.text("status") != "disabled" || changed.text("issuer") != "https://new.example/" {
			t.Errorf("changed: %s", changed.body)
		}
		patch(`{"status":"active"}`, match(read.header.Get("ETag"))).mustBeProblem(t, http.StatusPreconditionFailed, "stale")
		patch(`{"status":"active"}`, match("*")).mustBe(t, http.StatusOK)
		s.do("DELETE", "/admin/v1"+one, "", match(read.header.Get("ETag")), header("Authorization", "Bearer "+s.token)).mustBeProblem(t, 412, "stale")
		s.admin("DELETE", one, nil).mustBe(t, http.StatusNoContent)
		s.admin("DELETE", one, nil).mustBeProblem(t, 404, "not_found")
		s.admin("GET", one, nil).mustBeProblem(t, 404, "not_found")
		s.admin("PATCH", one, object{}).mustBeProblem(t, 404, "not_found")
	})
}

// Lists: pages that hold every object once; cursors that cannot be made up or
// carried to another list.
func TestPaging(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		for i := range 7 {
			s.admin("POST", "/integrators", object{"name": fmt.Sprint("Integrator ", i)}).mustBe(t, 201)
		}
		seen, query, cursor := map[string]bool{}, "?limit=3", ""
		for {
			a := s.admin("GET", "/integrators"+query, nil).mustBe(t, http.StatusOK)
			for _, item := range a.json["items"].([]any) {
				seen[item.(object)["id"].(string)] = true
			}
			next, ok := a.json["next_cursor"].(string)
			if !ok {
				break
			}
			cursor, query = next, "?limit=3&cursor="+url.QueryEscape(next)
		}
		if len(seen) != 7 {
			t.Errorf("%d objects in all pages", len(seen))
		}
		s.admin("GET", "/lock-holders?cursor="+cursor, nil).mustBeProblem(t, 400, "invalid_cursor")
		s.admin("GET", "/integrators?cursor=x"+cursor, nil).mustBeProblem(t, 400, "invalid_cursor")
		for _, limit := range []string{"0", "201", "-1", "x", "1e3"} {
			s.admin("GET", "/integrators?limit="+limit, nil).mustBeProblem(t, 400, "invalid_limit")
		}
		if a := s.admin("GET", "/lock-holders", nil).mustBe(t, 200); a.body != `{"items":[]}` {
			t.Errorf("an empty list: %s", a.body)
		}
	})
}
