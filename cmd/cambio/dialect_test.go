package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// openClientless makes acme what the guide describes: clientless, for the
// audience api.unloc.app.
func openClientless(t *testing.T, s *server, keyPath string) *party {
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	acme.manage("425234653", "north")
	s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{
		"clientless": true, "audiences": []string{"api.unloc.app"}, "url": acme.idp.url(keyPath),
	}).mustBe(t, http.StatusOK)
	return acme
}

// guideToken is the example of the Unloc guide.
func guideToken(acme *party) string {
	return acme.idp.sign(object{"alg": "RS256", "typ": "JWT", "kid": acme.idp.kid}, object{
		"iss": acme.idp.issuer, "sub": "auth0|5934aafe4e52d93452b1c90", "aud": []string{"api.unloc.app", acme.idp.issuer + "userinfo"},
		"iat": time.Now().Unix(), "exp": time.Now().Add(24 * time.Hour).Unix(), "azp": "x", "scope": "openid email name",
		"permissions": []string{lockScope, otherLockScope},
	})
}

// interface.md §5: the guide's example works as it stands, from a browser,
// without a client.
func TestUnlocGuideExample(t *testing.T) {
	for _, keyPath := range []string{"/jwks.json", "/spki.pem"} {
		t.Run(keyPath, func(t *testing.T) {
			s := startServer(t, storagetest.SQLite(t), nil)
			acme := openClientless(t, s, keyPath)
			for _, path := range []string{dialectEndpoint, dialectEndpoint + "/"} {
				body := fmt.Sprintf(`{"grant_type":"token_exchange","subjectToken":%q}`, guideToken(acme))
				a := s.do("POST", path, body, header("Content-Type", "application/json"), header("Origin", "https://app.example")).mustBe(t, 200)
				checkDialectAnswer(t, s, acme, a)
			}
		})
	}
}

func checkDialectAnswer(t *testing.T, s *server, acme *party, a answer) {
	t.Helper()
	scope, _ := a.json["scope"].([]any)
	ids, _ := a.json["lock_holder_ids"].([]any)
	if a.text("token_type") != "bearer" || len(scope) != 2 || scope[0] != lockScope || scope[1] != otherLockScope || len(ids) != 2 {
		t.Errorf("answer %s", a.body)
	}
	if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("CORS: %v", a.header)
	}
	// Clientless: client_id is the integrator's id.
	if claims := decoded(t, a.text("access_token")); claims["client_id"] != acme.id || claims["integrator_id"] != acme.id {
		t.Errorf("claims %v", claims)
	}
	s.mustBeActive(a.text("access_token"), true)
}

// numbered makes n names.
func numbered(name string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprint(name, i))
	}
	return names
}

// dialectWorld is what bodies of the dialect are about: TOKEN and ISSUER in them
// stand for its subject token and for this server.
type dialectWorld struct {
	s              *server
	token          string
	reader, secret string // a client of scope "read write"
	both           func(*testing.T, answer)
}

type dialectCase struct {
	rule  string
	body  string
	check func(*testing.T, answer)
}

func newDialectWorld(t *testing.T) *dialectWorld {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	d := &dialectWorld{s: s, token: guideToken(acme), both: wantScopes(lockScope, otherLockScope)}
	d.reader, d.secret = acme.newClient(object{"client_name": "reader", "scope": "read write"})
	return d
}

func (d *dialectWorld) check(t *testing.T, cases []dialectCase) {
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			body := strings.NewReplacer("TOKEN", d.token, "ISSUER", d.s.url).Replace(c.body)
			c.check(t, d.s.do("POST", dialectEndpoint, body, header("Content-Type", "application/json")))
		})
	}
}

func wantRefusal(code grants.Code) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		a.mustRefuse(t, 400, code, "")
	}
}

func wantScopes(want ...string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if got := fmt.Sprint(a.mustBe(t, 200).json["scope"]); got != fmt.Sprint(want) {
			t.Errorf("scope %s, want %v", got, want)
		}
	}
}

