package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// fields gives what a form of a page would send if nobody touched it.
func (a answer) fields(t *testing.T, action string) url.Values {
	t.Helper()
	_, form, found := strings.Cut(a.body, `action="`+action+`">`)
	if !found {
		t.Fatalf("there is no form for %s: %s", action, a.main())
	}
	form, _, _ = strings.Cut(form, "</form>")
	values := url.Values{}
	for _, tag := range regexp.MustCompile(`(?s)<input [^>]*>|<textarea [^>]*>[^<]*</textarea>|<select .*?</select>`).FindAllString(form, -1) {
		name := unescaped(regexp.MustCompile(`name="([^"]*)"`).FindStringSubmatch(tag))
		switch {
		case strings.HasPrefix(tag, "<textarea"):
			values.Add(name, unescaped(regexp.MustCompile(`(?s)>([^<]*)</textarea>`).FindStringSubmatch(tag)))
		case strings.HasPrefix(tag, "<select"):
			values.Add(name, unescaped(regexp.MustCompile(`value="([^"]*)" selected`).FindStringSubmatch(tag)))
		case !strings.Contains(tag, `type="checkbox"`) || strings.Contains(tag, " checked"):
			values.Add(name, unescaped(regexp.MustCompile(`value="([^"]*)"`).FindStringSubmatch(tag)))
		}
	}
	return values
}

