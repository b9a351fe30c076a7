package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// share links a lock holder to another party as well.
func (p *party) share(holder string) {
	p.s.t.Helper()
	p.s.admin("PUT", "/integrators/"+p.id+"/lock-holders/"+holder, nil).mustBe(p.s.t, http.StatusNoContent)
}

// XTI-01, XTI-02, XTI-08: what belongs to one integrator is nothing to another.
func TestIntegratorsAreApart(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, other := s.newParty("Acme"), s.newParty("Other")
		other.share(acme.manage("919424508", "east")) // a lock holder may have several (peers.md §6 [O])
		other.idp.kid = "key-2"

		t.Run("XTI-01: a token of A through B's client, and A's URL is not even fetched", func(t *testing.T) {
			other.exchange(acme.idp.token(nil)).mustRefuse(t, 400, grants.InvalidRequest, grants.IssuerUnknown)
			if n := acme.idp.fetches.Load() + other.idp.fetches.Load(); n != 0 {
				t.Errorf("%d fetches", n)
			}
		})
		t.Run("XTI-02: B's key, by its own kid, under A's issuer", func(t *testing.T) {
			acme.exchange(other.idp.sign(object{"alg": "RS256", "kid": "key-2"}, acme.idp.claims(nil))).mustRefuse(t, 400, grants.InvalidRequest, grants.KeyNotFound)
		})
		t.Run("XTI-02: B's key, by A's kid, under A's issuer", func(t *testing.T) {
			acme.exchange(other.idp.sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(nil))).mustRefuse(t, 400, grants.InvalidRequest, grants.SignatureInvalid)
		})
		t.Run("XTI-02: the other way round", func(t *testing.T) {
			acme.exchange(acme.idp.sign(object{"alg": "RS256", "kid": "key-1"}, other.idp.claims(nil))).mustRefuse(t, 400, grants.InvalidRequest, grants.IssuerUnknown)
		})
		if n := other.idp.fetches.Load(); n != 0 {
			t.Errorf("%d fetches of B's URL for A's client", n)
		}
		t.Run("XTI-08: the same sub of both", func(t *testing.T) {
			one := s.introspect(acme.exchange(acme.idp.token(nil)).mustBe(t, 200).text("access_token"))
			two := s.introspect(other.exchange(other.idp.token(nil)).mustBe(t, 200).text("access_token"))
			if one.text("sub") == two.text("sub") || one.text("integrator_id") != acme.id || two.text("integrator_id") != other.id {
				t.Errorf("%s\n%s", one.body, two.body)
			}
			if one.text("sub") != acme.idp.issuer+"#auth0|5934aafe4e52d93452b1c90" {
				t.Errorf("sub %s", one.text("sub"))
			}
		})
	})
}

// XTI-06, peers.md §5.4: a key belongs to the issuer whose key URL it is from,
// and two issuers at one URL (as Entra's are) share neither rules nor keys.
func TestIssuersOfOneIntegratorAreApart(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	second := newTestIDP(t, s.url)
	path := "/integrators/" + acme.id + "/key-urls"
	s.admin("POST", path, object{"issuer": second.issuer, "url": second.url("/jwks.json")}).mustBe(t, 201)
	for rule, token := range map[string]string{
		"a key of the first": acme.idp.sign(object{"alg": "RS256", "kid": "key-1"}, second.claims(nil)), "a key of the second": second.sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(nil)),
	} {
		t.Run("XTI-06: "+rule, func(t *testing.T) {
			acme.exchange(token).mustRefuse(t, 400, grants.InvalidRequest, grants.SignatureInvalid)
		})
	}
	acme.exchange(second.token(nil)).mustBe(t, 200)

	tenants := []string{"https://login.example/one/v2.0", "https://login.example/two/v2.0"}
	for i, issuer := range tenants {
		s.admin("POST", path, object{"issuer": issuer, "url": second.url("/jwks.json"), "audiences": []string{"aud-" + string('1'+rune(i))}}).mustBe(t, 201)
	}
	t.Run("two issuers at one URL: its own rules", func(t *testing.T) {
		acme.exchange(second.token(object{"iss": tenants[0], "aud": "aud-1"})).mustBe(t, 200)
		acme.exchange(second.token(object{"iss": tenants[1], "aud": "aud-2"})).mustBe(t, 200)
	})
	t.Run("two issuers at one URL: not the other's rules", func(t *testing.T) {
		acme.exchange(second.token(object{"iss": tenants[0], "aud": "aud-2"})).mustRefuse(t, 400, grants.InvalidRequest, grants.AudienceMismatch)
	})
}

