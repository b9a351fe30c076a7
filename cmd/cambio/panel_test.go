package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// panelPages are the pages of an operator, and panelForms what can be sent, each
// with a body that would change something.
func panelPages(p *party) []string {
	at := "/panel/integrators/" + p.id
	return []string{
		"/panel/", "/panel/integrators", "/panel/integrators/new", "/panel/lock-holders", "/panel/resource-servers", "/panel/signing-keys", "/panel/audit",
		at, at + "/connect", at + "/key-urls", at + "/key-urls/new", at + "/key-urls/" + p.keyURL, at + "/key-urls/" + p.keyURL + "/edit",
		at + "/explain", at + "/clients", at + "/clients/new", at + "/clients/" + p.clientID, at + "/entitlements", at + "/exchanges",
	}
}

func panelForms(p *party) map[string]url.Values {
	at := "/panel/integrators/" + p.id
	return map[string]url.Values{
		"/panel/integrators/new":                  {"name": {"made by a form"}},
		"/panel/lock-holders":                     {"name": {"made by a form"}, "country_iso": {"NO"}, "organization_id": {"1234"}},
		"/panel/resource-servers":                 {"name": {"made by a form"}, "audience": {"https://made.example"}},
		"/panel/signing-keys/rotate":              {},
		at:                                        {"name": {"made by a form"}, "status": {"active"}},
		at + "/delete":                            {"confirm": {"Acme"}},
		at + "/revoke":                            {"all": {"true"}},
		at + "/key-urls/new":                      {"issuer": {"https://made.example"}, "url": {p.idp.url("/jwks.json")}},
		at + "/key-urls/" + p.keyURL + "/edit":    {"issuer": {"https://made.example"}, "url": {p.idp.url("/jwks.json")}},
		at + "/key-urls/" + p.keyURL + "/refresh": {},
		at + "/key-urls/" + p.keyURL + "/delete":  {},
		at + "/clients/new":                       {"client_name": {"made by a form"}, "token_endpoint_auth_method": {"client_secret_basic"}, "status": {"active"}},
		at + "/clients/" + p.clientID:             {"client_name": {"made by a form"}, "token_endpoint_auth_method": {"client_secret_basic"}, "status": {"active"}},
		at + "/clients/" + p.clientID + "/secret": {"overlap": {"now"}},
		at + "/clients/" + p.clientID + "/delete": {},
		at + "/entitlements/link":                 {"lock_holder": {"NO.919424508.east"}},
		at + "/entitlements/withdraw":             {"kind": {"scope-rules"}, "id": {"x"}},
		at + "/entitlements/rules":                {"permission": {"made"}, "scope": {"made"}},
		at + "/explain":                           {"subject_token": {"x"}},
		at + "/connect/check":                     {"issuer": {"https://made.example"}, "url": {p.idp.url("/jwks.json")}},
		at + "/connect/token":                     {"subject_token": {"x"}},
		at + "/entitlements/preview":              {"kind": {"scope-rules"}, "id": {"x"}},
		"/panel/sign-out":                         {},
		"/panel/lock-holders/x/delete":            {},
		"/panel/resource-servers/x/delete":        {},
	}
}

// everything that a form could change.
func (s *server) panelState(p *party) string {
	text := ""
	for _, path := range []string{"/integrators", "/lock-holders", "/resource-servers", "/signing-keys", "/integrators/" + p.id + "/key-urls", "/integrators/" + p.id + "/clients", "/integrators/" + p.id + "/scope-rules", "/audit-events"} {
		text += s.admin("GET", path, nil).mustBe(s.t, http.StatusOK).body
	}
	return text
}

func TestPanelWantsSomebodyToBeSignedIn(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	before := s.panelState(acme)
	nobody := &browser{s: s}
	for _, page := range panelPages(acme) {
		target := "/panel/sign-in?" + url.Values{"next": {page}}.Encode()
		if page == "/panel/" {
			target = "/panel/sign-in"
		}
		nobody.get(page).mustGo(t, target)
	}
	for path, form := range panelForms(acme) {
		nobody.send(path, form).mustGo(t, "/panel/sign-in")
	}
	for name, cookie := range map[string]string{"empty": "", "made up": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a token of the API": s.token, "huge": strings.Repeat("a", 8000)} {
		t.Run("a cookie that is "+name, func(t *testing.T) {
			s.do("GET", "/panel/integrators", "", header("Cookie", "cambio="+cookie)).mustGo(t, "/panel/sign-in?next=%2Fpanel%2Fintegrators")
		})
	}
	if s.panelState(acme) != before {
		t.Error("something was changed")
	}
}

