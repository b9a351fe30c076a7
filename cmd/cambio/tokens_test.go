package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// RFC 7662 and the contract: who may ask about which token.
func TestWhoMayIntrospect(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	locks := s.admin("POST", "/resource-servers", object{"name": "Locks", "audience": apiAudience}).mustBe(t, 201)
	doors := s.admin("POST", "/resource-servers", object{"name": "Doors", "audience": "https://doors.example"}).mustBe(t, 201)
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	token := acme.exchange(acme.idp.token(nil), "audience", apiAudience).mustBe(t, 200).text("access_token")
	cases := []struct {
		rule   string
		who    option
		body   url.Values
		status int
		active bool
	}{
		{"the resource server it is for", basic(locks.text("client_id"), locks.text("client_secret")), nil, 200, true},
		{"another resource server", basic(doors.text("client_id"), doors.text("client_secret")), nil, 200, false},
		{"the client it was issued to", acme.authenticated(), nil, 200, true},
		{"the same by post", anonymous, url.Values{"client_id": {acme.clientID}, "client_secret": {acme.secret}}, 200, true},
		{"another integrator's client", other.authenticated(), nil, 200, false},
		{"an operator", basic(testOperator, testOperatorSecret), nil, 200, true},
		{"nobody", anonymous, nil, 401, false},
		{"a public client", anonymous, url.Values{"client_id": {public}}, 401, false},
		{"a wrong secret", basic(acme.clientID, "x"), nil, 401, false},
		{"the token itself (fosite would take it)", header("Authorization", "Bearer "+token), nil, 401, false},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			form := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}
			for name, values := range c.body {
				form[name] = values
			}
			a := s.post(introspectEndpoint, c.who, form)
			switch {
			case c.status == http.StatusUnauthorized:
				a.mustRefuse(t, 401, grants.InvalidClient, "")
			case c.active:
				if a.mustBe(t, 200).json["active"] != true {
					t.Errorf("inactive: %s", a.body)
				}
			case a.mustBe(t, 200).body != `{"active":false}`:
				t.Errorf("says %s", a.body)
			}
		})
	}
}

// RFC 7662 §2.2: whatever is wrong with a token, the answer is the same.
func TestInactiveTokens(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	parts := splitDots(s.token)
	altered := parts[0] + "." + parts[1] + "." + flipLast(parts[2])
	brief, secret := acme.newClient(object{"client_name": "brief", "scope": "read", "access_token_ttl": 1})
	expired := s.post(tokenEndpoint, basic(brief, secret), url.Values{"grant_type": {grants.ClientCredentials}}).mustBe(t, 200).text("access_token")
	time.Sleep(time.Until(time.Unix(int64(decoded(t, expired)["exp"].(float64)), 0)))
	for rule, token := range map[string]string{
		"unknown": "x", "foreign": acme.idp.token(nil), "altered in its spare bits": altered, "expired": expired,
		"with a newline": parts[0] + "\n." + parts[1] + "." + parts[2], "four parts": s.token + ".x", "long": strings.Repeat("a", 40<<10),
		"our key under another type": strings.Join([]string{encodePart(t, object{"alg": "ES256", "typ": "JWT"}), parts[1], parts[2]}, "."),
	} {
		t.Run(rule, func(t *testing.T) { s.mustBeActive(token, false) })
	}
	for rule, form := range map[string]url.Values{"no token": {"x": {"y"}}, "an empty token": {"token": {""}}, "token twice": {"token": {"a", "b"}}} {
		t.Run(rule, func(t *testing.T) {
			s.post(introspectEndpoint, basic(testOperator, testOperatorSecret), form).mustRefuse(t, 400, grants.InvalidRequest, "")
			s.post(revokeEndpoint, basic(testOperator, testOperatorSecret), form).mustRefuse(t, 400, grants.InvalidRequest, "")
		})
	}
}

func decoded(t *testing.T, token string) object {
	_, claims := decodeToken(t, token)
	return claims
}

// flipLast changes the last character into another spelling of the same bits
// where there is one.
func flipLast(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + string(alphabet[last^1])
}