// Saving a form that nobody touched changes nothing, whatever the object holds
// that the form cannot say.
func TestPanelFormsKeepWhatNobodyTouched(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	operator := s.operatorAtPanel()
	at, api := "/panel/integrators/"+acme.id, "/integrators/"+acme.id
	keys := object{"keys": []any{publicJWK(t, newECKey(t), "c1")}}
	untouched := func(t *testing.T, object, page, action string) {
		t.Helper()
		was := s.admin("GET", object, nil).mustBe(t, http.StatusOK)
		form := operator.get(page).mustBe(t, http.StatusOK).fields(t, action)
		operator.send(action, form).mustBe(t, http.StatusSeeOther)
		is := s.admin("GET", object, nil).mustBe(t, http.StatusOK)
		for _, changes := range []string{"updated_at", "health", "last_used_at"} {
			delete(was.json, changes)
			delete(is.json, changes)
		}
		if before, after := asJSON(t, was.json), asJSON(t, is.json); before != after {
			t.Errorf("from %s\nto   %s", before, after)
		}
	}
	keyURL := api + "/key-urls/" + acme.keyURL
	for name, rules := range map[string]object{
		"required claims that hold = and ,": {"required_claims": []object{{"claim": "group", "values": []string{"admins,trusted", "a = b"}}, {"claim": "https://x/?a=b", "values": []string{}}, {"claim": "x", "values": []string{" lead", "CN=api,OU=x"}}}},
		"a condition of several lines":      {"condition": "claims.a == 1 ||\n  claims.b == \"<x>\""},
		"several claims and audiences":      {"permissions_claim": []string{"permissions", "/realm_access/roles"}, "audience_claims": []string{"aud", "client_id"}, "audiences": []string{"a", "b"}, "max_lifetime": 60, "algorithms": []string{"ES256", "RS256"}},
		"a change on trial":                 {"mode": "audit", "change": object{"max_lifetime": 30}},
	} {
		t.Run(name, func(t *testing.T) {
			s.admin("PATCH", keyURL, rules).mustBe(t, http.StatusOK)
			page := at + "/key-urls/" + acme.keyURL + "/edit"
			untouched(t, keyURL, page, page)
		})
	}
	for name, members := range map[string]object{
		"a client without scope":         {"scope": nil},
		"a client with a scope":          {"scope": lockScope},
		"a client whose scope is none":   {"scope": ""},
		"a client with keys of its own":  {"token_endpoint_auth_method": "private_key_jwt", "jwks": keys},
		"a client with a life and pages": {"access_token_ttl": 60, "allowed_origins": []string{"https://a.example", "https://b.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			members["client_name"] = name
			id, _ := acme.newClient(members)
			untouched(t, api+"/clients/"+id, at+"/clients/"+id, at+"/clients/"+id)
		})
	}
	t.Run("a field that is emptied gets its default", func(t *testing.T) {
		page := at + "/key-urls/" + acme.keyURL + "/edit"
		form := operator.get(page).fields(t, page)
		form.Set("max_lifetime", "")
		form.Set("audience_claims", "")
		operator.send(page, form).mustBe(t, http.StatusSeeOther)
		k := s.admin("GET", keyURL, nil).mustBe(t, http.StatusOK)
		if k.json["max_lifetime"] != 86400.0 || asJSON(t, k.json["audience_claims"]) != `["aud"]` {
			t.Errorf("%s", k.body)
		}
	})
	t.Run("a client with keys can go over to a secret", func(t *testing.T) {
		id, _ := acme.newClient(object{"client_name": "keys", "token_endpoint_auth_method": "private_key_jwt", "jwks": keys})
		page := at + "/clients/" + id
		form := operator.get(page).fields(t, page)
		form.Set("token_endpoint_auth_method", "client_secret_basic")
		operator.send(page, form).mustBe(t, http.StatusSeeOther)
	})
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Nothing is not "no limit": not by the API, and not by a form.
func TestAScopeOfNothingStaysNothing(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	holder := acme.manage("919424508", "east")
	acme.manage("425234653", "north")
	id, secret := acme.newClient(object{"client_name": "east", "scope": lockScope})
	token := acme.idp.token(object{"permissions": []string{lockScope, otherLockScope}})
	exchange := func() answer { return s.post(tokenEndpoint, basic(id, secret), exchangeForm(token)) }
	exchange().mustBe(t, http.StatusOK)
	s.admin("DELETE", "/lock-holders/"+holder, nil).mustBe(t, http.StatusNoContent)
	exchange().mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
	operator, page := s.operatorAtPanel(), "/panel/integrators/"+acme.id+"/clients/"+id
	form := operator.get(page).fields(t, page)
	form.Set("client_name", "renamed")
	operator.send(page, form).mustBe(t, http.StatusSeeOther)
	exchange().mustRefuse(t, http.StatusBadRequest, grants.InvalidScope, "")
	// What was exported can be applied elsewhere.
	made := s.admin("POST", "/integrators/"+acme.id+"/clients", object{"client_name": "copy", "scope": ""}).mustBe(t, http.StatusCreated)
	if scope, said := made.json["scope"]; !said || scope != "" {
		t.Errorf("%s", made.body)
	}
}

// 412 gives what was typed back, and not the right to overwrite.
func TestPanelFormsLoseNobodysChange(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	operator := s.operatorAtPanel()
	at, api := "/panel/integrators/"+acme.id, "/integrators/"+acme.id
	for name, row := range map[string]struct {
		page, action, object string
		mine                 url.Values
		theirs               object
	}{
		"a client":      {at + "/clients/" + acme.clientID, at + "/clients/" + acme.clientID, api + "/clients/" + acme.clientID, url.Values{"client_name": {"mine"}}, object{"allowed_origins": []string{"https://theirs.example"}}},
		"a key URL":     {at + "/key-urls/" + acme.keyURL + "/edit", at + "/key-urls/" + acme.keyURL + "/edit", api + "/key-urls/" + acme.keyURL, url.Values{"audiences": {"mine"}}, object{"single_use": true}},
		"an integrator": {at, at, api, url.Values{"name": {"mine"}}, object{"status": "disabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			form := operator.get(row.page).fields(t, row.action)
			theirs := s.admin("PATCH", row.object, row.theirs).mustBe(t, http.StatusOK)
			for field, values := range row.mine {
				form[field] = values
			}
			first := operator.send(row.action, form).mustShow(t, http.StatusPreconditionFailed, "Somebody changed it meanwhile")
			again := first.fields(t, row.action)
			for field, values := range row.mine {
				if again.Get(field) != values[0] {
					t.Errorf("%s was lost: %q", field, again.Get(field))
				}
			}
			operator.send(row.action, again).mustBe(t, http.StatusPreconditionFailed)
			if is := s.admin("GET", row.object, nil).mustBe(t, http.StatusOK); is.header.Get("ETag") != theirs.header.Get("ETag") {
				t.Errorf("their change is gone: %s", is.body)
			}
		})
	}
}

// A secret that ends takes those along who signed in with it (ADM-06).
func TestPanelSessionsEndWithTheSecret(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	id, secret := acme.newClient(object{"client_name": "people", "scope": grants.ScopeIntegratorAdmin, "grant_types": []string{grants.ClientCredentials}})
	path := "/integrators/" + acme.id + "/clients/" + id + "/secret"
	first := s.signIn(id, secret)
	second := s.admin("POST", path+"?overlap=600", nil).mustBe(t, http.StatusCreated).text("client_secret")
	first.get("/panel/audit").mustBe(t, http.StatusOK)
	later := s.signIn(id, second)
	third := s.admin("POST", path, nil).mustBe(t, http.StatusCreated).text("client_secret") // and the others end
	first.get("/panel/audit").mustBe(t, http.StatusSeeOther)
	later.get("/panel/audit").mustBe(t, http.StatusSeeOther)
	s.signIn(id, third).get("/panel/audit").mustBe(t, http.StatusOK)
	last := s.signIn(id, third)
	s.admin("POST", path+"?overlap=1", nil).mustBe(t, http.StatusCreated)
	eventually(t, "whoever signed in with a secret goes with it", func() bool { return last.get("/panel/audit").status == http.StatusSeeOther })
}

// ADM-06: a page that is left open is nobody's use.
func TestPanelLeftOpenEnds(t *testing.T) {
	clock := &clock{}
	s := startServerAt(t, clock.now, storagetest.SQLite(t), nil)
	b := s.operatorAtPanel()
	for range 29 {
		clock.advance(time.Minute)
		b.get("/panel/audit", header("X-Cambio-Live", "1")).mustBe(t, http.StatusOK)
	}
	clock.advance(time.Minute)
	b.get("/panel/audit", header("X-Cambio-Live", "1")).mustBe(t, http.StatusSeeOther)
}

// One attempt to sign in is one line of the record.
func TestPanelSignInIsOneAttempt(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.personOf()
	items := s.admin("GET", "/integrators/"+acme.id+"/exchanges", nil).mustBe(t, http.StatusOK).json["items"].([]any)
	if len(items) != 1 || items[0].(object)["result"] != "granted" {
		t.Errorf("%v", items)
	}
}

// Lock holders are found by their whole name, however many an organisation has.
func TestPanelLinksAnyLockHolder(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for i := range 3 {
		s.admin("POST", "/lock-holders", object{"name": "Part", "country_iso": "NO", "organization_id": "919424508", "organization_id_suffix": []string{"", "a.b", "part"}[i]}).mustBe(t, []int{201, 422, 201}[i])
	}
	operator, at := s.operatorAtPanel(), "/panel/integrators/"+acme.id+"/entitlements"
	for named, status := range map[string]int{"NO.919424508.part": 303, "lockHolder.identifier:NO.919424508.": 303, "NO.919424508": 422, "NO.919424508.Part": 422, "nonsense": 422, "": 422, "NO.919424508.part.x": 422} {
		operator.send(at+"/link", url.Values{"lock_holder": {named}}).mustBe(t, status)
	}
	operator.get(at).mustShow(t, http.StatusOK, "lockHolder.identifier:NO.919424508.part")
}

// ADM-07: what strangers put into tokens is text, on every page that shows it.
func TestPanelShowsWhatStrangersWroteAsText(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	acme.manage("919424508", "east")
	operator, at := s.operatorAtPanel(), "/panel/integrators/"+acme.id
	for _, text := range []string{`"><script>alert(1)</script>`, `<svg onload=alert(1)>`, `' onmouseover='alert(1)`, "javascript:alert(1)", "{{.}}", "</title><script>", "\u202Egnp.exe"} {
		acme.exchange(acme.idp.token(object{"sub": text, "permissions": []string{lockScope, text}}))
		acme.exchange(acme.idp.sign(object{"alg": "RS256", "kid": text}, acme.idp.claims(nil)))
		acme.exchange(acme.idp.sign(object{"alg": "RS256", "kid": "k", "typ": text}, acme.idp.claims(object{"aud": text})))
		explained := operator.send(at+"/explain", url.Values{"subject_token": {acme.idp.token(object{"sub": text, "aud": text, "iss": text, "permissions": []string{text}})}, "scope": {text}})
		connected := operator.send(at+"/connect/token", url.Values{"subject_token": {acme.idp.token(object{"iss": text, "aud": text})}})
		checked := operator.send(at+"/connect/check", url.Values{"issuer": {text}, "url": {text}, "preset": {text}})
		filtered := operator.get(at + "/exchanges?" + url.Values{"subject": {text}, "reason": {text}, "hours": {text}, "done": {text}}.Encode())
		for name, page := range map[string]answer{"explain": explained, "connect": connected, "check": checked, "exchanges": operator.get(at + "/exchanges"), "home": operator.get(at), "filtered": filtered} {
			for _, script := range []string{"<script>", "<svg onload", " onmouseover='alert", `href="javascript:`} {
				if strings.Contains(page.body, script) {
					t.Errorf("%s: %q is in the page: %s", name, script, page.main())
				}
			}
		}
	}
}

// ADM-21.
func TestPanelAssets(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for _, name := range []string{"", "..%2fpanel.go", "%2e%2e%2fpanel.go", "..%5cpanel.go", ".git", "panel.css.map", "panel.css/", "templates/layout.html", "PANEL.CSS"} {
		if a := s.do("GET", "/panel/assets/"+name, "", anonymous); a.status == http.StatusOK || strings.Contains(a.body, "package panel") {
			t.Errorf("%s: status %d", name, a.status)
		}
	}
}

// Small things that each went wrong once.
func TestPanelAnswersOddRequests(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	operator, at := s.operatorAtPanel(), "/panel/integrators/"+acme.id
	operator.get("/panel/integrators?cursor=zzz").mustShow(t, http.StatusBadRequest, "That cannot be read", "cursor")
	operator.send("/panel/integrators/new", url.Values{"name": {strings.Repeat("x", 200<<10)}}).mustShow(t, http.StatusBadRequest, "larger than 128 KiB")
	operator.send(at+"%2Fclients%2F"+acme.clientID+"/delete", nil).mustBe(t, http.StatusNotFound)
	s.admin("GET", "/integrators/"+acme.id+"/clients/"+acme.clientID, nil).mustBe(t, http.StatusOK)
	operator.do(http.MethodPut, "/panel/integrators", "").mustBe(t, http.StatusMethodNotAllowed)
	once := url.Values{"name": {"api"}, "audience": {"https://a.example"}, "once": {"the same key"}}
	operator.send("/panel/resource-servers", once).mustBe(t, http.StatusOK)
	once.Set("audience", "https://b.example")
	operator.send("/panel/resource-servers", once).mustShow(t, http.StatusUnprocessableEntity, "Idempotency-Key")
	for range 150 {
		a := (&browser{s: s}).send("/panel/sign-in", url.Values{"client_id": {"nobody"}, "client_secret": {"x"}})
		if a.status == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("150 wrong secrets in a row, and no 429")
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
