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

// clientOf reads a client, which must show nothing of a secret.
func (p *party) clientOf(id, secret string) answer {
	p.s.t.Helper()
	a := p.s.admin("GET", "/integrators/"+p.id+"/clients/"+id, nil).mustBe(p.s.t, http.StatusOK)
	if secret != "" && strings.Contains(a.body, secret) || strings.Contains(a.body, "hash") {
		p.s.t.Errorf("it shows too much: %s", a.body)
	}
	listed := p.s.admin("GET", "/integrators/"+p.id+"/clients?limit=200", nil).mustBe(p.s.t, http.StatusOK).json["items"].([]any)
	for _, item := range listed {
		if item.(object)["client_id"] == id && fmt.Sprint(item) != fmt.Sprint(a.json) {
			p.s.t.Errorf("the list says %v, the object %v", item, a.json)
		}
	}
	return a
}

// A client was last used when it last got a token, by whichever grant.
func TestLastUseOfClients(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		s := startServer(t, databaseURL, nil)
		acme := s.newParty("Acme")
		acme.manage("919424508", "east")
		credentials := url.Values{"grant_type": {grants.ClientCredentials}}
		scoped, scopedSecret := acme.newClient(object{"client_name": "scoped", "scope": "read"})
		public, _ := acme.newClient(object{"client_name": "app", "token_endpoint_auth_method": "none"})
		form := exchangeForm(acme.idp.token(nil), "client_id", public)
		for _, c := range []struct {
			name, id, secret string
			fails, works     func() answer
		}{
			{"an exchange", acme.clientID, acme.secret, func() answer { return acme.exchange("x") }, func() answer { return acme.exchange(acme.idp.token(nil)) }},
			{"client credentials", scoped, scopedSecret, func() answer { return s.post(tokenEndpoint, basic(scoped, "wrong"), credentials) },
				func() answer { return s.post(tokenEndpoint, basic(scoped, scopedSecret), credentials) }},
			{"a public client", public, "", func() answer { return s.post(tokenEndpoint, anonymous, exchangeForm("x", "client_id", public)) },
				func() answer { return s.post(tokenEndpoint, anonymous, form) }},
		} {
			before := acme.clientOf(c.id, c.secret)
			if a := c.fails(); a.status < 400 {
				t.Fatal(a.body)
			}
			s.flush()
			if used := acme.clientOf(c.id, c.secret).json["last_used_at"]; used != nil {
				t.Errorf("%s: used at %v, and it got no token", c.name, used)
			}
			began := time.Now()
			c.works().mustBe(t, http.StatusOK)
			s.flush()
			after := acme.clientOf(c.id, c.secret)
			used, err := time.Parse(time.RFC3339Nano, after.text("last_used_at"))
			if err != nil || used.Before(began.Add(-time.Millisecond)) || used.After(time.Now()) {
				t.Errorf("%s: used at %v (%v), it was at %v", c.name, used, err, began)
			}
			if after.header.Get("ETag") != before.header.Get("ETag") || after.text("updated_at") != before.text("updated_at") {
				t.Errorf("%s: its use is a change of it: %s", c.name, after.body)
			}
		}
		path := "/integrators/" + acme.id + "/clients/" + acme.clientID
		if a := s.admin("PATCH", path, object{"client_name": "renamed"}).mustBe(t, http.StatusOK); a.text("last_used_at") == "" || len(a.json["secrets"].([]any)) != 1 {
			t.Errorf("a changed client forgets what is known of it: %s", a.body)
		}
		for _, member := range []string{"last_used_at", "secrets"} {
			s.admin("PATCH", path, object{member: nil}).mustBeProblem(t, http.StatusUnprocessableEntity, "invalid")
		}
	})
}

// A client shows when its secrets that work were made and end.
func TestSecretsOfAClient(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, databaseURL string) {
		c := &clock{}
		s := startServerAt(t, c.now, databaseURL, map[string]string{"access_token_ttl": "24h"})
		acme := s.newParty("Acme")
		path := "/integrators/" + acme.id + "/clients"
		created := s.admin("POST", path, object{"client_name": "backend"}).mustBe(t, http.StatusCreated)
		id := created.text("client_id")
		ends := func(a answer) string { // which of them end, the oldest first
			t.Helper()
			text, last := "", ""
			for _, secret := range a.json["secrets"].([]any) {
				made, end := secret.(object)["created_at"].(string), secret.(object)["expires_at"]
				if made <= last || len(secret.(object)) > 2 {
					t.Errorf("secrets: %s", a.body)
				}
				last, text = made, text+map[bool]string{true: "stays ", false: "ends "}[end == nil]
			}
			return text
		}
		read := func() answer { return acme.clientOf(id, created.text("client_secret")) }
		another := func(query string) answer {
			return s.admin("POST", path+"/"+id+"/secret"+query, nil).mustBe(t, http.StatusCreated)
		}
		is := func(what, want string, answers ...answer) {
			t.Helper()
			for _, a := range append(answers, read()) {
				if got := ends(a); got != want {
					t.Errorf("%s: %q, want %q: %s", what, got, want, a.body)
				}
			}
		}
		is("made", "stays ", created)
		is("another, with an overlap", "ends stays ", another("?overlap=3600"))
		is("a third", "ends ends stays ", another("?overlap=7200"))
		c.advance(90 * time.Minute)
		is("the first has ended", "ends stays ")
		is("without overlap", "stays ", another(""))
		keys := object{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": acme.idp.url("/jwks.json")}
		is("a key of its own", "", s.admin("PATCH", path+"/"+id, keys).mustBe(t, http.StatusOK))
		if a := s.admin("POST", path, object{"client_name": "app", "token_endpoint_auth_method": "none"}).mustBe(t, http.StatusCreated); ends(a) != "" {
			t.Errorf("a public client has secrets: %s", a.body)
		}
	})
}