// RFC 7009 and the contract.
func TestRevocation(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, other := s.newParty("Acme"), s.newParty("Other")
		acme.manage("919424508", "east")
		public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
		issue := func(form ...string) string {
			return s.post(tokenEndpoint, acme.authenticated(), exchangeForm(acme.idp.token(nil), form...)).mustBe(t, 200).text("access_token")
		}
		token, sibling := issue(), issue()
		t.Run("another client's token: 200 without effect", func(t *testing.T) {
			s.post(revokeEndpoint, other.authenticated(), url.Values{"token": {token}}).mustBe(t, 200)
			s.mustBeActive(token, true)
		})
		t.Run("unknown tokens: 200", func(t *testing.T) {
			for _, unknown := range []string{"x", "a.b.c", acme.idp.token(nil)} {
				a := s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {unknown}}).mustBe(t, 200)
				if a.body != "" || a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%q %v", a.body, a.header)
				}
			}
		})
		t.Run("nobody: 401", func(t *testing.T) {
			s.post(revokeEndpoint, anonymous, url.Values{"token": {token}}).mustRefuse(t, 401, grants.InvalidClient, "")
			s.post(revokeEndpoint, basic(acme.clientID, "x"), url.Values{"token": {token}}).mustRefuse(t, 401, grants.InvalidClient, "")
			s.mustBeActive(token, true)
		})
		t.Run("its own, twice, whatever the hint", func(t *testing.T) {
			for range 2 {
				s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {token}, "token_type_hint": {"unknown"}}).mustBe(t, 200)
				s.mustBeActive(token, false)
			}
			s.mustBeActive(sibling, true)
		})
		t.Run("a public client its own", func(t *testing.T) {
			mine := s.post(tokenEndpoint, anonymous, exchangeForm(acme.idp.token(nil), "client_id", public)).mustBe(t, 200).text("access_token")
			s.post(revokeEndpoint, anonymous, url.Values{"token": {mine}, "client_id": {public}}).mustBe(t, 200)
			s.mustBeActive(mine, false)
		})
	})
}

// Generations: what kills every token at once, and that nothing revives them.
func TestTokensDieWithWhatTheyCameFrom(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		kill := map[string]func(p *party){
			"the integrator is disabled and enabled": func(p *party) {
				s.admin("PATCH", "/integrators/"+p.id, object{"status": "disabled"}).mustBe(t, 200)
				p.exchange(p.idp.token(nil)).mustRefuse(t, 400, grants.InvalidRequest, grants.IntegratorDisabled)
				s.admin("PATCH", "/integrators/"+p.id, object{"status": "active"}).mustBe(t, 200)
			},
			"the integrator is deleted": func(p *party) { s.admin("DELETE", "/integrators/"+p.id, nil).mustBe(t, 204) },
			"the client is disabled and enabled": func(p *party) {
				path := "/integrators/" + p.id + "/clients/" + p.clientID
				s.admin("PATCH", path, object{"status": "disabled"}).mustBe(t, 200)
				p.exchange(p.idp.token(nil)).mustRefuse(t, 401, grants.InvalidClient, "")
				s.admin("PATCH", path, object{"status": "active"}).mustBe(t, 200)
			},
			"the client is deleted":  func(p *party) { s.admin("DELETE", "/integrators/"+p.id+"/clients/"+p.clientID, nil).mustBe(t, 204) },
			"all tokens are revoked": func(p *party) { s.admin("POST", "/integrators/"+p.id+"/tokens/revoke", nil).mustBe(t, 204) },
		}
		n := 0
		for rule, act := range kill {
			n++
			t.Run(rule, func(t *testing.T) {
				p := s.newParty(rule)
				holder := s.admin("POST", "/lock-holders", object{"name": rule, "country_iso": "SE", "organization_id": "1000", "organization_id_suffix": rule[len(rule)-3:] + string(rune('a'+n))})
				s.admin("PUT", "/integrators/"+p.id+"/lock-holders/"+holder.mustBe(t, 201).text("id"), nil).mustBe(t, 204)
				permission := "lockHolder.identifier:SE.1000." + holder.text("organization_id_suffix")
				token := p.exchange(p.idp.token(object{"permissions": []string{permission}})).mustBe(t, 200).text("access_token")
				s.mustBeActive(token, true)
				act(p)
				s.mustBeActive(token, false)
			})
		}
	})
}

// All tokens of one subject, by the name its identity provider knows it by.
func TestRevocationOfASubject(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		issue := func(subject string) string {
			return acme.exchange(acme.idp.token(object{"sub": subject})).mustBe(t, 200).text("access_token")
		}
		path := "/integrators/" + acme.id + "/tokens/revoke"
		for _, body := range []object{{"subject": ""}, {"subject": 1}, {"subjects": "x"}, {"subject": strings.Repeat("a", 1025)}} {
			s.admin("POST", path, body).mustBeProblem(t, 422, "invalid")
		}
		first, second, other := issue("user-1"), issue("user-1"), issue("user-2")
		s.admin("POST", path, object{"subject": "user-1"}).mustBe(t, 204)
		s.mustBeActive(first, false)
		s.mustBeActive(second, false)
		s.mustBeActive(other, true)
		s.admin("POST", path, object{"subject": acme.idp.issuer + "#user-2"}).mustBe(t, 204)
		s.mustBeActive(other, false)
		s.mustBeActive(acme.adminToken("integrator.admin"), true)
	})
}
