package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// RFC 7662 §2.1, §4 and the contract: who may ask about which token (INT-01 to
// INT-04), by whatever method its client authenticates.
func TestWhoMayIntrospect(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	locks := s.admin("POST", "/resource-servers", object{"name": "Locks", "audience": apiAudience}).mustBe(t, 201)
	doors := s.admin("POST", "/resource-servers", object{"name": "Doors", "audience": "https://doors.example"}).mustBe(t, 201)
	public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
	sibling, siblingSecret := acme.newClient(object{"client_name": "another of Acme"})
	token := acme.exchange(acme.idp.token(nil), "audience", apiAudience).mustBe(t, 200).text("access_token")
	expired := acme.expiredToken()
	cases := []struct {
		rule   string
		who    option
		body   url.Values
		status int
		active bool
	}{
		{"the resource server it is for", basic(locks.text("client_id"), locks.text("client_secret")), nil, 200, true},
		{"INT-02 another resource server", basic(doors.text("client_id"), doors.text("client_secret")), nil, 200, false},
		{"INT-03 the client it was issued to", acme.authenticated(), nil, 200, true},
		{"the same by post", anonymous, url.Values{"client_id": {acme.clientID}, "client_secret": {acme.secret}}, 200, true},
		{"INT-02 another integrator's client", other.authenticated(), nil, 200, false},
		{"INT-03 another client of the same integrator", basic(sibling, siblingSecret), nil, 200, false},
		{"an operator", basic(testOperator, testOperatorSecret), nil, 200, true},
		{"INT-01 nobody", anonymous, nil, 401, false},
		{"INT-01 a public client, even about its own", anonymous, url.Values{"client_id": {public}}, 401, false},
		{"INT-01 an unknown client", basic("unknown", "x"), nil, 401, false},
		{"INT-01 a wrong secret", basic(acme.clientID, "x"), nil, 401, false},
		{"INT-01 a wrong secret by post", anonymous, url.Values{"client_id": {acme.clientID}, "client_secret": {"x"}}, 401, false},
		{"INT-01 an expired bearer token", header("Authorization", "Bearer "+expired), nil, 401, false},
		{"INT-01 an operator's bearer token", header("Authorization", "Bearer "+s.token), nil, 401, false},
		{"INT-04 the token itself (fosite would take it)", header("Authorization", "Bearer "+token), nil, 401, false},
		{"INT-04 the token as a parameter (fosite would take it)", anonymous, url.Values{"access_token": {token}}, 401, false},
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

// RFC 7662 §2.2: whatever is wrong with a token, the answer is the same, byte
// for byte (INT-07). A token has one spelling (INT-12), and our key signs other
// things than access tokens (INT-16).
func TestInactiveTokens(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	parts := splitDots(s.token)
	revoked := acme.exchange(acme.idp.token(nil)).mustBe(t, 200).text("access_token")
	s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {revoked}}).mustBe(t, 200)
	signed := func(typ string, changes object) string {
		claims := decoded(t, s.token)
		maps.Copy(claims, changes)
		token, err := s.p.ring.Sign(t.Context(), typ, must(json.Marshal(claims)))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	s.mustBeActive(signed("at+jwt", nil), true)
	for rule, token := range map[string]string{
		"unknown": "x", "foreign": acme.idp.token(nil), "expired": acme.expiredToken(), "revoked": revoked,
		"long": strings.Repeat("a", 40<<10), "nested": strings.Repeat("[", 20<<10), "dots": strings.Repeat(".", 40<<10),
		"another issuer under our key": signed("at+jwt", object{"iss": "https://other.example"}), "no jti": signed("at+jwt", object{"jti": ""}),
		"a client that never was": signed("at+jwt", object{"client_id": "x"}), "an integrator that never was": signed("at+jwt", object{"integrator_id": "x"}),
		"a generation to come": signed("at+jwt", object{"gen": []int{0, 9}}),
		"INT-12 spare bits":    parts[0] + "." + parts[1] + "." + flipLast(parts[2]), "INT-12 padding": s.token + "==", "INT-12 four parts": s.token + ".x",
		"INT-12 a newline": parts[0] + "\n." + parts[1] + "." + parts[2], "INT-12 a space before": " " + s.token, "INT-12 cut short": s.token[:len(s.token)-2],
		"INT-12 without signature": parts[0] + "." + parts[1] + ".", "INT-12 with its scheme": "Bearer " + s.token,
		"INT-16 typ JWT": signed("JWT", nil), "INT-16 no typ": signed("", nil), "INT-16 typ logout+jwt": signed("logout+jwt", nil),
		"INT-16 typ token-introspection+jwt":     signed("token-introspection+jwt", nil),
		"INT-16 our signature under another typ": strings.Join([]string{encodePart(t, object{"alg": "ES256", "typ": "JWT"}), parts[1], parts[2]}, "."),
	} {
		t.Run(rule, func(t *testing.T) {
			a := s.introspect(token).mustBe(t, http.StatusOK)
			delete(a.header, "Date")
			delete(a.header, requestIDHeader) // 22 random characters, whatever the token
			want := http.Header{
				"Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, "Content-Type": {"application/json"}, "Content-Length": {"16"}, "X-Content-Type-Options": {"nosniff"},
			}
			if a.body != `{"active":false}` || !reflect.DeepEqual(a.header, want) {
				t.Errorf("%s %v", a.body, a.header)
			}
		})
	}
}

// RFC 7662 §2.1, RFC 7009 §2.1, RFC 6749 §3.2, RFC 6750 §5.3: one token, in the
// body (INT-05, INT-09, REV-04). TestMethods has the other methods.
func TestTheTokenParameter(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	good := "token=" + s.token
	for _, c := range []struct {
		rule, path, body string
		status           int
	}{
		{"no token", "", "x=y", 400},
		{"an empty body", "", "", 400},
		{"an empty token", "", "token=", 400},
		{"INT-09 token twice", "", good + "&token=b", 400},
		{"INT-09 the same token twice", "", good + "&" + good, 400},
		{"INT-09 two hints", "", good + "&token_type_hint=a&token_type_hint=b", 400},
		{"INT-05 token in the URL", "?" + good, "", 400},
		{"INT-05 token in the URL and in the body", "?" + good, good, 400},
		{"INT-05 access_token in the URL", "?access_token=" + s.token, good, 400},
		{"INT-07 1 MiB", "", "token=" + strings.Repeat("a", 1<<20), 413},
	} {
		t.Run(c.rule, func(t *testing.T) {
			for _, endpoint := range []string{introspectEndpoint, revokeEndpoint} {
				a := s.do("POST", endpoint+c.path, c.body, basic(testOperator, testOperatorSecret), header("Content-Type", formType))
				a.mustRefuse(t, c.status, grants.InvalidRequest, "")
			}
			s.mustBeActive(s.token, true)
		})
	}
	s.mustNotLog(s.token)
}

// expiredToken gives a token that was good, a moment ago.
func (p *party) expiredToken() string {
	t := p.s.t
	t.Helper()
	brief, secret := p.newClient(object{"client_name": "brief", "scope": "read", "access_token_ttl": 1})
	token := p.s.post(tokenEndpoint, basic(brief, secret), url.Values{"grant_type": {grants.ClientCredentials}}).mustBe(t, 200).text("access_token")
	time.Sleep(time.Until(time.Unix(int64(decoded(t, token)["exp"].(float64)), 0)))
	return token
}

func decoded(t testing.TB, token string) object {
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

// RFC 7009 §2.1, §2.2 and the contract (REV-01 to REV-03, REV-07, REV-10).
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
		t.Run("REV-03 another client's token: 200 without effect, and a line in the log", func(t *testing.T) {
			sibling, secret := acme.newClient(object{"client_name": "another of Acme"})
			for _, who := range []option{other.authenticated(), basic(sibling, secret), basic(testOperator, testOperatorSecret)} {
				s.post(revokeEndpoint, who, url.Values{"token": {token}}).mustBe(t, 200)
				s.mustBeActive(token, true)
			}
			if n := strings.Count(s.log.String(), `"jti":"`+decoded(t, token)["jti"].(string)+`"`); n != 4 { // the issue and three tries
				t.Errorf("%d lines in the log", n)
			}
		})
		t.Run("REV-02 unknown, expired and malformed tokens: 200", func(t *testing.T) {
			for _, unknown := range []string{"x", "a.b.c", acme.idp.token(nil), acme.expiredToken(), s.token + "x", strings.Repeat("[", 20<<10)} {
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
		t.Run("REV-01, REV-07 its own, twice, whatever the hint", func(t *testing.T) {
			for _, hint := range []string{"access_token", "refresh_token", "unknown", ""} {
				mine := issue()
				for range 2 {
					a := s.post(revokeEndpoint, acme.authenticated(), url.Values{"token": {mine}, "token_type_hint": {hint}}).mustBe(t, 200)
					if a.body != "" {
						t.Errorf("answers %q", a.body)
					}
					s.mustBeActive(mine, false) // REV-10: SECURITY.md says what those learn who verify offline
				}
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

// Generations: what kills every token at once, and that nothing revives them
// (REV-08; how long it takes is TestRevokingEverything's).
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