// XTI-04: two integrators may name one key URL, and share nothing by it: each
// has its own keys, its own cache and its own replay names (XTI-07).
func TestIntegratorsAtOneKeyURL(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	other.share(acme.manage("919424508", "east"))
	s.admin("POST", "/integrators/"+other.id+"/key-urls", object{"issuer": acme.idp.issuer, "url": acme.idp.url("/jwks.json"), "single_use": true}).mustBe(t, 201)
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"single_use": true}).mustBe(t, 200)
	token := acme.idp.token(object{"jti": "one"})
	t.Run("XTI-04: each fetches for itself", func(t *testing.T) {
		acme.exchange(token).mustBe(t, 200)
		if n := acme.idp.fetches.Load(); n != 1 {
			t.Errorf("%d fetches for the first integrator", n)
		}
	})
	t.Run("XTI-07: one issuer and jti, once for each", func(t *testing.T) {
		issued := other.exchange(token).mustBe(t, 200)
		if n := acme.idp.fetches.Load(); n != 2 {
			t.Errorf("%d fetches for both: the second used the first one's keys", n)
		}
		if claims := decoded(t, issued.text("access_token")); claims["integrator_id"] != other.id {
			t.Errorf("claims %v", claims)
		}
		for _, p := range []*party{acme, other} {
			p.exchange(token).mustRefuse(t, 400, grants.InvalidRequest, grants.Replayed)
		}
	})
}

// XTI-04: an issuer has one integrator, unless an operator lets two share it;
// a key URL may have any number.
func TestWhoMayRegisterAnIssuer(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, other := s.newParty("Acme"), s.newParty("Other")
		mine := other.adminToken("integrator.admin")
		squat := object{"issuer": acme.idp.issuer, "url": "https://other.example/jwks.json"}
		t.Run("XTI-04: another's issuer", func(t *testing.T) {
			s.adminAs(mine, "POST", "/integrators/me/key-urls", squat).mustBeProblem(t, 409, "conflict")
			s.adminAs(mine, "PATCH", "/integrators/me/key-urls/"+other.keyURL, object{"issuer": acme.idp.issuer}).mustBeProblem(t, 409, "conflict")
		})
		t.Run("XTI-04: another's key URL", func(t *testing.T) {
			s.admin("POST", "/integrators/"+acme.id+"/key-urls", object{"issuer": "https://acme.example/", "url": "https://idp.example/jwks.json"}).mustBe(t, 201)
			s.adminAs(mine, "POST", "/integrators/me/key-urls", object{"issuer": "https://other.example/", "url": "https://idp.example/jwks.json"}).mustBe(t, 201)
		})
		t.Run("XTI-04: a squatter is overruled by the operator", func(t *testing.T) {
			s.adminAs(mine, "POST", "/integrators/me/key-urls", object{"issuer": "https://squatted.example/", "url": "https://other.example/jwks.json"}).mustBe(t, 201)
			s.admin("POST", "/integrators/"+acme.id+"/key-urls", object{"issuer": "https://squatted.example/", "url": acme.idp.url("/jwks.json")}).mustBe(t, 201)
			acme.manage("919424508", "east")
			acme.exchange(acme.idp.token(object{"iss": "https://squatted.example/"})).mustBe(t, 200)
		})
	})
}