// ADM-05.
func TestPanelTakesFormsFromItsOwnPagesOnly(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	operator := s.operatorAtPanel()
	before := s.panelState(acme)
	for name, from := range map[string][]option{
		"another site":                   {header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")},
		"another site, without a word":   {header("Sec-Fetch-Site", "cross-site")},
		"another origin of the site":     {header("Sec-Fetch-Site", "same-site"), header("Origin", "https://other.cambio.example")},
		"an old browser, another origin": {header("Origin", "https://evil.example")},
		"a sandbox":                      {header("Origin", "null")},
		"the same host by another port":  {header("Origin", "http://127.0.0.1:1")},
		"a method in disguise":           {header("Sec-Fetch-Site", "cross-site"), header("X-HTTP-Method-Override", "GET")},
	} {
		t.Run(name, func(t *testing.T) {
			for path, form := range panelForms(acme) {
				operator.send(path, form, from...).mustShow(t, http.StatusForbidden, "sent by another site")
			}
			operator.send("/panel/sign-in", url.Values{"client_id": {testOperator}, "client_secret": {testOperatorSecret}}, from...).mustBe(t, http.StatusForbidden) // login CSRF
		})
	}
	if s.panelState(acme) != before {
		t.Error("something was changed")
	}
	operator.get("/panel/integrators").mustBe(t, http.StatusOK) // nor was anybody signed out
	operator.send("/panel/integrators/new", url.Values{"name": {"Own"}}, header("Sec-Fetch-Site", "same-origin"), header("Origin", s.url)).mustBe(t, http.StatusSeeOther)
	now := s.panelState(acme)
	for path := range panelForms(acme) {
		operator.get(path, header("Sec-Fetch-Site", "cross-site"))
	}
	if s.panelState(acme) != now {
		t.Error("something was changed by reading")
	}
}

// ADM-06.
func TestPanelSessions(t *testing.T) {
	clock := &clock{}
	s := startServerAt(t, clock.now, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	out := func(t *testing.T, b *browser) {
		t.Helper()
		b.get("/panel/audit").mustGo(t, "/panel/sign-in?next=%2Fpanel%2Faudit")
	}
	in := func(t *testing.T, b *browser) {
		t.Helper()
		b.get("/panel/audit").mustBe(t, http.StatusOK)
	}
	t.Run("a cookie that was there before is not the session's (fixation)", func(t *testing.T) {
		b := &browser{s: s, cookie: &http.Cookie{Name: "cambio", Value: "chosen-by-somebody-else"}}
		b.send("/panel/sign-in", url.Values{"client_id": {testOperator}, "client_secret": {testOperatorSecret}}).mustGo(t, "/panel/")
		if b.cookie.Value == "chosen-by-somebody-else" || len(b.cookie.Value) < 43 {
			t.Errorf("the session is %q", b.cookie.Value)
		}
		first := b.cookie
		b.send("/panel/sign-in", url.Values{"client_id": {testOperator}, "client_secret": {testOperatorSecret}}).mustGo(t, "/panel/")
		if b.cookie.Value == first.Value {
			t.Error("signing in again kept the session's token")
		}
		out(t, &browser{s: s, cookie: first})
	})
	t.Run("the cookie is for this host, and for no script", func(t *testing.T) {
		c := s.operatorAtPanel().cookie
		if c.Name != "cambio" || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 0 {
			t.Errorf("%v", c)
		}
		secure := startServer(t, storagetest.SQLite(t), map[string]string{"issuer": "https://cambio.example"})
		if c := secure.operatorAtPanel().cookie; c.Name != "__Host-cambio" || !c.Secure || !c.HttpOnly || c.Domain != "" {
			t.Errorf("by https: %v", c)
		}
	})
	t.Run("signing out ends it on the server", func(t *testing.T) {
		b := s.operatorAtPanel()
		kept := *b.cookie
		in(t, b)
		b.send("/panel/sign-out", nil).mustGo(t, "/panel/sign-in")
		out(t, &browser{s: s, cookie: &kept})
	})
	t.Run("half an hour without a request ends it, and use does not", func(t *testing.T) {
		b := s.operatorAtPanel()
		for range 4 {
			clock.advance(29 * time.Minute)
			in(t, b)
		}
		clock.advance(30 * time.Minute)
		out(t, b)
	})
	t.Run("eight hours end it whatever happens", func(t *testing.T) {
		b := s.operatorAtPanel()
		for range 23 {
			clock.advance(20 * time.Minute)
			in(t, b)
		}
		clock.advance(20 * time.Minute)
		out(t, b)
	})
	for name, end := range map[string]func(t *testing.T, clientID string){
		"the client is disabled": func(t *testing.T, clientID string) {
			s.admin("PATCH", "/integrators/"+acme.id+"/clients/"+clientID, object{"status": "disabled"}).mustBe(t, http.StatusOK)
		},
		"the client is deleted": func(t *testing.T, clientID string) {
			s.admin("DELETE", "/integrators/"+acme.id+"/clients/"+clientID, nil).mustBe(t, http.StatusNoContent)
		},
		"its integrator's tokens are revoked": func(t *testing.T, _ string) {
			s.admin("POST", "/integrators/"+acme.id+"/tokens/revoke", nil).mustBe(t, http.StatusNoContent)
		},
	} {
		t.Run("it ends when "+name, func(t *testing.T) {
			s.token = s.post(tokenEndpoint, basic(testOperator, testOperatorSecret), url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}}).mustBe(t, 200).text("access_token")
			id, secret := acme.newClient(object{"client_name": "people", "scope": grants.ScopeIntegratorAdmin, "grant_types": []string{grants.ClientCredentials}})
			b := s.signIn(id, secret)
			in(t, b)
			end(t, id)
			out(t, b)
		})
	}
}

