package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

// XTI, ADM-01, ADM-02: what a person sees comes from the session.
func TestPanelOfAnIntegrator(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	acme, other := s.newParty("Acme"), s.newParty("Other")
	person := acme.personOf()
	before := s.panelState(other)
	person.get("/panel/").mustGo(t, "/panel/integrators/me")
	for _, page := range panelPages(acme) {
		own := strings.HasPrefix(page, "/panel/integrators/"+acme.id)
		switch a := person.get(page); {
		case own:
			a.mustBe(t, http.StatusOK)
			person.get(strings.Replace(page, acme.id, "me", 1)).mustBe(t, http.StatusOK)
		case page == "/panel/" || page == "/panel/audit":
		case page == "/panel/integrators/new":
			a.mustShow(t, http.StatusForbidden, "operators of the platform")
		default:
			a.mustShow(t, http.StatusNotFound, "not yours to see")
		}
	}
	for _, page := range panelPages(other) {
		if strings.HasPrefix(page, "/panel/integrators/"+other.id) {
			person.get(page).mustShow(t, http.StatusNotFound, "not yours to see")
			// Another's object below one's own path.
			if mine := strings.Replace(page, other.id, "me", 1); strings.Contains(mine, other.keyURL) || strings.Contains(mine, other.clientID) {
				person.get(mine).mustShow(t, http.StatusNotFound, "not yours to see")
			}
		}
	}
	for path, form := range panelForms(other) {
		if path == "/panel/sign-out" {
			continue
		}
		if a := person.send(path, form); a.status != http.StatusNotFound && a.status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
	at := "/panel/integrators/me"
	for _, path := range []string{at + "/entitlements/rules", at, at + "/delete"} {
		if a := person.send(path, url.Values{"permission": {"x"}, "scope": {"x"}, "name": {"x"}, "status": {"active"}, "confirm": {"Acme"}}); a.status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, a.status)
		}
	}
	if s.panelState(other) != before {
		t.Error("another's was changed")
	}
	audit := person.get("/panel/audit").mustBe(t, http.StatusOK)
	if strings.Contains(audit.body, other.id) {
		t.Error("the audit shows another's")
	}
	s.admin("PATCH", "/integrators/"+acme.id, object{"status": "disabled"}).mustBe(t, http.StatusOK)
	person.get(at).mustGo(t, "/panel/sign-in?next="+url.QueryEscape(at))
}

// A stored person that is not certainly somebody is nobody: without an
// integrator it would otherwise be the operator.
func TestPanelOfNobodyInParticular(t *testing.T) {
	s := startServer(t, storagetest.SQLite(t), nil)
	for _, person := range []string{`{}`, `null`, `[]`, `x`, `{"name":"x"}`, `{"role":"operator"}`, `{"role":"operator","caller":{"ClientID":"","IntegratorID":""}}`,
		`{"role":"integrator","caller":{"ClientID":"x","IntegratorID":""}}`, `{"role":"operator","caller":{"ClientID":"x","IntegratorID":"y"}}`, `{"caller":{"ClientID":"x"}}`} {
		token := base64.RawURLEncoding.EncodeToString([]byte("thirty-two bytes, and no more!!!")[:32])
		hash := sha256.Sum256([]byte(token))
		if err := s.p.store.EndSession(context.WithoutCancel(t.Context()), hash[:]); err != nil {
			t.Fatal(err)
		}
		err := s.p.store.CreateSession(t.Context(), registry.Session{TokenHash: hash[:], Person: []byte(person), SeenAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		(&browser{s: s, cookie: &http.Cookie{Name: "cambio", Value: token}}).get("/panel/integrators").mustGo(t, "/panel/sign-in?next=%2Fpanel%2Fintegrators")
	}
}