// interface.md §5, spelling by spelling.
func TestDialectSpellings(t *testing.T) {
	d := newDialectWorld(t)
	s, token := d.s, d.token
	d.check(t, []dialectCase{
		{"grant instead of grant_type", `{"grant":"token_exchange","subjectToken":"TOKEN"}`, d.both},
		{"the URN", `{"grant_type":"` + grants.TokenExchange + `","subject_token":"TOKEN"}`, d.both},
		{"the URN as grant", `{"grant":"` + grants.TokenExchange + `","subjectToken":"TOKEN"}`, d.both},
		{"subject_token_type, given", `{"grant":"token_exchange","subjectToken":"TOKEN","subject_token_type":"` + grants.TokenTypeAccessToken + `"}`, d.both},
		{"subject_token_type, wrong", `{"grant":"token_exchange","subjectToken":"TOKEN","subject_token_type":"jwt"}`, wantRefusal(grants.InvalidRequest)},
		{"requested_token_type", `{"grant":"token_exchange","subjectToken":"TOKEN","requested_token_type":"` + grants.TokenTypeAccessToken + `"}`, d.both},
		{"scope as a string", `{"grant":"token_exchange","subject_token":"TOKEN","scope":"` + lockScope + `"}`, wantScopes(lockScope)},
		{"scope as a string of two", `{"grant":"token_exchange","subject_token":"TOKEN","scope":"` + lockScope + ` ` + otherLockScope + `"}`, d.both},
		{"scope as an array", `{"grant":"token_exchange","subject_token":"TOKEN","scope":["` + otherLockScope + `"]}`, wantScopes(otherLockScope)},
		{"scope as an empty array is none", `{"grant":"token_exchange","subject_token":"TOKEN","scope":[]}`, d.both},
		{"scope as an empty string is none", `{"grant":"token_exchange","subject_token":"TOKEN","scope":""}`, d.both},
		{"null is none", `{"grant":"token_exchange","subject_token":"TOKEN","scope":null,"audience":null,"client_id":null}`, d.both},
		{"audience as an array", `{"grant":"token_exchange","subject_token":"TOKEN","audience":["ISSUER","ISSUER"]}`, d.both},
		{"audience as a string", `{"grant":"token_exchange","subject_token":"TOKEN","audience":"ISSUER"}`, d.both},
		{"PRO-15: audience, not registered", `{"grant":"token_exchange","subject_token":"TOKEN","audience":["ISSUER","x"]}`, wantRefusal(grants.InvalidTarget)},
		{"PRO-13: actor_token", `{"grant":"token_exchange","subject_token":"TOKEN","actor_token":"x"}`, wantRefusal(grants.InvalidRequest)},
		{"unknown members are ignored", `{"grant":"token_exchange","subject_token":"TOKEN","x":[1,{"y":null}]}`, d.both},
		{"client credentials", `{"grant_type":"client_credentials","client_id":"` + d.reader + `","client_secret":"` + d.secret + `"}`, wantScopes("read", "write")},
		{"client credentials with scope", `{"grant_type":"client_credentials","client_id":"` + d.reader + `","client_secret":"` + d.secret + `","scope":["write"]}`, wantScopes("write")},
		{"PRO-24: client credentials with a subject token", `{"grant_type":"client_credentials","client_id":"` + d.reader + `","client_secret":"` + d.secret + `","subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"both spellings of the token", `{"grant":"token_exchange","subject_token":"TOKEN","subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"both spellings of the grant", `{"grant":"token_exchange","grant_type":"token_exchange","subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"credentials under names of nobody", `{"grant":"token_exchange","subjectToken":"TOKEN","clientId":"x","clientSecret":"y"}`, wantRefusal(grants.InvalidRequest)},
		{"65 scopes", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":["` + strings.Join(numbered("s", 65), `","`) + `"]}`, wantRefusal(grants.InvalidRequest)},
		{"17 audiences", `{"grant":"token_exchange","subjectToken":"TOKEN","audience":[` + strings.Repeat(`"ISSUER",`, 16) + `"ISSUER"]}`, wantRefusal(grants.InvalidTarget)},
		{"an unknown grant", `{"grant":"password"}`, wantRefusal(grants.UnsupportedGrantType)},
		{"a grant of RFC 7523, which the dialect never had", `{"grant":"urn:ietf:params:oauth:grant-type:jwt-bearer","assertion":"TOKEN"}`, wantRefusal(grants.UnsupportedGrantType)},
		{"the grant in other case", `{"grant":"Token_Exchange","subjectToken":"TOKEN"}`, wantRefusal(grants.UnsupportedGrantType)},
		{"the grant with a dash", `{"grant":"token-exchange","subjectToken":"TOKEN"}`, wantRefusal(grants.UnsupportedGrantType)},
		{"no grant", `{"subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"no token", `{"grant":"token_exchange"}`, wantRefusal(grants.InvalidRequest)},
	})
	t.Run("a form", func(t *testing.T) {
		d.both(t, s.post(dialectEndpoint, anonymous, url.Values{"grant": {"token_exchange"}, "subjectToken": {token}}))
		d.both(t, s.post(dialectEndpoint, anonymous, exchangeForm(token)))
		wantScopes(lockScope)(t, s.post(dialectEndpoint, anonymous, url.Values{"grant": {"token_exchange"}, "subjectToken": {token}, "scope": {lockScope}}))
		for _, form := range []url.Values{{"grant": {"token_exchange", "token_exchange"}, "subjectToken": {token}}, {"grant": {"token_exchange"}, "subjectToken": {token}, "subject_token": {token}}, {"grant": {"token_exchange"}, "subjectToken": {token}, "clientSecret": {"x"}}} {
			s.post(dialectEndpoint, anonymous, form).mustRefuse(t, 400, grants.InvalidRequest, "")
		}
	})
	t.Run("more than 64 KiB", func(t *testing.T) {
		s.do("POST", dialectEndpoint, `{"x":"`+strings.Repeat("a", 64<<10)+`"}`, header("Content-Type", "application/json")).mustRefuse(t, 413, grants.InvalidRequest, "")
	})
	t.Run("the spellings are of the dialect only", func(t *testing.T) {
		s.post(tokenEndpoint, anonymous, url.Values{"grant": {"token_exchange"}, "subjectToken": {token}}).mustRefuse(t, 400, grants.InvalidRequest, "")
		s.post(tokenEndpoint, anonymous, url.Values{"grant_type": {"token_exchange"}}).mustRefuse(t, 400, grants.UnsupportedGrantType, "")
	})
}

// PRO-04: a body is one JSON object as JSON has it, of strings.
func TestDialectJSON(t *testing.T) {
	d := newDialectWorld(t)
	d.check(t, []dialectCase{
		{"__proto__ is an unknown member", `{"grant":"token_exchange","subject_token":"TOKEN","__proto__":{"scope":"admin","client_id":"x"},"constructor":{"prototype":{}}}`, d.both},
		{"a member twice", `{"grant":"token_exchange","subjectToken":"TOKEN","subjectToken":"x"}`, wantRefusal(grants.InvalidRequest)},
		{"a member twice, once escaped", `{"grant":"token_exchange","subjectToken":"TOKEN","\u0073ubjectToken":"x"}`, wantRefusal(grants.InvalidRequest)},
		{"a member in other case is an unknown one", `{"grant":"token_exchange","subjectToken":"TOKEN","SUBJECTTOKEN":"x"}`, d.both},
		{"an unknown member twice", `{"grant":"token_exchange","subjectToken":"TOKEN","x":1,"x":1}`, wantRefusal(grants.InvalidRequest)},
		{"a number for a string", `{"grant":"token_exchange","subjectToken":1}`, wantRefusal(grants.InvalidRequest)},
		{"a boolean for a string", `{"grant":true,"subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"an object for a string", `{"grant":"token_exchange","subjectToken":{"value":"TOKEN"}}`, wantRefusal(grants.InvalidRequest)},
		{"an array for a string", `{"grant":"token_exchange","subjectToken":["TOKEN"]}`, wantRefusal(grants.InvalidRequest)},
		{"two scopes in one element", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":["` + lockScope + ` ` + otherLockScope + `"]}`, wantRefusal(grants.InvalidScope)},
		{"an empty element of scope", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":["` + lockScope + `",""]}`, wantRefusal(grants.InvalidScope)},
		{"a tab in an element of scope", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":["a\tb"]}`, wantRefusal(grants.InvalidScope)},
		{"a quote in an element of scope", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":["a\"b"]}`, wantRefusal(grants.InvalidScope)},
		{"a number in the scope array", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":["` + lockScope + `",1]}`, wantRefusal(grants.InvalidRequest)},
		{"an array in the scope array", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":[["` + lockScope + `"]]}`, wantRefusal(grants.InvalidRequest)},
		{"an object for scope", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":{"0":"` + lockScope + `"}}`, wantRefusal(grants.InvalidRequest)},
		{"null in the scope array", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":[null]}`, wantRefusal(grants.InvalidRequest)},
		{"an array of 30,000 numbers", `{"grant":"token_exchange","subjectToken":"TOKEN","scope":[` + strings.Repeat("1,", 30000) + `1]}`, wantRefusal(grants.InvalidRequest)},
		{"no object", `["token_exchange"]`, wantRefusal(grants.InvalidRequest)},
		{"null", `null`, wantRefusal(grants.InvalidRequest)},
		{"nothing", ``, wantRefusal(grants.InvalidRequest)},
		{"an empty object", `{}`, wantRefusal(grants.InvalidRequest)},
		{"two documents", `{"grant":"token_exchange","subjectToken":"TOKEN"}{}`, wantRefusal(grants.InvalidRequest)},
		{"trailing text", `{"grant":"token_exchange","subjectToken":"TOKEN"}x`, wantRefusal(grants.InvalidRequest)},
		{"trailing space is none", `{"grant":"token_exchange","subjectToken":"TOKEN"}` + "\r\n\t ", d.both},
		{"a comment", `{"grant":"token_exchange",/**/"subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"a byte order mark", "\ufeff" + `{"grant":"token_exchange","subjectToken":"TOKEN"}`, wantRefusal(grants.InvalidRequest)},
		{"not UTF-8", `{"grant":"token_exchange","subjectToken":"TOKEN","x":"` + "\xff" + `"}`, wantRefusal(grants.InvalidRequest)},
		{"a NUL", `{"grant":"token_exchange","subjectToken":"TOKEN\u0000"}`, wantRefusal(grants.InvalidRequest)},
		{"nesting of 16", `{"grant":"token_exchange","subjectToken":"TOKEN","x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, d.both},
		{"nesting of 17", `{"grant":"token_exchange","subjectToken":"TOKEN","x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, wantRefusal(grants.InvalidRequest)},
		{"deep nesting", `{"grant":"token_exchange","x":` + strings.Repeat("[", 20000) + `}`, wantRefusal(grants.InvalidRequest)},
		{"[B]: the guide's sample without its comma", `{"grant_type":"client_credentials","client_id":"` + d.reader + `","client_secret":"` + d.secret + `" "scope":["read"]}`, wantRefusal(grants.InvalidRequest)},
	})
}

// Clientless: one owner for each issuer and audience.
func TestClientlessIsUnique(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := openClientless(t, s, "/jwks.json")
		thief := s.newParty("Thief")
		claim := object{"issuer": acme.idp.issuer, "url": thief.idp.url("/jwks.json"), "clientless": true, "audiences": []string{"api.unloc.app"}}
		s.admin("POST", "/integrators/"+thief.id+"/key-urls", claim).mustBe(t, http.StatusConflict)
		claim["audiences"] = []string{"another.example"}
		s.admin("POST", "/integrators/"+thief.id+"/key-urls", claim).mustBe(t, http.StatusCreated)
		// The thief's key URL for acme's issuer neither takes nor blocks acme's.
		s.post(tokenEndpoint, anonymous, exchangeForm(guideToken(acme))).mustBe(t, http.StatusOK)
		s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"clientless": false}).mustBe(t, http.StatusOK)
		s.post(tokenEndpoint, anonymous, exchangeForm(guideToken(acme))).mustRefuse(t, 400, grants.InvalidRequest, "")
	})
}

// interface.md "Issued tokens": sub is unique across integrators. An issuer's
// name belongs to whoever registered it first; an operator may let two share.
func TestNobodyTakesAnotherIntegratorsIssuer(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme, thief := openClientless(t, s, "/jwks.json"), s.newParty("Thief")
		token := thief.adminToken("integrator.admin")
		claim := object{"issuer": acme.idp.issuer, "url": "https://thief.example/jwks.json"}
		if a := s.adminAs(token, "POST", "/integrators/me/key-urls", claim).mustBeProblem(t, 409, "conflict"); !strings.Contains(a.text("detail"), "another integrator has registered this issuer") {
			t.Errorf("does not say what is in the way: %s", a.body)
		}
		claim["clientless"], claim["audiences"] = true, []string{acme.idp.issuer + "userinfo"}
		s.adminAs(token, "POST", "/integrators/me/key-urls", claim).mustBeProblem(t, 409, "conflict")
		s.adminAs(token, "PATCH", "/integrators/me/key-urls/"+thief.keyURL, object{"issuer": acme.idp.issuer}).mustBeProblem(t, 409, "conflict")
		s.adminAs(token, "PATCH", "/integrators/me/key-urls/"+thief.keyURL, object{"issuer": "https://idp.example/#tenant"}).mustBeProblem(t, 422, "invalid")
		s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"status": "disabled"}).mustBe(t, 200)
		s.adminAs(token, "POST", "/integrators/me/key-urls", claim).mustBeProblem(t, 409, "conflict")
		s.admin("PATCH", "/integrators/"+acme.id+"/key-urls/"+acme.keyURL, object{"status": "active"}).mustBe(t, 200)
		s.post(tokenEndpoint, anonymous, exchangeForm(guideToken(acme))).mustBe(t, http.StatusOK)
		s.admin("POST", "/integrators/"+thief.id+"/key-urls", object{"issuer": acme.idp.issuer, "url": thief.idp.url("/jwks.json")}).mustBe(t, 201)
	})
}

// Strangers' attempts are on record, with the integrator they concern.
func TestClientlessRefusalsAreRecorded(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := openClientless(t, s, "/jwks.json")
	forged := newTestIDP(t, "x").sign(object{"alg": "RS256", "kid": "key-1"}, acme.idp.claims(object{"aud": "api.unloc.app"}))
	s.post(tokenEndpoint, anonymous, exchangeForm(forged)).mustRefuse(t, 400, grants.InvalidRequest, "")
	records, err := s.p.store.Exchanges(t.Context(), acme.id, everything(), page(5))
	if err != nil || len(records) != 1 || records[0].Reason != string(grants.SignatureInvalid) {
		t.Errorf("%+v %v", records, err)
	}
}