func TestPanelSignIn(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	for name, row := range map[string]struct{ id, secret, says string }{
		"a wrong secret":               {testOperator, "not-the-secret", "the client_id or the secret is wrong"},
		"no secret":                    {testOperator, "", "the client_id or the secret is wrong"},
		"nobody":                       {"nobody", testOperatorSecret, "the client_id or the secret is wrong"},
		"a client that exchanges only": {acme.clientID, acme.secret, "neither the scope admin nor integrator.admin"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			b := &browser{s: s}
			a := b.send("/panel/sign-in", url.Values{"client_id": {row.id}, "client_secret": {row.secret}}).mustShow(t, http.StatusUnauthorized, row.says)
			if b.cookie != nil || row.secret != "" && strings.Contains(a.body, row.secret) {
				t.Errorf("cookie %v", b.cookie)
			}
		})
	}
	// CWE-601.
	for next, target := range map[string]string{
		"/panel/audit":                   "/panel/audit",
		"/panel/integrators?search=a%26": "/panel/integrators?search=a%26",
		"https://evil.example/panel/":    "/panel/",
		"//evil.example/panel/":          "/panel/",
		`/\evil.example`:                 "/panel/",
		"/panel/../admin":                "/panel/",
		"/panel/%2e%2e/x":                "/panel/",
		"javascript:alert(1)":            "/panel/",
		"/oauth2/token":                  "/panel/",
		"/panel/\r\nX: y":                "/panel/",
	} {
		t.Run("from "+next+" it goes to "+target, func(t *testing.T) {
			(&browser{s: s}).send("/panel/sign-in", url.Values{"client_id": {testOperator}, "client_secret": {testOperatorSecret}, "next": {next}}).mustGo(t, target)
		})
	}
	t.Run("what somebody typed is in no log", func(t *testing.T) {
		(&browser{s: s}).send("/panel/sign-in", url.Values{"client_id": {testOperator}, "client_secret": {"planted-in-the-panel"}})
		s.operatorAtPanel().send("/panel/integrators/"+acme.id+"/explain", url.Values{"subject_token": {acme.idp.token(nil)}}).mustBe(t, http.StatusOK)
		log := s.log.String()
		for _, secret := range []string{"planted-in-the-panel", testOperatorSecret, "eyJ"} {
			if strings.Contains(log, secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
}

// A secret is shown exactly once, whatever is sent again.
func TestPanelShowsASecretOnce(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty("Acme")
	operator := s.operatorAtPanel()
	at := "/panel/integrators/" + acme.id
	secret := func(a answer) string {
		found := regexp.MustCompile(`id="client-secret">([^<]+)<`).FindStringSubmatch(a.body)
		if found == nil {
			return ""
		}
		return found[1]
	}
	once := operator.get(at+"/clients/new").value(t, "once")
	form := url.Values{"client_name": {"app"}, "token_endpoint_auth_method": {"client_secret_basic"}, "status": {"active"}, "grant_types": {grants.TokenExchange}, "once": {once}}
	first := operator.send(at+"/clients/new", form).mustShow(t, http.StatusOK, "shown this once")
	made := secret(first)
	if made == "" || first.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("no secret, or one that is kept: %s", first.main())
	}
	id := regexp.MustCompile(`id="client-id">([^<]+)<`).FindStringSubmatch(first.body)[1]
	operator.send(at+"/clients/new", form).mustShow(t, http.StatusConflict, "Shown before")
	clients := s.admin("GET", "/integrators/"+acme.id+"/clients", nil).mustBe(t, 200).json["items"].([]any)
	if len(clients) != 2 { // with the party's own
		t.Errorf("%d clients", len(clients))
	}
	page := operator.get(at + "/clients/" + id)
	rotate := url.Values{"overlap": {"24h"}, "once": {page.value(t, "once")}}
	second := secret(operator.send(at+"/clients/"+id+"/secret", rotate).mustShow(t, http.StatusOK, "goes on working for 24 hours"))
	if second == "" || second == made {
		t.Fatal("no new secret")
	}
	operator.send(at+"/clients/"+id+"/secret", rotate).mustShow(t, http.StatusConflict, "Shown before")
	for _, works := range []string{made, second} {
		s.post(tokenEndpoint, basic(id, works), exchangeForm("x")).mustBe(t, http.StatusBadRequest) // and not 401
	}
	for _, page := range append(panelPages(acme), at+"/clients/"+id) {
		if body := operator.get(page).body; strings.Contains(body, made) || strings.Contains(body, second) {
			t.Errorf("%s shows a secret", page)
		}
	}
}

// ADM-08: every page, error pages as well.
func TestPanelHeaders(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme := s.newParty(`"><script>alert(1)</script>`)
	operator := s.operatorAtPanel()
	for _, page := range append(panelPages(acme), "/panel/sign-in", "/panel/nothing", "/panel/setup", "/panel/integrators/none") {
		a := operator.get(page)
		policy := a.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") {
				t.Errorf("%s: policy %s", page, policy)
			}
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
			t.Errorf("%s: %v", page, a.header)
		}
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "style=") || regexp.MustCompile(`\son[a-z]+=`).MatchString(a.body) {
			t.Errorf("%s has script or style in it", page)
		}
	}
	css := operator.get(regexp.MustCompile(`/panel/assets/panel\.css\?v=[^"]+`).FindString(operator.get("/panel/").body)).mustBe(t, http.StatusOK)
	if !strings.Contains(css.header.Get("Cache-Control"), "immutable") || css.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%v", css.header)
	}
}

// A page that cannot be made because the database is away says so: it is not
// "not found", and nobody is signed out by it.
func TestPanelWithoutADatabase(t *testing.T) {
	target, err := url.Parse(storagetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, target.Host)
	target.Host = w.listener.Addr().String()
	s := startServer(t, target.String(), nil)
	acme := s.newParty("Acme")
	operator := s.operatorAtPanel()
	w.mute.Store(true)
	for _, page := range panelPages(acme) {
		if page == "/panel/signing-keys" {
			continue
		}
		a := operator.get(page).mustShow(t, http.StatusServiceUnavailable, "Nothing was changed")
		if slices.ContainsFunc((&http.Response{Header: a.header}).Cookies(), func(*http.Cookie) bool { return true }) {
			t.Errorf("%s sets a cookie", page)
		}
	}
	w.mute.Store(false)
	eventually(t, "the panel is there again", func() bool { return operator.get("/panel/integrators").status == http.StatusOK })
}
