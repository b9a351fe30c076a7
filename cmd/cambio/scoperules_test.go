package main

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// rule adds a scope rule and gives its id.
func (p *party) rule(permission, scope string) string {
	p.s.t.Helper()
	return p.s.admin("POST", "/integrators/"+p.id+"/scope-rules", object{"permission": permission, "scope": scope}).mustBe(p.s.t, http.StatusCreated).text("id")
}

// A platform without lock holders maps what its integrators call things.
func TestScopeRules(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, other := s.newParty("Acme"), s.newParty("Other")
		acme.manage("919424508", "east")
		acme.rule("read:orders", "orders.read")
		first := acme.rule("tenant:*", "tenant.$1")
		acme.rule("tenant:blue", "not.reached")
		token := acme.idp.token(object{"permissions": []string{"read:orders", "tenant:blue", "tenant:a b", "admin", "unknown", lockScope}})
		if got := acme.exchange(token).mustBe(t, http.StatusOK).text("scope"); got != "orders.read tenant.blue "+lockScope {
			t.Errorf("granted %q", got)
		}
		acme.exchange(token, "scope", "tenant.blue").mustBe(t, http.StatusOK)
		acme.exchange(token, "scope", "tenant.red").mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
		other.exchange(other.idp.token(object{"permissions": []string{"read:orders"}})).mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
		path := "/integrators/" + acme.id + "/scope-rules/"
		s.admin("DELETE", path+first, nil).mustBe(t, http.StatusNoContent)
		if got := acme.exchange(token).mustBe(t, http.StatusOK).text("scope"); got != "orders.read not.reached "+lockScope {
			t.Errorf("granted %q", got)
		}
	})
}

func TestWhoWritesScopeRules(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	id := acme.rule("read:orders", "orders.read")
	mine, theirs := acme.adminToken("integrator.admin"), other.adminToken("integrator.admin")
	list := s.adminAs(mine, "GET", "/integrators/me/scope-rules", nil).mustBe(t, http.StatusOK)
	if items := list.json["items"].([]any); len(items) != 1 || items[0].(object)["scope"] != "orders.read" {
		t.Errorf("got %s", list.body)
	}
	s.adminAs(mine, "POST", "/integrators/me/scope-rules", object{"permission": "a", "scope": "b"}).mustBeProblem(t, http.StatusForbidden, "forbidden")
	s.adminAs(mine, "PATCH", "/integrators/me/scope-rules/"+id, object{"scope": "b"}).mustBeProblem(t, http.StatusForbidden, "forbidden")
	s.adminAs(mine, "DELETE", "/integrators/me/scope-rules/"+id, nil).mustBeProblem(t, http.StatusForbidden, "forbidden")
	s.adminAs(theirs, "GET", "/integrators/me/scope-rules/"+id, nil).mustBeProblem(t, http.StatusNotFound, "not_found")
	s.adminAs(theirs, "GET", "/integrators/"+acme.id+"/scope-rules", nil).mustBeProblem(t, http.StatusNotFound, "not_found")
	s.admin("POST", "/integrators/"+acme.id+"/scope-rules", object{"permission": "read:orders", "scope": "b"}).mustBeProblem(t, http.StatusConflict, "conflict")
	for pointer, body := range map[string]object{
		"/permission": {"permission": "a*b", "scope": "x"}, "/scope": {"permission": "a", "scope": "admin"}, "/order": {"permission": "a", "scope": "x", "order": 1},
	} {
		a := s.admin("POST", "/integrators/"+acme.id+"/scope-rules", body).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
		if a.json["errors"].([]any)[0].(object)["pointer"] != pointer {
			t.Errorf("got %s", a.body)
		}
	}
}

// What a rule entitles to, an integrator may give its clients; when the rule
// goes, so does the scope, and the tokens with it.
func TestClientsLoseScopesOfRulesThatAreGone(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	mine := acme.adminToken("integrator.admin")
	client := object{"client_name": "batch", "scope": "orders.read tenant.blue"}
	s.adminAs(mine, "POST", "/integrators/me/clients", client).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
	orders := acme.rule("read:orders", "orders.read")
	tenants := acme.rule("tenant:*", "tenant.$1")
	created := s.adminAs(mine, "POST", "/integrators/me/clients", client).mustBe(t, http.StatusCreated)
	who := basic(created.text("client_id"), created.text("client_secret"))
	ask := func() answer { return s.post(tokenEndpoint, who, url.Values{"grant_type": {grants.ClientCredentials}}) }
	token := ask().mustBe(t, http.StatusOK).text("access_token")
	s.admin("PATCH", "/integrators/"+acme.id+"/scope-rules/"+tenants, object{"scope": "other.$1"}).mustBe(t, http.StatusOK)
	s.mustBeActive(token, false)
	if got := ask().mustBe(t, http.StatusOK).text("scope"); got != "orders.read" {
		t.Errorf("granted %q", got)
	}
	s.admin("DELETE", "/integrators/"+acme.id+"/scope-rules/"+orders, nil).mustBe(t, http.StatusNoContent)
	ask().mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
}

// A rule that another shadows entitles to nothing: an exchange would not give
// its scope either.
func TestAShadowedRuleEntitlesToNothing(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.rule("orders:admin", "orders.read")
	acme.rule("orders:*", "orders.$1")
	mine := acme.adminToken("integrator.admin")
	s.adminAs(mine, "POST", "/integrators/me/clients", object{"client_name": "x", "scope": "orders.admin"}).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
	s.adminAs(mine, "POST", "/integrators/me/clients", object{"client_name": "x", "scope": "orders.write orders.read"}).mustBe(t, http.StatusCreated)
}
