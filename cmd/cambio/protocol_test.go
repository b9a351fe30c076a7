package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// PRO-10 to PRO-13 and peers.md §5.1: the parameters of RFC 8693 §2.1.
func TestExchangeParameters(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	acme.manage("919424508", "east")
	const urn = "urn:ietf:params:oauth:token-type:"
	token, ok, refused := acme.idp.token(nil), true, false
	cases := []struct {
		rule   string
		form   []string // over a good request; a name without a value is left out
		ok     bool
		reason grants.Reason
	}{
		{"PRO-10: no subject_token", []string{"subject_token"}, refused, ""},
		{"PRO-10: an empty subject_token", []string{"subject_token", ""}, refused, ""},
		{"PRO-10: no subject_token_type", []string{"subject_token_type"}, refused, ""},
		{"PRO-10: an empty subject_token_type", []string{"subject_token_type", ""}, refused, ""},
		{"PRO-11: subject_token_type access_token, for a JWT of a registered issuer", []string{"subject_token_type", grants.TokenTypeAccessToken}, ok, ""},
		{"PRO-11: subject_token_type id_token where the key URL has it off", []string{"subject_token_type", grants.TokenTypeIDToken}, refused, grants.WrongTokenKind},
		{"PRO-11: subject_token_type refresh_token", []string{"subject_token_type", urn + "refresh_token"}, refused, ""},
		{"PRO-11: subject_token_type saml1", []string{"subject_token_type", urn + "saml1"}, refused, ""},
		{"PRO-11: subject_token_type saml2", []string{"subject_token_type", urn + "saml2"}, refused, ""},
		{"PRO-11: subject_token_type unknown", []string{"subject_token_type", "https://acme.example/token"}, refused, ""},
		{"PRO-11: subject_token_type in other case", []string{"subject_token_type", strings.ToUpper(grants.TokenTypeJWT)}, refused, ""},
		{"PRO-11: subject_token_type in short", []string{"subject_token_type", "jwt"}, refused, ""},
		{"PRO-11: subject_token_type and a space", []string{"subject_token_type", grants.TokenTypeJWT + " "}, refused, ""},
		{"PRO-11: an opaque access token", []string{"subject_token", "2YotnFZFEjr1zCsicMWpAA", "subject_token_type", grants.TokenTypeAccessToken}, refused, grants.Malformed},
		{"PRO-12: requested_token_type access_token", []string{"requested_token_type", grants.TokenTypeAccessToken}, ok, ""},
		{"PRO-12: requested_token_type jwt, which the contract allows", []string{"requested_token_type", grants.TokenTypeJWT}, ok, ""},
		{"PRO-12: requested_token_type left empty", []string{"requested_token_type", ""}, ok, ""},
		{"PRO-12: requested_token_type id_token", []string{"requested_token_type", grants.TokenTypeIDToken}, refused, ""},
		{"PRO-12: requested_token_type refresh_token", []string{"requested_token_type", urn + "refresh_token"}, refused, ""},
		{"PRO-12: requested_token_type saml2", []string{"requested_token_type", urn + "saml2"}, refused, ""},
		{"PRO-13: actor_token", []string{"actor_token", "x", "actor_token_type", grants.TokenTypeJWT}, refused, ""},
		{"PRO-13: actor_token without its type", []string{"actor_token", "x"}, refused, ""},
		{"PRO-13: actor_token_type without its token", []string{"actor_token_type", grants.TokenTypeJWT}, refused, ""},
		{"PRO-13: actor_token equal to subject_token", []string{"actor_token", token, "actor_token_type", grants.TokenTypeJWT}, refused, ""},
		{"PRO-13: actor_token of another integrator", []string{"actor_token", other.idp.token(nil), "actor_token_type", grants.TokenTypeJWT}, refused, ""},
		{"an empty actor_token is none (RFC 6749 §3.2)", []string{"actor_token", "", "actor_token_type", ""}, ok, ""},
		{"empty targets and scope are none (RFC 6749 §3.2)", []string{"audience", "", "resource", "", "scope", ""}, ok, ""},
		{"unknown parameters are ignored (RFC 6749 §3.2)", []string{"connector_id", "x", "subject_issuer", "y", "Grant_Type", "z"}, ok, ""},
		{"the spellings of the dialect are unknown here", []string{"subjectToken", "x", "grant", "password"}, ok, ""},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			form := exchangeForm(token)
			for i := 0; i < len(c.form); i += 2 {
				form.Del(c.form[i])
				if i+1 < len(c.form) {
					form.Set(c.form[i], c.form[i+1])
				}
			}
			a := s.post(tokenEndpoint, acme.authenticated(), form)
			if c.ok {
				checkExchangeAnswer(t, a.mustBe(t, http.StatusOK)) // true to what is issued, whatever was asked for
				return
			}
			a.mustRefuse(t, http.StatusBadRequest, grants.InvalidRequest, c.reason)
		})
	}
}

