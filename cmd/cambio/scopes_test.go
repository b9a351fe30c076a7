package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// interface.md "Scopes of an exchange": granted = convert(permissions) ∩
// entitlements ∩ the client's scope ∩ the requested scope.
func TestScopesOfAnExchange(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	acme.manage("919424508", "")
	other.manage("425234653", "north")
	const empty = "lockHolder.identifier:NO.919424508."
	limited, secret := acme.newClient(object{"client_name": "limited", "scope": empty})
	both := []string{lockScope, empty}
	cases := []struct {
		rule        string
		permissions any
		scope       string
		limited     bool
		granted     string // empty: refused with invalid_scope
	}{
		{"all that it manages", both, "", false, lockScope + " " + empty},
		{"the requested part", both, empty, false, empty},
		{"the order of the permissions", both, empty + " " + lockScope, false, lockScope + " " + empty},
		{"the client's part", both, "", true, empty},
		{"a requested scope beyond the client's", both, lockScope, true, ""},
		{"a requested scope beyond the permissions", []string{empty}, lockScope, false, ""},
		{"partly allowed is refused", both, lockScope + " " + otherLockScope, false, ""},
		{"another integrator's lock holder", []string{otherLockScope}, "", false, ""},
		{"another integrator's lock holder, requested", []string{lockScope, otherLockScope}, otherLockScope, false, ""},
		{"an unknown lock holder", []string{"lockHolder.identifier:NO.999999999.x"}, "", false, ""},
		{"duplicates collapse", []string{lockScope, lockScope}, "", false, lockScope},
		{"no hierarchy: the empty suffix does not cover others", []string{"lockHolder.identifier:NO.919424508.west"}, "", false, ""},
		{"other case", []string{"lockHolder.identifier:no.919424508.east"}, "", false, ""},
		{"the dot of an empty suffix is needed", []string{"lockHolder.identifier:NO.919424508"}, "", false, ""},
		{"two scopes in one entry", []string{lockScope + " integrator.admin"}, "", false, ""},
		{"scopes of Cambio itself", []string{"admin", "integrator.admin"}, "", false, ""},
		{"scopes of Cambio itself, requested", both, "integrator.admin", false, ""},
		{"patterns", []string{"lockHolder.identifier:NO.*.", "lockHolder.*", "*"}, "", false, ""},
		{"no permissions", nil, "", false, ""},
		{"an empty list", []string{}, "", false, ""},
		{"an empty scope parameter is none", both, " ", false, lockScope + " " + empty},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			who := acme.authenticated()
			if c.limited {
				who = basic(limited, secret)
			}
			a := s.post(tokenEndpoint, who, exchangeForm(acme.idp.token(object{"permissions": c.permissions}), "scope", c.scope))
			if c.granted == "" {
				a.mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
				return
			}
			a.mustBe(t, http.StatusOK)
			if a.text("scope") != c.granted {
				t.Errorf("granted %q, want %q", a.text("scope"), c.granted)
			}
			_, claims := decodeToken(t, a.text("access_token"))
			if ids, _ := claims["lock_holder_ids"].([]any); len(ids) != len(strings.Split(c.granted, " ")) || claims["scope"] != c.granted {
				t.Errorf("claims %v", claims)
			}
		})
	}
}

