package main

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cambio-oauth/cambio/grants"
)

// browser is somebody at the panel: it keeps one cookie and follows nothing.
type browser struct {
	s      *server
	cookie *http.Cookie
}

func (b *browser) do(method, path, body string, options ...option) answer {
	b.s.t.Helper()
	if b.cookie != nil {
		options = append(options, header("Cookie", b.cookie.Name+"="+b.cookie.Value))
	}
	a := b.s.do(method, path, body, options...)
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		if !strings.HasSuffix(cookie.Name, "-sign-in") {
			b.cookie = cookie
		}
	}
	return a
}

func (b *browser) get(path string, options ...option) answer {
	b.s.t.Helper()
	return b.do(http.MethodGet, path, "", options...)
}

// send sends a form as the browser of a person does from the panel's own page.
func (b *browser) send(path string, form url.Values, options ...option) answer {
	b.s.t.Helper()
	options = append(options, header("Content-Type", "application/x-www-form-urlencoded"))
	return b.do(http.MethodPost, path, form.Encode(), options...)
}

// signIn signs in as a client.
func (s *server) signIn(clientID, secret string) *browser {
	s.t.Helper()
	b := &browser{s: s}
	b.send("/panel/sign-in", url.Values{"client_id": {clientID}, "client_secret": {secret}}).mustGo(s.t, "/panel/")
	return b
}

func (s *server) operatorAtPanel() *browser {
	s.t.Helper()
	return s.signIn(testOperator, testOperatorSecret)
}

// personOf is an engineer of an integrator at the panel.
func (p *party) personOf() *browser {
	p.s.t.Helper()
	id, secret := p.newClient(object{"client_name": "people", "scope": grants.ScopeIntegratorAdmin, "grant_types": []string{grants.ClientCredentials}})
	return p.s.signIn(id, secret)
}

// mustGo asserts where a browser is sent.
func (a answer) mustGo(t testing.TB, target string) answer {
	t.Helper()
	if a.status != http.StatusSeeOther || a.header.Get("Location") != target {
		t.Fatalf("status %d to %q, want 303 to %q: %s", a.status, a.header.Get("Location"), target, a.main())
	}
	return a
}

// mustShow asserts what a page says.
func (a answer) mustShow(t testing.TB, status int, texts ...string) answer {
	t.Helper()
	a.mustBe(t, status)
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(a.body), text) {
			t.Fatalf("the page does not say %q: %s", text, a.main())
		}
	}
	return a
}

// main is what is between the frame of a page.
func (a answer) main() string {
	_, text, _ := strings.Cut(a.body, "<main")
	text, _, _ = strings.Cut(text, "</main>")
	return text
}

// value gives the value of a field of a page.
func (a answer) value(t testing.TB, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `"[^>]*value="([^"]*)"`).FindStringSubmatch(a.body)
	if found == nil {
		t.Fatalf("there is no field %s: %s", name, a.main())
	}
	return html.UnescapeString(found[1])
}

func unescaped(found []string) string {
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}