// PRO-15, PRO-16: a target is a registered audience, byte by byte, or the
// request is refused (RFC 8693 §2.2.2, RFC 8707 §2). Both parameters go
// through one gate.
func TestTargets(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	const locks, bare, fragment = "https://locks.example/v1", "api.unloc.app", "https://locks.example/v1#all"
	for _, audience := range []string{locks, bare, fragment} {
		s.admin("POST", "/resource-servers", object{"name": audience, "audience": audience}).mustBe(t, 201)
	}
	cases := []struct {
		rule   string
		form   []string
		issued any // aud; nil: refused
	}{
		{"none is the default", nil, s.url},
		{"an audience", []string{"audience", locks}, locks},
		{"an audience that is a bare name", []string{"audience", bare}, bare},
		{"an audience with a fragment, which is a name as any other", []string{"audience", fragment}, fragment},
		{"a resource", []string{"resource", locks}, locks},
		{"two audiences", []string{"audience", locks, "audience", bare}, []any{locks, bare}},
		{"an audience and a resource", []string{"audience", bare, "resource", locks}, []any{bare, locks}},
		{"the same one four times", []string{"audience", locks, "audience", locks, "resource", locks, "resource", locks}, locks},
		{"not registered", []string{"audience", "https://other.example"}, nil},
		{"two, one of them bad", []string{"audience", locks, "audience", "https://other.example"}, nil},
		{"a good audience and a bad resource", []string{"audience", locks, "resource", "https://other.example"}, nil},
		{"two in one value", []string{"audience", locks + " " + bare}, nil},
		{"a user in it", []string{"audience", "https://user@locks.example/v1"}, nil},
		{"a query behind it", []string{"audience", locks + "?x=1"}, nil},
		{"an empty query behind it", []string{"audience", locks + "?"}, nil},
		{"another fragment behind it", []string{"audience", locks + "#x"}, nil},
		{"a slash behind it", []string{"audience", locks + "/"}, nil},
		{"a path below it", []string{"audience", locks + "/doors"}, nil},
		{"a path above it", []string{"audience", "https://locks.example"}, nil},
		{"dot segments in it", []string{"audience", "https://locks.example/x/../v1"}, nil},
		{"its port in it", []string{"audience", "https://locks.example:443/v1"}, nil},
		{"a host in capitals", []string{"audience", "https://LOCKS.example/v1"}, nil},
		{"a scheme in capitals", []string{"audience", "HTTPS://locks.example/v1"}, nil},
		{"PRO-16: a relative resource", []string{"resource", "/v1"}, nil},
		{"PRO-16: a resource without its scheme", []string{"resource", "//locks.example/v1"}, nil},
		{"PRO-16: a bare name is no absolute URI", []string{"resource", bare}, nil},
		{"PRO-16: a resource with a fragment", []string{"resource", fragment}, nil},
		{"PRO-16: javascript", []string{"resource", "javascript:alert(1)"}, nil},
		{"PRO-16: a resource that is no URI", []string{"resource", "https://[locks.example/v1"}, nil},
		{"PRO-16: 100 resources", slices.Repeat([]string{"resource", locks}, 100), nil},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			credentials := exchangeForm("", c.form...)
			credentials.Set("grant_type", grants.ClientCredentials)
			for _, a := range []answer{acme.exchange(acme.idp.token(nil), c.form...), s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), credentials)} {
				if c.issued == nil {
					a.mustRefuse(t, 400, grants.InvalidTarget, "")
					continue
				}
				if got := decoded(t, a.mustBe(t, 200).text("access_token"))["aud"]; fmt.Sprint(got) != fmt.Sprint(c.issued) {
					t.Errorf("aud %v, want %v", got, c.issued)
				}
			}
		})
	}
}