// A lock holder that is taken away is gone at the next exchange.
func TestUnlinkIsAtOnce(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	holder := acme.manage("919424508", "east")
	acme.exchange(acme.idp.token(nil)).mustBe(t, http.StatusOK)
	s.admin("DELETE", "/integrators/"+acme.id+"/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent)
	acme.exchange(acme.idp.token(nil)).mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
}

// What an integrator has lost, its client credentials lose too.
func TestUnlinkEndsClientCredentials(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	holder := acme.manage("919424508", "east")
	id, secret := acme.newClient(object{"client_name": "machine", "scope": lockScope})
	form := url.Values{"grant_type": {grants.ClientCredentials}}
	token := s.post(tokenEndpoint, basic(id, secret), form).mustBe(t, 200).text("access_token")
	s.admin("DELETE", "/integrators/"+acme.id+"/lock-holders/"+holder, nil).mustBe(t, 204)
	s.mustBeActive(token, false)
	s.post(tokenEndpoint, basic(id, secret), form).mustRefuse(t, 400, grants.InvalidScope, "")
	s.post(tokenEndpoint, basic(id, secret), exchangeForm(acme.idp.token(nil))).mustRefuse(t, 400, grants.InvalidScope, "")
	path := "/integrators/" + acme.id + "/clients/" + id
	if a := s.admin("PATCH", path, object{"client_name": "renamed"}).mustBe(t, 200); a.text("scope") != "" || a.json["scope"] == nil {
		t.Errorf("no scope must not become no limit: %s", a.body)
	}
	s.admin("PATCH", path, object{"scope": "read"}).mustBe(t, 200)
	s.post(tokenEndpoint, basic(id, secret), form).mustBe(t, 200)
}

// PRO-23, interface.md: client credentials get requested ∩ the client's scope,
// and never what a client was not given. Scopes beyond the integrator are kept
// out of the client (TestClientScopeIsNoWayUp, TestUnlinkEndsClientCredentials).
func TestScopesOfClientCredentials(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	client, secret := acme.newClient(object{"client_name": "reader", "scope": "read write integrator.admin"})
	restricted, restrictedSecret := acme.newClient(object{"client_name": "restricted", "scope": "read"})
	none, noneSecret := acme.newClient(object{"client_name": "none"})
	exchangeOnly, exchangeSecret := acme.newClient(object{"client_name": "exchange only", "grant_types": []string{grants.TokenExchange}, "scope": "read"})
	cases := []struct {
		rule    string
		who     option
		scope   string
		granted string
		code    grants.Code
	}{
		{"nothing requested is all of the client's", basic(client, secret), "", "read write integrator.admin", ""},
		{"a part", basic(client, secret), "write", "write", ""},
		{"beyond the client's", basic(client, secret), "read admin", "", grants.InvalidScope},
		{"integrator.admin of a client that has it not", basic(restricted, restrictedSecret), "integrator.admin", "", grants.InvalidScope},
		{"a pattern", basic(client, secret), "*", "", grants.InvalidScope},
		{"below the client's", basic(client, secret), "read.all", "", grants.InvalidScope},
		{"an empty scope is none (RFC 6749 §3.2)", basic(restricted, restrictedSecret), "  ", "read", ""},
		{"other case", basic(client, secret), "READ", "", grants.InvalidScope},
		{"a client without scope", basic(none, noneSecret), "", "", grants.InvalidScope},
		{"a client without the grant", basic(exchangeOnly, exchangeSecret), "", "", grants.UnauthorizedClient},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a := s.post(tokenEndpoint, c.who, url.Values{"grant_type": {grants.ClientCredentials}, "scope": {c.scope}})
			if c.code != "" {
				a.mustRefuse(t, http.StatusBadRequest, c.code, "")
				return
			}
			a.mustBe(t, http.StatusOK)
			_, claims := decodeToken(t, a.text("access_token"))
			if a.text("scope") != c.granted || claims["scope"] != c.granted || claims["sub"] != claims["client_id"] || claims["integrator_id"] != acme.id {
				t.Errorf("%s %v", a.body, claims)
			}
			if _, ok := a.json["issued_token_type"]; ok {
				t.Error("issued_token_type is of RFC 8693 only")
			}
		})
	}
	t.Run("XTI-11: a client without the exchange grant", func(t *testing.T) {
		cc, ccSecret := acme.newClient(object{"client_name": "cc", "grant_types": []string{grants.ClientCredentials}, "scope": "read"})
		s.post(tokenEndpoint, basic(cc, ccSecret), exchangeForm(acme.idp.token(nil))).mustRefuse(t, 400, grants.UnauthorizedClient, "")
	})
	t.Run("the operator may exchange nothing", func(t *testing.T) {
		s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), exchangeForm(acme.idp.token(nil))).mustRefuse(t, 400, grants.UnauthorizedClient, "")
	})
}

// Which scope, and what it lacks, is for the client that authenticated: a
// stranger's page gets no word of his own back.
func TestWhatARefusedScopeLacks(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	limited, secret := acme.newClient(object{"client_name": "limited", "scope": "integrator.admin"})
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	token := acme.idp.token(object{"permissions": []string{lockScope}})
	mine := basic(limited, secret)
	form := func(members ...string) url.Values {
		form := exchangeForm(token)
		for i := 0; i < len(members); i += 2 {
			form.Set(members[i], members[i+1])
		}
		return form
	}
	credentials := url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"orders.read"}}
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": true}).mustBe(t, 200)
	cases := []struct {
		rule string
		who  option
		form url.Values
		says string // empty: nothing more than the fixed text
	}{
		{"the client's scope", mine, form("scope", lockScope), "(expected a scope of this client's, which are integrator.admin; found " + lockScope + ")"},
		{"the permissions", acme.authenticated(), form("scope", lockScope+" orders.read"), "(expected a scope that the permissions of the subject token give this integrator; found orders.read)"},
		{"client credentials", mine, credentials, "(expected integrator.admin; found orders.read)"},
		{"an audience", acme.authenticated(), form("audience", "https://api.example"), "byte for byte, including a final slash; found https://api.example)"},
		{"a stranger's scope", anonymous, form("scope", "orders.read"), ""},
		{"a public client's scope", anonymous, form("scope", "orders.read", "client_id", public), ""},
		{"a stranger's audience", anonymous, form("audience", "https://api.example"), ""},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			a := s.post(tokenEndpoint, c.who, c.form).mustBe(t, 400)
			description := a.text("error_description")
			if !strings.HasSuffix(description, c.says) || c.says == "" && (strings.Contains(description, "expected") || strings.Contains(description, "orders.read") || strings.Contains(description, "api.example")) {
				t.Errorf("says %q, want %q", description, c.says)
			}
		})
	}
}