// CLM-01, XTI-04: an issuer is what was registered, byte by byte (RFC 8725
// §3.8). Whoever has a spelling of another's gets nothing of the other's by it,
// and gets the spelling from an operator only.
func TestSpellingsOfAnIssuer(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	other.share(acme.manage("919424508", "east"))
	mine := other.adminToken("integrator.admin")
	const registered = "https://xn--acm-yla.example/tenant"
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"issuer": registered, "clientless": true}).mustBe(t, 200)
	acme.exchange(acme.idp.token(object{"iss": registered})).mustBe(t, 200)
	for rule, issuer := range map[string]string{
		"a slash": registered + "/", "its port": "https://xn--acm-yla.example:443/tenant", "a host in capitals": "https://XN--ACM-YLA.EXAMPLE/tenant",
		"a scheme in capitals": "HTTPS://xn--acm-yla.example/tenant", "a path in capitals": "https://xn--acm-yla.example/Tenant", "a final dot": "https://xn--acm-yla.example./tenant",
		"an escape": "https://xn--acm-yla.example/%74enant", "dot segments": "https://xn--acm-yla.example/x/../tenant", "http": "http://xn--acm-yla.example/tenant",
		"a user": "https://xn--acm-yla.example@evil.example/tenant", "no scheme": "xn--acm-yla.example/tenant", "an empty query": registered + "?",
		"Unicode instead of punycode": "https://acm\u00e9.example/tenant", "a space": registered + " ",
	} {
		t.Run("XTI-04: "+rule, func(t *testing.T) {
			spelt := object{"iss": issuer}
			acme.exchange(acme.idp.token(spelt)).mustRefuse(t, 400, grants.InvalidRequest, grants.IssuerUnknown)
			s.post(tokenEndpoint, anonymous, exchangeForm(acme.idp.token(spelt))).mustRefuse(t, 400, grants.InvalidRequest, "")
			a := s.admin("POST", "/integrators/"+other.id+"/key-urls", object{"issuer": issuer, "url": other.idp.url("/jwks.json"), "clientless": true})
			claim := object{"issuer": issuer, "url": "https://other.example/jwks.json"}
			if strings.ContainsAny(issuer, " \u00e9") { // no iss of either kind can be registered
				a.mustBeProblem(t, 422, "invalid")
				return
			}
			a.mustBe(t, 201)
			forged := other.idp.sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(object{"iss": registered}))
			acme.exchange(forged).mustRefuse(t, 400, grants.InvalidRequest, grants.SignatureInvalid)
			other.exchange(forged).mustRefuse(t, 400, grants.InvalidRequest, grants.IssuerUnknown)
			s.post(tokenEndpoint, anonymous, exchangeForm(forged)).mustRefuse(t, 400, grants.InvalidRequest, "")
			own := other.exchange(other.idp.token(spelt)).mustBe(t, 200).text("access_token")
			if claims := decoded(t, own); claims["integrator_id"] != other.id || claims["sub"] != issuer+"#auth0|5934aafe4e52d93452b1c90" {
				t.Errorf("claims %v", claims)
			}
			s.admin("DELETE", a.header.Get("Location")[len("/admin/v1"):], nil).mustBe(t, 204)
			if rule != "a user" { // whose host is evil.example
				s.adminAs(mine, "POST", "/integrators/me/key-urls", claim).mustBeProblem(t, 409, "conflict")
			}
		})
	}
}

// XTI-12: an id that is empty, zero or a wildcard names nobody. gorm drops
// zero values from a condition, and the condition would be gone.
func TestEmptyIdsNameNobody(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		mine := acme.adminToken("integrator.admin")
		for _, id := range []string{"", "%20", "0", "00000000-0000-0000-0000-000000000000", "null", "*", "%25", "_", "me%00", "..", "%2e%2e", "'%20OR%201=1--"} {
			t.Run("XTI-12: "+id, func(t *testing.T) {
				for _, call := range []string{
					"GET /integrators/" + id + "/key-urls", "GET /integrators/" + id + "/clients", "GET /integrators/" + id + "/lock-holders", "DELETE /integrators/" + id,
					"GET /integrators/" + id + "/exchanges", "GET /integrators/" + id + "/scope-rules", "DELETE /integrators/" + acme.id + "/scope-rules/" + id,
					"POST /integrators/" + id + "/tokens/revoke", "DELETE /integrators/" + acme.id + "/clients/" + id, "DELETE /integrators/" + acme.id + "/key-urls/" + id,
					"DELETE /integrators/" + acme.id + "/lock-holders/" + id, "GET /lock-holders/" + id + "/x", "DELETE /resource-servers/" + id,
				} {
					method, path, _ := strings.Cut(call, " ")
					for _, token := range []string{s.token, mine} {
						if a := s.adminAs(token, method, path, nil); a.status < 400 || a.status >= 500 {
							t.Errorf("%s: %d %s", call, a.status, a.body)
						}
					}
				}
			})
		}
		s.mustBeUntouched(acme)
		s.mustBeActive(mine, true)
		if list := s.admin("GET", "/integrators", nil).mustBe(t, 200).json["items"].([]any); len(list) != 1 {
			t.Errorf("%d integrators", len(list))
		}
		// A token without an integrator is nobody's, however it asks.
		nobody := s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), exchangeForm(acme.idp.token(nil)))
		nobody.mustRefuse(t, 400, grants.UnauthorizedClient, "")
	})
}