// PRO-14, PRO-17, CLM-17, CLM-18, interface.md "Issued tokens": nothing is
// copied from the subject token but who its subject is.
func TestNothingIsCopiedFromTheSubjectToken(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	var act any = object{"sub": "admin", "iss": s.url}
	for range 9 {
		act = object{"sub": "admin", "act": act}
	}
	forged := object{
		"act": act, "may_act": object{"sub": "operator", "iss": s.url}, "scope": "integrator.admin admin", "scp": []string{"admin"}, "client_id": testOperator,
		"azp": testOperator, "aud": []string{s.url, "https://others.example"}, "jti": "theirs", "nbf": time.Now().Add(-time.Minute).Unix(),
		"integrator_id": "x", "lock_holder_ids": []string{"x"}, "gen": []int{9, 9}, "active": false, "roles": []string{"admin"}, "subject": "x", "subject_issuer": "y", "token_type": "N_A",
	}
	want := []string{"aud", "client_id", "exp", "gen", "iat", "integrator_id", "iss", "jti", "lock_holder_ids", "scope", "sub", "subject", "subject_issuer"}
	a := acme.exchange(acme.idp.token(forged))
	checkExchangeAnswer(t, a.mustBe(t, 200))
	claims := decoded(t, a.text("access_token"))
	if got := slices.Sorted(keysOf(claims)); !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	values := object{"aud": s.url, "client_id": acme.clientID, "integrator_id": acme.id, "scope": lockScope, "subject": "auth0|5934aafe4e52d93452b1c90", "subject_issuer": acme.idp.issuer}
	for name, value := range values {
		if claims[name] != value {
			t.Errorf("claim %s: %v, want %v", name, claims[name], value)
		}
	}
	if claims["jti"] == "theirs" || fmt.Sprint(claims["gen"]) == "[9 9]" {
		t.Errorf("claims %v", claims)
	}
	introspected := s.introspect(a.text("access_token")).mustBe(t, 200)
	checkIntrospection(t, introspected, a.text("access_token"))
	if introspected.json["active"] != true || introspected.text("token_type") != "Bearer" {
		t.Errorf("introspection %s", introspected.body)
	}
	// interface.md: client credentials, sub is client_id, and there is no more.
	credentials := s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), url.Values{"grant_type": {grants.ClientCredentials}}).mustBe(t, 200)
	claims = decoded(t, credentials.text("access_token"))
	if got := slices.Sorted(keysOf(claims)); !slices.Equal(got, []string{"aud", "client_id", "exp", "gen", "iat", "iss", "jti", "scope", "sub"}) || claims["sub"] != testOperator {
		t.Errorf("claims of client credentials: %v", claims)
	}
	if got := slices.Sorted(keysOf(credentials.json)); !slices.Equal(got, []string{"access_token", "expires_in", "scope", "token_type"}) {
		t.Errorf("members of a client credentials answer: %v", got)
	}
}

