package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cambio-oauth/cambio/admin/panel"
	"github.com/cambio-oauth/cambio/grants"
	"github.com/cambio-oauth/cambio/registry"
	"github.com/cambio-oauth/cambio/storage/storagetest"
)

const setupLinkPattern = `/panel/setup\?token=[A-Za-z0-9_-]+`

func TestPanelSetUp(t *testing.T) {
	database := storagetest.SQLite(t)
	clock := &clock{}
	s := startWithoutOperator(t, clock.now, database, nil)
	link := func(at time.Time) string {
		key, err := s.p.config.derive("panel")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(panel.SetupLink(s.url, key, at), s.url)
	}
	good := link(clock.now())
	if !regexp.MustCompile("^" + setupLinkPattern + "$").MatchString(good) {
		t.Fatal(good)
	}
	b := &browser{s: s}
	b.get("/panel/sign-in").mustShow(t, http.StatusOK, "This server has no operator yet")
	for name, bad := range map[string]string{
		"made up":           "/panel/setup?token=AAAAAGsFnIcq7OLNJJwVhoH3jMtDTg8LKRAZJzN4Yo-B2NJWvjiq4A",
		"changed":           good[:len(good)-2] + "AA",
		"without a token":   "/panel/setup",
		"an hour old":       link(clock.now().Add(-time.Hour)),
		"of another server": strings.TrimPrefix(panel.SetupLink("", make([]byte, 32), clock.now()), ""),
	} {
		t.Run("a link that is "+name+" is dead", func(t *testing.T) {
			b.get(bad).mustShow(t, http.StatusForbidden, "This link is dead")
			_, token, _ := strings.Cut(bad, "token=")
			b.send("/panel/setup", url.Values{"token": {token}}).mustShow(t, http.StatusForbidden, "This link is dead")
		})
	}
	b.get(good).mustShow(t, http.StatusOK, "Become the operator")
	b.get(good).mustShow(t, http.StatusOK, "Become the operator") // whoever looks at it uses nothing up
	_, token, _ := strings.Cut(good, "token=")
	made := b.send("/panel/setup", url.Values{"token": {token}}).mustShow(t, http.StatusOK, "You are the operator")
	secret := regexp.MustCompile(`id="client-secret">([^<]+)<`).FindStringSubmatch(made.body)[1]
	b.get("/panel/integrators").mustBe(t, http.StatusOK)
	s.signIn("operator", secret)
	b.get(good).mustShow(t, http.StatusForbidden, "This link is dead")
	b.send("/panel/setup", url.Values{"token": {token}}).mustShow(t, http.StatusForbidden, "This link is dead")
	s.post(tokenEndpoint, basic("operator", secret), url.Values{"grant_type": {grants.ClientCredentials}, "scope": {"admin"}}).mustBe(t, http.StatusOK)
	if log := s.log.String(); strings.Contains(log, secret) || strings.Contains(log, token) {
		t.Error("the log holds a secret")
	}
}

// Whatever fails after the operator is made, its secret is shown: there is no
// other way to it. Here strangers have used up what this address may get wrong.
func TestPanelSetUpNeverLosesTheSecret(t *testing.T) {
	s := startWithoutOperator(t, time.Now, storagetest.SQLite(t), nil)
	key, err := s.p.config.derive("panel")
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(panel.SetupLink(s.url, key, time.Now()), "token=")
	limited := false
	for range 150 {
		a := s.post(tokenEndpoint, basic("operator", "wrong"), url.Values{"grant_type": {grants.ClientCredentials}})
		limited = limited || a.status == http.StatusTooManyRequests
	}
	if !limited {
		t.Fatal("nothing is limited")
	}
	made := (&browser{s: s}).send("/panel/setup", url.Values{"token": {token}}).mustShow(t, http.StatusOK, "You are the operator")
	if !regexp.MustCompile(`id="client-secret">cbs_[^<]+<`).MatchString(made.body) {
		t.Fatal(made.main())
	}
	events, err := s.p.store.AuditEvents(t.Context(), registry.AuditFilter{}, page(10)) // ADM-18
	if err != nil || len(events) != 1 || events[0].Action != "create" || events[0].ObjectID != "operator" {
		t.Errorf("%+v, %v", events, err)
	}
}