// PRO-19: JWTs that were made for another purpose, correctly signed.
func TestOtherKindsOfTokens(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	of := func(typ string, claims object) string {
		return acme.idp.sign(object{"alg": "RS256", "kid": acme.idp.kid, "typ": typ}, acme.idp.claims(claims))
	}
	cases := []struct {
		rule   string
		token  string
		reason grants.Reason
	}{
		{"an ID token for a client of its own", of("JWT", object{"aud": "external-client", "nonce": nil}), grants.AudienceMismatch},
		{"an ID token that names us too", of("JWT", object{"nonce": "n"}), grants.WrongTokenKind},
		{"an ID token, by at_hash", of("JWT", object{"at_hash": "x"}), grants.WrongTokenKind},
		{"an ID token, by c_hash", of("JWT", object{"c_hash": "x"}), grants.WrongTokenKind},
		{"an ID token, as Keycloak marks it", of("JWT", object{"typ": "ID"}), grants.WrongTokenKind},
		{"an ID token, as Cognito marks it", of("JWT", object{"token_use": "id"}), grants.WrongTokenKind},
		{"a logout token, by typ", of("logout+jwt", nil), grants.TypNotAllowed},
		{"a logout token, by events", of("JWT", object{"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}}}), grants.WrongTokenKind},
		{"a security event token", of("secevent+jwt", nil), grants.TypNotAllowed},
		{"a client assertion", of("client-authentication+jwt", nil), grants.TypNotAllowed},
		{"a client assertion without typ", of("JWT", object{"iss": acme.clientID, "sub": acme.clientID}), grants.IssuerUnknown},
		{"a DPoP proof", of("dpop+jwt", object{"htm": "POST", "htu": s.url}), grants.TypNotAllowed},
		{"an identity assertion grant", of("oauth-id-jag+jwt", nil), grants.TypNotAllowed},
		{"an introspection answer", of("token-introspection+jwt", nil), grants.TypNotAllowed},
		{"an SD-JWT, by typ", of("dc+sd-jwt", nil), grants.TypNotAllowed},
		{"an SD-JWT with its disclosures", of("JWT", nil) + "~WyJzYWx0IiwiYSIsImIiXQ~", grants.Malformed},
		{"an authorization request", of("oauth-authz-req+jwt", nil), grants.TypNotAllowed},
		{"our own access token", s.token, grants.WrongTokenKind},
		{"our own, from an exchange", acme.exchange(acme.idp.token(nil)).mustBe(t, 200).text("access_token"), grants.WrongTokenKind},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			acme.exchange(c.token).mustRefuse(t, 400, grants.InvalidRequest, c.reason)
		})
	}
	for _, typ := range []string{"JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"} { // JWT-17: foreign issuers send them all
		t.Run("an access token of typ "+typ, func(t *testing.T) { acme.exchange(of(typ, nil)).mustBe(t, 200) })
	}
}

// PRO-21: no parameter makes a token live longer, or say more.
func TestParametersThatWouldChangeTheToken(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	token := acme.idp.token(object{"exp": time.Now().Add(23 * time.Hour).Unix()})
	a := acme.exchange(token, "expires_in", "999999", "lifetime", "999999", "exp", "9999999999", "access_token_ttl", "999999", "sub", "admin", "permissions", otherLockScope,
		"client_scope", "admin", "integrator_id", "x", "claims", `{"access_token":{"scope":"admin"}}`, "token_format", "opaque")
	checkExchangeAnswer(t, a.mustBe(t, 200))
	if claims := decoded(t, a.text("access_token")); claims["exp"].(float64)-claims["iat"].(float64) != 3600 || claims["subject"] != "auth0|5934aafe4e52d93452b1c90" {
		t.Errorf("claims %v", claims)
	}
}

// PRO-22: without single_use a subject token may be exchanged again and again;
// no token of them outlives it. There is no cap on the live tokens of one
// subject (a difference: tokens are not stored, so nothing counts them). Where
// nobody authenticates, what one subject gets in a time is limited instead
// (TestCeilingsOfClientlessExchange).
func TestTheSameTokenAThousandTimes(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), map[string]string{"exchange_log": "async"})
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	expiry := time.Now().Add(20 * time.Minute).Unix()
	token := acme.idp.token(object{"exp": expiry})
	seen := map[string]bool{}
	for range 1000 {
		claims := decoded(t, acme.exchange(token).mustBe(t, 200).text("access_token"))
		if exp := int64(claims["exp"].(float64)); exp > expiry {
			t.Fatalf("expires %d s after its subject token", exp-expiry)
		}
		seen[claims["jti"].(string)] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d ids of 1000 tokens", len(seen))
	}
}

// RFC 6749 §5.1, RFC 8693 §2.2.1: numbers are numbers and nothing is null.
func TestTypesOfTheMembersOfAnAnswer(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(acme.exchange(acme.idp.token(nil)).mustBe(t, 200).body), &members); err != nil {
		t.Fatal(err)
	}
	for name, raw := range members {
		if number := name == "expires_in"; number != (raw[0] >= '0' && raw[0] <= '9') || !number && raw[0] != '"' {
			t.Errorf("%s: %s", name, raw)
		}
	}
}
